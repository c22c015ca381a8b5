"""The board on paper (备用看板): what a duty office needs when the machine is down, read in one transaction, as one HTML page.

Sheets lie about: of what is marked or sensitive they hold the number and that word alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from gateway import reading
from gateway.core import render
from gateway.core.directory import Office
from gateway.core.duty.matter import Given
from gateway.core.model import Incident
from gateway.core.roster import needing
from gateway.duty import calls, work
from gateway.duty.acts import OPEN
from gateway.duty.matter_view import view
from gateway.house import House
from gateway.papers import compose, templates
from gateway.papers.making import said as to_the_log
from gateway.papers.templates import TemplateFault
from gateway.store import Tx, incidents, matters, messages

NOTHING: dict[str, Any] = {"clocks": [], "offices": [], "tellings": [], "signing": None, "instructions": []}
COUNTED = 10_000
"""Open incidents that are counted; beyond that the number is a least."""
PEOPLE = ("deaths", "missing", "trapped", "seriously_injured", "injured", "poisoned", "ill")
WHOLE = "page"
"""The name under which a delivery carries the whole page instead of what an incident's paper says."""
MARKED, SENSITIVE = "涉密，内容见市委机要局", "内容敏感"
ROLES = {
    "on duty": "在班", "next": "下一位", "leader": "带班领导", "secretary-general": "秘书长", "signs": "待审签",
    "reporter": "报告人", "unit": "报送单位", "clerk": "值班员",
}  # fmt: skip


def gather(tx: Tx, house: House, now: datetime) -> SimpleNamespace:
    """Everything on the sheet at ``now``."""
    rules, given = house.config.papers.standby, work.given(house, now)
    sealed = {row.incident for row in messages.rows(tx, states=["quarantined"], limit=COUNTED) if row.incident}
    found = incidents.rows(tx, states=OPEN, limit=COUNTED)
    taken = list(enumerate(found[: rules.most]))
    shown = [_open(tx, one, given, marked=one.id in sealed, calls_too=nth < rules.call_lists) for nth, one in reversed(taken)]
    return SimpleNamespace(
        title=rules.title,
        city=house.config.city,
        made_at=_full(given, now),
        valid_until=_full(given, now + timedelta(minutes=rules.valid_minutes)),
        open=shown,
        count=len(found),
        roster=list(_roster(house, given, now, timedelta(hours=rules.roster_hours))),
    )


def html(sheet: SimpleNamespace, house: House, on_fault: Callable[[TemplateFault], None] = to_the_log) -> str:
    """The page."""
    rules = house.config.papers
    values = {"s": sheet, "conf": compose.conf(rules), "doc": SimpleNamespace(marking=rules.paper.marking)}
    return templates.fill("standby.html", house.config.paper_templates, values, on_fault)


def _open(tx: Tx, incident: Incident, given: Given, *, marked: bool, calls_too: bool) -> SimpleNamespace:
    """One incident. ``hidden`` says why nothing but its number stands there."""
    kept = matters.get(tx, incident.id)
    whole = view(kept.matter, given) if kept else NOTHING
    texts = [incident.title, incident.needs_person or "", incident.next_step or "", incident.report.unit or ""]
    hidden = MARKED if marked or reading.find_marking(texts) else SENSITIVE if incident.sensitive else ""
    severity = incident.severity.level if incident.severity else None
    offices = [one for one in whole["offices"] if one["duty"] == "receive" and not one["handed_to"]]
    return SimpleNamespace(
        number=render.display_number(incident.number),
        hidden=hidden,
        title="" if hidden else incident.title,
        items=() if hidden else incident.items,
        level="" if hidden else severity or "",
        people="" if hidden else "，".join(_people(incident)),
        received=_when(given, incident.first_received_at),
        clocks=[_clock(one) for one in whole["clocks"] if one["state"] in ("running", "passed") and not one["stopped_at"]],
        waiting=[one["name"] for one in offices if not one["has_it"]],
        held=[f"{one['name']} {one['acknowledged_by']} {one['acknowledged_at'][11:16]}" for one in offices if one["has_it"]],
        owed=[] if hidden else list(_owed(incident, whole)),
        calls=list(_calls(tx, incident, kept, given)) if calls_too and not hidden else [],
    )


def _people(incident: Incident) -> Iterator[str]:
    for name in PEOPLE:
        figure = getattr(incident.report, name)
        if figure is not None:
            yield render.figure(name, replace(figure, others=(), why=""))


def _clock(one: dict[str, Any]) -> SimpleNamespace:
    late = one["minutes_left"] is None
    return SimpleNamespace(title=one["title"], due=one["due"][5:16].replace("T", " "), late=late,
                           minutes=one["minutes_late"] if late else one["minutes_left"])  # fmt: skip


def _owed(incident: Incident, whole: dict[str, Any]) -> Iterator[str]:
    if incident.needs_person:
        yield f"待人工：{incident.needs_person}"
    told: dict[str, list[str]] = {}
    for one in whole["tellings"]:
        if one["waits"]:
            told.setdefault(one["of"], []).append(one["whom"])
    for office, whom in told.items():
        yield f"待登记被通知人：{office}→{'、'.join(whom)}"
    if whole["signing"] and whole["signing"]["next"]:
        yield f"待审签：{whole['signing']['next']}"
    for one in whole["instructions"]:
        if not one["done_at"]:
            yield f"督办：{one['owner']}，{one['due'][5:16].replace('T', ' ')}前"


def _calls(tx: Tx, incident: Incident, kept: Any, given: Given) -> Iterator[SimpleNamespace]:
    told = set(incidents.messages_of(tx, incident.id))
    rows = (row for row in messages.rows(tx, incident=incident.id, limit=1000) if row.id in told and row.sender)
    senders = list(dict.fromkeys(row.sender for row in rows))
    for one in calls.calls(kept.matter if kept else None, incident, senders, given):
        yield SimpleNamespace(role=ROLES[one.role], office=one.office, person=one.person, post=one.post, has=one.has_it,
                              phone=_dial(one.phone) or one.mail)  # fmt: skip


def _roster(house: House, given: Given, now: datetime, span: timedelta) -> Iterator[SimpleNamespace]:
    """Who is on duty within ``span``, office by office; where the roster is silent, everybody of the office."""
    config = house.config
    for office in needing(config.roster, config.directory):
        turns = [duty for duty in config.roster.turns(office.id) if duty.start < now + span and now < duty.end]
        for duty in turns:
            throughout = duty.start <= now and now + span <= duty.end
            when = "全程" if throughout else f"{_when(given, duty.start)} 至 {_when(given, duty.end)}"
            yield _person(office, duty.person, ROLES[duty.role], when)
        if not turns:
            for person in office.persons:
                yield _person(office, person.name, person.role, "值班表无记录，按通讯录")


def _person(office: Office, name: str, role: str, when: str) -> SimpleNamespace:
    person = office.person(name)
    return SimpleNamespace(office=office.name, person=name, role=role, when=when, phone=_dial(person.phone) if person else "")


def _dial(number: str) -> str:
    from gateway.wording import phone

    return phone(number) if number else ""


def _full(given: Given, at: datetime) -> str:
    return f"{given.calendar.moment(at).local.year}年{_when(given, at)}"


def _when(given: Given, at: datetime) -> str:
    local = given.calendar.moment(at).local
    return f"{local.month}月{local.day}日 {local:%H:%M}"


