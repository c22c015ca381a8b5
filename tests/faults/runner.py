"""The daemon, as it is or with something wrong in it: ``python -m tests.faults.runner CONF [HOW [ARGUMENT]]``, and a nursery of such daemons.

``HOW`` is the name of a crash point (ARGUMENT: at which passage, from 1), where the process kills itself with SIGKILL, or one of
the gateways of ``broken.py``. ``--nursery`` imports everything once and forks a daemon for each line it reads: most of a
start is Python's imports, and what is tried here comes after them.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
from pathlib import Path

import gateway_plugins
from gateway import i18n, logs, service
from gateway.cli.link import load
from tests.faults import broken, points

PR_SET_PDEATHSIG = 1


def serve(conf: str, how: list[str]) -> None:
    """Run the daemon to its end."""
    i18n.use("en")
    config = load(Path(conf))
    logs.set_up(config.log, config.timezone)
    if how and how[0] in broken.BROKEN:
        broken.BROKEN[how[0]]()
    elif how:
        points.arm(how[0], int(how[1]))
    service.run_loop(lambda: service.Service(config).run())


def nursery() -> None:
    """Answer each line ``{"conf", "how", "log", "env"}`` with the process id of a new daemon."""
    for module in pkgutil.walk_packages(gateway_plugins.__path__, "gateway_plugins."):
        importlib.import_module(module.name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        asked = json.loads(line)
        born = os.fork()
        if born:
            print(born, flush=True)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # no daemon outlives the run, however that ends
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(asked["env"])
        try:
            serve(asked["conf"], asked["how"])
        except BaseException:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "--nursery":
        nursery()
    else:
        serve(sys.argv[1], sys.argv[2:])
