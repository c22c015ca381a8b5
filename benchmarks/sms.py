"""Durable accepts of SMPP MO beside kannel: one SMSC, a window of 50, the same messages, in one run. ``COUNT=5000``.

Each client is a process of its own: the gateway's channel with its intake and store (sealed, hashed, with its event, on SQLite with
``synchronous=FULL``), and kannel's bearerbox with its spool store. bearerbox writes a file for each message and calls no fsync: what it
has acknowledged is lost with the power. So it is measured twice, as it is, and with its spool in a folder whose writes are synchronous
(``chattr +SD``), which is what makes its yes mean what ours means. The SMSC is made of bytes here; it counts only status 0. Then the
same one message at a time. ``sh .ci/peers/smpp.sh`` installs kannel.
"""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.peers.kannel import BEARERBOX, conf, free_port

WINDOW = 50
PASSWORD = "benchpw"
BINDS = (1, 2, 9)
DELIVER, DELIVER_RESP = 5, 0x8000_0005


def pdu(command: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


def deliver(number: int) -> bytes:
    """A short report; each tells of another fire."""
    words = f"平安县政府办报告：今日9时许，第{number}号仓库起火，1人死亡、2人受伤。".encode("utf-16-be")
    head = b"\0\1\1" + f"86139{number:08}".encode() + b"\0\0\1" + b"1069000000\0" + b"\0\0\0\0\0\0\0\x08\0"
    return head + bytes((len(words),)) + words


class Smsc:
    """Takes one client and sends it ``count`` messages, at most ``window`` of them unanswered."""

    def __init__(self) -> None:
        self.bound: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.get_running_loop().create_future()

    async def start(self) -> int:
        self.server = await asyncio.start_server(self.talk, "127.0.0.1", 0, limit=1 << 20)
        return int(self.server.sockets[0].getsockname()[1])

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command, _status, sequence = await self.read(reader)
        assert command in BINDS
        writer.write(pdu(command | 0x8000_0000, sequence, b"smsc\0"))
        self.bound.set_result((reader, writer))

    async def read(self, reader: asyncio.StreamReader) -> tuple[int, int, int]:
        length, command, status, sequence = struct.unpack(">IIII", await reader.readexactly(16))
        await reader.readexactly(length - 16)
        return command, status, sequence

    async def push(self, first: int, count: int, window: int) -> float:
        """Messages a second, from the first octet to the last answer. Refused ones are sent again."""
        reader, writer = await asyncio.wait_for(asyncio.shield(self.bound), 30)
        todo, flying, taken = list(range(first + count - 1, first - 1, -1)), 0, 0
        began = time.perf_counter()
        while taken < count:
            while todo and flying < window:
                number = todo.pop()
                writer.write(pdu(DELIVER, number, deliver(number)))
                flying += 1
            command, status, sequence = await self.read(reader)
            if command == DELIVER_RESP:
                flying -= 1
                if status == 0:
                    taken += 1
                else:
                    todo.append(sequence)
            elif command < 0x8000_0000:
                writer.write(pdu(command | 0x8000_0000, sequence))
        return count / (time.perf_counter() - began)


async def measure(client: Callable[[Path, int], Awaitable[Any]], count: int) -> tuple[float, float]:
    """With the window, and one at a time."""
    with tempfile.TemporaryDirectory() as name:
        smsc = Smsc()
        port = await smsc.start()
        process = await client(Path(name), port)
        try:
            await smsc.push(1, 200, WINDOW)  # warm
            best = max([await smsc.push(1000 + n * count, count, WINDOW) for n in range(3)])
            return best, await smsc.push(1_000_000, max(100, count // 10), 1)
        finally:
            process.terminate()
            await process.wait()
            smsc.server.close()


async def ours(root: Path, port: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.sms", "client", str(root), str(port))


async def synced_kannel(root: Path, port: int) -> asyncio.subprocess.Process:
    return await kannel(root, port, synced=True)


async def kannel(root: Path, port: int, *, synced: bool = False) -> asyncio.subprocess.Process:
    path = conf(root, port, PASSWORD, admin=free_port(), smsbox=free_port(), sendsms=free_port())
    if synced:
        subprocess.run(["chattr", "+SD", str(root / "spool")], check=True)  # what is made in it inherits both
    nowhere = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(BEARERBOX, "-v", "4", str(path), stdout=nowhere, stderr=nowhere)


async def client(root: Path, port: int) -> None:
    """The channel with the daemon's own intake over a store on disk."""
    from gateway.alarms import Alarms
    from gateway.intake import Intake
    from gateway.store import Store, StoreKeys
    from gateway.testing import MemoryServices
    from gateway_plugins.sms_smpp import SmppSettings, SmsSmpp

    def now() -> datetime:
        return datetime.now(UTC)

    store = Store.open(f"sqlite:///{root / 'bench.db'}", StoreKeys(os.urandom(32)), clock=now)
    intake = Intake(
        store, clock=now, max_bytes=1 << 20, repeat_seconds=3600, alarms=Alarms(store, now), wake=lambda channel, of: None,
        take_receipt=lambda _tx, _receipt, _now: None, wake_dispatch=lambda: None,
    )  # fmt: skip
    services = MemoryServices(secrets={"smpp-password": PASSWORD})
    sms = SmsSmpp("sms", SmppSettings(port=port, system_id="gateway", password="smpp-password"), services)
    await sms.start(intake)
    await asyncio.Event().wait()


async def main() -> None:
    """Both, one after the other, twice; the better of each."""
    count = int(os.environ.get("COUNT", "2000"))
    kinds = {"ours": ours, "synced": synced_kannel, "kannel": kannel}
    # A folder whose writes are synchronous takes milliseconds for each message.
    counts = {"ours": count, "synced": max(100, count // 10), "kannel": count}
    found = [{name: await measure(kind, counts[name]) for name, kind in kinds.items()} for _ in range(2)]
    many = {name: max(one[name][0] for one in found) for name in kinds}
    single = {name: max(one[name][1] for one in found) for name in kinds}
    print("| figure | measured |\n|---|---|")
    print(f"| SMPP MO, durable accepts, window {WINDOW}, best of 6 | {many['ours']:.0f}/s |")
    durable, loose = many["ours"] / many["synced"], many["ours"] / many["kannel"]
    print(f"| beside kannel, spool store, its writes made synchronous | {many['synced']:.0f}/s: ratio {durable:.2f} |")
    print(f"| beside kannel, spool store as it is: no fsync | {many['kannel']:.0f}/s: ratio {loose:.2f} |")
    alone = f"{single['ours']:.0f}/s beside {single['synced']:.0f}/s and {single['kannel']:.0f}/s"
    print(
        f"| the same, one at a time | {alone}: ratios {single['ours'] / single['synced']:.2f} and {single['ours'] / single['kannel']:.2f} |"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        from gateway.service import run_loop

        run_loop(lambda: client(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        asyncio.run(main())
