"""A plugin's own process begins: ``python -m gateway.plughost.main FD PARENT``.

It holds no credentials but those lent with an object, writes to no log, and ends when the daemon does. What it is made of is
imported only when it has stood back: a plugin that is started again and again takes nothing from those who work.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

from gateway.confine import leave_no_core, stand_back

OPEN_FILES = 1024
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve until the daemon lets go of the wire."""
    wire, parent = int(sys.argv[1]), int(sys.argv[2])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    leave_no_core(seen=True)  # the guard reads its memory and what it has started
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    stand_back(10)
    from gateway.plughost.inside import serve

    serve(wire)


if __name__ == "__main__":
    main()
