"""Callbacks of cloud carriers: proven, stored, and only then said yes to; and the request that sends."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sms_bench import NOW, Intake, until

from gateway.api import Delivered, Delivery, Malformed, RawMessage, Refused, TryLater
from gateway.testing import HttpPeer, MemoryServices
from gateway_plugins.sms_http import HttpSmsSettings, SmsHttp
from gateway_plugins.smshttp.provider import Call
from gateway_plugins.smshttp.providers import PROVIDERS
from gateway_plugins.to_sms import ToSms, ToSmsSettings

WORDS = "石桥县河湾村一处民房倒塌，两人被压。"
TOKEN = "t0ken-of-the-test"
PUBLIC = "https://duty.gateway.test/sms"


def up(words: str = WORDS, number: int = 1) -> dict[str, Any]:
    return {
        "phone_number": "13900000021", "send_time": "2026-11-23 09:30:00", "content": words, "sign_name": "值班室",
        "dest_code": "1069000000", "sequence_id": number,
    }  # fmt: skip


def report(ref: str, good: bool) -> dict[str, Any]:
    return {
        "phone_number": "13800000009", "success": good, "err_code": "DELIVERED" if good else "UNDELIV", "biz_id": ref, "out_id": "d1",
        "report_time": "2026-11-23 09:31:00", "sms_size": "1",
    }  # fmt: skip


def signature(fields: dict[str, str], token: str = TOKEN, url: str = PUBLIC) -> str:
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


class Carrier:
    """Speaks HTTP to the channel."""

    def __init__(self, sms: SmsHttp) -> None:
        self.sms = sms

    async def post(self, body: bytes, path: str = f"/sms?token={TOKEN}", **headers: str) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.sms.port)
        head = [f"POST {path} HTTP/1.1", "Host: gateway", f"Content-Length: {len(body)}", "Connection: close"]
        head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        answer = await reader.read()
        writer.close()
        return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]

    async def form(self, fields: dict[str, str], signed: str | None = None) -> tuple[int, bytes]:
        body = urlencode(fields).encode()
        return await self.post(body, "/sms", X_Twilio_Signature=signature(fields) if signed is None else signed)


@asynccontextmanager
async def channel(provider: Any = "aliyun", **settings: Any) -> AsyncIterator[tuple[Carrier, SmsHttp, Intake, MemoryServices]]:
    services, intake = MemoryServices(at=NOW, secrets={"cloud": TOKEN, "api": "api-s3cret"}), Intake()
    given = {"port": 0, "secret": "cloud", "public_url": PUBLIC, "timeout_seconds": 1.0, **settings}
    sms = SmsHttp("cloud", HttpSmsSettings(provider=provider, **given), services)
    services.channels["cloud"] = sms
    await sms.start(intake)
    try:
        yield Carrier(sms), sms, intake, services
    finally:
        await sms.stop()


async def test_an_array_is_stored_before_it_is_answered() -> None:
    async with channel() as (carrier, sms, intake, _services):
        intake.gate = asyncio.Event()
        posting = asyncio.create_task(
            carrier.post(json.dumps([up(), up("第二条", 2), report("b1", True), report("b2", False)]).encode())
        )
        await until(lambda: intake.in_hand == 1)
        assert not posting.done()
        intake.gate.set()
        assert await posting == (200, '{"code":0,"msg":"成功"}'.encode())
        assert [(raw.sender, raw.recipient, raw.carrier_id, sms.read(raw).text) for raw in intake.messages] == [
            ("13900000021", "1069000000", "1", WORDS), ("13900000021", "1069000000", "2", "第二条"),
        ]  # fmt: skip
        assert [(r.ref, r.state, r.detail) for r in intake.receipts] == [
            ("b1", "delivered", "DELIVERED"),
            ("b2", "failed", "UNDELIV"),
        ]


async def test_storage_trouble_is_503_and_the_whole_array_may_come_again() -> None:
    async with channel() as (carrier, _sms, intake, _services):
        intake.trouble = True
        body = json.dumps([up(), up("第二条", 2)]).encode()
        assert (await carrier.post(body))[0] == 503
        intake.trouble = False
        assert (await carrier.post(body))[0] == 200
        assert (await carrier.post(body))[0] == 200
        assert len({(raw.carrier_id, raw.body) for raw in intake.messages}) == 2
        intake.max_bytes = 5
        assert (await carrier.post(body))[0] == 413


@pytest.mark.parametrize("path", ["/sms", "/sms?token=", "/sms?token=wrong", f"/sms?token={TOKEN}x", "/sms?token=%ff"])
async def test_without_the_token_nothing_is_taken(path: str) -> None:
    async with channel() as (carrier, _sms, intake, _services):
        assert (await carrier.post(json.dumps([up()]).encode(), path))[0] == 401
        assert intake.messages == []


async def test_a_bearer_will_do_as_well() -> None:
    async with channel("tencent") as (carrier, sms, intake, _services):
        body = json.dumps([{"mobile": "13900000021", "extend": "01", "text": WORDS, "sid": "s1"}]).encode()
        assert await carrier.post(body, "/sms", Authorization=f"Bearer {TOKEN}") == (200, b'{"result":0,"errmsg":"OK"}')
        assert sms.read(intake.messages[0]).text == WORDS
        body = json.dumps([{"mobile": "13900000021", "report_status": "FAIL", "errmsg": "MK:0001", "sid": "s1"}]).encode()
        assert (await carrier.post(body))[0] == 200
        assert [(r.ref, r.state, r.detail) for r in intake.receipts] == [("s1", "failed", "MK:0001")]


async def test_a_form_post_proves_itself_by_its_signature() -> None:
    fields = {"MessageSid": "SM1", "From": "+8613900000021", "To": "+12025550100", "Body": WORDS, "NumMedia": "0"}
    async with channel("twilio") as (carrier, sms, intake, _services):
        assert await carrier.form(fields) == (200, b"<Response/>")
        (raw,) = intake.messages
        assert (raw.sender, raw.carrier_id, sms.read(raw).text) == ("+8613900000021", "SM1", WORDS)
        for wrong in (
            "",
            "x",
            signature({**fields, "Body": "别的"}),
            signature(fields, token="other"),
            signature(fields, url="http://x/sms"),
        ):
            assert (await carrier.form(fields, wrong))[0] == 401
        assert len(intake.messages) == 1
        await carrier.form({**fields, "NumMedia": "2"})
        assert sms.read(intake.messages[1]).unread


@pytest.mark.parametrize(
    ("state", "expected"), [("delivered", "delivered"), ("undelivered", "failed"), ("failed", "failed"), ("sent", None)]
)
async def test_status_callbacks(state: str, expected: str | None) -> None:
    async with channel("twilio") as (carrier, _sms, intake, _services):
        assert (await carrier.form({"MessageSid": "SM9", "MessageStatus": state, "ErrorCode": "30003"}))[0] == 200
        assert [(r.ref, r.state) for r in intake.receipts] == ([("SM9", expected)] if expected else [])


@pytest.mark.parametrize("body", [b"{", b"null", b"[1]", b'[{"a":1}]', b"\xff\xfe", WORDS.encode(), b"[" * 3000])
async def test_a_callback_that_is_not_understood_is_kept_for_a_person(body: bytes) -> None:
    async with channel() as (carrier, sms, intake, services):
        assert (await carrier.post(body))[0] == 200
        assert intake.messages[0].body == body
        with pytest.raises(Malformed):
            sms.read(intake.messages[0])
        await carrier.post(body)
        assert len(services.alarms) == 1
        assert (await carrier.post(b""))[0] == 400


async def test_no_text_and_no_secret_in_any_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with channel() as (carrier, _sms, intake, services):
        await carrier.post(json.dumps([up()], ensure_ascii=False).encode())
        await carrier.post(WORDS.encode())
        intake.broken = RuntimeError(WORDS)
        assert (await carrier.post(json.dumps([up()]).encode()))[0] >= 500
        told = caplog.text + " ".join(services.alarms)
    assert TOKEN not in told


# Out


def delivery() -> Delivery:
    return Delivery(
        id="d1", incident="2026-0123", destination="o", transport="sms", address="138 0000 0009", subject="", text="", short_text=WORDS,
    )  # fmt: skip


@asynccontextmanager
async def sending(provider: Any, answers: Any) -> AsyncIterator[tuple[HttpPeer, ToSms]]:
    peer = HttpPeer(answers)
    await peer.start()
    settings = {
        "api_url": peer.url.rstrip("/"), "account": "AC1", "api_secret": "api", "source": "值班室", "template": "SMS_1",
        "allow_http": True, "allow_networks": ("127.0.0.1/32",),
    }  # fmt: skip
    try:
        async with channel(provider, **settings) as (_carrier, _sms, _intake, services):
            yield peer, ToSms("sms", ToSmsSettings(carrier="cloud"), services)
    finally:
        await peer.stop()


async def test_twilio_is_asked_as_the_account_and_its_sid_comes_back() -> None:
    async with sending("twilio", {"ok": (201, b'{"sid":"SM77","status":"queued"}')}) as (peer, to_sms):
        assert await to_sms.send(delivery()) == Delivered(("SM77",))
        head, body = peer.requests[0]
        assert head.startswith("POST /2010-04-01/Accounts/AC1/Messages.json ")
        assert base64.b64encode(b"AC1:api-s3cret").decode() in head
        assert parse_qs(body.decode()) == {
            "To": ["+8613800000009"], "From": ["值班室"], "Body": [WORDS], "StatusCallback": [PUBLIC],
        }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((200, b'{"Code":"OK","BizId":"900"}'), Delivered), ((200, b'{"Code":"isv.BUSINESS_LIMIT_CONTROL"}'), TryLater),
        ((200, b'{"Code":"isv.MOBILE_NUMBER_ILLEGAL"}'), Refused), ((200, b"nonsense"), TryLater), ((503, b""), TryLater),
        ((403, b""), TryLater), ((400, b""), Refused),
    ],
)  # fmt: skip
async def test_what_aliyun_answers_decides(answer: tuple[int, bytes], kind: Any) -> None:
    async with sending("aliyun", {"ok": answer}) as (peer, to_sms):
        outcome = await to_sms.send(delivery())
        assert isinstance(outcome, kind)
        if isinstance(outcome, Delivered):
            assert outcome.refs == ("900",)
            head, _body = peer.requests[0]
            asked = parse_qs(head.split()[1].partition("?")[2])
            assert asked["PhoneNumbers"] == ["13800000009"] and asked["OutId"] == ["d1"]
            assert json.loads(asked["TemplateParam"][0]) == {"content": WORDS}
            assert "ACS3-HMAC-SHA256 Credential=AC1,SignedHeaders=" in head


async def test_a_silent_service_is_try_later_and_one_that_only_receives_refuses() -> None:
    async with sending("twilio", {}) as (peer, to_sms):
        await peer.be("hang")
        assert isinstance(await to_sms.send(delivery()), TryLater)
        await peer.be("down")
        assert isinstance(await to_sms.send(delivery()), TryLater)
    async with sending("tencent", {}) as (_peer, to_sms):
        assert isinstance(await to_sms.send(delivery()), Refused)


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda data: b"[" + data), st.sampled_from(sorted(PROVIDERS)))
def test_no_callback_can_hurt(body: bytes, provider: str) -> None:
    one = PROVIDERS[provider]
    call = Call(url=PUBLIC, query={}, headers={"x-twilio-signature": "é"}, body=body)
    assert not one.proven(call, TOKEN)
    try:
        messages, _reports = one.taken(call)
    except Malformed:
        return
    for message in messages:
        raw = RawMessage(channel="sms", via="x", received_at=NOW, sender="", body=message.element, content_type="x")
        sms = SmsHttp("x", HttpSmsSettings(provider=provider, secret="cloud"))
        try:
            assert isinstance(sms.read(raw).text, str)
        except Malformed:
            continue
