"""Idle connections and more mail from strangers than can be read, and beside it a registered unit's reports: how long until its
offices have been offered them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from datetime import datetime
from typing import Any

from tests.hostile.stand import Stand, since, stand
from tests.hostile.verdict import Verdict

REGISTERED = "yuntai-office@gateway.test"
WITHIN = 2.0
"""Seconds from the receipt to the offer, for 99 of 100."""
PLACES = ("青山区", "石桥县", "白水县")
SENDERS = 30
"""Strangers that send at once, each from an address of its own."""
HURRY = 0.05


class Flood:
    """Everything that calls at once. ``taken`` counts what strangers were answered, by the first three digits."""

    def __init__(self, made: Stand, seed: int) -> None:
        self.made = made
        self.port = made.gate.base
        self.random = random.Random(seed)
        self.numbers = itertools.count(1)
        self.idle: list[asyncio.StreamWriter] = []
        self.told: dict[str, int] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.due = 0.0
        self.every = 0.0

    async def fill(self, count: int) -> None:
        """Open so many connections that say nothing, from many addresses, to every door."""
        doors = (self.port, self.port, self.port + 1, self.port + 2, self.port + 3)
        for number in range(count):
            local = (f"127.0.{1 + number // 200}.{1 + number % 200}", 0)
            with contextlib.suppress(OSError, TimeoutError):
                opening = asyncio.open_connection("127.0.0.1", doors[number % len(doors)], local_addr=local)
                _reader, writer = await asyncio.wait_for(opening, 5)
                self.idle.append(writer)

    def start(self, rate: float) -> None:
        """Strangers send ``rate`` reports a second among them, or as many as are taken."""
        self.every, self.due = 1 / rate, time.monotonic()
        self.tasks = [asyncio.create_task(self._stranger(number)) for number in range(SENDERS)]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for writer in self.idle:
            writer.close()

    def note(self, answer: str) -> None:
        self.told[answer] = self.told.get(answer, 0) + 1

    async def _stranger(self, number: int) -> None:
        local = (f"127.1.{number // 200}.{1 + number % 200}", 0)
        while True:
            self.due = max(self.due + self.every, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, self.due - time.monotonic()))
            sender = f"stranger{self.random.randrange(10_000)}@nowhere.example"
            try:
                code, _words = await asyncio.wait_for(post(self.port, report(next(self.numbers), self.random), sender, local), 30)
            except (OSError, EOFError, TimeoutError, ValueError):
                code = "none"
                await asyncio.sleep(HURRY)
            self.note(code)


def report(number: int, chance: random.Random) -> bytes:
    """A report that opens an incident of its own and goes to a dozen offices."""
    place, day, hour = chance.choice(PLACES), chance.randrange(1, 28), chance.randrange(24)
    text = f"{place}报告：3月{day}日{hour}时许，{place}第{number}号厂房发生火灾，造成{chance.randrange(1, 9)}人死亡、{chance.randrange(1, 40)}人受伤。"
    return (
        f"Subject: =?utf-8?B?57Sn5oCl?= {number}\r\nMessage-ID: <{number}.{chance.random()}@nowhere>\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text + "\r\n.\r\n"
    ).encode()


async def post(port: int, mail: bytes, sender: str, local: tuple[str, int] | None = None) -> tuple[str, str]:
    """One mail over a connection of its own; the code and words of the last answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=local)
    try:
        for said in (b"", b"EHLO x\r\n", f"MAIL FROM:<{sender}>\r\n".encode(), b"RCPT TO:<report@gateway.test>\r\n", b"DATA\r\n", mail):
            if said:
                writer.write(said)
            while True:
                line = await reader.readline()
                if not line.endswith(b"\n"):
                    raise EOFError
                if line[3:4] != b"-":
                    break
            if line[:1] not in b"23":
                break
        return line[:3].decode(), line[4:].decode("utf-8", "replace").strip()
    finally:
        writer.close()


async def unit(made: Stand, count: int, pause: float) -> list[tuple[str, float, float]]:
    """A registered unit reports ``count`` times: the ids, when each was answered (seconds since 1970), how long that took."""
    sent = []
    for number in range(count):
        began = time.monotonic()
        mail = report(1_000_000 + number, random.Random(number)).replace("青山区".encode(), "云台区".encode())
        while True:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                code, words = await asyncio.wait_for(post(made.gate.base, mail, REGISTERED, ("127.9.9.9", 0)), 30)
                if code == "250":
                    break
            await asyncio.sleep(0.2)  # a mail server would wait longer; what is measured is the gateway
        sent.append((words.rpartition(" ")[2], time.time(), since(began)))
        await asyncio.sleep(max(0.0, pause - since(began)))
    return sent


def offered(made: Stand, message: str, at: float, seconds: float = 40.0) -> float:
    """How long after ``at`` the last office that receives had been offered the message, by the mail that carries it."""

    def done() -> Any:
        shown = made.gate.ask("message", id=message)
        if not shown["incident"]:
            return None
        rows = made.gate.ask("deliveries", incident=shown["incident"], limit=1000)
        mine = [row for row in rows if row["duty"] == "receive" and row["transport"] == "mail"]
        return mine if mine and all(row["delivered_at"] for row in mine) else None

    rows = made.gate.until(done, f"{message} is offered", seconds)
    return max(datetime.fromisoformat(row["delivered_at"]).timestamp() for row in rows) - at


def sustainable(made: Stand, flood: Flood, count: int) -> float:
    """How many strangers' reports a second are taken, read and sent on, when nothing else happens."""

    async def send() -> None:
        async def one() -> None:
            await post(made.gate.base, report(next(flood.numbers), flood.random), f"s{flood.random.random()}@nowhere.example")

        for _ in range(count // 10):
            await asyncio.gather(*(one() for _ in range(10)))

    def over() -> bool:
        return made.waiting() == 0 and all(not made.gate.ask("deliveries", state=state, limit=1) for state in ("sending",)) and not due(made)

    began = time.monotonic()
    asyncio.run(send())
    made.gate.until(over, "the first reports are read and sent on", 300)
    return count / since(began)


def due(made: Stand) -> list[Any]:
    """What waits to be sent for the first time."""
    return [row for row in made.gate.ask("deliveries", state="waiting", limit=20) if not row["attempts"]]


def run(reports: int = 100, idle: int = 1000, times: float = 10.0, seed: int = 1, warm: int = 100, pause: float = 0.3) -> Verdict:
    """``reports`` of a unit beside ``idle`` connections and ``times`` the rate that can be sustained."""
    verdict, began = Verdict("flood"), time.monotonic()
    with stand() as made:
        flood = Flood(made, seed)
        rate = sustainable(made, flood, warm)

        async def together() -> list[tuple[str, float, float]]:
            await flood.fill(idle)
            flood.start(rate * times)
            await asyncio.sleep(min(5.0, reports * pause / 3))
            try:
                return await unit(made, reports, pause)
            finally:
                verdict.counts.update({f"strangers' {code}": count for code, count in flood.told.items()})
                flooded.append(since(start))
                await flood.stop()

        flooded: list[float] = []
        start = time.monotonic()
        sent = asyncio.run(together())
        took = sorted(offered(made, message, at) for message, at, _asked in sent)
        asked = sorted(one for _message, _at, one in sent)
        verdict.count("of the unit", len(took))
        verdict.figures["sustained"] = f"{rate:.1f} a second"
        verdict.figures["strangers' taken"] = f"{flood.told.get('250', 0) / flooded[0]:.1f} a second"
        verdict.figures["receipt"] = f"p50 {at(asked, 0.5):.2f}, p99 {at(asked, 0.99):.2f} s"
        verdict.figures["offered"] = f"p50 {at(took, 0.5):.2f}, p99 {at(took, 0.99):.2f}, most {took[-1]:.2f} s"
        if at(took, 0.99) > WITHIN:
            verdict.wrong.append(f"99 of 100 reports were offered within {at(took, 0.99):.2f} s")
        verdict.stands(made)
    verdict.seconds = since(began)
    return verdict


def at(ordered: list[float], share: float) -> float:
    """The value below which ``share`` of them lie."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
