"""What the gateway decides by, for everybody who has signed in: roster, directory, calendar and catalogue as they are in force,
and the check of the files as they lie."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from starlette.responses import Response

from gateway import conf_book, roster_holes
from gateway.conf_change import writable
from gateway.console.call import Call, Page, Rooms
from gateway.console.forms import tidy
from gateway.core.roster import holes, needing
from gateway.faults import ConfError, Fault
from gateway.i18n import _, lang
from gateway.reloader import unhindered
from gateway.roster_text import FILE as ROSTER
from gateway.settings import Config
from gateway.store import proposals

T = TypeVar("T")
Tried = Callable[[Mapping[str, bytes]], Config]
"""The configuration with other files."""
ROOMS: Mapping[str, str] = {
    "roster": ROSTER, "directory": "directory.toml", "calendar": "calendar.d/*.toml", "catalogue": "catalogue.toml",
}  # fmt: skip
"""Each view with its file, or the pattern of its files."""
TITLES: Mapping[str, str] = {
    "roster": "duty roster", "directory": "directory", "calendar": "calendar", "catalogue": "catalogue",
}  # fmt: skip
WORDS = (
    "office: office", "office: leader", "office: department", "office: superior",
    "unit: unit", "unit: superior", "unit: leader", "unit: media", "unit: public",
    "staffed: working", "staffed: out", "staffed: always",
)  # fmt: skip
"""What the directory says of offices and units in one word."""
DAYS = (1, 7, 14, 31, 92)
"""Lengths of the roster that can be looked at."""
MOST_TURNS = 1000


def pages() -> Iterable[Page]:
    """The four views, and the check. Behind those of ``changes``, whose addresses are longer."""
    yield Page("POST", "/conf/check", "signed in", check)
    yield Page("GET", "/conf/{room}", "signed in", show)


async def show(call: Call) -> Response:
    """One of the four, as it is in force."""
    room = call.path("room")
    view = VIEWS.get(room)
    if view is None:
        return await call.problem(404, _("there is no such page"), back="/")
    waiting = await call.desk.store.read(proposals.every) if call.may("configure") or call.may("agree") else []
    config = call.desk.config
    return await call.page(
        f"conf_{room}.html", room=room, rooms=TITLES, waiting=waiting, files=names(config, room), fixed=not writable(config.path),
        shown=call.desk.live.shown, **view(call, config),
    )  # fmt: skip


def names(config: Config, room: str) -> list[str]:
    """The files of a view, by their names relative to conf/."""
    found = ROOMS[room]
    if "*" not in found:
        return [found]
    return sorted(path.relative_to(config.path).as_posix() for path in config.path.glob(found))


async def tried(rooms: Rooms, changes: Mapping[str, bytes]) -> Config:
    """The configuration as it would be with these files, read beside the loop. Raises ``ConfError``."""
    return await beside(rooms, lambda load: load(changes))


async def beside(rooms: Rooms, ask: Callable[[Tried], T]) -> T:
    """What ``ask`` makes of conf with other files, beside the loop and not in its way."""
    load = rooms.desk.tried or conf_book.Book(rooms.desk.config.path).tried

    def asked() -> T:
        with unhindered():
            return ask(load)

    async with rooms.trying:
        return await asyncio.to_thread(asked)


async def check(call: Call) -> Response:
    """All of conf/ as it lies, checked as ``gateway check`` does."""
    faults: list[Fault] = []
    warnings: list[Fault] = []
    digest = ""
    try:
        config = await tried(call.rooms, {})
        faults = [one for one in config.warnings if one.grave]
        warnings = [*(one for one in config.warnings if not one.grave), *hollow(config, call.desk.live.now())]
        digest = config.digest
    except ConfError as error:
        faults = error.faults
    return await call.page(
        "conf_check.html", room="", rooms=TITLES, faults=faults, warnings=warnings, digest=digest,
        path=str(call.desk.config.path), in_force=digest == call.desk.config.digest,
    )  # fmt: skip


def hollow(config: Config, now: datetime) -> list[Fault]:
    """Holes of the roster, as ``gateway check`` tells them."""
    return [Fault(ROSTER, 1, "roster", one.text, grave=False) for one in roster_holes.empty(config, now)]


def _roster(call: Call, config: Config) -> dict[str, Any]:
    """Turns and holes from now on, or from a day on."""
    zone = ZoneInfo(config.timezone)
    now = call.desk.live.now()
    asked, given = call.request.query_params.get("days", ""), tidy(call.request.query_params.get("from", ""))
    days = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 4 and int(asked) in DAYS else 7
    wrong = ""
    first = now.astimezone(zone)
    if given:
        try:
            first = datetime.combine(date.fromisoformat(given), datetime.min.time(), zone)
            first + timedelta(days=max(DAYS) + 1)
        except (ValueError, OverflowError):
            wrong = _("{value} is no day; allowed: 2026-03-05").format(value=given[:40])
            first = now.astimezone(zone)
    start = first.replace(minute=0, second=0, microsecond=0)
    end = start + timedelta(days=days)
    offices = []
    count = 0
    for office in needing(config.roster, config.directory):
        turns = [d for d in config.roster.turns(office.id) if d.start < end and start < d.end]
        lines: list[dict[str, Any]] = [
            {"start": d.start, "end": d.end, "person": d.person, "role": d.role, "order": d.order, "shift": d.shift,
             "now": d.start <= now < d.end, "hole": False}
            for d in turns
        ]  # fmt: skip
        empty = holes(config.roster, (office,), config.calendar, start, end)
        lines += [{"start": h.start, "end": h.end, "hole": True, "now": h.start <= now < h.end} for h in empty]
        lines.sort(key=lambda one: (one["start"], one.get("role") == "leader", one.get("order", -1)))
        count += len(lines)
        offices.append({"office": office, "lines": lines[:MOST_TURNS], "holes": len(empty)})
    return {"offices": offices, "days": days, "choices": DAYS, "first": given if given and not wrong else "", "wrong": wrong,
            "count": count, "at": lambda moment: moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")}  # fmt: skip


def _directory(call: Call, config: Config) -> dict[str, Any]:
    return {"directory": config.directory, "word_of": _said}


def _said(sort: str, word: str) -> str:
    """A word of the directory, in the language in use."""
    text = _(f"{sort}: {word}")
    return text if lang() == "zh" else word


def _calendar(call: Call, config: Config) -> dict[str, Any]:
    """The years that are known, each with its days off and the weekend days worked in exchange, days of one name together."""
    calendar, now = config.calendar, call.desk.live.now()
    years = []
    for year in sorted(calendar.years, reverse=True):
        off = _spans({day: name for day, name in calendar.holidays.items() if day.year == year})
        worked = _spans({day: name for day, name in calendar.workdays.items() if day.year == year})
        if off or worked:
            years.append({"year": year, "off": off, "worked": worked})
    hours = ["–".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in span) for span in calendar.hours]
    following = now.year + 1
    add = f"calendar.d/{following}.toml"
    change = calendar.next_change(now)
    return {
        "years": years, "hours": hours, "today": calendar.moment(now), "change": change,
        "next_year": following, "next_known": following in calendar.years, "add": "" if (config.path / add).exists() else add,
    }  # fmt: skip


def _spans(days: Mapping[date, str]) -> list[tuple[date, date, str]]:
    found: list[tuple[date, date, str]] = []
    for day, name in sorted(days.items()):
        if found and found[-1][2] == name and found[-1][1] + timedelta(days=1) == day:
            found[-1] = (found[-1][0], day, name)
        else:
            found.append((day, day, name))
    return found


def _catalogue(call: Call, config: Config) -> dict[str, Any]:
    return {"catalogue": config.catalogue}


VIEWS: Mapping[str, Callable[[Call, Config], dict[str, Any]]] = {
    "roster": _roster, "directory": _directory, "calendar": _calendar, "catalogue": _catalogue,
}  # fmt: skip
