"""HylaFAX's client protocol (hfaxd, port 4559): FTP with commands for jobs, spoken with ``ftplib``. Blocking; run in a thread.

Sources: hfaxd(8), faxstat(1) for the letters of JOBFMT, RFC 959. A job carries the delivery's id as JOBINFO (its job tag), by
which it is found again: a submission whose answer was lost is never made twice.
"""

from __future__ import annotations

import ftplib
import io
import re
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

TAG = "jibao:"
_JOB = re.compile(r"job(?:id)?:? *(\d+)", re.IGNORECASE)
_FILE = re.compile(r"FILE: (\S+)")
_LINE = re.compile(r"(\d+)\|jibao:([^|]*)\|([A-Z?]?)\|(.*)")
Step = Literal["login", "document", "job", "submit", "list"]


class Trouble(Exception):
    """It did not work. ``step`` is where; ``final`` that it never will for this job; the text holds codes, no content."""

    def __init__(self, step: Step, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.step = step
        self.final = final


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where and who. ``seconds`` is for each command, ``most`` for all of them."""

    host: str
    port: int
    user: str
    password: str
    seconds: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to send whither, and for how long to try."""

    delivery: str
    number: str
    tiff: bytes
    minutes: int
    dials: int
    tries: int
    modem: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A job of ours in a queue. ``state``: D done, F failed, everything else under way."""

    id: str
    delivery: str
    state: str
    status: str


class _Ftp(ftplib.FTP):
    """Gives up when the time for all commands is over."""

    until = 0.0

    def putcmd(self, line: str) -> None:
        if time.monotonic() > self.until:
            raise TimeoutError
        super().putcmd(line)


class Session:
    """One connection, logged in. Raises ``Trouble`` throughout."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ftp = _Ftp(timeout=server.seconds, encoding="utf-8")
        self._ftp.until = time.monotonic() + server.most

    def __enter__(self) -> Session:
        server, ftp = self._server, self._ftp
        try:
            self._do("login", lambda: ftp.connect(server.host, server.port))
            answer = self._do("login", lambda: ftp.sendcmd(f"USER {server.user}"))
            if answer.startswith("331"):
                self._do("login", lambda: ftp.sendcmd(f"PASS {server.password}"))
        except BaseException:
            ftp.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ftp.close()

    def jobs(self) -> list[Entry]:
        """Our jobs in both queues: waiting or being sent, and done."""
        self._do("list", lambda: self._ftp.sendcmd('JOBFMT "%j|%J|%a|%s"'))
        found: list[Entry] = []
        for queue in ("sendq", "doneq"):
            lines: list[str] = []
            self._do("list", lambda queue=queue, lines=lines: self._ftp.retrlines(f"LIST {queue}", lines.append))
            # A status may run over several lines; only the first begins with a job.
            found += [Entry(*match.groups()) for line in lines if (match := _LINE.fullmatch(line))]
        return found

    def submit(self, job: Job) -> str:
        """Store the pages, make the job, hand it over; returns its id."""
        ftp = self._ftp
        self._do("document", lambda: ftp.sendcmd("TYPE I"))
        self._do("document", lambda: ftp.sendcmd("FORM TIFF"))
        stored = self._do("document", lambda: ftp.storbinary("STOT", io.BytesIO(job.tiff)))
        file = _FILE.search(stored)
        if file is None:
            raise Trouble("document", "no file name in the answer")
        made = _JOB.search(self._do("job", lambda: ftp.sendcmd("JNEW")))
        if made is None:
            raise Trouble("job", "no job id in the answer")
        wanted = {
            "FROMUSER": "jibao", "JOBINFO": f'"{TAG}{job.delivery}"', "DIALSTRING": f'"{job.number}"',
            "EXTERNAL": f'"{job.number}"',
            "LASTTIME": f"{job.minutes // 1440:02d}{job.minutes // 60 % 24:02d}{job.minutes % 60:02d}",
            "MAXDIALS": str(job.dials), "MAXTRIES": str(job.tries), "MODEM": f'"{job.modem}"', "NOTIFY": '"none"', "VRES": "196",
            "PAGEWIDTH": "209", "PAGELENGTH": "296", "DOCUMENT": file[1].rstrip(").,"),
        }  # fmt: skip
        for name, value in wanted.items():
            # Only the number is this job's own; everything else that is not taken is for a person to put right.
            number = name in ("DIALSTRING", "EXTERNAL")
            self._do("job", lambda name=name, value=value: ftp.sendcmd(f"JPARM {name} {value}"), final=number)
        self._do("submit", lambda: ftp.sendcmd("JSUBM"))
        return made[1]

    def _do(self, step: Step, call: Any, *, final: bool = False) -> str:
        try:
            return str(call())
        except ftplib.error_perm as error:
            raise Trouble(step, str(error)[:3], final=final) from None
        except ftplib.Error as error:
            raise Trouble(step, str(error)[:3] if str(error)[:3].isdigit() else type(error).__name__) from None
        except (OSError, EOFError, ValueError) as error:
            raise Trouble(step, type(error).__name__) from None
