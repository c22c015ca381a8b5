"""Both plugins keep what the gateway's harness asks; and what is particular to them."""

import asyncio
import contextlib
import hashlib
import hmac
import json

import pytest
from jibao_weather.line import WeatherLine
from jibao_weather.webhook import ToWebhook

from gateway.api import Malformed, RawMessage, TryLater
from gateway.testing import (
    HTTP_MODES,
    ChannelCase,
    HttpPeer,
    MemoryServices,
    check_channel,
    check_transport,
    replay,
    sample_delivery,
)

TEXT = "石桥县南关镇一民房遭雷击起火，造成1人死亡、2人受伤。"
WARNING = {"serial": "20260306-017", "station": "石桥县气象局", "kind": "雷电", "level": "红色", "text": TEXT,
           "issued": "2026-03-06T09:20:00+08:00"}  # fmt: skip


def line(**changes):
    return json.dumps({**WARNING, **changes}, ensure_ascii=False).encode()


def raw(body):
    return RawMessage(channel="sms", via="weather", received_at=MemoryServices().now(), sender="127.0.0.1", body=body,
                      content_type="application/json")  # fmt: skip


def test_the_line_passes_the_harness():
    running = []

    class Watched(WeatherLine):
        async def start(self, intake):
            running.append(self)
            await super().start(intake)

    def port():
        return running[0].server.sockets[0].getsockname()[1]

    async def send(body):
        reader, writer = await asyncio.open_connection("127.0.0.1", port())
        with contextlib.closing(writer):
            writer.write(body + b"\n")
            answer = await reader.readline()
            return {b"TAK": "accepted", b"LAT": "temporary", b"NEV": "refused"}[answer[:3]]

    settings, services = WeatherLine.Settings(port=0), MemoryServices(max_bytes=20_000)
    cases = [ChannelCase(raw(line()), TEXT), ChannelCase(raw(line(kind="")), TEXT)]
    asyncio.run(check_channel(Watched, settings, cases, services=services, send=send, bodies=[line(), b"{", b""],
                              oversize=line(text=TEXT * 1000), port=port))  # fmt: skip


def test_the_hook_passes_the_harness():
    async def harness():
        peer = HttpPeer()
        await peer.start()
        try:
            settings = ToWebhook.Settings(url=peer.url, timeout_seconds=0.5)
            await check_transport(ToWebhook, settings, peer=peer.be, received=peer.received, modes=HTTP_MODES,
                                  seen=lambda: "".join(head for head, _body in peer.requests))  # fmt: skip
        finally:
            await peer.stop()

    asyncio.run(harness())


def test_what_is_read():
    message = replay(WeatherLine, WeatherLine.Settings(), raw(line()))
    assert message.text == f"石桥县气象局发布雷电红色预警。{TEXT}"
    assert message.message_id == "20260306-017"
    assert message.sent_at.isoformat() == "2026-03-06T09:20:00+08:00"
    assert replay(WeatherLine, WeatherLine.Settings(), raw(line(issued="昨天"))).sent_at is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\xff", "the line is not JSON"),
        (b"[1]", "the line is no object"),
        (line(text=""), "field 'text' is missing"),
        (line(text=7), "field 'text' is no text"),
        (line(serial=" "), "field 'serial' is missing"),
    ],
)
def test_what_cannot_be_read(body, why):
    with pytest.raises(Malformed, match=why):
        replay(WeatherLine, WeatherLine.Settings(), raw(body))


def test_the_signature_is_that_of_the_body():
    async def once():
        peer = HttpPeer()
        await peer.start()
        try:
            services = MemoryServices(secrets={"hook-key": "k3y"})
            await ToWebhook("hook", ToWebhook.Settings(url=peer.url), services).send(sample_delivery())
        finally:
            await peer.stop()
        return peer.requests[0]

    head, body = asyncio.run(once())
    assert f"X-Signature: sha256={hmac.new(b'k3y', body, hashlib.sha256).hexdigest()}" in head
    assert f"Idempotency-Key: {sample_delivery().id}" in head


def test_a_wrong_key_is_not_the_reports_fault():
    async def once():
        peer = HttpPeer({"refuse": (401, b"")})
        await peer.start()
        await peer.be("refuse")
        try:
            return await ToWebhook("hook", ToWebhook.Settings(url=peer.url), MemoryServices()).send(sample_delivery())
        finally:
            await peer.stop()

    assert asyncio.run(once()) == TryLater("the hook answered 401", 1.0)
