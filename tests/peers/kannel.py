"""kannel's bearerbox as an ESME with a spool store: its configuration, and the process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

BEARERBOX, SMSBOX = "/usr/sbin/bearerbox", "/usr/sbin/smsbox"


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def conf(root: Path, port: int, password: str, *, admin: int, smsbox: int, sendsms: int) -> Path:
    """bearerbox binds as transceiver to ``port`` and keeps what comes in files under ``root``; smsbox takes orders by HTTP."""
    (root / "spool").mkdir()
    path = root / "kannel.conf"
    path.write_text(f"""group = core
admin-port = {admin}
admin-password = x
smsbox-port = {smsbox}
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"
sms-combine-concatenated-mo = false
store-type = spool
store-location = {root}/spool
log-level = 3
log-file = {root}/bearerbox.log

group = smsc
smsc = smpp
smsc-id = gateway
host = 127.0.0.1
port = {port}
transceiver-mode = true
smsc-username = gateway
smsc-password = {password}
system-type = ""
max-pending-submits = 50
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-level = 3
log-file = {root}/smsbox.log

group = sendsms-user
username = u
password = p
max-messages = 10
concatenation = true
""")
    return path


@asynccontextmanager
async def bearerbox(root: Path, port: int, password: str, *, with_smsbox: bool = False) -> AsyncIterator[int]:
    """The processes, and the port at which smsbox takes orders."""
    sendsms = free_port()
    path = conf(root, port, password, admin=free_port(), smsbox=free_port(), sendsms=sendsms)
    started = [await _start(BEARERBOX, path)]
    try:
        if with_smsbox:
            await asyncio.sleep(1)  # smsbox ends at once where bearerbox does not listen yet
            started.append(await _start(SMSBOX, path))
        yield sendsms
    finally:
        for process in reversed(started):
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), 5)
                except TimeoutError:
                    process.kill()
                    await process.wait()


async def _start(program: str, path: Path) -> asyncio.subprocess.Process:
    nowhere = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(program, "-v", "4", str(path), stdout=nowhere, stderr=nowhere)
