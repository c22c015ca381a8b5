"""What a machine has none of for a moment, or fails to give: a descriptor, memory, a process, a thread, room on a disk. Whatever
opens a file then fails: the import of a country's numbers, the data of a zone. That passes, and says nothing of the message in
hand."""

from __future__ import annotations

import errno
import os

from gateway.workers import NoWorker

LACKING = frozenset((
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS, errno.ENOLCK, errno.EIO, errno.ENOSPC, errno.EDQUOT,
    errno.ESTALE, errno.EBUSY, errno.EINTR,
))  # fmt: skip
"""The system's words for it. What a parser makes of odd content is an ``OSError`` too, with none or another of them."""

NO_THREAD = ("can't start new thread",)
"""CPython's words where the system refuses one."""


def is_short(error: BaseException) -> bool:
    """Whether ``error`` tells of the machine and not of the message."""
    if isinstance(error, OSError):
        return error.errno in LACKING
    if isinstance(error, ImportError):
        return any(os.strerror(code) in str(error) for code in LACKING)  # a library of an extension that could not be opened
    return isinstance(error, MemoryError | NoWorker) or (isinstance(error, RuntimeError) and error.args == NO_THREAD)
