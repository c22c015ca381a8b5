"""``check_channel``: what every way in has to keep, whatever its wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.api import Malformed, Message, RawMessage
from gateway.testing import wire
from gateway.testing.memory import MemoryIntake, MemoryServices
from gateway.testing.quiet import CANARY, says, silent_about
from gateway.testing.wire import RUBBISH, Send

STATES = ("up", "connecting", "down")
PNG = b"\x89PNG"
START_SECONDS = 10.0
STOP_SECONDS = 10.0


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
    oversize: bytes | None = None,
    port: Callable[[], int] | None = None,
) -> None:
    """Check a channel class. ``send`` puts one of ``bodies`` on the wire and says what the carrier was told.

    Raises AssertionError with what failed. ``read`` is tried with the cases and with rubbish; with ``send`` also the order of
    storing and answering, a repeat, storage trouble, a message that intake finds too large, a sender that goes away and a
    stop while a message is on its way in. ``oversize`` is a body over ``services.max_bytes``: it goes over the wire whole.
    ``port`` tells the TCP port of a channel that listens: it is then pestered by senders that say nothing, talk rubbish
    or hang up, and has to take a good message beside them.
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
        await _start(channel, intake)
        stop = "stop()"
        try:
            _healthy(channel, "after start()")
            if send is not None and bodies:
                await wire.check_wire(intake, send, bodies)
                if oversize is not None:
                    await wire.check_oversize(intake, send, bodies[0], oversize)
                if port is not None:
                    await wire.check_pests(intake, send, bodies[0], port())
                await _check_stop_in_flight(channel, intake, send, bodies[0])
                stop = "stop() a second time"
        finally:
            await _stop(channel, stop)
        await _stop(channel, "stop() a second time")
        _healthy(channel, "after stop()")
        heard.words += lent.secrets.values()
        heard.lines += [f"{cls.__name__}: {alarm}" for alarm in lent.alarms]


def check_case(cls: type[Any], settings: Any, case: ChannelCase) -> None:
    """``read`` gives the text, gives it again, and gives what can be handed from one process to another."""
    try:
        message = check_read(cls, settings, case.raw)
    except Malformed:
        raise AssertionError("read() of a good message raised Malformed") from None
    assert case.contains in message.text, "the text does not hold what the case expects"


def check_read(cls: type[Any], settings: Any, raw: RawMessage) -> Message:
    """``read`` of one raw message, by all its rules. Raises ``Malformed`` where it says so, AssertionError with what is wrong."""
    reader = cls("under-test", settings, None)
    message = _read(reader, raw)
    assert isinstance(message, Message), f"read() returned {type(message).__name__}, not Message"
    again = (_read(reader, raw), _read(cls("under-test", settings, None), raw))
    assert again == (message, message), "read() is not pure: a second call differs"
    try:
        handed = msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=Message)
    except (TypeError, ValueError, OverflowError) as error:
        raise AssertionError(f"the message cannot be handed over ({type(error).__name__})") from None
    assert handed == message, "the message changes when it is handed over"
    return message


def check_rubbish(cls: type[Any], settings: Any, raw: RawMessage) -> None:
    """``read`` of anything gives a message or ``Malformed``, whose text says where and what but quotes nothing; so does
    ``picture``, where the channel draws pages."""
    _check_pictures(cls, settings, raw)
    try:
        message = cls("under-test", settings, None).read(raw)
    except Malformed as fault:
        assert not says(str(fault), CANARY), "Malformed repeats the content"
        return
    except Exception as error:
        raise AssertionError(f"read() of rubbish raised {type(error).__name__}, not Malformed") from None
    assert isinstance(message, Message), f"read() of rubbish returned {type(message).__name__}, not Message"


def _check_pictures(cls: type[Any], settings: Any, raw: RawMessage) -> None:
    reader = cls("under-test", settings, None)
    if not hasattr(reader, "picture"):
        return
    for page in (0, 1, 10_000):
        try:
            drawn = reader.picture(raw, page)
        except Malformed as fault:
            assert not says(str(fault), CANARY), "Malformed repeats the content"
            continue
        except Exception as error:
            raise AssertionError(f"picture() of rubbish raised {type(error).__name__}, not Malformed") from None
        assert drawn is None or drawn.data.startswith(PNG), "picture() gave no PNG"


def _read(reader: Any, raw: RawMessage) -> Any:
    try:
        return reader.read(raw)
    except Malformed:
        raise
    except Exception as error:
        raise AssertionError(f"read() of a good message raised {type(error).__name__}") from None


async def _start(channel: Any, intake: MemoryIntake) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            await channel.start(intake)
    except TimeoutError:
        raise AssertionError(
            f"start() took longer than {START_SECONDS:g} s; a carrier that is away must not hold it up"
        ) from None


def _healthy(channel: Any, when: str) -> None:
    health = channel.health()
    assert health.state in STATES, f"{when}: health().state is none of {', '.join(STATES)}"
    assert isinstance(getattr(health, "detail", None), str), f"{when}: health().detail is no text"


async def _stop(channel: Any, what: str) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await channel.stop()
    except TimeoutError:
        raise AssertionError(f"{what} took longer than {STOP_SECONDS:g} s") from None
    except Exception as error:
        raise AssertionError(f"{what} raised {type(error).__name__}") from None


async def _check_stop_in_flight(channel: Any, intake: MemoryIntake, send: Send, body: bytes) -> None:
    """A stop while a message is on its way in: it ends in time, and nobody is told yes for what is not stored."""
    intake.hold, before = asyncio.Event(), len(intake.accepted)
    sending = asyncio.ensure_future(wire.ask(send, body))
    await asyncio.sleep(0.05)
    stopping = asyncio.ensure_future(_stop(channel, "stop() while a message is on its way in"))
    await asyncio.sleep(0.05)
    intake.hold.set()
    intake.hold = None
    await stopping
    await asyncio.wait([sending], timeout=wire.HELD_SECONDS)
    sending.cancel()
    answer = (await asyncio.gather(sending, return_exceptions=True))[0]
    stored = len(intake.accepted) > before
    assert answer != "accepted" or stored, "said yes at a stop to what intake has not got"
