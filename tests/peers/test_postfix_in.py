"""Postfix hands reports over to the mail listener, by SMTP and by LMTP; swaks speaks to it as a hand-written client would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from tests.channel_fakes import FakeIntake, FakeServices, free_port
from tests.mail.test_email_tls import certificate as certificate  # noqa: PLC0414 - a fixture
from tests.peers.mail_peers import Postfix, run, until

WORDS = "石桥县河湾村一处民房倒塌，两人被压，消防已到场。"
LIMIT = 300_000
PEERS = ("report@gateway.test", "duty@gateway.test")


class House:
    def __init__(self, certificate: tuple[Path, Path], **more: object) -> None:
        given: dict[str, object] = {
            "port": 0, "lmtp_port": free_port(), "addresses": PEERS, "hostname": "gw.gateway.test", "timeout_seconds": 10,
            "tls_certificate": str(certificate[0]), "tls_key": str(certificate[1]), **more,
        }  # fmt: skip
        self.intake, self.services = FakeIntake(), FakeServices(max_bytes=LIMIT, secrets={"relay-pw": "r3lay-secret"})
        self.channel = EmailSmtp("mail", EmailSettings(**given), self.services)  # type: ignore[arg-type]

    async def start(self) -> tuple[int, int]:
        await self.channel.start(self.intake)
        return self.channel.ports[0], self.channel.ports[1]


@pytest_asyncio.fixture
async def house(certificate: tuple[Path, Path]) -> AsyncIterator[House]:
    made = House(certificate, accounts={"relay": "relay-pw"})
    await made.start()
    yield made
    await made.channel.stop()


async def swaks(port: int, *more: str, body: str = WORDS) -> tuple[int, str]:
    done = await run(
        "swaks", "--server", f"127.0.0.1:{port}", "--from", "clerk@example.test", "--to", PEERS[0], "--helo", "pc.example.test",
        "--header", "Content-Type: text/plain; charset=utf-8", "--body", body, *more,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
@pytest.mark.parametrize("each", ["50", "1"], ids=["together", "one by one"])
async def test_two_recipients_of_one_mail_are_one_report(house: House, protocol: str, each: str) -> None:
    port = house.channel.ports[protocol == "lmtp"]
    postfix = Postfix({
        "default_transport": f"{protocol}:inet:127.0.0.1:{port}" if protocol == "lmtp" else f"smtp:[127.0.0.1]:{port}",
        f"{protocol}_destination_recipient_limit": each, f"{protocol}_tls_security_level": "may",
    })  # fmt: skip
    await postfix.start()
    try:
        done, told = await swaks(postfix.port, "--to", ",".join(PEERS))
        assert done == 0, told
        await until(lambda: postfix.told().count("status=sent") == 2)
        assert await postfix.waiting() == 0
    finally:
        await postfix.stop()
    bodies = {raw.body for raw in house.intake.messages}
    assert len(bodies) == 1, "the copies are the same octets, which intake links"
    assert len(house.intake.messages) == (1 if each == "50" else 2)
    raw = house.intake.messages[0]
    assert raw.meta["protocol"] == protocol.upper()
    assert house.channel.read(raw).text == WORDS
    log = postfix.told()
    assert log.count("250 2.0.0 accepted as m1") >= (2 if protocol == "lmtp" and each == "50" else 1)


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_storage_trouble_makes_postfix_come_again_until_it_is_over(house: House, protocol: str) -> None:
    port = house.channel.ports[protocol == "lmtp"]
    house.intake.trouble = True
    postfix = Postfix({
        "default_transport": f"{protocol}:inet:127.0.0.1:{port}" if protocol == "lmtp" else f"smtp:[127.0.0.1]:{port}",
    })  # fmt: skip
    await postfix.start()
    try:
        await swaks(postfix.port, "--to", ",".join(PEERS))
        await until(lambda: postfix.told().count("status=deferred") >= 2)
        assert house.intake.messages == []
        house.intake.trouble = False
        await postfix.flush()
        await until(lambda: postfix.told().count("status=sent") == 2)
    finally:
        await postfix.stop()
    assert len(house.intake.messages) == 1


async def test_postfix_keeps_what_comes_while_we_are_away_and_hands_it_over_later(certificate: tuple[Path, Path]) -> None:
    port = free_port()
    postfix = Postfix({"default_transport": f"smtp:[127.0.0.1]:{port}"})
    await postfix.start()
    house = House(certificate, port=port)
    try:
        for number in range(5):
            await swaks(postfix.port, body=f"{WORDS}{number}")
        await until(lambda: postfix.told().count("status=deferred") >= 5)
        await house.start()
        await postfix.flush()
        await until(lambda: postfix.told().count("status=sent") == 5)
    finally:
        await postfix.stop()
        await house.channel.stop()
    assert {house.channel.read(raw).text for raw in house.intake.messages} == {f"{WORDS}{number}" for number in range(5)}
    assert len(house.intake.messages) == 5


async def test_swaks_over_starttls_with_a_login(house: House) -> None:
    port = house.channel.ports[0]
    done, told = await swaks(port, "--tls", "--auth", "PLAIN", "--auth-user", "relay", "--auth-password", "r3lay-secret")
    assert done == 0, told
    assert "250-SIZE 300000" in told and "SMTPUTF8" in told and "8BITMIME" in told
    assert house.intake.messages[0].meta["account"] == "relay"
    done, told = await swaks(port, "--tls", "--auth", "LOGIN", "--auth-user", "relay", "--auth-password", "r3lay-secret")
    assert done == 0, told
    done, told = await swaks(port, "--tls", "--auth", "PLAIN", "--auth-user", "relay", "--auth-password", "wrong")
    assert (done, "535 5.7.8" in told) == (28, True), told
    done, told = await swaks(port, "--auth", "PLAIN", "--auth-user", "relay", "--auth-password", "r3lay-secret")
    assert done == 28, "no password goes over a line in the clear"
    assert len(house.intake.messages) == 2


async def test_without_accounts_no_login_is_offered(certificate: tuple[Path, Path]) -> None:
    house = House(certificate)
    port, _lmtp = await house.start()
    done, told = await swaks(port, "--tls")
    await house.channel.stop()
    assert done == 0 and "AUTH" not in told, told
    assert "account" not in house.intake.messages[0].meta


async def test_where_a_login_is_asked_nobody_gets_in_without_one(certificate: tuple[Path, Path]) -> None:
    house = House(certificate, accounts={"relay": "relay-pw"}, login_required=True)
    port, _lmtp = await house.start()
    done, told = await swaks(port, "--tls")
    assert done != 0 and "530 5.7.0" in told
    done, told = await swaks(port, "--tls", "--auth", "PLAIN", "--auth-user", "relay", "--auth-password", "r3lay-secret")
    await house.channel.stop()
    assert done == 0, told
    assert len(house.intake.messages) == 1


async def test_swaks_by_lmtp_and_over_the_size(house: House, tmp_path: Path) -> None:
    done, told = await swaks(house.channel.ports[1], "--protocol", "LMTP", "--to", ",".join(PEERS))
    assert done == 0 and told.count("250 2.0.0 accepted as m1") == 2, told
    (tmp_path / "long").write_text("超长。" * 60_000)
    done, told = await swaks(house.channel.ports[0], body=f"@{tmp_path / 'long'}")
    assert "552 5.3.4" in told, told[-500:]
    assert len(house.intake.messages) == 1
