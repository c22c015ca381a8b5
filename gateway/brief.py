"""The morning brief (值班快报): what came in within the last 24 hours, to the leaders, at the hour that conf sets.

It goes by the ordinary deliveries of the offices that conf names; what leaves by fax or printer leaves as the paper it is. Of a
sensitive incident it says the number alone. A brief that fell due while the gateway was down goes out at its next start, once,
and tells of the 24 hours before its own hour.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core import render
from gateway.core.figures.model import Case
from gateway.core.model import Event
from gateway.core.obligations import Period
from gateway.i18n import _
from gateway.papers import blocks, compose, templates
from gateway.papers.making import wording
from gateway.papers.standby import WHOLE
from gateway.papers.templates import TemplateFault
from gateway.settings import Config
from gateway.stats import Gathered, gather
from gateway.store import Tx, deliveries, journal, purge

CHORE = "brief"
SPAN = timedelta(hours=24)
LATEST = timedelta(hours=12)
"""A brief that is later than this is of no use: the next one comes at its hour."""
Troubles = list[tuple[str, dict[str, Any]]]
"""Kinds of alarms, each with what is said."""
_STATES = {"open": "处置中", "followed_up": "续报中", "closed": "已结案"}


def next_hour(now: datetime, config: Config) -> datetime:
    """The next time it is that hour in the city."""
    local = now.astimezone(ZoneInfo(config.timezone))
    today = local.replace(hour=config.papers.brief.hour, minute=0, second=0, microsecond=0)
    return today if today > local else today + timedelta(days=1)


def hours(at: datetime, config: Config) -> Period:
    """The 24 hours before ``at``."""
    local = at.astimezone(ZoneInfo(config.timezone))
    return Period(local - SPAN, local, f"{local:%Y-%m-%d}")


def html(config: Config, found: Gathered, whole: Period, on_fault: Callable[[TemplateFault], None]) -> str:
    """The paper."""
    rules, figures = config.papers, found.figures
    document = compose.doc(
        rules, config.city, whole.end, title=title(config, whole), marking=rules.paper.marking, head=rules.brief.head,
        number=f"{whole.end.year}年第{whole.end.timetuple().tm_yday}期", to=rules.paper.to,
        printed_by=rules.paper.issuer or f"{config.city}值班室",
    )  # fmt: skip
    period = f"{_clock(whole.start)}至{_clock(whole.end)}"
    cases = tuple(_case(found.cases[number], config) for number in figures.incidents.incidents)
    values = {
        "doc": document, "conf": compose.conf(rules), "f": figures, "period": period, "cases": cases,
        "numbers": compose.numbers, "minutes": compose.minutes, "percent": compose.percent,
    }  # fmt: skip
    return templates.fill("brief.html", config.paper_templates, values, on_fault)


def _clock(at: datetime) -> str:
    return f"{at.month}月{at.day}日{at.hour}时"


def _case(case: Case, config: Config) -> SimpleNamespace:
    zone = ZoneInfo(config.timezone)
    first = case.first_at.astimezone(zone)
    taken = case.acknowledged_at.astimezone(zone) if case.acknowledged_at else None
    return SimpleNamespace(
        number=render.display_number(case.number), title=compose.SENSITIVE if case.sensitive else case.title,
        items="" if case.sensitive else "、".join(case.items), county="" if case.sensitive else case.county,
        level="" if case.sensitive else case.level, received_at=f"{first.day}日{first:%H}时{first:%M}分",
        state=_STATES.get(case.state, ""), acknowledged=f"{taken.day}日{taken:%H}时{taken:%M}分签收" if taken else "未签收",
    )  # fmt: skip


def send(tx: Tx, config: Config, now: datetime) -> tuple[list[str], Troubles]:
    """Queue the brief that is due, and note when the next is. Returns whom it goes to, and what is to be alarmed."""
    at, after = purge.next_at(tx, CHORE), next_hour(now, config)
    if at is None or at > now:
        # The first start, or another hour was set since.
        if at is None or at > after:
            purge.note_next(tx, CHORE, after, None)
        return [], []
    purge.note_next(tx, CHORE, after, now)
    if not config.papers.brief.offices or now - at > LATEST:
        return [], []
    troubles: Troubles = []

    def told(fault: TemplateFault) -> None:
        troubles.append(("paper", {"why": wording(fault)}))

    whole = hours(at, config)
    found = gather(tx, config, whole, now)
    page = html(config, found, whole, told)
    content = deliveries.Content(
        subject=f"【{config.city}】{title(config, whole)}",
        text=blocks.text(page),
        short_text=short(config, found, whole),
        paper={WHOLE: page},
    )
    sent = []
    for office in map(config.directory.office, config.papers.brief.offices):
        if office is None or not office.ways:
            name = office.name if office else ""
            troubles.append(("routing", {"why": _("no way leads to {office}").format(office=name), "office": name}))
            continue
        row = deliveries.DeliveryRow(
            id=tx.new_id(), incident=None, message=None, destination=office.id, duty="inform",
            transport=office.ways[0].transport, address=office.ways[0].address, created_at=now, next_try_at=now,
            ways=office.ways[1:],
        )  # fmt: skip
        deliveries.insert(tx, row, content)
        sent.append(office.id)
    if sent:
        data: dict[str, Any] = {"destinations": sent, "from": whole.start, "to": whole.end}
        journal.emit(tx, Event(at=now, event="briefed", data=data))
    return sent, troubles


def title(config: Config, whole: Period) -> str:
    """3月6日值班快报."""
    return f"{whole.end.month}月{whole.end.day}日{config.papers.brief.head}"


def short(config: Config, found: Gathered, whole: Period) -> str:
    """The figures alone, for a short message."""
    figures = found.figures
    text = f"【{config.city}{config.papers.brief.head}】{_clock(whole.start)}至{_clock(whole.end)}，"
    text += f"登记事件{figures.incidents.count}起"
    if figures.incidents.count:
        text += f"（{compose.numbers(figures.incidents, 5)}）"
    waiting = f"，未签收{figures.unacknowledged.count}起" if figures.unacknowledged.count else ""
    return f"{text}{waiting}。"
