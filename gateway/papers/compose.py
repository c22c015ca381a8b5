"""What the templates of papers are filled with: figures, wordings of conf/papers.toml, what an incident's report says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from string import Template
from types import SimpleNamespace
from typing import Any

from markupsafe import Markup

from gateway.core import render
from gateway.core.figures import Judgements, Tally
from gateway.core.figures.model import Unit
from gateway.core.figures.period import day_title, title
from gateway.core.obligations import Account, Period
from gateway.paper_rules import FindingEntry, PapersFile
from gateway.papers import charts
from gateway.stats import Gathered

SENSITIVE = "（内容敏感，请到市委机要局阅取）"
NAMES: Mapping[str, str] = {
    "situation": "信息报送情况报告", "quarter": "信息报送情况汇总", "circular": "关于信息迟报漏报误报瞒报情况的通报",
    "ranking": "信息报送情况排名", "owed": "信息员报送任务完成情况",
}  # fmt: skip
"""The papers made from figures."""
TO_UNITS = ("circular", "ranking", "owed")
_MOST_NAMED = 10
_MOST_NOTED = 200
"""Incidents that a paper lists behind one number; more are in the workbook and in JSON."""
_JUDGED = (("迟报", "late_confirmed"), ("漏报", "missed_confirmed"), ("误报", "false_confirmed"), ("瞒报", "concealed"))
_OPEN = (("超过时限报送", "late"), ("超过时限未报", "missed"), ("事后更正", "false"), ("疑似瞒报", "suspected"))


class Notes:
    """Numbers with the incidents behind them: each shown number is a link to its line at the end of the paper."""

    def __init__(self) -> None:
        self.lines: list[SimpleNamespace] = []
        self._seen: dict[tuple[str, Tally], int] = {}

    def __call__(self, what: str, tally: Tally) -> Markup:
        """The number; noted under ``what``, the same one once."""
        if not tally.incidents:
            return Markup("{}").format(tally.count)
        key = (what, tally)
        if key not in self._seen:
            self._seen[key] = len(self.lines) + 1
            listed = runs(tally.incidents) if len(tally.incidents) <= _MOST_NOTED else "编号见同期数据表"
            self.lines.append(SimpleNamespace(key=f"n{len(self._seen)}", what=what, count=tally.count, incidents=listed))
        return Markup('<a href="#n{}">{}</a>').format(self._seen[key], tally.count)


def percent(rate: float | None) -> str:
    """95%, 95.5%, 无应报."""
    return "无应报" if rate is None else f"{rate:g}%"


def minutes(value: float | None) -> str:
    """12 分钟, 2 小时 5 分钟, 3 天 4 小时; — where nothing was measured."""
    if value is None:
        return "—"
    whole = round(value)
    days, hours, rest = whole // 1440, whole // 60 % 24, whole % 60
    if days:
        return f"{days}天{hours}小时" if hours else f"{days}天"
    if hours:
        return f"{hours}小时{rest}分钟" if rest else f"{hours}小时"
    return f"{rest}分钟"


def numbers(tally: Tally, most: int = _MOST_NAMED) -> str:
    """〔2026〕0001、〔2026〕0002, those beyond ``most`` counted."""
    shown = "、".join(render.display_number(number) for number in tally.incidents[:most])
    return shown + (f"等{len(tally.incidents)}起" if len(tally.incidents) > most else "")


def of_figures(
    paper: str, found: Gathered, whole: Period, rules: PapersFile, city: str, places: charts.Places | None = None
) -> dict[str, Any]:
    """Everything the template of ``paper`` may name."""
    figures, situation = found.figures, rules.situation
    notes = Notes()

    def title_of(number: str) -> str:
        case = found.cases.get(number)
        return "" if case is None else SENSITIVE if case.sensitive else case.title

    head = NAMES[paper]
    return {
        "doc": doc(
            rules, city, figures.made_at, title=head if paper == "situation" else f"{title(whole)}{head}",
            to=situation.units_to if paper in TO_UNITS else situation.to,
            office=situation.office,
        ),
        "conf": conf(rules),
        "f": figures,
        "period": title(whole),
        "units": tuple(_units(found, rules)),
        "findings": tuple(_findings(found, rules)),
        "sections": tuple(_sections(found)),
        "accounts": tuple(_account(one) for one in found.accounts),
        "n": notes,
        "notes": notes.lines,
        "percent": percent,
        "minutes": minutes,
        "numbers": numbers,
        "title_of": title_of,
        "plots": _Plots(found, places or {}),
        "shown": render.display_number,
    }  # fmt: skip


class _Plots(Mapping[str, "charts.Chart | None"]):
    """The plots by name, drawn when a template first asks for one; None where there is nothing to show."""

    def __init__(self, found: Gathered, places: charts.Places) -> None:
        self._found, self._places = found, places
        self._drawn: dict[str, charts.Chart] | None = None

    def _all(self) -> dict[str, charts.Chart]:
        if self._drawn is None:
            self._drawn = {one.key: one for one in charts.charts(self._found, self._places)}
        return self._drawn

    def __getitem__(self, key: str) -> charts.Chart | None:
        return self._all().get(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def doc(rules: PapersFile, city: str, at: datetime, **more: Any) -> SimpleNamespace:
    """The frame of a paper: what stands around its body. ``head`` empty: no red heading."""
    issuer = rules.paper.issuer or f"{city}值班室"
    plain: dict[str, Any] = dict.fromkeys(
        ("marking", "urgency", "head", "number", "signer", "to", "copies", "printed_by", "mark"), ""
    )
    given = {key: value for key, value in more.items() if value or key != "office"}
    return SimpleNamespace(**{**plain, "office": issuer, "date": day_title(at.date()), "head_pt": rules.paper.head_pt, **given})


def conf(rules: PapersFile) -> SimpleNamespace:
    """What the layout needs of conf: families of type as CSS writes them."""
    fonts = rules.fonts
    faces = {
        name: Markup(", ".join(f'"{face}"' for face in getattr(fonts, name)))  # noqa: S704 - the settings allow no quotes
        for name in type(fonts).model_fields
    }
    return SimpleNamespace(fonts=SimpleNamespace(**faces), no_problem=rules.situation.no_problem)


def runs(incidents: Sequence[str]) -> str:
    """Numbers in short: 2026-0001至0074、2026-0080; three or more that follow each other are one run."""
    groups: list[list[str]] = []
    for number in incidents:
        before = groups[-1][-1] if groups else ""
        if before[:5] == number[:5] and int(number[5:]) - int(before[5:]) == 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return "、".join(f"{one[0]}至{one[-1][5:]}" if len(one) > 2 else "、".join(one) for one in groups)


def _units(found: Gathered, rules: PapersFile) -> Iterator[SimpleNamespace]:
    for one in found.figures.units:
        values = {
            "unit": one.unit, "rate": percent(one.rate), "due": one.due, "done": one.done, "late": one.late.count,
            "missed": one.judged.missed.count + one.judged.missed_confirmed.count, "reports": one.reports.count,
        }  # fmt: skip
        wording = rules.situation.nothing_due
        if one.rate is not None:
            entry = next(entry for entry in rules.situation.rating if one.rate >= entry.at_least)
            wording = Template(entry.text).safe_substitute(values)
        yield SimpleNamespace(name=one.unit, shown=percent(one.rate), wording=wording, figures=one)


def _findings(found: Gathered, rules: PapersFile) -> Iterator[SimpleNamespace]:
    for entry in rules.situation.finding:
        named, tally, confirmed, count = _told_of(found, entry)
        if count:
            values = {"units": "、".join(named), "count": count, "confirmed": confirmed, "incidents": numbers(tally)}
            problem = Template(entry.problem).safe_substitute(values)
            suggestion = Template(entry.suggestion).safe_substitute(values)
            yield SimpleNamespace(problem=problem, suggestion=suggestion, tally=tally)


def _told_of(found: Gathered, entry: FindingEntry) -> tuple[list[str], Tally, int, int]:
    """Whom a finding names, the incidents behind it, how many of them a person confirmed, how many there are."""
    figures = found.figures
    if entry.metric == "unacknowledged":
        tally = figures.unacknowledged
        return [], tally, 0, tally.count if tally.count >= entry.at_least else 0
    if entry.metric == "rate":
        low = [one for one in figures.units if one.rate is not None and one.rate < entry.below]
        return [f"{one.unit}（{percent(one.rate)}）" for one in low], _joined(one.late for one in low), 0, len(low)
    if entry.metric == "owed":
        short = [one for one in figures.units if one.owed - one.owed_done >= entry.at_least]
        lack = [one.owed - one.owed_done for one in short]
        return [f"{one.unit}（{few}条）" for one, few in zip(short, lack, strict=True)], Tally(), 0, sum(lack)
    each = [(name, *_of_metric(judged, entry.metric)) for name, judged in _judged(found)]
    each = [one for one in each if one[1].count >= entry.at_least]
    tally, confirmed = _joined(one[1] for one in each), _joined(one[2] for one in each)
    return [f"{name}（{one.count}起）" for name, one, _sure in each], tally, confirmed.count, tally.count


def _of_metric(judged: Judgements, metric: str) -> tuple[Tally, Tally]:
    sure: Tally = getattr(judged, metric if metric in ("suspected", "concealed") else f"{metric}_confirmed")
    return _joined((getattr(judged, metric), sure)), sure


def _judged(found: Gathered) -> list[tuple[str, Judgements]]:
    figures = found.figures
    return [(u.unit, u.judged) for u in figures.units] + [(o.office, o.judged) for o in figures.offices]


def _joined(tallies: Any) -> Tally:
    every = tuple(sorted({number for one in tallies for number in one.incidents}))
    return Tally(len(every), every)


def _sections(found: Gathered) -> Iterator[SimpleNamespace]:
    """The circular: what persons confirmed, kind by kind; then what is not confirmed, named as what it is."""
    for group, sure in ((_JUDGED, True), (_OPEN, False)):
        for name, kind in group:
            entries = [(who, getattr(judged, kind)) for who, judged in _judged(found) if getattr(judged, kind).count]
            if entries:
                entries.sort(key=lambda one: -one[1].count)
                made = tuple(SimpleNamespace(who=who, tally=tally) for who, tally in entries)
                yield SimpleNamespace(name=name, sure=sure, entries=made, tally=_joined(one.tally for one in made))


def _account(one: Account) -> SimpleNamespace:
    states = {"met": "已完成", "due": "未到期", "missing": "未完成", "nothing owed": "无任务"}
    return SimpleNamespace(
        rule=one.rule, unit=one.unit, person=one.person, period=one.period, owed=one.owed, sent=one.sent, missing=one.missing,
        late=one.late, state=states[one.state],
    )  # fmt: skip


def rank(one: Unit) -> tuple[int, str]:
    """Those without a rank stand last."""
    return (one.rank or 1_000_000, one.unit)
