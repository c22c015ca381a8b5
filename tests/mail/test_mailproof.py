"""Evidence of a mail's sender: what the DNS and a trusted relay say. It is shown, it raises a doubt, it keeps no report out."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import dkim
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.api import RawMessage
from gateway.intake import take_in
from gateway.store import journal
from gateway.workers import WorkerPool
from gateway_plugins.email_imap import EmailImap
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.mailproof import ask
from gateway_plugins.mailproof.judge import flags, relay_flags
from tests.channel_fakes import NOW, FakeIntake, FakeServices
from tests.mail.dns_server import DnsServer
from tests.mail.hanging_channel import Hanging
from tests.mail.test_email_smtp import begin
from tests.test_desk import CRASH, Office

OUTSIDE, DOMAIN = "8.8.4.4", "baishui.example"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def public() -> str:
    text = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    return '"v=DKIM1; k=rsa; p=' + text[:200] + '" "' + text[200:] + '"'


RECORDS = {
    (f"k1._domainkey.{DOMAIN}", "TXT"): [public()],
    (DOMAIN, "TXT"): ['"v=spf1 ip4:8.8.4.4 -all"', '"something else"'],
    (f"_dmarc.{DOMAIN}", "TXT"): ['"v=DMARC1; p=reject"'],
    ("soft.example", "TXT"): ['"v=spf1 ip4:1.2.3.4 ~all"'],
    ("bare.example", "TXT"): ['"v=spf1 -all"'],
    ("none.example", "TXT"): ['"v=spf1 -all"'],
    ("_dmarc.none.example", "TXT"): ['"v=DMARC1; p=none"'],
    ("loop.example", "TXT"): ['"v=spf1 include:loop.example -all"'],
    ("odd.example", "TXT"): ['"v=spf1 \\255\\000 ip4:999.1.1.1 (((("', '"v=spf1 a"'],
    ("_dmarc.odd.example", "TXT"): ['"v=DMARC1; p=everything; ;;=;"'],
    ("k1._domainkey.odd.example", "TXT"): ['"v=DKIM1; p=rubbish"'],
}


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    made = DnsServer(RECORDS)
    yield made
    made.close()


def mail(domain: str = DOMAIN, words: str = CRASH) -> bytes:
    return (
        f"From: Clerk <clerk@{domain}>\r\nTo: report@gateway.test\r\nSubject: report\r\nMessage-ID: <1@{domain}>\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{words}\r\n"
    ).encode()


def signed(body: bytes, domain: str = DOMAIN, selector: bytes = b"k1") -> bytes:
    return dkim.sign(body, selector, domain.encode(), PEM, include_headers=[b"From", b"Subject"]) + body


def found(dns: DnsServer, body: bytes, peer: str = OUTSIDE, mail_from: str = f"clerk@{DOMAIN}", **more: Any) -> set[str]:
    resolver = ask.Resolver((dns.address,), 2.0)
    return set(ask.check(body, peer=peer, helo="mx.example", mail_from=mail_from, relays=more.get("relays", ()), resolver=resolver))


def test_spf_dkim_and_dmarc_agree(dns: DnsServer) -> None:
    assert found(dns, signed(mail())) == {"spf_pass", "dkim_pass", "dmarc_pass", "sender_confirmed"}


def test_either_of_the_two_is_enough(dns: DnsServer) -> None:
    assert "sender_confirmed" in found(dns, mail()), "SPF alone"
    forwarded = found(dns, signed(mail()), peer="9.9.9.9", mail_from="list@soft.example")
    assert forwarded == {"spf_softfail", "dkim_pass", "dmarc_pass", "sender_confirmed"}, "DKIM alone, through a list"


def test_a_forged_sender_is_a_doubt(dns: DnsServer) -> None:
    forged = found(dns, mail(), peer="9.9.9.9")
    assert forged == {"spf_fail", "dmarc_fail", "sender_doubtful"}
    altered = signed(mail()).replace("2人死亡".encode(), "9人死亡".encode())
    assert found(dns, altered, peer="9.9.9.9") == {"spf_fail", "dkim_fail", "dmarc_fail", "sender_doubtful"}


def test_a_pass_of_somebody_elses_domain_confirms_nobody(dns: DnsServer) -> None:
    dns.records["thief.example", "TXT"] = ['"v=spf1 ip4:9.9.9.9 -all"']
    assert found(dns, mail(), peer="9.9.9.9", mail_from="x@thief.example") == {"spf_pass", "dmarc_fail", "sender_doubtful"}


def test_a_domain_that_only_asks_for_reports_is_not_held_to_it(dns: DnsServer) -> None:
    assert found(dns, mail("none.example"), mail_from="c@none.example") == {"spf_fail", "dmarc_fail"}


def test_without_dmarc_a_hard_failure_counts_and_a_soft_one_does_not(dns: DnsServer) -> None:
    assert found(dns, mail("bare.example"), mail_from="c@bare.example") == {"spf_fail", "sender_doubtful"}
    assert found(dns, mail("soft.example"), mail_from="c@soft.example") == {"spf_softfail"}
    assert found(dns, mail("unknown.example"), mail_from="c@unknown.example") == {"spf_none"}


@pytest.mark.parametrize(("peer", "relays"), [("127.0.0.1", ()), ("10.1.2.3", ()), ("::1", ()), ("", ()), ("9.9.9.9", ("9.9.9.0/24",))])
def test_of_a_relay_of_ours_spf_is_not_asked_and_its_mail_is_no_doubt(dns: DnsServer, peer: str, relays: tuple[str, ...]) -> None:
    assert found(dns, mail(), peer=peer, relays=relays) == set()
    assert found(dns, signed(mail()), peer=peer, relays=relays) == {"dkim_pass", "dmarc_pass", "sender_confirmed"}


def test_records_that_strangers_wrote_hurt_nobody(dns: DnsServer) -> None:
    assert found(dns, mail("loop.example"), mail_from="c@loop.example") == {"spf_permerror"}
    assert "sender_confirmed" not in found(dns, signed(mail("odd.example"), "odd.example"), mail_from="c@odd.example")
    for header in (b"DKIM-Signature: ;;;\r\n", b"DKIM-Signature: v=1; a=rsa-sha256; d=; s=; h=; bh=; b=\r\n", b"DKIM-Signature: \xff\xfe\r\n" * 50):
        assert "sender_confirmed" not in found(dns, header + mail("unknown.example"), peer="9.9.9.9")
    for body in (b"", b"\r\n\r\n", b"\x00" * 5000, b"From: a@b.c, d@e.f\r\n\r\nx"):
        found(dns, body)


@pytest.mark.parametrize("mode", ["silent", "rubbish"])
def test_a_dead_resolver_costs_one_mail_its_time_and_the_next_nothing(dns: DnsServer, mode: str) -> None:
    dns.mode = mode
    resolver = ask.Resolver((dns.address,), 0.4)
    given: dict[str, Any] = {"peer": OUTSIDE, "helo": "mx.example", "mail_from": f"clerk@{DOMAIN}", "relays": ()}
    began = time.monotonic()
    first = ask.check(signed(mail()), resolver=resolver, **given)
    assert time.monotonic() - began < 2
    assert not {"sender_confirmed", "sender_doubtful"} & set(first), "no answer is no evidence"
    began = time.monotonic()
    assert ask.check(signed(mail()), resolver=resolver, **given) == ("sender_not_checked",)
    assert time.monotonic() - began < 0.2
    resolver._rest = 0.0
    dns.mode = "good"
    assert "sender_confirmed" in ask.check(signed(mail()), resolver=resolver, **given)


RELAY = "mx.gateway.test"


def relayed(*values: str) -> set[str]:
    return set(relay_flags("".join(f"Authentication-Results: {one}\r\n" for one in values).encode() + mail(), (RELAY,)))


def test_what_a_trusted_relay_says() -> None:
    assert relayed(f"{RELAY}; spf=pass smtp.mailfrom=a@b.test; dkim=pass header.d=b.test; dmarc=pass header.from=b.test") == {
        "spf_pass", "dkim_pass", "dmarc_pass", "sender_confirmed",
    }  # fmt: skip
    assert relayed(f"{RELAY}; dmarc=fail header.from=b.test") == {"dmarc_fail", "sender_doubtful"}
    assert relayed(f"{RELAY.upper()} 1; dmarc=fail (p=reject) header.from=b.test") == {"dmarc_fail", "sender_doubtful"}
    assert relayed(f"{RELAY}; none") == set()


def test_what_anybody_else_says_is_not_looked_at() -> None:
    good = "dmarc=pass header.from=b.test"
    assert relayed(f"mx.thief.test; {good}", f"x{RELAY}; {good}", f"; {RELAY}; {good}") == set()
    assert relay_flags(f"Authentication-Results: {RELAY}; {good}\r\n".encode() + mail(), ()) == ()
    assert relayed(f"{RELAY}; dmarc=fail header.from=b.test", f"{RELAY}; {good}") == {"dmarc_fail", "sender_doubtful"}, "no pass undoes it"


@pytest.mark.parametrize("value", ["", ";", "(", "a" * 10_000, f"{RELAY}; dmarc", f"{RELAY}; =;=;=", f"{RELAY}; dmarc=\x00\xff"])
def test_a_field_that_is_none_says_nothing(value: str) -> None:
    assert "sender_confirmed" not in relayed(value)


def test_flags_come_from_results() -> None:
    assert flags({}) == ()
    assert flags({"dkim": "pass"}, aligned=True) == ("dkim_pass", "sender_confirmed")
    assert flags({"dkim": "pass"}, aligned=False) == ("dkim_pass",)


# Through the listener, a worker and the desk.


def channel(**more: Any) -> EmailSmtp:
    return EmailSmtp("mail", EmailSettings(port=0, addresses=("report@gateway.test",), **more), FakeServices())


async def test_nobody_is_asked_before_the_receipt(dns: DnsServer) -> None:
    made, intake = channel(dns_servers=(dns.address,)), FakeIntake()
    await made.start(intake)
    talk = await begin(made.ports[0], "report@gateway.test", sender=f"clerk@{DOMAIN}")
    await talk.say("DATA")
    assert (await talk.say(signed(mail()) + b".")).startswith("250")
    talk.close()
    await made.stop()
    made.read(intake.messages[0])
    assert dns.asked == []
    assert made.vouches and not channel().vouches, "off where no resolver is named"
    assert "dkim_pass" in made.vouch(intake.messages[0])
    assert dns.asked


def test_a_login_and_a_relay_are_told_as_the_mail_is_read() -> None:
    body = f"Authentication-Results: {RELAY}; dmarc=pass header.from={DOMAIN}\r\n".encode() + mail()
    raw = RawMessage(channel="email", via="mail", received_at=NOW, sender="x@y.test", body=body, content_type="message/rfc822",
                     meta={"account": "relay"})  # fmt: skip
    assert channel(authserv_ids=(RELAY,)).read(raw).flags == ("dmarc_pass", "sender_confirmed", "sender_logged_in")
    assert channel().read(raw).flags == ("sender_logged_in",)
    box = EmailImap("box", EmailImap.Settings(host="h", username="u", password="p", authserv_ids=(RELAY,)))
    assert "sender_confirmed" in box.read(raw).flags


@pytest_asyncio.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    made = Office(tmp_path)
    pool = WorkerPool("parse", 1, 1024, 8.0)
    made.desk._pools = {"parse": pool}
    made.desk.start()
    yield made
    await made.desk.stop(2)
    await pool.stop()
    made.store.close()


async def _taken(office: Office, made: EmailSmtp, body: bytes, sender: str, peer: str) -> tuple[Any, list[dict[str, Any]]]:
    office.desk._channels = {"mail": made}
    raw = RawMessage(channel="email", via="mail", received_at=office.at, sender=sender, body=body, content_type="message/rfc822",
                     meta={"peer": peer, "helo": "mx.example"})  # fmt: skip
    accepted = office.store.write_now(lambda tx: take_in(tx, raw, office.at, 3600))
    office.desk.wake()
    (row,) = await office.taken(accepted.id)
    events = [entry.event for entry in office.store.read_now(journal.entries)]
    told = [event.data for event in events if event.event in ("registered", "attached") and event.message == accepted.id]
    return row, told


async def test_a_forged_report_is_reported_with_the_doubt_and_a_true_one_without(office: Office, dns: DnsServer) -> None:
    made = channel(dns_servers=(dns.address,))
    row, told = await _taken(office, made, mail(), f"clerk@{DOMAIN}", "9.9.9.9")
    assert row.state in ("read", "needs_person") and row.incident, "never a reason to lose it"
    assert told[0]["verified"] is False
    assert set(told[0]["evidence"]) == {"spf_fail", "dmarc_fail", "sender_doubtful"}
    incident = office.incident(row)
    assert incident.items, "the doubt takes no item away"
    assert any("SPF" in doubt.because for doubt in incident.review)
    assert office.out(row.incident), "and it is on its way"

    row, told = await _taken(office, made, signed(mail(words=CRASH.replace("清水湾", "新华"))), f"clerk@{DOMAIN}", OUTSIDE)
    assert "sender_confirmed" in told[0]["evidence"] and "sender_doubtful" not in told[0]["evidence"]
    assert not any("SPF" in doubt.because for doubt in office.incident(row).review)


async def test_a_registered_sender_that_may_be_forged_is_not_verified(office: Office) -> None:
    made, known = channel(authserv_ids=(RELAY,)), "baishui-office@gateway.test"
    verdicts = []
    for result, place in (("pass", "新华"), ("fail", "解放")):
        body = f"Authentication-Results: {RELAY}; dmarc={result} header.from=gateway.test\r\n".encode()
        _row, told = await _taken(office, made, body + mail(words=CRASH.replace("清水湾", place)), known, "10.0.0.1")
        verdicts.append(told[0]["verified"])
    assert verdicts == [True, False]


async def test_a_dead_resolver_holds_up_no_report(office: Office, dns: DnsServer) -> None:
    dns.mode = "silent"
    row, told = await _taken(office, channel(dns_servers=(dns.address,), dns_seconds=0.3), mail(), f"clerk@{DOMAIN}", OUTSIDE)
    assert row.incident and "sender_doubtful" not in told[0].get("evidence", [])


async def test_vouching_that_hangs_or_fails_costs_only_the_evidence(office: Office, dns: DnsServer) -> None:
    office.desk._pools["parse"].seconds = 1.5  # type: ignore[index]
    made = Hanging("mail", channel(dns_servers=(dns.address,)).settings, None)
    row, _told = await _taken(office, made, mail(), f"clerk@{DOMAIN}", OUTSIDE)
    assert row.state in ("read", "needs_person") and office.incident(row).items
