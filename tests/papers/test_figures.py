"""Figures of a period: where it begins and ends, that the sums agree, and what a judgement changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.clocks import Clock
from gateway.core.duty.matter import Follow, Judged, Matter, Running
from gateway.core.figures import Case, Figures, Judgements, Tally, Told, Unit, between, named, reckon
from gateway.core.figures.period import months, title, years
from gateway.core.figures.units import percent
from gateway.core.obligations import Account, Period
from tests.papers.made import CITY, LIMITS, clocks, local

ZONES = [CITY, ZoneInfo("America/New_York"), ZoneInfo("Pacific/Apia"), UTC]
UNITS = {"白水县委办": "白水县", "云台区政府办": "云台区", "塔林旗委办": "塔林旗"}
CLOCKS = tuple(
    Clock(id=name, title=name, minutes=minutes, stopped_by="any",
          responsible="office" if name in ("province", "centre") else "unit")
    for name, minutes in LIMITS.items()
)  # fmt: skip
MARCH = named("2026-03", CITY)


@given(st.integers(1, 9998), st.sampled_from(ZONES))
def test_quarters_and_months_fill_a_year_without_gap_or_overlap(year: int, zone: ZoneInfo) -> None:
    whole = named(f"{year:04d}", zone)
    quarters = [named(f"{year:04d}Q{n}", zone) for n in range(1, 5)]
    each = list(months(whole))
    for parts, count in ((quarters, 4), (each, 12)):
        assert len(parts) == count
        assert (parts[0].start, parts[-1].end) == (whole.start, whole.end)
        assert all(before.end == after.start for before, after in pairwise(parts))
    assert [one for quarter in quarters for one in months(quarter)] == each
    assert list(years(whole)) == [whole]


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 800), st.sampled_from(ZONES))
def test_from_day_to_day_takes_both_days_in_the_city_s_zone(first: date, days: int, zone: ZoneInfo) -> None:
    last = first + timedelta(days=days)
    whole = between(first, last, zone)
    assert whole.start.astimezone(zone).isoformat()[:19] == f"{first}T00:00:00" or zone.key == "Pacific/Apia"
    assert (whole.end - timedelta(microseconds=1)).astimezone(zone).date() in (last, last - timedelta(days=1))
    assert all(whole.start <= one.start and one.end <= whole.end for one in months(whole))


@pytest.mark.parametrize("text", ["2026Q5", "2026Q0", "2026-13", "26Q1", "Q1", "2026q", "", "0000Q1", "９９Q1", "2026-03-01"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        named(text, CITY)
    with pytest.raises(ValueError):
        between(date(2026, 3, 2), date(2026, 3, 1), CITY)


def test_a_period_is_named_as_papers_name_it() -> None:
    assert [title(named(one, CITY)) for one in ("2026-09", "2026Q3", "2026")] == ["2026年9月", "2026年第三季度", "2026年"]
    assert title(between(date(2026, 9, 1), date(2026, 9, 15), CITY)) == "2026年9月1日至2026年9月15日"


def one(number: str = "2026-0001", start: str = "2026-03-05T22:30", minutes: int = 20, unit: str = "白水县委办",
        judged: tuple[Judged, ...] | None = None, **more: object) -> Case:  # fmt: skip
    began = local(start)
    report = began + timedelta(minutes=minutes)
    over = ["initial"] if minutes > 30 else []
    automatic = (Judged(kind="迟报", clock="initial"),) if over else ()
    matter = Matter(
        number=number, first_at=report, start=began, follow=Follow(last_at=report), unit_at=report, responsible=(unit,),
        office_responsible=("市委办信息科",), clocks=clocks(began, report, over), judgements=automatic if judged is None else judged,
    )  # fmt: skip
    given_ = {"title": "某仓库火灾", "state": "open", "items": ("事故类-4",), "county": UNITS.get(unit, ""), **more}
    return Case(number=number, first_at=report, matter=matter, acknowledged_at=report + timedelta(minutes=7), **given_)  # type: ignore[arg-type]


def figures(*cases: Case, whole: Period = MARCH, accounts: tuple[Account, ...] = (), told: tuple[Told, ...] = ()) -> Figures:
    return reckon(whole, cases, told, accounts, CLOCKS, rate_clock="initial", names=UNITS, now=local("2026-04-02T09:00"))


def unit(found: Figures, name: str = "白水县委办") -> Unit:
    return next((each for each in found.units if each.unit == name), Unit(unit=name))


def test_the_instant_of_the_limit_decides_the_period() -> None:
    """An event of the last minutes of a month, whose limit lies in the next one, is due there; it is counted where it came."""
    case = one(start="2026-03-31T23:40", minutes=10)  # reported 23:50, due 00:10 on 1 April
    march, april = figures(case), figures(case, whole=named("2026-04", CITY))
    assert (march.incidents.count, march.due) == (1, 0)
    assert (april.incidents.count, april.due, april.rate) == (0, 1, 100.0)
    midnight = one(start="2026-03-31T23:30", minutes=10)
    assert (figures(midnight).due, figures(midnight, whole=named("2026-04", CITY)).due) == (0, 1), "exactly midnight is April"


def test_nothing_due_is_no_hundred_percent_and_has_no_rank() -> None:
    found = figures(one())
    assert [(u.unit, u.rate, u.rank) for u in found.units] == [
        ("白水县委办", 100.0, 1), ("云台区政府办", None, None), ("塔林旗委办", None, None)
    ]  # fmt: skip
    empty = figures()
    assert empty.empty and empty.rate is None and not found.empty
    assert percent(0, 0) is None and percent(999, 1000) == 99.9 and percent(1999, 2000) == 99.9, "never rounded up"


def test_late_missed_and_what_went_on() -> None:
    late = one("2026-0001", minutes=45)
    start = local("2026-03-05T08:00")
    never = replace(
        one("2026-0002").matter, unit_at=None,  # type: ignore[type-var]
        clocks=tuple(Running(clock=n, due=start + timedelta(minutes=m), state="passed") for n, m in LIMITS.items()),
        judgements=(Judged(kind="迟报", clock="initial"), Judged(kind="漏报", clock="missed")),
    )  # fmt: skip
    found = figures(late, replace(one("2026-0002"), matter=never))
    mine = unit(found)
    assert (mine.due, mine.done, mine.late.incidents) == (2, 0, ("2026-0001", "2026-0002"))
    judged = mine.judged
    assert judged.late == Tally(1, ("2026-0001",)) and judged.missed == Tally(1, ("2026-0002",)), "missed is not late besides"
    initial = next(c for c in found.clocks if c.clock == "initial")
    assert (initial.late.incidents, initial.open.incidents) == (("2026-0001",), ("2026-0002",))
    running = replace(never, clocks=(Running(clock="initial", due=start),), judgements=())
    assert figures(replace(one("2026-0003"), matter=running)).due == 0, "what still runs is not due"


def test_obligations_are_due_beside_first_reports() -> None:
    def account(state: str, sent: int) -> Account:
        return Account(rule="r", unit="白水县委办", person="张明", period="2026-03", due=MARCH.end, owed=3, sent=sent, late=0,
                       state=state)  # type: ignore[arg-type]  # fmt: skip

    done = unit(figures(one(), accounts=(account("missing", 1),)))
    assert (done.owed, done.owed_done, done.due, done.done, done.rate) == (3, 1, 4, 2, 50.0)
    going = unit(figures(one(), accounts=(account("due", 1),)))
    assert (going.due, going.done) == (2, 2), "what may still come is not missing"
    more = unit(figures(one(), accounts=(account("met", 9),)))
    assert (more.due, more.done, more.rate) == (4, 4, 100.0), "more than owed is no more than all"


def test_concealment_is_stated_only_where_a_person_confirmed_it() -> None:
    def judged(kind: str, state: str) -> Judgements:
        return figures(one(judged=(Judged(kind=kind, state=state),))).judged  # type: ignore[arg-type]

    assert judged("疑似瞒报", "automatic") == Judgements(suspected=Tally(1, ("2026-0001",)))
    assert judged("瞒报", "confirmed") == Judgements(concealed=Tally(1, ("2026-0001",)))
    assert judged("疑似瞒报", "confirmed") == judged("疑似瞒报", "automatic"), "that it is suspected is all that was confirmed"
    assert judged("疑似瞒报", "lifted") == Judgements()


def test_an_office_is_judged_for_its_own_clocks() -> None:
    found = figures(one(judged=(Judged(kind="迟报", clock="province"),)))
    assert [(o.office, o.judged.late.count) for o in found.offices] == [("市委办信息科", 1)]
    assert unit(found).judged.total == 0


MINUTES = st.integers(0, 200)
CASES = st.lists(
    st.builds(
        lambda n, day, minutes, who, item, state, judged: (n, day, minutes, who, item, state, judged),
        st.integers(1, 9999), st.integers(1, 58), MINUTES, st.sampled_from([*UNITS, "未登记单位"]),
        st.sampled_from(["事件类-1", "案件类-2", "事故类-4", "灾情疫情类-3"]),
        st.sampled_from(["open", "followed_up", "closed", "below_threshold", "drill", "merged"]),
        st.sampled_from(["automatic", "confirmed", "lifted"]),
    ),
    max_size=25, unique_by=lambda row: row[0],
)  # fmt: skip


def built(rows: list[tuple[int, int, int, str, str, str, str]]) -> list[Case]:
    return [
        one(f"2026-{n:04d}", (local("2026-02-15T12:00") + timedelta(days=day)).isoformat()[:16], minutes, who, items=(item,),
            state=state, judged=(Judged(kind="迟报", clock="initial", state=judged),) if minutes > 30 else ())  # type: ignore[arg-type]
        for n, day, minutes, who, item, state, judged in rows
    ]  # fmt: skip


@given(CASES)
def test_the_sums_agree(rows: list[tuple[int, int, int, str, str, str, str]]) -> None:
    found = figures(*built(rows))
    for lines in (found.kinds, found.counties, found.levels if found.levels else found.kinds):
        assert sum(line.tally.count for line in lines) == found.incidents.count
        assert sorted(n for line in lines for n in line.tally.incidents) == sorted(found.incidents.incidents)
    assert (sum(u.due for u in found.units), sum(u.done for u in found.units)) == (found.due, found.done)
    initial = next(c for c in found.clocks if c.clock == "initial")
    assert initial.in_time.count + initial.late.count + initial.open.count + initial.excused.count == found.due
    for each in found.units:
        assert each.due == each.in_time.count + each.late.count + each.owed and each.done <= each.due
    places = [u.rank for u in found.units if u.rate is not None]
    assert sorted(places) == sorted(places) and (not places or min(places) == 1) and max(places, default=0) <= len(places)
    for tally in tallies(found):
        assert tally.count == len(set(tally.incidents)) == len(tally.incidents)


def tallies(found: Figures) -> list[Tally]:
    def within(value: object) -> list[Tally]:
        if isinstance(value, Tally):
            return [value]
        if isinstance(value, tuple):
            return [t for v in value for t in within(v)]
        return [t for n in value.__struct_fields__ for t in within(getattr(value, n))] if isinstance(value, msgspec.Struct) else []

    return within(found)


@given(CASES, st.data())
def test_a_revised_judgement_changes_exactly_its_numbers(
    rows: list[tuple[int, int, int, str, str, str, str]], data: st.DataObject
) -> None:
    cases = built(rows)
    late = [c for c in cases if c.matter is not None and c.matter.judgements and c.state in ("open", "followed_up", "closed")]
    if not late:
        return
    case = data.draw(st.sampled_from(late))
    assert case.matter is not None
    due = case.matter.clocks[0].due
    who = case.matter.responsible[0]

    def with_state(state: str) -> Figures:
        judged = (Judged(kind="迟报", clock="initial", state=state),)  # type: ignore[arg-type]
        changed = replace(case, matter=replace(case.matter, judgements=judged))  # type: ignore[type-var]
        return figures(*(changed if c is case else c for c in cases))

    automatic, confirmed, lifted = (with_state(state) for state in ("automatic", "confirmed", "lifted"))
    inside = int(MARCH.start <= due < MARCH.end)
    before, after, excused = (unit(f, who) for f in (automatic, confirmed, lifted))
    assert after.judged.late_confirmed.count - before.judged.late_confirmed.count == inside
    assert before.judged.late.count - after.judged.late.count == inside
    assert replace(after, judged=before.judged) == before, "confirming changes nothing but what is confirmed"  # type: ignore[type-var]
    assert excused.done - before.done == inside and excused.due == before.due
    others = [[u for u in f.units if u.unit != who] for f in (automatic, confirmed, lifted)]
    assert [[replace(u, rank=None) for u in f] for f in others] == [[replace(u, rank=None) for u in others[0]]] * 3
    same: Callable[[Figures], tuple[object, ...]] = lambda f: (f.reports, f.incidents, f.kinds, f.counties, f.to_report)  # noqa: E731
    assert same(automatic) == same(confirmed) == same(lifted)


def test_how_long_it_took_with_the_slowest_first() -> None:
    found = figures(one("2026-0001", minutes=10), one("2026-0002", minutes=30), one("2026-0003", minutes=50))
    took = found.to_report
    assert (took.count, took.median, took.ninth, took.longest) == (3, 30.0, 50.0, 50.0)
    assert took.incidents == ("2026-0003", "2026-0002", "2026-0001")
    assert found.to_acknowledge.median == 7.0
    unsure = one("2026-0004", minutes=500)
    unsure = replace(unsure, matter=replace(unsure.matter, estimated=True))  # type: ignore[type-var]
    assert figures(unsure).to_report.count == 0, "an estimated time measures nothing"


def test_reports_are_counted_by_their_own_time_and_sender() -> None:
    at: datetime = local("2026-03-10T09:00")
    found = figures(one(), told=(Told(unit="白水县委办", at=at, number="2026-0001"), Told(unit="白水县委办", at=at, number="2026-0001"),
                                 Told(unit="", at=at, number="2026-0001")))  # fmt: skip
    assert unit(found).reports == Tally(2, ("2026-0001",))
    assert (found.reports.count, found.unregistered.count) == (3, 1)
