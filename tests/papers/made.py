"""A register for figures: incidents, matters, messages and acknowledgements written as the rooms write them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.duty.matter import Follow, Judged, Matter, Running
from gateway.core.model import Event, Figure, Incident, Occurred, Place, Report, Severity
from gateway.store import Store, Tx, incidents, journal, matters

CITY = ZoneInfo("Asia/Shanghai")
LIMITS = {"initial": 30, "phone": 60, "written": 120, "province": 240, "centre": 360, "missed": 1440}


def local(text: str) -> datetime:
    """2026-03-05T22:30, in the city."""
    return datetime.fromisoformat(text).replace(tzinfo=CITY)


def clocks(start: datetime, stopped: datetime | None, over: Iterable[str] = ()) -> tuple[Running, ...]:
    """Every clock of the example from ``start``; those of ``over`` have passed."""
    made = []
    for name, minutes in LIMITS.items():
        due = start + timedelta(minutes=minutes)
        state = "passed" if name in over else "stopped"
        made.append(Running(clock=name, due=due, state=state, stopped_at=stopped))
    return tuple(made)


def case(number: str, start: datetime, report: datetime, unit: str, **more: Any) -> tuple[Incident, Matter]:
    """An incident that ``unit`` answers for, and its matter."""
    late = report > start + timedelta(minutes=30)
    judged = more.pop("judged", (Judged(kind="迟报", clock="initial"),) if late else ())
    matter = Matter(
        number=number, first_at=report, start=start, follow=Follow(last_at=report), responsible=(unit,), unit_at=report,
        office_responsible=("市委办信息科",), clocks=clocks(start, report, ["initial"] if late else []), judgements=judged,
        estimated=more.pop("estimated", False),
    )  # fmt: skip
    facts = Report(
        text=more.pop("text", f"{unit}报告：某仓库发生火灾，1人死亡。"),
        kind="初报",
        occurred=Occurred(value=start.astimezone(CITY).strftime("%Y-%m-%dT%H:%M"), precision="minute"),
        place=Place(text="新华路", county=more.pop("county", "白水县")),
        deaths=Figure(value=1),
        unit=unit,
    )
    return Incident(
        id=more.pop("id", ""), number=number, title=more.pop("title", f"{unit}某仓库火灾"), state="open",
        items=more.pop("items", ("事故类-4",)), kinds=("fire",), report=facts, first_received_at=report,
        severity=Severity(level=more.pop("level", "一般")), **more,
    ), matter  # fmt: skip


def put(tx: Tx, incident: Incident, matter: Matter | None, sender: str = "", acknowledged: datetime | None = None) -> str:
    """Write it; returns its id."""
    from msgspec.structs import replace

    kept = replace(incident, id=incident.id or tx.new_id())
    incidents.insert(tx, kept)
    incidents.link(tx, kept.id, tx.new_id(), None, sender, kept.first_received_at)
    if matter is not None:
        matters.put(tx, kept.id, matter, None, None)
    if acknowledged is not None:
        data = {"destination": "government_duty_room", "how": "command line"}
        journal.emit(tx, Event(at=acknowledged, event="acknowledged", incident=kept.number, by="李值班", data=data))
    return kept.id


def fill(store: Store, count: int, senders: list[tuple[str, str, str]], year: int = 2026) -> None:
    """``count`` incidents spread over a year, in transactions of 500: each seventh late, each fiftieth confirmed so."""
    begin, span = datetime(year, 1, 1, tzinfo=CITY), 365 * 86_400
    for first in range(0, count, 500):

        def some(tx: Tx, first: int = first) -> None:
            for n in range(first, min(count, first + 500)):
                unit, sender, county = senders[n % len(senders)]
                start = begin + timedelta(seconds=n * span // count)
                report = start + timedelta(minutes=45 if n % 7 == 0 else 5 + n % 25)
                judged: tuple[Judged, ...] = ()
                if n % 7 == 0:
                    judged = (Judged(kind="迟报", clock="initial", state="confirmed" if n % 50 == 0 else "automatic"),)
                made, matter = case(f"{year}-{n + 1:04d}", start, report, unit, judged=judged, county=county,
                                    items=(("事故类-4", "案件类-1", "灾情疫情类-2")[n % 3],))  # fmt: skip
                put(tx, made, matter, sender, report + timedelta(minutes=3 + n % 9))

        store.write_now(some)
