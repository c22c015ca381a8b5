"""The harness on every bundled plugin; and bad plugins, each of which it must catch."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from typing import Any, ClassVar

import pytest

from gateway.api import Delivered, Malformed, Message, Outcome, RawMessage, Refused, Settings, StorageTrouble, TooLarge, TryLater
from gateway.demo.smsc import DemoSmsc
from gateway.host import Host
from gateway.testing import CANARY, ChannelCase, MemoryIntake, MemoryServices, PeerMode, check_channel, check_transport
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.fax_mail import FaxMail, FaxSettings
from gateway_plugins.phone_transcript import PhoneSettings, PhoneTranscript
from gateway_plugins.smpp import text
from gateway_plugins.smpp.inbound import SMPP_TYPE
from gateway_plugins.sms_smpp import Settings as SmsSettings
from gateway_plugins.sms_smpp import SmsSmpp
from gateway_plugins.to_mail import MailSettings, ToMail
from gateway_plugins.to_sms import Settings as ToSmsSettings
from gateway_plugins.to_sms import ToSms
from tests import harness_peers as peers

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=8)))
WORDS = "石桥县河湾村一处民房倒塌，两人被压，消防已到场。"
CALL = {
    "call_id": "c-1", "caller": "+8613800000003", "called": "0999110", "started_at": "2026-11-23T09:21:00+08:00",
    "segments": [{"speaker": "来电人", "start": 0, "end": 9.0, "text": WORDS}],
}  # fmt: skip


def raw(channel: Any, body: bytes, content_type: str, via: str = "under-test") -> RawMessage:
    return RawMessage(channel=channel, via=via, received_at=NOW, sender="+8613800000003", body=body, content_type=content_type)


def mail(charset: str = "gb18030", pages: bool = False) -> bytes:
    made = EmailMessage()
    made["Subject"], made["From"], made["Message-ID"] = "报告", "clerk@example.test", "<1@example.test>"
    made.set_content(WORDS, charset=charset, cte="base64")
    if pages:
        made.add_attachment(b"II*\0", maintype="image", subtype="tiff", filename="fax.tif")
    return made.as_bytes()


# The bundled channels.


async def test_email_smtp() -> None:
    made: list[EmailSmtp] = []

    class Watched(EmailSmtp):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    def port() -> int:
        return next(channel.ports[0] for channel in made if channel.ports)

    cases = [ChannelCase(raw("email", mail(charset), "message/rfc822"), WORDS) for charset in ("gb18030", "utf-8")]
    settings = EmailSettings(port=0, addresses=("report@gateway.test",))
    await check_channel(Watched, settings, cases, send=peers.smtp(port, "report@gateway.test"), bodies=[mail(), b"", b"\xff\x00"])


async def test_fax_mail() -> None:
    services = MemoryServices()
    listener = EmailSmtp("mail", EmailSettings(port=0, addresses=("report@gateway.test",)), services)
    services.channels["mail"] = listener
    await listener.start(MemoryIntake())
    try:
        settings = FaxSettings(addresses=("fax@gateway.test",), ocr=False)
        cases = [ChannelCase(raw("fax", mail(pages=True), "message/rfc822"), "")]
        send = peers.smtp(lambda: listener.ports[0], "fax@gateway.test")
        await check_channel(FaxMail, settings, cases, services=services, send=send, bodies=[mail(pages=True), mail()])
    finally:
        await listener.stop()


@pytest.mark.usefixtures("reactor")
async def test_sms_smpp() -> None:
    part = text.split(WORDS, 1)[0]
    body = json.dumps({"data_coding": 8, "short_message": part.data.hex()}).encode()
    async with smsc() as (centre, settings, services):
        cases = [ChannelCase(raw("sms", body, SMPP_TYPE), WORDS)]
        bodies = [WORDS.encode(), (WORDS * 4).encode()]
        await check_channel(SmsSmpp, settings, cases, services=services, send=peers.sms(centre), bodies=bodies)


async def test_phone_transcript() -> None:
    made: list[PhoneTranscript] = []

    class Watched(PhoneTranscript):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    body = json.dumps(CALL, ensure_ascii=False).encode()
    vtt = f"WEBVTT\n\n00:00.000 --> 00:09.000\n<v 来电人>{WORDS}\n".encode()
    cases = [ChannelCase(raw("phone", body, "application/json"), WORDS), ChannelCase(raw("phone", vtt, "text/vtt"), WORDS)]
    cases.append(ChannelCase(raw("phone", WORDS.encode("gb18030"), "text/plain"), WORDS))
    services = MemoryServices(secrets={"phone-token": "t0ken-of-the-test"})
    send = peers.http(lambda: next(channel.port for channel in made if channel.port), "t0ken-of-the-test")
    await check_channel(Watched, PhoneSettings(port=0), cases, services=services, send=send, bodies=[body])


# The bundled transports.


async def test_to_mail() -> None:
    peer = peers.MailPeer()
    await peer.start()
    settings = MailSettings(
        port=peer.port, from_address="gateway@gateway.test", security="none", timeout_seconds=0.3,
        username="", password="",
    )  # fmt: skip
    try:
        modes: list[PeerMode] = ["ok", "later", "refuse", "rubbish", "hang", "down"]
        await check_transport(ToMail, settings, peer=peer.be, received=peer.received, modes=modes)
    finally:
        await peer.stop()


@pytest.mark.usefixtures("reactor")
async def test_to_sms() -> None:
    async with smsc() as (centre, settings, services):
        carrier = SmsSmpp("sms", settings, services)
        services.channels["sms"] = carrier
        await carrier.start(MemoryIntake())
        peer = peers.SmsPeer(centre, lambda: carrier.health().state == "up")
        try:
            await check_transport(
                ToSms, ToSmsSettings(carrier="sms"), peer=peer.be, received=peer.received, services=services,
                address="13900000021",
            )  # fmt: skip
        finally:
            await carrier.stop()


@asynccontextmanager
async def smsc() -> AsyncIterator[tuple[DemoSmsc, SmsSettings, MemoryServices]]:
    centre = DemoSmsc("gateway", "s3cr3tpw")
    await centre.start("tcp:0:interface=127.0.0.1")
    settings = SmsSettings(
        port=centre.port, system_id="gateway", password="smpp-password", reconnect_min=0.02, reconnect_max=0.05, request_timeout=0.5
    )
    try:
        yield centre, settings, MemoryServices(secrets={"smpp-password": "s3cr3tpw"})
    finally:
        await centre.stop()


def test_every_bundled_way_in_and_out_is_tried_here() -> None:
    kinds = Host.load().kinds
    tried = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {*kinds["channels"], *kinds["transports"]} <= tried


# Bad plugins. Each differs from a good one in a single point.


class Line:
    """A channel that keeps every rule: a line of UTF-8. ``carry`` is its carrier."""

    kind: ClassVar[str] = "line"
    channel: ClassVar[str] = "phone"
    reads_in: ClassVar[str] = "inline"
    Settings = Settings
    running: ClassVar[Line | None] = None

    def __init__(self, name: str, settings: Any, services: Any = None) -> None:
        self.name, self.settings, self.services = name, settings, services
        self.state = "down"

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
