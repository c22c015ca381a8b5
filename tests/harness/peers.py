"""Carriers and peers for the harness: what puts a body on each channel's wire, and what stands at the end of each transport."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.demo.mailsink import DemoMailSink
from gateway.demo.smsc import DemoSmsc
from gateway.testing import Answer, MemoryClock, MemoryServices, PeerMode
from gateway_plugins.httpout import signing
from gateway_plugins.levels import wire
from gateway_plugins.smpp.pdu import Command, Status
from gateway_plugins.sms_smpp import SmppSettings
from tests.sms.ismg import Ismg, deliver_body


def smtp(port: Callable[[], int], recipient: str) -> Callable[[bytes], Awaitable[Answer]]:
    """A mail client that says no more than it must."""

    async def send(body: bytes) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", port())

        async def reply() -> int:
            while (line := await reader.readline())[3:4] == b"-":
                pass
            return int(line[:3])

        try:
            await reply()
            for line in ("EHLO tester", "MAIL FROM:<clerk@example.test>", f"RCPT TO:<{recipient}>", "DATA"):
                writer.write(line.encode() + b"\r\n")
                assert await reply() < 400
            writer.write(body + b"\r\n.\r\n")
            code = await reply()
            return "accepted" if code == 250 else "temporary" if code < 500 else "refused"
        finally:
            writer.close()

    return send


def http(port: Callable[[], int], token: str, path: str = "/phone") -> Callable[[bytes], Awaitable[Answer]]:
    """A client that posts JSON with a bearer token."""

    async def send(body: bytes) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", port())
        try:
            head = [
                f"POST {path} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {token}", "Content-Type: application/json",
                f"Content-Length: {len(body)}", "Connection: close",
            ]  # fmt: skip
            writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
            answer = await reader.read()
            code = int(answer.split()[1])
            json.loads(answer.partition(b"\r\n\r\n")[2])
            return "accepted" if code == 200 else "temporary" if code == 503 else "refused"
        finally:
            writer.close()

    return send


def gateway(port: Callable[[], int], key: str, now: Callable[[], datetime]) -> Callable[[bytes], Awaitable[Answer]]:
    """The gateway below, with its signature."""

    async def send(body: bytes) -> Answer:
        signed = signing.headers([key], "id", int(now().timestamp()), body) | {wire.FROM: "jiangzhou"}
        reader, writer = await asyncio.open_connection("127.0.0.1", port())
        try:
            head = ["POST /gateway/v1 HTTP/1.1", "Host: gateway", *(f"{name}: {text}" for name, text in signed.items()),
                    f"Content-Length: {len(body)}", "Connection: close"]  # fmt: skip
            writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
            code = int((await reader.read()).split()[1])
            return "accepted" if code == 200 else "temporary" if code == 503 else "refused"
        finally:
            writer.close()

    return send


def sms(smsc: DemoSmsc) -> Callable[[bytes], Awaitable[Answer]]:
    """A carrier that delivers a text, in parts where it is long."""

    async def send(body: bytes) -> Answer:
        await smsc.wait_bound(5)
        statuses = set(await smsc.deliver("+8613900000021", "1069000000", body.decode()))
        if statuses == {0}:
            return "accepted"
        return "temporary" if Status.ESME_RX_T_APPN in statuses else "refused"

    return send


def mailbox(server: Any, state: Callable[[], str], seconds: float = 1.0) -> Callable[[bytes], Awaitable[Answer]]:
    """Puts a mail into a mailbox that is fetched from: taken when it is gone, else still there to be had later or by a person."""

    async def send(body: bytes) -> Answer:
        number = server.next = getattr(server, "next", 100) + 1
        server.mails[number] = body
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while number in server.mails:
                    await asyncio.sleep(0.01)
        if server.mails.pop(number, None) is None:
            return "accepted"
        return "refused" if state() == "up" else "temporary"

    return send


def cmpp(ismg: Ismg) -> Callable[[bytes], Awaitable[Answer]]:
    """An ISMG that delivers a text."""

    async def send(body: bytes) -> Answer:
        await ismg.bound()
        (result,) = await ismg.deliver(deliver_body(ismg.version, body.decode().encode("utf-16-be")))
        return {0: "accepted", 8: "temporary"}.get(result, "refused")  # type: ignore[return-value]

    return send


def folder(incoming: Path) -> Callable[[bytes], Awaitable[Answer]]:
    """A modem's daemon that puts a message into its folder: a file that stays is tried again later."""
    numbers = itertools.count(1)

    async def send(body: bytes) -> Answer:
        path = incoming / f"GSM1.{next(numbers)}"
        hidden = path.with_name(f".{path.name}")
        hidden.write_bytes(b"From: 8613900000021\nAlphabet: UCS2\n\n" + body)
        hidden.rename(path)
        try:
            for _look in range(100):
                if not path.exists():
                    return "refused" if (incoming / "too_large" / path.name).exists() else "accepted"
                await asyncio.sleep(0.01)
            return "temporary"
        finally:
            path.unlink(missing_ok=True)

    return send


class MailPeer:
    """A mail server that can refuse, be silent, talk nonsense or be gone, always on the same port."""

    def __init__(self) -> None:
        self.sink = DemoMailSink()
        self.port = 0
        self._other: asyncio.Server | None = None

    async def start(self) -> None:
        self.port = await self.sink.start()

    async def stop(self) -> None:
        await self.sink.stop()
        if self._other is not None:
            self._other.close()
            self._other = None

    async def be(self, mode: PeerMode) -> None:
        await self.stop()
        self.sink.answer = {"later": "451 4.3.0 busy", "refuse": "550 5.7.1 not this"}.get(mode)
        if mode in ("hang", "rubbish"):
            greeting = b"" if mode == "hang" else b"\x00\xff nonsense\r\n"

            async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(greeting)
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                writer.close()

            self._other = await asyncio.start_server(talk, "127.0.0.1", self.port)
        elif mode != "down":
            await self.sink.start(port=self.port)

    def received(self) -> int:
        return len(self.sink.mails)


class SmsPeer:
    """An SMSC that can throttle, refuse, be silent or cut the line."""

    def __init__(self, smsc: DemoSmsc, up: Callable[[], bool]) -> None:
        self.smsc = smsc
        self.up = up

    async def be(self, mode: PeerMode) -> None:
        self.smsc.throttle = 10 if mode == "later" else 0
        self.smsc.submit_status = Status.ESME_RINVDSTADR if mode == "refuse" else 0
        self.smsc.silent = {Command.SUBMIT_SM} if mode == "hang" else set()
        if mode == "down":
            self.smsc.bind_status = Status.ESME_RSYSERR
            await self.smsc.cut()
            await self._until(False)
            return
        self.smsc.bind_status = None
        await self._until(True)

    async def _until(self, up: bool) -> None:
        async with asyncio.timeout(10):
            while self.up() is not up:
                await asyncio.sleep(0.005)

    def received(self) -> int:
        return len(self.smsc.sent)


class Hfaxd:
    """HylaFAX's side of its protocol, as far as a job goes; the real one is in tests/peers."""

    def __init__(self) -> None:
        self.parameters: list[str] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mode: PeerMode) -> bool:
        data: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        server = await asyncio.start_server(lambda r, w: data.put_nowait((r, w)), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")

        took = False
        try:
            say("220 test server (HylaFAX (tm) Version 6.0.7) ready.")
            await writer.drain()
            while line := (await reader.readline()).decode().strip():
                verb, _, rest = line.partition(" ")
                if verb == "PASV":
                    say(f"227 Entering passive mode (127,0,0,1,{port // 256},{port % 256})")
                elif verb in ("LIST", "STOT"):
                    say("150 FILE: /tmp/doc1.tif (Opening new data connection).")
                    await writer.drain()
                    incoming, outgoing = await data.get()
                    if verb == "STOT":
                        await incoming.read()
                    outgoing.close()
                    say("226 Transfer complete (FILE: /tmp/doc1.tif).")
                elif verb == "JNEW":
                    say("200 New job created: jobid: 7 groupid: 7.")
                elif verb == "JPARM":
                    self.parameters.append(rest)
                    say("504 Bad parameter." if mode == "refuse" and rest.startswith("DIALSTRING") else "213 set.")
                elif verb == "JSUBM":
                    took = mode in ("ok", "slow")
                    say("200 Job 7 submitted." if took else "460 Failed to submit job 7.")
                else:
                    say("230 ok" if verb == "USER" else "200 ok")
                await writer.drain()
        finally:
            server.close()
        return took


class HurryingClock(MemoryClock):
    """Ten minutes later each time it is asked."""

    def __call__(self) -> datetime:
        return self.advance(minutes=10)


def ipp() -> Mapping[PeerMode, tuple[int, bytes]]:
    """A printer that says of everything that it is job 7, and printed."""

    def said(status: int) -> tuple[int, bytes]:
        head = b"\x02\x00" + status.to_bytes(2, "big") + b"\x00\x00\x00\x01"
        charset = b"\x01\x47\x00\x12attributes-charset\x00\x05utf-8"
        job = b"\x02\x21\x00\x06job-id\x00\x04\x00\x00\x00\x07" + b"\x23\x00\x09job-state\x00\x04\x00\x00\x00\x09"
        return 200, head + charset + (job if status == 0 else b"") + b"\x03"

    return {"ok": said(0), "slow": said(0), "later": said(0x0502), "throttle": said(0x0507), "refuse": said(0x040A)}


def chat(code: str, throttled: int, refused: int) -> Mapping[PeerMode, tuple[int, bytes]]:
    """A chat service: 200 to everything, and a code in the body."""

    def said(number: int) -> tuple[int, bytes]:
        return 200, json.dumps({code: number}).encode()

    return {"ok": said(0), "slow": said(0), "later": said(-1), "throttle": said(throttled), "error": said(-1), "refuse": said(refused)}


@asynccontextmanager
async def smsc() -> AsyncIterator[tuple[DemoSmsc, SmppSettings, MemoryServices]]:
    """An SMS centre that runs, how to bind to it, and services that know the password."""
    centre = DemoSmsc("gateway", "s3cr3tpw")
    await centre.start("tcp:0:interface=127.0.0.1")
    settings = SmppSettings(
        port=centre.port,
        system_id="gateway",
        password="smpp-password",
        reconnect_min=0.02,
        reconnect_max=0.05,
        request_timeout=0.5,
    )
    try:
        yield centre, settings, MemoryServices(secrets={"smpp-password": "s3cr3tpw"})
    finally:
        await centre.stop()
