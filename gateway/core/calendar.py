"""Which side of the working day an instant lies on: working hours (工作时间) or out of hours (非工作时间).

A ``Calendar`` is plain data: the intervals of the day and, for each year whose arrangement is known, the holidays and
the shifted working days (调休). A year nobody knows is never guessed: it counts as out of hours, where somebody is
always on duty, and says so by ``known=False``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from msgspec import Struct

DAY = 24 * 60
"""Minutes of a day; an interval may end there (24:00)."""


def fixed(at: datetime) -> datetime:
    """The same instant with its offset as it is. With a zone's name Python reckons in wall time: two minutes before three
    o'clock of the day when summer time begins would be an hour later, and half an hour after two when it ends an hour ago."""
    offset = at.utcoffset()
    return at if offset is None else at.replace(tzinfo=timezone(offset))


class Moment(Struct, frozen=True, kw_only=True):
    """An instant as routing sees it. ``local`` is ``at`` in the city's zone; ``why`` says which side it is on."""

    at: datetime
    local: datetime
    working: bool
    known: bool
    why: str


class Calendar(Struct, frozen=True, kw_only=True):
    """Working hours of one city. ``hours`` are half-open intervals in minutes of the day, in order and apart.

    ``years`` are the years whose holidays are known as a whole; ``holidays`` and ``workdays`` name the days off and the
    weekend days worked in exchange. ``weekend`` counts from Monday = 0.
    """

    timezone: str
    hours: tuple[tuple[int, int], ...]
    years: frozenset[int]
    holidays: dict[date, str] = {}
    workdays: dict[date, str] = {}
    weekend: tuple[int, ...] = (5, 6)

    def moment(self, at: datetime) -> Moment:
        """Where the aware instant ``at`` lies; ValueError for a naive one."""
        if at.tzinfo is None:
            raise ValueError("an instant needs its offset")
        local = at.astimezone(ZoneInfo(self.timezone))
        known = local.year in self.years
        off = self._day_off(local.date()) if known else f"{local.year}年放假安排未录入"
        if off is not None:
            return Moment(at=at, local=local, working=False, known=known, why=off)
        working, why = self._hour(local.hour * 60 + local.minute)
        shifted = self.workdays.get(local.date())
        if shifted is not None:
            why = f"{why}（{shifted}调休上班）"
        return Moment(at=at, local=local, working=working, known=True, why=why)

    def next_change(self, at: datetime, within_days: int = 60) -> datetime | None:
        """The first instant after ``at`` at which working hours begin or end; None where none does ``within_days``."""
        moment = self.moment(at)
        zone = ZoneInfo(self.timezone)
        edges = sorted({0, *(minute for interval in self.hours for minute in interval if minute < DAY)})
        for ahead in range(within_days + 1):
            day = moment.local.date() + timedelta(days=ahead)
            for minute in edges:
                edge = datetime.combine(day, time(minute // 60, minute % 60), zone)
                if edge > at and self.moment(edge).working != moment.working:
                    return fixed(edge)
        return None

    def working(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The stretches of [start, end) in working hours, in order, in the city's time; an unknown year has none."""
        zone = ZoneInfo(self.timezone)
        start, end = start.astimezone(zone), end.astimezone(zone)
        for offset in range((end.date() - start.date()).days + 1):
            day = start.date() + timedelta(days=offset)
            if day.year not in self.years or self._day_off(day) is not None:
                continue
            midnight = datetime.combine(day, time(), zone)
            for first, until in self.hours:
                begun, ended = max(start, midnight + timedelta(minutes=first)), min(end, midnight + timedelta(minutes=until))
                if begun < ended:
                    yield begun, ended

    def _day_off(self, day: date) -> str | None:
        """Why nobody works on ``day`` of a known year; None on a working day."""
        if day in self.workdays:
            return None
        if day in self.holidays:
            return self.holidays[day]
        return "周末" if day.weekday() in self.weekend else None

    def _hour(self, minute: int) -> tuple[bool, str]:
        """Side and name of a minute of a working day."""
        if any(start <= minute < end for start, end in self.hours):
            return True, "工作时间"
        if not self.hours or minute < self.hours[0][0]:
            return False, "上班前"
        return False, "下班后" if minute >= self.hours[-1][1] else "午休"
