"""Figures from the store, on each back end, without its key: only what belongs to the period, with the first acknowledgement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.core.figures import named
from gateway.core.model import Event
from gateway.settings import Config
from gateway.stats import gather, rate_clock
from gateway.store import Store, StoreKeys, incidents, journal
from gateway.store.copying import Peek
from tests.papers.made import CITY, case, fill, local, put

BAISHUI = "+8613800000001"


def test_a_year_by_months_is_the_year(url: str, config: Config) -> None:
    units = [("白水县委办", BAISHUI, "白水县"), ("云台区政府办", "+8613800000002", "云台区")]
    store = Store.open(url, StoreKeys(bytes(range(32))), lambda: datetime.now(UTC))
    fill(store, 120, units)
    store.close()
    peek = Peek(url)
    try:
        now = local("2027-02-01T09:00")
        whole = peek.read_now(lambda tx: gather(tx, config, named("2026", CITY), now, monthly=True))
        year = whole.figures
        months = [peek.read_now(lambda tx, m=m: gather(tx, config, named(f"2026-{m:02d}", CITY), now)).figures for m in range(1, 13)]
    finally:
        peek.close()
    assert list(whole.months) == months, "each month at once is each month alone"
    assert year.incidents.count == year.reports.count == year.due == 120
    for name in ("incidents", "reports"):
        each = [number for month in months for number in getattr(month, name).incidents]
        assert sorted(each) == list(getattr(year, name).incidents)
    assert (sum(m.due for m in months), sum(m.done for m in months)) == (year.due, year.done)
    late = sorted(n for m in months for u in m.units for n in u.late.incidents)
    assert late == [f"2026-{n + 1:04d}" for n in range(120) if n % 7 == 0]
    assert year.judged.late_confirmed.incidents == ("2026-0001",) and year.to_acknowledge.count == 120
    assert {u.unit: u.reports.count for u in year.units if u.reports.count} == {"白水县委办": 60, "云台区政府办": 60}


def test_an_event_reported_long_after_counts_where_its_limit_lay_and_the_first_acknowledgement_stands(
    url: str, config: Config
) -> None:
    store = Store.open(url, StoreKeys(bytes(32)), lambda: datetime.now(UTC))
    begun, told = local("2026-03-10T09:00"), local("2026-05-02T10:00")

    def write(tx: object) -> None:
        made, matter = case("2026-0001", begun, told, "白水县委办")
        put(tx, made, matter, BAISHUI, told + timedelta(minutes=4))  # type: ignore[arg-type]
        again = Event(at=told + timedelta(hours=9), event="acknowledged", incident="2026-0001", by="李值班",
                      data={"destination": "government_duty_room", "how": "command line"})  # fmt: skip
        journal.emit(tx, again)  # type: ignore[arg-type]
        kept = incidents.get(tx, "2026-0001")  # type: ignore[arg-type]
        incidents.link(tx, kept.id, "late", None, "", told)  # type: ignore[arg-type]

    store.write_now(write)
    now = local("2026-06-01T09:00")
    march, may = (store.read_now(lambda tx, m=m: gather(tx, config, named(m, CITY), now)).figures for m in ("2026-03", "2026-05"))
    year = store.read_now(lambda tx: gather(tx, config, named("2026", CITY), now, monthly=True))
    by_month = {one.period: one for one in year.months}
    store.close()
    assert (by_month["2026-03"], by_month["2026-05"]) == (march, may) and "2026-07" not in by_month, "July has not begun"
    assert (march.due, march.incidents.count, march.reports.count, march.judged.late.incidents) == (1, 0, 0, ("2026-0001",))
    assert (may.due, may.incidents.count, may.reports.count, may.unregistered.count) == (0, 1, 2, 1)
    assert may.to_acknowledge.longest == 4.0


def test_the_rate_is_by_the_clock_whose_silence_is_judged(config: Config) -> None:
    assert rate_clock(config) == "initial"
