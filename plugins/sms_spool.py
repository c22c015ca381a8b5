"""SMS in and out through the folders of a modem's daemon (短信猫): smstools or gammu-smsd on the same machine.

Forms: ``gateway_plugins.smsspool.files``. A file leaves the incoming folder only after every part in it is on stable storage.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Struct

from gateway.api import (
    Channel,
    Delivered,
    Field,
    Intake,
    Malformed,
    Message,
    Outcome,
    Part,
    RawMessage,
    Receipt,
    Refused,
    Services,
    Settings,
    StorageTrouble,
    TooLarge,
    TryLater,
    _,
    hookimpl,
)
from gateway_plugins.phone import spool
from gateway_plugins.smsspool import files, outbox

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""How often an attempt to send looks whether the daemon is done."""


class SpoolSettings(Settings):
    """[channel.NAME] with kind = "sms_spool". Times in seconds."""

    form: files.Form = Field(description="whose folders they are: smstools or gammu")
    incoming: str = Field(description="where the daemon puts what it received (gammu: inboxpath)")
    reports: str = Field("", description="where smstools puts status reports (report); empty: none are read")
    outgoing: str = Field("", description="where the daemon takes what it is to send (gammu: outboxpath); empty: nothing is sent")
    checked: str = Field("", description="where smstools keeps what it is about to send (checked)")
    sent: str = Field("", description="where the daemon puts what it sent (gammu: sentsmspath)")
    failed: str = Field("", description="where the daemon puts what it could not send (gammu: errorsmspath)")
    spool_seconds: float = Field(2, gt=0, description="how often the folders are looked at")
    settle_seconds: float = Field(2, ge=0, description="a file that changed within this time is still being written")
    keep_files: bool = Field(False, description="keep the text of accepted files in done/; else done/ holds the receipt alone")
    send_wait: float = Field(25, gt=0, description="one attempt waits so long for the modem, then the message is tried later")


class SpoolHealth(Struct, frozen=True):
    """How the folders are."""

    state: Literal["up", "connecting", "down"]
    detail: str


class SmsSpool:
    """The channel; ``to_sms`` gives it whole texts."""

    kind: ClassVar[str] = "sms_spool"
    channel: ClassVar[Channel] = "sms"
    reads_in: ClassVar[Literal["inline"]] = "inline"
    Settings = SpoolSettings

    def __init__(self, name: str, settings: Any, services: Services | None = None) -> None:
        self.name = name
        self.settings: SpoolSettings = settings
        self.services = services
        self._watcher: asyncio.Task[None] | None = None
        self._trouble = ""
        self._seen: dict[str, spool.Seen] = {}
        self._alarmed: set[str] = set()

    async def start(self, intake: Intake) -> None:
        """Begin to look at the folders; they need not be there yet."""
        assert self.services is not None
        self._watcher = asyncio.create_task(self._watch(intake))

    async def stop(self) -> None:
        """Look no more; a file that was not answered for is still there next time."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None

    def health(self) -> SpoolHealth:
        if self._watcher is None:
            return SpoolHealth("down", _("not started"))
        if self._trouble:
            return SpoolHealth("connecting", self._trouble)
        return SpoolHealth("up", _("folder {folder}").format(folder=self.settings.incoming))

    async def probe(self) -> str | None:
        """Whether every folder that is named can be used."""
        named = [getattr(self.settings, key) for key in ("incoming", "reports", "outgoing", "checked", "sent", "failed")]
        for folder in filter(None, named):
            if not await asyncio.to_thread(os.access, folder, os.R_OK | os.W_OK | os.X_OK):
                return _("the folder {folder} cannot be read and written").format(folder=folder)
        return None

    def read(self, raw: RawMessage) -> Message:
        """The text of one part or of all. Raises ``Malformed``."""
        return files.read(raw.body)

    # in

    async def _watch(self, intake: Intake) -> None:
        """Look for ever. Trouble of any kind leaves the files where they are."""
        while True:
            try:
                await self.sweep(intake)
                self._trouble = ""
                self._alarmed.discard("folder")
            except OSError as error:
                self._trouble = _("the spool folder cannot be used ({error})").format(error=type(error).__name__)
                self._alarm_once("folder", self._trouble)
            except StorageTrouble:
                log.warning("channel %s: storage trouble, spooled files wait", self.name)
            except Exception as error:  # one file that was not thought of must not end the channel
                log.error("channel %s: a look at the folders failed: %s", self.name, type(error).__name__)
            await asyncio.sleep(self.settings.spool_seconds)

    async def sweep(self, intake: Intake) -> None:
        """Take in the whole files of the folders, oldest first. Raises ``OSError`` and ``StorageTrouble``."""
        for group in grouped(await self._scan(self.settings.incoming)):
            await self._take(group, intake)
        if self.settings.reports:
            for spooled in await self._scan(self.settings.reports):
                await self._report(spooled, intake)

    async def _scan(self, folder: str) -> list[spool.Spooled]:
        settle = self.settings.settle_seconds
        seen = self._seen.setdefault(folder, {})
        return await asyncio.to_thread(spool.scan, Path(folder), seen=seen, now=time.time(), settle_seconds=settle)

    async def _take(self, group: list[spool.Spooled], intake: Intake) -> None:
        """Every part of every file of a group is stored; then the files leave the folder."""
        folder = Path(self.settings.incoming)
        stored: list[tuple[spool.Spooled, str, str]] = []
        total = await asyncio.to_thread(known_parts, folder, group)
        if total == 0:
            return
        for spooled in group:
            body = await asyncio.to_thread(spool.content, spooled)
            if body is None:
                return
            ids = []
            try:
                for raw in self._raws(spooled, body, total):
                    ids.append((await intake.accept(raw)).id)
            except TooLarge:
                assert self.services is not None
                words = _("a spooled file is over the limit of {limit} bytes").format(limit=self.services.max_bytes)
                self._alarm_once(spooled.path.name, words)
                stored.append((spooled, "too_large", ""))
                continue
            stored.append((spooled, "done", " ".join(ids)))
        for spooled, goal, receipt in stored:
            keep = goal != "done" or self.settings.keep_files
            await asyncio.to_thread(spool.put_away, spooled, folder / goal, f"accepted as {receipt}", keep=keep)

    def _raws(self, spooled: spool.Spooled, body: bytes, total: int) -> list[RawMessage]:
        """The parts in a file as messages. A file that is none is taken all the same: a person will look at it."""
        assert self.services is not None
        name = spool.safe_name(spooled.path.name)
        try:
            found = files.smstools(body) if self.settings.form == "smstools" else files.gammu(spooled.path.name, body)
        except Malformed as fault:
            self._alarm_once(name, _("a spooled file cannot be read: {why}").format(why=fault))
            found = [files.Found(sender="", part=files.StoredPart(content=body.hex()))]
        made = []
        for number, one in enumerate(found):
            part = None
            if one.place is not None:
                part = Part(ref=f"{one.sender}/{one.place.reference}", number=one.place.number, total=one.place.total)
            elif total > 1 and len(found) == 1:
                part = Part(ref=files.companions(name) or name, number=files.sequence(name) + 1, total=total)
            made.append(
                RawMessage(
                    channel="sms", via=self.name, received_at=self.services.now(), sender=one.sender,
                    carrier_id=f"{name}#{number}" if number else name, body=msgspec.json.encode(one.part),
                    content_type=files.PART_TYPE, part=part, meta={"file": name},
                )
            )  # fmt: skip
        return made

    async def _report(self, spooled: spool.Spooled, intake: Intake) -> None:
        body = await asyncio.to_thread(spool.content, spooled)
        if body is None:
            return
        try:
            report = files.report(body)
        except Malformed as error:
            report = None
            self._alarm_once(spooled.path.name, _("a delivery receipt could not be read: {why}").format(why=error))
        # TP-Status: up to 0x1F the message arrived, up to 0x3F it is still being tried, above that it failed.
        if report is not None and not 0x20 <= report.status < 0x40:
            state: Literal["delivered", "failed"] = "delivered" if report.status < 0x20 else "failed"
            await intake.receipt(Receipt(via=self.name, ref=report.ref, state=state, detail=f"TP-Status {report.status}"))
        await asyncio.to_thread(spool.put_away, spooled, Path(self.settings.reports) / "done", "receipt taken", keep=False)

    # out

    async def send_text(self, to: str, text: str, *, key: str, receipt: bool) -> Outcome:
        """Give a whole text to the daemon and wait for the modem. What it does not get done in time stays with the daemon: the
        next attempt with the same ``key`` finds it there, or among what was sent."""
        s = self.settings
        if not (s.outgoing and s.sent and s.failed):
            return Refused(_("channel {name} has no folders to send through").format(name=self.name))
        checked = Path(s.checked) if s.checked else None
        folders = outbox.Folders(outgoing=Path(s.outgoing), checked=checked, sent=Path(s.sent), failed=Path(s.failed))
        letter = outbox.Letter(form=s.form, to=to, words=text, key=key, receipt=receipt)
        try:
            async with asyncio.timeout(s.send_wait):
                return await self._sent(folders, letter)
        except TimeoutError:
            return TryLater(_("the modem has not sent it yet"))
        except OSError as error:
            return TryLater(_("the spool folder cannot be used ({error})").format(error=type(error).__name__))

    async def _sent(self, folders: outbox.Folders, letter: outbox.Letter) -> Outcome:
        while True:
            state = await asyncio.to_thread(outbox.state, folders, letter)
            if state == "sent":
                return Delivered(await asyncio.to_thread(outbox.taken, folders, letter))
            if state == "failed":
                why = await asyncio.to_thread(outbox.refused, folders, letter)
                return TryLater(_("the modem could not send it: {why}").format(why=why or "?"))
            if state == "vanished":
                await asyncio.to_thread(outbox.forget, folders, letter)
                self._alarm_once("vanished", _("the modem's daemon leaves no trace of what it sends: are sent and failed right?"))
                # Put again it might be sent again and again: the office's next way is the safer one.
                return Refused(_("the modem's daemon took it and left no trace"))
            if state == "absent":
                await asyncio.to_thread(outbox.put, folders, letter)
            await asyncio.sleep(LOOK_SECONDS)

    def _alarm_once(self, what: str, why: str) -> None:
        if what not in self._alarmed and self.services is not None:
            self._alarmed.add(what)
            self.services.alarm(why, via=self.name)


def grouped(found: list[spool.Spooled]) -> list[list[spool.Spooled]]:
    """Files that gammu-smsd wrote for one message together, every other file by itself; in the order of the first."""
    groups: dict[str, list[spool.Spooled]] = {}
    for spooled in found:
        groups.setdefault(files.companions(spooled.path.name) or f"/{spooled.path.name}", []).append(spooled)
    return [sorted(group, key=lambda spooled: spooled.path.name) for group in groups.values()]


def known_parts(folder: Path, group: list[spool.Spooled]) -> int:
    """How many parts a message has: its files here, and those that an earlier look has put away already. 0: one of them is still
    being written, so that nobody can tell."""
    stem = files.companions(group[0].path.name)
    if stem is None:
        return 1
    names = {spooled.path.name for spooled in group}
    if any(files.companions(path.name) == stem and path.name not in names for path in folder.iterdir()):
        return 0
    if (folder / "done").is_dir():
        names |= {path.name for path in (folder / "done").iterdir() if files.companions(path.name) == stem}
    return max(files.sequence(name) for name in names) + 1


@hookimpl
def channels() -> list[type[SmsSpool]]:
    """The channel of this plugin."""
    return [SmsSpool]
