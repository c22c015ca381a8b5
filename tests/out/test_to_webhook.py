"""to_webhook: signed as Standard Webhooks says, to nobody but whom conf allows, and by no way round."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook

from gateway.api import Delivered, Refused, TryLater
from gateway.testing import MemoryServices, sample_delivery
from gateway_plugins.httpout import signing
from gateway_plugins.httpout.addresses import network, permitted
from gateway_plugins.to_webhook import ToWebhook, WebhookSettings
from tests.out.services import LOOPBACK, certificate, header, server

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
OLD = "whsec_" + base64.b64encode(b"o" * 24).decode()
SEED = bytes(range(32))


def services(**secrets: str) -> MemoryServices:
    from datetime import UTC, datetime

    made = MemoryServices(secrets={"webhook-key": KEY, **{name.replace("_", "-"): text for name, text in secrets.items()}})
    made.at = datetime.now(UTC)  # the peer's library compares with its own clock
    return made


def hook(url: str, lent: MemoryServices | None = None, **settings: Any) -> ToWebhook:
    given = {"allow_http": True, "allow_networks": LOOPBACK, "timeout_seconds": 2, **settings}
    return ToWebhook("hook", WebhookSettings(url=url, **given), lent or services())


async def test_the_peers_own_library_takes_the_signature() -> None:
    async with server(b'HTTP/1.1 202 Taken\r\nContent-Length: 14\r\n\r\n{"id": "w-01"}') as seen:
        way = hook(f"http://127.0.0.1:{seen.port}/in?for=duty")
        assert await way.send(sample_delivery()) == Delivered(("w-01",))
        assert await way.send(sample_delivery(attempt=2)) == Delivered(("w-01",))
    (head, body), (again, body_again) = seen.requests
    assert head.startswith("POST /in?for=duty HTTP/1.1")
    told = Webhook(KEY).verify(body, {n: header(head, n) for n in (signing.ID, signing.TIMESTAMP, signing.SIGNATURE)})
    assert told["type"] == "report"
    assert (told["data"]["delivery"], told["data"]["text"]) == (sample_delivery().id, sample_delivery().text)
    assert header(head, signing.ID) == header(again, signing.ID) == sample_delivery().id
    assert body == body_again
    with pytest.raises(Exception, match="signature"):
        Webhook(KEY).verify(body + b" ", {n: header(head, n) for n in (signing.ID, signing.TIMESTAMP, signing.SIGNATURE)})


async def test_while_keys_are_changed_both_sign() -> None:
    async with server() as seen:
        way = hook(f"http://127.0.0.1:{seen.port}/", services(old_key=OLD), keys=("webhook-key", "old-key"))
        await way.send(sample_delivery())
    head, body = seen.requests[0]
    for key in (KEY, OLD):
        Webhook(key).verify(body, {n: header(head, n) for n in (signing.ID, signing.TIMESTAMP, signing.SIGNATURE)})


def test_ed25519_is_checked_with_the_public_half_alone() -> None:
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    secret = "whsk_" + base64.b64encode(SEED + public).decode()
    heads = signing.headers([secret], "d1", 1_770_000_000, b"body")
    check = (["whpk_" + base64.b64encode(public).decode()], "d1", "1770000000")
    assert signing.genuine(*check, heads[signing.SIGNATURE], b"body")
    assert not signing.genuine(*check, heads[signing.SIGNATURE], b"bodY")
    assert not signing.genuine([KEY], "d1", "1770000000", heads[signing.SIGNATURE], b"body")
    private.public_key().verify(base64.b64decode(heads[signing.SIGNATURE][4:]), b"d1.1770000000.body")


@given(st.text(max_size=60), st.text(max_size=30), st.text(max_size=80), st.binary(max_size=30))
def test_no_rubbish_is_taken_for_a_signature(id: str, timestamp: str, signatures: str, body: bytes) -> None:
    assert not signing.genuine([KEY, "whpk_" + base64.b64encode(b"p" * 32).decode()], id, timestamp, signatures, body)


@pytest.mark.parametrize("key", ["", "k3y", "whsec_", "whsec_äö", "whsec_" + base64.b64encode(b"short").decode(), "whsk_AAAA"])
async def test_a_key_that_is_none_is_told_and_not_shown(key: str) -> None:
    way = hook("http://127.0.0.1:9/", services(webhook_key=key))
    outcome = await way.send(sample_delivery())
    assert isinstance(outcome, TryLater)
    why = await way.probe()
    assert why
    assert not key or (key not in outcome.why and key not in why)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]",
             "169.254.169.254", "10.0.0.1", "[fe80::1%25lo]", "[64:ff9b::7f00:1]", "224.0.0.1"],
)  # fmt: skip
async def test_private_addresses_are_closed_however_they_are_written(host: str) -> None:
    async with server() as seen:
        way = hook(f"http://{host}:{seen.port}/", allow_networks=())
        outcome = await way.send(sample_delivery())
        assert isinstance(outcome, TryLater)
        assert await way.probe()
    assert seen.connections == 0


async def test_a_name_that_means_another_host_a_moment_later_changes_nothing() -> None:
    """Rebinding: the name is asked for once, and what was judged is what is connected to."""
    asked: list[str] = []

    async def changing(name: str, port: int) -> Sequence[str]:
        asked.append(name)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    async with server() as right, server(host="127.0.0.2") as wrong:
        way = hook(f"http://hooks.gateway.test:{right.port}/", allow_networks=("127.0.0.1/32",))
        way.resolve = changing
        assert isinstance(await way.send(sample_delivery()), Delivered)
        assert asked == ["hooks.gateway.test"]
        assert header(right.requests[0][0], "host") == f"hooks.gateway.test:{right.port}"
        assert isinstance(await way.send(sample_delivery()), TryLater), "now it means an address that is closed"
    assert (right.connections, wrong.connections) == (1, 0)


async def test_of_several_addresses_only_an_open_one_is_used() -> None:
    async def both(name: str, port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with server() as right:
        way = hook(f"http://hooks.gateway.test:{right.port}/", allow_networks=("127.0.0.1/32",))
        way.resolve = both
        assert isinstance(await way.send(sample_delivery()), Delivered)


async def test_the_certificate_decides(tmp_path: Path) -> None:
    mine, other = certificate(tmp_path / "mine", "127.0.0.1"), certificate(tmp_path / "other", "other.gateway.test")
    async with server(tls=mine) as seen, server(tls=other) as wrong_name:
        url = f"https://127.0.0.1:{seen.port}/"
        assert isinstance(await hook(url, allow_http=False).send(sample_delivery()), TryLater), "an authority nobody knows"
        known = hook(url, allow_http=False, ca_file=str(mine[0]))
        assert await known.probe() is None
        assert isinstance(await known.send(sample_delivery()), Delivered)
        named = hook(f"https://127.0.0.1:{wrong_name.port}/", ca_file=str(other[0]))
        assert "ca_file" in (await named.probe() or "")
        assert isinstance(await named.send(sample_delivery()), TryLater)
        missing = hook(url, ca_file=str(tmp_path / "none.pem"))
        assert isinstance(await missing.send(sample_delivery()), TryLater)
    assert (len(seen.requests), len(wrong_name.requests)) == (1, 0)


async def test_without_tls_only_where_conf_says_so() -> None:
    async with server() as seen:
        outcome = await hook(f"http://127.0.0.1:{seen.port}/", allow_http=False).send(sample_delivery())
    assert isinstance(outcome, TryLater)
    assert seen.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    async with server() as elsewhere:
        answer = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:{elsewhere.port}/\r\nContent-Length: 0\r\n\r\n"
        async with server(answer.encode()) as seen:
            assert isinstance(await hook(f"http://127.0.0.1:{seen.port}/").send(sample_delivery()), TryLater)
    assert (len(seen.requests), len(elsewhere.requests)) == (1, 0)


@pytest.mark.parametrize(
    ("status", "head", "outcome"),
    [
        (400, "", Refused), (413, "", Refused), (422, "", Refused), (410, "", Refused),
        (401, "", TryLater), (404, "", TryLater), (500, "", TryLater), (103, "", TryLater),
    ],
)  # fmt: skip
async def test_what_a_status_means(status: int, head: str, outcome: type[Any]) -> None:
    async with server(f"HTTP/1.1 {status} X\r\n{head}Content-Length: 0\r\n\r\n".encode()) as seen:
        assert isinstance(await hook(f"http://127.0.0.1:{seen.port}/", timeout_seconds=0.5).send(sample_delivery()), outcome)


@pytest.mark.parametrize(("asked", "heeded"), [("90", 90.0), ("999999999", 3600.0), ("Wed, 21 Oct 2099 07:28:00 GMT", None)])
async def test_retry_after_is_heeded_within_reason(asked: str, heeded: float | None) -> None:
    async with server(f"HTTP/1.1 429 X\r\nRetry-After: {asked}\r\nContent-Length: 0\r\n\r\n".encode()) as seen:
        outcome = await hook(f"http://127.0.0.1:{seen.port}/").send(sample_delivery())
    assert isinstance(outcome, TryLater)
    assert outcome.after == heeded


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    async with server(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 200_000) as seen:
        assert await hook(f"http://127.0.0.1:{seen.port}/").send(sample_delivery()) == Delivered(())


@pytest.mark.parametrize("url", ["ftp://x/", "https://user:pass@x/", "nothing", "https:// x/"])
def test_a_url_that_is_none_is_a_fault_of_conf(url: str) -> None:
    with pytest.raises(ValidationError):
        WebhookSettings(url=url)


def test_a_network_that_is_none_is_a_fault_of_conf() -> None:
    with pytest.raises(ValidationError, match=r"10\.20\.0\.0/16"):
        WebhookSettings(url="https://x/", allow_networks=("all",))


@given(st.ip_addresses())
def test_nothing_private_passes_without_being_opened(address: Any) -> None:
    if not address.is_global:
        assert permitted([str(address)], ()) == []
    assert permitted([str(address)], (network("0.0.0.0/0"), network("::/0"))) == [str(address)]


def test_the_body_is_json_with_what_there_is() -> None:
    from gateway_plugins.to_webhook import document

    odd = sample_delivery(incident=None, text="\ud800 x", subject="a\r\nb")
    assert json.loads(document(odd))["data"]["text"] == "? x"
