"""What a one-time link is good for at this instant, and acknowledging by it. Each function is part of one transaction.

Whoever holds the link speaks for the office that it was sent to, and names the person who has it. A link that was used, is too
old, was overtaken by a graver report or is none of ours is refused.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from gateway.core.directory import Office, sender_key
from gateway.core.duty.matter import Offer
from gateway.core.model import Incident
from gateway.duty import links
from gateway.duty.acts import Act, Actor, Refused
from gateway.house import House
from gateway.i18n import _
from gateway.store import NotFound, Tx, deliveries, incidents, matters

HOW = "link"
State = Literal["open", "used", "expired", "overtaken", "forged"]


class Link(Struct, frozen=True, kw_only=True):
    """A link as it stands now. ``persons`` are who may confirm, ``likely`` the one whose own number or address it was sent to;
    ``by`` and ``at`` say who used it."""

    state: State
    incident: Incident | None = None
    office: str = ""
    name: str = ""
    persons: tuple[str, ...] = ()
    likely: str = ""
    by: str = ""
    at: datetime | None = None


def look(tx: Tx, house: House, token: str, now: datetime) -> Link:
    """What the link of ``token`` is good for at ``now``."""
    row = deliveries.known(tx, links.delivery_of(tx.keys, token) or "")
    office = house.config.directory.office(row.destination) if row is not None else None
    if row is None or row.incident is None or office is None:
        return Link(state="forged")
    try:
        incident = incidents.get(tx, row.incident)
    except NotFound:
        return Link(state="forged")
    offer = _offer(tx, incident, office.id)
    by, at = (row.acknowledged_by or "", row.acknowledged_at)
    if not by and offer is not None and offer.acknowledged_at is not None:
        by, at = offer.acknowledged_by, offer.acknowledged_at
    likely = next((p.name for p in office.persons if sender_key(row.address) in map(sender_key, p.senders)), "")
    return Link(
        state=_state(house, row, offer, by, now),
        incident=incident,
        office=office.id,
        name=office.name,
        persons=_persons(house, office, likely, now),
        likely=likely,
        by=by,
        at=house.local(at) if at else None,
    )


def _state(house: House, row: deliveries.DeliveryRow, offer: Offer | None, by: str, now: datetime) -> State:
    if offer is not None and offer.round > 1 and row.created_at < offer.offered_at:
        # A graver report was sent since, with a link of its own: who opens the old one, used or not, has not seen it.
        return "overtaken"
    if by:
        return "used"
    return "expired" if now > row.created_at + timedelta(hours=house.config.links.hours) else "open"


def _offer(tx: Tx, incident: Incident, office: str) -> Offer | None:
    kept = matters.get(tx, incident.id)
    return kept.matter.offer(office) if kept is not None else None


def _persons(house: House, office: Office, likely: str, now: datetime) -> tuple[str, ...]:
    """Who is on duty there, and whose own number it was sent to; where nobody is, every person of the office."""
    roster = house.config.roster
    there = (*roster.on_duty(office.id, now), *roster.leaders(office.id, now), *((likely,) if likely else ()))
    known = tuple(name for name in dict.fromkeys(there) if office.person(name))
    return known or tuple(person.name for person in office.persons)


def acknowledge(tx: Tx, house: House, token: str, person: str, now: datetime) -> Link:
    """``person`` has it. Any registered person of the office may be named, for shifts change while a page is open.

    Raises ``Refused``; the caller puts the attempt on record.
    """
    link = look(tx, house, token, now)
    if link.state != "open" or link.incident is None:
        raise Refused(why(link))
    Act(tx, house, now).acknowledge(link.incident, link.office, Actor(person=person, how=HOW))
    return look(tx, house, token, now)


def why(link: Link) -> str:
    """Why a link is refused, in words for whoever holds it and for the record."""
    if link.state == "used":
        return _("this link was used: {person} of {office} has it").format(person=link.by, office=link.name)
    if link.state == "expired":
        return _("this link is too old")
    if link.state == "overtaken":
        return _("a newer report of this incident was sent since; use the link in it")
    return _("this is no link of ours")
