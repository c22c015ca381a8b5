"""Two gateways, each a daemon of its own: a report goes up, once, and what a person does up there comes back down."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import tomllib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Delivered, Malformed, Refused, TryLater
from gateway.testing import MemoryClock, MemoryIntake, MemoryServices, sample_delivery
from gateway_plugins.from_gateway import FromGateway, FromGatewaySettings
from gateway_plugins.levels import wire
from gateway_plugins.to_gateway import GatewaySettings, ToGateway
from tests.out.services import LOOPBACK, certificate
from tests.system.gate import Gate, mail, send_mail

SEED = bytes(range(32))
PRIVATE = "whsk_" + base64.b64encode(SEED).decode()
PUBLIC = "whpk_" + base64.b64encode(
    Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
).decode()
SHARED = "whsec_" + base64.b64encode(b"s" * 32).decode()
WORDS = "今日9时20分，青山区幸福路一居民楼起火，1人死亡，3人受伤。青山区政府值班室"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Pair:
    """A from_gateway channel and a to_gateway transport in this process, with one clock."""

    def __init__(self, secret: str, check: str) -> None:
        self.clock, self.intake = MemoryClock(), MemoryIntake()
        self.services = MemoryServices(secrets={"gateway-key": secret, "gateway-check": check}, clock=self.clock, max_bytes=50_000)
        self.channel = FromGateway("gateways", FromGatewaySettings(port=0, senders={"jiangzhou": "gateway-check"}), self.services)

    def up(self, **changes: Any) -> ToGateway:
        given: dict[str, Any] = {
            "name": "jiangzhou", "gateways": {"province": f"http://127.0.0.1:{self.channel.port}/gateway/v1"},
            "keys": {"province": "gateway-key"}, "channel": "gateways", "allow_http": True, "allow_networks": LOOPBACK,
            "timeout_seconds": 3, **changes,
        }  # fmt: skip
        return ToGateway("up", GatewaySettings(**given), self.services)


@pytest_asyncio.fixture(params=[(SHARED, SHARED), (PRIVATE, PUBLIC), (SHARED, f"{PUBLIC}\n{SHARED}")], ids=["hmac", "ed25519", "rotation"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    made = Pair(*request.param)
    await made.channel.start(made.intake)
    yield made
    await made.channel.stop()


def delivery(**changes: Any) -> Any:
    return sample_delivery(address="province", **changes)


async def test_a_repeat_is_known_by_its_bytes_and_answered_with_the_same_id(pair: Pair) -> None:
    up = pair.up()
    assert await up.probe() is None
    first = await up.send(delivery(text=WORDS))
    pair.clock.advance(minutes=30)
    assert await up.send(delivery(text=WORDS, attempt=2)) == first == Delivered((f"province/{delivery().id}", "M0001"))
    one, two = pair.intake.accepted
    assert (one.body, one.carrier_id, one.sender) == (two.body, two.carrier_id, two.sender) == (one.body, delivery().id, "jiangzhou")
    assert pair.channel.read(one).text == WORDS


async def test_nobody_else_and_nothing_old_or_changed_is_taken(pair: Pair) -> None:
    other = Pair("whsec_" + base64.b64encode(b"x" * 32).decode(), "").services
    up = pair.up()
    up.services = other
    other.clock = pair.clock
    assert isinstance(await up.send(delivery()), TryLater), "another key"
    assert isinstance(await pair.up(name="stranger").send(delivery()), TryLater), "another name"
    late = pair.up()
    late.services = MemoryServices(secrets=pair.services.secrets, clock=MemoryClock(pair.clock.at - timedelta(minutes=6)))
    assert isinstance(await late.send(delivery()), TryLater), "an old signature"
    assert isinstance(await pair.up().send(sample_delivery(address="centre")), Refused)
    assert pair.intake.accepted == []


async def test_trouble_up_there_is_a_later_try_and_never_a_yes(pair: Pair) -> None:
    pair.intake.trouble = True
    outcome = await pair.up().send(delivery())
    assert isinstance(outcome, TryLater)
    assert outcome.after == 10
    pair.intake.trouble = False
    assert isinstance(await pair.up().send(delivery(text="字" * 40_000)), Refused | TryLater)


async def test_an_acknowledgement_is_a_receipt_for_what_went_to_that_gateway_alone(pair: Pair) -> None:
    headers = {wire.ACKNOWLEDGES: "D1", wire.BY: "张三", wire.OFFICE: "省政府值班室"}
    assert isinstance(await pair.up().send(delivery(headers=headers)), Delivered)
    (receipt,) = pair.intake.receipts
    assert (receipt.via, receipt.ref, receipt.state, receipt.detail) == ("gateways", "jiangzhou/D1", "acknowledged", "张三（省政府值班室）")
    assert pair.intake.accepted == []


def test_a_number_of_another_gateway_is_no_number_of_ours() -> None:
    from gateway.reading.kind import _cited_number

    for text in ("紧急信息 〔2026〕0123 续报", "事件2026-0123的续报", "请见〔0123〕", "〔2026〕第0123号事件"):
        assert _cited_number(text), text
        assert _cited_number(wire.elsewhere(text, "jiangzhou")) is None, wire.elsewhere(text, "jiangzhou")
        assert "0123" in wire.elsewhere(text, "jiangzhou")


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) |
                    st.dictionaries(st.sampled_from(["type", "data", "delivery", "by", "text"]), inner, max_size=4)))  # fmt: skip
def test_whatever_is_posted_is_a_document_or_told_to_be_none(made: Any) -> None:
    for told in (made, {"type": "report", "data": made}, {"type": "acknowledged", "data": made}):
        with contextlib.suppress(Malformed):
            assert isinstance(wire.parsed(json.dumps(told).encode()), wire.Report | wire.Acknowledged)
    with pytest.raises(Malformed):
        wire.parsed(b"[" * 100_000)


# Two daemons.


@pytest.fixture
def levels(tmp_path: Path) -> Iterator[tuple[Gate, Gate]]:
    """A city below and a province above, with Ed25519 upward, a shared key downward and TLS both ways."""
    pem, key = certificate(tmp_path / "tls", "127.0.0.1")
    ports = {"city": free_port(), "province": free_port()}
    made = []
    for mine, other in (("city", "province"), ("province", "city")):
        gate = Gate(tmp_path / mine)
        made.append(gate)
        secrets = gate.conf / "secrets"
        for name, text in {"gateway-sign": PRIVATE if mine == "city" else SHARED, "gateway-check": SHARED if mine == "city" else PUBLIC}.items():
            (secrets / name).write_text(text)
            (secrets / name).chmod(0o600)
        (gate.conf / "channels.d" / "levels.toml").write_text(
            f"""
[channel.levels]
kind = "from_gateway"
port = {ports[mine]}
certificate = "{pem}"
key = "{key}"
senders = {{ {other} = "gateway-check" }}
acknowledge_by = "level"

[transport.level]
kind = "to_gateway"
name = "{mine}"
gateways = {{ {other} = "https://127.0.0.1:{ports[other]}/gateway/v1" }}
keys = {{ {other} = "gateway-sign" }}
channel = "levels"
ca_file = "{pem}"
allow_networks = ["127.0.0.1/32"]
"""
        )
        if mine == "city":
            directory = gate.conf / "directory.toml"
            # An office that is told at any hour.
            way = '{ transport = "sms", address = "+8613900000601" }'
            text = directory.read_text()
            assert way in text
            directory.write_text(text.replace(way, '{ transport = "level", address = "province" }'))
        # The next one looks for free ports: these must be taken by then.
        gate.start()
    yield made[0], made[1]
    for gate in made:
        gate.stop()


def sent(gate: Gate) -> list[dict[str, Any]]:
    return [row for row in gate.ask("deliveries", limit=1000) if row["transport"] == "level"]


async def test_up_once_and_the_acknowledgement_back_down(levels: tuple[Gate, Gate]) -> None:
    city, province = levels
    await asyncio.to_thread(send_mail, city.base, mail(WORDS))
    incident = await asyncio.to_thread(city.until, lambda: city.ask("incidents"), "an incident in the city")
    number = incident[0]["number"]
    above = await asyncio.to_thread(province.until, lambda: province.ask("incidents"), "an incident in the province")
    (row,) = await asyncio.to_thread(city.until, lambda: [r for r in sent(city) if r["state"] == "delivered"], "delivered upward")
    (message,) = [one for one in province.ask("messages") if one["via"] == "levels"]
    assert message["sender"] == "city"

    shown = province.ask("incident", number=above[0]["number"], trail=True)
    offices = {one["name"]: one for one in tomllib.loads((province.conf / "directory.toml").read_text())["office"]}
    office = shown["deliveries"][0]["destination"]
    person = offices[office]["persons"][0]["name"]
    await asyncio.to_thread(province.run_command, "incident", above[0]["number"], "ack", "--office", office, "--by", person)
    acknowledged = await asyncio.to_thread(
        city.until, lambda: [r for r in sent(city) if r["state"] == "acknowledged"], "the acknowledgement came back"
    )
    assert acknowledged[0]["acknowledged_by"] == f"{person}（{office}）"
    assert row["id"] == acknowledged[0]["id"]
    trail = city.ask("incident", number=number, trail=True)["trail"]
    (event,) = [one for one in trail if one["event"] == "acknowledged"]
    assert (event["by"], event["how"], event["verified"]) == (f"{person}（{office}）", "receipt, level", False)
    assert [r["state"] for r in sent(province)] == ["delivered"], "one acknowledgement for one message"

    further = f"续报：{number}青山区幸福路居民楼火灾，死亡升至2人，3人受伤。青山区政府值班室"
    await asyncio.to_thread(send_mail, city.base, mail(further, subject="续报"))
    await asyncio.to_thread(city.until, lambda: [r["state"] for r in sent(city)].count("delivered") == 1, "the follow-up went up")

    def attached() -> bool:
        return [m["incident"] for m in province.ask("messages") if m["via"] == "levels"] == [above[0]["number"]] * 2

    await asyncio.to_thread(province.until, attached, "up there it is the same incident")
    assert len(province.ask("incidents")) == 1
    assert sorted(r["state"] for r in sent(city)) == ["acknowledged", "delivered"], "what came later asks for its own acknowledgement"

    for gate in levels:
        await asyncio.to_thread(gate.run_command, "audit", "verify")
