"""Channels that misbehave, for the tests of the worker processes. Loaded there by file, as a single-file plugin would be."""

from __future__ import annotations

import os
import resource
import time
from typing import Any

from gateway.api import Malformed, Message, RawMessage, Settings


class Odd:
    """Does what the message's body says."""

    Settings = Settings
    reads_in = "parse"

    def __init__(self, name: str, settings: Any, services: Any = None) -> None:
        self.name = name
        self.settings = settings

    def read(self, raw: RawMessage) -> Message:
        order = raw.body.decode()
        if order == "hang":
            time.sleep(60)
        elif order == "spin":
            while True:
                pass
        elif order == "grow":
            kept = []
            while True:
                kept.append(bytearray(16 * 1024 * 1024))
        elif order == "keep":
            Odd.kept = bytearray(b"x") * (200 * 1024 * 1024)
        elif order == "exit":
            os._exit(3)
        elif order == "raise":
            raise RuntimeError(f"secret words of {order}")
        elif order == "lacking":
            raise OSError(24, "Too many open files")
        elif order == "odd file":
            raise OSError(f"cannot identify {order}")
        elif order == "malformed":
            raise Malformed("field 'from' is missing")
        elif order == "deep":
            return self.read(raw)
        elif order == "print":
            print("noise " * 1000, flush=True)
            os.write(1, b"more noise")
        elif order == "surrogate":
            return Message(text="\ud800")
        elif order == "limits":
            return Message(text=f"{resource.getrlimit(resource.RLIMIT_CORE)} {'CREDENTIALS_DIRECTORY' in os.environ}")
        elif order.startswith("sleep "):
            time.sleep(float(order[6:]))
        return Message(text=order, subject=str(os.getpid()))
