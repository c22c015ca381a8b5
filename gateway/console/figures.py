"""The figures (数据) of a year, a quarter or a month: plots with their tables, and the incidents behind each number.

What is counted is what ``gateway stats`` counts. Counting a year of 18,000 incidents takes two seconds of a processor: it is done
in a thread of the store's readers, once at a time, and kept for a minute.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from msgspec import Struct
from starlette.responses import Response

from gateway.console.call import Call, Page
from gateway.core.figures.period import LAST, named
from gateway.core.obligations import Period
from gateway.i18n import _
from gateway.papers import charts
from gateway.stats import Gathered, gather
from gateway.store import Tx
from gateway.store.ids import instant
from gateway.store.tables import incidents

KEPT, FRESH = 6, timedelta(minutes=1)
"""Periods that are kept counted, and for how long."""
MOST = 1000
"""Incidents behind one number that a page names."""
YEARS = 10
"""Years that the choice of periods offers, the newest first; any other can be asked for by its name in the address."""


class Counted(Struct, frozen=True):
    """A period as it was counted."""

    at: datetime
    found: Gathered


_counting = asyncio.Lock()


def pages() -> Iterable[Page]:
    """The figures, and the incidents behind one of them."""
    yield Page("GET", "/figures", "board", show)
    yield Page("GET", "/figures/incidents", "board", behind)


async def show(call: Call) -> Response:
    """The figures of ``?period=``, 2026, 2026Q3 or 2026-09; without one those of this year."""
    whole = _period(call)
    if whole is None:
        return await _wrong(call)
    found = (await _counted(call, whole)).found
    made = charts.charts(found, places(call), _)
    f = found.figures
    return await call.page(
        "figures.html", f=f, charts=made, period=whole.name, choices=_choices(call, await call.desk.store.read(_first)),
        before=_beside(call, whole, -1), after=_beside(call, whole, 1), rate=charts.percent(f.rate, _),
    )  # fmt: skip


async def behind(call: Call) -> Response:
    """The incidents behind one number, by its key ``?of=``."""
    whole = _period(call)
    if whole is None:
        return await _wrong(call)
    found = (await _counted(call, whole)).found
    key = call.request.query_params.get("of", "")
    what = next((chart.behind[key] for chart in charts.charts(found, places(call), _) if key in chart.behind), None)
    if what is None:
        return await call.problem(404, _("there is no such number in this period"), back=f"/figures?period={whole.name}")
    label, tally = what
    cases = [found.cases[number] for number in tally.incidents[:MOST] if number in found.cases]
    return await call.page("behind.html", label=label, tally=tally, cases=cases, period=whole.name, shown=call.desk.live.shown)


async def _wrong(call: Call) -> Response:
    given = call.request.query_params.get("period", "")[:40]
    text = _("no period: {text}; allowed: a year 2026, a quarter 2026Q3, a month 2026-09").format(text=given)
    return await call.problem(400, text, back="/figures")


async def _counted(call: Call, whole: Period) -> Counted:
    """Counted at most once a minute for each period, and never two at a time."""
    kept: OrderedDict[str, Counted] = call.rooms.counted
    async with _counting:
        now, config = call.desk.live.now(), call.desk.config
        key = f"{whole.name} {config.digest}"
        if key not in kept or not timedelta() <= now - kept[key].at < FRESH:
            found = await call.desk.store.read(lambda tx: gather(tx, config, whole, now, monthly=True))
            kept[key] = Counted(now, found)
            while len(kept) > KEPT:
                kept.popitem(last=False)
        return kept[key]


def places(call: Call) -> charts.Places:
    """Where the counties lie, as far as the gazetteer says."""
    return charts.places(call.desk.config.gazetteer)


def _period(call: Call) -> Period | None:
    given = call.request.query_params.get("period") or f"{call.desk.live.now():%Y}"
    try:
        return named(given, ZoneInfo(call.desk.config.timezone))
    except ValueError:
        return None


def _first(tx: Tx) -> datetime | None:
    found = tx.scalar(sa.select(sa.func.min(incidents.c.first_received_at)))
    return instant(found) if found is not None else None


def _choices(call: Call, first: datetime | None) -> Iterator[tuple[str, list[str]]]:
    """The periods since the first incident: for each year itself, its quarters, its months, as far as they have begun."""
    now = call.desk.live.now()
    begun = first.astimezone(now.tzinfo).year if first else now.year
    for year in range(now.year, max(begun, now.year - YEARS) - 1, -1):
        last = now.month if year == now.year else 12
        quarters = [f"{year:04d}Q{quarter}" for quarter in range(1, (last + 2) // 3 + 1)]
        yield f"{year:04d}", [f"{year:04d}", *quarters, *(f"{year:04d}-{month:02d}" for month in range(1, last + 1))]


def _beside(call: Call, whole: Period, step: int) -> str:
    """The period before or after; empty where it has not begun."""
    at = whole.start - timedelta(days=1) if step < 0 else whole.end + timedelta(days=1)
    if at > call.desk.live.now() or not 1 < at.year < LAST:
        return ""
    if "Q" in whole.name:
        return f"{at.year:04d}Q{(at.month + 2) // 3}"
    return f"{at:%Y-%m}" if "-" in whole.name else f"{at.year:04d}"


