"""Fax (传真) that a fax server or printer sends as mail to an address of its own: HylaFAX ``faxrcvd``, network printers.

The pages are always kept. With the extra ``[ocr]`` their text is read, in a worker; without it, or where a page cannot be read,
``unread`` says so and a person must look. The mail comes in through the listener of the channel named in ``listener``.
"""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from gateway.api import Attachment, Channel, Field, Malformed, Message, RawMessage, Settings, _, hookimpl
from gateway_plugins.fax import notice, ocr, pages
from gateway_plugins.mailtext import read_mail
from gateway_plugins.smtpin.guest import GuestChannel


class FaxSettings(Settings):
    """``[channel.NAME]`` with ``kind = "fax_mail"``."""

    listener: str = Field("mail", description="the email_smtp channel whose listener takes the mail")
    addresses: tuple[str, ...] = Field(description="the recipients whose mail is taken as faxes")
    ocr: bool = Field(True, description="read the pages where recognition is installed")
    max_pages: int = Field(30, ge=1, description="pages of one fax that are read; the rest needs a person")
    ocr_seconds: float = Field(90, gt=0, description="time for reading one fax; pages not begun by then need a person")
    forms: dict[str, notice.FaxForm] = Field(
        {}, description="what mails of fax servers, printers and services look like, by name"
    )


class Pages(Struct):
    """What reading the pages of all files gave; ``texts`` has one for each page, empty where it was not read."""

    texts: list[str] = []
    read: int = 0
    files: list[Attachment] = []
    total: int = 0
    unread: int = 0
    flags: list[str] = []


class FaxMail(GuestChannel):
    """Takes addresses on another channel's listener; which of the two starts first does not matter."""

    kind: ClassVar[str] = "fax_mail"
    channel: ClassVar[Channel] = "fax"
    reads_in: ClassVar[Literal["ocr"]] = "ocr"
    Settings = FaxSettings
    settings: FaxSettings

    def remark(self) -> str:
        return "" if ocr.available() else _("; no OCR: a person must read each fax")

    def read(self, raw: RawMessage) -> Message:
        """The pages, their text if it can be had, and the sender's number from the fax server's own lines."""
        mail = read_mail(raw.body)
        told = notice.read(raw.body, mail, self.settings.forms)
        claimed = ("station_claimed",) if told.claimed else ()
        found = self._pages(mail.attachments)
        if not found.files:
            flags = (*mail.flags, "fax_without_pages", *claimed)
            return replace(mail, sender=told.sender, pages=told.pages, flags=flags, unread=mail.unread or "fax without pages")
        total = max(found.total, told.pages)
        unread = found.unread + total - found.total
        why = [
            mail_why
            for mail_why in (mail.unread or "").split("; ")
            if mail_why and not mail_why.startswith("attachment not read")
        ]
        if told.broken:
            why.append("the transmission broke off")
        if unread:
            why.append(f"fax not read: {total} pages" if unread == total else f"fax not read: {unread} of {total} pages")
        return replace(
            mail,
            text="\n".join(text for text in found.texts if text),
            page_ends=_ends(found.texts),
            quoted="",
            attachments=tuple(found.files),
            automatic=False,
            bulk=False,
            sender=told.sender,
            pages=total,
            unread="; ".join(why) or None,
            flags=tuple(dict.fromkeys((*mail.flags, *found.flags, *claimed))),
        )

    def picture(self, raw: RawMessage, page: int) -> Attachment | None:
        """A page as it came, for a person."""
        files = [file for file in read_mail(raw.body).attachments if pages.is_page_file(file.content_type, file.name)]
        shown = [file for file in files if not pages.is_pdf(file.data)] or files
        counts = [max(pages.count(file.data), 1) for file in shown]
        before = 0
        for file, count in zip(shown, counts, strict=True):
            if before < page <= before + count:
                drawn = pages.one(file.data, page - before - 1)
                if drawn is None:
                    return None
                return Attachment(name=f"{page}.png", content_type="image/png", data=pages.png(drawn), pages=sum(counts))
            before += count
        return None

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
            found.texts += [""] * count
            return replace(file, pages=count)
        texts: list[str] = []
        read = 0
        try:
            for page in pages.images(file.data):
                if page is None:
                    texts.append("")
                    continue
                if found.read + read >= self.settings.max_pages or time.monotonic() > until:
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
        found.read += read
        found.texts += [*texts, *[""] * (count - len(texts))]
        return replace(file, pages=count, text="\n".join(text for text in texts if text) if read else None)


def _ends(texts: list[str]) -> tuple[int, ...]:
    """Where each page ends in the text that they make together."""
    ends: list[int] = []
    end = 0
    for text in texts:
        end += len(text) + (1 if text and end else 0)
        ends.append(end)
    return tuple(ends)


@hookimpl
def channels() -> list[type[FaxMail]]:
    """The channel of this plugin."""
    return [FaxMail]
