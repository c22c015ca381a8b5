"""The faults of a duty roster in the operator's language: each with its place, what is wrong and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.core import roster_table
from gateway.core.directory import Directory
from gateway.core.roster_table import Place, RosterFault
from gateway.i18n import _, lang, listed

FILE = "roster.csv"
SHOWN = 40
"""Characters of a cell that a fault repeats."""


def told(fault: RosterFault, directory: Directory) -> str:
    """What is wrong, and what is allowed."""
    facts = {"found": _cut(fault.found), "allowed": fault.allowed or _columns()}
    if fault.other is not None and fault.where is not None:
        duty, at = fault.other, place(fault.where)
        span = f"{duty.start:%Y-%m-%d %H:%M} – {duty.end:%Y-%m-%d %H:%M}"
        facts |= {"other": at, "office": directory.name(duty.office), "person": duty.person, "span": span}
    return _words()[fault.what].format(**facts)


def _words() -> dict[str, str]:
    day = "2026-11-23 18:00"
    return {
        "header": _("no header was found; allowed: a line with the columns {allowed}"),
        "none": _("holds no turn; allowed: at least one line below the header"),
        "missing": _("the column is missing; allowed: {allowed}"),
        "unknown": _("unknown column {found!r}; allowed: {allowed}"),
        "again": _("the column {found!r} is there twice; allowed: once"),
        "surplus": _("{found!r} stands below no column; allowed: {allowed}"),
        "empty": _("is empty; it is needed in each line"),
        "office": _("unknown office {found!r}; allowed: an office of directory.toml, by id or name"),
        "person": _("unknown person {found!r}; allowed: {allowed}, the persons of that office in directory.toml"),
        "elsewhere": _("{found!r} belongs to {allowed}; allowed: a person of that office in directory.toml"),
        "form": _("{found!r} is no local time; allowed: ") + day,
        "offset": _("{found!r} has an offset; allowed: local time, ") + day,
        "year": _("the year of {found!r} cannot be; allowed: {allowed}"),
        "month": _("{found!r}: there is no such month; allowed: {allowed}"),
        "day": _("{found!r}: that month has no such day; allowed: {allowed}"),
        "midnight": _("{found!r}: a day ends at 00:00 of the next; allowed: {allowed}"),
        "clock": _("{found!r}: there is no such time of day; allowed: {allowed}"),
        "reversed": _("{found!r} is not after the beginning; allowed: a time after {allowed}"),
        "order": _("{found!r} is no whole number; allowed: 0 to 9999, the lowest is called first"),
        "role": _("unknown role {found!r}; allowed: {allowed}").replace("{allowed}", _roles()),
        "shift": _("is no label; allowed: up to {allowed} characters on one line"),
        "place": _("place {found} in the order of {office} is held by {person} at that time, see {other} ({span}); allowed: one"),
        "double": _("{found} is on duty in {office} at that time already, see {other} ({span}); allowed: once"),
        "offices": _("{found} is on duty in {office} at that time, see {other} ({span}); allowed: one office at a time"),
    }


def _columns() -> str:
    names = roster_table.CHINESE if lang() == "zh" else roster_table.COLUMNS
    return ",".join(names)


def _roles() -> str:
    return listed(name for name in roster_table.ROLES if name)


def _cut(text: str) -> str:
    shown = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"


def place(where: Place) -> str:
    """A place: FILE:LINE, or FILE: SHEET!C7 where the column is known."""
    if not where.sheet:
        return f"{where.file or FILE}:{where.line}"
    return f"{where.file}: {where.sheet}!{letters(where.index or 0)}{where.line}"


def letters(index: int) -> str:
    """The name of a spreadsheet's column, counted from 0: A … Z, AA …"""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def faults_of(faults: Iterable[RosterFault], directory: Directory) -> list[tuple[str, str, str]]:
    """Place, column and text of each fault, in the order of their places."""
    told_ = [(place(f.place), f.head or f.column, told(f, directory)) for f in sorted(faults, key=_order)]
    return list(dict.fromkeys(told_))


def _order(fault: RosterFault) -> tuple[str, str, int, int]:
    return fault.place.file, fault.place.sheet, fault.place.line, -1 if fault.place.index is None else fault.place.index
