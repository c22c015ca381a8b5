"""What the console keeps and reads, on both back ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.accounts import holds
from gateway.core.model import Event, Incident, Report
from gateway.store import NotFound, Store, accounts, drafts, incidents, journal
from gateway.store.standing import Standing, not_through
from tests.store.conftest import Clock


def account(clock: Clock, name: str = "clerk", **more: Any) -> accounts.Account:
    return accounts.Account(name=name, role="clerk", person="李值班", password="$argon2id$…", changed_at=clock.at, **more)


def session(clock: Clock, digest: str, hours: float = 12, **more: Any) -> accounts.Session:
    known = {"account": "clerk", "epoch": 1, "made_at": clock.at, "until": clock.at + timedelta(hours=hours)}
    return accounts.Session(digest=digest, **{**known, **more})


def test_an_account_comes_back_as_it_was_kept(store: Store, clock: Clock) -> None:
    store.write_now(lambda tx: accounts.put(tx, account(clock)))
    store.write_now(lambda tx: accounts.put(tx, account(clock, "a%_b")))
    store.write_now(lambda tx: accounts.put(tx, account(clock, disabled=True)))
    assert store.read_now(lambda tx: accounts.get(tx, "clerk")) == account(clock, disabled=True)
    assert [one.name for one in store.read_now(accounts.every)] == ["a%_b", "clerk"]
    assert store.read_now(lambda tx: accounts.get(tx, "x" * 500)) is None


def test_the_key_of_a_second_factor_lies_sealed(store: Store, clock: Clock) -> None:
    made = store.write_now(lambda tx: accounts.seal_totp(tx, account(clock), "JBSWY3DPEHPK3PXP"))
    store.write_now(lambda tx: accounts.put(tx, made))
    assert store.read_now(lambda tx: accounts.totp(tx, made)) == "JBSWY3DPEHPK3PXP"
    assert "JBSWY3DP" not in repr(store.read_now(accounts.every))
    bare = store.write_now(lambda tx: accounts.seal_totp(tx, made, ""))
    assert bare.totp == ""
    with pytest.raises(NotFound):
        store.read_now(lambda tx: accounts.totp(tx, made))


def test_sign_ins_that_are_over_are_forgotten_at_the_next(store: Store, clock: Clock) -> None:
    store.write_now(lambda tx: accounts.open_session(tx, session(clock, "a" * 40, hours=1)))
    store.write_now(lambda tx: accounts.open_session(tx, session(clock, "b" * 40)))
    clock.on(hours=1)
    store.write_now(lambda tx: accounts.open_session(tx, session(clock, "c" * 40)))
    assert {one.digest[0] for one in store.read_now(accounts.sessions)} == {"b", "c"}
    store.write_now(lambda tx: accounts.drop(tx, ["b" * 40]))
    assert store.read_now(lambda tx: accounts.session(tx, "b" * 40)) is None


def test_a_sign_in_holds_while_account_epoch_and_time_do(clock: Clock) -> None:
    one, now = session(clock, "a" * 40), clock.at
    assert holds(one, account(clock), now) and holds(one, account(clock), now + timedelta(hours=12, microseconds=-1))
    assert not holds(one, account(clock), now + timedelta(hours=12)) and not holds(one, account(clock), now - timedelta(seconds=1))
    assert not holds(one, None, now) and not holds(one, account(clock, epoch=2), now)
    assert not holds(one, account(clock, disabled=True), now) and not holds(one, account(clock, "other"), now)


def test_drafts_belong_to_their_account_and_go_with_their_text(store: Store, clock: Clock) -> None:
    ids = [store.new_id() for _ in range(drafts.MOST + 1)]
    for id_ in ids:
        store.write_now(lambda tx, i=id_: drafts.put(tx, i, "clerk", clock.at, {"text": i}))
        clock.on(seconds=1)
    mine = store.read_now(lambda tx: drafts.of(tx, "clerk"))
    assert [one.id for one in mine] == ids[:0:-1], "the oldest made room"
    with pytest.raises(NotFound):
        store.read_now(lambda tx: drafts.fields(tx, ids[0]))
    with pytest.raises(NotFound):
        store.write_now(lambda tx: drafts.put(tx, ids[1], "other", clock.at, {}))
    assert store.read_now(lambda tx: drafts.fields(tx, ids[1])) == {"text": ids[1]}


def incident(store: Store, clock: Clock, state: str = "open") -> Incident:
    number = store.write_now(lambda tx: incidents.next_number(tx, 2026))
    made = Incident(
        id=store.new_id(), number=number, title="t", state=state, items=(), kinds=(), report=Report(text="secret"),
        first_received_at=clock.at,
    )  # type: ignore[arg-type]  # fmt: skip
    store.write_now(lambda tx: incidents.insert(tx, made))
    return made


def test_the_standing_reads_again_only_what_changed(store: Store, clock: Clock) -> None:
    first, second = incident(store, clock), incident(store, clock)
    incident(store, clock, "drill")
    standing = Standing()
    found = store.read_now(standing.read)
    assert [one.number for one, _matter in found] == [first.number, second.number] and found[0][0].report.text == ""
    again = store.read_now(standing.read)
    assert all(a[0] is b[0] for a, b in zip(found, again, strict=True)), "nothing was read again"
    store.write_now(lambda tx: incidents.update(tx, replace(incidents.get(tx, second.id), title="changed")))
    third = store.read_now(standing.read)
    assert third[0][0] is found[0][0] and third[1][0].title == "changed"
    store.write_now(lambda tx: incidents.update(tx, replace(incidents.get(tx, first.id), state="closed")))
    assert [one.number for one, _matter in store.read_now(standing.read)] == [second.number]
    assert store.read_now(not_through) == {}


def test_the_newest_entries_come_first_and_of_the_names_asked_for(store: Store, clock: Clock) -> None:
    for name in ("started", "looked", "stopped"):
        store.write_now(lambda tx, n=name: journal.emit(tx, Event(at=clock.at, event=n)))
    newest = store.read_now(lambda tx: journal.latest(tx, 2))
    assert [one.event.event for one in newest] == ["stopped", "looked"]
    assert [e.event.event for e in store.read_now(lambda tx: journal.latest(tx, 9, newest[-1].id))] == ["started"]
    assert [e.event.event for e in store.read_now(lambda tx: journal.latest(tx, 9, names=["looked"]))] == ["looked"]
    assert store.read_now(journal.end) == newest[0].id
