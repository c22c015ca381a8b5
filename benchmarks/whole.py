"""The whole gateway beside Postfix: mails accepted a second with desk, record and deliveries at work, syncs a mail, and both behind a
slow disk. ``python -m benchmarks.whole [rates|slow]``; ``COUNT=1000 ROUNDS=3``.

The gateway is a real daemon with the demo's configuration, its limits as they come (for 50 sessions the two on connections are raised),
and a mail server that takes its deliveries. Postfix takes into its queue and holds, or hands to its discard transport. Rounds are
interleaved. What the desk has not read when the last mail was accepted is read behind it and not waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator

from benchmarks.slowsync import Syncs
from benchmarks.smtp import DISCARD, HOLD, push
from tests.peers.mail_peers import Postfix, open_folder
from tests.system.gate import Gate, Sink

COUNT = int(os.environ.get("COUNT", "1000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SLOW = 5000
"""Microseconds that each sync lasts longer."""
PASSED_ON = "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME"


@contextlib.asynccontextmanager
async def gateway(syncs: Syncs, sessions: int) -> AsyncIterator[int]:
    """A running daemon; gives its SMTP port."""
    folder = open_folder()
    gate = Gate(folder)
    gate.env |= syncs.env
    conf = gate.conf / "channels.d" / "mail.toml"
    if sessions > 20:
        text = conf.read_text().replace("#max_connections = 40", f"max_connections = {sessions}")
        conf.write_text(text.replace("#max_connections_each = 20", f"max_connections_each = {sessions}"))
    sink = Sink(gate.base + 5)
    sink.start()
    await asyncio.to_thread(gate.start)
    try:
        yield gate.base
    finally:
        assert gate.process is not None
        gate.process.kill()  # what is still to be read and sent is not our matter here
        gate.process.wait()
        sink.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def postfix(syncs: Syncs, how: dict[str, str]) -> AsyncIterator[int]:
    """A running Postfix; gives its SMTP port."""
    passed = " ".join([PASSED_ON, *(f"{name}={value}" for name, value in syncs.env.items())])
    free = {"smtpd_client_connection_count_limit": "0", "smtpd_client_connection_rate_limit": "0"}
    server = Postfix({**free, "import_environment": passed, **how})
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop()


async def measured(server: contextlib.AbstractAsyncContextManager[int], syncs: Syncs, sessions: int) -> dict[str, float]:
    """One server, once: mails a second with a connection each and with kept ones, and syncs a mail."""
    async with server as port:
        await push(port, kept=False, count=100, sessions=sessions)
        before = syncs.count
        new = await push(port, kept=False, count=COUNT, sessions=sessions)
        between = syncs.count
        kept = await push(port, kept=True, count=COUNT, sessions=sessions)
        return {
            "a connection each": new,
            "kept connections": kept,
            "syncs a mail": (between - before) / COUNT,
            "syncs a mail, kept": (syncs.count - between) / COUNT,
        }


async def compared(sessions: int, micros: int) -> None:
    """A table of one number of sessions and one disk."""
    found: dict[str, list[dict[str, float]]] = {"gateway": [], "hold": [], "discard": []}
    folder = open_folder()
    try:
        syncs = Syncs(folder, micros)
        for _round in range(ROUNDS):
            found["gateway"].append(await measured(gateway(syncs, sessions), syncs, sessions))
            found["hold"].append(await measured(postfix(syncs, HOLD), syncs, sessions))
            found["discard"].append(await measured(postfix(syncs, DISCARD), syncs, sessions))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    disk = f", each sync {micros / 1000:.0f} ms longer" if micros else ""
    print(f"\n| {sessions} sessions{disk} | the gateway | Postfix, accept and hold | ratio | Postfix, accept and discard | ratio |")
    print("|---|---|---|---|---|---|")
    for name in found["gateway"][0]:
        digits = 2 if name.startswith("syncs") else 0
        values = {who: [one[name] for one in found[who]] for who in found}
        cells = [f"{statistics.median(values['gateway']):.{digits}f}"]
        for who in ("hold", "discard"):
            ratios = [ours / theirs for ours, theirs in zip(values["gateway"], values[who], strict=True)]
            shown = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            cells += [f"{statistics.median(values[who]):.{digits}f}", shown]
        print(f"| {name if digits else 'mails/s, ' + name} | {' | '.join(cells)} |", flush=True)


async def main(what: list[str]) -> None:
    if not what or "rates" in what:
        await compared(20, 0)
    if not what or "slow" in what:
        await compared(10, SLOW)
        await compared(50, SLOW)


if __name__ == "__main__":
    subprocess.run(["sh", ".ci/peers/mail.sh"], check=True, stdout=subprocess.DEVNULL)
    asyncio.run(main(sys.argv[1:]))
