"""A configuration, its daemon that dies and comes back, and around it what does not die: carriers, sinks and ledger."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.asked import OperationError
from gateway.conf_edit import set_key
from gateway.demo.smsc import DemoSmsc
from tests.faults.carriers import Carriers
from tests.faults.daemon import Daemon, executed, forked
from tests.faults.ledger import Ledger
from tests.system.gate import Gate, Sink

READY_SECONDS = 60.0
RESTART_SECONDS = 2.0
"""RestartSec of systemd/gateway.service."""


class Stand:
    """Made by ``stand``. ``again`` holds every measured time to accept again, in seconds."""

    def __init__(self, folder: Path, state: Path | None, seed: int, environ: dict[str, str], store: str) -> None:
        self.folder = folder
        self.gate = Gate(folder)
        self.gate.env |= environ
        self.state = state or self.gate.state
        self.store = store or f"sqlite:///{self.state}/gateway.db"
        self._configure(state, store)
        self.ledger = Ledger()
        self.again: list[float] = []
        self.sink = Sink(self.gate.base + 5)
        self.smsc = DemoSmsc("gateway", self.gate.secret("smpp-password"))
        self.carriers = Carriers(self.ledger, self.smsc, base=self.gate.base, secrets=self.gate.secret, seed=seed)
        self.process: Daemon | None = None
        self.exec = bool(os.environ.get("FAULTS_EXEC"))

    def _configure(self, state: Path | None, store: str) -> None:
        gateway = [] if state is None else [(("gateway", "state"), str(state))]
        gateway += [(("gateway", "store"), store)] if store else []
        cloud = [(("channel", "cloud", "enabled"), True), (("channel", "cloud", "port"), self.gate.base + 6)]
        for name, settings in (("gateway.toml", gateway), ("channels.d/cloud.toml", cloud)):
            file = self.gate.conf / name
            for path, value in settings:
                file.write_text(set_key(file.read_text(encoding="utf-8"), path, value), encoding="utf-8")
        secret = self.gate.conf / "secrets" / "cloud-sms-token"
        secret.write_text("token-of-the-cloud\n")
        secret.chmod(0o600)

    async def launch(self, *how: str, before: tuple[str, ...] = ()) -> None:
        """Start the daemon, broken in the way ``how`` or behind the command ``before``; returns at once."""
        conf, log, env = self.gate.conf, self.gate.log, self.gate.env
        if before or self.exec:
            self.process = executed(conf, log, env, how, before)
        else:
            self.process = await asyncio.to_thread(forked, conf, log, env, how)

    async def restarted(self, *how: str, before: tuple[str, ...] = ()) -> None:
        """Start a daemon that ended anew, as the unit says."""
        await self.kill()
        await asyncio.sleep(RESTART_SECONDS)
        await self.launch(*how, before=before)

    async def up(self, since: float | None = None, seconds: float = READY_SECONDS, *, note: bool = True) -> float:
        """Wait until all four channels have had a yes again; how long after ``since`` (default: now) that was."""
        since = time.monotonic() if since is None else since
        self.carriers.allow(2)
        waiting = asyncio.create_task(self.ledger.each_after(since, seconds))
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=0.2)
                self.carriers.check()
                if not self.alive:
                    raise Died(self.tail())
            took = waiting.result()
        except TimeoutError:
            raise AssertionError(
                f"not taken by all channels within {seconds} s: {dict(self.ledger.last)} {self.tail()}"
            ) from None
        finally:
            waiting.cancel()
        if os.environ.get("FAULTS_TELL"):
            print({name: round(at - since, 2) for name, at in self.ledger.last.items()}, flush=True)
        if note:
            self.again.append(took)
        return took

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive

    def tail(self) -> str:
        return self.gate.log.read_text(errors="replace")[-3000:]

    def mark(self, words: str) -> None:
        """A line of our own in the daemon's log."""
        with self.gate.log.open("a") as log:
            log.write(f"--- {words}\n")

    async def dead(self, seconds: float, *, feed: bool = False) -> bool:
        """Whether the daemon ended by itself within ``seconds``; with ``feed`` it is given more to do all the while."""
        deadline = time.monotonic() + seconds
        while self.alive and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
            if feed and not any(self.carriers.room.values()) and not self.carriers.waiting:
                self.carriers.allow(1)
        return not self.alive

    async def kill(self, number: int = signal.SIGKILL) -> None:
        """Kill it and what it spawned, and see it gone."""
        if self.process is None:
            return
        self.process.signal(number)
        await asyncio.to_thread(self.process.wait, 40)
        self.process = None

    async def ask(self, do: str, **args: Any) -> Any:
        """Ask the daemon, off the loop; None where it does not answer."""
        from gateway.control import ask

        try:
            return await asyncio.to_thread(ask, self.state / "control.sock", do, args)
        except (OSError, ValueError, OperationError):
            return None

    async def sign(self) -> None:
        """A person who has every report as soon as it is there (签收); what was answered is kept in the ledger."""
        asked: set[tuple[str, str]] = set()
        while True:
            await asyncio.sleep(0.3)
            for row in await self.ask("deliveries", state="delivered", limit=3) or ():
                about = (row["incident"], row["office"])
                if row["incident"] is None or ":" in row["office"] or about in asked:
                    continue
                done = await self.ask("acknowledge", number=row["incident"], office=row["office"], person="王科长")
                if done is not None:
                    asked.add(about)
                    self.ledger.signed.append((row["incident"], row["office"]))

    async def settled(self, seconds: float = 240.0) -> None:
        """Nothing new is sent, what was not acknowledged comes again; wait until the gateway has done with all of it."""
        self.carriers.allow(0)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.alive:
                raise Died(self.tail())
            if len(self.ledger.acknowledged) + len(self.ledger.refused) >= self.ledger.sent and await self._quiet():
                return
            await asyncio.sleep(0.3)
        raise AssertionError(f"not settled within {seconds} s: {self.ledger.temporary} {self.tail()}")

    async def _quiet(self) -> bool:
        status = await self.ask("status")
        if status is None:
            return False
        left = [await self.ask("messages", state="accepted", limit=1)]
        # A delivery that is tried again goes from one of these states to the other while we ask.
        left += [await self.ask("deliveries", state=state, limit=1) for state in ("sending", "waiting") * 2]
        return all(one == [] for one in left)


class Died(AssertionError):
    """The daemon ended though nobody killed it."""


@asynccontextmanager
async def stand(
    seed: int, *, state: Path | None = None, environ: dict[str, str] | None = None, store: str = ""
) -> AsyncIterator[Stand]:
    """A fresh stand; everything it started is ended and its folder is gone at the end. ``store``: the address of its data base,
    where that is not a file beside its state."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-faults-"))
    made = Stand(folder, state, seed, environ or {}, store)
    made.sink.start()
    await made.smsc.start(f"tcp:{made.gate.base + 4}:interface=127.0.0.1")
    made.carriers.start()
    try:
        yield made
    finally:
        await made.carriers.stop()
        await made.kill()
        await made.smsc.stop()
        await asyncio.to_thread(made.sink.stop)
        if not os.environ.get("FAULTS_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
