"""Where an incident goes now: every router is asked, and each office that one of them names is queued the incident, in the
transaction that decided it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway import alarms
from gateway.core import outgoing, render
from gateway.core.calendar import Moment
from gateway.core.model import Destination, Event, Incident
from gateway.house import House
from gateway.i18n import _
from gateway.outbox import put
from gateway.store import Tx, deliveries, journal

SENT = ("receive", "inform", "cooperate")
"""The duties with which an office is sent an incident."""


@dataclass(frozen=True, slots=True)
class Came:
    """What offices are shown of the message for which an incident is sent. ``stage`` is what the report is called (续报二)."""

    message: str
    channel: str
    sender: str
    pages: int = 0
    stage: str = ""


def send(
    tx: Tx, house: House, incident: Incident, came: Came, moment: Moment, now: datetime, have: tuple[Destination, ...] = ()
) -> tuple[Destination, ...]:
    """Queue ``incident`` for the offices of ``moment`` and for those that ``have`` it already; all of this on record."""
    named = _named(tx, house, incident, came, moment, now, have)
    values = render.incident_values(
        incident, city=house.config.city, received_at=moment.local, channel=came.channel, sender=came.sender
    )
    values["pages"] = str(came.pages or "")
    values["kind"] = came.stage or values["kind"]
    values["signed"] = "" if incident.report.signed_by else "未审签，已请补签"
    config = house.config
    form = outgoing.form_of(incident)
    made, unreachable = outgoing.drafts(
        incident, list(named.values()), config.directory, config.templates, values, form, house.on_paper
    )
    put(tx, house, came.message, incident.id, made, now)
    data = {"destinations": list(named), "why": moment.why, "working_hours": moment.working}
    _emit(tx, house, incident, came, now, "routed", data)
    for office in unreachable:
        _alarm(tx, house, incident, came, now, _("no way leads to {office}").format(office=office), office=office)
    if not moment.known:
        text = _("the holidays of {year} are not known: taken as out of hours").format(year=moment.local.year)
        _alarm(tx, house, incident, came, now, text)
    return tuple(named.values())


def _named(
    tx: Tx, house: House, incident: Incident, came: Came, moment: Moment, now: datetime, have: tuple[Destination, ...]
) -> dict[str, Destination]:
    directory = house.config.directory
    named: dict[str, Destination] = {}
    for name, router in house.routers.items():
        try:
            for destination in router.route(incident, moment, directory):
                named.setdefault(destination.office, destination)
        except Exception as error:
            text = _("a router failed: {error}").format(error=type(error).__name__)
            _alarm(tx, house, incident, came, now, text, plugin=name)
    for destination in have:
        named.setdefault(destination.office, destination)
    if not named:
        # Better too many than nobody.
        _alarm(tx, house, incident, came, now, _("no router named an office: sent to every office"))
        named = {o.id: Destination(office=o.id, because="no route") for o in directory.offices if o.role == "office"}
    return named


def sent_before(tx: Tx, house: House, incident: Incident, because: str) -> tuple[Destination, ...]:
    """The offices that were sent this incident before, with the duty they had. The level above hears of it after the sign-off,
    and whoever was only reminded or asked was not sent it."""
    rows = reversed(deliveries.rows(tx, incident=incident.id, limit=1000))  # as they were sent: who receives comes first
    offices = [row for row in rows if row.duty in SENT and house.config.directory.office(row.destination) is not None]
    have = [Destination(office=row.destination, because=because, duty=row.duty) for row in offices]  # type: ignore[arg-type]
    return tuple({destination.office: destination for destination in have}.values())


def _alarm(tx: Tx, house: House, incident: Incident, came: Came, now: datetime, why: str, **data: Any) -> None:
    """Something about the way of this incident that a person must look at; it went out all the same."""
    _emit(tx, house, incident, came, now, "alarm", data=alarms.fields("routing", why, **data))


def _emit(tx: Tx, house: House, incident: Incident, came: Came, now: datetime, name: str, data: dict[str, Any]) -> None:
    data = {**data, "rules": house.config.version}
    journal.emit(tx, Event(at=now, event=name, incident=incident.number, message=came.message, data=data))
