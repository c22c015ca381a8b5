"""The holes of the duty roster within the next days, as ``check``, ``doctor`` and the daily alarm tell them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from gateway.core.roster import Hole, holes, needing
from gateway.i18n import _
from gateway.settings import Config


class Empty(Struct, frozen=True, kw_only=True):
    """What is said of one office's holes, or of an empty roster (no office)."""

    office: str | None
    text: str
    count: int = 1


def ahead(config: Config, now: datetime, days: int | None = None) -> tuple[Hole, ...]:
    """The holes within the next ``days`` (default: ``doctor.roster_days``) from this minute on, in the city's time."""
    start = now.astimezone(ZoneInfo(config.timezone)).replace(second=0, microsecond=0)
    end = start + timedelta(days=config.doctor.roster_days if days is None else days)
    return holes(config.roster, needing(config.roster, config.directory), config.calendar, start, end)


def empty(config: Config, now: datetime) -> Iterator[Empty]:
    """What ``check``, ``doctor`` and the daily alarm say of the holes ahead: for each office the first, and how many more."""
    if not config.roster.duties:
        yield Empty(office=None, text=_("empty: nobody is named as on duty"))
        return
    found: dict[str, list[Hole]] = {}
    for hole in ahead(config, now):
        found.setdefault(hole.office, []).append(hole)
    for office, there in sorted(found.items()):
        yield Empty(office=office, text=_said(config.directory.name(office), there), count=len(there))


def _said(name: str, there: Sequence[Hole]) -> str:
    first, zone = there[0], there[0].start.tzinfo
    ends = {"start": f"{first.start:%Y-%m-%d %H:%M}", "end": f"{first.end.astimezone(zone):%Y-%m-%d %H:%M}"}
    text = _("{office}: nobody from {start} to {end}").format(office=name, **ends)
    return text + _(", and {count} more").format(count=len(there) - 1) if len(there) > 1 else text
