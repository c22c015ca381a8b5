"""What came in about an incident, as it was written, with the evidence of each fact marked in it.

Whose content is sealed for the confidential bureau or destroyed is named with sender, time and size alone. Every look goes on
record, once for each sign-in and message.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from gateway import wording
from gateway.console.door import Who
from gateway.console.services import Services
from gateway.core.model import FIGURES, Attachment, Event, Report, Span
from gateway.duty import acts
from gateway.i18n import _, listed
from gateway.store import KeyGone, NotFound, Tampered, Tx, journal, messages
from gateway.store.message_rows import MessageRow
from gateway.workers import NotJudged, WorkerFailed

MOST_CHARACTERS = 20_000
KEPT = 64
"""Texts that are kept opened in memory, the last ones."""
TEXTS = ("cause", "unit", "reporter", "signed_by", "attitude")


PICTURES = 12 * 1024 * 1024
"""Bytes of drawn pages that are kept in memory, the last ones."""
PAGES = 1000


class NotShown(Exception):
    """A page that is not shown; ``status`` is that of the answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Piece(Struct, frozen=True):
    """A stretch of a text; ``fact`` names what it is evidence of."""

    text: str
    fact: str = ""


class Read(Struct, frozen=True, kw_only=True):
    """A message opened: its text in pieces, and each fact in words."""

    pieces: tuple[Piece, ...] = ()
    facts: dict[str, str] = {}
    cut: bool = False
    why: str = ""
    page_ends: tuple[int, ...] = ()

    def page(self, number: int) -> Read:
        """What stands on that page, counted from 1; the whole where it is not known what stands where."""
        if not 1 <= number <= len(self.page_ends):
            return self
        start = self.page_ends[number - 2] if number > 1 else 0
        return msgspec.structs.replace(self, pieces=tuple(_between(self.pieces, start, self.page_ends[number - 1])), cut=False)


def _between(pieces: Iterable[Piece], start: int, end: int) -> Iterable[Piece]:
    """The part of the pieces that lies in [start, end)."""
    place = 0
    for one in pieces:
        text = one.text[max(0, start - place) : max(0, end - place)]
        if text.strip("\n"):
            yield Piece(text, one.fact)
        place += len(one.text)


def pieces(text: str, report: Report) -> tuple[Piece, ...]:
    """``text`` cut where evidence begins and ends. Where two facts rest on the same words, the first named has them."""
    owner = [""] * len(text)
    for name, spans in evidence(report):
        for start, end in spans:
            for place in range(max(0, start), min(end, len(text))):
                owner[place] = owner[place] or name
    found: list[Piece] = []
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or owner[place] != owner[start]:
            found.append(Piece(text[start:place], owner[start]))
            start = place
    return tuple(found)


def evidence(report: Report) -> Iterable[tuple[str, Sequence[Span]]]:
    """Each fact with the places in the text that it rests on."""
    for name in FIGURES:
        if (figure := getattr(report, name)) is not None:
            yield name, figure.evidence
    if report.occurred is not None:
        yield "occurred", report.occurred.evidence
    if report.place is not None:
        yield "place", report.place.evidence
    yield from report.evidence.items()


def facts(report: Report) -> dict[str, str]:
    """Each fact that a report states, in words."""
    found: dict[str, str] = {}
    if report.occurred is not None:
        found["occurred"] = wording.occurred(report.occurred.value, report.occurred.qualifier)
    if report.place is not None:
        found["place"] = report.place.text
    for name in FIGURES:
        if (figure := getattr(report, name)) is not None:
            found[name] = wording.figure(name, msgspec.to_builtins(figure))
    for name in TEXTS:
        if value := getattr(report, name):
            found[name] = str(value)
    if report.measures:
        found["measures"] = listed(report.measures)
    return found


class Originals:
    """Opens messages for those who may see them."""

    def __init__(self, desk: Services) -> None:
        self._desk = desk
        self._open: OrderedDict[str, Read] = OrderedDict()
        self._looked: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._marked: set[str] = set()
        self._drawn: OrderedDict[tuple[str, int], Attachment] = OrderedDict()

    def has_pages(self, row: MessageRow) -> bool:
        """Whether a message came in pages that can be looked at, beside its text."""
        return row.state != "quarantined" and hasattr(self._desk.live.channels.get(row.via), "picture")

    def opened(self, row: MessageRow) -> Read | None:
        """What was read of a message before and is still in memory."""
        return self._open.get(row.id) if row.state != "quarantined" else None

    async def picture(self, row: MessageRow, who: Who, page: int) -> Attachment:
        """A page of a message as a PNG, for who may see it; the look is on record, and so is one that is refused because the
        message bears a marking. Raises ``NotShown``."""
        if row.state == "quarantined" or row.id in self._marked:
            why = _("marked: sealed for the confidential bureau; nothing of it is shown here")
            now, how = self._desk.live.now(), f"console, {who.account.name}"
            await self._once(
                (who.session.digest, row.id + " refused"),
                lambda tx: acts.refused(tx, now, who=who.name, what="page", why=why, how=how, message=row.id),
            )
            raise NotShown(403, why)
        if not self.has_pages(row) or not 1 <= page <= PAGES:
            raise NotShown(404, _("there is no such page"))
        found = self._drawn.get((row.id, page))
        if found is None:
            found = await self._draw(row, page)
        else:
            self._drawn.move_to_end((row.id, page))
        await self._on_record(row, who)
        return found

    async def _draw(self, row: MessageRow, page: int) -> Attachment:
        try:
            raw = await self._desk.store.read(lambda tx: messages.raw(tx, row.id))
            found = await self._desk.picture(raw, page)
        except KeyGone:
            raise NotShown(410, _("its content is sealed or was destroyed")) from None
        except (NotFound, Tampered) as error:
            text = _("the stored bytes cannot be opened: {error}").format(error=type(error).__name__)
            raise NotShown(500, text) from None
        except WorkerFailed as failed:
            raise NotShown(404, _("the page cannot be shown: {why}").format(why=failed)) from None
        self._drawn[row.id, page] = found
        while sum(len(one.data) for one in self._drawn.values()) > PICTURES:
            self._drawn.popitem(last=False)
        return found

    async def read(self, row: MessageRow, who: Who, *, slowly: bool = False) -> Read:
        """One message. What asks for recognition of pages is opened only ``slowly``."""
        if row.state == "quarantined":
            return Read(why=_("marked: sealed for the confidential bureau; nothing of it is shown here"))
        found = self._open.get(row.id)
        if found is None:
            found = await self._read(row, slowly)
            if not found.why:
                self._open[row.id] = found
                while len(self._open) > KEPT:
                    self._open.popitem(last=False)
        if not found.why:
            await self._on_record(row, who)
        return found

    async def _read(self, row: MessageRow, slowly: bool) -> Read:
        channel = self._desk.live.channels.get(row.via)
        if getattr(channel, "reads_in", "") == "ocr" and not slowly:
            return Read(why=_("pages of a fax; they are read again when asked for"))
        try:
            raw = await self._desk.store.read(lambda tx: messages.raw(tx, row.id))
        except KeyGone:
            return Read(why=_("its content is sealed or was destroyed"))
        except (NotFound, Tampered) as error:
            return Read(why=_("the stored bytes cannot be opened: {error}").format(error=type(error).__name__))
        try:
            ready, failed = await self._desk.read(raw)
        except Exception as error:
            kind = str(error) if isinstance(error, NotJudged) else type(error).__name__
            return Read(why=_("the text could not be read") + wording.aside(kind))
        if failed:
            return Read(why=failed)
        if ready.marking or ready.report is None:
            self._marked.add(row.id)
            self._forget(row.id)
            return Read(why=_("it bears a marking; nothing of it is shown here"))
        text = ready.message.text
        shown = msgspec.structs.replace(ready.report, text="")
        ends = ready.message.page_ends if len(text) <= MOST_CHARACTERS else ()
        return Read(
            pieces=pieces(text[:MOST_CHARACTERS], shown), facts=facts(shown), cut=len(text) > MOST_CHARACTERS, page_ends=ends
        )

    def _forget(self, message: str) -> None:
        for key in [key for key in self._drawn if key[0] == message]:
            del self._drawn[key]

    async def _on_record(self, row: MessageRow, who: Who) -> None:
        event = Event(at=self._desk.live.now(), event="opened", message=row.id, by=who.name, data={"how": "console"})
        await self._once((who.session.digest, row.id), lambda tx: journal.emit(tx, event))

    async def _once(self, key: tuple[str, str], write: Callable[[Tx], None]) -> None:
        """Put on record what this sign-in does with this message for the first time."""
        if key in self._looked:
            return
        await self._desk.store.write(write)
        self._looked[key] = None
        while len(self._looked) > 10_000:
            self._looked.popitem(last=False)


def compared(reads: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Each fact in a row, each report in a column; ``changed`` where a report says otherwise than the last that said anything."""
    names = list(dict.fromkeys(name for read in reads for name in read))
    rows = []
    for name in names:
        cells, last = [], None
        for read in reads:
            value = read.get(name, "")
            cells.append({"text": value, "changed": bool(value and last is not None and value != last)})
            last = value or last
        rows.append({"name": name, "cells": cells})
    return rows
