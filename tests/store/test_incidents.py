"""The register: numbers, facts, revisions, and the text of reports sealed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from gateway.core.lifecycle import NotAllowed
from gateway.core.model import Figure, Incident, Report
from gateway.store import NotFound, Stale, Store, StoreKeys, Tampered, Tx, incidents
from gateway.store.tables import vault
from tests.store.conftest import START, Clock


def make(tx: Tx, text: str = "江州市东山镇发生一起车祸", **more: object) -> Incident:
    values: dict[str, object] = {
        "id": tx.new_id(),
        "number": incidents.next_number(tx, 2026),
        "title": "车祸",
        "state": "open",
        "items": ("事故类-2",),
        "kinds": ("traffic",),
        "report": Report(text=text, deaths=Figure(value=1, evidence=((3, 5),)), evidence={"place": ((0, 3),)}),
        "first_received_at": START,
    }
    incident = Incident(**(values | more))  # type: ignore[arg-type]
    incidents.insert(tx, incident)
    return incident


def test_what_was_entered_comes_back(store: Store) -> None:
    made = store.write_now(make)
    assert store.read_now(lambda tx: incidents.get(tx, made.id)) == made
    assert store.read_now(incidents.rows) == [made]


@pytest.mark.parametrize("written", ["〔2026〕0002", "[2026]0002", "2026-0002", "2026-2", "0002", "2", " 002 "])
def test_numbers_as_people_write_them(store: Store, written: str) -> None:
    for _ in range(3):
        store.write_now(make)
    assert store.read_now(lambda tx: incidents.get(tx, written)).number == "2026-0002"


def test_newest_year_wins_a_bare_number(store: Store) -> None:
    store.write_now(make)
    store.write_now(lambda tx: make(tx, number=incidents.next_number(tx, 2027)))
    assert store.read_now(lambda tx: incidents.get(tx, "1")).number == "2027-0001"
    with pytest.raises(NotFound):
        store.read_now(lambda tx: incidents.get(tx, "0099"))


async def test_no_number_is_given_twice(store: Store) -> None:
    def failing(tx: Tx) -> None:
        incidents.next_number(tx, 2026)
        raise KeyError

    jobs = [store.write(lambda tx: incidents.next_number(tx, 2026)) for _ in range(60)]
    jobs += [store.write(failing) for _ in range(5)]
    numbers = [one for one in await asyncio.gather(*jobs, return_exceptions=True) if isinstance(one, str)]
    assert len(numbers) == len(set(numbers)) == 60
    assert store.write_now(lambda tx: incidents.next_number(tx, 2027)) == "2027-0001"


def test_revision_guards_against_lost_updates(store: Store) -> None:
    made = store.write_now(make)
    changed = msgspec.structs.replace(made, state="followed_up", report=Report(text="续报:又有一人死亡"))
    new = store.write_now(lambda tx: incidents.update(tx, changed))
    assert (new.revision, store.read_now(lambda tx: incidents.get(tx, made.id))) == (2, new)
    with pytest.raises(Stale):
        store.write_now(lambda tx: incidents.update(tx, changed))
    with pytest.raises(NotAllowed):
        store.write_now(lambda tx: incidents.update(tx, msgspec.structs.replace(new, state="drillx")))
    with pytest.raises(NotAllowed):
        store.write_now(lambda tx: make(tx, state="closed"))
    with pytest.raises(NotFound):
        store.write_now(lambda tx: incidents.update(tx, msgspec.structs.replace(new, id="nothing")))


def test_rolled_back_revision_leaves_nothing_in_the_cache(store: Store) -> None:
    made = store.write_now(make)

    def failing(tx: Tx) -> None:
        incidents.update(tx, msgspec.structs.replace(made, title="没有写成的"))
        assert incidents.get(tx, made.id).title == "没有写成的"
        raise KeyError

    with pytest.raises(KeyError):
        store.write_now(failing)
    new = store.write_now(lambda tx: incidents.update(tx, msgspec.structs.replace(made, title="写成的")))
    assert store.read_now(lambda tx: incidents.get(tx, made.id)).title == "写成的" == new.title


def test_merged_into(store: Store) -> None:
    one, other = store.write_now(make), store.write_now(make)
    merged = msgspec.structs.replace(one, state="merged")
    store.write_now(lambda tx: incidents.update(tx, merged, merged_into=other.id))
    assert store.read_now(lambda tx: incidents.merged_into(tx, one.id)) == other.id
    assert [c.incident.id for c in store.read_now(lambda tx: incidents.candidates(tx, START))] == [other.id]


def test_candidates_know_their_messages(store: Store) -> None:
    old = store.write_now(lambda tx: make(tx, first_received_at=START - timedelta(days=9)))
    new = store.write_now(make)
    later = START + timedelta(hours=2)

    def linked(tx: Tx) -> None:
        incidents.link(tx, new.id, "M1", "<1@x>", "13800000001", START)
        incidents.link(tx, new.id, "M2", None, "b@x", later)
        incidents.link(tx, new.id, "M2", None, "b@x", later)

    store.write_now(linked)
    (found,) = store.read_now(lambda tx: incidents.candidates(tx, START - timedelta(days=3)))
    assert (found.incident, found.message_ids, found.senders, found.last_report_at) == (
        new, {"<1@x>"}, {"13800000001", "b@x"}, later,
    )  # fmt: skip
    assert store.read_now(lambda tx: incidents.by_carrier_id(tx, "<1@x>")) == new.id
    assert store.read_now(lambda tx: incidents.messages_of(tx, new.id)) == ["M1", "M2"]
    store.write_now(lambda tx: incidents.link(tx, old.id, "M3", None, "c", START))
    assert len(store.read_now(lambda tx: incidents.candidates(tx, START))) == 2, "a further report wakes an old incident"
    assert len(store.read_now(lambda tx: incidents.candidates(tx, START, limit=1))) == 1


def test_candidates_come_newest_first_and_the_oldest_are_left_out(store: Store) -> None:
    """Whatever the number of digits of their instants is, and whether they are known already."""
    early = datetime(2001, 9, 9, 1, 46, tzinfo=UTC)  # a million seconds before there was one digit more
    times = [START, early, START - timedelta(hours=1), early + timedelta(hours=1), START]
    made = [store.write_now(lambda tx, at=at: make(tx, first_received_at=at)) for at in times]
    order = [made[n].id for n in (4, 0, 2, 3, 1)]
    for limit in (5, 3, 5, 1):
        found = store.read_now(lambda tx, most=limit: incidents.candidates(tx, early - timedelta(days=1), limit=most))
        assert [one.incident.id for one in found] == order[:limit]
    store.write_now(lambda tx: incidents.link(tx, made[1].id, "M", None, "c", START + timedelta(hours=1)))
    (first, *_rest) = store.read_now(lambda tx: incidents.candidates(tx, early - timedelta(days=1)))
    assert (first.incident.id, first.senders) == (made[1].id, {"c"})


def test_one_that_cannot_be_opened_stops_no_report_and_is_told_of_each_time(store: Store) -> None:
    made = [store.write_now(lambda tx, n=n: make(tx, text=f"第{n}起")) for n in range(3)]
    store.write_now(lambda tx: tx.run(sa.update(vault).where(vault.c.id == made[1].id).values(sealed=b"\x01" * 60)))
    store._cache.clear()
    told: list[str] = []
    for _ in range(2):
        found = store.read_now(lambda tx: incidents.candidates(tx, START, on_unread=told.append))
        assert [(one.incident.number, one.incident.report.text) for one in found] == [
            (made[2].number, "第2起"), (made[1].number, ""), (made[0].number, "第0起"),
        ]  # fmt: skip
        assert found[1].incident.report.deaths == made[1].report.deaths, "its facts are no part of what was changed"
    assert told == [made[1].number] * 2
    assert [one.report.text for one in store.read_now(incidents.rows)] == ["第2起", "", "第0起"]
    with pytest.raises(Tampered):
        store.read_now(lambda tx: incidents.get(tx, made[1].id))


@pytest.mark.parametrize("before", ["asked for", "not asked for"])
def test_what_was_undone_is_not_remembered(store: Store, before: str) -> None:
    made = store.write_now(make)
    if before == "asked for":
        store.read_now(lambda tx: incidents.candidates(tx, START))

    def failing(tx: Tx) -> None:
        changed = incidents.update(tx, msgspec.structs.replace(made, title="没有写成的"))
        assert incidents.candidates(tx, START)[0].incident == changed
        raise KeyError

    with pytest.raises(KeyError):
        store.write_now(failing)
    (found,) = store.read_now(lambda tx: incidents.candidates(tx, START))
    assert found.incident == made == store.read_now(lambda tx: incidents.get(tx, made.id))


def test_one_index_says_what_a_report_may_belong_to(tmp_path: Path, clock: Clock, keys: StoreKeys) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/plan.db", keys, clock)
    said: list[str] = []

    def explained(tx: Tx) -> str:
        driver = tx.conn.connection.driver_connection
        driver.set_trace_callback(said.append)
        incidents.candidates(tx, START)
        driver.set_trace_callback(None)
        (text,) = said
        return "\n".join(row[-1] for row in driver.execute(f"EXPLAIN QUERY PLAN {text}"))

    plan = store.read_now(explained)
    store.close()
    assert "SEARCH incidents USING COVERING INDEX incidents_of_late" in plan, "no row is read"
    assert "B-TREE" not in plan, "and nothing sorted"


def test_facts_are_columns_and_text_is_sealed(tmp_path: Path, clock: Clock, keys: StoreKeys) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/store.db", keys, clock)
    made = store.write_now(lambda tx: make(tx, text="原文里的每一个字"))
    store.write_now(lambda tx: incidents.update(tx, msgspec.structs.replace(made, state="closed")))
    store.close()
    data = (tmp_path / "store.db").read_bytes()
    assert "车祸".encode() in data and "原文里".encode() not in data
