"""Telephone (电话): transcripts of calls by ``POST /phone`` (JSON with speakers, WebVTT, plain text) and from a spool folder.

Source: docs/channels/phone_transcript.md. 200 ``{"id"}`` and the leaving of a spooled file both mean: on stable storage.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import ClassVar, Literal

from msgspec import Struct

from gateway.api import (
    Channel,
    Field,
    Intake,
    Malformed,
    Message,
    RawMessage,
    SecretName,
    Services,
    Settings,
    StorageTrouble,
    TooLarge,
    _,
    hookimpl,
    inherited,
)
from gateway_plugins.phone import formats, parcel, spool
from gateway_plugins.phone.door import Door, Server

log = logging.getLogger(__name__)


class PhoneSettings(Settings):
    """``[channel.NAME]`` with ``kind = "phone_transcript"``."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="HTTP port; 0 takes any free one")
    socket: str = Field("http", description="systemd socket taken instead of host and port where it was passed; empty: never")
    token: SecretName = Field("phone-token", description="name of the secret that holds the bearer token")
    timeout_seconds: float = Field(30, gt=0, description="a request ends after so long without an octet")
    body_seconds: float = Field(120, gt=0, description="a body ends after so long in all, however many octets still come")
    spool: str = Field("", description="folder to which transcripts are renamed in; empty: none")
    spool_seconds: float = Field(3, gt=0, description="how often the folder is looked at")
    settle_seconds: float = Field(2, ge=0, description="a file that changed within this time is still being written")
    keep_files: bool = Field(False, description="keep the text of accepted files in done/; else done/ holds the receipt alone")


class State(Struct, frozen=True):
    """How the channel is, for ``gateway channels``."""

    state: Literal["up", "connecting", "down"]
    detail: str = ""


class PhoneTranscript:
    """The HTTP door and the spool folder of one configured channel."""

    kind: ClassVar[str] = "phone_transcript"
    channel: ClassVar[Channel] = "phone"
    reads_in: ClassVar[Literal["inline"]] = "inline"
    Settings = PhoneSettings

    def __init__(self, name: str, settings: PhoneSettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self.port = 0
        self._server: Server | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._seen: spool.Seen = {}
        self._alarmed: set[str] = set()

    async def start(self, intake: Intake) -> None:
        """Listen, and watch the folder if there is one. Raises ``OSError`` when the port is taken."""
        assert self.services is not None
        s = self.settings
        token = self.services.secret(s.token)
        door = Door(via=self.name, intake=intake, token=token, max_bytes=self.services.max_bytes, now=self.services.now,
                    body_seconds=s.body_seconds)  # fmt: skip
        self._server = Server(door.app, timeout_seconds=s.timeout_seconds)
        await self._server.start(s.host, s.port, inherited(s.socket))
        self.port = self._server.port
        if s.spool:
            self._watcher = asyncio.create_task(self._watch(Path(s.spool), intake))

    async def stop(self) -> None:
        """Close the door and leave the folder alone; a file that was not answered for is still there next time."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None
        if self._server is not None:
            await self._server.stop()
            self._server = None
        self.port = 0

    def listens(self) -> list[tuple[str, int]]:
        """The HTTP door."""
        return [(self.settings.host, self.settings.port)] if self.settings.port else []

    async def probe(self) -> str | None:
        """Whether the spool folder, where one is asked for, can be used."""
        folder = self.settings.spool
        if folder and not await asyncio.to_thread(os.access, folder, os.R_OK | os.W_OK | os.X_OK):
            return _("the spool folder {folder} cannot be read and written").format(folder=folder)
        return None

    def health(self) -> State:
        if self._server is None or not self._server.up:
            return State("down", _("not listening"))
        return State("up", _("{host} port {port}").format(host=self.settings.host, port=self.port)
                     + (_(", spool folder") if self.settings.spool else ""))  # fmt: skip

    def read(self, raw: RawMessage) -> Message:
        """One line ``speaker：text`` for each turn. Raises ``Malformed``."""
        if raw.content_type.lower().startswith(parcel.FORM):
            return parcel.read(raw.body, raw.content_type)
        return formats.read(raw.body, raw.content_type)

    async def _watch(self, folder: Path, intake: Intake) -> None:
        """Look at the folder for ever. Trouble of any kind leaves the files where they are."""
        while True:
            try:
                await self.sweep(folder, intake)
                self._alarmed.discard("folder")
            except OSError as error:
                self._alarm_once("folder", _("the spool folder cannot be used ({error})").format(error=type(error).__name__))
            except StorageTrouble:
                log.warning("channel %s: storage trouble, spooled files wait", self.name)
            await asyncio.sleep(self.settings.spool_seconds)

    async def sweep(self, folder: Path, intake: Intake) -> int:
        """Take in the whole files of the folder, oldest first; returns how many. Raises ``OSError`` and ``StorageTrouble``."""
        settle = self.settings.settle_seconds
        files = await asyncio.to_thread(spool.scan, folder, seen=self._seen, now=time.time(), settle_seconds=settle)
        taken = 0
        for spooled in files:
            taken += await self._take(spooled, folder, intake)
        return taken

    async def _take(self, spooled: spool.Spooled, folder: Path, intake: Intake) -> bool:
        assert self.services is not None
        limit, keep = self.services.max_bytes, self.settings.keep_files
        if spooled.size > limit:
            self._alarm_once(spooled.path.name, _("a spooled file is over the limit of {limit} bytes").format(limit=limit))
            await asyncio.to_thread(spool.put_away, spooled, folder / "too_large", "", keep=True)
            return False
        body = await asyncio.to_thread(spool.content, spooled)
        if body is None:
            return False
        try:
            accepted = await intake.accept(self._raw(spooled, body))
        except TooLarge:
            self._alarm_once(spooled.path.name, _("a spooled file is over the limit of {limit} bytes").format(limit=limit))
            await asyncio.to_thread(spool.put_away, spooled, folder / "too_large", "", keep=True)
            return False
        await asyncio.to_thread(spool.put_away, spooled, folder / "done", f"accepted as {accepted.id}", keep=keep)
        return True

    def _raw(self, spooled: spool.Spooled, body: bytes) -> RawMessage:
        """The file as a message. One that cannot be read is taken all the same: a person will look at it."""
        assert self.services is not None
        sender, recipient, carrier_id = "", "", spool.safe_name(spooled.path.name)
        if spooled.content_type == formats.JSON and formats.sort_of(body) == "transcript":
            try:
                found = formats.transcript(body)
                sender, recipient, carrier_id = found.caller, found.called, found.call_id
            except Malformed:
                log.warning("channel %s: a spooled file is not a transcript and needs a person", self.name)
        return RawMessage(
            channel="phone", via=self.name, received_at=self.services.now(), sender=sender, recipient=recipient,
            carrier_id=carrier_id, body=body, content_type=spooled.content_type, meta={"spool": "1"},
        )  # fmt: skip

    def _alarm_once(self, what: str, why: str) -> None:
        if what not in self._alarmed and self.services is not None:
            self._alarmed.add(what)
            self.services.alarm(why, via=self.name)


@hookimpl
def channels() -> list[type[PhoneTranscript]]:
    """The channel of this plugin."""
    return [PhoneTranscript]
