"""What may be told of an exception where a log or the audit log keeps it: never a text that may hold a report's words."""

from __future__ import annotations

import os
import traceback

from gateway.secrets import SecretError

SYSTEMS = ("builtins", "socket", "ssl", "asyncio.exceptions")
"""Where the kinds of ``OSError`` live whose text is the system's; another library's (``smtplib``) may quote a message."""


class Unfit(Exception):
    """Settings that a plugin's own class refuses. The text names their keys only."""


def tell(error: BaseException, *, ours: str = "") -> str:
    """``KeyError (x.py:44)``, with the text where it is the system's or our own. ``ours`` ends the path of a file that is not to
    be named as the place."""
    return f"{type(error).__name__}{_text(error)}{place(error, ours)}"


def _text(error: BaseException) -> str:
    if isinstance(error, SecretError | Unfit):
        return f": {error}"
    # Twisted's errors of connecting and listening hold the system's own.
    for one in (error, getattr(error, "socketError", None), getattr(error, "osError", None)):
        if isinstance(one, OSError) and type(one).__module__ in SYSTEMS and isinstance(one.errno, int) and one.strerror:
            return f": [Errno {one.errno}] {one.strerror}"
    return ""


def place(error: BaseException, ours: str = "") -> str:
    """Where it happened: file and line of the innermost frame outside ``ours``."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not ours or not f.filename.endswith(ours)]
    return f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
