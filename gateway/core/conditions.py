"""The conditions of the catalogue: small data, three answers (met, not met, not known), each with its reason in words.

A condition is a table with exactly one of these forms:

    { all = [ … ] }                         every one of them
    { any = [ … ] }                         one of them is enough
    { none = [ … ] }                        not one of them
    { term = "traffic" }                    the text uses a word of this concept, not denied
    { near = ["petition", "capital"] }      words of all these concepts in one sentence
    { clause = ["storm", "office"] }        words of all these concepts between two commas, in any order
    { field = "deaths", at_least = 1 }      a figure of the report (以上 includes the number itself)
    { sum = ["deaths", "injured"], at_least = 5 }
    { stated = "forest_mu" }                a figure above zero, however small

``unstated = "no"`` beside a threshold means that silence settles it: a report that does not mention fallen houses is in no
doubt about them. Without it a figure that is not stated, or stated as unknown, leaves the condition open.
Two more fields can be asked for: ``casualties`` (死伤: deaths and injured, or their stated sum) and ``unaccounted``
(the larger of missing and trapped).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from gateway.core.model import FIGURES, Figure, Report
from gateway.core.parsing import Table
from gateway.core.terms import CLAUSE_ENDS, ENDS, Text, Words, parse_words

FIELDS = (*FIGURES, "casualties", "unaccounted")
"""What ``field`` and ``sum`` may name."""

NAMES = {
    "deaths": "死亡", "injured": "受伤", "seriously_injured": "重伤", "missing": "失踪", "poisoned": "中毒", "ill": "发病",
    "trapped": "被困", "participants": "参与人数", "evacuated": "转移", "affected": "受灾人口", "loss_yuan": "损失", "houses": "倒塌房屋",
    "forest_mu": "森林受害", "crop_mu": "农作物受灾", "crop_lost_mu": "农作物绝收", "casualties": "死伤", "unaccounted": "失联被困",
}  # fmt: skip
UNITS = {"loss_yuan": "元", "houses": "间", "forest_mu": "亩", "crop_mu": "亩", "crop_lost_mu": "亩"}
"""The units of ``NAMES`` that do not count people."""
_FORMS = ("all", "any", "none", "term", "near", "clause", "field", "sum", "stated")
_HURT = ("deaths", "injured", "seriously_injured", "casualties")
"""A report that says how many are hurt and nothing of dead ones (or the other way round) leaves no doubt about them."""


class Answer(Struct, frozen=True):
    """``met`` None: not known. ``why`` are the reasons of a yes, ``open`` those of a doubt."""

    met: bool | None
    why: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


NO = Answer(False)


class Condition(Struct, frozen=True, kw_only=True):
    """One condition of the catalogue, checked. ``form`` says which of its fields count."""

    form: Literal["all", "any", "none", "term", "near", "clause", "threshold", "stated"]
    parts: tuple[Condition, ...] = ()
    concepts: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    at_least: float = 0
    unstated: Literal["doubt", "no"] = "doubt"
    name: str = field(default="")

    def needs(self) -> frozenset[str] | None:
        """Concepts of which a text must name one, or the answer is no; None where that depends on more than words."""
        if self.form in ("term", "near", "clause"):
            return frozenset(self.concepts[:1])
        needed = [part.needs() for part in self.parts]
        if self.form == "all":
            return min((one for one in needed if one is not None), key=len, default=None)
        if self.form == "any" and all(one is not None for one in needed):
            return frozenset[str]().union(*(one for one in needed if one is not None))
        return None

    def judge(self, report: Report, text: Text) -> Answer:
        """What ``report`` and its ``text`` say to this condition."""
        form = self.form
        if form == "term":
            hits = text.hits(self.concepts[0])
            return Answer(True, (f"“{hits[0][1]}”",)) if hits else NO
        if form == "all":
            return _both(self.parts, report, text)
        if form == "any":
            return _either([part.judge(report, text) for part in self.parts])
        if form == "threshold":
            return self._threshold(report)
        if form in ("near", "clause"):
            return self._near(text)
        if form == "stated":
            figure = figure_of(report, self.fields[0])
            return Answer(figure is not None and bool(figure.value))
        return Answer(all(part.judge(report, text).met is False for part in self.parts))

    def _near(self, text: Text) -> Answer:
        first, *others = self.concepts
        for at, word in text.hits(first):
            left, right = text.around(at, CLAUSE_ENDS if self.form == "clause" else ENDS)
            along = [next((w for place, w in text.hits(other) if left <= place < right), None) for other in others]
            if all(along):
                return Answer(True, ("“" + "…".join([word, *(w for w in along if w)]) + "”",))
        return NO

    def _threshold(self, report: Report) -> Answer:
        figures = [figure_of(report, name) for name in self.fields]
        if self.unstated == "no" and not any(figures):
            return NO
        stated = [n for n, f in zip(self.fields, figures, strict=True) if f is not None and f.value is not None]
        label = self.name if self.name and len(stated) == len(self.fields) else "、".join(NAMES[n] for n in stated or self.fields)
        unit = UNITS.get(self.fields[0], "人")
        low = sum(f.least or 0 for f in figures if f is not None and f.value is not None)
        if stated and low >= self.at_least:
            return Answer(True, (f"{label} {amount(low, unit)} ≥ {amount(self.at_least, unit)}",))
        hurt = any(f is not None and f.value is not None for f in map(_bounded, (report.deaths, report.injured)))
        unstated = [n for n, f in zip(self.fields, figures, strict=True) if f is None and not (hurt and n in _HURT)]
        unknown = [name for name, f in zip(self.fields, figures, strict=True) if f is not None and f.value is None]
        if unknown:
            return Answer(None, open=tuple(f"{NAMES[name]}不详" for name in unknown))
        if (loose := _may_reach(figures, self.at_least, unit)) is not None:
            return Answer(None, open=(f"{label}{loose}，标准为 {amount(self.at_least, unit)}",))
        if unstated and self.unstated == "doubt":
            return Answer(None, open=tuple(f"未报{NAMES[name]}" for name in unstated))
        return NO


def amount(value: float, unit: str) -> str:
    """A number with its unit as it is written in a report: 3 人, 50 万元, 1.2 亿元, 6.5 亩."""
    if unit == "元":
        for one, word in ((100_000_000, "亿元"), (10_000, "万元")):
            if value >= one and round(value / one, 4) == value / one:
                return f"{value / one:.4f}".rstrip("0").rstrip(".") + f" {word}"
    return f"{_shown(value)} {unit}"


def _shown(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _may_reach(figures: list[Figure | None], limit: float, unit: str) -> str | None:
    """Why figures below the limit may still reach it: a range that ends above, or 数十 and the like."""
    stated = [f for f in figures if f is not None and f.value is not None]
    if not stated:
        return None
    low, high = sum(f.least or 0 for f in stated), sum(f.most or 0 for f in stated)
    if high > low and high >= limit:
        return f"在 {_shown(low)} 至 {amount(high, unit)}之间"
    if any(f.qualifier == "at_least" and f.value for f in stated):
        return f"至少 {amount(low, unit)}"
    return None


def figure_of(report: Report, name: str) -> Figure | None:
    """A figure of ``report``, or one of the two that are made of others; None where the text does not state it."""
    if name == "casualties":
        return _casualties(report)
    if name == "unaccounted":
        known = [f for f in map(_bounded, (report.missing, report.trapped)) if f is not None and f.value is not None]
        return max(known, key=lambda f: (f.least or 0, f.most or 0)) if known else (report.missing or report.trapped)
    figure: Figure | None = getattr(report, name)
    if figure is None and name == "seriously_injured" and report.injured is not None and report.injured.value == 0:
        return report.injured
    return _bounded(figure)


def _bounded(figure: Figure | None) -> Figure | None:
    """数十人 counts as the ten that it is at the least."""
    if figure is None or figure.value is not None or figure.low is None:
        return figure
    return Figure(value=figure.low, qualifier="at_least", evidence=figure.evidence)


def _casualties(report: Report) -> Figure | None:
    stated = _bounded(report.casualties)
    parts = [f for f in map(_bounded, (report.deaths, report.injured)) if f is not None]
    known = [f for f in parts if f.value is not None]
    total = sum(f.least or 0 for f in known)
    if stated is not None and stated.value is not None and (stated.least or 0) >= total:
        return stated
    if not parts:
        return None
    if len(known) < len(parts) and not total:
        return Figure(value=None, qualifier="unknown")
    high = sum(f.most or 0 for f in known)
    loose = len(known) < len(parts) or any(f.qualifier == "at_least" for f in known)
    if high > total:
        return Figure(value=high, low=total, max=high, qualifier="at_least" if loose else "range")
    return Figure(value=total, qualifier="at_least" if loose else "exact")


def _both(parts: Iterable[Condition], report: Report, text: Text) -> Answer:
    answers = []
    for part in parts:
        answer = part.judge(report, text)
        if answer.met is False:
            return answer
        answers.append(answer)
    why = tuple(reason for a in answers for reason in a.why)
    doubts = tuple(reason for a in answers for reason in a.open)
    if any(a.met is None for a in answers):
        return Answer(None, why, doubts)
    return Answer(True, why)


def _either(answers: list[Answer]) -> Answer:
    met = [a for a in answers if a.met]
    if met:
        return Answer(True, tuple(reason for a in met for reason in a.why))
    unknown = [a for a in answers if a.met is None]
    if unknown:
        return Answer(None, open=tuple(reason for a in answers for reason in a.open))
    return NO


def parse_concepts(root: Table) -> dict[str, Words]:
    """The word lists of [concepts]. ``A…B`` in a list means A, then B within a dozen characters of the same clause."""
    table = Table(root.data.get("concepts", {}), (*root.path, "concepts"), root.faults)
    made = {}
    for name in table.data:
        made[name] = parse_words(table.texts(name, required=True))
    return made


def parse_condition(table: Table, concepts: Mapping[str, Words]) -> Condition:
    """A condition table. Faults are noted in ``table``; what comes back then is not for use."""
    forms = [form for form in _FORMS if form in table.data]
    if len(forms) != 1:
        table.fault((), "is no condition", "exactly one of " + ", ".join(_FORMS))
        return Condition(form="any")
    form = forms[0]
    if form in ("all", "any", "none"):
        table.only(form)
        parts = tuple(parse_condition(part, concepts) for part in table.tables(form))
        if not parts:
            table.fault((form,), "is empty", "one condition at least")
        return Condition(form=form, parts=parts)  # type: ignore[arg-type]
    if form in ("term", "near", "clause"):
        table.only(form)
        names = (table.text("term"),) if form == "term" else table.texts(form, required=True)
        for name in names:
            if name not in concepts:
                table.fault((form,), f"unknown concept {name!r}", ", ".join(sorted(concepts)))
        return Condition(form=form, concepts=names)  # type: ignore[arg-type]
    if form == "stated":
        table.only(form)
        return Condition(form="stated", fields=(_field(table, form, table.text(form)),))
    return parse_threshold(table)


def _field(table: Table, form: str, name: str) -> str:
    if name not in FIELDS:
        table.fault((form,), f"unknown field {name!r}", ", ".join(FIELDS))
        return FIELDS[0]
    return name


def parse_threshold(table: Table, *, unstated: Literal["doubt", "no"] = "doubt") -> Condition:
    """A ``field`` or ``sum`` with its limit; ``unstated`` is what counts where the table does not say."""
    form = "sum" if "sum" in table.data else "field"
    table.only(form, "at_least", "unstated", "name")
    names = (table.text("field"),) if form == "field" else table.texts("sum", required=True)
    fields = tuple(_field(table, form, name) for name in names)
    if len({UNITS.get(name, "人") for name in fields}) > 1:
        table.fault((form,), "adds up different units", "figures of one unit")
    limit: Any = table.data.get("at_least")
    if not isinstance(limit, int | float) or isinstance(limit, bool) or limit <= 0:
        table.fault(("at_least",), "is missing" if limit is None else "is no such number", "a number above 0")
        limit = 1
    silence = table.choice("unstated", ("doubt", "no"), unstated)
    return Condition(
        form="threshold", fields=fields, at_least=limit, unstated=silence, name=table.text("name", "")  # type: ignore[arg-type]
    )  # fmt: skip
