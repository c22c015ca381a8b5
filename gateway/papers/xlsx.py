"""Figures as a workbook: one sheet a subject, every number with a link to the incidents behind it on the last sheet."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.core.figures import Figures, Judgements, Spread, Tally
from gateway.core.obligations import Account
from gateway.papers import xlcharts
from gateway.papers.compose import percent

BEHIND = "依据"
_CELL = 32_000
"""Characters that a cell takes; what is longer goes on in the next row."""
_RISKY = ("=", "+", "-", "@", "\t", "\r")
SIDES = {"unit": "报送单位", "office": "市级科室"}
JUDGED = {
    "late": "超时报送（待核实）", "late_confirmed": "迟报", "missed": "超时未报（待核实）", "missed_confirmed": "漏报",
    "false": "事后更正（待核实）", "false_confirmed": "误报", "suspected": "疑似瞒报", "concealed": "瞒报",
}  # fmt: skip


def make(figures: Figures, accounts: Sequence[Account], title: str, months: Sequence[Figures] = ()) -> bytes:
    """The workbook; its charts are the spreadsheet's own, so that an office can go on working with them."""
    import openpyxl

    book = _Book(openpyxl.Workbook())
    f = figures
    book.sheet("总览", ["项目", "数"], [
        ["时段", title], ["收到的报告", f.reports], ["其中未登记号码", f.unregistered], ["登记的事件", f.incidents],
        ["未达标准", f.below], ["演练", f.drills], ["已结案", f.closed], ["未签收", f.unacknowledged],
        ["应报条次", f.due], ["按时条次", f.done], ["报送率", percent(f.rate)],
        *([f"事发到首报{name}（分钟）", value] for name, value in _spread(f.to_report)),
        *([f"收到到签收{name}（分钟）", value] for name, value in _spread(f.to_acknowledge)),
        *([["说明", "本期无数据"]] if f.empty else []),
    ])  # fmt: skip
    book.sheet(
        "单位",
        ["单位", "区县", "名次", "报送率", "应报", "按时", "报告", "负责事件", "首报按时", "首报超时", "未到期",
         "任务应报", "任务完成", "首报中位（分钟）", *JUDGED.values()],
        [[u.unit, u.county, u.rank, percent(u.rate), u.due, u.done, u.reports, u.responsible, u.in_time, u.late, u.pending,
          u.owed, u.owed_done, u.to_report.median, *_judged(u.judged)] for u in f.units],
    )  # fmt: skip
    if f.offices:
        book.sheet("责任科室", ["科室", *JUDGED.values()], [[o.office, *_judged(o.judged)] for o in f.offices])
    book.sheet(
        "时限", ["时限", "责任方", "按时", "超时后报", "超时未报", "经认定不究", "未到期", "免除"],
        [[c.title, SIDES[c.responsible], c.in_time, c.late, c.open, c.excused, c.running, c.waived]
         for c in f.clocks],
    )  # fmt: skip
    for name, lines in (("类别", f.kinds), ("区县", f.counties), ("等级", f.levels)):
        book.sheet(name, [name, "事件"], [[line.name, line.tally] for line in lines])
    if accounts:
        book.sheet("任务", ["任务", "单位", "信息员", "时段", "应报", "已报", "缺", "超时"],
                   [[a.rule, a.unit, a.person, a.period, a.owed, a.sent, a.missing, a.late] for a in accounts])  # fmt: skip
    if len(months) > 1:
        book.sheet("逐月", ["月份", "报送率（%）", "应报", "按时", "登记的事件", "首报中位（分钟）", "签收中位（分钟）"],
                   [[m.period, m.rate, m.due, m.done, m.incidents, m.to_report.median, m.to_acknowledge.median]
                    for m in months])  # fmt: skip
    rated = sorted((u for u in f.units if u.rate is not None), key=lambda u: -(u.rate or 0))
    if rated:
        book.sheet("报送率", ["单位", "报送率（%）"], [[u.unit, u.rate] for u in rated])
    xlcharts.draw(book.book, months=len(months) > 1)
    return book.done()


def _spread(one: Spread) -> Iterable[tuple[str, Any]]:
    return (("起数", Tally(one.count, one.incidents)), ("中位", one.median), ("九成以内", one.ninth), ("最长", one.longest))


def _judged(one: Judgements) -> Iterable[Tally]:
    return (getattr(one, name) for name in JUDGED)


class _Book:
    def __init__(self, book: Any) -> None:
        self.book = book
        self.book.remove(self.book.active)
        self._behind: list[tuple[str, str, int, tuple[str, ...]]] = []
        self._links: list[tuple[Any, int]] = []

    def sheet(self, name: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        from openpyxl.styles import Alignment, Font
        from openpyxl.utils import get_column_letter

        sheet = self.book.create_sheet(name)
        sheet.append(list(heads))
        for cell in sheet[1]:
            cell.font, cell.alignment = Font(bold=True), Alignment(wrap_text=True, vertical="center")
        sheet.freeze_panes = "B2"
        for row in rows:
            sheet.append([self._plain(value) for value in row])
            for cell, value, head in zip(sheet[sheet.max_row], row, heads, strict=True):
                if isinstance(value, Tally) and value.incidents:
                    self._behind.append((f"{name}：{row[0]}", head, value.count, value.incidents))
                    self._links.append((cell, len(self._behind)))
        for column in range(1, len(heads) + 1):
            sheet.column_dimensions[get_column_letter(column)].width = 26 if column == 1 else 12

    @staticmethod
    def _plain(value: Any) -> Any:
        """A spreadsheet takes a text that begins with = for a formula: what came from outside never is one."""
        if isinstance(value, Tally):
            return value.count
        if isinstance(value, str):
            kept = "".join(char for char in value if char >= " ")
            return f"'{kept}" if kept.startswith(_RISKY) else kept
        return value

    def done(self) -> bytes:
        sheet = self.book.create_sheet(BEHIND)
        sheet.append(["表", "数据", "数", "事件编号"])
        begins: dict[int, int] = {}
        for number, (where, what, count, incidents) in enumerate(self._behind, 1):
            begins[number] = sheet.max_row + 1
            text = "、".join(incidents)
            for start in range(0, len(text), _CELL):
                sheet.append([self._plain(where), what, count, text[start : start + _CELL]])
        for cell, number in self._links:
            cell.hyperlink = f"#'{BEHIND}'!A{begins[number]}"
            cell.style = "Hyperlink"
        for column, width in zip("ABCD", (30, 20, 8, 80), strict=True):
            sheet.column_dimensions[column].width = width
        out = io.BytesIO()
        self.book.save(out)
        return out.getvalue()
