"""Four carriers at once, as carriers are: a yes ends a message, everything else brings the same octets again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from random import Random
from typing import Any

from gateway.demo.smsc import DemoSmsc, deliver_sm
from gateway.intake import AHEAD_BYTES
from gateway_plugins.smpp import text
from gateway_plugins.smpp.link import LinkLost, NoAnswer
from gateway_plugins.smpp.pdu import Status
from tests.faults.ledger import CHANNELS, Again, Answer, Ledger, Letter, Never, Taken

PATIENCE = 15.0
RETRY = 0.1
"""Seconds before a sender that heard no yes goes on."""
TEMPORARY_SMPP = {Status.ESME_RX_T_APPN, Status.ESME_RMSGQFUL, Status.ESME_RTHROTTLED}
TEMPORARY_HTTP = {429, 503}
SENDERS = {"mail": "zhb@yuntai.gateway.test", "smpp": "+8613800000001", "cloud": "13800000001", "phone": "+8613800000003"}
TEXTS = (
    *(
        "云台区文昌街{token}号发生一起交通事故，1人轻伤，已送医，伤者情况稳定。两车轻微受损，已拖离现场，道路恢复通行，交警正在核对情况，处理完毕后不再另行报告。",
    )
    * 17,
    "云台区政府办报告：今日8时许，云台区文昌街{token}号一家具厂发生火灾，造成1人死亡、2人受伤，明火已扑灭，原因正在调查。报告人：李军",
    *("请立即回电{token}号。",) * 2,
)
"""An SMS of the first takes two parts. Most reach no threshold of the catalogue, so that a run is not spent on sending; a fire goes to a dozen offices."""


LONG_EVERY = 2


class Carriers:
    """Sends from all four channels until told to stop. ``pause`` is the wait between two messages of one sender."""

    def __init__(self, ledger: Ledger, smsc: DemoSmsc, *, base: int, secrets: Callable[[str], str], seed: int) -> None:
        self.ledger = ledger
        self.smsc = smsc
        self.base = base
        self.secrets = secrets
        self.pause = 0.05
        self.room = dict.fromkeys(CHANNELS, 0)
        """How many new messages each channel may still send; what has no yes yet comes again all the same."""
        self.texts: Sequence[str] = TEXTS
        self._random = Random(seed)
        self._numbers = itertools.count(10_001 + seed % 1000 * 100_000)
        self._left: dict[str, list[Letter]] = {name: [] for name in CHANNELS}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self, senders: int = 2) -> None:
        """Begin with so many senders for each channel."""
        self._stopping = False
        self._tasks = [asyncio.create_task(self._send_on(name)) for name in CHANNELS for _ in range(senders)]

    def allow(self, each: int) -> None:
        """So many new messages on each channel from now on, and none that was left over."""
        self.room = dict.fromkeys(CHANNELS, each)

    def resend(self, letter: Letter) -> None:
        """It has no yes yet: a sender takes it up."""
        self._left[letter.channel].append(letter)

    def check(self) -> None:
        """Raise what ended a sender, if anything did: a harness that fell silent would find nothing wrong."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def stop(self) -> None:
        """Stop in mid-air; what has no yes is kept for the next ``start``."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def waiting(self) -> int:
        """Messages without a yes that nobody is sending just now."""
        return sum(map(len, self._left.values()))

    async def _send_on(self, channel: str) -> None:
        while not self._stopping:
            if self._left[channel]:
                letter = self._left[channel].pop(0)
            elif self.room[channel] > 0:
                self.room[channel] -= 1
                letter = self.write(channel)
            else:
                await asyncio.sleep(self.pause)
                continue
            letter.tries += 1
            answer: Answer = Again("cut off")
            try:
                answer = await self._send(letter)
            finally:
                self.ledger.note(letter, answer)
                if isinstance(answer, Again):
                    self._left[channel].append(letter)
            await asyncio.sleep((RETRY if isinstance(answer, Again) else self.pause) * self._random.uniform(0.2, 1.8))

    def write(self, channel: str) -> Letter:
        """A new message; it counts as sent."""
        self.ledger.sent += 1
        token = str(next(self._numbers))
        letter = Letter(channel=channel, token=token, text=self._random.choice(self.texts).format(token=token))
        if channel == "smpp":
            # The carrier's own reference of a long text: the same when a part comes again.
            letter.parts = list(text.split(letter.text, int(token)))
        return letter

    async def _send(self, letter: Letter) -> Answer:
        send = {"mail": self._mail, "smpp": self._smpp, "cloud": self._cloud, "phone": self._phone}[letter.channel]
        try:
            async with asyncio.timeout(PATIENCE):
                return await send(letter)
        except (OSError, EOFError, TimeoutError, LinkLost, NoAnswer) as error:
            return Again(type(error).__name__)

    async def _mail(self, letter: Letter) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.base)
        try:
            asked = [b"", b"EHLO carrier", f"MAIL FROM:<{SENDERS['mail']}>".encode(), b"RCPT TO:<report@gateway.test>", b"DATA"]
            asked.append(mail(letter))
            for step in asked:
                if step:
                    writer.write(step + b"\r\n")
                code, words = await _smtp_answer(reader)
                if code >= 500:
                    return Never(f"{code} {words}")
                if code >= 400:
                    return Again(f"{code}")
            return Taken(words.rpartition(" ")[2])
        finally:
            writer.close()

    async def _smpp(self, letter: Letter) -> Answer:
        while letter.parts:
            sm = deliver_sm(SENDERS["smpp"], "1069000000", letter.parts[0])
            status = (await self.smsc.deliver_all([sm], seconds=PATIENCE))[0]
            if status in TEMPORARY_SMPP:
                return Again(f"status {status}")
            if status:
                return Never(f"status {status}")
            letter.parts.pop(0)
        return Taken()

    async def _cloud(self, letter: Letter) -> Answer:
        code, _answer = await _post(*call(letter, self.base, self.secrets))
        return _judged(code)

    async def _phone(self, letter: Letter) -> Answer:
        return _judged(*await _post(*call(letter, self.base, self.secrets)))


def call(letter: Letter, base: int, secrets: Callable[[str], str]) -> tuple[int, str, bytes, tuple[str, ...]]:
    """Port, path, body and headers of the request that carries a letter of ``cloud`` or ``phone``."""
    made: Any
    if letter.channel == "cloud":
        made = [{
            "phone_number": SENDERS["cloud"], "send_time": "2026-11-23 09:30:00", "content": letter.text, "sign_name": "值班室",
            "dest_code": "1069000000", "sequence_id": int(letter.token),
        }]  # fmt: skip
        port, path, headers = base + 6, f"/sms?token={secrets('cloud-sms-token')}", ()
    else:
        made = {
            "call_id": f"call-{letter.token}", "caller": SENDERS["phone"], "called": "+869997000000", "started_at": "2026-11-23T09:30:00+08:00",
            "segments": [{"speaker": "来电人", "start": 0, "end": 9, "text": letter.text}],
        }  # fmt: skip
        port, path, headers = base + 2, "/phone", (f"Authorization: Bearer {secrets('phone-token')}",)  # type: ignore[assignment]
    return port, path, json.dumps(made, ensure_ascii=False).encode(), headers


def mail(letter: Letter) -> bytes:
    """The mail of a letter, dots and end included; the same octets at every try. One in ``LONG_EVERY`` is so long that the writer
    makes it ready, and not the loop."""
    made = EmailMessage()
    made["Subject"], made["From"], made["Message-ID"] = f"紧急信息{letter.token}", SENDERS["mail"], f"<{letter.token}@carrier>"
    made.set_content(letter.text, cte="8bit")
    if int(letter.token) % LONG_EVERY == 0:
        made.make_mixed(boundary=f"long-{letter.token}")
        made.preamble = ("x" * 76 + "\n") * (AHEAD_BYTES // 64)
    return made.as_bytes().replace(b"\n", b"\r\n") + b"\r\n."


async def _smtp_answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    while True:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        if line[3:4] != b"-":
            return int(line[:3]), line[4:].decode("utf-8", "replace").strip()


async def _post(port: int, path: str, body: bytes, headers: tuple[str, ...]) -> tuple[int, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = [f"POST {path} HTTP/1.1", "Host: gateway", "Content-Type: application/json", "Connection: close", *headers]
        writer.write("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body)
        line = await reader.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        rest = await reader.read()
        # A yes that broke off before its end is none.
        answer = rest.partition(b"\r\n\r\n")[2]
        return int(line.split()[1]), json.loads(answer) if answer else None
    except ValueError:
        raise EOFError from None
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _judged(code: int, answer: Any = None) -> Answer:
    if code == 200 and answer is not None:
        return Taken(answer["id"])
    if code == 200:
        return Taken()
    return Again(f"HTTP {code}") if code in TEMPORARY_HTTP else Never(f"HTTP {code}")
