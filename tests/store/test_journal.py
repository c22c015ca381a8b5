"""The journal: only what the vocabulary knows, nothing that does not belong on record, in commit order."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import events
from gateway.core.events import NotInVocabulary
from gateway.core.model import Event
from gateway.store import Store, Tx, journal
from gateway.store.journal import Sealed
from tests.store.conftest import START

CHINA = timezone(timedelta(hours=8))


def emit(store: Store, **more: object) -> None:
    values: dict[str, object] = {"at": START, "event": "accepted", "data": {"via": "sms"}}
    event = Event(**(values | more))  # type: ignore[arg-type]
    store.write_now(lambda tx: journal.emit(tx, event))


def entries(store: Store, **more: object) -> list[journal.Entry]:
    return store.read_now(lambda tx: journal.entries(tx, **more))  # type: ignore[arg-type]


def test_what_was_emitted_comes_back(store: Store) -> None:
    at = datetime(2026, 3, 5, 22, 30, 1, 5, tzinfo=CHINA)
    emit(store, at=at, event="routed", incident="2026-0001", message="M", by="王某", data={"destinations": ("甲", "乙")})
    emit(store)
    one, two = entries(store)
    assert one.event == Event(
        at=at, event="routed", incident="2026-0001", message="M", by="王某", data={"destinations": ["甲", "乙"]}
    )
    assert one.event.at.utcoffset() == timedelta(hours=8)
    assert entries(store, incident="2026-0001") == [one] == entries(store, message="M")
    assert entries(store, after=one.id) == [two] == entries(store, names=["accepted"])
    assert entries(store, limit=1) == [one]


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": "nothing_known"},
        {"data": {"text": "正文"}},
        {"data": {"size": "large"}},
        {"data": {"size": True}},
        {"data": {"via": 7}},
        {"event": "registered", "data": {"items": "事故类-2"}},
        {"event": "clock_due", "data": {"due": "tomorrow"}},
        {"event": "clock_due", "data": {"due": datetime(2026, 3, 5)}},
        {"event": "duplicate", "data": {"of": "two words"}},
        {"at": datetime(2026, 3, 5)},
    ],
    ids=str,
)
def test_the_vocabulary_is_closed(store: Store, wrong: dict[str, object]) -> None:
    with pytest.raises(NotInVocabulary):
        emit(store, **wrong)
    assert entries(store) == []


def test_numbers_are_masked_and_figures_withheld(store: Store) -> None:
    emit(store, by="王某 13912345678", data={"via": "sms", "sender": "+8613800000001"})
    emit(store, event="delivery_failed", data={"destination": "甲", "why": "550 mobile 139-1234-5678 or 0512-66543210"})
    emit(store, event="revised", data={"field": "deaths", "from": {"value": 1}, "to": {"value": 3}})
    one, two, three = entries(store)
    assert one.event.data["sender"] == "138****0001" and one.event.by == "王某 139****5678"
    assert two.event.data["why"] == "550 mobile 139****5678 or 0512****3210"
    assert three.event.data["to"] == {"value": 3} and three.public == {"field": "deaths"}


@given(st.from_regex(r"\A(\+86|86|0086)?1[3-9][0-9]{9}\Z"))
def test_no_whole_mobile_number_passes(number: str) -> None:
    for text in (number, f"call {number}.", f"电话{number}转", f"({number})"):
        assert number[-11:] not in events.mask_in(text)
        assert events.mask(number).endswith("****" + number[-4:])


@pytest.mark.parametrize("kept", ["110", "12345", "a@b.cn", ""])
def test_short_numbers_and_mail_addresses_stay(kept: str) -> None:
    assert events.mask(kept) == kept == events.mask_in(kept)


@pytest.mark.parametrize("kept", ["2026-03-05", "2026-03-05T22:30:00+08:00", "01M851NQS25BQRT2Y876G22RQR", "〔2026〕0123"])
def test_what_is_no_number_stays_in_a_remark(kept: str) -> None:
    assert events.mask_in(kept) == kept


def test_ids_keep_their_digits(store: Store) -> None:
    emit(store, event="receipt", data={"ref": "13800000001", "state": "delivered"})
    assert entries(store)[0].event.data["ref"] == "13800000001"


def test_every_event_can_be_said_and_every_field_has_a_kind() -> None:
    for kind in events.EVENTS.values():
        known = {"by", *kind.fields, *events.COMMON}
        assert set(kind.fields.values()) <= set(events.KINDS), kind.name
        for phrase in (kind.en, kind.zh):
            named = {part.split("}")[0] for part in phrase.split("{")[1:]}
            assert named <= known, (kind.name, named - known)
            assert not any(kind.fields.get(name) == "withheld" for name in named), kind.name


def test_what_a_plugin_gave_can_be_fitted() -> None:
    assert events.known("alarm", {"why": "w", "plugin": "p", "weather": "fine"}) == {"why": "w", "plugin": "p"}
    assert events.known("nothing", {"why": "w", "plugin": "p"}) == {"why": "w"}


def test_events_of_a_failed_function_are_not_there(store: Store) -> None:
    def failing(tx: Tx) -> None:
        journal.emit(tx, Event(at=START, event="started", data={"version": "1"}))
        raise KeyError

    with pytest.raises(KeyError):
        store.write_now(failing)
    emit(store)
    assert [entry.event.event for entry in entries(store)] == ["accepted"]


def test_seals(store: Store) -> None:
    for _ in range(3):
        emit(store)
    first, second, _ = store.read_now(journal.unsealed)
    assert store.read_now(journal.last_sealed) is None
    given_out = [
        Sealed(id=first.id, seq=1, prev="0" * 64, hash="a" * 64),
        Sealed(id=second.id, seq=2, prev="a" * 64, hash="b" * 64),
    ]
    store.write_now(lambda tx: journal.mark_sealed(tx, given_out))
    assert len(store.read_now(journal.unsealed)) == 1
    last = store.read_now(journal.last_sealed)
    assert last is not None and (last.id, last.seq, last.prev, last.hash) == (second.id, 2, "a" * 64, "b" * 64)
    assert [one.seq for one in store.read_now(lambda tx: journal.sealed_after(tx, 1))] == [2]
    assert store.read_now(lambda tx: journal.sealed_at(tx, 1)).id == first.id
    store.write_now(lambda tx: journal.mark_sealed(tx, [Sealed(id=first.id, seq=9, prev="", hash="")]))
    assert store.read_now(lambda tx: journal.sealed_at(tx, 9)) is None, "a place is given once"
    store.write_now(lambda tx: journal.note_written(tx, "audit.jsonl", 2))
    assert store.read_now(lambda tx: journal.written(tx, "audit.jsonl")) == 2


def test_nothing_is_read_that_an_earlier_open_transaction_may_still_precede(open_store, url: str) -> None:  # type: ignore[no-untyped-def]
    """Two nodes on one PostgreSQL: ids are given before commit, so a later id may be committed first."""
    if url.startswith("sqlite"):
        return  # one writer: the order of ids is the order of commits
    one, two = open_store(), open_store()
    inside, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        journal.emit(tx, Event(at=START, event="started", data={"node": "one"}))
        tx.flush()
        inside.set()
        assert go_on.wait(10)

    thread = threading.Thread(target=lambda: one.write_now(slow))
    thread.start()
    assert inside.wait(10)
    two.write_now(lambda tx: journal.emit(tx, Event(at=START, event="started", data={"node": "two"})))
    assert two.read_now(journal.entries) != [], "committed and readable"
    assert two.read_now(journal.unsealed) == [], "and yet not to be sealed"
    go_on.set()
    thread.join()
    nodes = [entry.event.data["node"] for entry in two.read_now(journal.unsealed)]
    assert nodes == ["one", "two"]


def test_all_of_the_vocabulary_passes(store: Store) -> None:
    samples = {
        "id": "X1", "name": "甲", "names": ["甲"], "phone": "13800000001", "time": datetime(2026, 1, 1, tzinfo=UTC),
        "count": 1, "word": "w", "why": "because", "flag": True, "withheld": {"value": 1}, "kept": {"value": 1},
    }  # fmt: skip
    for kind in events.EVENTS.values():
        fields = {**events.COMMON, **kind.fields}
        emit(store, event=kind.name, data={name: samples[what] for name, what in fields.items()})
    assert len(entries(store)) == len(events.EVENTS)
