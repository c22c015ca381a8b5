"""Carriers and peers for the harness: what puts a body on each channel's wire, and what stands at the end of each transport."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable

from gateway.demo.mailsink import DemoMailSink
from gateway.demo.smsc import DemoSmsc
from gateway.testing import Answer, PeerMode
from gateway_plugins.smpp.pdu import Command, Status


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


def http(port: Callable[[], int], token: str) -> Callable[[bytes], Awaitable[Answer]]:
    """A client of ``POST /phone``."""

    async def send(body: bytes) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", port())
        try:
            head = [
                "POST /phone HTTP/1.1", "Host: gateway", f"Authorization: Bearer {token}", "Content-Type: application/json",
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


def sms(smsc: DemoSmsc) -> Callable[[bytes], Awaitable[Answer]]:
    """A carrier that delivers a text, in parts where it is long."""

    async def send(body: bytes) -> Answer:
        await smsc.wait_bound(5)
        statuses = set(await smsc.deliver("+8613900000021", "1069000000", body.decode()))
        if statuses == {0}:
            return "accepted"
        return "temporary" if Status.ESME_RX_T_APPN in statuses else "refused"

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
