"""How grave an accident is (事故等级), and its class with a code: both from tables of the catalogue, both with their source.

The degrees are data (conf/catalogue.toml, [severity]): the gravest one holds that any figure reaches, 以上 includes the number
itself. A figure that is unknown, or may still grow over the next limit, leaves the degree open upwards; it is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from gateway.core.conditions import Condition, figure_of, parse_condition, parse_threshold
from gateway.core.model import EventClass, Report, Severity
from gateway.core.parsing import Table
from gateway.core.terms import Text, Words, parse_words

_UNSTATED = "未报死亡、重伤和直接经济损失"


class Degree(Struct, frozen=True, kw_only=True):
    """One degree (特别重大, 重大 …) and the figures from which it holds: one of them is enough."""

    name: str
    limits: tuple[Condition, ...]


class Scale(Struct, frozen=True, kw_only=True):
    """The degrees of one rule, the gravest first; ``scope`` says of which reports the rule speaks."""

    source: str
    scope: Condition
    degrees: tuple[Degree, ...]

    def judge(self, report: Report, text: Text) -> Severity | None:
        """The degree of ``report``; None where the rule does not speak of such reports."""
        return self.grade(report) if self.scope.judge(report, text).met else None

    def grade(self, report: Report) -> Severity:
        """The degree that the figures reach, whatever the report is about."""
        doubts: list[str] = []
        for degree in self.degrees:
            answers = [limit.judge(report, _NO_TEXT) for limit in degree.limits]
            why = tuple(dict.fromkeys(reason for answer in answers if answer.met for reason in answer.why))
            if why:
                return self._made(degree.name, why, doubts)
            doubts += [reason for answer in answers for reason in answer.open]
            doubts += [reason for limit in degree.limits for reason in _growing(limit, report)]
        return self._made(None, () if doubts else (_UNSTATED,), doubts)

    def _made(self, level: str | None, why: tuple[str, ...], doubts: list[str]) -> Severity:
        return Severity(level=level, at_least=bool(doubts), why=(*why, *dict.fromkeys(doubts)), source=self.source)


class Classed(Struct, frozen=True, kw_only=True):
    """A class of events: its code and name, the items and kinds it stands for, and the words by which it is told from others
    of the same item; without words it is the one that is taken where no other fits."""

    code: str
    name: str
    covers: tuple[str, ...]
    words: Words | None = None


_NO_TEXT = Text({}, "")


def _growing(limit: Condition, report: Report) -> Iterable[str]:
    """Why a figure below ``limit`` may yet reach it: people not found, injured of whom none said how badly."""
    known = sum(f.most or 0 for name in limit.fields if (f := figure_of(report, name)) is not None)
    if limit.fields == ("deaths",):
        lost = figure_of(report, "unaccounted")
        if lost is not None and lost.value and known + lost.value >= limit.at_least:
            yield f"另有 {lost.value:g} 人失联被困"
    elif "seriously_injured" in limit.fields and report.seriously_injured is None and report.injured is not None:
        hurt = report.injured.value or 0
        if known + hurt >= limit.at_least:
            yield f"受伤 {hurt:g} 人，未报重伤人数"


def event_class(classes: tuple[Classed, ...], keys: Iterable[str], text: Text | None) -> EventClass | None:
    """The class of the first of ``keys`` (items, then kinds) that has one; of several the one whose word comes first."""
    for key in keys:
        told: list[tuple[int, Classed]] = []
        plain: Classed | None = None
        for one in classes:
            if key not in one.covers:
                continue
            if one.words is None:
                plain = plain or one
            elif text is not None and (hits := text.find(one.words)):
                told.append((hits[0][0], one))
        chosen = min(told, key=lambda found: found[0])[1] if told else plain
        if chosen is not None:
            return EventClass(code=chosen.code, name=chosen.name)
    return None


def parse_scale(root: Table, concepts: Mapping[str, Words]) -> Scale | None:
    """[severity] of the catalogue; faults are noted in ``root``."""
    if "severity" not in root.data:
        return None
    table = Table(root.data["severity"], (*root.path, "severity"), root.faults)
    table.only("source", "condition", "degree")
    below = Table(table.data.get("condition", {}), (*table.path, "condition"), root.faults)
    degrees = []
    for entry in table.tables("degree"):
        entry.only("name", "any")
        limits = tuple(parse_threshold(one, unstated="no") for one in entry.tables("any"))
        if not limits:
            entry.fault(("any",), "is empty", "one threshold at least")
        degrees.append(Degree(name=entry.text("name"), limits=limits))
    if not degrees:
        table.fault(("degree",), "is missing", "[[severity.degree]]")
    return Scale(source=table.text("source"), scope=parse_condition(below, concepts), degrees=tuple(degrees))


def parse_classes(root: Table, known: Iterable[str]) -> tuple[Classed, ...]:
    """[[class]] of the catalogue: ``known`` are the items and kinds that it may cover."""
    names = tuple(known)
    made = []
    for table in root.tables("class"):
        table.only("code", "name", "covers", "words")
        covers = table.texts("covers", required=True)
        for name in covers:
            if name not in names:
                table.fault(("covers",), f"unknown item or kind {name!r}", ", ".join(names))
        words = parse_words(table.texts("words", required=True)) if "words" in table.data else None
        made.append(Classed(code=table.text("code"), name=table.text("name"), covers=covers, words=words))
    return tuple(made)
