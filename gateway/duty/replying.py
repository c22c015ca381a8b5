"""Replies of duty persons by short message and mail, taken for what they say: I have it, I told N, I sign.

The sender's registered number or address says who it is. What somebody else tries is refused, told and on record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from gateway.core import replies
from gateway.core.duty.matter import Matter
from gateway.core.duty.rules import DutyRules
from gateway.core.model import Incident, Message
from gateway.core.replies import Reply
from gateway.duty import acts, reports
from gateway.duty.acts import Act, Actor, Refused
from gateway.house import House
from gateway.i18n import _
from gateway.outbox import put
from gateway.quarantine import reply_ways
from gateway.store import NotFound, Tx, deliveries, incidents, matters, messages

CHANNELS = ("sms", "email")
REFUSED = "refused"
_SAID = 2000
"""Characters of a message that may hold a reply; a longer one is a report."""
_NAMED = 5
"""So many numbers are named to somebody who must say which one is meant."""
_IN_FULL = 4
"""Digits of an incident's number as it is written; fewer may be a figure."""


@dataclass(frozen=True, slots=True)
class Replied:
    """What became of a reply."""

    incident: Incident | None
    because: str


def take(
    tx: Tx, house: House, row: messages.MessageRow, message: Message, sender: str, now: datetime, *, tells: bool = False
) -> Replied | None:
    """Take ``message`` as a reply; None where it is none, and is to be read as a report.

    ``tells`` says that the text itself tells of an incident. 同意 begins names of villages, too: such a text is a reply only
    where it gives, in full, the number of an incident that waits for this very person.
    """
    if row.channel not in CHANNELS or message.attachments or message.automatic or len(message.text) > _SAID:
        return None
    reply = replies.parse(message.text, house.config.duty.words())
    if reply is None:
        return None
    persons = house.config.directory.persons(sender)
    if not persons and not reply.number:
        return None  # a unit's or a stranger's plain 收到 is a courtesy, and read as any other text
    if tells and not _waited_for(tx, house, reply, persons):
        return None
    incident: Incident | None = None
    how = f"{row.channel} {row.via}"
    try:
        if not persons:
            incident = _numbered(tx, reply.number)
            raise Refused(_("this number or address is not registered for any office"))
        incident = _meant(tx, house, reply, message, persons)
        _carry_out(Act(tx, house, now), incident, reply, persons, how)
        because = _("a reply, taken")
    except Refused as refusal:
        because = str(refusal)
        _refuse(tx, house, row, message, sender, because, how, reply.kind, incident, now)
    carrier = message.message_id or row.carrier_id
    messages.set_state(tx, row.id, "read", incident=incident.id if incident else None, why=because, carrier_id=carrier)
    return Replied(incident=incident, because=because)


def _meant(tx: Tx, house: House, reply: Reply, message: Message, persons: tuple[tuple[str, str], ...]) -> Incident:
    """The incident that a reply is about: by its number, by the mail it answers, or the only one that waits for this person.
    Raises ``Refused``."""
    if reply.number:
        if (numbered := _numbered(tx, reply.number)) is None:
            raise Refused(_("no incident {number}").format(number=reply.number))
        return numbered
    for answered in (message.in_reply_to, *message.references):
        found = deliveries.known(tx, (answered or "").strip("<>").partition("@")[0])
        if found is not None and found.incident is not None:
            return incidents.get(tx, found.incident)
    offices = {office for office, _name in persons}
    rules = house.config.duty_rules
    asked = (id_ for id_ in _open_ones(tx) if (kept := matters.get(tx, id_)) and _waits(kept.matter, reply, offices, rules))
    waiting = list(islice(asked, _NAMED))
    if len(waiting) == 1:
        return incidents.get(tx, waiting[0])
    if not waiting:
        raise Refused(_("nothing waits for your reply"))
    numbers = "、".join(incidents.get(tx, id_).number for id_ in waiting)
    raise Refused(_("several wait for your reply; say which: {numbers}").format(numbers=numbers))


def _waited_for(tx: Tx, house: House, reply: Reply, persons: tuple[tuple[str, str], ...]) -> bool:
    """Whether an incident whose number the reply gives in full waits for it."""
    named = _numbered(tx, reply.number) if len(reply.number) >= _IN_FULL else None
    kept = matters.get(tx, named.id) if named is not None else None
    return kept is not None and _waits(kept.matter, reply, {office for office, _name in persons}, house.config.duty_rules)


def _numbered(tx: Tx, number: str) -> Incident | None:
    try:
        return incidents.get(tx, number)
    except NotFound:
        return None


def _open_ones(tx: Tx) -> Iterator[str]:
    after = ""
    while ids := matters.open_ones(tx, after):
        yield from ids
        after = ids[-1]


def _waits(matter: Matter, reply: Reply, offices: set[str], rules: DutyRules) -> bool:
    if reply.kind == "acknowledge":
        return any(one.waits and (one.office in offices or offices & set(one.reached)) for one in matter.offers)
    if reply.kind == "notified":
        return any(one.waits and one.of in offices for one in matter.tellings)
    signer = rules.signer(matter.signing.level) if matter.signing is not None and matter.signing.waits else None
    return signer is not None and bool(offices & set(signer.offices))


def _carry_out(act: Act, incident: Incident, reply: Reply, persons: tuple[tuple[str, str], ...], how: str) -> None:
    name = persons[0][1]
    kept = matters.get(act.tx, incident.id)
    if reply.kind == "approve":
        act.approve(incident, Actor(person=name, how=how), reply.wording)
        return
    offered = {one.office for one in kept.matter.offers} if kept else set()
    if reply.kind == "notified":
        owes = {one.of for one in kept.matter.tellings} if kept else set()
        office, name = next(((o, n) for o, n in persons if o in owes), persons[0])
        act.notify(incident, office, reply.person, Actor(person=name, how=how))
        return
    reached = {one for offer in (kept.matter.offers if kept else ()) for one in offer.reached}
    theirs = [(o, n) for o, n in persons if o in offered or o in reached] or list(persons)
    failed: list[Refused] = []
    for office, name in theirs:
        try:
            incident = act.acknowledge(incident, office, Actor(person=name, how=how))
        except Refused as refusal:
            failed.append(refusal)
    if len(failed) == len(theirs):
        raise failed[0]


def _refuse(
    tx: Tx, house: House, row: messages.MessageRow, message: Message, sender: str, why: str, how: str, what: str,
    incident: Incident | None, now: datetime,
) -> None:  # fmt: skip
    """On record, and told to whoever tried, as often as answers may be sent to one address."""
    acts.refused(tx, now, who=sender, what=what, why=why, how=how, incident=incident.number if incident else None)
    ways = reply_ways(house, row, None)
    if not ways or message.automatic or message.bulk:
        return
    recent = deliveries.sent_to(tx, ways[0].address, reports.ANSWER, now - timedelta(hours=1))
    if recent >= house.config.duty.answers.most_per_hour:
        return
    values = {"city": house.config.city, "because": why}
    number = incident.number if incident else ""
    draft = reports.answer_draft(house, row.id, ways, values, number, message, REFUSED)
    put(tx, house, row.id, None, [draft], now)


