"""What the harness lends: a clock, a carrier, an intake, a directory, a mail server."""

from __future__ import annotations

import smtplib
from datetime import UTC, datetime, timedelta

import pytest

from gateway.api import Delivered, RawMessage, Refused, StorageTrouble, TryLater
from gateway.core.directory import Directory
from gateway.testing import (
    MailSink,
    MemoryCarrier,
    MemoryClock,
    MemoryIntake,
    MemoryServices,
    check_transport,
    example_calendar,
    memory_directory,
    sample_delivery,
    sample_incident,
)
from gateway_plugins.to_mail import MailSettings, ToMail
from gateway_plugins.to_sms import ToSms, ToSmsSettings


def test_the_clock_goes_on_when_told_and_never_back() -> None:
    clock = MemoryClock(datetime(2026, 3, 6, tzinfo=UTC))
    services = MemoryServices(clock=clock)
    assert services.now() == services.now() == clock.at
    assert clock.advance(90, minutes=1, hours=1) == datetime(2026, 3, 6, 1, 2, 30, tzinfo=UTC)
    assert services.now() == clock.at
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="offset"):
        MemoryClock(datetime(2026, 3, 6))
    assert MemoryServices().now().utcoffset() == timedelta(0)


async def test_the_carrier_takes_parts_and_answers_what_it_is_told() -> None:
    carrier = MemoryCarrier(answers=[TryLater("busy"), Delivered(), Refused("no")])
    outcomes = [await carrier.submit("+861", b"x", encoding="gsm", udh=b"", receipt=True) for _ in range(4)]
    assert outcomes == [TryLater("busy"), Delivered(("0000000001",)), Refused("no"), Delivered(("0000000002",))]
    receipt = carrier.receipt_of(carrier.parts[0], "sms", delivered=False)
    assert (receipt.via, receipt.ref, receipt.state) == ("sms", "0000000001", "failed")


async def test_the_bundled_sms_transport_on_the_memory_carrier() -> None:
    carrier = MemoryCarrier()

    async def be(mode: str) -> None:
        carrier.answers = {"later": [TryLater("busy")], "refuse": [Refused("no")]}.get(mode, [])

    await check_transport(
        ToSms, ToSmsSettings(carrier="sms"), peer=be, received=lambda: len(carrier.parts), address="13900000021",
        services=MemoryServices(channels={"sms": carrier}), modes=("ok", "later", "refuse"),
    )  # fmt: skip


async def test_the_mail_sink_is_a_real_server() -> None:
    sink = MailSink(answer="451 4.3.0 busy")
    settings = MailSettings(port=await sink.start(), from_address="a@gateway.test", security="none")
    try:
        transport = ToMail("mail", settings)
        assert isinstance(await transport.send(sample_delivery()), TryLater)
        sink.answer = None
        assert isinstance(await transport.send(sample_delivery()), Delivered)
        assert [mail.header("X-Gateway-Delivery") for mail in sink.mails] == [sample_delivery().id]
    finally:
        await sink.stop()
    with pytest.raises(OSError):
        smtplib.SMTP("127.0.0.1", settings.port, timeout=1)


async def test_the_intake_links_a_repeat_and_fails_when_told() -> None:
    intake = MemoryIntake()
    raw = RawMessage(channel="sms", via="x", received_at=MemoryClock()(), sender="", body=b"a", content_type="text/plain")
    first, second = await intake.accept(raw), await intake.accept(raw)
    assert (first.duplicate_of, second.duplicate_of) == (None, first.id)
    intake.trouble = True
    with pytest.raises(StorageTrouble):
        await intake.accept(raw)
    assert len(intake.accepted) == 2


def test_the_directory_knows_its_offices_by_id_and_name() -> None:
    directory = memory_directory()
    assert isinstance(directory, Directory)
    assert directory.name("government_duty_room") == "市政府值班室"
    assert directory.office("市公安局") in directory.departments()
    assert all(office.ways and office.persons for office in directory.offices)
    assert directory.unit("138 0000 0002") is None
    assert directory.unit("+8613800000002") is not None
    own = memory_directory(["harbour_office"], ways=["hook"], cleared=())
    assert [(o.id, o.name, o.ways[0].transport, o.cleared) for o in own.offices] == [
        ("harbour_office", "harbour_office", "hook", ())
    ]


def test_the_calendar_is_half_open() -> None:
    calendar = example_calendar()
    zone = calendar.moment(datetime(2026, 3, 6, tzinfo=UTC)).local.tzinfo
    for hour, minute, working in ((8, 29, False), (8, 30, True), (11, 59, True), (12, 0, False), (14, 30, True), (18, 0, False)):
        assert calendar.moment(datetime(2026, 3, 6, hour, minute, tzinfo=zone)).working is working
    assert sample_incident(sensitive=True).sensitive
