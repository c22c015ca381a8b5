"""What ``explain`` prints for people: the verdict first, then what it rests on, the text with its evidence last."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from gateway.cli.show import aside, element, figure, listed, moment, occurred, phone, safe, severity, width
from gateway.core.model import FIGURES
from gateway.core.render import display_number
from gateway.i18n import _, lang
from gateway.reasons import reason

INDENT = "  "
COLUMNS = 80
"""The width where the terminal does not tell its own, as in a pipe."""
NARROWEST = 40
Span = tuple[int, int, str]
_CLOSING = "，。；：、？！）”,.;:?!) "
_OPEN = "是否达到报送标准待定："
_OF_PEOPLE = ("未报", "死亡", "死伤", "受伤", "重伤", "失踪", "失联")


def lines(shown: Mapping[str, Any], at: datetime, titles: Mapping[str, str], *, colour: bool) -> Iterator[str]:
    """One output object of the batch format in words. ``at``: when it came in; ``titles``: the clocks' names by id."""
    report = shown["report"]
    number = f" {display_number(shown['number'])}" if shown["number"] else ""
    because = aside(safe(_reasons(shown["because"]))) if shown["because"] else ""
    yield from _entry(f"{_('becomes')}: ", f"{_(shown['action']).replace('_', ' ')}{number}{because}")
    if report is None:
        yield _("a marking was found: the content goes nowhere, the confidential bureau is told")
        return
    if shown["severity"]:
        yield from _entry(f"{_('severity')}: ", severity(shown["severity"]))
    if found := shown["event_class"]:
        yield from _entry(f"{_('class')}: ", safe(f"{found['code']} {found['name']}"))
    if shown["needs_person"]:
        yield from _entry(f"{_('needs a person')}: ", safe(_reasons(shown["needs_person"])))
    yield from _rules(shown)
    if questions := _questions(shown):
        yield from _entry(f"{_('to ask')}: ", ("" if lang() == "zh" else " ").join(questions))
    yield from _ways(shown)
    yield from _clocks(shown["clocks"], at, titles, known=bool(report.get("occurred")))
    facts = list(_facts(report))
    if facts:
        yield f"{_('facts')}:"
        for label, value in facts:
            yield from _entry(f"{INDENT}{label}: " if label else INDENT, safe(value))
    if shown["text"].strip():
        yield f"{_('text')}:"
        yield from highlighted(safe(shown["text"]), _spans(report), colour=colour).split("\n")


def _rules(shown: Mapping[str, Any]) -> Iterator[str]:
    for match in shown["catalogue"]:
        first, *found = match["why"]
        words = [word for word in found if word not in first]
        yield from _entry(f"{_('item')} {match['item']}: ", safe(first + (aside(listed(words)) if words else "")))
    for doubt in shown["review"]:
        yield from _entry(f"{_('review')} {doubt['item'] or ''}: ", safe(_reasons(doubt["because"])))


def _ways(shown: Mapping[str, Any]) -> Iterator[str]:
    if not shown["route"]:
        return
    yield f"{_('route')}{aside(reason(shown['moment']))}:"
    for office in shown["route"]:
        yield from _entry(f"{INDENT}{office}: ", reason(shown["route_because"][office]))


def _clocks(clocks: Sequence[Mapping[str, Any]], at: datetime, titles: Mapping[str, str], *, known: bool) -> Iterator[str]:
    if any(clock["estimated"] for clock in clocks):
        known_in_part = _("clocks are counted from the earliest it can have been: the time is not known to the minute")
        yield from _entry(
            "", known_in_part if known else _("clocks are counted from the receipt: the time of the event is not known")
        )
    for clock in clocks:
        due = datetime.fromisoformat(clock["due"])
        end = datetime.fromisoformat(clock["stopped_at"]) if clock["stopped_at"] else None
        name = titles.get(clock["clock"], clock["clock"]) if lang() == "zh" else clock["clock"]
        told = [_(clock["state"]), f"{_('due')} {_instant(due, at)}"]
        if clock["state"] == "running":
            told.append(_("{time} left").format(time=_span(due - at)))
        elif clock["state"] == "passed":
            told.append(_("{time} late").format(time=_span((end or at) - due)))
        if end is not None:
            told.append(f"{_('stopped at')} {_instant(end, at)}")
        yield from _entry(f"{_('clock')} {name}: ", ("，" if lang() == "zh" else ", ").join(told))


def _instant(when: datetime, at: datetime) -> str:
    """The hour alone where it is of the day on which the message came."""
    return when.strftime("%H:%M") if when.date() == at.astimezone(when.tzinfo).date() else moment(when)


def _span(time: timedelta) -> str:
    minutes = max(0, int(time.total_seconds() // 60))
    hours, rest = divmod(minutes, 60)
    return _("{hours} h {minutes} min").format(hours=hours, minutes=rest) if hours else _("{minutes} min").format(minutes=rest)


def _questions(shown: Mapping[str, Any]) -> list[str]:
    """What to ask the sender, in one breath."""
    asked = {
        "occurred": _("When did it happen?"),
        "place": _("Where exactly?"),
        "cause": _("What caused it, as far as is known?"),
        "casualties": _("How many are dead, injured, missing?"),
        "loss_yuan": _("How great is the direct loss?"),
        "measures": _("What has been done?"),
        "next_steps": _("What will be done next?"),
        "unit": _("Which unit reports?"),
        "reporter": _("Who reports, on which telephone?"),
        "signed_by": _("Who signed it off?"),
    }
    missing = list(shown["missing"])
    if "casualties" not in missing and any(doubt["because"].startswith(_OF_PEOPLE) for doubt in shown["review"]):
        missing.append("casualties")  # what a person decides hangs on a number that nobody has told yet
    return [asked.get(name, element(name)) for name in missing]


def _reasons(text: str) -> str:
    """Reasons of several items, each once."""
    parts = list(dict.fromkeys(reason(part) for part in text.removeprefix(_OPEN).split("；")))
    if text.startswith(_OPEN):
        parts[0] = reason(f"{_OPEN}{parts[0]}")
    return ("；" if lang() == "zh" else "; ").join(parts)


def _facts(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if report.get("kind"):
        yield _("kind"), reason(report["kind"])
    if report.get("occurred"):
        yield _("occurred"), occurred(report["occurred"]["value"], report["occurred"]["qualifier"])
    if found := report.get("place"):
        levels = [found[level] for level in ("country", "province", "city", "county") if found.get(level)]
        yield _("place"), found["text"] + (aside(" ".join(levels)) if levels else "")
    for name in FIGURES:
        if found := report.get(name):
            yield "", figure(name, found)
    for name in ("cause", "attitude", "unit", "reporter", "phone", "signed_by"):
        if report.get(name):
            yield element(name), phone(report[name]) if name == "phone" else report[name]
    for name in ("measures", "next_steps"):
        if report.get(name):
            yield element(name), listed(report[name])


def _entry(label: str, text: str) -> Iterator[str]:
    """``label`` and ``text``, broken at the terminal's width under the label."""
    columns = max(NARROWEST, shutil.get_terminal_size((COLUMNS, 24)).columns)
    hang = INDENT * (1 + (len(label) - len(label.lstrip())) // 2)
    line = label
    for piece in _pieces(text):
        if width(line) + width(piece) > columns and line.strip() and line != label:
            yield line.rstrip()
            line = hang + piece.lstrip()
        else:
            line += piece
    yield line.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """What may not be broken: a word of Latin letters or digits, one Chinese character with the mark that follows it."""
    piece = ""
    for char in text.replace("\n", " "):
        counted = width(char) == 2 and len(piece) > 1 and piece[-1] == " " and piece[-2].isdigit()  # 30 分 stays together
        if piece and (width(char) == 2 or piece[-1] == " " or width(piece[-1]) == 2) and not counted and char not in _CLOSING:
            yield piece
            piece = ""
        piece += char
    if piece:
        yield piece


def _spans(report: Mapping[str, Any]) -> list[Span]:
    """Every piece of evidence once, with the names of all that rest on it."""
    found: dict[tuple[int, int], list[str]] = {}
    for name in (*FIGURES, "occurred", "place"):
        for start, end in (report.get(name) or {}).get("evidence", []):
            found.setdefault((start, end), []).append(element(name))
    for name, spans in (report.get("evidence") or {}).items():
        for start, end in spans:
            found.setdefault((start, end), []).append(element(name))
    return sorted((start, end, listed(dict.fromkeys(names))) for (start, end), names in found.items())


def highlighted(text: str, spans: Iterable[Span], *, colour: bool) -> str:
    """``text`` with each span underlined, or in ⟦ ⟧ on a terminal that cannot, and labelled; a span within another stands
    within it, one that overlaps it begins where that ends."""
    opens: dict[int, list[int]] = {}
    closes: dict[int, list[str]] = {}
    stack: list[int] = []
    for begins, end, label in sorted(spans, key=lambda span: (span[0], -span[1])):
        start = begins
        stack = [outer for outer in stack if outer > start]
        if stack and end > stack[-1]:
            start = stack.pop()
            stack = [outer for outer in stack if outer > start]
        if start >= end or (stack and end > stack[-1]):
            continue
        stack.append(end)
        opens.setdefault(start, []).append(end)
        closes.setdefault(end, []).insert(0, label)
    made, depth, done = "", 0, 0
    for position in sorted({*opens, *closes, len(text)}):
        piece = text[done:position]
        made += click.style(piece, underline=True, bold=True) if colour and depth and piece else piece
        done = position
        for label in closes.get(position, ()):
            depth -= 1
            made += click.style(f"[{label}]", dim=True) if colour else f"|{label}⟧"
        for _end in opens.get(position, ()):
            depth += 1
            made += "" if colour else "⟦"
    return made
