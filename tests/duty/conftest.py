"""The example city's duty on a virtual clock, moved line by line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.house import House
from gateway.simulate import Simulator, shown
from tests.scenarios import playing

DAY = "2026-03-05"
"""A Thursday."""
FIRE = "今日{when}，青山区幸福路一居民楼起火，1人死亡、3人受伤，消防已到场扑救。青山区委办钱进"
UNIT = "+8613800000008"


class City:
    """Plays lines one by one and gives what happened, as ``gateway simulate --json`` shows it."""

    def __init__(self, house: House, url: str = "sqlite://") -> None:
        self.house = house
        self.simulator = Simulator(house, url=url)
        self.seen: list[dict[str, Any]] = []

    def at(self, time: str, do: str, **fields: Any) -> list[dict[str, Any]]:
        """One line; ``time`` of day, or a whole instant without offset. Returns what happened meanwhile."""
        self.simulator.step({"at": instant(time).isoformat(), "do": do, **fields})
        return self._new()

    def until(self, time: str) -> list[dict[str, Any]]:
        """Let time pass."""
        self.simulator.go_on(instant(time))
        return self._new()

    def report(self, time: str, text: str = FIRE, *, happened: str = "", **fields: Any) -> list[dict[str, Any]]:
        """A report by short message of an informant, unless told otherwise."""
        when = (instant(happened) if happened else instant(time) - timedelta(minutes=10)).strftime("%-H时%M分")
        given = {"channel": "sms", "sender": UNIT, "text": text.format(when=when), **fields}
        return self.at(time, "receive", **given)

    def acknowledge(self, time: str, *offices: tuple[str, str]) -> list[dict[str, Any]]:
        """Persons say that they have it."""
        found: list[dict[str, Any]] = []
        for office, person in offices:
            found += self.at(time, "acknowledge", destination=office, by=person)
        return found

    def all(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """What was seen of an event so far, with these fields."""
        return [one for one in self.seen if one["event"] == event and fields.items() <= one.items()]

    def _new(self) -> list[dict[str, Any]]:
        new = [shown(self.house, event) for event in self.simulator.events()]
        self.seen += new
        return new


def instant(time: str) -> datetime:
    """A time of DAY, or a whole local instant, in the city's zone."""
    return datetime.fromisoformat(f"{time if 'T' in time else f'{DAY}T{time}'}+08:00")


def only(events: list[dict[str, Any]], *names: str) -> list[str]:
    """The events of these names, each in a word or two with its time."""
    keys = ("clock", "destination", "to", "of", "from", "office")
    return [
        " ".join([one["at"][11:23].removesuffix(".000"), one["event"], *(str(one[key]) for key in keys if key in one)])
        for one in events
        if one["event"] in names
    ]


NIGHT = (("市委机要局", "何值班"), ("市政府值班室", "李值班"), ("市委政务值班室", "罗值班"))
OFFICE = (("市委办信息科", "王科长"), ("市政府办秘书二科", "赵科长"), ("市委政务值班室", "罗值班"))


@pytest.fixture(scope="session")
def house() -> House:
    return playing.house_of("")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.getLogger("gateway").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("gateway").setLevel(logging.NOTSET)


@pytest.fixture
def opened(house: House) -> Iterator[Callable[..., City]]:
    made: list[City] = []

    def make(url: str = "sqlite://", other: House | None = None) -> City:
        made.append(City(other or house, url))
        return made[-1]

    yield make
    for one in made:
        one.simulator.close()


@pytest.fixture
def city(opened: Callable[..., City]) -> City:
    return opened()
