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

import re
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from gateway.core.folding import fold, fold_char
from gateway.core.model import FIGURES, Figure, Report
from gateway.core.parsing import Table

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
_GAP = 12
_TEXT_LIMIT = 60_000
_DENIED = re.compile(
    r"(?:未|没有?|无|非|不是|并非|排除|防止|避免|预防|杜绝|防范|以免|谨防|严防|未发现|未造成|没发生|未发生|没造成"
    r"|不构成|未引发|不存在|否认)(?:有|任何|造成|发生|出现|人员|明显|较大|大的|引起|导致|被|人为|一起|一例){0,3}$"
    r"|(?:未发生|未发现|未出现|没有发生|没有发现|没发现|不存在)[^，。;:、\n]{1,6}(?:、[^，。;:、\n]{1,6})?[、或和及]被?$"
)
_ENDS = re.compile(r"[。!?;\n]")
_CLAUSE_ENDS = re.compile(r"[，,。!?;:\n]")


class Words(Struct, frozen=True):
    """A concept: plain words, found by search, and pairs of words that may have something between them (A…B)."""

    plain: tuple[str, ...]
    gapped: tuple[re.Pattern[str], ...] = ()


class Text:
    """A text prepared for looking words up; answers are remembered for as long as it is judged."""

    def __init__(self, concepts: Mapping[str, Words], *texts: str) -> None:
        self.text = "\n".join(folded_lines(text[:_TEXT_LIMIT]) for text in texts)
        self._concepts = concepts
        self._found: dict[str, tuple[tuple[int, str], ...]] = {}

    def hits(self, concept: str) -> tuple[tuple[int, str], ...]:
        """The places and words of ``concept`` that are not denied, in order; the first few of each word."""
        if concept not in self._found:
            self._found[concept] = self.find(self._concepts[concept])
        return self._found[concept]

    def find(self, words: Words) -> tuple[tuple[int, str], ...]:
        """The same for words that no concept names."""
        return tuple(sorted(self._search(words)))

    def _search(self, words: Words) -> list[tuple[int, str]]:
        found = []
        for word in words.plain:
            at, tries = self.text.find(word), 0
            while at >= 0 and tries < 50:
                if not self._denied(at):
                    found.append((at, word))
                at, tries = self.text.find(word, at + len(word)), tries + 1
        for pattern in words.gapped:
            for tries, match in enumerate(pattern.finditer(self.text)):
                if tries >= 50:
                    break
                if not self._denied(match.start()) and not self._denied(match.start(1)):
                    found.append((match.start(), match[0]))
        return found

    def _denied(self, at: int) -> bool:
        return _DENIED.search(self.text[max(0, at - 18) : at]) is not None

    def around(self, at: int, ends: re.Pattern[str]) -> tuple[int, int]:
        """The bounds of the sentence or clause around ``at``: from one of ``ends`` to the next, 200 characters at most."""
        left = max(0, at - 100)
        for end in ends.finditer(self.text, left, at):
            left = end.end()
        found = ends.search(self.text, at, at + 100)
        return left, found.start() if found else min(len(self.text), at + 100)


def folded_lines(text: str) -> str:
    """``text`` folded, white space dropped, a line end kept only after the end of a sentence or a short line."""
    lines = text.splitlines()
    made = []
    for line in lines:
        folded = fold(line)
        made.append(folded + ("" if len(folded) >= 20 and folded[-1:] not in "。!?;:" else "\n"))
    return "".join(made).rstrip("\n")


class Answer(Struct, frozen=True):
    """``met`` None: not known. ``why`` are the reasons of a yes, ``open`` those of a doubt."""

    met: bool | None
    why: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


class Condition(Struct, frozen=True, kw_only=True):
    """One condition of the catalogue, checked. ``form`` says which of its fields count."""

    form: Literal["all", "any", "none", "term", "near", "clause", "threshold", "stated"]
    parts: tuple[Condition, ...] = ()
    concepts: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    at_least: float = 0
    unstated: Literal["doubt", "no"] = "doubt"
    name: str = field(default="")

    def judge(self, report: Report, text: Text) -> Answer:
        """What ``report`` and its ``text`` say to this condition."""
        if self.form == "threshold":
            return self._threshold(report)
        if self.form == "stated":
            figure = figure_of(report, self.fields[0])
            return Answer(figure is not None and bool(figure.value))
        if self.form == "term":
            hits = text.hits(self.concepts[0])
            return Answer(True, (f"“{hits[0][1]}”",)) if hits else Answer(False)
        if self.form in ("near", "clause"):
            return self._near(text)
        answers = [part.judge(report, text) for part in self.parts]
        if self.form == "none":
            return Answer(all(a.met is False for a in answers))
        return _both(answers) if self.form == "all" else _either(answers)

    def _near(self, text: Text) -> Answer:
        first, *others = self.concepts
        for at, word in text.hits(first):
            left, right = text.around(at, _CLAUSE_ENDS if self.form == "clause" else _ENDS)
            along = [next((w for place, w in text.hits(other) if left <= place < right), None) for other in others]
            if all(along):
                return Answer(True, ("“" + "…".join([word, *(w for w in along if w)]) + "”",))
        return Answer(False)

    def _threshold(self, report: Report) -> Answer:
        figures = [figure_of(report, name) for name in self.fields]
        stated = [n for n, f in zip(self.fields, figures, strict=True) if f is not None and f.value is not None]
        label = self.name if self.name and len(stated) == len(self.fields) else "、".join(NAMES[n] for n in stated or self.fields)
        unit = UNITS.get(self.fields[0], "人")
        low = sum(f.value for f in figures if f is not None and f.value is not None)
        if stated and low >= self.at_least:
            return Answer(True, (f"{label} {amount(low, unit)} ≥ {amount(self.at_least, unit)}",))
        hurt = any(f is not None and f.value is not None for f in (report.deaths, report.injured))
        unstated = [n for n, f in zip(self.fields, figures, strict=True) if f is None and not (hurt and n in _HURT)]
        unknown = [name for name, f in zip(self.fields, figures, strict=True) if f is not None and f.value is None]
        if unknown:
            return Answer(None, open=tuple(f"{NAMES[name]}不详" for name in unknown))
        if (loose := _may_reach(figures, self.at_least, unit)) is not None:
            return Answer(None, open=(f"{label}{loose}，标准为 {amount(self.at_least, unit)}",))
        if unstated and self.unstated == "doubt":
            return Answer(None, open=tuple(f"未报{NAMES[name]}" for name in unstated))
        return Answer(False)


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
    high = sum(f.max if f.max is not None else (f.value or 0) for f in stated)
    if any(f.max is not None for f in stated) and high >= limit:
        return f"在 {_shown(sum(f.value or 0 for f in stated))} 至 {amount(high, unit)}之间"
    if any(f.qualifier == "at_least" and f.value for f in stated):
        return f"至少 {amount(sum(f.value or 0 for f in stated), unit)}"
    return None


def figure_of(report: Report, name: str) -> Figure | None:
    """A figure of ``report``, or one of the two that are made of others; None where the text does not state it."""
    if name == "casualties":
        return _casualties(report)
    if name == "unaccounted":
        known = [f for f in (report.missing, report.trapped) if f is not None and f.value is not None]
        return max(known, key=lambda f: f.value or 0) if known else (report.missing or report.trapped)
    figure: Figure | None = getattr(report, name)
    if figure is None and name == "seriously_injured" and report.injured is not None and report.injured.value == 0:
        return report.injured
    return figure


def _casualties(report: Report) -> Figure | None:
    stated = report.casualties
    parts = [f for f in (report.deaths, report.injured) if f is not None]
    known = [f for f in parts if f.value is not None]
    total = sum(f.value or 0 for f in known)
    if stated is not None and stated.value is not None and stated.value >= total:
        return stated
    if not parts:
        return None
    if len(known) < len(parts) and not total:
        return Figure(value=None, qualifier="unknown")
    high = sum((f.max if f.max is not None else f.value) or 0 for f in known)
    loose = len(known) < len(parts) or any(f.qualifier == "at_least" for f in known)
    return Figure(value=total, max=high if high > total else None, qualifier="at_least" if loose else "exact")


def _both(answers: list[Answer]) -> Answer:
    if any(a.met is False for a in answers):
        return Answer(False)
    why = tuple(reason for a in answers for reason in a.why)
    doubts = tuple(reason for a in answers for reason in a.open)
    if any(a.met is None for a in answers):
        return Answer(None, why, doubts)
    return Answer(True, why)


def _either(answers: list[Answer]) -> Answer:
    met = [a for a in answers if a.met]
    if met:
        return Answer(True, tuple(reason for a in met for reason in a.why))
    doubts = tuple(reason for a in answers for reason in a.open)
    if any(a.met is None for a in answers):
        return Answer(None, open=doubts)
    return Answer(False)


def parse_concepts(root: Table) -> dict[str, Words]:
    """The word lists of [concepts]. ``A…B`` in a list means A, then B within a dozen characters of the same clause."""
    table = Table(root.data.get("concepts", {}), (*root.path, "concepts"), root.faults)
    made = {}
    for name in table.data:
        made[name] = parse_words(table.texts(name, required=True))
    return made


def parse_words(words: tuple[str, ...]) -> Words:
    """A list of words, folded as the texts are in which they are looked up."""
    folded = ["".join(map(fold_char, word)) for word in words]
    plain = tuple(word for word in folded if "…" not in word)
    return Words(plain, tuple(_gapped(word.split("…")) for word in folded if "…" in word))


def _gapped(pieces: list[str]) -> re.Pattern[str]:
    between = f"[^，。!?;\\n]{{0,{_GAP}}}?"
    *first, last = map(re.escape, pieces)
    return re.compile(between.join((*first, f"({last})")))


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
