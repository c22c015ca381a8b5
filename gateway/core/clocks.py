"""The clocks of a report (报送时限): when each is due, what stops it, and how it stands. Pure.

``due`` is the one function that computes a deadline. Passed means later than due: exactly at the deadline is in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from gateway.core.calendar import fixed
from gateway.core.model import Occurred
from gateway.core.parsing import Table

Stop = Literal["any", "phone", "written", "upward"]
State = Literal["stopped", "running", "passed"]

STOPS: Mapping[Stop, frozenset[str]] = {
    "any": frozenset({"sms", "email", "fax", "phone", "upward"}),
    "phone": frozenset({"phone", "email", "fax"}),
    "written": frozenset({"email", "fax"}),
    "upward": frozenset({"upward"}),
}
"""The channels that stop a clock; ``upward`` is a delivery to the level above, after approval."""

_FORMS = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H", "minute": "%Y-%m-%dT%H:%M"}


class Clock(Struct, frozen=True, kw_only=True):
    """One limit of conf/clocks.toml. ``responsible`` is who answers for it: the reporting unit or the city's office.

    ``judgement`` is what passing it is called; what is still not done ``missed_minutes`` after the start is 漏报 (0: never).
    """

    id: str
    title: str
    minutes: int
    stopped_by: Stop
    responsible: Literal["unit", "office"]
    warn_minutes: int = 0
    judgement: str = "迟报"
    missed_minutes: int = 0
    source: str = ""


class ClockState(Struct, frozen=True, kw_only=True):
    """How a clock stands at one instant. ``estimated``: the time of the event is not known to the minute."""

    clock: str
    due: datetime
    state: State
    stopped_at: datetime | None = None
    estimated: bool = False


def parse(data: object) -> tuple[Clock, ...]:
    """The clocks of the profile that conf/clocks.toml names; all profiles are checked. Raises ``ParseFaults``."""
    root = Table(data, (), [])
    root.only("profile", "clock")
    profile = root.text("profile", "city")
    made: list[Clock] = []
    profiles: set[str] = set()
    for table in root.tables("clock"):
        table.only(*Clock.__struct_fields__, "profile")
        fields: dict[str, Any] = {
            "id": table.text("id"),
            "title": table.text("title"),
            "minutes": table.number("minutes", low=1),
            "stopped_by": table.choice("stopped_by", tuple(STOPS)),
            "responsible": table.choice("responsible", ("unit", "office")),
            "warn_minutes": table.number("warn_minutes", 0),
            "judgement": table.choice("judgement", ("迟报", "漏报"), "迟报"),
            "missed_minutes": table.number("missed_minutes", 0),
            "source": table.text("source", ""),
        }
        clock = Clock(**fields)
        its = table.text("profile", "city")
        profiles.add(its)
        if clock.warn_minutes >= clock.minutes:
            table.fault(("warn_minutes",), "is not less than minutes", f"0 to {clock.minutes - 1}")
        if 0 < clock.missed_minutes <= clock.minutes:
            table.fault(("missed_minutes",), "is not more than minutes", f"0, or more than {clock.minutes}")
        if its != profile:
            continue
        if clock.id in {earlier.id for earlier in made}:
            table.fault(("id",), f"{clock.id!r} is used twice", "each id once")
        made.append(clock)
    if profiles and profile not in profiles:
        root.fault(("profile",), f"{profile!r} has no clock", ", ".join(sorted(profiles)))
    elif not made:
        root.fault(("clock",), "is missing", "[[clock]]")
    root.done()
    return tuple(made)


def anchor(occurred: Occurred | None, first_received: datetime, timezone: str) -> tuple[datetime, bool]:
    """When the clocks start, and whether that is estimated.

    A time known less finely than to the minute counts from the start of its period, so that a deadline errs to the early
    side. One that is not known, or that would lie after the first receipt, is the first receipt.
    """
    if occurred is None:
        return first_received, True
    try:
        local = datetime.strptime(occurred.value, _FORMS[occurred.precision])
    except ValueError:
        return first_received, True
    start = fixed(local.replace(tzinfo=ZoneInfo(timezone)))
    if start > first_received:
        return first_received, True
    return start, occurred.precision != "minute"


def due(clock: Clock, start: datetime) -> datetime:
    """The deadline of ``clock`` for an event at ``start`` (aware). The last instant that is still in time."""
    return start + timedelta(minutes=clock.minutes)


def state_of(
    clock: Clock, start: datetime, estimated: bool, received: Sequence[tuple[datetime, str]], now: datetime
) -> ClockState:
    """How ``clock`` stands at ``now``. ``received`` are (instant, channel) of what came in, ``upward`` for what went up."""
    limit = due(clock, start)
    stops = [at for at, channel in received if channel in STOPS[clock.stopped_by] and at <= now]
    stopped_at = min(stops, default=None)
    in_time: State = "running" if stopped_at is None else "stopped"
    state: State = "passed" if (stopped_at or now) > limit else in_time
    return ClockState(clock=clock.id, due=limit, state=state, stopped_at=stopped_at, estimated=estimated)
