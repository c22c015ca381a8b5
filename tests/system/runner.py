"""The daemon, killed by itself (SIGKILL) the first time it comes to a named step: ``runner.py CONF STEP``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from gateway import desk, dispatch, i18n, routing, service
from gateway.cli.link import load


def die(*_args: Any, **_kwargs: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> None:
    if not hasattr(owner, name):
        raise SystemExit(f"no step: {owner.__name__} has no {name}")
    setattr(owner, name, die)


def after(owner: Any, name: str) -> None:
    real = getattr(owner, name)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        await real(*args, **kwargs)
        die()

    setattr(owner, name, wrapped)


STEPS = {
    "accepted": lambda: before(desk.Desk, "_prepare"),
    "taking": lambda: before(routing, "put"),
    "taken": lambda: after(desk.Desk, "_take"),
    "leased": lambda: before(dispatch.Dispatcher, "_attempt"),
    "sent": lambda: after(dispatch.Dispatcher, "_attempt"),
    "settling": lambda: before(dispatch.deliveries, "settle"),
    "settled": lambda: after(dispatch.Dispatcher, "_send"),
}

if __name__ == "__main__":
    i18n.use("en")
    config = load(Path(sys.argv[1]))
    STEPS[sys.argv[2]]()
    service.run_loop(lambda: service.Service(config).run())
