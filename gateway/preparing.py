"""A message becomes something the register can take: it is judged (judging.py), here or in a worker, and seconded by plugins.
Pure but for the plugins that are asked; needs no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from gateway.core.directory import Unit
from gateway.core.model import Classification, Doubt, Match, Message, Report
from gateway.house import House
from gateway.i18n import _
from gateway.judging import Came, Judged, judge

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
    house: House, came: Came, message: Message, failed: str | None = None, meta: Mapping[str, str] | None = None
) -> Prepared:
    """Judge ``message`` here, and have it seconded. ``failed`` says why nothing came of what was received."""
    meta = meta or {}
    return seconded(house, judge(house.rules, came, message, meta), failed, meta)


def seconded(house: House, judged: Judged, failed: str | None, meta: Mapping[str, str]) -> Prepared:
    """What was judged, with the opinions of plugins on it unless it is marked.

    ``meta`` is what the store says of a long message in parts: which earlier, partial form of it this one completes.
    """
    message, report, found = judged.message, judged.report, judged.found
    if report is None:
        failed = None
    else:
        found = _second_opinions(house, message, report, found)
    return Prepared(
        message=message,
        report=report,
        found=found,
        sender=judged.sender,
        unit=house.config.directory.unit(judged.sender),
        marking=judged.marking,
        failed=failed,
        completes=meta.get("completes"),
    )


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
