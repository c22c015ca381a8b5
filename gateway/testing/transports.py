"""``check_transport``: what every way out has to keep, whatever its peer does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from gateway.api import Delivered, Delivery, Outcome, Refused, TryLater
from gateway.testing.memory import MemoryServices
from gateway.testing.quiet import CANARY, says, silent_about

PeerMode = Literal["ok", "later", "refuse", "rubbish", "hang", "down"]
WANTED: dict[PeerMode, tuple[type[Any], ...]] = {
    "ok": (Delivered,),
    "later": (TryLater,),
    "refuse": (Refused, TryLater),
    "rubbish": (TryLater,),
    "hang": (TryLater,),
    "down": (TryLater,),
}
"""What may be answered where the peer takes it, says "not now", refuses, talks nonsense, says nothing, is not there."""
NO_ADDRESS = "\r\nRCPT TO:<x@y>\r\n\x00"
ANSWER_SECONDS = 30.0


def sample_delivery(**changes: Any) -> Delivery:
    """A delivery whose text holds a word that must not reach a log."""
    made: dict[str, Any] = {
        "id": "01TESTDELIVERY0000000000000",
        "incident": "2026-0123",
        "destination": "government_duty_room",
        "transport": "under-test",
        "address": "duty@gateway.test",
        "subject": f"【紧急信息】〔2026〕0123 {CANARY}",
        "text": CANARY,
        "short_text": f"{CANARY} 〔0123〕",
    }
    return Delivery(**{**made, **changes})


async def check_transport(
    cls: type[Any],
    settings: Any,
    *,
    peer: Callable[[PeerMode], Awaitable[None]],
    received: Callable[[], int],
    services: MemoryServices | None = None,
    address: str = "duty@gateway.test",
    modes: Sequence[PeerMode] = ("ok", "later", "refuse", "hang", "down"),
) -> None:
    """Check a transport class against its peer. ``peer(mode)`` sets how the peer behaves, ``received()`` counts what it has.

    Raises AssertionError with what failed. Give the transport short time-outs: a peer that hangs is part of it.
    """
    lent = services or MemoryServices()
    transport = cls("under-test", settings, lent)
    with silent_about(CANARY) as heard:
        await transport.start()
        try:
            for mode in modes:
                await peer(mode)
                await _check_mode(transport, mode, received, address)
            if "hang" in modes:
                await peer("hang")
                await _cancelled(transport, address)
            await peer("ok")
            await _check_mode(transport, "ok", received, address)
            await _send(transport, sample_delivery(address=NO_ADDRESS), "an address that is none")
        finally:
            try:
                await asyncio.wait_for(transport.stop(), 10)
            except TimeoutError:
                raise AssertionError("stop() took longer than 10 s") from None
        heard.words += lent.secrets.values()
        heard.lines += [f"{cls.__name__}: {alarm}" for alarm in lent.alarms]


async def _check_mode(transport: Any, mode: PeerMode, received: Callable[[], int], address: str) -> None:
    before = received()
    outcome = await _send(transport, sample_delivery(address=address), f"peer {mode}")
    names = " or ".join(kind.__name__ for kind in WANTED[mode])
    assert isinstance(outcome, WANTED[mode]), f"peer {mode}: answered {type(outcome).__name__}, not {names}"
    if mode == "ok":
        assert received() > before, "Delivered, but the peer has nothing"


async def _send(transport: Any, delivery: Delivery, what: str) -> Outcome:
    """One ``send``, which has to come back by itself, with an outcome that repeats nothing."""
    try:
        outcome = await asyncio.wait_for(transport.send(delivery), ANSWER_SECONDS)
    except TimeoutError:
        raise AssertionError(f"{what}: no answer within {ANSWER_SECONDS:g} s") from None
    except Exception as error:
        raise AssertionError(f"{what}: send() raised {type(error).__name__}") from None
    assert isinstance(outcome, Delivered | TryLater | Refused), f"{what}: answered {type(outcome).__name__}, not an outcome"
    assert not says(repr(outcome), CANARY), f"{what}: the outcome repeats the report"
    made: Outcome = outcome
    return made


async def _cancelled(transport: Any, address: str) -> None:
    """Call off a ``send`` in mid-flight, as a stop or a time-out of dispatch does."""
    sending = asyncio.ensure_future(transport.send(sample_delivery(address=address)))
    await asyncio.sleep(0.05)
    sending.cancel()
    done, _late = await asyncio.wait([sending], timeout=5)
    assert done, "send() goes on after it was called off"
    await asyncio.gather(sending, return_exceptions=True)
