"""Controls that must lose: gateways that say yes too early. A machine that finds nothing wrong with them shows nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import event

from gateway import intake
from gateway.core.model import RawMessage
from gateway.store import Store, engine, upkeep, writer
from gateway.store.message_rows import Accepted

NO_ID = "0" * 26
"""What the early gateway says for an id: it has none yet."""
LATER = 0.5
"""Seconds by which the early gateway stores after it has answered."""


def reply_before_store() -> None:
    """The receipt goes out at once, the message is stored a little later."""
    real = intake.Intake.accept
    kept: set[asyncio.Task[Any]] = set()

    async def early(self: intake.Intake, raw: RawMessage) -> Accepted:
        async def later() -> None:
            await asyncio.sleep(LATER)
            await real(self, raw)

        task = asyncio.create_task(later())
        kept.add(task)
        task.add_done_callback(kept.discard)
        return Accepted(id=NO_ID)

    intake.Intake.accept = early  # type: ignore[method-assign]


def answer_before_commit() -> None:
    """The writer answers when a function has run, before COMMIT."""
    real = writer.run_together

    def early(tx: Any, jobs: list[writer.Job]) -> list[writer.Done]:
        done = real(tx, jobs)
        writer.answer(done)
        return done

    writer.run_together = early


def synchronous(word: str) -> None:
    """SQLite with less than FULL: a commit is not synced before it is answered."""
    make = engine.make

    def loose(*args: Any, **kwargs: Any) -> Any:
        made = make(*args, **kwargs)
        event.listen(made, "connect", lambda connection, _record: connection.execute(f"PRAGMA synchronous={word}"))
        return made

    engine.make = loose
    assert Store is not None


def often_checkpoints() -> None:
    """Not broken: checkpoints every moment, so that a short fault meets one."""
    upkeep.EVERY = 0.3


BROKEN = {
    "often-checkpoints": often_checkpoints,
    "reply-before-store": reply_before_store,
    "answer-before-commit": answer_before_commit,
    "synchronous-normal": lambda: synchronous("NORMAL"),
    "synchronous-off": lambda: synchronous("OFF"),
}
