"""Sheets of hand-overs on both data bases: numbered by year, sealed, closed by the second signature; events found by their time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.core.model import Event
from gateway.store import NotFound, Store, handovers, journal
from tests.store.conftest import START, Clock

SHEET = {"open": [{"number": "2026-0001", "title": "火情"}], "alarms": []}


def test_a_sheet_is_kept_signed_twice_and_found_by_its_number(store: Store) -> None:
    row = store.write_now(lambda tx: handovers.insert(tx, "duty", "李值班", START, SHEET))
    year = START.year
    assert (row.number, row.to_person) == (f"{year}-0001", None)
    changed = store.write_now(lambda tx: handovers.rewrite(tx, row, START + timedelta(minutes=5), {"open": []}))
    assert changed.digest != row.digest and changed.from_at == START + timedelta(minutes=5)
    signed = store.write_now(lambda tx: handovers.sign(tx, changed, "马值班", START + timedelta(minutes=9)))
    for number in ("1", "0001", f"{year}-1", row.number):
        found = store.read_now(lambda tx, n=number: handovers.get(tx, n, year))
        assert found == signed
    assert store.read_now(lambda tx: handovers.sheet(tx, signed)) == {"open": []}


def test_the_second_signature_closes_it(store: Store) -> None:
    row = store.write_now(lambda tx: handovers.insert(tx, "duty", "李值班", START, SHEET))
    store.write_now(lambda tx: handovers.sign(tx, row, "马值班", START))
    with pytest.raises(NotFound):
        store.write_now(lambda tx: handovers.sign(tx, row, "蔡主任", START))
    [kept] = store.read_now(handovers.rows)
    assert kept.to_person == "马值班"


def test_each_year_counts_anew_and_the_newest_comes_first(store: Store) -> None:
    for at in (START, START, START.replace(year=START.year + 1)):
        store.write_now(lambda tx, a=at: handovers.insert(tx, "duty", "李值班", a, SHEET))
    store.write_now(lambda tx: handovers.insert(tx, "bureau", "何值班", START, SHEET))
    numbers = [row.number for row in store.read_now(lambda tx: handovers.rows(tx, office="duty"))]
    assert numbers == [f"{START.year + 1}-0001", f"{START.year}-0002", f"{START.year}-0001"]
    for unknown in ("9", "x", "", f"{START.year}-0009", "2026-00-1"):
        with pytest.raises(NotFound):
            store.read_now(lambda tx, n=unknown: handovers.get(tx, n, START.year))


def test_events_since_an_instant(store: Store, clock: Clock) -> None:
    for minute in range(0, 300, 10):
        at = START + timedelta(minutes=minute)
        store.write_now(lambda tx, a=at: journal.emit(tx, Event(at=a, event="alarm", data={"why": "x"})))
        store.write_now(lambda tx, a=at: journal.emit(tx, Event(at=a, event="channel_up", data={"via": "x"})))
    for minute, count in ((0, 30), (1, 29), (150, 15), (290, 1), (291, 0), (-60, 30)):
        at = START + timedelta(minutes=minute)
        found = store.read_now(lambda tx, a=at: journal.since(tx, a, names=["alarm"]))
        assert len(found) == count and all(one.event.event == "alarm" and one.event.at >= at for one in found)
