"""What figures are made from, and what they are. Every number carries the numbers of the incidents behind it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from gateway.core.duty.matter import Matter
from gateway.core.model import IncidentState


class Case(Struct, frozen=True, kw_only=True):
    """One incident as figures need it. ``acknowledged_at``: when the first office had it, whatever came after."""

    number: str
    title: str
    state: IncidentState
    first_at: datetime
    items: tuple[str, ...] = ()
    county: str = ""
    level: str = ""
    sensitive: bool = False
    matter: Matter | None = None
    acknowledged_at: datetime | None = None


class Told(Struct, frozen=True, kw_only=True):
    """One report that came in: from which unit (empty: not registered), when, on which incident."""

    unit: str
    at: datetime
    number: str


class Tally(Struct, frozen=True):
    """A count, and the incidents it counts. Of reports ``count`` may be more than the incidents they tell of."""

    count: int = 0
    incidents: tuple[str, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.count + other.count, self.incidents + other.incidents)


class Spread(Struct, frozen=True, kw_only=True):
    """How long something took, in minutes; None where nothing was measured. ``incidents``: the slowest first."""

    count: int = 0
    median: float | None = None
    ninth: float | None = None
    longest: float | None = None
    incidents: tuple[str, ...] = ()


class Judgements(Struct, frozen=True, kw_only=True):
    """What was judged of somebody: ``confirmed`` by a person, the others by rule and not yet looked at. What a person lifted is
    in none of them. A missed report (漏报) is not counted as late (迟报) beside it."""

    late: Tally = Tally()
    late_confirmed: Tally = Tally()
    missed: Tally = Tally()
    missed_confirmed: Tally = Tally()
    false: Tally = Tally()
    false_confirmed: Tally = Tally()
    suspected: Tally = Tally()
    concealed: Tally = Tally()

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, name).count for name in self.__struct_fields__)


class Unit(Struct, frozen=True, kw_only=True):
    """One reporting unit in the period.

    ``due`` = what it owed by obligations + first reports whose limit lay in the period; ``done`` of them came in time. ``rate``
    is done ÷ due in percent, None where nothing was due (无应报).
    """

    unit: str
    county: str = ""
    reports: Tally = Tally()
    responsible: Tally = Tally()
    in_time: Tally = Tally()
    late: Tally = Tally()
    pending: Tally = Tally()
    owed: int = 0
    owed_done: int = 0
    due: int = 0
    done: int = 0
    rate: float | None = None
    rank: int | None = None
    judged: Judgements = Judgements()
    to_report: Spread = Spread()


class Office(Struct, frozen=True, kw_only=True):
    """What was judged of an office of the city that answers for clocks of its own."""

    office: str
    judged: Judgements = Judgements()


class Clock(Struct, frozen=True, kw_only=True):
    """One clock over all incidents whose limit lay in the period. ``late``: stopped after the limit; ``open``: passed, and
    nothing has stopped it; ``excused``: passed, and a person lifted the judgement."""

    clock: str
    title: str
    responsible: Literal["unit", "office"]
    in_time: Tally = Tally()
    late: Tally = Tally()
    open: Tally = Tally()
    excused: Tally = Tally()
    running: Tally = Tally()
    waived: Tally = Tally()

    @property
    def passed(self) -> Tally:
        """Every one that ran over its limit."""
        return self.late + self.open


class Line(Struct, frozen=True):
    """A name and what falls under it."""

    name: str
    tally: Tally


class Figures(Struct, frozen=True, kw_only=True):
    """The figures of a period. An incident belongs to it by its first report, a clock or judgement by the limit."""

    period: str
    start: datetime
    end: datetime
    made_at: datetime
    reports: Tally = Tally()
    unregistered: Tally = Tally()
    incidents: Tally = Tally()
    below: Tally = Tally()
    drills: Tally = Tally()
    closed: Tally = Tally()
    unacknowledged: Tally = Tally()
    units: tuple[Unit, ...] = ()
    offices: tuple[Office, ...] = ()
    clocks: tuple[Clock, ...] = ()
    kinds: tuple[Line, ...] = ()
    counties: tuple[Line, ...] = ()
    levels: tuple[Line, ...] = ()
    judged: Judgements = Judgements()
    to_report: Spread = Spread()
    to_acknowledge: Spread = Spread()
    due: int = 0
    done: int = 0
    rate: float | None = None

    @property
    def empty(self) -> bool:
        """Nothing came in, nothing was due and nothing was judged."""
        counts = (self.reports, self.incidents, self.below, self.drills, *(c.running for c in self.clocks),
                  *(c.passed for c in self.clocks), *(c.waived for c in self.clocks))  # fmt: skip
        return not (self.due or self.judged.total or any(one.count for one in counts))
