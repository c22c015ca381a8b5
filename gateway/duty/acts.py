"""What a named person does about an incident: acknowledge, name who was told, sign, instruct, waive, correct, judge, close.

Each act is one function inside a transaction. It names the person and the means; whoever is not registered, or may not do it, is
refused, and the attempt goes on record. The command line, replies, links, the console and the simulator all come through here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from msgspec.structs import replace

from gateway import joining
from gateway.core.duty import following, instructing, judging, reach, signing, telling, turn, undoing
from gateway.core.duty.matter import Given, Matter, Note, Send, Settle, Turn, joined
from gateway.core.model import Event, Incident
from gateway.core.render import display_number
from gateway.duty import correcting, reports, work
from gateway.house import House
from gateway.i18n import _
from gateway.store import NotFound, Tx, deliveries, incidents, journal, matters, messages

OPEN = ("open", "followed_up")


class Refused(Exception):
    """The act is refused; the text says why and what is allowed. The attempt is on record."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, by which means. ``strict``: only persons of the directory; else they are taken and marked unverified."""

    person: str
    how: str
    strict: bool = True


@dataclass(frozen=True, slots=True)
class Act:
    """The place where acts happen: one transaction at one instant."""

    tx: Tx
    house: House
    now: datetime

    def acknowledge(self, incident: Incident, office: str, actor: Actor) -> Incident:
        """A named person of ``office`` has it (签收): what is queued for that office stops."""
        destination = self._office(incident, office, actor)
        verified = self._may(incident, actor, (destination,), "acknowledge")
        self._unmerged(incident)
        if not self._offered(incident, destination):
            text = _("{number} was never offered to {office}")
            self._refuse(incident, actor, "acknowledge", text.format(number=incident.number, office=self._name(destination)))
        kept = matters.get(self.tx, incident.id)
        if (by := self._acknowledged_by(incident, destination, kept)) is not None:
            text = _("{number} was acknowledged for {office} by {person} before")
            self._refuse(incident, actor, "acknowledge", text.format(
                number=incident.number, office=self._name(destination), person=by))  # fmt: skip
        if kept is None or kept.matter.offer(destination) is None:
            effect = Settle(office=destination, by=actor.person, how=actor.how, verified=verified)
            work.settle(self.tx, self.house, incident, effect, self.now)
            return incident
        return self._do(incident, lambda m, g: turn.acknowledge(m, g, destination, actor.person, actor.how, verified), kept=kept)

    def notify(self, incident: Incident, office: str, person: str, actor: Actor) -> Incident:
        """An office that received it says whom it told."""
        desk = self._office(incident, office, actor)
        verified = self._may(incident, actor, (desk,), "notify")
        self._unmerged(incident)
        if not self._offered(incident, desk):
            text = _("{number} was never offered to {office}")
            self._refuse(incident, actor, "notify", text.format(number=incident.number, office=self._name(desk)))
        known = any(there.person(person) for there in self.house.config.directory.offices)
        if actor.strict and not known:
            self._refuse(incident, actor, "notify", _("{person} is not in the directory").format(person=person))
        return self._do(
            incident, lambda m, g: telling.notified(m, g, desk, person, actor.person, actor.how, verified and known)
        )

    def approve(self, incident: Incident, actor: Actor, wording: str, level: str = "") -> Incident:
        """One signature of the chain (审签), with its wording; after the last one it goes to the level above."""
        kept = self._kept(incident)
        wanted = kept.matter.signing.level if kept.matter.signing else ""
        signer = self.house.config.duty_rules.signer(level or wanted)
        verified = self._may(incident, actor, signer.offices if signer else (), "approve")
        try:
            return self._do(incident, lambda m, g: signing.approve(m, g, actor.person, wording, level, verified), actor, kept)
        except signing.NotTheirs as refused:
            self._refuse(incident, actor, "approve", str(refused))

    def waive(self, incident: Incident, actor: Actor, reason: str, clocks: tuple[str, ...] = ()) -> Incident:
        """Not for upward, or single clocks freed, by a person with a reason."""
        self._may(incident, actor, self._everybody(), "waive")
        self._reasoned(incident, actor, reason, "waive")
        known = [clock.id for clock in self.house.config.clocks]
        if wrong := [one for one in clocks if one not in known]:
            text = _("no clock {name}; allowed: {known}")
            self._refuse(incident, actor, "waive", text.format(name=wrong[0], known=", ".join(known)))
        return self._do(incident, lambda m, g: signing.waive(m, g, actor.person, reason, clocks), actor)

    def instruct(self, incident: Incident, actor: Actor, wording: str, owner: str, due: datetime | None) -> Incident:
        """A leader's instruction (批示): an item under supervision opens."""
        leaders = tuple(o.id for o in self.house.config.directory.offices if o.role == "leader")
        verified = self._may(incident, actor, leaders, "instruct")
        office = self.house.config.directory.office(owner)
        who = office.id if office else owner
        return self._do(
            incident, lambda m, g: instructing.instruct(m, g, actor.person, wording, who, due, verified), actor
        )

    def done(self, incident: Incident, actor: Actor, item: str, result: str) -> Incident:
        """An item under supervision is done."""
        self._may(incident, actor, self._everybody(), "done")
        try:
            return self._do(incident, lambda m, g: instructing.done(m, g, item, actor.person, result), actor)
        except instructing.NoSuchItem as refused:
            self._refuse(incident, actor, "done", str(refused))

    def judge(self, incident: Incident, actor: Actor, kind: str, reason: str, *, lift: bool = False, clock: str = "") -> Incident:
        """A judgement is made, confirmed or lifted by a person with a reason."""
        self._may(incident, actor, self._everybody(), "judge")
        self._reasoned(incident, actor, reason, "judge")
        if kind not in judging.KINDS:
            text = _("no judgement {kind}; allowed: {known}")
            self._refuse(incident, actor, "judge", text.format(kind=kind, known="、".join(judging.KINDS)))
        try:
            return self._do(
                incident, lambda m, g: judging.judge(m, g, kind, actor.person, reason, lift=lift, clock=clock), actor
            )
        except judging.NotJudged as refused:
            self._refuse(incident, actor, "judge", str(refused))

    def ask(self, incident: Incident, actor: Actor, what: str) -> Incident:
        """The reporter is asked for something, in the office's own words."""
        self._may(incident, actor, self._everybody(), "ask")
        return self._do(incident, lambda m, g: _asked(m, g, what, actor.person), actor)

    def close(self, incident: Incident, actor: Actor, reason: str, *, undoes: str = "") -> Incident:
        """The matter is ended by a person with a reason."""
        self._may(incident, actor, self._everybody(), "close")
        self._reasoned(incident, actor, reason, "close")
        if incident.state not in (*OPEN, "below_threshold"):
            text = _("{number} is {state}; only open incidents can be closed")
            self._refuse(incident, actor, "close", text.format(number=incident.number, state=incident.state))
        closed = incidents.update(self.tx, replace(incident, state="closed", next_step=""))
        work.drop(self.tx, self.house, closed, self.now)
        self._emit(closed, "closed", actor, {"why": reason, "undoes": undoes or None})
        return closed

    def reopen(self, incident: Incident, actor: Actor, reason: str, *, undoes: str = "") -> Incident:
        """A closed matter goes on."""
        self._may(incident, actor, self._everybody(), "reopen")
        self._reasoned(incident, actor, reason, "reopen")
        if incident.state != "closed":
            text = _("{number} is {state}; only closed incidents can be opened again")
            self._refuse(incident, actor, "reopen", text.format(number=incident.number, state=incident.state))
        opened = incidents.update(self.tx, replace(incident, state="open"))
        self._emit(opened, "reopened", actor, {"why": reason, "undoes": undoes or None})
        return self._goes_on(opened)

    def merge(self, incident: Incident, actor: Actor, into: str, reason: str, *, undoes: str = "") -> Incident:
        """It is the same matter as another incident."""
        self._may(incident, actor, self._everybody(), "merge")
        try:
            kept = incidents.get(self.tx, into)
        except NotFound:
            raise Refused(_("no incident {number}").format(number=into)) from None
        rules = self.house.config.catalogue
        whole = joining.merge(
            self.tx, rules, incident, kept, why=reason, by=actor.person, now=self.now, means=actor.how, undoes=undoes
        )
        work.drop(self.tx, self.house, incidents.get(self.tx, incident.id), self.now)
        if whole.state not in OPEN:
            return whole
        return self._do(whole, lambda m, g: (m, ())) if matters.get(self.tx, whole.id) else self._goes_on(whole)

    def split(self, incident: Incident, actor: Actor, reason: str, *, undoes: str = "") -> Incident:
        """It was merged by mistake: it goes on by itself."""
        self._may(incident, actor, self._everybody(), "split")
        opened = joining.split(
            self.tx, incident, why=reason, by=actor.person, now=self.now, means=actor.how, undoes=undoes
        )
        return self._goes_on(opened)

    def correct(self, incident: Incident, actor: Actor, changes: dict[str, Any], reason: str) -> Incident:
        """A person corrects facts, with a reason: items, degree, clocks and offices are decided anew, and whoever has the
        incident gets it as it is now."""
        self._may(incident, actor, self._everybody(), "correct")
        self._reasoned(incident, actor, reason, "correct")
        try:
            facts = {name: correcting.fact(name, value) for name, value in changes.items()}
        except ValueError as fault:
            self._refuse(incident, actor, "correct", str(fault))
        return self.corrected(incident, actor, facts, reason)

    def corrected(
        self, incident: Incident, actor: Actor, changes: dict[str, Any], reason: str, *, undoes: str = ""
    ) -> Incident:
        """The facts of ``changes``, as a report holds them, take the place of those that stood."""
        self._may(incident, actor, self._everybody(), "correct")
        corrected = incidents.update(self.tx, correcting.decided_anew(self.house.config.catalogue, incident, changes))
        kept = {"was": undoing.facts(incident, changes), "became": undoing.facts(corrected, changes)}
        data = {"fields": list(changes), "why": reason, "former": kept, "undoes": undoes or None}
        self._emit(corrected, "corrected", actor, data)
        for name in changes:
            was, became = (correcting.plain(getattr(one.report, name)) for one in (incident, corrected))
            self._emit(corrected, "revised", actor, {"field": name, "from": was, "to": became})
        if set(corrected.items) != set(incident.items):
            fallen = [item for item in incident.items if item not in corrected.items]
            self._emit(corrected, "revised", actor, {"field": "items", "items": list(corrected.items), "fallen": fallen})
        return reports.revised(self.tx, self.house, incident, corrected, self.now, because=reason)

    def release(self, incident: Incident, actor: Actor, reason: str = "") -> Incident:
        """A person has looked at the original: what needed a person goes on its way."""
        self._may(incident, actor, self._everybody(), "release")
        if incident.needs_person is None:
            text = _("{number} needs no person")
            self._refuse(incident, actor, "release", text.format(number=incident.number))
        freed = incidents.update(self.tx, replace(incident, needs_person=None))
        for id_ in incidents.messages_of(self.tx, incident.id):
            if messages.get(self.tx, id_).state == "needs_person":
                messages.set_state(self.tx, id_, "read", incident=incident.id)
        self._emit(freed, "released", actor, {"how": actor.how, "why": reason})
        return reports.revised(self.tx, self.house, incident, freed, self.now, because=reason or _("released"))

    def allow(self, incident: Incident, actor: Actor, what: str) -> None:
        """Raises ``Refused`` for who is no registered person of any office."""
        self._may(incident, actor, self._everybody(), what)

    def move(self, incident: Incident, move: Callable[[Matter, Given], Turn], actor: Actor) -> Incident:
        """A turn of what is to be done about it, by a person."""
        return self._do(incident, move, actor)

    def _do(
        self,
        incident: Incident,
        move: Callable[[Matter, Given], Turn],
        actor: Actor | None = None,
        kept: matters.Kept | None = None,
    ) -> Incident:
        def moved(matter: Matter, given: Given) -> Turn:
            return joined(matter, lambda m: _by(actor, move(m, given)), lambda m: turn.tick(m, given))

        return work.change(self.tx, self.house, incident, self.now, moved, kept or self._kept(incident))

    def _goes_on(self, incident: Incident) -> Incident:
        """An incident is open by this act: what was to be done about it is to be done again, or for the first time."""
        if matters.get(self.tx, incident.id) is None:
            return reports.opened(self.tx, self.house, incident, self.now)
        return self._do(incident, _reopened)

    def _kept(self, incident: Incident) -> matters.Kept:
        kept = matters.get(self.tx, incident.id)
        if kept is None:
            text = _("{number} is {state}; nothing is to be done about it")
            raise Refused(text.format(number=incident.number, state=_(incident.state)))
        return kept

    def _office(self, incident: Incident, office: str, actor: Actor) -> str:
        found = self.house.config.directory.office(office)
        if found is None:
            known = "、".join(o.name for o in self.house.config.directory.offices)
            raise Refused(_("no office {office}; allowed: {known}").format(office=office, known=known))
        return found.id

    def _name(self, office: str) -> str:
        return self.house.config.directory.name(office)

    def _everybody(self) -> tuple[str, ...]:
        return tuple(o.id for o in self.house.config.directory.offices)

    def _may(self, incident: Incident, actor: Actor, offices: tuple[str, ...], what: str) -> bool:
        """Whether the actor is a registered person of one of ``offices``; a strict actor who is not is refused."""
        directory = self.house.config.directory
        verified = any(
            (there := directory.office(office)) is not None and there.person(actor.person) is not None for office in offices
        )
        if not verified and actor.strict:
            names = "、".join(directory.name(office) for office in offices[:3]) or "—"
            text = _("{person} is no registered person of {offices}")
            self._refuse(incident, actor, what, text.format(person=actor.person or "?", offices=names))
        return verified

    def _unmerged(self, incident: Incident) -> None:
        """Who has what was merged does not have what it was merged into: they are told that number."""
        into = incidents.merged_into(self.tx, incident.id) if incident.state == "merged" else None
        if into is not None:
            text = _("{number} was merged into {into} before")
            there = display_number(incidents.get(self.tx, into).number)
            raise Refused(text.format(number=display_number(incident.number), into=there))

    def _offered(self, incident: Incident, office: str) -> bool:
        return deliveries.offered(self.tx, incident.id, office)

    def _acknowledged_by(self, incident: Incident, office: str, kept: matters.Kept | None) -> str | None:
        """Who acknowledged for ``office``, where nothing newer waits there for it."""
        offer = kept.matter.offer(office) if kept else None
        if kept and any(one.waits and office in one.reached for one in kept.matter.offers):
            return None  # it was escalated to this office for another one, which still says nothing
        if offer is not None:
            return offer.acknowledged_by if offer.acknowledged_at is not None else None
        before = deliveries.rows(self.tx, incident=incident.id, destination=office, limit=100)
        if any(row.state in ("waiting", "sending", "delivered") for row in before):
            return None
        return next((row.acknowledged_by for row in before if row.acknowledged_by), None)

    def _reasoned(self, incident: Incident, actor: Actor, reason: str, what: str) -> None:
        if not reason.strip():
            self._refuse(incident, actor, what, _("a reason is needed"))

    def _refuse(self, incident: Incident, actor: Actor, what: str, why: str) -> NoReturn:
        raise Refused(why)

    def _emit(self, incident: Incident, event: str, actor: Actor, data: dict[str, Any]) -> None:
        data = {**data, "means": actor.how, "rules": self.house.config.version}
        journal.emit(self.tx, Event(at=self.now, event=event, incident=incident.number, by=actor.person or None, data=data))


def refused(
    tx: Tx, now: datetime, *, who: str, what: str, why: str, how: str, incident: str | None = None, message: str | None = None
) -> None:
    """Put on record what somebody tried and may not do."""
    data = {"who": who or "?", "what": what, "why": why, "how": how[:64]}
    journal.emit(tx, Event(at=now, event="refused", incident=incident, message=message, data=data))


def _by(actor: Actor | None, turned: Turn) -> Turn:
    """What a person did, with the means on record."""
    if actor is None:
        return turned
    matter, effects = turned
    return matter, tuple(
        replace(one, data={**one.data, "means": actor.how}) if isinstance(one, Note) and one.by else one for one in effects
    )


def _asked(matter: Matter, given: Given, what: str, by: str) -> Turn:
    of = next(iter(matter.responsible), "报送人")
    note = Note(event="asked", by=by or None, data={"of": of, "what": [what], "how": "person"})
    ways = matter.reporter or reach.unit_ways(given, matter.responsible)
    if not ways:
        return matter, (note,)
    return matter, (note, Send(to=work.REPORTER, form="follow_up", duty="remind", ways=ways, values={"stage_asked": what}))


def _reopened(matter: Matter, given: Given) -> Turn:
    follow = replace(matter.follow, final=False, last_at=given.now, ask_at=None)
    matter = replace(matter, over=False, follow=follow)
    return following.heard(matter, given, missing=follow.missing, final=False, further=False)
