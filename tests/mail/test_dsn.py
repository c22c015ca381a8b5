"""Reports of mail servers on our own mail: what is a receipt, what stays a mail; and an office's answer that finds its incident."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Receipt
from gateway.core.model import Message
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.mailtext import dsn
from tests.channel_fakes import FakeIntake, FakeServices
from tests.mail.test_email_smtp import begin
from tests.test_desk import CRASH, Office

ID = "01KK0DZ1807FBC2NAPNW06B4BE"


def report(envid: str = f"{ID}.2.1", *actions: str, headers: str = f"X-Gateway-Delivery: {ID}\r\n") -> bytes:
    recipients = "".join(f"Final-Recipient: rfc822; o@gateway.test\r\nAction: {one}\r\nStatus: 5.1.1\r\n\r\n" for one in actions or ("failed",))
    named = f"Original-Envelope-Id: {envid}\r\n" if envid else ""
    return (
        "From: MAILER-DAEMON@mx.test\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\n\r\nYour mail could not be delivered.\r\n"
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n{named}\r\n{recipients}"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{headers}Subject: x\r\n\r\n--b--\r\n"
    ).encode()


def test_a_failure_and_an_arrival_of_ours() -> None:
    assert dsn.receipts(report(), "mail") == [Receipt(via="mail", ref=f"{ID}.2.1", state="failed", detail="5.1.1")]
    assert dsn.receipts(report(f"{ID}.2.1", "delivered"), "mail")[0].state == "delivered"
    assert dsn.receipts(report(f"{ID}.2.2", "failed", "failed"), "mail")[0].state == "failed", "both addresses"


def test_without_an_envelope_id_our_own_header_names_it() -> None:
    assert dsn.receipts(report(""), "mail")[0].ref == ID


@pytest.mark.parametrize(
    "body",
    [
        report("", headers=""), report("somebody-elses-id", headers=""), report(f"{ID}.2.1", "delayed"), report(f"{ID}.2.1", "relayed"),
        report(f"{ID}.2.2", "failed"), report(f"{ID}.2.2", "failed", "delivered"), report().replace(b"multipart/report", b"multipart/mixed"),
        b"Subject: delivery-status\r\n\r\nX-Gateway-Delivery: x\r\n", b"", report() + b"x" * dsn.MOST_BYTES,
    ],
)  # fmt: skip
def test_everything_else_stays_a_mail(body: bytes) -> None:
    assert dsn.receipts(body, "mail") == []


@given(st.binary(max_size=400), st.integers(0, 900), st.integers(0, 60))
def test_damage_breaks_nothing(more: bytes, at: int, gone: int) -> None:
    body = report()
    dsn.receipts(body[:at] + more + body[at + gone :], "mail")


async def test_only_a_mail_without_sender_is_taken_for_a_report() -> None:
    class Intake(FakeIntake):
        receipts: list[Receipt] = []

        async def receipt(self, receipt: Receipt) -> None:
            self.receipts.append(receipt)

    channel, intake = EmailSmtp("mail", EmailSettings(port=0, addresses=("gateway@gateway.test",)), FakeServices()), Intake()
    await channel.start(intake)
    for sender in ("thief@example.test", ""):
        talk = await begin(channel.ports[0], "gateway@gateway.test", sender=sender)
        await talk.say("DATA")
        assert (await talk.say(report() + b".")).startswith("250 2.0.0")
        talk.close()
    await channel.stop()
    assert len(intake.messages) == 1 and len(intake.receipts) == 1


async def test_an_answer_to_our_mail_joins_its_incident(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.desk.start()
    try:
        (row,) = await office.taken(office.accept(CRASH))
        ours = office.out(row.incident)[0]
        answer = Message(text="现场已处置完毕，道路恢复通行。", subject="回复", in_reply_to=f"<{ours.id}@gateway.test>")
        (joined,) = await office.taken(office.accept(answer, channel="email", sender="police@gateway.test"))
        stranger = Message(text="现场已处置完毕，道路恢复通行。", subject="回复", in_reply_to="<nothing-of-ours@gateway.test>")
        (apart,) = await office.taken(office.accept(stranger, channel="email", sender="other@gateway.test"))
    finally:
        await office.desk.stop(2)
        office.store.close()
    assert joined.incident == row.incident
    assert apart.incident != row.incident
