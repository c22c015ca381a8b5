"""Fax (传真) that a fax server or printer sends as mail to an address of its own: HylaFAX ``faxrcvd``, network printers.

The pages are always kept. With the extra ``[ocr]`` their text is read, in a worker; without it, or where a page cannot be read,
``unread`` says so and a person must look. The mail comes in through the listener of the channel named in ``listener``.
"""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from gateway.api import Attachment, Channel, Field, Intake, Malformed, Message, RawMessage, Services, Settings, _, hookimpl
from gateway_plugins.fax import notice, ocr, pages
from gateway_plugins.mailtext import read_mail

RETRY_SECONDS = 0.2


class FaxSettings(Settings):
    """``[channel.NAME]`` with ``kind = "fax_mail"``."""

    listener: str = Field("mail", description="the email_smtp channel whose listener takes the mail")
    addresses: tuple[str, ...] = Field(description="the recipients whose mail is taken as faxes")
    ocr: bool = Field(True, description="read the pages where recognition is installed")
    max_pages: int = Field(30, ge=1, description="pages of one fax that are read; the rest needs a person")
    ocr_seconds: float = Field(90, gt=0, description="time for reading one fax; pages not begun by then need a person")


class State(Struct, frozen=True):
    """How the channel is, for ``gateway channels``."""

    state: Literal["up", "connecting", "down"]
    detail: str = ""


class Pages(Struct):
    """What reading the pages of all files gave."""

    texts: list[str] = []
    files: list[Attachment] = []
    total: int = 0
    unread: int = 0
    flags: list[str] = []


class FaxMail:
    """Takes addresses on another channel's listener; which of the two starts first does not matter."""

    kind: ClassVar[str] = "fax_mail"
    channel: ClassVar[Channel] = "fax"
    reads_in: ClassVar[Literal["ocr"]] = "ocr"
    Settings = FaxSettings

    def __init__(self, name: str, settings: FaxSettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self._registered = False
        self._retry: asyncio.TimerHandle | None = None

    async def start(self, intake: Intake) -> None:
        """Register with the listener, now or as soon as it is there."""
        self._register(intake)

    async def stop(self) -> None:
        """Take no more faxes."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if (
            self._registered
            and self.services is not None
            and (listener := self.services.channel(self.settings.listener)) is not None
        ):
            listener.forget(self.name)
        self._registered = False

    def _register(self, intake: Intake) -> None:
        assert self.services is not None
        listener = self.services.channel(self.settings.listener)
        if listener is None:
            self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._register, intake)
            return
        listener.register(self.settings.addresses, channel="fax", via=self.name, intake=intake)
        self._registered = True

    def health(self) -> State:
        if self._registered:
            way = _("by channel {name}").format(name=self.settings.listener)
            return State("up", way + ("" if ocr.available() else _("; no OCR: a person must read each fax")))
        waiting = _("waiting for channel {name}").format(name=self.settings.listener)
        return State("connecting" if self._retry is not None else "down", waiting)

    def read(self, raw: RawMessage) -> Message:
        """The pages, their text if it can be had, and the sender's number from the fax server's own lines."""
        mail = read_mail(raw.body)
        told = notice.read(f"{mail.text}\n{mail.quoted}", mail.subject)
        found = self._pages(mail.attachments)
        if not found.files:
            flags = (*mail.flags, "fax_without_pages")
            return replace(mail, sender=told.sender, pages=told.pages, flags=flags, unread=mail.unread or "fax without pages")
        total = max(found.total, told.pages)
        unread = found.unread + total - found.total
        why = [
            mail_why
            for mail_why in (mail.unread or "").split("; ")
            if mail_why and not mail_why.startswith("attachment not read")
        ]
        if unread:
            why.append(f"fax not read: {total} pages" if unread == total else f"fax not read: {unread} of {total} pages")
        return replace(
            mail,
            text="\n".join(text for text in found.texts if text),
            quoted="",
            attachments=tuple(found.files),
            automatic=False,
            bulk=False,
            sender=told.sender,
            pages=total,
            unread="; ".join(why) or None,
            flags=tuple(dict.fromkeys((*mail.flags, *found.flags))),
        )

    def _pages(self, attachments: tuple[Attachment, ...]) -> Pages:
        """Every file with pages read once: HylaFAX sends the same pages as TIFF and as PDF, and the TIFF is the fax itself."""
        found = Pages(texts=[], files=[], flags=[])
        files = [file for file in attachments if pages.is_page_file(file.content_type, file.name)]
        tiff = any(not pages.is_pdf(file.data) for file in files)
        until = time.monotonic() + self.settings.ocr_seconds
        for file in attachments:
            if file not in files:
                found.files.append(file)
            elif tiff and pages.is_pdf(file.data):
                found.files.append(replace(file, pages=pages.count(file.data)))
            else:
                found.files.append(self._file(file, found, until))
        return found if files else Pages(texts=[], files=[], flags=[])

    def _file(self, file: Attachment, found: Pages, until: float) -> Attachment:
        count = max(pages.count(file.data), 1)
        found.total += count
        if not (self.settings.ocr and ocr.available() and pages.available()):
            found.unread += count
            return replace(file, pages=count)
        texts: list[str] = []
        read = 0
        try:
            for page in pages.images(file.data):
                if page is None:
                    continue
                if len(found.texts) + read >= self.settings.max_pages or time.monotonic() > until:
                    break
                done = ocr.recognise(page)
                read += 1
                texts.append(done.text)
                if done.dropped:
                    found.flags.append("ocr_dropped_line")
        except Malformed:
            found.flags.append("pages_damaged")
        except Exception:
            # Recognition is a large foreign program: whatever it does, the pages are kept and a person reads them.
            found.flags.append("ocr_failed")
        found.unread += count - min(read, count)
        found.texts.extend(texts)
        return replace(file, pages=count, text="\n".join(texts) if read else None)


@hookimpl
def channels() -> list[type[FaxMail]]:
    """The channel of this plugin."""
    return [FaxMail]
