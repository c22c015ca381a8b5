"""A HylaFAX of the test's own: real faxq and hfaxd in a private spool on loopback. Only the modem is not there: what faxq would start to
speak to it (SendFaxCmd) notes the pages that it was handed and ends as the test says."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

FOLDERS = ("archive", "client", "config", "dev", "docq", "doneq", "etc", "info", "log", "pollq", "recvq", "sendq", "status", "tmp")
PASSWORD = "fax-pw-1"
DONE, FAILED = 2, 1
"""What faxsend ends with (FaxSendStatus of HylaFAX)."""
CONFIG = """\
LogFacility: daemon
CountryCode: 86
AreaCode: 999
LongDistancePrefix: 0
InternationalPrefix: 00
DialStringRules: etc/dialrules
SendFaxCmd: bin/faxsend
JobReqOther: 2
MaxConcurrentCalls: 1
"""
SETUP = """\
SPOOL='{spool}'
FAXUSER='uucp'
LIBEXEC='/usr/sbin'
SBIN='/usr/sbin'
TIFFBIN='/usr/bin'
AWK='/usr/bin/awk'
SED='/bin/sed'
CP=/bin/cp
CAT=/bin/cat
GREP=/bin/grep
RM=/bin/rm
ECHO=/bin/echo
SENDMAIL='/bin/true'
TIFFCP=/usr/bin/tiffcp
TIFFINFO=/usr/bin/tiffinfo
PSPACKAGE=gs
GSRIP=/usr/bin/gs
ENCODING=base64
"""
SEND = """\
#!/bin/sh
# Stands where faxsend would speak to the modem: -m DEVICE QFILE...
mkdir -p log/pages
for page in docq/*\\;*; do [ -e "$page" ] && cp "$page" "log/pages/$(basename "$page")"; done
shift 2
for job in "$@"; do cp "$job" "log/pages/"; done
exit "$(cat log/ends-with)"
"""


class HylaFax:
    """``start`` and ``stop`` may be called again; the spool stays."""

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in FOLDERS:
            (self.spool / name).mkdir(parents=True)
        shutil.copytree("/var/spool/hylafax/bin", self.spool / "bin", symlinks=True)
        for name in ("dialrules", "typerules", "lutRS18.pcf", "hfaxd.conf"):
            shutil.copy(Path("/etc/hylafax") / name, self.spool / "etc")
        (self.spool / "etc" / "config").write_text(CONFIG)
        (self.spool / "etc" / "setup.cache").write_text(SETUP.format(spool=self.spool))
        crypt = subprocess.run(["openssl", "passwd", "-1", "-salt", "ab", PASSWORD], capture_output=True, check=True).stdout.decode()
        (self.spool / "etc" / "hosts.hfaxd").write_text(f"^gateway@.*$:1001:{crypt}")
        (self.spool / "bin" / "faxsend").write_text(SEND)
        (self.spool / "bin" / "faxsend").chmod(0o755)
        self.modem(DONE)
        subprocess.run(["chown", "-R", "uucp:uucp", str(self.spool)], check=True)
        (self.spool / "etc" / "hosts.hfaxd").chmod(0o600)
        self.port = 0

    def modem(self, ends_with: int) -> None:
        """How every call ends from now on."""
        (self.spool / "log" / "ends-with").write_text(str(ends_with))

    def start(self, *, scheduler: bool = True) -> None:
        """Start what is not running; with the scheduler there is one modem."""
        if scheduler and "faxq" not in self.processes:
            # A pipe left by the scheduler before would let the modem be announced before anyone listens.
            (self.spool / "FIFO").unlink(missing_ok=True)
            self._run("faxq", "/usr/sbin/faxq", "-D", "-q", str(self.spool))
            self._until(self.announce)
        if "hfaxd" not in self.processes:
            self._listen(tries=2)

    def _listen(self, tries: int) -> None:
        """Another port at each start: hfaxd cannot take one on which connections have just ended."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._run("hfaxd", "/usr/sbin/hfaxd", "-d", "-l", "127.0.0.1", "-i", str(self.port), "-q", str(self.spool))
        try:
            self._until(self._answers, 10 if tries else 40)
        except AssertionError:
            if not tries:
                raise
            self.stop("hfaxd")
            self._listen(tries - 1)

    def announce(self) -> bool:
        """Tell the scheduler of the modem, as faxgetty does again whenever a scheduler greets it; before it listens, it is told in vain."""
        return subprocess.run(["/usr/sbin/faxmodem", "-q", str(self.spool), "ttyS0"], check=False, capture_output=True).returncode == 0

    def stop(self, *names: str) -> None:
        for name in names or tuple(self.processes):
            process = self.processes.pop(name, None)
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, 15)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                process.wait()

    def jobs(self) -> list[str]:
        """The job files of both queues."""
        return sorted(p.name for queue in ("sendq", "doneq") for p in (self.spool / queue).glob("q*"))

    def field(self, name: str) -> list[str]:
        """A field of every job, in the order of the jobs."""
        files = [p for queue in ("sendq", "doneq") for p in (self.spool / queue).glob("q*")]
        lines = [line for p in sorted(files, key=lambda p: p.name) for line in p.read_text("utf-8", "replace").splitlines()]
        return [line.partition(":")[2] for line in lines if line.startswith(f"{name}:")]

    def pages(self) -> list[Path]:
        """The pages that the modem was handed, prepared by HylaFAX."""
        return sorted((self.spool / "log" / "pages").glob("*;*"))

    def _run(self, name: str, *command: str) -> None:
        with (self.spool.parent / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            return connection.recv(4).startswith(b"220")
        return False

    def _until(self, look: object, seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not look():  # type: ignore[operator]
            ended = {name: process.poll() for name, process in self.processes.items()}
            logs = "".join(path.read_text("utf-8", "replace") for path in self.spool.parent.glob("*.log"))
            assert time.monotonic() < deadline, f"HylaFAX did not come up at port {self.port}: {ended} {logs}"
            time.sleep(0.05)
