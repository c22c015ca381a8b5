"""A plugin that fails in every hook, and quotes in each exception what it was given. Copied into CONF/plugins.d."""

import asyncio
import sys
from types import SimpleNamespace

from gateway.api import (
    Destination,
    Field,
    Malformed,
    Message,
    RawMessage,
    Refused,
    Settings,
    StorageTrouble,
    TooLarge,
    TryLater,
    hookimpl,
)


class LineSettings(Settings):
    port: int = Field(default=26100, ge=1, le=65535, description="TCP port")


class Quoting:
    """A line over TCP is a message."""

    kind, channel, reads_in, Settings = "quoting", "sms", "inline", LineSettings

    def __init__(self, name, settings, services=None):
        self.name, self.settings, self.services, self.server = name, settings, services, None

    async def start(self, intake):
        self.intake = intake
        self.server = await asyncio.start_server(self._talk, "127.0.0.1", self.settings.port, reuse_address=True)

    async def stop(self):
        self.server.close()

    def health(self):
        return SimpleNamespace(state="up", detail="")

    async def _talk(self, reader, writer):
        while line := (await reader.readline()).rstrip(b"\r\n"):
            raw = RawMessage(
                channel="sms", via=self.name, received_at=self.services.now(), sender="+8613800000009", body=line,
                content_type="text/plain; charset=utf-8",
            )  # fmt: skip
            try:
                await self.intake.accept(raw)
                answer = b"OK\n"
            except (StorageTrouble, TooLarge):
                answer = b"LATER\n"
            writer.write(answer)
            await writer.drain()
            if len(line) % 3 == 0:
                raise RuntimeError(line.decode())
        writer.close()

    def read(self, raw):
        text = raw.body.decode()
        print(text, flush=True)
        print(text, file=sys.stderr, flush=True)
        match len(text) % 4:
            case 0:
                raise ValueError(text)
            case 1:
                raise Malformed(f"field 'text' cannot be read: {text}")
            case 2:
                raise KeyError(text) from RuntimeError(text)
        return Message(text=text)


class QuotingOut:
    kind, Settings = "quoting_out", Settings

    def __init__(self, name, settings, services=None): ...

    async def start(self): ...

    async def stop(self): ...

    async def send(self, delivery):
        match len(delivery.text) % 3:
            case 0:
                return TryLater(f"500 not now: {delivery.subject} {delivery.short_text}")
            case 1:
                return Refused(f"550 rejected by content: {delivery.text}")
        error = ConnectionError(delivery.text)
        error.add_note(delivery.text)
        raise error


class QuotingRouter:
    kind, Settings = "quoting_route", Settings

    def __init__(self, name, settings): ...

    def route(self, incident, moment, directory):
        if len(incident.report.text) % 7 == 0:
            raise LookupError(incident.report.text + incident.title)
        return [Destination(office="committee_office", because="always")]


class QuotingReader:
    kind, Settings = "quoting_read", Settings

    def __init__(self, name, settings): ...

    def read(self, message, report):
        if len(message.text) % 5 == 0:
            raise ValueError(f"{message.subject} {message.text}")
        return []

    def classify(self, report, found):
        raise ValueError(report.text)


@hookimpl
def channels():
    return [Quoting]


@hookimpl
def transports():
    return [QuotingOut]


@hookimpl
def routers():
    return [QuotingRouter]


@hookimpl
def readers():
    return [QuotingReader]


@hookimpl
def classifiers():
    return [QuotingReader]
