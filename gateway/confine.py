"""What a process of ours does to itself at its start: it leaves no core dump, and it stands back behind others' work.

A dump would hold what people wrote, in the clear. Three fences, as none of them covers every machine: a limit of 0 stops a dump
to a file; a kernel that pipes dumps to a program (``|`` in core_pattern: systemd-coredump, apport) ignores that limit, but not
``PR_SET_DUMPABLE``; and ``coredump_filter`` leaves the memory out of whatever is dumped in spite of both (registers stay, and may
hold some hundred bytes of what was copied last). Source: core(5), prctl(2), and of the limit of 1 fs/coredump.c of Linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
from pathlib import Path
from typing import Any

PR_SET_DUMPABLE = 4
STREAMS = 2
"""The last of the three descriptors that every program has."""


def leave_no_core(*, seen: bool = False) -> None:
    """No dump of this process, nor of what it starts: limit and filter are inherited, also by another program.

    ``seen``: it stays dumpable, since its parent measures it in /proc (a process that is not dumpable belongs to root there). Its
    limit is 1 where that is allowed: too little for a file, and the one limit at which the kernel pipes nothing either.
    """
    least = int(seen and resource.getrlimit(resource.RLIMIT_CORE)[1] != 0)
    resource.setrlimit(resource.RLIMIT_CORE, (least, least))
    # Before the prctl: afterwards the file belongs to root.
    with contextlib.suppress(OSError):
        Path("/proc/self/coredump_filter").write_text("0", "ascii")
    if not seen:
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


async def spawn(*words: str, **given: Any) -> asyncio.subprocess.Process:
    """Start a program as ``asyncio.create_subprocess_exec`` does, with nothing of ours open in it but its three streams.

    uvloop's processes inherit whatever may be inherited: sockets that systemd gave us, and the listeners that Hypercorn makes.
    One that a worker holds stays open when we close it, and who connects to it waits for ever. Raises ``OSError``.
    """
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own is gone already
            if int(name) > STREAMS:
                os.set_inheritable(int(name), False)
    return await asyncio.create_subprocess_exec(*words, **given)


def stand_back(by: int) -> None:
    """``by`` more of niceness. Where the unit's filter refuses the call, the unit has seen to it (CPUSchedulingResetOnFork)."""
    with contextlib.suppress(PermissionError):
        os.nice(by)
