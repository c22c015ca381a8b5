"""A message becomes something the register can take: its marking is looked for, it is read, classified and seconded. Pure but for
the plugins that are asked; needs no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from gateway import gist, reading
from gateway.core import catalogue, render
from gateway.core.directory import Unit
from gateway.core.model import FIGURES, Classification, Doubt, Match, Message, Report
from gateway.house import House
from gateway.i18n import _
from gateway.store import messages

BODY_ALONE = 60
"""Characters from which a body is taken to tell something itself, not only to point to its attachments."""
UNCERTAIN = {
    "attachment_beside": "an attachment came along whose text was not judged; compare with the original",
    "partial": "a part of this long message is missing",
    "sender_doubtful": "the sender may be forged (SPF, DKIM or DMARC speak against it); ring back",
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


def prepare(
    house: House,
    row: messages.MessageRow,
    message: Message,
    failed: str | None = None,
    meta: Mapping[str, str] | None = None,
    marking: str | None = None,
) -> Prepared:
    """Read and classify ``message``. A marking is looked for first, in every text there is, and ends the reading; ``marking`` is
    one that was found before the texts were cut.

    ``meta`` is what the store says of a long message in parts: that its other parts were sealed away (then so is this), or
    which earlier, partial form of it this one completes.
    """
    meta = meta or {}
    # A fax server's envelope names the server; the page says who sent it.
    sender = message.sender or row.sender
    whole = gist.of(message, house.config.limits.text_chars)
    message = whole.message
    marking = marking or whole.marking or ("parts sealed" if "sealed_parts" in meta else None)
    unit = house.config.directory.unit(sender)
    if marking:
        return Prepared(message=message, sender=sender, unit=unit, marking=marking, completes=meta.get("completes"))
    body, message = message, _with_attachments(message)
    report, found = _judged(house, row, message, unit)
    if "attachment_beside" in message.flags and says_nothing(report, found):
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


def says_nothing(report: Report, found: Classification) -> bool:
    """Whether a text tells of no incident: no item, no doubt, no figure that is known."""
    if found.items or found.review or report.drill or report.correction or report.withdrawal:
        return False
    return all((figure := getattr(report, name)) is None or figure.value is None for name in FIGURES)


def _with_attachments(message: Message, alone: int | None = BODY_ALONE) -> Message:
    """Where the body only points to its attachments, their text is read as the report; beside a body that tells something
    itself (``alone`` characters or more; None: whatever its length) they are named for a person to compare."""
    # The text of a fax is that of its pages: it is judged already.
    texts = [(a.name, a.text) for a in message.attachments if a.text and a.text.strip() and a.text not in message.text]
    if not texts:
        return message
    if alone is not None and len(render.canonical(message.text)) >= alone:
        return msgspec.structs.replace(message, flags=(*message.flags, "attachment_beside"))
    joined = "\n".join([message.text.rstrip(), *(f"【{name}】\n{text}" for name, text in texts)]).lstrip("\n")
    return msgspec.structs.replace(message, text=joined)


def weighed(flags: Sequence[str]) -> tuple[str, ...]:
    """The remarks of a message, where what confirms its sender outweighs what speaks against it."""
    confirmed = "sender_confirmed" in flags
    return tuple(flag for flag in flags if not (confirmed and flag == "sender_doubtful"))


def _second_opinions(house: House, message: Message, report: Report, found: Classification) -> Classification:
    """Plugins add items and doubts; they never take one away."""
    items, review = list(found.items), list(found.review)
    remarks = weighed(message.flags)
    review += [Doubt(item=None, because=_(why)) for flag, why in UNCERTAIN.items() if flag in remarks]
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


def blank(why: str, tried: Prepared | None = None) -> Prepared:
    """What the desk takes when even taking failed: nothing of the content, a person must look. A marking that was found
    stays found."""
    bare = Prepared(message=Message(text="", unread=why), report=Report(text=""), failed=why)
    if tried is None:
        return bare
    return replace(bare, sender=tried.sender, unit=tried.unit, marking=tried.marking, completes=tried.completes)
