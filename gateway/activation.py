"""Sockets that systemd opened before us and keeps open after us, so that a restart refuses nobody.

Protocol: sd_listen_fds(3). Each is found by the name its socket unit gives it (FileDescriptorName=) and lent as a duplicate: a
channel may close what it was lent and ask again, the inherited one stays open as long as the process lives.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import weakref
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

FIRST = 3
"""The first descriptor that is passed on."""
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
BACKLOG = 1024
"""Connections that may wait at an inherited socket; ``listen`` sets it anew, and those of a whole restart must fit in."""


def passed(environ: Mapping[str, str], pid: int) -> dict[str, int]:
    """Pure: name → descriptor of what systemd passed to process ``pid``; empty where it was meant for another process.

    A name that comes again is numbered (``smtp``, ``smtp/2``): a channel takes the first, the others are found by ``idle``.
    """
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid) or not (count.isascii() and count.isdigit()):
        return {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, int] = {}
    for position in range(int(count)):
        name = names[position] if position < len(names) else "unknown"
        again = sum(known.split("/")[0] == name for known in found)
        found[f"{name}/{again + 1}" if again else name] = FIRST + position
    return found


@dataclass(slots=True)
class Inherited:
    """The sockets of this process, and which of them are lent at the moment."""

    descriptors: Mapping[str, int]
    _lent: dict[str, weakref.ref[socket.socket]] = field(default_factory=dict)

    @classmethod
    def take(cls, environ: MutableMapping[str, str], pid: int) -> Inherited:
        """Read the variables and take them away, and keep the descriptors from every child process."""
        descriptors = passed(environ, pid)
        for variable in VARIABLES:
            environ.pop(variable, None)
        for descriptor in descriptors.values():
            os.set_inheritable(descriptor, False)
        return cls(descriptors)

    def lend(self, name: str) -> socket.socket | None:
        """A duplicate of the listening socket ``name``, None where systemd passed none.

        Raises ``OSError`` (address in use) while an earlier one is still open: two channels at one socket would each get a part
        of the other's callers.
        """
        descriptor = self.descriptors.get(name)
        if descriptor is None:
            return None
        before = self._lent.get(name)
        earlier = before() if before is not None else None
        if earlier is not None and earlier.fileno() >= 0:
            raise OSError(errno.EADDRINUSE, f"systemd's socket {name} is in use by another channel")
        made = socket.socket(fileno=os.dup(descriptor))
        made.setblocking(False)
        self._lent[name] = weakref.ref(made)
        return made

    def idle(self) -> list[str]:
        """The sockets that nobody holds at the moment: whoever calls there waits for an answer that does not come."""
        held = {name for name, lent in self._lent.items() if (one := lent()) is not None and one.fileno() >= 0}
        return [name for name in self.descriptors if name not in held]


_ours: Inherited | None = None


def take() -> None:
    """Take over what systemd passed, once, before anything is spawned."""
    global _ours
    if _ours is None:
        _ours = Inherited.take(os.environ, os.getpid())
        if _ours.descriptors:
            log.info("systemd passed the sockets %s", ", ".join(_ours.descriptors))


def inherited(name: str) -> socket.socket | None:
    """The listening socket that systemd keeps under ``name``: non-blocking, and the caller's to close. None where there is none
    and the caller binds its own. Raises ``OSError`` while the last one lent is still open."""
    take()
    assert _ours is not None
    return _ours.lend(name)


def idle() -> list[str]:
    """The sockets that systemd keeps open and that no channel holds."""
    return _ours.idle() if _ours is not None else []
