"""Mutated mails through the real listener and the real workers: ``python -m tests.mail.fuzz_mail COUNT [SEED]``.

Each mail goes over SMTP or LMTP, is compared octet for octet with what intake was given, and is read in a worker process as the
daemon does. Gentle mutations leave a mail readable, and its words must come out; wild ones may do anything, and must only break nothing.
The time of the loop is the processor time of its thread in one callback: what others do on the machine does not count.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from gateway.api import RawMessage
from gateway.workers import WorkerFailed, WorkerPool
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from tests.channel_fakes import FakeAccepted, FakeServices, free_port

WORDS = "石桥县河湾村一处民房倒塌，两人被压，消防已到场。"
ADDRESS, OTHER, RELAY = "report@gateway.test", "duty@gateway.test", "mx.gateway.test"
LIMIT_SECONDS = 0.05


@dataclass
class Tally:
    """What came of a run."""

    sent: int = 0
    gentle: int = 0
    refused: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    read: int = 0
    receipts: int = 0
    longest: float = 0.0
    seconds: float = 0.0
    by: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> bool:
        return not (self.refused or self.altered or self.failed or self.unread) and self.longest < LIMIT_SECONDS

    def __str__(self) -> str:
        return (
            f"{self.sent} mails ({self.gentle} gently mutated) in {self.seconds:.0f} s: {len(self.refused)} refused, "
            f"{len(self.altered)} altered on the way, {self.read} read, {self.receipts} receipts, {len(self.failed)} failed in a worker, "
            f"{len(self.unread)} readable ones without their words; longest loop time {self.longest * 1000:.1f} ms"
        )


def seeds(words: str = WORDS) -> list[bytes]:
    """A mail of every common kind that says ``words``."""
    def simple(charset: str, cte: str, subtype: str = "plain") -> EmailMessage:
        made = EmailMessage()
        made["From"], made["To"], made["Subject"] = "值班员 <clerk@example.test>", ADDRESS, "紧急报告"
        made["Message-ID"], made["Date"] = "<1@example.test>", "Mon, 23 Nov 2026 09:30:00 +0800"
        made.set_content(words if subtype == "plain" else f"<p>{words}</p><table><tr><td>1</td></tr></table>", subtype, charset=charset, cte=cte)
        return made

    mails = [simple("utf-8", "base64"), simple("gb18030", "base64"), simple("utf-8", "quoted-printable"), simple("utf-8", "base64", "html")]
    both = simple("utf-8", "base64")
    both.add_alternative(f"<html><body><p>{words}</p></body></html>", subtype="html")
    files = simple("utf-8", "quoted-printable")
    files.add_attachment(b"%PDF-1.4 \x00\xff" * 200, maintype="application", subtype="pdf", filename="报告.pdf")
    files.add_attachment(b"\x89PNG" + bytes(600), maintype="image", subtype="png", filename="=?utf-8?B?5Zu+?=.png")
    files.add_attachment("现场情况", filename="说明.txt")
    nested = EmailMessage()
    nested["From"], nested["Subject"] = "a@b.test", "转发"
    nested.set_content("请阅处")
    nested.add_attachment(simple("gb18030", "base64"))
    whole = [one.as_bytes().replace(b"\n", b"\r\n") for one in (*mails, both, files, nested)]
    head = b"From: clerk@example.test\r\nSubject: " + "紧急报告".encode("gbk") + b"\r\n"
    whole.append(head + b"\r\n" + words.encode("gbk") + b"\r\n")
    whole.append(head + b"Content-Type: text/plain; charset=gb2312\r\n\r\n" + words.encode() + b"\r\n")
    deep = words.encode()
    for level in range(12):
        deep = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n%s%s\r\n--b%d--\r\n" % (
            level, level, b"" if level else b"Content-Type: text/plain; charset=utf-8\r\n\r\n", deep, level)  # fmt: skip
    whole.append(head + b"MIME-Version: 1.0\r\n" + deep)
    whole.append(
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="r"\r\n\r\n--r\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'
        + words.encode() + b"\r\n--r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822; a@b\r\n"
        b"Action: failed\r\nStatus: 5.1.1\r\n\r\n--r\r\nContent-Type: text/rfc822-headers\r\n\r\nX-Gateway-Delivery: D1\r\n\r\n--r--\r\n"
    )  # fmt: skip
    return whole


def _field(rng: random.Random) -> bytes:
    names = (b"X-Odd", b"Received", b"DKIM-Signature", b"Authentication-Results", b"References", b"Date", b"Reply-To", b"List-Id-Not", b"X-" + b"a" * 90)
    value = rng.choice((rng.randbytes(rng.randrange(80)).replace(b"\r", b"").replace(b"\n", b""), b";" * 400, b"=?utf-8?B?!!!?=" * 9,
                        f"{RELAY}; dmarc=fail".encode(), b"<" * 300, "，。".encode("gbk") * 20, b""))  # fmt: skip
    return rng.choice(names) + b": " + value + b"\r\n"


def gentle(rng: random.Random, mail: bytes) -> bytes:
    """A mail that a person could still read."""
    for _ in range(rng.randrange(1, 4)):
        match rng.randrange(7):
            case 0:
                mail = _field(rng) * rng.randrange(1, 20) + mail
            case 1:
                mail = mail.replace(b"\r\n", b"\n") if rng.random() < 0.5 else mail + b"\r\n" * rng.randrange(40)
            case 2:
                head, empty, body = mail.partition(b"\r\n\r\n")
                mail = head.replace(b"Message-ID: <1@example.test>", b"Message-ID: " + rng.randbytes(12).hex().encode()) + empty + body
            case 3 if not mail.rstrip().endswith(b"--"):
                mail += rng.choice((b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\0\0", b"\x1a", b"." * 99, b"a" * 5000))
            case 4:
                mail = mail.removesuffix(b"--\r\n").removesuffix(b"--\n")
            case 5:
                mail = mail.replace(b"From: ", b"X-Folded: a\r\n \r\n\t b\r\nFrom: ", 1) if rng.random() < 0.2 else mail
            case _:
                mail = b"Received: from x by y; Mon, 23 Nov 2026 09:30:00 +0800\r\n" * rng.randrange(60) + mail
    return mail


def wild(rng: random.Random, mail: bytes, seeds: list[bytes]) -> bytes:
    """Anything."""
    octets = bytearray(mail)
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(octets) + 1)
        match rng.randrange(9):
            case 0 if octets:
                octets[at % len(octets)] = rng.randrange(256)
            case 1:
                del octets[at : at + rng.randrange(200)]
            case 2:
                octets[at:at] = rng.randbytes(rng.randrange(200))
            case 3:
                octets[at:at] = octets[at : at + rng.randrange(400)] * rng.randrange(1, 6)
            case 4:
                other = rng.choice(seeds)
                octets = octets[:at] + other[rng.randrange(len(other)) :]
            case 5:
                octets[at:at] = rng.choice((b"\r\n.\r\n", b"\n.\n", b"\r", b"\n", b"\0", b"\r\n\r\n", b"\r\n--b3\r\n", b"=?gbk?Q?=ff?=", b"--", b"begin 644 x\r\n"))
            case 6:
                octets[at:at] = _field(rng)
            case 7:
                octets = octets.replace(*rng.choice(((b"base64", b"quoted-printable"), (b"utf-8", b"utf-7"), (b"boundary=", b"boundary*0="), (b"text/plain", b"multipart/mixed"))))
            case _:
                octets = octets[:at]
    return bytes(octets)


class Sender:
    """The other side, in a thread: makes the mails and hands them over, by SMTP and by LMTP with two recipients in turn."""

    def __init__(self, count: int, seed: int, ports: tuple[int, int], tally: Tally) -> None:
        self.count, self.seed, self.ports, self.tally = count, seed, ports, tally
        self.expected: dict[bytes, str] = {}

    def run(self) -> None:
        whole, rng = seeds(), random.Random(self.seed)
        lines = [_Line(self.ports[0], b"EHLO", 1), _Line(self.ports[1], b"LHLO", 2)]
        for number in range(self.count):
            kind = "gentle" if rng.random() < 0.5 else "wild"
            mail = rng.choice(whole)
            mail = gentle(rng, mail) if kind == "gentle" else wild(rng, mail, whole)
            if not mail.endswith(b"\r\n"):
                mail += b"\r\n"
            self.expected[hashlib.sha256(mail).digest()] = kind
            self.tally.sent += 1
            self.tally.gentle += kind == "gentle"
            answers = lines[number % 2].send(mail, null=number % 17 == 0)
            if not all(answer.startswith(b"250 ") for answer in answers):
                self.tally.refused.append(f"{kind} mail {number} of seed {self.seed}: {answers!r}")
        for line in lines:
            line.socket.close()


class _Line:
    def __init__(self, port: int, hello: bytes, recipients: int) -> None:
        self.port, self.hello, self.recipients = port, hello, recipients
        self.left = 0
        self.socket: Any = None

    def send(self, mail: bytes, *, null: bool) -> list[bytes]:
        if not self.left:
            if self.socket is not None:
                self.socket.close()
            self.socket = socket.create_connection(("127.0.0.1", self.port), 60)
            self.file = self.socket.makefile("rb")
            self._reply()
            self._say(self.hello + b" fuzz")
            self.left = 300
        self.left -= 1
        self._say(b"MAIL FROM:<" + (b"" if null else b"clerk@example.test") + b">")
        for address in (ADDRESS, OTHER)[: self.recipients]:
            self._say(b"RCPT TO:<" + address.encode() + b">")
        self._say(b"DATA")
        stuffed = (b"." if mail.startswith(b".") else b"") + mail.replace(b"\r\n.", b"\r\n..")
        self.socket.sendall(stuffed + b".\r\n")
        return [self._reply() for _ in range(self.recipients)]

    def _say(self, line: bytes) -> bytes:
        self.socket.sendall(line + b"\r\n")
        return self._reply()

    def _reply(self) -> bytes:
        while (line := bytes(self.file.readline()))[3:4] == b"-":
            pass
        return line


class Desk:
    """Intake and desk in one: takes each mail, and has it read in a worker."""

    def __init__(self, channel: Callable[[], EmailSmtp], pool: WorkerPool, tally: Tally) -> None:
        self.channel, self.pool, self.tally = channel, pool, tally
        self.sender: Sender | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.room = asyncio.Semaphore(200)

    async def accept(self, raw: RawMessage) -> FakeAccepted:
        await self.room.acquire()
        task = asyncio.create_task(self._read(raw))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return FakeAccepted("m")

    async def receipt(self, receipt: Any) -> None:
        self.tally.receipts += 1

    async def _read(self, raw: RawMessage) -> None:
        assert self.sender is not None
        try:
            kind = self.sender.expected.get(hashlib.sha256(raw.body).digest())
            if kind is None:
                self.tally.altered.append(base64.b64encode(raw.body[:200]).decode())
                return
            message = await self.pool.read(self.channel(), raw)
            self.tally.read += 1
            texts = [message.text, message.quoted, *(one.text or "" for one in message.attachments)]
            if kind == "gentle" and not any(WORDS in text for text in texts):
                self.tally.unread.append(base64.b64encode(raw.body[-1500:]).decode())
        except WorkerFailed as error:
            self.tally.failed.append(f"{error}: {base64.b64encode(raw.body[:2000]).decode()}")
        finally:
            self.room.release()


async def fuzz(count: int, seed: int) -> Tally:
    """``count`` mails of ``seed``."""
    tally, began = Tally(), time.monotonic()
    settings = EmailSettings(port=0, lmtp_port=free_port(), addresses=(ADDRESS, OTHER), max_commands=10_000, authserv_ids=(RELAY,))
    channel = EmailSmtp("mail", settings, FakeServices())
    pool = WorkerPool("fuzz", 2, 1024, 20.0)
    desk = Desk(lambda: channel, pool, tally)
    await pool.start()
    await channel.start(desk)  # type: ignore[arg-type]
    desk.sender = Sender(count, seed, (channel.ports[0], channel.ports[1]), tally)
    run = asyncio.events.Handle._run

    def timed(handle: Any) -> None:
        before = time.thread_time()
        run(handle)
        tally.longest = max(tally.longest, time.thread_time() - before)

    asyncio.events.Handle._run = timed  # type: ignore[method-assign]
    try:
        thread = threading.Thread(target=desk.sender.run, daemon=True)
        thread.start()
        while thread.is_alive() or desk.tasks:
            await asyncio.sleep(0.05)
    finally:
        asyncio.events.Handle._run = run  # type: ignore[method-assign]
        await channel.stop()
        await pool.stop()
    tally.seconds = time.monotonic() - began
    return tally


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    tally = asyncio.run(fuzz(count, seed))
    print(tally)
    for name in ("refused", "altered", "failed", "unread"):
        for one in getattr(tally, name)[:3]:
            print(f"{name}: {one[:2000]}")
    return 0 if tally.good else 1


if __name__ == "__main__":
    raise SystemExit(main())
