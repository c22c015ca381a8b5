"""Charts of the workbook on a sheet of their own: the spreadsheet's, drawn from its own cells."""

from __future__ import annotations

from typing import Any

SHEET = "图表"
ACROSS, DOWN, HIGH = 16.0, 8.0, 17
"""Width and height of a chart in cm, and how many rows one takes."""
STACK = ("pct20", "pct50", "wdUpDiag", "dkHorz", "smGrid", "pct5")
"""Patterns of a stack: grey paper tells them apart."""


def draw(book: Any, *, months: bool) -> None:
    """Put a chart of each sheet that has rows onto ``SHEET``, which becomes the second."""
    from openpyxl.chart import BarChart, LineChart

    sheet = book.create_sheet(SHEET, 1)
    place = 0
    wanted: list[tuple[str, str, Any, list[int]]] = [("报送率", "各单位报送率（%）", BarChart, [2])]
    if months:
        wanted += [("逐月", "逐月报送率（%）", LineChart, [2]), ("逐月", "用时中位（分钟）", LineChart, [6, 7])]
    wanted.append(("时限", "时限执行情况", BarChart, [3, 4, 5, 6, 7, 8]))
    wanted += [("类别", "事件类别", BarChart, [2]), ("区县", "区县分布", BarChart, [2])]
    for name, title, kind, columns in wanted:
        if name in book.sheetnames and _filled(book[name], columns):
            sheet.add_chart(_chart(book[name], title, kind(), columns), f"A{1 + place * HIGH}")
            place += 1
    if not place:
        sheet.append(["本期无数据"])


def _filled(source: Any, columns: list[int]) -> bool:
    """Whether any of these columns has a number to draw."""
    rows = source.iter_rows(min_row=2, min_col=min(columns), max_col=max(columns), values_only=True)
    return any(value for row in rows for value in row)


def _chart(source: Any, title: str, chart: Any, columns: list[int]) -> Any:
    from openpyxl.chart import BarChart, Reference
    from openpyxl.drawing.colors import ColorChoice
    from openpyxl.drawing.fill import PatternFillProperties

    last = source.max_row
    chart.title, chart.width, chart.height = title, ACROSS, max(DOWN, 0.7 * last)
    for column in columns:
        chart.add_data(Reference(source, min_col=column, min_row=1, max_row=last), titles_from_data=True)
    chart.set_categories(Reference(source, min_col=1, min_row=2, max_row=last))
    # Files of openpyxl hide the axes unless told otherwise.
    chart.x_axis.delete = chart.y_axis.delete = False
    if isinstance(chart, BarChart):
        chart.type, chart.gapWidth = "bar", 40
        chart.x_axis.scaling.orientation = "maxMin"
        if len(columns) > 1:
            chart.grouping, chart.overlap = "stacked", 100
            for series, pattern in zip(chart.series, STACK, strict=False):
                fill = PatternFillProperties(prst=pattern)
                fill.foreground, fill.background = ColorChoice(prstClr="black"), ColorChoice(prstClr="white")
                series.graphicalProperties.pattFill = fill
    else:
        for series, mark in zip(chart.series, ("circle", "square"), strict=False):
            series.marker.symbol = mark
    if len(columns) == 1:
        chart.legend = None
    return chart
