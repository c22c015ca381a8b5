"""From a mail's receipt to its first delivery at a mail server, at low load, beside Postfix: ``python -m benchmarks.passage``; ``RUNS=60``.

One mail at a time, the two servers in turn, each idle in between. The gateway is a real daemon with the demo's configuration: it reads the
report, opens an incident, and sends it to some eight offices by mail and two by SMS; the first mail counts. Postfix relays the mail as it is.
Both hand over to the same sort of mail server; that and the SMSC are in this process.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import threading
import time
from typing import Any

from benchmarks.run import report
from gateway.demo.smsc import DemoSmsc
from gateway.service import run_loop
from tests.channel_fakes import free_port
from tests.peers.mail_peers import Postfix, open_folder
from tests.system.gate import Gate, Sink, mail, send_mail

RUNS = int(os.environ.get("RUNS", "60"))
REST = 0.6
"""Seconds until the next mail: what follows the first delivery is over by then."""


class Waited(Sink):
    """A mail server that notes when it took its last first mail."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.first, self.came = 0.0, threading.Event()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if not self.came.is_set():
            self.first = time.perf_counter()
            self.came.set()
        return "250 2.0.0 taken"


def passage(port: int, sink: Waited, n: int) -> float:
    """Milliseconds from the receipt of a mail to its first delivery; less than none where that came before the receipt was read."""
    sink.came.clear()
    send_mail(port, mail(report(n)))
    accepted = time.perf_counter()
    assert sink.came.wait(30), f"mail {n} was not delivered"
    return (sink.first - accepted) * 1000


def shown(taken: list[float]) -> str:
    """The middle, the 99th of a hundred and the longest."""
    taken = sorted(taken)
    return f"{statistics.median(taken):.0f} | {taken[min(len(taken) - 1, int(len(taken) * 0.99))]:.0f} | {taken[-1]:.0f}"


async def main() -> None:
    folder = open_folder()
    gate, port = Gate(folder), free_port()
    ours, theirs = Waited(gate.base + 5), Waited(port)
    peer = Postfix({"relayhost": f"[127.0.0.1]:{port}", "smtpd_recipient_restrictions": "permit_mynetworks,reject"})
    ours.start()
    theirs.start()
    smsc = DemoSmsc("gateway", gate.secret("smpp-password"))
    await smsc.start(f"tcp:{gate.base + 4}:interface=127.0.0.1")
    await asyncio.to_thread(gate.start)
    await smsc.wait_bound(30)
    await peer.start()
    taken: dict[str, list[float]] = {"the gateway, read and sent on": [], "Postfix, relayed": []}
    try:
        for n in range(RUNS + 5):  # the first ones warm
            for name, (at, sink) in zip(taken, ((gate.base, ours), (peer.port, theirs)), strict=True):
                found = await asyncio.to_thread(passage, at, sink, n)
                taken[name] += [found] if n >= 5 else []
                await asyncio.sleep(REST)
    finally:
        await asyncio.to_thread(gate.stop)
        await smsc.stop()
        await peer.stop()
        ours.stop()
        theirs.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"| receipt → first delivery, {RUNS} mails, ms | p50 | p99 | longest |\n|---|---|---|---|")
    for name, values in taken.items():
        print(f"| {name} | {shown(values)} |")


if __name__ == "__main__":
    subprocess.run(["sh", ".ci/peers/mail.sh"], check=True, stdout=subprocess.DEVNULL)
    run_loop(main)
