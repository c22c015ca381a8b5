"""The harness on every bundled channel."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from gateway.api import RawMessage
from gateway.testing import ChannelCase, MemoryIntake, MemoryServices, TcpPeer, check_channel, sample_delivery
from gateway_plugins.cmpp.inbound import CMPP_TYPE
from gateway_plugins.email_imap import EmailImap
from gateway_plugins.email_pop3 import EmailPop3
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.fax_jobs import FaxJobs, FaxJobsSettings
from gateway_plugins.fax_mail import FaxMail
from gateway_plugins.fax_mail import FaxSettings as FaxMailSettings
from gateway_plugins.from_gateway import FromGateway, FromGatewaySettings
from gateway_plugins.levels import wire
from gateway_plugins.phone_log import PhoneLog, PhoneLogSettings
from gateway_plugins.phone_mail import PhoneMail, PhoneMailSettings
from gateway_plugins.phone_transcript import PhoneSettings, PhoneTranscript
from gateway_plugins.smpp import text
from gateway_plugins.smpp.inbound import SMPP_TYPE
from gateway_plugins.sms_cmpp import CmppSettings, SmsCmpp
from gateway_plugins.sms_http import HttpSmsSettings, SmsHttp
from gateway_plugins.sms_smpp import SmsSmpp
from gateway_plugins.sms_spool import SmsSpool, SpoolSettings
from gateway_plugins.smsspool.files import PART_TYPE
from tests.harness import peers
from tests.mail.odd_boxes import OddImap, OddPop3
from tests.sms.ismg import Ismg

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


async def _mailbox(cls: Any, server: Any) -> None:
    made: list[Any] = []

    class Watched(cls):  # type: ignore[misc]
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    server.mails.clear()
    await server.start()
    try:
        settings = cls.Settings(
            host="127.0.0.1", port=server.port, security="none", username="report@gateway.test", password="box-pw", poll_seconds=0.02,
            timeout_seconds=2, reconnect_min=0.02, reconnect_max=0.05,
        )  # fmt: skip
        cases = [ChannelCase(raw("email", mail(charset), "message/rfc822"), WORDS) for charset in ("gb18030", "utf-8")]
        services = MemoryServices(max_bytes=30_000, secrets={"box-pw": "b0x-secret"})
        send = peers.mailbox(server, lambda: made[0].health().state)
        await check_channel(
            Watched, settings, cases, services=services, send=send, bodies=[mail(), b"\xff\x00\r\n"], oversize=mail() + b"\r\n" * 20_000
        )
    finally:
        await server.stop()


async def test_email_imap() -> None:
    await _mailbox(EmailImap, OddImap())


async def test_email_pop3() -> None:
    await _mailbox(EmailPop3, OddPop3())


async def test_fax_mail() -> None:
    services = MemoryServices()
    listener = EmailSmtp("mail", EmailSettings(port=0, addresses=("report@gateway.test",)), services)
    services.channels["mail"] = listener
    await listener.start(MemoryIntake())
    try:
        settings = FaxMailSettings(addresses=("fax@gateway.test",), ocr=False)
        cases = [ChannelCase(raw("fax", mail(pages=True), "message/rfc822"), "")]
        send = peers.smtp(lambda: listener.ports[0], "fax@gateway.test")
        await check_channel(FaxMail, settings, cases, services=services, send=send, bodies=[mail(pages=True), mail()])
    finally:
        await listener.stop()


@pytest.mark.usefixtures("reactor")
async def test_sms_smpp() -> None:
    part = text.split(WORDS, 1)[0]
    body = json.dumps({"data_coding": 8, "short_message": part.data.hex()}).encode()
    async with peers.smsc() as (centre, settings, services):
        cases = [ChannelCase(raw("sms", body, SMPP_TYPE), WORDS)]
        bodies = [WORDS.encode(), (WORDS * 4).encode()]
        await check_channel(SmsSmpp, settings, cases, services=services, send=peers.sms(centre), bodies=bodies)


@pytest.mark.usefixtures("reactor")
async def test_sms_cmpp() -> None:
    ismg = Ismg()
    await ismg.start()
    try:
        settings = CmppSettings(
            port=ismg.port, sp_id="901234", secret="cmpp", reconnect_min=0.02, reconnect_max=0.05, request_timeout=0.5
        )
        body = json.dumps({"msg_fmt": 8, "msg_content": WORDS.encode("utf-16-be").hex()}).encode()
        services = MemoryServices(secrets={"cmpp": "s3cr3t"})
        cases = [ChannelCase(raw("sms", body, CMPP_TYPE), WORDS)]
        bodies = [WORDS.encode(), (WORDS * 2).encode()]
        await check_channel(SmsCmpp, settings, cases, services=services, send=peers.cmpp(ismg), bodies=bodies)
    finally:
        await ismg.stop()


async def test_sms_spool(tmp_path: Path) -> None:
    part = {"content": WORDS.encode("utf-16-be").hex(), "label": "UTF-8"}
    cases = [ChannelCase(raw("sms", json.dumps(part).encode(), PART_TYPE), WORDS)]
    (tmp_path / "incoming").mkdir()
    settings = SpoolSettings(form="smstools", incoming=str(tmp_path / "incoming"), spool_seconds=0.02, settle_seconds=0)
    bodies = [WORDS.encode("utf-16-be"), b"OK"]
    send = peers.folder(tmp_path / "incoming")
    await check_channel(SmsSpool, settings, cases, services=MemoryServices(), send=send, bodies=bodies)


async def test_sms_http() -> None:
    made: list[SmsHttp] = []

    class Watched(SmsHttp):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    def port() -> int:
        return next(channel.port for channel in made if channel.port)

    element = {"phone_number": "13900000021", "content": WORDS, "dest_code": "1069", "sequence_id": 1}
    body = json.dumps([element]).encode()
    cases = [ChannelCase(raw("sms", json.dumps(element).encode(), "application/vnd.sms-http.aliyun+json"), WORDS)]
    services = MemoryServices(secrets={"cloud-sms-token": "t0ken-of-the-test"}, max_bytes=30_000)
    settings = HttpSmsSettings(provider="aliyun", port=0, secret="cloud-sms-token")
    send = peers.http(port, "t0ken-of-the-test", "/sms")
    huge = json.dumps([{**element, "content": WORDS * 2000}]).encode()
    await check_channel(Watched, settings, cases, services=services, send=send, bodies=[body], oversize=huge, port=port)


async def test_phone_mail() -> None:
    services = MemoryServices()
    listener = EmailSmtp("mail", EmailSettings(port=0, addresses=("report@gateway.test",)), services)
    services.channels["mail"] = listener
    await listener.start(MemoryIntake())
    made = EmailMessage()
    made["Subject"] = "[PBX]: New message 1 in mailbox 8820"
    made.set_content("in mailbox 8820 from 09998811004")
    made.add_attachment(b"RIFF", maintype="audio", subtype="wav", filename="msg0000.wav")
    made.add_attachment(WORDS.encode(), maintype="text", subtype="plain", filename="msg0000.txt")
    try:
        settings = PhoneMailSettings(addresses=("voicemail@gateway.test",))
        cases = [ChannelCase(raw("phone", made.as_bytes(), "message/rfc822"), WORDS)]
        send = peers.smtp(lambda: listener.ports[0], "voicemail@gateway.test")
        await check_channel(PhoneMail, settings, cases, services=services, send=send, bodies=[made.as_bytes(), mail()])
    finally:
        await listener.stop()


async def test_phone_log() -> None:
    slip = {"form": "phone-log", "caller": "0999-8811004", "text": WORDS, "clerk": "李值班"}
    cases = [ChannelCase(raw("phone", json.dumps(slip).encode(), PhoneLog.content_type), WORDS)]
    await check_channel(PhoneLog, PhoneLogSettings(), cases)


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
    heard = json.dumps([{"key": "c-1", "text": WORDS}]).encode()
    cases.append(ChannelCase(raw("phone", heard, "application/json"), WORDS))
    parcel = b'--b\r\nContent-Disposition: form-data; name="t"; filename="t.txt"\r\n\r\n' + WORDS.encode() + b"\r\n--b--\r\n"
    cases.append(ChannelCase(raw("phone", parcel, "multipart/form-data; boundary=b"), WORDS))
    services = MemoryServices(secrets={"phone-token": "t0ken-of-the-test"}, max_bytes=30_000)

    def port() -> int:
        return next(channel.port for channel in made if channel.port)

    send = peers.http(port, "t0ken-of-the-test")
    huge = json.dumps({**CALL, "segments": [*CALL["segments"], {**CALL["segments"][0], "text": WORDS * 1000}]}).encode()
    await check_channel(
        Watched, PhoneSettings(port=0), cases, services=services, send=send, bodies=[body], oversize=huge, port=port
    )


async def test_from_gateway() -> None:
    made: list[FromGateway] = []

    class Watched(FromGateway):
        async def start(self, intake: Any) -> None:
            made.append(self)
            await super().start(intake)

    def port() -> int:
        return next(channel.port for channel in made if channel.port)

    def body(text: str = WORDS) -> bytes:
        return wire.document(sample_delivery(text=text))

    key = "whsec_" + "a2V5" * 8
    services = MemoryServices(secrets={"gateway-key": key}, max_bytes=20_000)
    settings = FromGatewaySettings(port=0, senders={"jiangzhou": "gateway-key"})
    await check_channel(
        Watched, settings, [ChannelCase(raw("email", body(), "application/json"), WORDS)], services=services,
        send=peers.gateway(port, key, services.now), bodies=[body(), body("")], oversize=body(WORDS * 1000), port=port,
    )  # fmt: skip


async def test_fax_jobs() -> None:
    hfaxd = peers.Hfaxd()
    peer = TcpPeer(hfaxd.talk)
    await peer.start()
    try:
        settings = FaxJobsSettings(port=peer.port, timeout_seconds=1)
        await check_channel(FaxJobs, settings, [], services=MemoryServices())
    finally:
        await peer.stop()
