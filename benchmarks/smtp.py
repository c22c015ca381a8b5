"""Durable accepts of mail beside Postfix: 4 KB, 20 sessions, by Postfix's own ``smtp-source``. ``COUNT=2000 ROUNDS=3``.

Each server is a process of its own on loopback, in interleaved rounds (A B A B). The gateway's is its channel with intake, store and the
sealing of the record, on SQLite with ``synchronous=FULL``; Postfix takes into its queue and holds (so that both only accept), or takes and
hands to its discard transport. ``sh .ci/peers/mail.sh`` installs Postfix. Processor time is that of all processes of a server.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.channel_fakes import free_port
from tests.peers.mail_peers import Postfix, listening

COUNT = int(os.environ.get("COUNT", "2000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SESSIONS, SIZE = 20, 4096
TICKS = os.sysconf("SC_CLK_TCK")


def used(pids: list[int]) -> float:
    """Seconds of processor time of ``pids`` and of the children they have waited for."""
    spent = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent += sum(int(one) for one in fields[11:15])
    return spent / TICKS


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        children = Path(f"/proc/{one}/task/{one}/children")
        if children.exists():
            found += [int(child) for child in children.read_text().split()]
    return found


async def push(port: int, *, kept: bool, count: int = COUNT, sessions: int = SESSIONS) -> float:
    """Mails a second, from the first connection to the last answer."""
    words = ["smtp-source", "-s", str(sessions), "-m", str(count), "-l", str(SIZE), "-f", "duty@gateway.test", "-t", "report@gateway.test"]
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*words, *(["-d"] if kept else []), f"inet:127.0.0.1:{port}")
    assert await process.wait() == 0
    return count / (time.perf_counter() - began)


async def client(root: Path, port: int) -> None:
    """The channel with the daemon's own intake, store and record."""
    from gateway.alarms import Alarms
    from gateway.audit.sealer import Sealer
    from gateway.intake import Intake
    from gateway.store import Store, StoreKeys
    from gateway.testing import MemoryServices
    from gateway_plugins.email_smtp import EmailSettings, EmailSmtp

    def now() -> datetime:
        return datetime.now(UTC)

    store = Store.open(f"sqlite:///{root / 'bench.db'}", StoreKeys(os.urandom(32)), clock=now)
    sealer = Sealer(store, root / "audit.jsonl", now)
    intake = Intake(
        store, clock=now, max_bytes=1 << 20, repeat_seconds=3600, alarms=Alarms(store, now), wake=lambda channel, of: None,
        take_receipt=lambda _tx, _receipt, _now: None, wake_dispatch=lambda: None,
    )  # fmt: skip
    channel = EmailSmtp("mail", EmailSettings(port=port, addresses=("report@gateway.test",)), MemoryServices())
    await channel.start(intake)
    while True:  # as the daemon does
        while await asyncio.to_thread(sealer.run_once):
            pass
        await asyncio.sleep(0.1)


async def measure(port: int, pids: Callable[[], list[int]]) -> dict[str, float]:
    """One round."""
    before = used(pids())
    fresh = await push(port, kept=False)
    spent = used(pids()) - before
    return {"fresh": fresh, "kept": await push(port, kept=True), "cpu": spent / COUNT * 1000}


async def ours(root: Path, run: Callable[[int, Callable[[], list[int]]], Awaitable[None]]) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.smtp", "client", str(root), str(port))
    try:
        await listening(port)
        await asyncio.sleep(0.5)  # whoever has just looked is gone: the limit of 20 sessions from one address counts
        await run(port, lambda: family(process.pid))
    finally:
        process.terminate()
        await process.wait()


async def postfix(settings: dict[str, str], run: Callable[[int, Callable[[], list[int]]], Awaitable[None]]) -> None:
    server = Postfix({"smtpd_client_connection_count_limit": "0", "smtpd_client_connection_rate_limit": "0", **settings})
    await server.start()
    try:
        master = int((server.queue / "pid" / "master.pid").read_text())
        await run(server.port, lambda: family(master))
    finally:
        await server.stop()


HOLD = {"smtpd_recipient_restrictions": "check_recipient_access static:HOLD,permit_mynetworks,reject"}
DISCARD = {"default_transport": "discard:", "relay_transport": "discard:"}


async def main() -> None:
    found: dict[str, list[dict[str, float]]] = {"ours": [], "hold": [], "discard": []}

    def kept_in(name: str) -> Callable[[int, Callable[[], list[int]]], Awaitable[None]]:
        async def run(port: int, pids: Callable[[], list[int]]) -> None:
            await push(port, kept=False) if not found[name] else None  # warm
            found[name].append(await measure(port, pids))

        return run

    for _round in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            await ours(Path(folder), kept_in("ours"))
        await postfix(HOLD, kept_in("hold"))
        await postfix(DISCARD, kept_in("discard"))
    print("| figure | the gateway | Postfix, accept and hold | ratio | Postfix, accept and discard | ratio |\n|---|---|---|---|---|---|")
    for what, name, better in (
        ("mails/s, a connection each", "fresh", 1), ("mails/s, kept connections", "kept", 1), ("processor time, ms a mail", "cpu", -1),
    ):  # fmt: skip
        values = {one: [round_[name] for round_ in found[one]] for one in found}
        middle = {one: statistics.median(values[one]) for one in found}
        cells = [f"{middle['ours']:.2f} ({min(values['ours']):.2f} to {max(values['ours']):.2f})" if better < 0 else f"{middle['ours']:.0f}"]
        for peer in ("hold", "discard"):
            ratios = [a / b for a, b in zip(values["ours"], values[peer], strict=True)]
            shown = f"{middle[peer]:.2f}" if better < 0 else f"{middle[peer]:.0f}"
            cells += [shown, f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"]
        print(f"| {what} | {' | '.join(cells)} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        from gateway.service import run_loop

        run_loop(lambda: client(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        subprocess.run(["sh", ".ci/peers/mail.sh"], check=True, stdout=subprocess.DEVNULL)
        asyncio.run(main())
