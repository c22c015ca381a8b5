"""What a machine has none of for a moment: a descriptor, memory, a process, room on a disk. Whatever opens a file then fails: the
import of a country's numbers, the data of a zone. That passes, and says nothing of the message in hand."""

from __future__ import annotations

import errno

from gateway.workers import NoWorker

LACKING = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS, errno.ENOLCK, errno.EIO, errno.ENOSPC, errno.EDQUOT)
)
"""The system's words for it. What a parser makes of odd content is an ``OSError`` too, with none or another of them."""


def is_short(error: BaseException) -> bool:
    """Whether ``error`` tells of the machine and not of the message."""
    if isinstance(error, OSError):
        return error.errno in LACKING
    return isinstance(error, MemoryError | NoWorker)
