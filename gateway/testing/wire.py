"""What a channel has to keep on its wire, whatever that is: a yes only for what is stored, an answer for everybody.

The author's ``send`` puts a body on the wire as the carrier would and says what the carrier was told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from gateway.testing.memory import MemoryIntake
from gateway.testing.quiet import CANARY

Answer = Literal["accepted", "temporary", "refused"]
Send = Callable[[bytes], Awaitable[Answer]]
HELD_SECONDS = 0.15
ANSWER_SECONDS = 15.0
PESTS = 20
RUBBISH = (
    b"", b"\x00", b"\xff\xfe\xfd", b"{", b"[]", b"null", b"[null]", b'["AA=="]', b"\r\n\r\n", b"\x00" * 4096, b"A" * 100_000,
    b"[" * 5000, CANARY.encode(), CANARY.encode("gb18030"), CANARY.encode("utf-16"), b'{"text": "' + CANARY.encode(),
)  # fmt: skip


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        raise AssertionError(f"the channel cannot be spoken with any more ({type(error).__name__})") from None


async def ask(send: Send, body: bytes) -> Answer:
    """Put ``body`` on the wire; the carrier's answer. AssertionError where it gets none."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await send(body)
    except TimeoutError:
        raise AssertionError(f"the carrier got no answer within {ANSWER_SECONDS:g} s") from None
    except (OSError, EOFError) as error:
        raise AssertionError(f"the channel cannot be spoken with ({type(error).__name__})") from None


async def check_wire(intake: MemoryIntake, send: Send, bodies: Sequence[bytes]) -> None:
    """A good message, a repeat, a slow disk, storage trouble, one that intake finds too large, a sender that goes away."""
    for body in bodies:
        before = len(intake.accepted)
        assert await ask(send, body) == "accepted", "a good message was not accepted"
        assert len(intake.accepted) > before, "accepted, but intake has not got it: said yes too early or dropped it"
    assert await ask(send, bodies[0]) == "accepted", "a second copy must be accepted (and linked), not refused"
    await _check_order(intake, send, bodies[0])
    intake.trouble = True
    assert await ask(send, bodies[0]) == "temporary", "storage trouble must be a temporary error"
    intake.trouble = False
    assert await ask(send, bodies[0]) == "accepted", "the channel did not recover from storage trouble"
    limit, intake.max_bytes = intake.max_bytes, 1
    assert await ask(send, bodies[0]) == "refused", "an oversize message must be refused for good"
    intake.max_bytes = limit
    await _check_gone(intake, send, bodies[0])


async def _check_order(intake: MemoryIntake, send: Send, body: bytes) -> None:
    """While intake is still busy the carrier must have no answer; as soon as intake is done it gets one."""
    intake.hold, before = asyncio.Event(), len(intake.accepted)
    sending = asyncio.ensure_future(ask(send, body))
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
    sending = asyncio.ensure_future(ask(send, body))
    await asyncio.sleep(0.05)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    intake.hold.set()
    intake.hold = None
    before = len(intake.accepted)
    assert await ask(send, body) == "accepted", "the channel did not survive a sender that went away"
    assert len(intake.accepted) > before, "accepted after a sender went away, but intake has not got it"


async def check_oversize(intake: MemoryIntake, send: Send, body: bytes, oversize: bytes) -> None:
    """A message that is too large on the wire is refused for good, in words: a carrier that is cut off comes again for ever."""
    assert len(oversize) > intake.max_bytes, f"the oversize body has to be over {intake.max_bytes} bytes"
    before = len(intake.accepted)
    try:
        answer = await ask(send, oversize)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"an oversize message: no answer, the line was cut ({type(error).__name__})") from None
    assert answer == "refused", "an oversize message must be refused for good"
    assert len(intake.accepted) == before, "an oversize message was refused, but intake has a piece of it"
    assert await ask(send, body) == "accepted", "the channel did not survive an oversize message"


async def check_pests(intake: MemoryIntake, send: Send, body: bytes, port: int) -> None:
    """Senders that say nothing hold up nobody; rubbish on the wire and a connection that is reset harm only themselves."""
    idle = [await _connected(port) for _ in range(PESTS)]
    try:
        for rubbish in RUBBISH:
            _reader, writer = await _connected(port)
            with contextlib.suppress(ConnectionError):
                writer.write(rubbish)
                await writer.drain()
            writer.transport.abort()
        before = len(intake.accepted)
        assert await ask(send, body) == "accepted", (
            "a good message was not accepted beside senders that say nothing or talk rubbish"
        )
        assert len(intake.accepted) > before, "accepted beside senders that talk rubbish, but intake has not got it"
    finally:
        for _reader, writer in idle:
            writer.transport.abort()
