"""Chinese report text → report elements, each with value, qualifier and evidence. Pure: no clock, no disk, no model.

One clause grammar in the open: ``normalise`` folds what carriers and scanners did to the text, ``numerals`` and ``quantities``
read numbers, ``binding`` ties them to predicates, ``figures`` lets the latest total win.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from gateway.core.model import Message, Report
from gateway.reading.background import background, rumours
from gateway.reading.dialogue import turns
from gateway.reading.elements import elements
from gateway.reading.figures import figures
from gateway.reading.gazetteer import Gazetteer
from gateway.reading.kind import sort_of
from gateway.reading.marking import find_marking
from gateway.reading.normalise import normalise
from gateway.reading.people import who
from gateway.reading.places import home_county, is_local, place
from gateway.reading.times import occurred, time_phrases
from gateway.reading.words import Words

if TYPE_CHECKING:
    from gateway.core.directory import Unit

__all__ = ["Gazetteer", "Words", "find_marking", "read"]

_HARM = ("deaths", "injured", "casualties", "missing", "trapped", "poisoned", "ill", "houses", "forest_mu", "crop_mu")
"""Figures that no greeting, notice or advertisement states."""


def read(
    message: Message,
    *,
    channel: str,
    received_at: datetime,
    sender_unit: Unit | None,
    gazetteer: Gazetteer,
    words: Words,
) -> Report:
    """Read one message. ``received_at`` is aware, in the city's zone; relative words are taken in its day.

    ``sender_unit`` is whom the directory knows behind the sender; what the text says of itself goes first. The marking is
    found in every text of the message, its figures and words in ``message.text`` and subject alone.
    """
    marking = find_marking(_all_texts(message))
    if marking:
        return Report(text=message.text, marking=marking)
    normal = normalise(message.text)
    subject = normalise(message.subject).text.replace("\n", "")
    spoken = turns(normal.text)
    people = who(normal, spoken)
    unit = people.unit or (sender_unit.name if sender_unit else None)
    corrects = "更正" in normal.text[:60] or "有误" in normal.text[:80]
    aside = [*background(normal.text, received_at.date()), *rumours(normal.text)]
    phrases = time_phrases(normal.text, received_at, aside)
    clerk = [(t.start, t.end) for t in spoken if t.clerk]
    when, times = occurred(normal, phrases, clerk, aside)
    stated = figures(normal, spoken, corrects=corrects, today=received_at.date(), phrases=phrases, when=when)
    home = home_county(gazetteer, people.unit, sender_unit.county if sender_unit else None)
    local = home is not None or is_local(normal.text[:2000], gazetteer)
    harm = any(stated[name].value for name in _HARM if name in stated)
    told_of = None if when is None else "figures" if stated else "time"
    sort = sort_of(normal.text, subject, message, words, local=local, figures=harm, told=told_of)
    fields: dict[str, Any] = {**stated, **sort._asdict()}
    if sort.noise not in (None, "news"):
        return Report(text=message.text, **sort._asdict())
    where = place(normal, gazetteer, times=times, unit=people.unit, home=home, skip=clerk, aside=aside, year=received_at.year)
    told = elements(normal)
    return Report(
        text=message.text,
        occurred=when,
        place=where,
        sensitive=words.found("sensitive", normal.text),
        cause=told.cause,
        measures=told.measures,
        next_steps=told.next_steps,
        attitude=told.attitude,
        unit=unit,
        reporter=people.reporter,
        phone=people.phone,
        signed_by=people.signed_by,
        evidence={**people.evidence, **told.evidence},
        **fields,
    )


def _all_texts(message: Message) -> list[str]:
    texts = [message.subject, message.text, message.quoted]
    for attachment in message.attachments:
        texts += [attachment.name, attachment.text or ""]
    return texts
