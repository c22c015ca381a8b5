"""The daily look at the duty roster: one alarm a day for each office with holes, also over restarts and after down time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway import i18n
from gateway.alarms import Alarms
from gateway.chores import Chores
from gateway.conf_load import load
from gateway.core.roster import Duty, Roster
from gateway.host import Host
from gateway.settings import Config
from gateway.store import Store, StoreKeys, journal

ROOT = Path(__file__).parents[2]
ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 3, 5, 22, 30, tzinfo=ZONE)
FULL = load(ROOT / "conf", Host.load(), today=date(2026, 3, 5))


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.use("en")
    yield
    i18n.use("zh")


class House:
    """A daemon's alarms and chores on a clock of their own; ``restart`` keeps the store alone."""

    def __init__(self, url: str) -> None:
        self.now, self.config = START, FULL
        self.store = Store.open(url, StoreKeys(bytes(32)), lambda: self.now)
        self.restart()

    def restart(self) -> None:
        told = Alarms(self.store, lambda: self.now)
        self.chores = Chores(self.store, told, {}, config=lambda: self.config, clock=lambda: self.now)

    async def alarms(self, at: datetime) -> list[dict[str, object]]:
        """What is raised by a look at ``at``."""
        before = len(self._written())
        self.now = at
        await self.chores.look()
        return self._written()[before:]

    def _written(self) -> list[dict[str, object]]:
        return [e.event.data for e in self.store.read_now(lambda tx: journal.entries(tx, names=["alarm"]))]


@pytest.fixture
def house(url: str) -> Iterator[House]:
    made = House(url)
    yield made
    made.store.close()


def without(office: str) -> Config:
    return replace(FULL, roster=Roster(tuple(d for d in FULL.roster.duties if d.office != office)))


async def test_holes_are_alarmed_once_a_day_at_the_hour(house: House) -> None:
    assert await house.alarms(START) == [], "the example has no hole"
    house.config = without("government_duty_room")
    assert await house.alarms(START + timedelta(hours=10)) == [], "not before nine o'clock"
    nine = START.replace(hour=9, minute=0) + timedelta(days=1)
    assert await house.alarms(nine - timedelta(seconds=1)) == []
    found = await house.alarms(nine)
    assert [(a["what"], a["office"], a["page"]) for a in found] == [("roster", "government_duty_room", "runbook/roster.md")]
    assert "nobody from 2026-03-06 12:00 to 2026-03-06 14:30, and " in str(found[0]["why"])
    assert await house.alarms(nine + timedelta(seconds=10)) == []
    house.restart()
    assert await house.alarms(nine + timedelta(hours=3)) == [], "a restart does not raise it again"
    assert len(await house.alarms(nine + timedelta(days=1))) == 1


async def test_what_fell_due_while_the_daemon_was_down_is_raised_at_the_start(house: House) -> None:
    house.config = without("confidential_bureau")
    assert len(await house.alarms(START)) == 1, "the first start looks at once"
    house.restart()
    assert len(await house.alarms(START + timedelta(days=2, hours=1))) == 1, "once for all the days that were missed"
    assert await house.alarms(START + timedelta(days=2, hours=2)) == []


async def test_the_look_goes_as_far_ahead_and_at_the_hour_that_conf_says(house: House) -> None:
    duties = [d for d in FULL.roster.duties if d.office != "committee_duty_room"]
    ends = Duty(office="committee_duty_room", person="罗值班", order=1, start=START, end=START + timedelta(days=5))
    config = replace(FULL, roster=Roster((*duties, ends)))
    house.config = replace(config, doctor=config.doctor.model_copy(update={"roster_days": 4, "roster_hour": 23}))
    assert await house.alarms(START) == []
    assert await house.alarms(START + timedelta(minutes=29)) == []
    assert len(await house.alarms(START + timedelta(days=1, minutes=30))) == 1


async def test_an_empty_roster_is_one_alarm(house: House) -> None:
    house.config = replace(FULL, roster=Roster())
    assert [a["why"] for a in await house.alarms(START)] == ["empty: nobody is named as on duty"]
