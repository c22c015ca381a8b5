"""One message's way through the desk: read → classify → match to an incident → route → deliveries, in one transaction.

``prepare`` is pure and needs no store. ``take`` runs inside a write transaction and applies what was decided; run twice it
changes nothing the second time. The daemon, ``gateway explain`` and the demo all run exactly this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from gateway import alarms, canary, gist, routing
from gateway.core import catalogue, combining, matching, render, triage
from gateway.core.calendar import Moment
from gateway.core.model import (
    Classification,
    Destination,
    Doubt,
    Event,
    Incident,
    IncidentState,
    Match,
    Message,
    MessageState,
    Report,
    Severity,
)
from gateway.duty import replying, reports
from gateway.house import House
from gateway.i18n import _
from gateway.judging import says_nothing
from gateway.preparing import Prepared, weighed
from gateway.quarantine import seal
from gateway.store import NotFound, Tx, deliveries, incidents, journal, messages

CANDIDATES_FOR = timedelta(days=7)
NOTHING_LEFT = "更正后未达报送标准，请核定"
WITHDRAWN = "来报撤回前报，请核定"
"""What a person decides after a correction or withdrawal: nothing is closed by itself."""
OUR_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
EVIDENCE = ("sender_", "spf_", "dkim_", "dmarc_")
"""What the remarks begin with that say who sent a message."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message."""

    action: str
    incident: Incident | None = None
    report: Report | None = None
    found: Classification = field(default_factory=Classification)
    moment: Moment | None = None
    route: tuple[Destination, ...] = ()
    because: str = ""
    duplicate_of: str | None = None
    proposed: tuple[str, ...] = ()


def take(tx: Tx, house: House, row: messages.MessageRow, prepared: Prepared, now: datetime) -> Taken:
    """Apply what ``prepared`` says to the register. ``now`` is the instant of the work, not the one that decides."""
    if messages.get(tx, row.id).state != "accepted":
        return Taken(action="duplicate", because="already taken")
    if not prepared.sender:
        prepared = replace(prepared, sender=row.sender)
    if prepared.marking:
        seal(tx, house, row, sender=prepared.sender, unit=prepared.unit, completes=prepared.completes, now=now)
        return Taken(action="quarantine", because="marking")
    if prepared.sender != row.sender:
        messages.note_sender(tx, row.id, prepared.sender)
    if (token := canary.recognise(tx, prepared.message)) is not None:
        # Ours, whatever the carrier put around it; no one else can make the token.
        canary.returned(tx, house.config.canaries, row, token, automatic=prepared.message.automatic, now=now)
        return _ignore(tx, house, row, prepared, "canary", now)
    if (replied := _reply(tx, house, row, prepared, now)) is not None:
        return replied
    copy = _copy_of(tx, house, row, prepared)
    if copy is not None:
        return _duplicate(tx, house, row, prepared, copy, now)
    report = prepared.report
    assert report is not None
    open_ones = incidents.candidates(tx, row.received_at - CANDIDATES_FOR, on_unread=lambda number: _unread(tx, number, now))
    facts = matching.MessageFacts(
        channel=row.channel,
        sender=prepared.sender,
        received_at=house.local(row.received_at),
        subject=prepared.message.subject,
        in_reply_to=prepared.message.in_reply_to,
        references=prepared.message.references,
        answers=_answered(tx, prepared.message),
        kinds=prepared.found.kinds,
        unit=report.unit or (prepared.unit.name if prepared.unit else None),
    )
    verdict = _completed(tx, prepared) or matching.match(report, facts, open_ones, house.config.matching)
    decided = triage.decide(report, prepared.found, verdict, duplicate_of=None)
    if unreadable := _unreadable(prepared, decided):
        decided = msgspec.structs.replace(decided, action="new", needs_person=unreadable, because=unreadable)
    if decided.action == "ignore":
        return _ignore(tx, house, row, prepared, decided.because, now)
    work = _Work(tx, house, row, prepared, now)
    if decided.action in ("attach", "merge") and verdict.incident is not None:
        taken = work.join(decided.action, verdict)
    else:
        taken = work.open(decided.action, decided.needs_person, decided.because, verdict)
    if taken.incident is not None and report.noise is None:
        reports.answer(tx, house, row, prepared.message, taken.incident, prepared.unit, now)
    return taken


def _unread(tx: Tx, number: str, now: datetime) -> None:
    """The stored words of an incident were changed: people must know, once, and no report waits for it."""
    why = _("the words of incident {number} cannot be opened; reports are compared with its facts alone")
    data = alarms.fields("desk", why.format(number=number))
    told = journal.entries(tx, incident=number, names=["alarm"])
    if any(entry.event.data.get("why") == data["why"] for entry in told):
        return
    journal.emit(tx, Event(at=now, event="alarm", incident=number, data=data))


def _reply(tx: Tx, house: House, row: messages.MessageRow, prepared: Prepared, now: datetime) -> Taken | None:
    """What became of a duty person's reply; None where it is none."""
    if prepared.report is None:
        return None
    tells = not says_nothing(prepared.report, prepared.found)
    replied = replying.take(tx, house, row, prepared.message, prepared.sender, now, tells=tells)
    if replied is None:
        return None
    return Taken(action="ignore", incident=replied.incident, report=prepared.report, because=replied.because)


def _unreadable(prepared: Prepared, decided: triage.Triage) -> str | None:
    """Why a person must look at the original, whatever was thought of the rest: content that could not be read. Beside a
    readable text that only matters where the text alone would have let the message rest."""
    message, report = prepared.message, prepared.report
    if prepared.failed:
        return prepared.failed
    if not message.text.strip() and (message.unread or message.attachments):
        return message.unread or _("only attachments, which could not be read")
    unasked = report is not None and report.noise in ("spam", "auto_reply")
    if decided.action in ("ignore", "below_threshold") and not unasked and (message.unread or message.attachments):
        return message.unread or _("attachments came with it: {count}").format(count=len(message.attachments))
    return None


def _completed(tx: Tx, prepared: Prepared) -> matching.Verdict | None:
    """A long message that came whole after it had been released in part belongs to the incident of that part."""
    if prepared.completes is None:
        return None
    incident = messages.get(tx, prepared.completes).incident
    while incident is not None and (into := incidents.merged_into(tx, incident)) is not None:
        incident = into
    if incident is None:
        return None
    return matching.Verdict(action="attach", incident=incident, why=_("the rest of a long message"))


def _answered(tx: Tx, message: Message) -> str | None:
    """The incident that a mail of ours was about which ``message`` answers: its Message-ID holds the delivery's id."""
    local = (message.in_reply_to or "").strip("<>").partition("@")[0]
    if not OUR_ID.fullmatch(local):
        return None
    try:
        incident = deliveries.get(tx, local).incident
    except NotFound:
        return None
    while incident is not None and (into := incidents.merged_into(tx, incident)) is not None:
        incident = into
    return incident


def _copy_of(tx: Tx, house: House, row: messages.MessageRow, prepared: Prepared) -> str | None:
    message = prepared.message
    digests = [a.name + ":" + tx.keys.digest("attachment", gist.digest(a).encode()) for a in message.attachments]
    text = render.canonical(message.subject, message.text, *digests)
    if gist.CUT in message.flags or (not digests and (message.unread or not render.canonical(message.subject, message.text))):
        # What could not be read cannot be compared: two such mails under one subject may say different things.
        return None
    seen = messages.content_seen(tx, text, prepared.sender, row.received_at - timedelta(seconds=house.config.repeat_seconds))
    if seen is None:
        messages.remember_content(tx, row.id, text)
    return seen


def _duplicate(tx: Tx, house: House, row: messages.MessageRow, prepared: Prepared, of: str, now: datetime) -> Taken:
    first = messages.get(tx, of)
    messages.set_state(tx, row.id, "duplicate", incident=first.incident, duplicate_of=of, carrier_id=prepared.message.message_id)
    number = incidents.get(tx, first.incident) if first.incident else None
    data = {"of": of, "rules": house.config.version}
    journal.emit(tx, Event(at=now, event="duplicate", incident=number.number if number else None, message=row.id, data=data))
    return Taken(
        action="duplicate", incident=number, report=prepared.report, found=prepared.found, duplicate_of=of, because=f"= {of}"
    )


def _ignore(tx: Tx, house: House, row: messages.MessageRow, prepared: Prepared, because: str, now: datetime) -> Taken:
    messages.set_state(tx, row.id, "ignored", why=because, carrier_id=prepared.message.message_id)
    journal.emit(tx, Event(at=now, event="ignored", message=row.id, data={"why": because, "rules": house.config.version}))
    return Taken(action="ignore", report=prepared.report, found=prepared.found, because=because)


@dataclass(frozen=True, slots=True)
class _Work:
    """Opening or extending an incident for one message."""

    tx: Tx
    house: House
    row: messages.MessageRow
    prepared: Prepared
    now: datetime

    def open(self, action: str, needs_person: str | None, because: str, verdict: matching.Verdict) -> Taken:
        report, found, row = self.prepared.report, self.prepared.found, self.row
        assert report is not None
        local = self.house.local(row.received_at)
        state = {"below_threshold": "below_threshold", "drill": "drill"}.get(action, "open")
        items = () if action == "drill" else tuple(m.item for m in found.items)
        review = found.review + tuple(Doubt(item=None, because=f"或与 {n} 为同一事件") for n in verdict.proposed)
        incident = Incident(
            id=self.tx.new_id(),
            number=incidents.next_number(self.tx, local.year),
            title=render.title(report, self.prepared.message.subject if row.channel == "email" else "")
            if report.text.strip()
            else (needs_person or "—"),
            state=state,  # type: ignore[arg-type]
            items=items,
            kinds=found.kinds,
            report=report,
            why={m.item: m.why for m in found.items if items},
            review=review,
            missing=found.missing,
            sensitive=found.sensitive or report.sensitive,
            needs_person=needs_person,
            severity=found.severity,
            event_class=found.event_class,
            first_received_at=row.received_at,
        )
        incidents.insert(self.tx, incident)
        self._link(incident, "needs_person" if needs_person else "read", needs_person)
        event = {"below_threshold": "below_threshold", "drill": "drill"}.get(action, "registered")
        self._emit(event, incident, items=list(items), kinds=list(found.kinds), **self._origin)
        if needs_person:
            # The sentence may name figures; the record says which items are in doubt, or why nothing could be read.
            doubtful = [doubt.item for doubt in review if doubt.item]
            unread = self.prepared.failed or self.prepared.message.unread
            self._emit("needs_person", incident, what=doubtful, why=unread)
        moment = self.house.config.calendar.moment(local)
        route = () if state != "open" else self._send(incident, moment)
        if state == "open":
            incident = self._duty(incident, None, route)
        return Taken(action=action, incident=incident, report=report, found=found, moment=moment, route=route, because=because,
                     proposed=verdict.proposed)  # fmt: skip

    def join(self, action: str, verdict: matching.Verdict) -> Taken:
        report, found = self.prepared.report, self.prepared.found
        assert report is not None and verdict.incident is not None
        before = incidents.get(self.tx, verdict.incident)
        known_as = self.prepared.unit.name if self.prepared.unit else None
        facts, revisions = combining.combine(before.report, report, another=action == "merge", unit=known_as)
        taken_back = report.correction or report.withdrawal
        told_so_far = msgspec.structs.replace(facts, text=_all_words(before, report)) if taken_back else facts
        again = catalogue.classify(self.house.config.catalogue, told_so_far, subject=before.title)
        items = tuple(dict.fromkeys((*(m.item for m in found.items), *(m.item for m in again.items), *before.items)))
        fallen = self._fallen(before, items, again) if report.correction else ()
        items = tuple(item for item in items if item not in fallen)
        review, needs_person = found.review or before.review, before.needs_person
        if needs_person in (NOTHING_LEFT, WITHDRAWN):
            needs_person = None
        if taken_back:
            review = self._doubts(again, items)
            if report.withdrawal or (before.items and not items):
                needs_person = WITHDRAWN if report.withdrawal else NOTHING_LEFT
                review = (*review, Doubt(item=None, because=needs_person))
        # A further report opens again what was closed: the matter is not over.
        state: IncidentState = "followed_up" if before.state in ("open", "closed") else before.state
        if before.state == "below_threshold" and (items or (review if taken_back else found.review)):
            state = "open"
        incident = msgspec.structs.replace(
            before,
            report=facts,
            state=state,
            items=items,
            why={
                item: why
                for item, why in {**before.why, **{m.item: m.why for m in (*again.items, *found.items)}}.items()
                if item not in fallen
            },
            kinds=tuple(dict.fromkeys((*before.kinds, *found.kinds))),
            review=review,
            needs_person=needs_person,
            missing=again.missing,
            sensitive=before.sensitive or found.sensitive or report.sensitive,
            severity=self._severity(before, facts, again),
            event_class=(again.event_class if report.correction else None)
            or before.event_class
            or found.event_class
            or again.event_class,
        )
        incident = incidents.update(self.tx, incident)
        self._link(incident, "read", None)
        if action == "merge":
            self._emit("merged", incident, into=incident.number)
        else:
            self._emit(
                "attached", incident, kind=report.kind, items=list(items), certain=verdict.certain, **self._origin
            )
        for revision in revisions:
            self._emit("revised", incident, field=revision.field, **{"from": revision.old, "to": revision.new})
        if report.correction and set(items) != set(before.items):
            self._emit("revised", incident, field="items", items=list(items), fallen=list(fallen))
        if taken_back and incident.needs_person in (NOTHING_LEFT, WITHDRAWN):
            self._emit("needs_person", incident, what=list(fallen or before.items))
        moment = self.house.config.calendar.moment(self.house.local(self.row.received_at))
        # What leaves is the new report under the incident's number: the reader needs what was said now.
        # Who was told nothing before needs all that is known.
        told = incident if before.state == "below_threshold" else msgspec.structs.replace(incident, report=report)
        # Whoever has the incident must hear that it was corrected or is graver, whatever the rules of routing say now.
        graver = reports.raised(self.house, before, incident)
        have = routing.sent_before(self.tx, self.house, incident, "已收本事件前报") if taken_back or graver else ()
        route: tuple[Destination, ...] = ()
        if incident.state in ("open", "followed_up"):
            route = self._send(told, moment, have, reports.stage_of(self.tx, incident.id, report.kind))
            incident = self._duty(incident, before, route)
        shown = msgspec.structs.replace(
            found,
            items=tuple(Match(item=item, why=incident.why.get(item, ())) for item in items),
            review=review if taken_back else found.review,
            missing=incident.missing,
            severity=incident.severity,
            event_class=incident.event_class,
        )
        return Taken(
            action=action, incident=incident, report=report, found=shown, moment=moment, route=route, because=verdict.why
        )

    def _duty(self, incident: Incident, before: Incident | None, route: tuple[Destination, ...]) -> Incident:
        """What the report means for clocks, acknowledgement and all that follows."""
        prepared = self.prepared
        assert prepared.report is not None
        return reports.told(
            self.tx, self.house, self.row, incident, before=before, report=prepared.report, unit=prepared.unit,
            destinations=route, now=self.now,
        )  # fmt: skip

    def _fallen(self, before: Incident, items: tuple[str, ...], again: Classification) -> tuple[str, ...]:
        """The items that a figure had met and the corrected figures no longer meet. What words alone had met stays, and so does
        what the catalogue does not know: a plugin had said it."""
        met = {m.item for m in (*again.items, *self.prepared.found.items)}
        known = self.house.config.catalogue
        by_figure = (item for item in before.items if any("≥" in why for why in before.why.get(item, ())))
        return tuple(item for item in by_figure if item not in met and known.item(item) is not None)

    def _doubts(self, again: Classification, items: tuple[str, ...]) -> tuple[Doubt, ...]:
        """The doubts after a correction: what all that is known leaves open, and what was remarked on this message."""
        remarks = (d for d in self.prepared.found.review if d.item is None or d.item not in {a.item for a in again.review})
        return tuple(d for d in dict.fromkeys((*again.review, *remarks)) if d.item is None or d.item not in items)

    def _severity(self, before: Incident, facts: Report, again: Classification) -> Severity | None:
        """The degree of all that is known now. A follow-up need not say again what kind of accident it was."""
        scale = self.house.config.catalogue.severity
        if again.severity is not None or before.severity is None or scale is None:
            return again.severity
        return scale.grade(facts)

    def _link(self, incident: Incident, state: MessageState, why: str | None) -> None:
        carrier = self.prepared.message.message_id or self.row.carrier_id
        messages.set_state(self.tx, self.row.id, state, incident=incident.id, why=why, carrier_id=carrier)
        incidents.link(self.tx, incident.id, self.row.id, carrier, self.prepared.sender, self.row.received_at)

    def _send(
        self, incident: Incident, moment: Moment, have: tuple[Destination, ...] = (), stage: str = ""
    ) -> tuple[Destination, ...]:
        came = routing.Came(
            message=self.row.id, channel=self.row.channel, sender=self._shown_sender(), pages=self.prepared.message.pages,
            stage=stage,
        )  # fmt: skip
        return routing.send(self.tx, self.house, incident, came, moment, self.now, have)

    @property
    def _verified(self) -> bool:
        """Whether the directory knows the sender and nothing speaks against its being true. It stops nothing, but whoever
        reads must know."""
        return self.prepared.unit is not None and not self._doubtful

    @property
    def _doubtful(self) -> bool:
        return "sender_doubtful" in weighed(self.prepared.message.flags)

    @property
    def _origin(self) -> dict[str, Any]:
        """What an event says of the sender."""
        evidence = [flag for flag in self.prepared.message.flags if flag.startswith(EVIDENCE)]
        return {"verified": self._verified} | ({"evidence": evidence} if evidence else {})

    def _shown_sender(self) -> str:
        if self._verified:
            return self.prepared.sender
        why = "发件人可能系伪造，请核实" if self._doubtful else "未登记，请核实"
        return f"{self.prepared.sender or '号码不详'}（{why}）"

    def _emit(self, event: str, incident: Incident, **data: Any) -> None:
        """An event of this decision, with the version of the rules it was made with."""
        data["rules"] = self.house.config.version
        journal.emit(self.tx, Event(at=self.now, event=event, incident=incident.number, message=self.row.id, data=data))


def _all_words(before: Incident, report: Report) -> str:
    """The text that items are judged by after a correction: the last report, the words that earlier ones were known by, and the
    correction, whose few words name the matter seldom."""
    words = (why.strip("“”").replace("…", "") for whys in before.why.values() for why in whys if why.startswith("“"))
    return "。\n".join(dict.fromkeys((before.report.text, *words, report.text)))
