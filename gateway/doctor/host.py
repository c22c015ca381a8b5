"""What the host says of itself: clock, fonts, limits, recognition."""

from __future__ import annotations

import ctypes
import importlib.util
import resource
import subprocess
import sys
from pathlib import Path

from gateway.doctor.facts import Clock
from gateway.i18n import _

SECONDS = 3.0
PRESS_SECONDS = 15.0
_STA_UNSYNC = 0x0040
_TIMEX_BYTES = 208
_STATUS_AT = 5 * 8
"""``status`` of Linux's ``struct timex`` on 64 bits: behind modes (padded) and four longs."""


def clock() -> Clock:
    """Whether the kernel's clock is disciplined, and by whose word: adjtimex(2), else chrony's."""
    unsynchronised = _kernel()
    if unsynchronised is not None:
        return Clock(synchronised=not unsynchronised, source="adjtimex")
    tracking = _run("chronyc", "-n", "tracking")
    if tracking is not None:
        return Clock(synchronised="Not synchronised" not in tracking, source="chrony")
    return Clock(synchronised=None, source="")


def _kernel() -> bool | None:
    """adjtimex with modes = 0 changes nothing and needs no right; None where there is none."""
    try:
        buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
        if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0 or ctypes.sizeof(ctypes.c_long) != 8:
            return None
    except (AttributeError, OSError):
        return None
    status = int.from_bytes(buffer.raw[_STATUS_AT : _STATUS_AT + 4], "little")
    return bool(status & _STA_UNSYNC)


def fonts() -> int | None:
    """How many installed fonts have Chinese characters; None where fontconfig is not there."""
    found = _run("fc-list", ":lang=zh-cn", "family")
    return None if found is None else len({line for line in found.splitlines() if line.strip()})


def families() -> frozenset[str] | None:
    """The names of every installed family of type, in each language they have one; None where fontconfig is not there."""
    found = _run("fc-list", ":", "family")
    if found is None:
        return None
    return frozenset(name.strip() for line in found.splitlines() for name in line.split(",") if name.strip())


def press() -> str | None:
    """Why official papers cannot be made; None where they can."""
    for name in ("docx", "pypdfium2", "weasyprint"):
        if importlib.util.find_spec(name) is None:
            return _("{name} is not installed").format(name=name)
    # WeasyPrint loads Pango when it is imported, which takes long and may fail: it is asked in a process of its own.
    if _run(sys.executable, "-P", "-c", "import weasyprint", seconds=PRESS_SECONDS) is None:
        return _("WeasyPrint cannot be loaded: Pango is missing")
    return None


def limits() -> dict[str, int | None]:
    """Memory that may be used: what is available, RLIMIT_AS, the cgroup's memory.max; bytes, None where there is no limit."""
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    return {
        "available": _available(),
        "address_space": None if space == resource.RLIM_INFINITY else space,
        "cgroup": _cgroup(),
    }


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


def _cgroup() -> int | None:
    """The least memory.max from our own cgroup up to the root."""
    try:
        own = Path("/proc/self/cgroup").read_text("ascii").strip().rpartition("::")[2].lstrip("/")
    except OSError:
        return None
    root, least = Path("/sys/fs/cgroup"), None
    folder = root / own
    while folder.is_relative_to(root):
        try:
            text = (folder / "memory.max").read_text("ascii").strip()
        except OSError:
            text = "max"
        if text.isdigit():
            least = min(least or int(text), int(text))
        folder = folder.parent
    return least


def recognition() -> str | None:
    """Why recognition of faxes cannot be used: not installed, or without its models. None where it can."""
    for name in ("rapidocr", "onnxruntime", "PIL", "pypdfium2"):
        if importlib.util.find_spec(name) is None:
            return _("{name} is not installed").format(name=name)
    spec = importlib.util.find_spec("rapidocr")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    if not any(folder.rglob("*.onnx")):
        return _("no models in {path}").format(path=folder)
    return None


def _run(*command: str, seconds: float = SECONDS) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
