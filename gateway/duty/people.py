"""What people do to the register through the command line and the console: each act names the person and the means.

The person is the one named, or the one of the directory whose login on this host asks. Refusals go on record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway import house, joining
from gateway.asked import OperationError, incident_number
from gateway.core.model import Incident
from gateway.duty import acts, by_name
from gateway.duty.acts import Act, Actor
from gateway.house import House
from gateway.i18n import _
from gateway.store import NotFound, Tx, incidents, matters

if TYPE_CHECKING:
    from gateway.operations import Live


def _house(live: Live) -> House:
    return live.house() if live.house is not None else house.build(live.config, bureau_public=b"")


def _incident(live: Live, tx: Tx, number: str) -> Incident:
    """The incident of an act. A number that was never given is an attempt, and goes on record."""
    wanted = incident_number(number, live.now())
    try:
        return incidents.get(tx, wanted)
    except NotFound:
        raise acts.Refused(_("no incident {number}").format(number=wanted)) from None


def _actor(live: Live, by: str, person: str | None, means: str | None) -> Actor:
    """Who acts: the person named, else the one whose login ``by`` is. The peer's login is part of the means."""
    name = person or next(
        (p.name for office in live.config.directory.offices for p in office.persons if p.login and p.login == by), ""
    )
    return Actor(person=name, how=f"{means or 'command line'}, {by}"[:64])


def _shown(live: Live, tx: Tx, incident: Incident) -> dict[str, Any]:
    kept = matters.get(tx, incident.id)
    matter = kept.matter if kept else None
    return {
        "incident": incident.number,
        "number": incident.number,
        "state": incident.state,
        "items": list(incident.items),
        "next_step": incident.next_step,
        "waiting": [live.config.directory.name(o.office) for o in (matter.offers if matter else ()) if o.waits],
    }


def acknowledge(
    live: Live, tx: Tx, by: str, number: str, office: str, person: str | None = None, means: str | None = None
) -> dict[str, Any]:
    """A named person of ``office`` has the incident (签收): what is still queued for that office stops."""
    incident, actor = _incident(live, tx, number), _actor(live, by, person, means)
    act = Act(tx, _house(live), live.now())
    after = act.acknowledge(incident, office, actor)
    name = live.config.directory.name(office)
    return {**_shown(live, tx, after), "office": name, "person": actor.person}


def notify(
    live: Live, tx: Tx, by: str, number: str, office: str, told: str, person: str | None = None, means: str | None = None
) -> dict[str, Any]:
    """An office that received it out of hours names the person it told."""
    incident, actor = _incident(live, tx, number), _actor(live, by, person, means)
    after = Act(tx, _house(live), live.now()).notify(incident, office, told, actor)
    return {**_shown(live, tx, after), "office": live.config.directory.name(office), "told": told}


def do(
    live: Live, tx: Tx, by: str, number: str, act: str, person: str | None = None, means: str | None = None, **args: Any
) -> dict[str, Any]:
    """Any other act by its name; ``args`` as ``by_name.carry_out`` takes them."""
    incident, actor = _incident(live, tx, number), _actor(live, by, person, means)
    if args.get("into"):
        args["into"] = incident_number(str(args["into"]), live.now())
    try:
        after = by_name.carry_out(Act(tx, _house(live), live.now()), act, incident, actor, args)
    except joining.CannotJoin as refused:
        raise OperationError(str(refused)) from None
    return _shown(live, tx, after)


def refusal(live: Live, by: str, name: str, args: dict[str, Any], why: str) -> Callable[[Tx], None]:
    """What puts a refused attempt on record."""
    actor = _actor(live, by, args.get("person"), args.get("means"))

    def write(tx: Tx) -> None:
        try:
            number: str | None = incident_number(str(args.get("number", "")), live.now())
        except OperationError:
            number = None
        what = str(args.get("act") or name)
        acts.refused(tx, live.now(), who=actor.person or by, what=what, why=why, how=actor.how, incident=number)

    return write


WRITES: dict[str, Callable[..., Any]] = {"acknowledge": acknowledge, "notify": notify, "do": do}
