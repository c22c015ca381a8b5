"""One message's way through the desk: read → classify → match to an incident → route → deliveries, in one transaction.

``prepare`` is pure and needs no store. ``take`` runs inside a write transaction and applies what was decided; run twice it
changes nothing the second time. The daemon, ``gateway explain`` and the demo all run exactly this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from gateway import reading
from gateway.core import catalogue, matching, outgoing, render, triage
from gateway.core.calendar import Moment
from gateway.core.directory import Unit
from gateway.core.model import (
    FIGURES,
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
from gateway.house import House
from gateway.i18n import _
from gateway.outbox import put
from gateway.quarantine import seal
from gateway.store import Tx, deliveries, incidents, journal, messages

CANDIDATES_FOR = timedelta(days=7)
NOTHING_LEFT = "更正后未达报送标准，请核定"
WITHDRAWN = "来报撤回前报，请核定"
"""What a person decides after a correction or withdrawal: nothing is closed by itself."""
BODY_ALONE = 60
"""Characters from which a body is taken to tell something itself, not only to point to its attachments."""
UNCERTAIN = {
    "attachment_beside": "an attachment came along whose text was not judged; compare with the original",
    "partial": "a part of this long message is missing",
    "ocr_dropped_line": "the page may hold a line that was not recognised; compare with the page",
}
"""Remarks of a channel after which a person should look at the original, whatever the text says."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message read and classified; ``marking`` or ``failed`` replace the report."""

    message: Message
    report: Report | None = None
    found: Classification = field(default_factory=Classification)
    sender: str = ""
    unit: Unit | None = None
    marking: str | None = None
    failed: str | None = None
    completes: str | None = None


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


def prepare(
    house: House, row: messages.MessageRow, message: Message, failed: str | None = None, meta: Mapping[str, str] | None = None
) -> Prepared:
    """Read and classify ``message``. A marking is looked for first, in every text there is, and ends the reading.

    ``meta`` is what the store says of a long message in parts: that its other parts were sealed away (then so is this), or
    which earlier, partial form of it this one completes.
    """
    meta = meta or {}
    # A fax server's envelope names the server; the page says who sent it.
    sender = message.sender or row.sender
    texts = [message.subject, message.text, message.quoted]
    for attachment in message.attachments:
        texts += [attachment.name, attachment.text or ""]
    marking = reading.find_marking(texts) or ("parts sealed" if "sealed_parts" in meta else None)
    unit = house.config.directory.unit(sender)
    if marking:
        return Prepared(message=message, sender=sender, unit=unit, marking=marking, completes=meta.get("completes"))
    body, message = message, _with_attachments(message)
    report, found = _judged(house, row, message, unit)
    if "attachment_beside" in message.flags and _says_nothing(report, found):
        # However long a cover note is, the report is what came with it.
        message = _with_attachments(body, alone=None)
        report, found = _judged(house, row, message, unit)
    found = _second_opinions(house, message, report, found)
    return Prepared(
        message=message, report=report, found=found, sender=sender, unit=unit, failed=failed, completes=meta.get("completes")
    )


def _judged(house: House, row: messages.MessageRow, message: Message, unit: Unit | None) -> tuple[Report, Classification]:
    """``message`` read and classified."""
    report = reading.read(
        message,
        channel=row.channel,
        received_at=house.local(row.received_at),
        sender_unit=unit,
        gazetteer=house.config.gazetteer,
        words=house.config.words,
    )
    return report, catalogue.classify(house.config.catalogue, report, subject=message.subject)


def _says_nothing(report: Report, found: Classification) -> bool:
    """Whether a text tells of no incident: no item, no doubt, no figure that is known."""
    if found.items or found.review or report.drill or report.correction or report.withdrawal:
        return False
    return all((figure := getattr(report, name)) is None or figure.value is None for name in FIGURES)


def _with_attachments(message: Message, alone: int | None = BODY_ALONE) -> Message:
    """Where the body only points to its attachments, their text is read as the report; beside a body that tells something
    itself (``alone`` characters or more; None: whatever its length) they are named for a person to compare."""
    texts = [(a.name, a.text) for a in message.attachments if a.text and a.text.strip()]
    if not texts:
        return message
    if alone is not None and len(render.canonical(message.text)) >= alone:
        return msgspec.structs.replace(message, flags=(*message.flags, "attachment_beside"))
    joined = "\n".join([message.text.rstrip(), *(f"【{name}】\n{text}" for name, text in texts)]).lstrip("\n")
    return msgspec.structs.replace(message, text=joined)


def _second_opinions(house: House, message: Message, report: Report, found: Classification) -> Classification:
    """Plugins add items and doubts; they never take one away."""
    items, review = list(found.items), list(found.review)
    review += [Doubt(item=None, because=_(why)) for flag, why in UNCERTAIN.items() if flag in message.flags]
    if message.unread and message.text.strip():
        review.append(Doubt(item=None, because=message.unread))
    for name, plugin in (*house.readers.items(), *house.classifiers.items()):
        try:
            more = plugin.read(message, report) if name in house.readers else plugin.classify(report, found)
            items += [one for one in more if isinstance(one, Match)]
            review += [one for one in more if isinstance(one, Doubt)]
        except Exception as error:
            # One plugin's failure is a doubt for a person; it never holds up the report.
            review.append(
                Doubt(item=None, because=_("plugin {name} failed ({error})").format(name=name, error=type(error).__name__))
            )
    return msgspec.structs.replace(found, items=tuple(items), review=tuple(review))


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
    copy = _copy_of(tx, house, row, prepared)
    if copy is not None:
        return _duplicate(tx, house, row, prepared, copy, now)
    report = prepared.report
    assert report is not None
    open_ones = incidents.candidates(tx, row.received_at - CANDIDATES_FOR)
    facts = matching.MessageFacts(
        channel=row.channel,
        sender=prepared.sender,
        received_at=house.local(row.received_at),
        subject=prepared.message.subject,
        in_reply_to=prepared.message.in_reply_to,
        references=prepared.message.references,
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
        return work.join(decided.action, verdict)
    return work.open(decided.action, decided.needs_person, decided.because, verdict)


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


def _copy_of(tx: Tx, house: House, row: messages.MessageRow, prepared: Prepared) -> str | None:
    message = prepared.message
    digests = [a.name + ":" + tx.keys.digest("attachment", a.data) for a in message.attachments]
    text = render.canonical(message.subject, message.text, *digests)
    if not digests and (message.unread or not render.canonical(message.subject, message.text)):
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
            next_step=_next_step(action, needs_person),
        )
        incidents.insert(self.tx, incident)
        self._link(incident, "needs_person" if needs_person else "read", needs_person)
        event = {"below_threshold": "below_threshold", "drill": "drill"}.get(action, "registered")
        self._emit(event, incident, items=list(items), kinds=list(found.kinds), verified=self._verified)
        if needs_person:
            # The sentence may name figures; the record says which items are in doubt, or why nothing could be read.
            doubtful = [doubt.item for doubt in review if doubt.item]
            unread = self.prepared.failed or self.prepared.message.unread
            self._emit("needs_person", incident, what=doubtful, why=unread)
        moment = self.house.config.calendar.moment(local)
        route = () if state != "open" else self._send(incident, moment, because)
        return Taken(action=action, incident=incident, report=report, found=found, moment=moment, route=route, because=because,
                     proposed=verdict.proposed)  # fmt: skip

    def join(self, action: str, verdict: matching.Verdict) -> Taken:
        report, found = self.prepared.report, self.prepared.found
        assert report is not None and verdict.incident is not None
        before = incidents.get(self.tx, verdict.incident)
        known_as = self.prepared.unit.name if self.prepared.unit else None
        facts, revisions = matching.combine(before.report, report, another=action == "merge", unit=known_as)
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
                "attached", incident, kind=report.kind, items=list(items), certain=verdict.certain, verified=self._verified
            )
        for revision in revisions:
            self._emit("revised", incident, field=revision.field)
        if report.correction and set(items) != set(before.items):
            self._emit("revised", incident, field="items", items=list(items), fallen=list(fallen))
        if taken_back and incident.needs_person in (NOTHING_LEFT, WITHDRAWN):
            self._emit("needs_person", incident, what=list(fallen or before.items))
        moment = self.house.config.calendar.moment(self.house.local(self.row.received_at))
        # What leaves is the new report under the incident's number: the reader needs what was said now.
        # Who was told nothing before needs all that is known.
        told = incident if before.state == "below_threshold" else msgspec.structs.replace(incident, report=report)
        # Whoever has the incident must hear that it was corrected, whatever the rules of routing say now.
        have = self._have(incident) if taken_back else ()
        route = self._send(told, moment, verdict.why, have) if incident.state in ("open", "followed_up") else ()
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

    def _have(self, incident: Incident) -> tuple[Destination, ...]:
        """The offices that were sent this incident before, with the duty they had."""
        rows = deliveries.rows(self.tx, incident=incident.id, limit=1000)
        offices = [row for row in rows if self.house.config.directory.office(row.destination) is not None]
        have = [Destination(office=row.destination, because="已收本事件前报", duty=row.duty) for row in offices]  # type: ignore[arg-type]
        return tuple({destination.office: destination for destination in have}.values())

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
        self, incident: Incident, moment: Moment, because: str, have: tuple[Destination, ...] = ()
    ) -> tuple[Destination, ...]:
        config, row = self.house.config, self.row
        named: dict[str, Destination] = {}
        for name, router in self.house.routers.items():
            try:
                for destination in router.route(incident, moment, config.directory):
                    named.setdefault(destination.office, destination)
            except Exception as error:
                self._emit("alarm", incident, what="routing", plugin=name, why=f"router failed: {type(error).__name__}")
        for destination in have:
            named.setdefault(destination.office, destination)
        if not named:
            # Better too many than nobody.
            self._emit("alarm", incident, what="routing", why="no router named an office: sent to every office")
            named = {o.id: Destination(office=o.id, because="no route") for o in config.directory.offices if o.role == "office"}
        values = render.incident_values(
            incident, city=config.city, received_at=moment.local, channel=row.channel, sender=self._shown_sender()
        )
        values["pages"] = str(self.prepared.message.pages or "")
        form = "unread" if incident.needs_person and not incident.report.text.strip() else "report"
        made, unreachable = outgoing.drafts(
            incident, list(named.values()), config.directory, config.templates, values, form  # type: ignore[arg-type]
        )  # fmt: skip
        put(self.tx, row, incident.id, made, self.now)
        self._emit("routed", incident, destinations=list(named), why=moment.why, working_hours=moment.working)
        for office in unreachable:
            self._emit("alarm", incident, what="routing", why=f"no way to office {office}")
        if not moment.known:
            self._emit("alarm", incident, what="routing", why=f"calendar year {moment.local.year} unknown: taken as out of hours")
        return tuple(named.values())

    @property
    def _verified(self) -> bool:
        """Whether the directory knows the sender. It stops nothing, but whoever reads must know."""
        return self.prepared.unit is not None

    def _shown_sender(self) -> str:
        return self.prepared.sender if self._verified else f"{self.prepared.sender or '号码不详'}（未登记，请核实）"

    def _emit(self, event: str, incident: Incident, **data: Any) -> None:
        """An event of this decision, with the version of the rules it was made with."""
        data["rules"] = self.house.config.version
        journal.emit(self.tx, Event(at=self.now, event=event, incident=incident.number, message=self.row.id, data=data))


def _all_words(before: Incident, report: Report) -> str:
    """The text that items are judged by after a correction: the last report, the words that earlier ones were known by, and the
    correction, whose few words name the matter seldom."""
    words = (why.strip("“”").replace("…", "") for whys in before.why.values() for why in whys if why.startswith("“"))
    return "。\n".join(dict.fromkeys((before.report.text, *words, report.text)))


def _next_step(action: str, needs_person: str | None) -> str:
    if action in ("below_threshold", "drill"):
        return ""
    return "由人识读原件" if needs_person else "等待签收"


def blank(why: str, tried: Prepared | None = None) -> Prepared:
    """What the desk takes when even taking failed: nothing of the content, a person must look. A marking that was found
    stays found."""
    bare = Prepared(message=Message(text="", unread=why), report=Report(text=""), failed=why)
    if tried is None:
        return bare
    return replace(bare, sender=tried.sender, unit=tried.unit, marking=tried.marking, completes=tried.completes)
