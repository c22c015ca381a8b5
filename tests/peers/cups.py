"""A CUPS of the test's own: real cupsd on loopback with every folder private, one raw queue to a socket, and the sink behind that."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

FILES = """\
ServerRoot {etc}
StateDir {run}
CacheDir {cache}
RequestRoot {spool}
TempDir {spool}/tmp
AccessLog {log}/access
ErrorLog {log}/error
PageLog {log}/page
ServerBin /usr/lib/cups
DataDir /usr/share/cups
DocumentRoot /usr/share/cups
SystemGroup root
User lp
Group lp
"""
CUPSD = """\
Listen 127.0.0.1:{port}
LogLevel info
AccessLogLevel all
Browsing Off
WebInterface No
DefaultAuthType None
PreserveJobHistory Yes
JobRetryInterval 1
ErrorPolicy stop-printer
<Location />
  Order allow,deny
  Allow from 127.0.0.1
</Location>
<Policy default>
  <Limit All>
    Order deny,allow
  </Limit>
</Policy>
"""
PRINTERS = """\
<Printer duty>
UUID urn:uuid:1d2f9d8e-0d0c-3a45-5f4e-000000000001
Info duty
DeviceURI socket://127.0.0.1:{sink}
State Idle
Type 4
Accepting Yes
Shared No
ErrorPolicy retry-job
</Printer>
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sink:
    """The printer itself: takes what comes over its socket. ``open`` False: nobody listens, as with a printer that is off."""

    def __init__(self) -> None:
        self.port = free_port()
        self.jobs: list[bytes] = []
        self._socket: socket.socket | None = None

    def start(self) -> None:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", self.port))
        made.listen()
        self._socket = made
        threading.Thread(target=self._serve, args=(made,), daemon=True).start()

    def stop(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None

    def _serve(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listening.accept()
                with connection:
                    data = b""
                    while chunk := connection.recv(65536):
                        data += chunk
                    if data:
                        self.jobs.append(data)


class Cups:
    """``start`` and ``stop`` may be called again; spool and history stay, and so does the port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.sink = folder, free_port(), Sink()
        self.process: subprocess.Popen[bytes] | None = None
        named = {name: folder / name for name in ("etc", "run", "cache", "spool", "log")}
        for path in (*named.values(), named["spool"] / "tmp", named["etc"] / "ppd"):
            path.mkdir(parents=True, exist_ok=True)
        (folder / "etc" / "cups-files.conf").write_text(FILES.format(**named))
        (folder / "etc" / "cupsd.conf").write_text(CUPSD.format(port=self.port))
        (folder / "etc" / "printers.conf").write_text(PRINTERS.format(sink=self.sink.port))

    @property
    def uri(self) -> str:
        return f"ipp://127.0.0.1:{self.port}/printers/duty"

    def start(self) -> None:
        command = ["/usr/sbin/cupsd", "-f", "-c", str(self.folder / "etc/cupsd.conf"), "-s", str(self.folder / "etc/cups-files.conf")]
        with (self.folder / "cupsd.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._until(self._answers)

    def stop(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 15)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            self.process.wait()
            self.process = None

    def history(self) -> int:
        """How many jobs it has taken."""
        log = self.folder / "log" / "access"
        return log.read_text().count("Print-Job successful-ok") if log.exists() else 0

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "cupsd.log").read_text() + (self.folder / "log/error").read_text()
        return False

    def _until(self, look: Callable[[], bool], seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < deadline, "CUPS did not come up"
            time.sleep(0.05)
