"""Named crash points: every step from a carrier's frame to a person's acknowledgement, where the daemon kills itself (SIGKILL)."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from sqlalchemy import event

from gateway import control, desk, dispatch, intake, register, routing
from gateway.audit import sealer
from gateway.store import Store, engine, message_rows, messages, upkeep, writer
from gateway_plugins import email_smtp, phone_transcript, sms_http, sms_smpp
from gateway_plugins.carrier import link
from gateway_plugins.phone import door
from gateway_plugins.smpp.pdu import Command
from gateway_plugins.smtpin import listener, plain
from tests.faults.judge import Verdict
from tests.faults.judge import judge as judged
from tests.faults.stand import stand

Test = Callable[..., bool]
_count = itertools.count(1)
_nth = 1


def passage() -> None:
    """The armed step is passed; the last one that the process passes is the one it was armed for."""
    if next(_count) >= _nth:
        os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str, test: Test = lambda *_args, **_kwargs: True) -> Callable[[], None]:
    """Die on the way into a function, or where ``test`` holds for its arguments."""
    return _wrap(owner, name, test, late=False)


def after(owner: Any, name: str, test: Test = lambda *_args, **_kwargs: True) -> Callable[[], None]:
    """Die on the way out."""
    return _wrap(owner, name, test, late=True)


def _wrap(owner: Any, name: str, test: Test, *, late: bool) -> Callable[[], None]:
    real = getattr(owner, name)  # a step that is gone is seen when this module is imported

    def put() -> None:
        if inspect.iscoroutinefunction(real):

            @functools.wraps(real)
            async def wrapped(*args: Any, **kwargs: Any) -> Any:
                hit = test(*args, **kwargs)
                if hit and not late:
                    passage()
                value = await real(*args, **kwargs)
                if hit and late:
                    passage()
                return value
        else:

            @functools.wraps(real)
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                hit = test(*args, **kwargs)
                if hit and not late:
                    passage()
                value = real(*args, **kwargs)
                if hit and late:
                    passage()
                return value

        setattr(owner, name, wrapped)

    return put


def committing() -> None:
    """Before COMMIT of a transaction of the writer that took a message in."""
    make = engine.make

    def made(url: Any, *, writes: bool, **more: Any) -> Any:
        new = make(url, writes=writes, **more)
        if writes:
            event.listen(new, "commit", lambda _connection: passage())
        return new

    engine.make = made


def half_line() -> None:
    """Half of the audit lines are written, the rest is not."""
    real = sealer._write

    def torn(descriptor: int, data: bytes) -> None:
        real(descriptor, data[: len(data) // 2])
        passage()
        real(descriptor, data[len(data) // 2 :])

    sealer._write = torn


def often(put: Callable[[], None]) -> Callable[[], None]:
    """With checkpoints every moment instead of twice a minute."""

    def armed() -> None:
        upkeep.EVERY = 0.2
        put()

    return armed


def _yes(_self: Any, status: Any) -> bool:
    return str(status).startswith("250 2.0.0 accepted")


def _resp(_self: Any, pdu: Any) -> bool:
    return bool(getattr(pdu, "command", None) == Command.DELIVER_SM_RESP)


def _for(path: str) -> Test:
    return lambda _self, scope, *_rest: bool(scope.get("path") == path)


def _of_a_part(_tx: Any, raw: Any, *_more: Any, **_named: Any) -> bool:
    return raw.part is not None


def _whole(_tx: Any, _raw: Any, *_more: Any, part_group: str | None = None, **_named: Any) -> bool:
    return part_group is None


def _long(_tx: Any, raw: Any, *_more: Any, **_named: Any) -> bool:
    return raw.part is None


def _acts(_self: Any, line: bytes, _by: str) -> bool:
    return b'"acknowledge"' in line


POINTS: dict[str, Callable[[], None]] = {
    "mail-framed": before(listener.Door, "handle_DATA"),
    "smpp-framed": before(sms_smpp.SmsSmpp, "_answer"),
    "cloud-framed": before(sms_http.SmsHttp, "_take"),
    "phone-framed": before(door.Door, "_raw"),
    "handed-in": before(intake.Intake, "accept"),
    "queued": after(writer.Writer, "submit"),
    "begun": before(writer, "run_one"),
    "sealed": after(messages, "parcel"),
    "stored": after(messages, "put_all"),
    "part-stored": after(messages, "accept_part"),
    "long-stored": after(message_rows, "put", _whole),
    "journaled": after(intake, "take_ready"),
    "part-journaled": after(intake, "take_in", _of_a_part),
    "long-journaled": after(intake, "take_in", _long),
    "committing": committing,
    "committed": before(Store, "_committed"),
    "releasing": before(writer, "answer"),
    "accepted": after(intake.Intake, "accept"),
    "mail-answered": after(plain.PlainSession, "_tell", _yes),
    "smpp-answered": after(link.Link, "send", _resp),
    "cloud-answered": after(sms_http.Response, "__call__", _for("/sms")),
    "phone-answered": after(door.Response, "__call__", _for("/phone")),
    "chaining": before(sealer.Sealer, "_seal"),
    "chained": before(sealer.Sealer, "_append"),
    "half-a-line": half_line,
    "line-unsynced": after(sealer, "_write"),
    "line-synced": after(sealer.Sealer, "_append"),
    "checkpoint": often(before(upkeep, "_checkpoint")),
    "checkpointed": often(after(upkeep, "_checkpoint")),
    "reading": before(desk.Desk, "_prepare"),
    "taking": before(register, "take"),
    "routed": after(routing, "put"),
    "taken": after(desk.Desk, "_take"),
    "leased": before(dispatch.Dispatcher, "_attempt"),
    "sent": after(dispatch.Dispatcher, "_attempt"),
    "settling": before(dispatch.deliveries, "settle"),
    "settled": after(dispatch.Dispatcher, "_send"),
    "acknowledging": before(control.ControlServer, "_answer", _acts),
    "acknowledged": after(control.ControlServer, "_answer", _acts),
}
"""Every point by name, in the order of a message's way."""

BATCH = 24
DEEPEST = 6
PATIENCE = 20.0
assert email_smtp and phone_transcript


def arm(name: str, nth: int) -> None:
    """Die at the ``nth`` passage of a point."""
    global _nth
    _nth = nth
    POINTS[name]()


async def run(rounds: int, seed: int, sample: int | None = None) -> Verdict:
    """Every point, or ``sample`` of them, so many times, each at a passage that the seed chooses."""
    random = Random(seed)
    names = list(POINTS) if sample is None else random.sample(list(POINTS), sample)
    jobs = [(name, random.randint(1, DEEPEST)) for name in names for _ in range(rounds)]
    random.shuffle(jobs)
    total = Verdict("crash points")
    for begun in range(0, len(jobs), BATCH):
        batch = jobs[begun : begun + BATCH]
        await total.take(_batch(batch, seed + begun), len(batch))
    return total


async def _batch(jobs: list[tuple[str, int]], seed: int) -> Verdict:
    missed = []
    async with stand(seed) as one:
        signing = asyncio.create_task(one.sign())
        try:
            for name, nth in jobs:
                one.carriers.allow(4)
                await one.launch(name, str(nth))
                if not await one.dead(PATIENCE, feed=True):
                    missed.append(name)
                await one.kill()
            await one.launch()
            await one.up()
            await one.settled()
            await one.kill(signal.SIGTERM)
        finally:
            signing.cancel()
        found = await asyncio.to_thread(judged, one, "crash points", len(jobs), least=2 * len(jobs))
    found.kinds = dict(Counter(name for name, _nth in jobs))
    if missed:
        found.wrong.append(f"not reached: {missed}")
    return found
