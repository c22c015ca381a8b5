"""``check_channel``: what every way in has to keep, whatever its wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from gateway.api import Malformed, Message, RawMessage
from gateway.testing.memory import MemoryIntake, MemoryServices
from gateway.testing.quiet import CANARY, says, silent_about

Answer = Literal["accepted", "temporary", "refused"]
Send = Callable[[bytes], Awaitable[Answer]]
STATES = ("up", "connecting", "down")
HELD_SECONDS = 0.15
ANSWER_SECONDS = 15.0
STOP_SECONDS = 10.0
RUBBISH = (
    b"", b"\x00", b"\xff\xfe\xfd", b"{", b"[]", b"null", b"[null]", b'["AA=="]', b"\r\n\r\n", b"\x00" * 4096, b"A" * 100_000,
    b"[" * 5000, CANARY.encode(), CANARY.encode("gb18030"), CANARY.encode("utf-16"), b'{"text": "' + CANARY.encode(),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChannelCase:
    """One message of the author: its raw form, and a piece of text that must come out of it."""

    raw: RawMessage
    contains: str


async def check_channel(
    cls: type[Any],
    settings: Any,
    cases: Sequence[ChannelCase],
    *,
    services: MemoryServices | None = None,
    send: Send | None = None,
    bodies: Sequence[bytes] = (),
) -> None:
    """Check a channel class. ``send`` puts one of ``bodies`` on the wire and says what the carrier was told.

    Raises AssertionError with what failed. ``read`` is tried with the cases and with rubbish; with ``send`` also the order of
    storing and answering, a repeat, storage trouble, an oversize message and a sender that goes away.
    """
    lent = services or MemoryServices()
    channel = cls("under-test", settings, lent)
    with silent_about(CANARY, *(case.contains for case in cases)) as heard:
        for case in cases:
            check_case(cls, settings, case)
        for body in RUBBISH:
            for raw in {case.raw.content_type: case.raw for case in cases}.values():
                check_rubbish(cls, settings, replace(raw, body=body))
        intake = MemoryIntake(max_bytes=lent.max_bytes)
        await channel.start(intake)
        try:
            assert channel.health().state in STATES, f"health().state is none of {', '.join(STATES)}"
            if send is not None and bodies:
                await _check_wire(intake, send, bodies)
        finally:
            await _stop(channel, "stop()")
        await _stop(channel, "stop() a second time")
        assert channel.health().state in STATES, "health() fails after stop()"
        heard.words += lent.secrets.values()
        heard.lines += [f"{cls.__name__}: {alarm}" for alarm in lent.alarms]


def check_case(cls: type[Any], settings: Any, case: ChannelCase) -> None:
    """``read`` gives the text, gives it again, and gives what can be handed from one process to another."""
    reader = cls("under-test", settings, None)
    message = _read(reader, case.raw)
    assert isinstance(message, Message), f"read() returned {type(message).__name__}, not Message"
    assert case.contains in message.text, "the text does not hold what the case expects"
    again = (_read(reader, case.raw), _read(cls("under-test", settings, None), case.raw))
    assert again == (message, message), "read() is not pure: a second call differs"
    try:
        handed = msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=Message)
    except (TypeError, ValueError, OverflowError) as error:
        raise AssertionError(f"the message cannot be handed over ({type(error).__name__})") from None
    assert handed == message, "the message changes when it is handed over"


def check_rubbish(cls: type[Any], settings: Any, raw: RawMessage) -> None:
    """``read`` of anything gives a message or ``Malformed``, whose text says where and what but quotes nothing."""
    try:
        message = cls("under-test", settings, None).read(raw)
    except Malformed as fault:
        assert not says(str(fault), CANARY), "Malformed repeats the content"
        return
    except Exception as error:
        raise AssertionError(f"read() of rubbish raised {type(error).__name__}, not Malformed") from None
    assert isinstance(message, Message), f"read() of rubbish returned {type(message).__name__}, not Message"


def _read(reader: Any, raw: RawMessage) -> Any:
    try:
        return reader.read(raw)
    except Exception as error:
        raise AssertionError(f"read() of a good message raised {type(error).__name__}") from None


async def _stop(channel: Any, what: str) -> None:
    try:
        await asyncio.wait_for(channel.stop(), STOP_SECONDS)
    except TimeoutError:
        raise AssertionError(f"{what} took longer than {STOP_SECONDS:g} s") from None
    except Exception as error:
        raise AssertionError(f"{what} raised {type(error).__name__}") from None


async def _ask(send: Send, body: bytes) -> Answer:
    try:
        return await asyncio.wait_for(send(body), ANSWER_SECONDS)
    except TimeoutError:
        raise AssertionError(f"the carrier got no answer within {ANSWER_SECONDS:g} s") from None


async def _check_wire(intake: MemoryIntake, send: Send, bodies: Sequence[bytes]) -> None:
    for body in bodies:
        before = len(intake.accepted)
        assert await _ask(send, body) == "accepted", "a good message was not accepted"
        assert len(intake.accepted) > before, "accepted, but intake has not got it: said yes too early or dropped it"
    assert await _ask(send, bodies[0]) == "accepted", "a second copy must be accepted (and linked), not refused"
    await _check_order(intake, send, bodies[0])
    intake.trouble = True
    assert await _ask(send, bodies[0]) == "temporary", "storage trouble must be a temporary error"
    intake.trouble = False
    assert await _ask(send, bodies[0]) == "accepted", "the channel did not recover from storage trouble"
    limit, intake.max_bytes = intake.max_bytes, 1
    assert await _ask(send, bodies[0]) == "refused", "an oversize message must be refused for good"
    intake.max_bytes = limit
    await _check_gone(intake, send, bodies[0])


async def _check_order(intake: MemoryIntake, send: Send, body: bytes) -> None:
    """While intake is still busy the carrier must have no answer; as soon as intake is done it gets one."""
    intake.hold, before = asyncio.Event(), len(intake.accepted)
    sending = asyncio.ensure_future(_ask(send, body))
    await asyncio.wait([sending], timeout=HELD_SECONDS)
    early = sending.done()
    intake.hold.set()
    intake.hold = None
    answer = await sending
    assert not early, "said yes before intake had returned"
    assert answer == "accepted" and len(intake.accepted) > before, "a message that intake took slowly was not accepted"


async def _check_gone(intake: MemoryIntake, send: Send, body: bytes) -> None:
    """A sender that goes away in the middle costs nothing but its own message."""
    intake.hold = asyncio.Event()
    sending = asyncio.ensure_future(_ask(send, body))
    await asyncio.sleep(0.05)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    intake.hold.set()
    intake.hold = None
    before = len(intake.accepted)
    assert await _ask(send, body) == "accepted", "the channel did not survive a sender that went away"
    assert len(intake.accepted) > before, "accepted after a sender went away, but intake has not got it"
