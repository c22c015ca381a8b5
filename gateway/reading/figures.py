"""All figures of a report: mentions reconciled, so that the latest total wins and parts, old values and denials do not add up."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.model import Figure
from gateway.reading.binding import Mention, mentions
from gateway.reading.crowd import participants
from gateway.reading.denial import Denial, denials
from gateway.reading.dialogue import Turn
from gateway.reading.normalise import Normal
from gateway.reading.numerals import Number
from gateway.reading.property import property_figures
from gateway.reading.quantities import quantities

_PEOPLE = (
    "deaths",
    "injured",
    "seriously_injured",
    "missing",
    "poisoned",
    "ill",
    "trapped",
    "evacuated",
    "affected",
    "casualties",
)


def figures(normal: Normal, turns: list[Turn], *, corrects: bool) -> dict[str, Figure]:
    """The figures that ``normal`` states, by field name. ``corrects``: the report says that it corrects an earlier one."""
    text = normal.text
    counted = quantities(text)
    denied = denials(text, turns)
    skip = [(t.start, t.end) for t in turns if t.clerk]
    people = [q for q in counted if q.what == "people"]
    said = mentions(text, people, [(d.start, d.end) for d in denied], skip)
    if turns and skip:
        said = said or mentions(text, people, [(d.start, d.end) for d in denied], [])
    made: dict[str, Figure] = {}
    for field in _PEOPLE:
        figure = _settled(normal, [m for m in said if m.field == field], [d for d in denied if d.field == field], corrects)
        if figure is not None:
            made[field] = figure
    _add_light(normal, made, [m for m in said if m.field in ("light", "seriously_injured")])
    _from_sum(made)
    crowd = participants(normal, people, [(m.start, m.end) for m in said])
    if crowd is not None:
        made["participants"] = crowd
    made.update(property_figures(normal, counted))
    return made


def figure_of(normal: Normal, number: Number, start: int, end: int) -> Figure:
    """A ``Figure`` for ``number`` with the stretch [start, end) of the normal text as its evidence."""
    value, high = number.value, number.high
    if value is None:
        return Figure(value=None, qualifier="unknown", evidence=(normal.span(start, end),))
    return Figure(value=value, max=high, qualifier=number.qualifier, evidence=(normal.span(start, end),))


def _settled(normal: Normal, said: Sequence[Mention], denied: Sequence[Denial], corrects: bool) -> Figure | None:
    current = [m for m in said if m.role != "old"]
    known = [m for m in current if m.number.value is not None]
    winner = _winner(known)
    zero = next((d for d in reversed(denied) if d.value == 0), None)
    if winner is not None and (zero is None or not corrects or zero.start < winner.start):
        return _figure(normal, winner, known)
    if zero is not None:
        return Figure(value=0, qualifier="zero", evidence=(normal.span(zero.start, zero.end),))
    if denied:
        return Figure(value=None, qualifier="unknown", evidence=(normal.span(denied[-1].start, denied[-1].end),))
    if current:
        last = current[-1]
        return Figure(value=None, qualifier="unknown", evidence=(normal.span(last.start, last.end),))
    return None


def _winner(known: Sequence[Mention]) -> Mention | None:
    for role in ("update", "total"):
        stated = [m for m in known if m.role == role and not (m.part and len(known) > 1)]
        if stated:
            return stated[-1]
    whole = [m for m in known if m.role == "plain" and not m.part] or [m for m in known if m.role == "plain"]
    if whole:
        return max(whole, key=lambda m: (m.number.value or 0, -m.start))
    return known[-1] if known else None


def _figure(normal: Normal, winner: Mention, known: Sequence[Mention]) -> Figure:
    made = figure_of(normal, winner.number, winner.start, winner.end)
    later = [m for m in known if m.role == "increment" and not m.part and _adds(normal.text, winner, m)]
    if winner.role == "increment" and made.value is not None:
        return Figure(value=made.value, qualifier="at_least", evidence=made.evidence)
    if winner.role == "plain" and later and made.value is not None:
        total = made.value + sum(m.number.value or 0 for m in later)
        evidence = (*made.evidence, *(normal.span(m.start, m.end) for m in later))
        return Figure(value=total, qualifier=made.qualifier, evidence=evidence)
    return made


def _adds(text: str, winner: Mention, more: Mention) -> bool:
    """另有1人 adds to what was said just before; after a heading, or far away, it is the same count again."""
    return 0 < more.start - winner.start < 80 and "\n" not in text[winner.start : more.start]


def _add_light(normal: Normal, made: dict[str, Figure], said: Sequence[Mention]) -> None:
    """1重伤6轻伤 without a total are 7 injured; with a total they are parts of it."""
    stated = made.get("injured")
    if stated is not None and stated.value:
        return
    heavy = made.get("seriously_injured")
    light = [m for m in said if m.field == "light" and m.number.value is not None and m.role != "old"]
    if heavy is not None and heavy.value == 0:
        heavy = None
    if not light and (heavy is None or heavy.value is None):
        return
    slight = light[-1] if light else None
    value = (heavy.value or 0 if heavy else 0) + (slight.number.value or 0 if slight else 0)
    evidence = (*(heavy.evidence if heavy else ()), *((normal.span(slight.start, slight.end),) if slight else ()))
    qualifier = (slight.number.qualifier if slight else None) or (heavy.qualifier if heavy else "exact")
    made["injured"] = Figure(value=value, qualifier="exact" if qualifier == "range" else qualifier, evidence=evidence)


def _from_sum(made: dict[str, Figure]) -> None:
    """死伤5人 states neither how many died nor how many are hurt: both are then open, unless said elsewhere."""
    both = made.get("casualties")
    if both is None or both.value is None:
        made.pop("casualties", None)
        return
    for field in ("deaths", "injured"):
        made.setdefault(field, Figure(value=None, qualifier="unknown", evidence=both.evidence))
