"""``check_transport``: what every way out has to keep, whatever its peer does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gateway.api import Delivered, Delivery, Outcome, Refused, TryLater
from gateway.testing.memory import MemoryServices
from gateway.testing.peers import PeerMode
from gateway.testing.quiet import CANARY, says, silent_about

WANTED: dict[PeerMode, tuple[type[Any], ...]] = {
    "ok": (Delivered,),
    "later": (TryLater,),
    "throttle": (TryLater,),
    "error": (TryLater,),
    "refuse": (Refused, TryLater),
    "rubbish": (TryLater,),
    "slow": (Delivered, TryLater),
    "hang": (TryLater,),
    "closes": (TryLater,),
    "down": (TryLater,),
}
"""What may be answered in each mode of the peer. A fault that may pass is never ``Refused``: the office would go without."""
NO_ADDRESS = "\r\nRCPT TO:<x@y>\r\n\x00"
ODD: dict[str, dict[str, Any]] = {
    "an address that is none": {"address": NO_ADDRESS},
    "an empty address": {"address": ""},
    "empty texts": {"subject": "", "text": "", "short_text": ""},
    "a subject with line ends in it": {"subject": f"{CANARY}\r\nBcc: x@gateway.test\r\n\r\n.\r\n"},
    "characters beyond the first plane and controls": {"text": f"𠮷🔥{CANARY}\x00\u202e", "short_text": f"𠮷🔥{CANARY}\x00"},
    "a text of 300,000 characters": {"text": CANARY * 33_334, "short_text": CANARY * 33_334},
    "no incident": {"incident": None},
    "headers": {"headers": {"X-Gateway-Kind": "notice", "Bad\r\nName": "\r\nX: y"}},
    "progress of another version": {"attempt": 7, "progress": {"no": ["such", {"thing": None}]}},
}
"""Deliveries nobody thinks of; each must have an outcome."""
ANSWER_SECONDS = 30.0
STOP_SECONDS = 10.0


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
    seen: Callable[[], str] | None = None,
) -> None:
    """Check a transport class against its peer. ``peer(mode)`` sets how the peer behaves, ``received()`` counts what it has;
    ``modes`` are those that the peer can do (``TCP_MODES``, ``HTTP_MODES``). ``seen()``, where the peer can be handed an
    idempotency key, gives all it was sent: the delivery's id must be there, the same at the second attempt.

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
            if seen is not None:
                await _check_key(transport, address, seen)
            for what, changes in ODD.items():
                await _send(transport, sample_delivery(**{"address": address, **changes}), what)
            await _check_mode(transport, "ok", received, address)
        finally:
            await _stop(transport, "stop()")
        await _stop(transport, "stop() a second time")
        heard.words += lent.secrets.values()
        heard.lines += [f"{cls.__name__}: {alarm}" for alarm in lent.alarms]


async def check_faults(
    cls: type[Any],
    settings: Any,
    *,
    peer: Callable[[PeerMode], Awaitable[None]] | None = None,
    services: MemoryServices | None = None,
    address: str = "duty@gateway.test",
    modes: Sequence[PeerMode] = ("rubbish", "hang", "closes", "down"),
) -> None:
    """The part of ``check_transport`` that needs no peer which understands the protocol: faults of the line, odd deliveries,
    a call called off, no words in a log, two stops. Without ``peer`` there is nobody at the other end."""
    lent = services or MemoryServices()
    transport = cls("under-test", settings, lent)
    with silent_about(CANARY) as heard:
        await transport.start()
        try:
            for mode in modes if peer is not None else ():
                assert peer is not None
                await peer(mode)
                await _check_mode(transport, mode, lambda: 0, address)
                if mode == "hang":
                    await _cancelled(transport, address)
            for what, changes in ODD.items():
                await _send(transport, sample_delivery(**{"address": address, **changes}), what)
        finally:
            await _stop(transport, "stop()")
        await _stop(transport, "stop() a second time")
        heard.words += lent.secrets.values()
        heard.lines += [f"{cls.__name__}: {alarm}" for alarm in lent.alarms]


async def _check_mode(transport: Any, mode: PeerMode, received: Callable[[], int], address: str) -> None:
    before = received()
    outcome = await _send(transport, sample_delivery(address=address), f"peer {mode}")
    names = " or ".join(kind.__name__ for kind in WANTED[mode])
    assert isinstance(outcome, WANTED[mode]), f"peer {mode}: answered {type(outcome).__name__}, not {names}"
    if mode == "ok":
        assert received() > before, "Delivered, but the peer has nothing"


async def _check_key(transport: Any, address: str, seen: Callable[[], str]) -> None:
    """A repeat after a crash can be told from a second report only by the delivery's id."""
    delivery = sample_delivery(address=address, id="01TESTREPEATED0000000000000")
    counts = []
    for attempt in (1, 2):
        before = seen().count(delivery.id)
        await _send(transport, sample_delivery(address=address, id=delivery.id, attempt=attempt), f"attempt {attempt}")
        counts.append(seen().count(delivery.id) - before)
    assert counts[0], "the peer is not told the delivery's id: it cannot tell a repeat"
    assert counts[0] == counts[1], "a second attempt does not carry the same delivery id as the first"


async def _stop(transport: Any, what: str) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await transport.stop()
    except TimeoutError:
        raise AssertionError(f"{what} took longer than {STOP_SECONDS:g} s") from None
    except Exception as error:
        raise AssertionError(f"{what} raised {type(error).__name__}") from None


async def _send(transport: Any, delivery: Delivery, what: str) -> Outcome:
    """One ``send``, which has to come back by itself, with an outcome that repeats nothing."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            outcome = await transport.send(delivery)
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
