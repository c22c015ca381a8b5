"""The harness on every bundled plugin."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from gateway.api import RawMessage
from gateway.demo.smsc import DemoSmsc
from gateway.host import Host
from gateway.settings import load
from gateway.testing import (
    ChannelCase,
    MemoryIntake,
    MemoryServices,
    PeerMode,
    TcpPeer,
    boundary_moments,
    check_channel,
    check_faults,
    check_router,
    check_transport,
)
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.fax_mail import FaxMail, FaxSettings
from gateway_plugins.phone_transcript import PhoneSettings, PhoneTranscript
from gateway_plugins.route_offices import RouteOffices
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
CALL: dict[str, Any] = {
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
    settings = EmailSettings(port=0, addresses=("report@gateway.test",), max_connections_each=40)
    services = MemoryServices(max_bytes=30_000)
    await check_channel(
        Watched, settings, cases, services=services, send=peers.smtp(port, "report@gateway.test"),
        bodies=[mail(), b"", b"\xff\x00"], oversize=mail() + b"\r\n" * 20_000, port=port,
    )  # fmt: skip


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
    services = MemoryServices(secrets={"phone-token": "t0ken-of-the-test"}, max_bytes=30_000)

    def port() -> int:
        return next(channel.port for channel in made if channel.port)

    send = peers.http(port, "t0ken-of-the-test")
    huge = json.dumps({**CALL, "segments": [*CALL["segments"], {**CALL["segments"][0], "text": WORDS * 1000}]}).encode()
    await check_channel(
        Watched, PhoneSettings(port=0), cases, services=services, send=send, bodies=[body], oversize=huge, port=port
    )


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


async def test_to_mail_on_a_bad_line() -> None:
    async def nothing(*_given: Any) -> bool:
        return False

    peer = TcpPeer(nothing)
    settings = MailSettings(port=await peer.start(), from_address="gateway@gateway.test", security="none", timeout_seconds=0.3)
    try:
        await check_faults(ToMail, settings, peer=peer.be)
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


# The bundled router, with the routes of the example city.


def test_route_offices() -> None:
    root = Path(__file__).parent.parent / "conf"
    config = load(root, Host.load(root))
    (router,) = config.routers
    assert router.cls is RouteOffices
    check_router(RouteOffices, router.settings, directory=config.directory)
    check_router(RouteOffices, router.settings, directory=config.directory, moments=boundary_moments(config.calendar))


@asynccontextmanager
async def smsc() -> AsyncIterator[tuple[DemoSmsc, SmsSettings, MemoryServices]]:
    centre = DemoSmsc("gateway", "s3cr3tpw")
    await centre.start("tcp:0:interface=127.0.0.1")
    settings = SmsSettings(
        port=centre.port,
        system_id="gateway",
        password="smpp-password",
        reconnect_min=0.02,
        reconnect_max=0.05,
        request_timeout=0.5,
    )
    try:
        yield centre, settings, MemoryServices(secrets={"smpp-password": "s3cr3tpw"})
    finally:
        await centre.stop()


def test_every_bundled_plugin_is_tried_here() -> None:
    kinds = Host.load().kinds
    tried = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {kind for hook in kinds for kind in kinds[hook]} <= tried
