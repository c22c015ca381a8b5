"""A host in trouble: a locked data base, a full disk, a process that stands still. Temporary answers, nothing lost, an alarm."""

from __future__ import annotations

import asyncio
import resource
import signal
import smtplib
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gateway.demo.smsc import DemoSmsc
from gateway_plugins.smpp.pdu import Status
from tests.system.bad_input.common import (
    became,
    call,
    report,
    rows,
    storage_alarms,
)
from tests.system.gate import Gate, mail, post_phone, send_mail

HOLDER = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
held.execute("ROLLBACK")
"""


def mail_code(gate: Gate, data: bytes) -> int:
    with smtplib.SMTP("127.0.0.1", gate.base, timeout=30) as smtp:
        smtp.ehlo()
        smtp.mail("zhiban@yuntai.gateway.test")
        smtp.rcpt("report@gateway.test")
        return smtp.data(data)[0]


async def answers(gate: Gate, smsc: DemoSmsc, n: int) -> tuple[int, int, set[int]]:
    """One message by each way at the same time: what SMTP, HTTP and SMPP answer."""
    posted = asyncio.to_thread(post_phone, gate.base + 2, gate.secret("phone-token"), call(f"trouble-{n}", report(n)))
    mailed = asyncio.to_thread(mail_code, gate, mail(report(n + 100)))
    delivered = smsc.deliver("+8613800000001", "10690999", report(n + 200))
    code, (status, _answer), statuses = await asyncio.gather(mailed, posted, delivered)
    return code, status, set(statuses)


async def test_a_locked_data_base_is_temporary_and_an_alarm(gate: Gate, smsc: DemoSmsc) -> None:
    before, alarms = len(rows(gate)), storage_alarms(gate)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(gate.state / "gateway.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None and holder.stdout is not None
    try:
        assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
        assert await answers(gate, smsc, 30) == (451, 503, {Status.ESME_RX_T_APPN})
        assert len(rows(gate)) == before, "it can still be looked at"
    finally:
        holder.communicate("go\n", timeout=20)
    assert await answers(gate, smsc, 30) == (250, 200, {0})
    assert await asyncio.to_thread(gate.until, lambda: len(rows(gate)) == before + 3, "all three are there once")
    await asyncio.to_thread(gate.until, lambda: storage_alarms(gate) > alarms, "the alarm is on record")


async def test_a_full_disk_is_temporary_and_the_daemon_lives(gate: Gate, smsc: DemoSmsc) -> None:
    """No file of the daemon may grow any further: the store, the audit log and its own log."""
    assert gate.process is not None
    pid, before, alarms = gate.process.pid, len(rows(gate)), storage_alarms(gate)
    kept = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (16_384, kept[1]))
    try:
        assert await answers(gate, smsc, 50) == (451, 503, {Status.ESME_RX_T_APPN})
        assert await asyncio.to_thread(mail_code, gate, mail(report(51))) == 451
        assert len(rows(gate)) == before
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, kept)
    assert await answers(gate, smsc, 50) == (250, 200, {0})
    await asyncio.to_thread(gate.until, lambda: len(rows(gate)) == before + 3, "all three are there once")
    await asyncio.to_thread(gate.until, lambda: storage_alarms(gate) > alarms, "the alarm is on record")
    intact = sqlite3.connect(f"file:{gate.state / 'gateway.db'}?mode=ro", uri=True)
    assert intact.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    intact.close()


def test_a_stopped_process_goes_on_where_it_was(gate: Gate) -> None:
    assert gate.process is not None
    before = len(rows(gate))
    gate.process.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as pool:
            sending: list[Callable[[], Any]] = [lambda n=n: send_mail(gate.base, mail(report(60 + n))) for n in range(4)]
            waiting = [pool.submit(one) for one in sending]
            time.sleep(0.5)
            assert not any(one.done() for one in waiting), "nobody says yes while the process stands still"
            gate.process.send_signal(signal.SIGCONT)
            for one in waiting:
                assert became(gate, one.result(30))["state"] in ("read", "duplicate")
    finally:
        gate.process.send_signal(signal.SIGCONT)
    assert len(rows(gate)) == before + 4


def test_senders_that_go_away_in_the_middle_leave_nothing_behind(gate: Gate) -> None:
    before, threads = len(rows(gate)), []

    def leave(cut: int) -> None:
        said = (
            b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<report@gateway.test>\r\nDATA\r\nSubject: x\r\n\r\n" + report(70).encode()
        )
        with socket.create_connection(("127.0.0.1", gate.base), timeout=10) as plain:
            plain.recv(1000)
            plain.sendall(said[:cut])
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    for cut in (3, 20, 60, 75, 90, 150):
        threads.append(threading.Thread(target=leave, args=(cut,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert became(gate, send_mail(gate.base, mail(report(71))))["state"] in ("read", "duplicate")
    assert len(rows(gate)) == before + 1


def test_what_the_daemon_keeps_is_for_nobody_else(gate: Gate) -> None:
    open_to_all = {p.name for p in gate.state.iterdir() if p.stat().st_mode & 0o007}
    assert open_to_all <= {"lock"}, "the lock is empty; the rest is the gateway's own"
    assert not gate.state.stat().st_mode & 0o007
