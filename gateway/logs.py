"""The daemon's log (docs/metrics.md): one line an event on standard error, for people, for journald or as JSON.

Nothing of a report may stand in it. Our own lines name ids, places and reasons; whoever else logs (libraries, plugins that are
not ours, asyncio) is cut to where and what sort, because their texts may quote what they were working on.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import datetime, tzinfo
from types import TracebackType
from typing import Any, Literal, TextIO
from zoneinfo import ZoneInfo

from gateway.core.events import mask_in
from gateway.settings_care import LogSection

Form = Literal["text", "json", "journald"]

OURS = ("gateway", "gateway_plugins")
QUIET = (
    "gateway.web.hypercorn",
    "gateway_plugins.phone.door.hypercorn",
    "mail.log",
    "hypercorn.error",
    "hypercorn.access",
    "RapidOCR",
    "alembic",
    "sqlalchemy",
)
"""Loggers of libraries that tell addresses and peers' words at INFO."""
LONGEST = 2_000
"""Characters of a line's text."""
PRIORITY = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
"""Levels as syslog numbers them (sd-daemon(3))."""
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_NO_TEXT = re.compile("[\ud800-\udfff]")


def form(wanted: str, environ: Mapping[str, str], stream: TextIO) -> Form:
    """What ``auto`` means here: journald where systemd says that its journal reads this very stream, text elsewhere."""
    if wanted != "auto":
        return wanted  # type: ignore[return-value]
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return "text"
    return "journald" if environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}" else "text"


class Line(logging.Formatter):
    """A record as one line. ``zone`` is the city's."""

    def __init__(self, kind: Form, zone: tzinfo) -> None:
        super().__init__()
        self._kind = kind
        self._zone = zone

    def format(self, record: logging.LogRecord) -> str:
        text = told(record)
        at = datetime.fromtimestamp(record.created, self._zone).isoformat(timespec="milliseconds")
        if self._kind == "journald":
            level = max((one for one in PRIORITY if one <= record.levelno), default=logging.DEBUG)
            return f"<{PRIORITY[level]}>{record.name}: {text}"
        if self._kind == "json":
            line = {"at": at, "level": record.levelname.lower(), "logger": record.name, "text": text}
            return json.dumps(line, ensure_ascii=False)
        return f"{at} {record.levelname} {record.name} {text}"


def told(record: logging.LogRecord) -> str:
    """A record's text on one line, telephone numbers masked; of an exception its type and place, never its message."""
    # Hypercorn writes under the name it is lent, but the words are its own.
    if record.name.split(".")[0] in OURS and not record.name.endswith(".hypercorn"):
        try:
            text = record.getMessage()
        except Exception:
            text = f"{record.filename}:{record.lineno}: a line that could not be made"
    else:
        text = f"{record.filename}:{record.lineno}: text withheld"
    if record.exc_info and record.exc_info[0] is not None:
        text += f" ({where(record.exc_info[0], record.exc_info[2])})"
    tidy = _NO_TEXT.sub("\ufffd", _BREAKS.sub(" ", mask_in(text))).strip()
    return tidy if len(tidy) <= LONGEST else tidy[: LONGEST - 1] + "…"


def where(kind: type[BaseException], trace: TracebackType | None) -> str:
    """``KeyError at desk.py:120``: an exception without its message."""
    last = traceback.extract_tb(trace, limit=-1)
    return f"{kind.__name__} at {os.path.basename(last[0].filename)}:{last[0].lineno}" if last else kind.__name__


def set_up(section: LogSection, timezone: str, *, level: str | None = None, stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to ``stream`` (standard error) in the form that conf asks for."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(Line(form(section.format, os.environ, out), ZoneInfo(timezone)))
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel((level or section.level).upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    # A fault of the logging itself would print the record, arguments and all.
    logging.raiseExceptions = False
    _hooks()
    _twisted()


class Deaf(io.TextIOBase):
    """Standard output and error for everybody but the log: a plugin in this process may print what it reads. Nothing of it is
    kept; that somebody prints is said once."""

    def __init__(self) -> None:
        self._told = False

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if not self._told:
            self._told = True
            logging.getLogger("gateway.logs").warning("somebody in this process prints; nothing of it is kept")
        return len(text)


def deafen() -> None:
    """To be called once the log has its own stream. What the interpreter says when it dies goes past this, to descriptor 2."""
    sys.stdout = sys.stderr = Deaf()


def _hooks() -> None:
    """What nobody caught goes to the log as well, not to standard error with its message."""
    log = logging.getLogger("gateway.uncaught")

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("ended by an exception", exc_info=(kind, error, trace))

    def thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            log.error("a thread ended", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    def unraisable(args: Any) -> None:
        log.error("an exception in passing", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    sys.excepthook, threading.excepthook, sys.unraisablehook = excepthook, thread, unraisable


_observing = False


def _twisted() -> None:
    """Twisted's own log prints failures in full to standard error until somebody takes it over."""
    global _observing
    if _observing:
        return
    _observing = True
    from twisted.logger import LogLevel, globalLogBeginner

    log = logging.getLogger("twisted")

    def observe(event: Any) -> None:
        if event.get("log_level") not in (LogLevel.warn, LogLevel.error, LogLevel.critical):
            return
        failure = event.get("log_failure")
        info = (failure.type, failure.value, failure.getTracebackObject()) if failure is not None else None
        log.error("a fault in %s", event.get("log_namespace", "twisted"), exc_info=info)

    globalLogBeginner.beginLoggingTo([observe], redirectStandardIO=False, discardBuffer=True)  # type: ignore[list-item]
