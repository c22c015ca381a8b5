"""A plugin that behaves badly when it is told to: as a file of plugins.d, or as the module of a distribution.

A line over TCP is a message, except ``do NAME``, which is a behaviour; a delivery whose text names one behaves so while it is
sent. ``do`` is not mentioned to anybody else, so that all of it happens inside the plugin's own process.
"""

import asyncio
import ctypes
import itertools
import os
import sys
import threading
import time
from types import SimpleNamespace

from gateway.api import (
    Delivered,
    Destination,
    Doubt,
    Field,
    Message,
    RawMessage,
    Refused,
    SecretName,
    Settings,
    StorageTrouble,
    TooLarge,
    hookimpl,
)

KEPT = []


class LineSettings(Settings):
    port: int = Field(default=26100, ge=1, le=65535, description="TCP port")
    token: SecretName = Field(default="phone-token", description="a secret that it is lent")


class Behaviour:
    """Each method is one way to be a bad neighbour."""

    def __init__(self, channel):
        self.channel = channel

    async def raises(self):
        raise KeyError("no such thing")

    async def hangs(self):
        await asyncio.Event().wait()

    async def busy(self):
        while True:
            pass

    async def sleeps(self):
        time.sleep(3600)

    async def leaks(self):
        while True:
            KEPT.append(bytearray(4 * 1024 * 1024))
            await asyncio.sleep(0)

    async def exits(self):
        os._exit(7)

    async def segfault(self):
        ctypes.string_at(0)

    async def rubbish(self):
        return {"what": "is this"}

    async def floods(self):
        for first in itertools.count(0, 200):
            raws = [self.channel.raw(b"flood %d" % n) for n in range(first, first + 200)]
            await asyncio.gather(*(self.channel.intake.accept(raw) for raw in raws), return_exceptions=True)

    async def notes(self):
        while True:
            (self.channel.services if self.channel else SERVICES[0]).alarm("many " + os.urandom(4).hex())
            await asyncio.sleep(0)

    async def pipe(self):
        os.closerange(3, 256)

    async def forks(self):
        if os.fork() == 0:
            await asyncio.sleep(3600)
        return Delivered(())

    async def prints(self):
        for _ in range(1000):
            print("a report's own words", flush=True)
        sys.stdout.flush()
        return Delivered(())

    async def bomb(self):
        libc = ctypes.CDLL(None)
        for _ in range(40):
            if libc.fork() == 0:
                time.sleep(3600)


SERVICES = []


class LineChannel:
    kind, channel, reads_in, Settings = "bad_line", "sms", "inline", LineSettings

    def __init__(self, name, settings, services=None):
        self.name, self.settings, self.services, self.server = name, settings, services, None

    async def start(self, intake):
        self.intake = intake
        self.services.secret(self.settings.token)
        self.server = await asyncio.start_server(self._talk, "127.0.0.1", self.settings.port, reuse_address=True)

    async def stop(self):
        self.server.close()

    def health(self):
        return SimpleNamespace(state="up" if self.server else "down", detail=f"port {self.settings.port}")

    def raw(self, body):
        return RawMessage(
            channel="sms",
            via=self.name,
            received_at=self.services.now(),
            sender="+8613800000009",
            body=body,
            content_type="text/plain; charset=utf-8",
        )

    async def _talk(self, reader, writer):
        while line := (await reader.readline()).rstrip(b"\r\n"):
            if line.startswith(b"do "):
                writer.write(b"DOING\n")
                await writer.drain()
                await getattr(Behaviour(self), line[3:].decode())()
                continue
            try:
                answer = f"OK {(await self.intake.accept(self.raw(line))).id}\n"
            except StorageTrouble:
                answer = "LATER\n"
            except TooLarge:
                answer = "TOO LARGE\n"
            writer.write(answer.encode())
            await writer.drain()
        writer.close()

    def read(self, raw):
        return Message(text=raw.body.decode("utf-8"))


class BadTransport:
    kind, Settings = "bad_out", Settings

    def __init__(self, name, settings, services=None):
        self.name, self.services = name, services
        SERVICES.append(services)

    async def start(self): ...

    async def stop(self): ...

    async def send(self, delivery):
        wish = delivery.text.partition("do ")[2].split()
        if wish[:1] == ["names"]:
            raise type(wish[1], (Exception,), {})
        if wish[:1] == ["quotes"]:
            return Refused(f"550 5.7.1 not wanted: {delivery.text}")
        if wish:
            return await getattr(Behaviour(None), wish[0])()
        return Delivered((f"{delivery.id}-1",))


class BadRouter:
    kind, Settings = "bad_route", Settings

    def __init__(self, name, settings): ...

    def route(self, incident, moment, directory):
        if "busy" in incident.title:
            while True:
                pass
        if "raises" in incident.title:
            raise KeyError(incident.title)
        if "rubbish" in incident.title:
            return ["leading_group"]
        assert moment.local.hour == 22, moment.local
        return [Destination(office=directory.office("处理突发事件领导小组办公室").id, because="always")]


class BadReader:
    kind, Settings = "bad_read", Settings

    def __init__(self, name, settings): ...

    def read(self, message, report):
        return [Doubt(item=None, because=f"read in {threading.current_thread().name}")]


@hookimpl
def channels():
    return [LineChannel]


@hookimpl
def transports():
    return [BadTransport]


@hookimpl
def routers():
    return [BadRouter]


@hookimpl
def readers():
    return [BadReader]
