"""The spool folder: a program writes a transcript under a temporary name and renames it in; whole files alone are taken.

Names that begin with a dot or end in ``.tmp`` or ``.part`` are still being written. So is a file that has changed within the
last moments, should somebody copy it in without a rename. An accepted file leaves the folder only after the commit.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from pathlib import Path

from msgspec import Struct

from gateway_plugins.phone import formats

log = logging.getLogger(__name__)

UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", "~")
TYPES = {".json": formats.JSON, ".vtt": formats.VTT, ".srt": formats.SRT, ".txt": formats.PLAIN}
AUDIO = {
    ".wav": "audio/wav", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".amr": "audio/amr", ".m4a": "audio/mp4",
    ".gsm": "audio/gsm",
}  # fmt: skip
OTHER = "application/octet-stream"


Mark = tuple[int, int, int]
"""Size, time of change and inode: what tells one state of a file from another."""

Seen = dict[str, tuple[Mark, float]]
"""By name: the state in which a file was last seen, and since when it is in it."""


class Spooled(Struct, frozen=True):
    """A whole file in the folder."""

    path: Path
    size: int
    mark: Mark

    @property
    def content_type(self) -> str:
        return (TYPES | AUDIO).get(self.path.suffix.lower(), OTHER)


def scan(folder: Path, *, seen: Seen, now: float, settle_seconds: float) -> list[Spooled]:
    """The files that are whole, oldest first: by their own time, or, where that is not to be believed, because they did not
    change between two looks ``settle_seconds`` apart. ``seen`` is kept from look to look. Raises ``OSError``."""
    whole: list[Spooled] = []
    present: Seen = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower().endswith(UNFINISHED):
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISREG(found.st_mode):
                continue
            mark = _mark(found)
            before, since = seen.get(entry.name, (None, now))
            present[entry.name] = (mark, since if before == mark else now)
            settled = now - found.st_mtime >= settle_seconds
            if settled or (before == mark and now - since >= settle_seconds):
                whole.append(Spooled(Path(entry.path), found.st_size, mark))
    seen.clear()
    seen.update(present)
    return sorted(whole, key=lambda spooled: (spooled.mark[1], spooled.path.name))


def content(spooled: Spooled) -> bytes | None:
    """The octets of a file, or None when it has changed or gone since it was seen. Raises ``OSError``."""
    try:
        with open(os.open(spooled.path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as opened:
            body = opened.read()
            found = os.fstat(opened.fileno())
    except FileNotFoundError:
        return None
    return body if _mark(found) == spooled.mark else None


def put_away(spooled: Spooled, folder: Path, receipt: str, *, keep: bool) -> bool:
    """Into ``folder`` under its own name: the file itself (``keep``), or the receipt alone, as the store has its text now.

    False where the name has meanwhile been given to another file, which then stays for the next look. Raises ``OSError``.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    goal = _free(folder / spooled.path.name)
    os.replace(spooled.path, goal)
    if _mark(goal.lstat()) != spooled.mark:
        os.replace(goal, _free(spooled.path))
        return False
    if not keep:
        note = goal.with_name(f".{goal.name}.receipt")
        note.write_text(receipt + "\n", encoding="utf-8")
        os.replace(note, goal)
    return True


def _mark(found: os.stat_result) -> Mark:
    return found.st_size, found.st_mtime_ns, found.st_ino


def _free(path: Path) -> Path:
    """``path``, or with a number before its suffix where that name is taken."""
    number, goal = 1, path
    while goal.exists():
        number += 1
        goal = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return goal


def safe_name(name: str) -> str:
    """A file's name as valid text for an id; long ones are cut."""
    return re.sub(r"[\x00-\x1f]", "?", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))[:200]
