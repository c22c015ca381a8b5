"""The plots of a period: what each shows, the table beside it, and the incidents behind each number. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from markupsafe import Markup
from msgspec import Struct

from gateway.core.figures import Figures, Spread, Tally
from gateway.core.figures.counting import UNKNOWN
from gateway.core.figures.model import Unit
from gateway.i18n import catalogue
from gateway.papers import plots
from gateway.papers.plots import Bar, Line, Place
from gateway.reading.gazetteer import Gazetteer
from gateway.stats import Gathered

Places = Mapping[str, tuple[float, float]]
"""Longitude and latitude of counties by name."""
FATES = ("in_time", "late", "open", "excused", "running", "waived")


class Cell(Struct, frozen=True):
    """A cell of a table; ``key`` is the number's own name, by which its incidents are found. Empty: none are behind it."""

    text: str
    key: str = ""


class Chart(Struct, frozen=True, kw_only=True):
    """A plot with its table. ``behind`` names the incidents of each number by its key, with what they are."""

    key: str
    title: str
    svg: Markup
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    behind: dict[str, tuple[str, Tally]]


def places(gazetteer: Gazetteer) -> dict[str, tuple[float, float]]:
    """Where the counties lie; nothing unless two at least are known, for one alone makes no map."""
    found = {county.name: county.position for county in gazetteer.counties if county.position is not None}
    return found if len(found) > 1 else {}


def chinese(text: str) -> str:
    """A word of the papers, which are Chinese whatever the operators' language is."""
    return catalogue().get(text, text)


def charts(found: Gathered, places: Places, word: Callable[[str], str] = chinese) -> tuple[Chart, ...]:
    """Every plot of the period that has anything to show, in the order of the page."""
    f = found.figures
    if f.empty:
        return ()
    made: list[Chart] = [*_rates(f, word), *_monthly(found.months, word), *_times(f, word)]
    if len(found.months) > 1:
        made += _pace(found.months, word)
    made += [*_units_pace(f, word), *_clocks(f, word)]
    made += _lines("kinds", word("incidents by kind"), word("kind"), [(line.name, line.tally) for line in f.kinds], word)
    made += _counties(f, places, word)
    return tuple(made)


class _Table:
    """Rows of cells, and what is behind them."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.rows: list[tuple[Cell, ...]] = []
        self.behind: dict[str, tuple[str, Tally]] = {}

    def row(self, label: str, *cells: str | tuple[str, str, Tally]) -> None:
        """A row; a number with incidents is (text, what it counts, tally)."""
        made = [Cell(label)]
        for nth, cell in enumerate(cells):
            if isinstance(cell, str):
                made.append(Cell(cell))
                continue
            text, what, tally = cell
            key = f"{self._key}.{len(self.rows)}.{nth}" if tally.incidents else ""
            if key:
                self.behind[key] = (f"{label} · {what}", tally)
            made.append(Cell(text, key))
        self.rows.append(tuple(made))

    def chart(self, title: str, svg: Markup, heads: Sequence[str]) -> Chart:
        return Chart(key=self._key, title=title, svg=svg, heads=tuple(heads), rows=tuple(self.rows), behind=self.behind)


def percent(rate: float | None, word: Callable[[str], str]) -> str:
    """85.7 %; words where nothing was due."""
    return word("nothing due") if rate is None else f"{rate:g}%"


def _rates(f: Figures, word: Callable[[str], str]) -> Iterator[Chart]:
    units = sorted((u for u in f.units if u.rate is not None), key=lambda u: (-(u.rate or 0), -u.due))
    if not units:
        return
    title, table = word("on-time rate of each unit"), _Table("rates")
    late, mine = word("over the limit"), word("incidents it answers for")
    for u in units:
        table.row(u.unit, percent(u.rate, word), str(u.due), str(u.done), _count(u.late, late), _count(u.responsible, mine))
    rows = [Bar(label=u.unit, parts=(u.rate or 0,), shown=percent(u.rate, word)) for u in units]
    svg = plots.bars("rates", title, rows, top=100)
    yield table.chart(title, svg, [word("unit"), word("on-time rate"), word("due in the period"), word("in time"), late, mine])


def _monthly(months: Sequence[Figures], word: Callable[[str], str]) -> Iterator[Chart]:
    if len(months) < 2 or all(one.rate is None for one in months):
        return
    names = [one.period for one in months]
    heads = [name[-2:].lstrip("0") for name in names]
    title, table = word("on-time rate month by month"), _Table("months")
    for one in months:
        late = Tally(*_joined(u.late for u in one.units))
        table.row(one.period, percent(one.rate, word), str(one.due), str(one.done), _count(late, word("over the limit")))
    line = Line(name=word("on-time rate"), values=tuple(one.rate for one in months))
    svg = plots.trend("months", title, heads, [line], top=100, unit="%")
    columns = [word("month"), word("on-time rate"), word("due in the period"), word("in time"), word("over the limit")]
    yield table.chart(title, svg, columns)
    title, table, drawn = word("on-time rate of each unit month by month"), _Table("grid"), []
    by_unit: dict[str, dict[str, Unit]] = {}
    for one in months:
        for u in one.units:
            by_unit.setdefault(u.unit, {})[one.period] = u
    for name, there in by_unit.items():
        if all(u.rate is None for u in there.values()):
            continue
        values = [there[period].rate if period in there else None for period in names]
        drawn.append((name, values))
        table.row(name, *(
            (percent(value, word) if value is not None else "—", f"{period} {word('over the limit')}",
             there[period].late if period in there else Tally())
            for period, value in zip(names, values, strict=True)))  # fmt: skip
    yield table.chart(title, plots.grid("grid", title, drawn, heads), [word("unit"), *heads])


def _times(f: Figures, word: Callable[[str], str]) -> Iterator[Chart]:
    measured = [(word("time to the first report"), f.to_report), (word("time to the acknowledgement"), f.to_acknowledge)]
    measured = [(name, one) for name, one in measured if one.count]
    if not measured:
        return
    title, table, rows = word("how long it took, in minutes"), _Table("times"), []
    names = [word("half within"), word("nine in ten within"), word("longest")]
    for name, one in measured:
        table.row(name, *_spread(one), _count(Tally(one.count, one.incidents), word("measured, the slowest first")))
        for which, value in zip(names, (one.median, one.ninth, one.longest), strict=True):
            rows.append(Bar(label=f"{name} · {which}", parts=(value or 0.0,), shown=f"{value:g}"))
    # The longest may be days where half are minutes: what matters is drawn to scale, the longest as long as there is room.
    top = max((one.ninth or 0) * 1.5 for _name, one in measured) or None
    yield table.chart(title, plots.bars("times", title, rows, top=top), ["", *names, word("incidents")])


def _pace(months: Sequence[Figures], word: Callable[[str], str]) -> Iterator[Chart]:
    heads = [one.period[-2:].lstrip("0") for one in months]
    both = (
        ("report", word("event to first report, by month"), [one.to_report for one in months]),
        ("acknowledge", word("first report to acknowledgement, by month"), [one.to_acknowledge for one in months]),
    )
    for key, title, spreads in both:
        if not any(one.count for one in spreads):
            continue
        table = _Table(key)
        for month, one in zip(months, spreads, strict=True):
            table.row(month.period, *_spread(one), _count(Tally(one.count, one.incidents), word("measured, the slowest first")))
        lines = [Line(name=word("half within"), values=tuple(one.median for one in spreads)),
                 Line(name=word("nine in ten within"), values=tuple(one.ninth for one in spreads))]  # fmt: skip
        columns = [word("month"), word("half within"), word("nine in ten within"), word("longest"), word("incidents")]
        yield table.chart(title, plots.trend(key, title, heads, lines), columns)


def _units_pace(f: Figures, word: Callable[[str], str]) -> Iterator[Chart]:
    units = sorted((u for u in f.units if u.to_report.count), key=lambda u: -(u.to_report.median or 0))
    if not units:
        return
    title, table = word("event to first report, by unit (half within, minutes)"), _Table("pace")
    for u in units:
        tally = Tally(u.to_report.count, u.to_report.incidents)
        table.row(u.unit, *_spread(u.to_report), _count(tally, word("measured, the slowest first")))
    rows = [Bar(label=u.unit, parts=(u.to_report.median or 0.0,), shown=f"{u.to_report.median:g}") for u in units]
    columns = [word("unit"), word("half within"), word("nine in ten within"), word("longest"), word("incidents")]
    yield table.chart(title, plots.bars("pace", title, rows), columns)


def _clocks(f: Figures, word: Callable[[str], str]) -> Iterator[Chart]:
    fates = {
        "in_time": word("in time"), "late": word("done too late"), "open": word("ran out, not done"),
        "excused": word("excused by a person"), "running": word("still running"), "waived": word("waived"),
    }  # fmt: skip
    known = [clock for clock in f.clocks if any(getattr(clock, fate).count for fate in FATES)]
    if not known:
        return
    title, table, rows = word("what became of the clocks"), _Table("clocks"), []
    for clock in known:
        tallies: list[Tally] = [getattr(clock, fate) for fate in FATES]
        table.row(clock.title, *(_count(tally, name) for tally, name in zip(tallies, fates.values(), strict=True)))
        parts = tuple(float(tally.count) for tally in tallies)
        rows.append(Bar(label=clock.title, parts=parts, shown=f"{clock.passed.count}/{sum(tally.count for tally in tallies)}"))
    yield table.chart(title, plots.bars("clocks", title, rows, list(fates.values())), [word("clock"), *fates.values()])


def _lines(key: str, title: str, head: str, lines: Sequence[tuple[str, Tally]], word: Callable[[str], str]) -> Iterator[Chart]:
    if not lines:
        return
    table = _Table(key)
    for name, tally in lines:
        table.row(name, _count(tally, word("incidents")))
    rows = [Bar(label=name, parts=(float(tally.count),), shown=str(tally.count)) for name, tally in lines]
    yield table.chart(title, plots.bars(key, title, rows), [head, word("incidents")])


def _counties(f: Figures, places: Places, word: Callable[[str], str]) -> Iterator[Chart]:
    """A map where the gazetteer says where the counties lie, else bars. What lies nowhere known is in the table."""
    lines = [(line.name, line.tally) for line in f.counties]
    title = word("incidents by county")
    if not places:
        yield from _lines("counties", title, word("county or district"), lines, word)
        return
    counted = dict(lines)
    table = _Table("counties")
    for name in dict.fromkeys([*counted, *places]):
        if name != UNKNOWN:
            table.row(name, _count(counted.get(name, Tally()), word("incidents")))
    if UNKNOWN in counted:
        table.row(UNKNOWN, _count(counted[UNKNOWN], word("incidents")))
    spots = [Place(name=name, lon=lon, lat=lat, count=counted.get(name, Tally()).count) for name, (lon, lat) in places.items()]
    yield table.chart(title, plots.bubbles("counties", title, spots), [word("county or district"), word("incidents")])


def _count(tally: Tally, what: str) -> tuple[str, str, Tally]:
    return str(tally.count), what, tally


def _spread(one: Spread) -> tuple[str, str, str]:
    return tuple("—" if value is None else f"{value:g}" for value in (one.median, one.ninth, one.longest))  # type: ignore[return-value]


def _joined(tallies: Iterator[Tally]) -> tuple[int, tuple[str, ...]]:
    every = tuple(sorted({number for one in tallies for number in one.incidents}))
    return len(every), every
