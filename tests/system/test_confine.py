"""No core dump, and whoever reads stands back: shown with processes that crash in a folder of their own."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.gate import Gate, mail, send_mail

WORD = "柳河渡口翻船"
REGISTERS = 4096
"""Bytes of the registers that memory is copied with."""
CRASH = """
import os, signal
from gateway import confine
def nothing(*args, **more): pass
{prepare}
held = [("柳河渡口" + "翻船").encode()] * 3, "".join(["柳河渡口", "翻船"]).encode() * 1000
os.kill(os.getpid(), signal.{signal})
"""
ALL = "confine.leave_no_core()"
NO_LIMIT = "confine.resource.setrlimit = nothing\n"
FENCES = {
    "all three": ALL,
    "not dumpable alone": f"{NO_LIMIT}confine.Path.write_text = nothing\n{ALL}",
    "the limit alone": "confine.Path.write_text = nothing\nconfine.leave_no_core(seen=True)",
    "a filter alone": f"{NO_LIMIT}confine.leave_no_core(seen=True)",
}
PATTERN = Path("/proc/sys/kernel/core_pattern").read_text().strip()
WRITTEN = not PATTERN.startswith(("|", "/"))
"""Where the kernel pipes dumps away nothing can be seen in a folder; then only the limits of a process are looked at."""


def crash(folder: Path, prepare: str, how: str = "SIGSEGV") -> bytes:
    """What a process that ``prepare``s itself so leaves in ``folder`` when it crashes."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]

    def unlimited() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    code = CRASH.format(prepare=prepare, signal=how)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, check=False, capture_output=True, preexec_fn=unlimited
    )
    assert done.returncode == -getattr(signal, how), done.stderr.decode()
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("how", ["SIGSEGV", "SIGABRT"])
def test_a_crash_leaves_nothing(tmp_path: Path, how: str) -> None:
    assert crash(tmp_path, ALL, how) == b""


def test_without_a_fence_it_would(tmp_path: Path) -> None:
    """The control."""
    writes = WRITTEN and resource.getrlimit(resource.RLIMIT_CORE)[1] != 0
    assert (crash(tmp_path, "").count(WORD.encode()) >= 1000) == writes


@pytest.mark.parametrize("fence", FENCES)
def test_each_fence_keeps_the_words_by_itself(tmp_path: Path, fence: str) -> None:
    left = crash(tmp_path, FENCES[fence])
    if fence == "a filter alone":  # the registers are in it, and what was copied last may be in some of them
        assert left.count(WORD.encode()) * 18 < REGISTERS
    else:
        assert left == b""


def processes(pid: int) -> list[int]:
    """``pid`` and everything it has started."""
    found = [pid]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


def test_the_daemon_and_its_workers_dump_nothing(gate: Gate) -> None:
    """With the limit lifted from outside where that may be done, so that the other fences are seen to hold; the control is in the
    tests above, and that real processes are not dumpable is seen in tests/systemd. The plugin that has a process of its own is the
    one that its guard has to see: it keeps its limit."""
    channel = gate.conf / "channels.d" / "phone.toml"
    channel.write_text(channel.read_text().replace("[channel.phone]\n", '[channel.phone]\nisolation = "process"\n', 1))
    gate.start()
    assert gate.process is not None
    send_mail(gate.base, mail("石桥县河湾村一处民房着火，无人员伤亡。"))
    gate.until(lambda: [m["state"] for m in gate.ask("messages")] == ["read"], "the mail is read")
    every = processes(gate.process.pid)
    plugins = [pid for pid in every if b"gateway.plughost.main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(plugins) == 1 and len(every) > 2, "the daemon, a worker and the plugin at least"
    for pid in every:
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +([01]) +\1 ", limits, re.MULTILINE)
        assert int(Path(f"/proc/{pid}/coredump_filter").read_text(), 16) == 0
        if pid not in plugins:
            with contextlib.suppress(PermissionError):  # CAP_SYS_RESOURCE lifts a hard limit
                resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for pid in reversed(every):
        folder = Path(os.readlink(f"/proc/{pid}/cwd"))
        before = set(folder.glob("core*"))
        os.kill(pid, signal.SIGSEGV)
        ended(pid)
        assert set(folder.glob("core*")) == before
    assert gate.process.wait(30) == -signal.SIGSEGV
    gate.process = None


def ended(pid: int, seconds: float = 30) -> None:
    """Wait until the process is no more, or waits for its parent."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} lives on")
