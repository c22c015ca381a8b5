"""The harness on every bundled transport."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.testing import HTTP_MODES, HttpPeer, MemoryIntake, MemoryServices, PeerMode, TcpPeer, check_faults, check_transport
from gateway_plugins.fax_jobs import FaxJobs, FaxJobsSettings
from gateway_plugins.sms_smpp import SmsSmpp
from gateway_plugins.to_dingtalk import ToDingtalk
from gateway_plugins.to_fax import FaxSettings, ToFax
from gateway_plugins.to_feishu import ToFeishu
from gateway_plugins.to_gateway import ToGateway
from gateway_plugins.to_mail import MailSettings, ToMail
from gateway_plugins.to_print import PrintSettings, ToPrint
from gateway_plugins.to_sms import ToSms, ToSmsSettings
from gateway_plugins.to_webhook import ToWebhook
from gateway_plugins.to_wecom import ToWecom
from tests.harness import peers


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
    async with peers.smsc() as (centre, settings, services):
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


async def test_to_webhook() -> None:
    await posts(ToWebhook, HttpPeer())


async def test_to_wecom() -> None:
    await posts(ToWecom, HttpPeer(peers.chat("errcode", 45009, 45002)), robots={"duty@gateway.test": "robot"})


async def test_to_dingtalk() -> None:
    await posts(ToDingtalk, HttpPeer(peers.chat("errcode", 130101, 430102)), robots={"duty@gateway.test": "robot"})


async def test_to_feishu() -> None:
    await posts(ToFeishu, HttpPeer(peers.chat("code", 11232, 9499)), robots={"duty@gateway.test": "robot"})


async def test_to_gateway() -> None:
    named = {"gateways": {"duty@gateway.test": "URL"}, "keys": {"duty@gateway.test": "webhook-key"}}
    await posts(ToGateway, HttpPeer(), name="jiangzhou", channel="gateways", **named)


async def test_to_fax() -> None:
    hfaxd = peers.Hfaxd()
    peer = TcpPeer(hfaxd.talk)
    await peer.start()
    services = MemoryServices()
    services.channels["hylafax"] = FaxJobs("hylafax", FaxJobsSettings(port=peer.port, timeout_seconds=1), services)
    try:
        await check_transport(
            ToFax, FaxSettings(carrier="hylafax"), peer=peer.be, received=peer.received, services=services,
            address="0999-8820003", seen=lambda: "".join(hfaxd.parameters),
            modes=("ok", "later", "refuse", "rubbish", "slow", "hang", "closes", "down"),
        )  # fmt: skip
    finally:
        await services.channels["hylafax"].stop()
        await peer.stop()


async def test_to_print() -> None:
    peer = HttpPeer(peers.ipp())
    await peer.start()
    settings = PrintSettings(printers={"duty": f"ipp://127.0.0.1:{peer.port}/printers/duty"}, timeout_seconds=1)
    try:
        await check_transport(
            ToPrint, settings, peer=peer.be, received=peer.received, address="duty", modes=HTTP_MODES,
            seen=lambda: "".join(body.decode("latin-1") for _head, body in peer.requests),
        )  # fmt: skip
    finally:
        await peer.stop()


async def posts(cls: Any, peer: HttpPeer, **settings: Any) -> None:
    """The harness on a transport that posts. Its clock goes on by ten minutes at each look, so that no rate limit is met."""
    clock = peers.HurryingClock()
    services = MemoryServices(secrets={"webhook-key": "whsec_" + "a2V5" * 8}, clock=clock)
    await peer.start()
    given: dict[str, Any] = {"url": peer.url.rstrip("/"), "timeout_seconds": 0.5, "allow_http": True, "allow_networks": ("127.0.0.1/32",), **settings}
    if "gateways" in given:
        given["gateways"] = dict.fromkeys(given["gateways"], given.pop("url"))
    try:
        await check_transport(
            cls, cls.Settings(**given), peer=peer.be, received=peer.received, services=services,
            modes=HTTP_MODES,
            seen=lambda: "".join(head + body.decode("utf-8", "replace") for head, body in peer.requests),
        )  # fmt: skip
    finally:
        await peer.stop()
