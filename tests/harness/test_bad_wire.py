"""Channels and transports that go wrong on the wire, each in a single point; the harness catches every one."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any

import pytest

from gateway.api import Delivered, RawMessage, Refused
from gateway.testing import (
    CANARY,
    HTTP_MODES,
    TCP_MODES,
    ChannelCase,
    HttpPeer,
    MemoryServices,
    TcpPeer,
    check_channel,
    check_transport,
)
from tests.harness.plugins import fresh, webhook

CHANNEL = fresh("channel")
Good = CHANNEL.FreshChannel
GIVEN = CHANNEL.EXAMPLE["fresh_channel"]


class CutsTheLine(Good):
    """``readline`` raises for a line over the limit: the connection is reset and nobody is told why."""

    async def _talk(self, reader: Any, writer: Any) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                writer.write(await self._answer(line.rstrip(b"\r\n"), "x"))


class StoresAPiece(Good):
    async def _talk(self, reader: Any, writer: Any) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                try:
                    line, over = (await reader.readuntil(b"\n")).rstrip(b"\r\n"), False
                except asyncio.LimitOverrunError as error:
                    line, over = (await reader.readexactly(error.consumed))[:100], True
                    await self._answer(line, "x")
                    with contextlib.suppress(asyncio.LimitOverrunError):
                        await reader.readuntil(b"\n")
                writer.write(b"TOO LARGE\n" if over else await self._answer(line, "x"))


class OneAtATime(Good):
    """A sender that says nothing keeps everybody else waiting."""

    async def start(self, intake: Any) -> None:
        self.lock = asyncio.Lock()
        await super().start(intake)

    async def _talk(self, reader: Any, writer: Any) -> None:
        async with self.lock:
            await super()._talk(reader, writer)


class ClosesOnRubbish(Good):
    async def _answer(self, line: bytes, peer: str) -> bytes:
        if not line:
            self.server.close()
        return await super()._answer(line, peer)  # type: ignore[no-any-return]


class YesAtStop(Good):
    """At a stop it says yes to all who wait."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.stopping = asyncio.Event()

    async def stop(self) -> None:
        self.stopping.set()
        await super().stop()

    async def _answer(self, line: bytes, peer: str) -> bytes:
        storing = asyncio.ensure_future(super()._answer(line, peer))
        stopping = asyncio.ensure_future(self.stopping.wait())
        await asyncio.wait([storing, stopping], return_when=asyncio.FIRST_COMPLETED)
        if storing.done():
            stopping.cancel()
            return storing.result()  # type: ignore[no-any-return]
        storing.cancel()
        return b"OK never\n"


class WaitsForSenders(Good):
    """A stop waits until every sender has gone of its own accord."""

    async def stop(self) -> None:
        if getattr(self, "busy", False):
            await asyncio.Event().wait()
        await super().stop()

    async def _answer(self, line: bytes, peer: str) -> bytes:
        self.busy = True
        answer = await super()._answer(line, peer)
        self.busy = line == b"" or self.intake.hold is not None
        return answer  # type: ignore[no-any-return]


class NoDetail(Good):
    def health(self) -> Any:
        return type("Health", (), {"state": "up", "detail": None})


class NeverStarts(Good):
    """Waits for its carrier before it says that it has started."""

    async def start(self, intake: Any) -> None:
        await asyncio.Event().wait()


CHANNELS = [
    (CutsTheLine, "the line was cut"), (StoresAPiece, "intake has a piece"), (OneAtATime, "no answer within"),
    (ClosesOnRubbish, "spoken with"), (YesAtStop, "said yes at a stop"), (WaitsForSenders, "on its way in took longer"),
    (NoDetail, "detail is no text"), (NeverStarts, "must not hold it up"),
]  # fmt: skip


async def try_channel(cls: type[Any]) -> None:
    started: list[Any] = []

    class Watched(cls):  # type: ignore[misc, valid-type]
        async def start(self, intake: Any) -> None:
            started.append(self)
            await super().start(intake)

    services = MemoryServices(max_bytes=20_000)
    raw = RawMessage(channel="sms", via="x", received_at=services.now(), sender="", body=GIVEN["body"], content_type="text/plain")
    await check_channel(
        Watched, cls.Settings(port=0), [ChannelCase(raw, GIVEN["contains"])], services=services,
        send=lambda body: GIVEN["send"](started[0], body), bodies=[GIVEN["body"]],
        oversize=b"x" * 50_000, port=lambda: GIVEN["port"](started[0]),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("wire.ANSWER_SECONDS", "channels.STOP_SECONDS", "channels.START_SECONDS"):
        monkeypatch.setattr(f"gateway.testing.{name}", 0.6)
    monkeypatch.setattr("gateway.testing.transports.ANSWER_SECONDS", 3)


async def test_the_good_channel_passes() -> None:
    await try_channel(Good)


@pytest.mark.parametrize(("cls", "why"), CHANNELS, ids=lambda value: getattr(value, "__name__", ""))
async def test_a_bad_channel_is_caught(cls: type[Any], why: str) -> None:
    with pytest.raises(AssertionError, match=why) as caught:
        await try_channel(cls)
    assert GIVEN["contains"] not in str(caught.value)


HOOK = webhook()


class Hook(HOOK.ToWebhook):  # type: ignore[misc, name-defined]
    """Good; its subclasses judge one thing otherwise."""

    async def send(self, delivery: Any) -> Any:
        outcome = await super().send(delivery)
        return self.judged(delivery, outcome)

    def judged(self, delivery: Any, outcome: Any) -> Any:
        return outcome


def judging(status: str, answer: Any) -> type[Hook]:
    def judged(self: Any, delivery: Any, outcome: Any) -> Any:
        return answer if not isinstance(outcome, Delivered) and re.search(status, outcome.why) else outcome

    return type("Judging", (Hook,), {"judged": judged})


class NoKey(Hook):
    async def _post(self, key: str, body: bytes) -> Any:
        return await super()._post("none", body.replace(key.encode(), b"none"))


class NewKeyEachTime(Hook):
    async def send(self, delivery: Any) -> Any:
        import msgspec

        return await super().send(msgspec.structs.replace(delivery, id=f"{delivery.id}" if delivery.attempt == 1 else "other"))


class RaisesOnOdd(Hook):
    def judged(self, delivery: Any, outcome: Any) -> Any:
        delivery.headers.get("X-Gateway-Kind", "").encode("ascii")
        return {"notice": None}[delivery.headers["X-Gateway-Kind"]] if delivery.headers else outcome


class TrustsProgress(Hook):
    def judged(self, delivery: Any, outcome: Any) -> Any:
        return Delivered(tuple(delivery.progress["refs"])) if delivery.progress else outcome


class KeepsTheLongText(Hook):
    def judged(self, delivery: Any, outcome: Any) -> Any:
        return Refused(f"too long: {delivery.text[:20]}") if len(delivery.text) > 100_000 else outcome


class StopsOnce(Hook):
    async def stop(self) -> None:
        if getattr(self, "stopped", False):
            raise RuntimeError("stopped before")
        self.stopped = True


TRANSPORTS = [
    (judging("429", Refused("busy")), "peer throttle: answered Refused"), (judging("500", Refused("broken")), "peer error: answered Refused"),
    (judging("503", Delivered()), "peer later: answered Delivered"), (judging("400", Delivered()), "peer refuse: answered Delivered"),
    (judging("HTTP", Delivered()), "peer rubbish: answered Delivered"), (judging("Incomplete|Reset|BrokenPipe", Refused("gone")), "peer closes: answered Refused"),
    (judging("Timeout", Refused("slow")), "peer hang: answered Refused"), (NoKey, "not told the delivery's id"),
    (NewKeyEachTime, "second attempt does not carry"), (RaisesOnOdd, "headers: answered NoneType"), (TrustsProgress, "progress of another version: send"),
    (KeepsTheLongText, "300,000 characters: the outcome repeats"), (StopsOnce, "second time raised RuntimeError"),
]  # fmt: skip


async def try_transport(cls: type[Any]) -> None:
    peer = HttpPeer()
    await peer.start()
    try:
        await check_transport(
            cls, cls.Settings(url=peer.url, timeout_seconds=0.4), peer=peer.be, received=peer.received, modes=HTTP_MODES,
            seen=lambda: "".join(head + body.decode() for head, body in peer.requests),
        )  # fmt: skip
    finally:
        await peer.stop()


async def test_the_good_transport_passes() -> None:
    await try_transport(Hook)


@pytest.mark.parametrize(("cls", "why"), TRANSPORTS, ids=[why for _cls, why in TRANSPORTS])
async def test_a_bad_transport_is_caught(cls: type[Any], why: str) -> None:
    with pytest.raises(AssertionError, match=why) as caught:
        await try_transport(cls)
    assert CANARY not in str(caught.value)


async def test_a_tcp_peer_does_what_its_mode_says() -> None:
    async def talk(reader: Any, writer: Any, mode: Any) -> bool:
        await reader.readline()
        writer.write(b"OK 1234567890\n")
        return mode in ("ok", "slow")

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
        with contextlib.closing(writer):
            writer.write(b"x\n")
            return await asyncio.wait_for(reader.readline(), 0.3)

    peer = TcpPeer(talk)
    port, told = await peer.start(), {}
    for mode in TCP_MODES:
        await peer.be(mode)
        try:
            told[mode] = await ask()
        except (TimeoutError, ConnectionError) as error:
            told[mode] = type(error).__name__.encode()
        assert peer.port == port
    await peer.stop()
    assert told["ok"] == told["slow"] == b"OK 1234567890\n"
    assert told["rubbish"].startswith(b"\x00")
    assert told["hang"] == b"TimeoutError"
    assert told["closes"] in (b"", b"ConnectionResetError")
    assert told["down"] == b"ConnectionRefusedError"
    assert peer.received() == 2
