"""Which alarms leave for people, by which ways, and in which words. Pure.

The first alarm of a kind leaves at once. Within ``repeat`` of it a few more about other subjects leave, too; the rest is
counted and told in one text when that time is over. A text holds kinds, configured names, ids and the page of the runbook;
the remark of an alarm stays here, because a plugin may have written it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.model import Event
from gateway.core.render import display_number

NAMES = ("via", "channel", "transport", "plugin", "destination", "office", "name")
"""The fields of an alarm that name something of conf."""
ABOUT = ("via", "channel", "transport", "plugin", "name")
"""Those of them that may be a way."""
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_NUMBER = re.compile(r"\d{4}-\d{4,6}")


class Limits(Struct, frozen=True, kw_only=True):
    """``repeat``: the time that one telling of a kind stands for; ``burst``: texts of one kind that may leave at once in it."""

    repeat: timedelta
    burst: int


class Notice(Struct, frozen=True, kw_only=True):
    """What a text is made of. ``about`` are the ways that the alarm is about, ``count`` how many alarms it stands for."""

    what: str
    at: datetime
    page: str
    names: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    count: int = 1

    @property
    def subject(self) -> str:
        """By which an alarm of one kind is told from another."""
        return "|".join((*self.names, *self.about))


class Spoken(Struct, frozen=True, kw_only=True):
    """What was told of one kind since ``since``, and what is held: how many, and the newest of them."""

    since: datetime
    subjects: tuple[str, ...]
    held: int = 0
    newest: Notice | None = None


class WayOut(Struct, frozen=True, kw_only=True):
    """One way of ``[alarms]``. ``depends`` are the transport itself and the channel that carries it; of a command, nothing."""

    name: str
    transport: str = ""
    address: str = ""
    depends: frozenset[str] = frozenset()


def notice(event: Event, known: Collection[str], *, carriers: bool) -> Notice:
    """The notice of an alarm event. Names that are not ``known`` from conf are left out, and ids that are none. ``carriers``: it
    is about a way in or out, so that a text about it had better take another."""
    data = event.data
    names = tuple(dict.fromkeys(str(data[key]) for key in NAMES if str(data.get(key, "")) in known))
    about = tuple(dict.fromkeys(str(data[key]) for key in ABOUT if data.get(key))) if carriers else ()
    numbers = (display_number(event.incident),) if event.incident and _NUMBER.fullmatch(event.incident) else ()
    ids = tuple(id_ for id_ in (event.delivery, event.message) if id_ and _ID.fullmatch(id_))
    count = data.get("count")
    return Notice(
        what=str(data.get("what", "")),
        at=event.at,
        page=str(data.get("page", "")),
        names=names,
        about=tuple(one for one in about if one in known),
        ids=(*numbers, *ids),
        count=count if isinstance(count, int) and count > 0 else 1,
    )


def admit(spoken: Spoken | None, one: Notice, now: datetime, limits: Limits) -> tuple[Spoken, bool]:
    """Whether a notice leaves at once; what was told of its kind after that."""
    if spoken is None or not spoken.since <= now < spoken.since + limits.repeat:
        first = Spoken(since=now, subjects=(one.subject,))
        return (first if spoken is None else replace(first, held=spoken.held, newest=spoken.newest)), True
    if one.subject in spoken.subjects or len(spoken.subjects) >= limits.burst:
        return replace(spoken, held=spoken.held + one.count, newest=one), False
    return replace(spoken, subjects=(*spoken.subjects, one.subject)), True


def over(spoken: Spoken, now: datetime, limits: Limits) -> tuple[Spoken | None, Notice | None]:
    """What is told when the time of a kind is over: the newest of what was held, with how many it stands for. While more comes a
    new time begins; else the kind is forgotten, and its next alarm leaves at once."""
    if spoken.since <= now < spoken.since + limits.repeat:
        return spoken, None
    if spoken.held == 0 or spoken.newest is None:
        return None, None
    newest = spoken.newest
    return Spoken(since=now, subjects=spoken.subjects), replace(newest, count=spoken.held)


def choose(ways: Sequence[WayOut], about: Collection[str]) -> tuple[list[WayOut], list[WayOut]]:
    """The ways that do not depend on what an alarm is about, and the others, which are better than nothing."""
    free = [way for way in ways if not way.depends & frozenset(about)]
    return free, [way for way in ways if way not in free]


def words(one: Notice, kind: str, phrases: Mapping[str, str]) -> str:
    """The text of a notice. ``kind`` is the kind in words; ``phrases`` are ``head``, ``more``, ``at`` and ``page`` with their
    placeholders, in the operator's language."""
    parts = [phrases["head"].format(kind=kind)]
    parts += [", ".join(one.names)] if one.names else []
    parts += [" ".join(one.ids)] if one.ids else []
    if one.count > 1:
        parts.append(phrases["more"].format(count=one.count))
    parts.append(phrases["at"].format(at=one.at.strftime("%m-%d %H:%M")))
    parts.append(phrases["page"].format(page=one.page))
    return phrases["join"].join(parts)
