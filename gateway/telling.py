"""What may be told of an exception where a log or the audit log keeps it: never a text that may hold a report's words."""

from __future__ import annotations

import base64
import json
import os
import re
import traceback
from functools import lru_cache

import msgspec

from gateway.core.outcomes import Outcome, Refused, TryLater
from gateway.secrets import SecretError

SYSTEMS = ("builtins", "socket", "ssl", "asyncio.exceptions")
"""Where the kinds of ``OSError`` live whose text is the system's; another library's (``smtplib``) may quote a message."""
COMPARED = 1 << 20
LINE = 300
ENOUGH = 9
_SOFT = re.compile(rb"=?\r?\n")


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


def told_without(outcome: Outcome, *sent: str | bytes) -> Outcome:
    """``outcome`` with nothing in its reason that is quoted from what was ``sent``, as servers do that refuse by content."""
    if not isinstance(outcome, TryLater | Refused) or not isinstance(outcome.why, str):
        return outcome  # what cannot be kept has its own alarm
    return msgspec.structs.replace(outcome, why=unquoted(outcome.why, *sent))


def unquoted(text: str, *sent: str | bytes) -> str:
    """``text``, an error about a message, with … for whatever it quotes of what was ``sent`` (or came in): runs of 3 characters,
    of 5 digits or of 9 letters that stand there too, in any charset and transfer encoding. Of what is too large to compare
    nothing is told."""
    body = b"\n".join(one if isinstance(one, bytes) else one.encode("utf-8", "replace") for one in sent)
    if len(body) > COMPARED:
        return "…"
    text, soft = text[:LINE], _SOFT.sub(b"", body)
    quoted = [False] * len(text)
    for begin in range(len(text)):
        weight, end = 0, begin
        while end < len(text) and weight < ENOUGH:
            weight += 3 if text[end] > "\x7f" else 2 if text[end].isdigit() else 1
            end += 1
        if weight < ENOUGH:
            break
        run = text[begin:end]
        if any(form in soft or (_cut(form) and form in body) for form in _forms(run)):
            quoted[begin:end] = [True] * (end - begin)
    return re.sub("\0+", "…", "".join("\0" if one else char for char, one in zip(text, quoted, strict=True)))


def _cut(form: bytes) -> bool:
    """Whether taking out soft line ends may take a part of ``form`` with them: 上 is 4E 0A in UTF-16."""
    return b"\n" in form or form.endswith((b"=", b"\r"))


@lru_cache(1024)
def _forms(run: str) -> frozenset[bytes]:
    """How ``run`` may lie in a message. The same reason comes back for each of an incident's ten deliveries."""
    found = {run.encode("unicode_escape"), json.dumps(run)[1:-1].encode()}
    for charset in ("utf-8", "gb18030", "utf-16-be", "utf-16-le"):
        raw = run.encode(charset, "replace")
        printable = "".join(chr(one) if chr(one).isalnum() and one < 0x80 else f"={one:02X}" for one in raw)
        found |= {raw, raw.hex().encode(), raw.hex().upper().encode(), printable.encode()}
        for shift in range(3):  # base64 begins anew every three octets; its ends depend on what stands beside
            encoded = base64.b64encode(b"\0" * shift + raw)
            found.add(encoded[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6])
    return frozenset(found)
