"""Bad plugins, each of which differs from a good one in a single point; and the harness, which must catch every one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

import pytest

from gateway.api import Delivered, Malformed, Message, Outcome, RawMessage, Refused, Settings, StorageTrouble, TooLarge, TryLater
from gateway.testing import CANARY, ChannelCase, PeerMode, check_channel, check_transport

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=8)))
WORDS = "石桥县河湾村一处民房倒塌，两人被压，消防已到场。"


def raw(channel: Any, body: bytes, content_type: str) -> RawMessage:
    return RawMessage(channel=channel, via="under-test", received_at=NOW, sender="", body=body, content_type=content_type)


class Line:
    """A channel that keeps every rule: a line of UTF-8. ``carry`` is its carrier."""

    kind: ClassVar[str] = "line"
    channel: ClassVar[str] = "phone"
    reads_in: ClassVar[str] = "inline"
    Settings = Settings
    running: ClassVar[Line | None] = None

    def __init__(self, name: str, settings: Any, services: Any = None) -> None:
        self.name, self.settings, self.services = name, settings, services
        self.state, self.detail = "down", ""

    async def start(self, intake: Any) -> None:
        self.intake, self.state = intake, "up"
        type(self).running = Line.running = self

    async def stop(self) -> None:
        self.state = "down"

    def health(self) -> Any:
        return self

    def read(self, raw: RawMessage) -> Message:
        try:
            return Message(text=raw.body.decode())
        except UnicodeDecodeError:
            raise Malformed("body: is not UTF-8") from None

    async def carry(self, body: bytes) -> str:
        try:
            await self.intake.accept(raw("phone", body, "text/plain"))
        except StorageTrouble:
            return "temporary"
        except TooLarge:
            return "refused"
        return "accepted"


class SaysYesFirst(Line):
    """Right in every single answer, but the yes does not wait for the store."""

    tasks: ClassVar[set[asyncio.Task[Any]]] = set()

    async def carry(self, body: bytes) -> str:
        if self.intake.trouble or len(body) > self.intake.max_bytes:
            return await super().carry(body)
        task = asyncio.ensure_future(self.intake.accept(raw("phone", body, "text/plain")))
        self.tasks.add(task)
        await asyncio.sleep(0.01)
        return "accepted"


class DropsAll(Line):
    async def carry(self, body: bytes) -> str:
        return "accepted"


class RefusesARepeat(Line):
    async def carry(self, body: bytes) -> str:
        if any(kept.body == body for kept in self.intake.accepted):
            return "refused"
        return await super().carry(body)


class TroubleForGood(Line):
    async def carry(self, body: bytes) -> str:
        return "refused" if self.intake.trouble else await super().carry(body)


class TooLargeForNow(Line):
    async def carry(self, body: bytes) -> str:
        answer = await super().carry(body)
        return "temporary" if answer == "refused" else answer


class NeverRecovers(Line):
    async def carry(self, body: bytes) -> str:
        self.state = "broken" if self.intake.trouble else self.state
        return "temporary" if self.state == "broken" else await super().carry(body)


class StrandsAfterCancel(Line):
    async def carry(self, body: bytes) -> str:
        if self.state == "busy":
            return "temporary"
        self.state = "busy"
        answer = await super().carry(body)
        self.state = "up"
        return answer


class LogsTheText(Line):
    def read(self, raw: RawMessage) -> Message:
        logging.getLogger("bad").debug("got %s", raw.body.decode("utf-8", "replace"))
        return super().read(raw)


class LogsItInATrace(Line):
    def read(self, raw: RawMessage) -> Message:
        try:
            raise ValueError(raw.body.decode("utf-8", "replace"))
        except ValueError:
            logging.getLogger("bad").info("odd", exc_info=True)
        return super().read(raw)


class LogsItsSecret(Line):
    async def start(self, intake: Any) -> None:
        logging.getLogger("bad").debug("using %s", self.services.secret("line-token"))
        await super().start(intake)


class AlarmsWithTheText(Line):
    async def carry(self, body: bytes) -> str:
        self.services.alarm("odd line", line=body.decode())
        return await super().carry(body)


class QuotesTheText(Line):
    def read(self, raw: RawMessage) -> Message:
        if len(raw.body) < 60:
            raise Malformed(f"too short: {raw.body.decode('utf-8', 'replace')}")
        return super().read(raw)


class RaisesOnRubbish(Line):
    def read(self, raw: RawMessage) -> Message:
        return Message(text=raw.body.decode())


class ReturnsAString(Line):
    def read(self, raw: RawMessage) -> Message:
        return super().read(raw).text  # type: ignore[return-value]


class Counts(Line):
    """``read`` remembers: a second call gives another message."""

    count: ClassVar[int] = 0

    def read(self, raw: RawMessage) -> Message:
        Counts.count += 1
        return Message(text=super().read(raw).text, pages=Counts.count)


class HalfACharacter(Line):
    """Gives text that cannot leave the process."""

    def read(self, raw: RawMessage) -> Message:
        return Message(text=super().read(raw).text + "\ud83d")


class HangsAtStop(Line):
    async def stop(self) -> None:
        await asyncio.sleep(30)


class StopsOnce(Line):
    async def stop(self) -> None:
        if self.state == "down":
            raise RuntimeError("not started")
        self.state = "down"


class NoSuchState(Line):
    async def start(self, intake: Any) -> None:
        await super().start(intake)
        self.state = "fine"


async def try_line(cls: type[Line]) -> None:
    async def send(body: bytes) -> Any:
        assert Line.running is not None
        return await Line.running.carry(body)

    case = ChannelCase(raw("phone", (WORDS * 2).encode(), "text/plain"), WORDS)
    await check_channel(cls, Settings(), [case], send=send, bodies=[WORDS.encode(), (WORDS * 3).encode()])


async def test_a_good_channel_passes() -> None:
    await try_line(Line)


BAD_CHANNELS = [
    (SaysYesFirst, "before intake|not got it"), (DropsAll, "not got it"), (RefusesARepeat, "second copy"), (TroubleForGood, "temporary"),
    (TooLargeForNow, "refused for good"), (NeverRecovers, "recover"), (StrandsAfterCancel, "went away"), (LogsTheText, "log line"),
    (LogsItInATrace, "log line"), (LogsItsSecret, "log line"), (AlarmsWithTheText, "alarm"), (QuotesTheText, "repeats the content"),
    (RaisesOnRubbish, "not Malformed"), (ReturnsAString, "not Message"), (Counts, "not pure"), (HalfACharacter, "handed over"),
    (NoSuchState, "none of up"),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "why"), BAD_CHANNELS, ids=lambda value: getattr(value, "__name__", ""))
async def test_a_bad_channel_is_caught(cls: type[Line], why: str) -> None:
    with pytest.raises(AssertionError, match=why) as caught:
        await try_line(cls)
    assert WORDS not in str(caught.value)


async def test_a_channel_that_cannot_be_stopped_twice_is_caught() -> None:
    with pytest.raises(AssertionError, match="second time"):
        await try_line(StopsOnce)


async def test_a_channel_that_hangs_at_stop_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.testing.channels.STOP_SECONDS", 0.05)
    with pytest.raises(AssertionError, match="longer than"):
        await try_line(HangsAtStop)


class Post:
    """A transport that keeps every rule; its peer is this class."""

    kind: ClassVar[str] = "post"
    Settings = Settings
    mode: ClassVar[PeerMode] = "ok"
    box: ClassVar[list[str]] = []

    def __init__(self, name: str, settings: Any, services: Any = None) -> None:
        self.services = services

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, delivery: Any) -> Outcome:
        if "@" not in delivery.address or "\n" in delivery.address:
            return Refused("no address")
        return await self.answers[self.mode](self, delivery)

    async def ok(self, delivery: Any) -> Outcome:
        Post.box.append(delivery.id)
        return Delivered(("r1",))

    async def later(self, delivery: Any) -> Outcome:
        return TryLater("busy")

    async def refuse(self, delivery: Any) -> Outcome:
        return Refused("no")

    async def hang(self, delivery: Any) -> Outcome:
        await asyncio.sleep(0.2)
        return TryLater("no answer")

    answers: ClassVar[dict[PeerMode, Callable[..., Awaitable[Outcome]]]] = {
        "ok": ok, "later": later, "refuse": refuse, "hang": hang, "down": later,
    }  # fmt: skip


def wrong(mode: PeerMode, answer: Callable[..., Awaitable[Any]]) -> type[Post]:
    return type("Wrong", (Post,), {"answers": {**Post.answers, mode: answer}})


async def claims(self: Any, delivery: Any) -> Outcome:
    return Delivered()


async def raises(self: Any, delivery: Any) -> Outcome:
    raise ConnectionError("gone")


async def gives_up(self: Any, delivery: Any) -> Outcome:
    return Refused("busy")


async def no_outcome(self: Any, delivery: Any) -> Any:
    return True


async def quotes(self: Any, delivery: Any) -> Outcome:
    return TryLater(f"could not send {delivery.text}")


async def logs(self: Any, delivery: Any) -> Outcome:
    logging.getLogger("bad").warning("sending %s", delivery.subject)
    return await Post.ok(self, delivery)


async def logs_a_secret(self: Any, delivery: Any) -> Outcome:
    logging.getLogger("bad").warning("as %r", self.services.secret("post-password"))
    return await Post.ok(self, delivery)


async def never(self: Any, delivery: Any) -> Outcome:
    await asyncio.sleep(60)
    return TryLater("no answer")


async def stays(self: Any, delivery: Any) -> Outcome:
    """Has a lock for ever once it was called off."""
    if getattr(self, "locked", False):
        return TryLater("another call is under way")
    self.locked = True
    await asyncio.sleep(0.2 if Post.mode == "hang" else 0)
    self.locked = False
    return TryLater("no answer") if Post.mode == "hang" else await Post.ok(self, delivery)


async def try_post(cls: type[Post]) -> None:
    async def peer(mode: PeerMode) -> None:
        Post.mode = mode

    Post.box = []
    await check_transport(cls, Settings(), peer=peer, received=lambda: len(Post.box))


async def test_a_good_transport_passes() -> None:
    await try_post(Post)


BAD_TRANSPORTS: list[tuple[PeerMode, Any, str]] = [
    ("ok", claims, "the peer has nothing"), ("hang", claims, "peer hang: answered Delivered"), ("down", raises, "raised"),
    ("later", gives_up, "peer later"), ("down", gives_up, "peer down"), ("later", no_outcome, "not an outcome|answered bool"),
    ("later", quotes, "repeats the report"), ("ok", logs, "log line"), ("ok", logs_a_secret, "log line"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "answer", "why"), BAD_TRANSPORTS)
async def test_a_bad_transport_is_caught(mode: PeerMode, answer: Any, why: str) -> None:
    with pytest.raises(AssertionError, match=why) as caught:
        await try_post(wrong(mode, answer))
    assert CANARY not in str(caught.value)


async def test_a_transport_that_never_comes_back_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.testing.transports.ANSWER_SECONDS", 0.05)
    with pytest.raises(AssertionError, match="no answer within"):
        await try_post(wrong("hang", never))


async def test_a_transport_that_does_not_survive_a_cancelled_call_is_caught() -> None:
    cls = type("Stays", (Post,), {"answers": {**Post.answers, "hang": stays, "ok": stays}})
    with pytest.raises(AssertionError, match="peer ok: answered TryLater"):
        await try_post(cls)
