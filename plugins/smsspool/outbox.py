"""Messages to send as files: put for the daemon, then looked for where it moves what was sent and what failed.

A file's name is the delivery's own, so an attempt that follows a crash or a time-out finds what the one before has put, and puts
nothing twice. What was sent is left in its folder without its text.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from msgspec import Struct

from gateway_plugins.smsspool.files import Form, headers, outgoing, outgoing_name, reference

State = Literal["absent", "queued", "sent", "failed", "vanished"]


class Folders(Struct, frozen=True, kw_only=True):
    """Where the daemon takes messages from, where it keeps those in hand (may be empty), and where it puts them afterwards."""

    outgoing: Path
    checked: Path | None
    sent: Path
    failed: Path


class Letter(Struct, frozen=True, kw_only=True):
    """One message to send."""

    form: Form
    to: str
    words: str
    key: str
    receipt: bool

    @property
    def name(self) -> str:
        return outgoing_name(self.form, self.to, self.key, receipt=self.receipt)


def put(folders: Folders, letter: Letter) -> None:
    """Write the message beside and rename it in, synced. Raises ``OSError``."""
    hidden = folders.outgoing / f".{letter.name}.tmp"
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o660)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o660)
        file.write(outgoing(letter.form, letter.to, letter.words, receipt=letter.receipt))
        file.flush()
        os.fsync(file.fileno())
    _like_folder(hidden, folders.outgoing)
    os.replace(hidden, folders.outgoing / letter.name)
    _mark(folders, letter).touch()


def state(folders: Folders, letter: Letter) -> State:
    """Where the message is; vanished: the daemon had it and left no trace. Raises ``OSError``.

    The folders are looked at in the order in which the daemon moves a file, so that one on its way is seen at least once.
    """
    ways: tuple[tuple[Path | None, State], ...] = (
        (folders.outgoing, "queued"), (folders.checked, "queued"), (folders.sent, "sent"), (folders.failed, "failed"),
    )  # fmt: skip
    for folder, found in ways:
        if folder is not None and (folder / letter.name).exists():
            return found
    return "vanished" if _mark(folders, letter).exists() else "absent"


def forget(folders: Folders, letter: Letter) -> None:
    """Remove the note that the message was put: it is sent, failed, or given up."""
    _mark(folders, letter).unlink(missing_ok=True)


def _mark(folders: Folders, letter: Letter) -> Path:
    return folders.outgoing / f".{letter.name}.put"


def taken(folders: Folders, letter: Letter) -> tuple[str, ...]:
    """The references that the daemon noted on a message it sent, for receipts; its text is removed. Raises ``OSError``."""
    told = _strip(folders.sent / letter.name, letter.form)
    forget(folders, letter)
    return (reference(told["to"], told["message_id"]),) if "message_id" in told and "to" in told else ()


def refused(folders: Folders, letter: Letter) -> str:
    """Why the daemon failed; the file is renamed, its text removed, so that the next attempt begins anew. Raises ``OSError``."""
    told = _strip(folders.failed / letter.name, letter.form)
    forget(folders, letter)
    os.replace(folders.failed / letter.name, folders.failed / f".{letter.name}.seen")
    return told.get("fail_reason", "")[:80]


def _strip(path: Path, form: Form) -> dict[str, str]:
    """The headers of a file, which then holds nothing else."""
    if form == "gammu":
        os.truncate(path, 0)
        return {}
    body = path.read_bytes()
    head, found, content = body.partition(b"\n\n")
    if content:
        os.truncate(path, len(head) + len(found))
    return headers(body)[0]


def _like_folder(path: Path, folder: Path) -> None:
    """Give the file to the folder's group, so that a daemon under another name can read and move it."""
    try:
        os.chown(path, -1, folder.stat().st_gid)
    except PermissionError:
        return
