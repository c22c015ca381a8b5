"""to_mail hands reports to a real Postfix: TLS by every policy, an answer for each address, and its reports (DSN) coming back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.api import Delivered, Delivery, Receipt, Refused, TryLater
from gateway_plugins.email_imap import EmailImap
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.to_mail import MailSettings, ToMail
from tests.channel_fakes import FakeIntake, FakeServices, free_port
from tests.mail.test_email_tls import certificate as certificate  # noqa: PLC0414 - a fixture
from tests.mail.test_to_mail import Odd
from tests.peers.mail_peers import PASSWORD, USER, Dovecot, Postfix, until

FROM, OFFICE = "gateway@gateway.test", "office@gateway.test"


class Intake(FakeIntake):
    def __init__(self) -> None:
        super().__init__()
        self.receipts: list[Receipt] = []
        self.storage_trouble = 0

    async def receipt(self, receipt: Receipt) -> None:
        from gateway.api import StorageTrouble

        if self.storage_trouble:
            self.storage_trouble -= 1
            raise StorageTrouble("no space left")
        self.receipts.append(receipt)


class House:
    """A Postfix that keeps office@ in a folder, refuses nobody@, defers slow@, hands gone@ to a server that refuses it, and our listener behind it."""

    def __init__(self, certificate: tuple[Path, Path]) -> None:
        self.intake, self.services = Intake(), FakeServices(secrets={"box-pw": PASSWORD})
        self.listener = EmailSmtp("mail", EmailSettings(port=free_port(), addresses=(FROM,)), self.services)
        self.certificate, self.next = certificate, free_port()
        self.moved = Odd({"gone@gateway.test": "550 5.1.6 the office has moved"})
        self.postfix = Postfix({
            "mydestination": "", "virtual_mailbox_domains": "gateway.test, lists.test", "virtual_uid_maps": "static:65534",
            "virtual_gid_maps": "static:65534", "virtual_minimum_uid": "1",
            "virtual_mailbox_maps": f"inline:{{ {OFFICE}=office/, second@gateway.test=second/, {FROM}=unused/, gone@gateway.test=x/, slow@gateway.test=slow/ }}",
            "transport_maps": f"inline:{{ {{ {FROM} = smtp:[127.0.0.1]:{self.listener.settings.port} }}, {{ gone@gateway.test = smtp:[127.0.0.1]:{self.next} }} }}",
            "smtpd_recipient_restrictions": "check_recipient_access inline:{{slow@gateway.test=450 4.7.1 later}}, reject_unlisted_recipient, permit_mynetworks, reject",
            "smtpd_tls_security_level": "may", "smtpd_tls_cert_file": certificate[0], "smtpd_tls_key_file": certificate[1],
            "smtpd_tls_loglevel": "1", "smtp_tls_security_level": "none",
        })  # fmt: skip
        self.postfix.settings["virtual_mailbox_base"] = str(self.postfix.boxes)

    async def start(self) -> None:
        await self.listener.start(self.intake)
        await self.moved.start(self.next)
        self.postfix.boxes.mkdir(parents=True)
        self.postfix.boxes.chmod(0o777)
        await self.postfix.start()

    async def stop(self) -> None:
        await self.postfix.stop()
        await self.listener.stop()
        self.moved.stop()

    def sender(self, **more: Any) -> ToMail:
        usual: dict[str, Any] = {"port": self.postfix.port, "from_address": FROM, "hostname": "gw.gateway.test", "timeout_seconds": 10}
        return ToMail("mail", MailSettings(**(usual | more)), self.services)

    def mails(self, box: str = "office") -> list[Any]:
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in sorted((self.postfix.boxes / box / "new").glob("*"))]


@pytest_asyncio.fixture
async def house(certificate: tuple[Path, Path]) -> AsyncIterator[House]:
    made = House(certificate)
    await made.start()
    yield made
    await made.stop()


def delivery(**changed: Any) -> Delivery:
    values: dict[str, Any] = {
        "id": "01KK0DZ1807FBC2NAPNW06B4BE", "incident": "2026-0123", "destination": "committee_office", "transport": "mail",
        "address": OFFICE, "subject": "【紧急】青石镇交通事故〔2026〕0123", "text": "白水县青石镇发生一起交通事故。\n死亡 2 人。\n",
        "short_text": "",
    }  # fmt: skip
    return Delivery(**(values | changed))


async def test_a_report_arrives_whole(house: House) -> None:
    outcome = await house.sender(security="none", reply_to="report@gateway.test").send(delivery())
    assert isinstance(outcome, Delivered)
    await until(house.mails)
    (mail,) = house.mails()
    assert mail["Subject"] == "【紧急】青石镇交通事故〔2026〕0123"
    assert mail.get_content().replace("\r\n", "\n") == delivery().text
    assert (mail["X-Gateway-Delivery"], mail["X-Gateway-Incident"]) == (delivery().id, "2026-0123")
    assert (mail["References"], mail["Reply-To"]) == ("<incident-2026-0123@gateway.test>", "report@gateway.test")
    assert outcome.refs[0] in house.postfix.told(), "the reference is Postfix's own queue id"


@pytest.mark.parametrize(
    ("policy", "verify", "trusted", "goes", "encrypted"),
    [
        ("none", True, False, True, False),
        ("opportunistic", True, False, True, True),
        ("starttls", True, True, True, True),
        ("starttls", True, False, False, False),
        ("starttls", False, False, True, True),
    ],
)
async def test_tls_by_policy(house: House, policy: str, verify: bool, trusted: bool, goes: bool, encrypted: bool) -> None:
    given: dict[str, Any] = {"security": policy, "verify": verify}
    if trusted:
        given |= {"ca_file": str(house.certificate[0]), "host": "localhost"}
    outcome = await house.sender(**given).send(delivery())
    assert isinstance(outcome, Delivered if goes else TryLater), outcome
    await asyncio.sleep(0.3)
    assert ("Anonymous TLS connection established from" in house.postfix.told()) is encrypted


async def test_tls_that_is_demanded_and_not_offered_sends_nothing(certificate: tuple[Path, Path]) -> None:
    made = House(certificate)
    made.postfix.settings["smtpd_tls_security_level"] = "none"
    await made.start()
    try:
        assert isinstance(await made.sender(security="starttls").send(delivery()), TryLater)
        assert isinstance(await made.sender(security="opportunistic").send(delivery()), Delivered)
        await until(made.mails)
        assert len(made.mails()) == 1
    finally:
        await made.stop()


async def test_each_address_has_its_own_answer(house: House) -> None:
    sender = house.sender(security="none")
    gone = await sender.send(delivery(address="nobody@gateway.test"))
    assert isinstance(gone, Refused) and "550 5.1.1" in gone.why
    later = await sender.send(delivery(address="slow@gateway.test"))
    assert isinstance(later, TryLater) and "450 4.7.1" in later.why
    assert isinstance(await sender.send(delivery(address=f"{OFFICE}, nobody@gateway.test")), Delivered)
    assert any("nobody@gateway.test" in alarm for alarm in house.services.alarms)
    first = await sender.send(delivery(id="d-2", address="second@gateway.test, slow@gateway.test"))
    assert isinstance(first, TryLater)
    again = await sender.send(delivery(id="d-2", address="second@gateway.test, slow@gateway.test", attempt=2, progress=first.progress))
    assert isinstance(again, TryLater)
    await until(lambda: house.mails() and house.mails("second"))
    assert (len(house.mails()), len(house.mails("second"))) == (1, 1), "the one that has it is not sent it again"


async def test_a_failure_that_postfix_finds_later_comes_back_as_a_receipt(house: House) -> None:
    sender = house.sender(security="none", dsn_channel="mail")
    outcome = await sender.send(delivery(address="gone@gateway.test", attempt=2))
    assert isinstance(outcome, Delivered)
    assert sender.receipts_from == "mail"
    await until(lambda: house.intake.receipts)
    (receipt,) = house.intake.receipts
    assert (receipt.via, receipt.state, receipt.detail) == ("mail", "failed", "5.1.6")
    assert receipt.ref in outcome.refs and receipt.ref.startswith(f"{delivery().id}.2.")
    assert house.intake.messages == [], "it is no report"


async def test_an_arrival_is_receipted_where_it_is_asked_for(house: House) -> None:
    outcome = await house.sender(security="none", dsn="all", dsn_channel="mail").send(delivery())
    await until(lambda: house.intake.receipts)
    (receipt,) = house.intake.receipts
    assert isinstance(outcome, Delivered) and receipt.ref in outcome.refs
    assert receipt.state == "delivered"


async def test_a_bounce_without_an_envelope_id_is_known_by_our_headers(house: House) -> None:
    sender = house.sender(security="none", dsn="off", dsn_channel="mail")
    outcome = await sender.send(delivery(address="gone@gateway.test"))
    await until(lambda: house.intake.receipts)
    assert isinstance(outcome, Delivered)
    assert house.intake.receipts[0].ref == delivery().id
    assert delivery().id in outcome.refs


async def test_a_receipt_that_cannot_be_stored_is_handed_over_again(house: House) -> None:
    house.intake.storage_trouble = 1
    await house.sender(security="none", dsn_channel="mail").send(delivery(address="gone@gateway.test"))
    await until(lambda: "451 4.3.0" in house.postfix.told())
    await house.postfix.flush()
    await until(lambda: house.intake.receipts)
    assert len(house.intake.receipts) == 1


async def test_one_of_two_addresses_failing_later_is_no_word_on_the_whole(house: House) -> None:
    sender = house.sender(security="none", dsn_channel="mail")
    await sender.send(delivery(address=f"{OFFICE}, gone@gateway.test"))
    await until(lambda: house.intake.messages)
    assert house.intake.receipts == []
    message = house.listener.read(house.intake.messages[0])
    assert message.automatic and "null_sender" in message.flags


async def test_the_report_of_a_failure_by_a_mailbox_that_is_fetched(house: House) -> None:
    """The same where from_address is a hosted mailbox: what the listener knows, the fetcher knows."""
    sender = house.sender(security="none", dsn_channel="mail")
    dovecot = Dovecot()
    await dovecot.start()
    try:
        house.intake.storage_trouble = 10**6
        await sender.send(delivery(address="gone@gateway.test"))
        queue = house.postfix.queue
        await until(lambda: list((queue / "deferred").rglob("[0-9A-F]*[0-9A-F]")) and "451 4.3.0" in house.postfix.told())
        from tests.peers.mail_peers import run

        (entry,) = [path for path in (queue / "deferred").rglob("*") if path.is_file()]
        shown = await run("postcat", "-c", str(house.postfix.conf), "-hb", "-q", entry.name)
        dovecot.put(b"Return-Path: <>\n" + shown.stdout.encode())
        services, intake = FakeServices(secrets={"box-pw": PASSWORD}), Intake()
        box = EmailImap("box", EmailImap.Settings(
            host="127.0.0.1", port=dovecot.imap, security="none", username=USER, password="box-pw", poll_seconds=0.1), services)  # fmt: skip
        await box.start(intake)
        await until(lambda: intake.receipts and not dovecot.flags())
        await box.stop()
        assert intake.receipts[0].state == "failed" and intake.receipts[0].via == "box"
        assert intake.messages == []
    finally:
        await dovecot.close()


async def test_a_postfix_that_is_away_for_a_while_gets_each_report_once(house: House) -> None:
    sender = house.sender(security="none")
    postfix = house.postfix
    from tests.peers.mail_peers import run

    await run("postfix", "-c", str(postfix.conf), "stop")
    assert isinstance(await sender.send(delivery()), TryLater)
    assert await sender.probe() is not None
    await run("postfix", "-c", str(postfix.conf), "start")
    assert isinstance(await sender.send(delivery(attempt=2)), Delivered)
    assert await sender.probe() is None
    await until(house.mails)
    assert len(house.mails()) == 1
