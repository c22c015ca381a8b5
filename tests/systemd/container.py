"""A real systemd in a folder: the root folder of ``.ci/peers/systemd.sh`` under an overlay in memory, booted by systemd-nspawn.

The gateway is in it as an operator would have it: a wheel of this tree in /opt/jibao, put in force by ``systemd/install.sh``. What it
imports is lent read-only from the environment of the tests. Nothing is left when it is closed.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
ROOTFS = Path(os.environ.get("JIBAO_ROOTFS", "/var/cache/jibao/rootfs"))
CLONE_NEWNET = 0x40000000
GATEWAY = "/opt/jibao/bin/gateway"


def unfit() -> str:
    """Why no systemd can be booted here; empty where it can."""
    if os.geteuid() != 0:
        return "only root can boot a systemd in a folder"
    if not (ROOTFS / "etc" / "jibao-rootfs").exists() or shutil.which("systemd-nspawn") is None:
        return "no root folder; make it with: sudo sh .ci/peers/systemd.sh"
    if not (ROOTFS / f"usr/lib/python{sys.version_info[0]}.{sys.version_info[1]}").is_dir():
        return f"Python of {ROOTFS} is not {sys.version_info[0]}.{sys.version_info[1]}"
    return ""


def run(*command: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **more)
    assert not check or done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


class Container:
    """One booted system. ``root`` is its file system as the host sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = folder / "memory"
        self.root = folder / "memory" / "root"
        self.log = folder / "boot.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.mounted: list[Path] = []

    # Making and unmaking.

    def make(self) -> None:
        """Overlay, program, and the folder that an operator would have copied here."""
        self.memory.mkdir()
        self._mount(self.memory, "-t", "tmpfs", "-o", "size=2g", "tmpfs")
        for name in ("upper", "work", "root"):
            (self.memory / name).mkdir()
        layers = f"lowerdir={ROOTFS},upperdir={self.memory}/upper,workdir={self.memory}/work"
        self._mount(self.root, "-t", "overlay", "-o", layers, "overlay")
        self._program()
        shutil.copytree(ROOT / "systemd", self.root / "root" / "bundle")

    def _program(self) -> None:
        # From a copy, so that nothing of an earlier build gets into the wheel.
        wheels, tree = self.folder / "wheels", self.folder / "tree"
        for name in ("gateway", "plugins", "conf"):
            shutil.copytree(
                ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "state", "secrets")
            )
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, tree / name)
        command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(tree)]
        run(sys.executable, *command)
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        home = self.root / "opt" / "jibao"
        site = home / "lib" / version / "site-packages"
        site.mkdir(parents=True)
        with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
            wheel.extractall(site)
        (site / "lent.pth").write_text("/opt/lent\n")
        (home / "bin").mkdir()
        (home / "bin" / "python3").symlink_to("/usr/bin/python3")
        (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
        script = home / "bin" / "gateway"
        script.write_text("#!/opt/jibao/bin/python3\nfrom gateway.cli import main\nmain()\n")
        script.chmod(0o755)

    def boot(self) -> None:
        """Start systemd, wait until it has started what it starts, and install."""
        command = [
            "systemd-nspawn", "--quiet", "-D", str(self.root), "-M", f"jibao-test-{os.getpid()}", "--boot", "--register=no", "--keep-unit",
            "--console=pipe", "--private-network", f"--bind-ro={sysconfig.get_paths()['purelib']}:/opt/lent",
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.until(self._leader, "systemd runs")
        # Not is-system-running: that waits for whatever else Debian starts, too.
        self.until(lambda: self.systemctl("is-active", "basic.target", check=False) == "active", "systemd is up", 60)
        # As pip does: the gateway's own user could not keep what it compiles.
        self.run("/opt/jibao/bin/python3", "-m", "compileall", "-q", "/opt/jibao/lib")
        self.run("sh", "/root/bundle/install.sh", "--units")

    def _leader(self) -> int:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text("utf-8", "replace")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        # The first child only prepares; the one that stays is init of a process namespace of its own.
        ours = os.stat("/proc/self/ns/pid").st_ino
        for child in map(int, children):
            with suppress(OSError):
                apart = os.stat(f"/proc/{child}/ns/pid").st_ino != ours
                if apart and Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    return child
        return 0

    def close(self) -> None:
        """Power off, and take every mount away."""
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGRTMIN + 4)  # systemd's word for: power off
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for path in reversed(self.mounted.copy()):
            self.unmount(path)

    def _mount(self, where: Path, *how: str) -> None:
        run("mount", *how, str(where))
        self.mounted.append(where)

    def unmount(self, where: Path) -> None:
        run("umount", "--lazy", str(where), check=False)
        self.mounted.remove(where)

    # Looking and doing.

    def path(self, inside: str) -> Path:
        """A path of the running system, mounts of its own included."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def run(self, *command: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        """A command inside."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", "--", "/usr/bin/env", "-i"]
        plain = ["PATH=/usr/sbin:/usr/bin", "GATEWAY_LANG=en", "LANG=C.UTF-8"]
        return run(*enter, *plain, *command, check=check, **more)

    def systemctl(self, *words: str, check: bool = True) -> str:
        return self.run("systemctl", *words, check=check).stdout.strip()

    def show(self, name: str, unit: str = "gateway.service") -> str:
        """One property of a unit."""
        return self.systemctl("show", "--value", "-p", name, unit)

    def gateway(self, *words: str, check: bool = True) -> str:
        return self.run(GATEWAY, "--conf", "/etc/jibao", *words, check=check).stdout

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.gateway("messages", "--json").splitlines()]

    def journal(self, unit: str = "gateway.service") -> str:
        """All that the unit and systemd said about it."""
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit).stdout

    def until(self, look: Callable[[], T], what: str, seconds: float = 30) -> T:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s: {what}\n{self.log.read_text('utf-8', 'replace')[-3000:]}")

    def clients(self, count: int) -> ThreadPoolExecutor:
        """Threads that stand in the container's network: what they connect to is inside."""
        return ThreadPoolExecutor(count, initializer=self._enter)

    def _enter(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{self.pid}/ns/net", "rb") as network:
            if libc.setns(network.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def connect(self, port: int, seconds: float = 20) -> socket.socket:
        with self.clients(1) as threads:
            return threads.submit(socket.create_connection, ("127.0.0.1", port), seconds).result()
