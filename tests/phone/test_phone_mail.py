"""Voicemail as mail, as Asterisk and FreeSWITCH write it."""

from __future__ import annotations

import asyncio
import json
import smtplib
import tomllib
from email.message import EmailMessage
from pathlib import Path

import pytest

from gateway.api import Message, RawMessage
from gateway.testing import MemoryIntake, MemoryServices
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.phone_mail import PhoneMail, PhoneMailSettings
from tests.channel_fakes import NOW

CONF = Path(__file__).parents[2] / "conf" / "channels.d" / "phone.toml"
FORMS = tomllib.loads(CONF.read_text(encoding="utf-8"))["channel"]["voicemail"]["forms"]
ADDRESS = "voicemail@gateway.test"
SOUND = b"RIFF$\x00\x00\x00WAVEfmt " + bytes(range(256)) * 20
ASTERISK = """Dear duty:

	Just wanted to let you know you were just left a 0:21 long message (number 3)
in mailbox 8820 from "SHIQIAO" <09998811004>, on Monday, November 23, 2026 at 09:21:30 AM so you might
want to check it when you get a chance.  Thanks!

				--Asterisk
"""


def mail(subject: str, text: str, *files: tuple[str, str, bytes], **headers: str) -> bytes:
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "pbx@pbx.test", ADDRESS
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    for name, kind, data in files or (("msg0002.WAV", "audio/x-wav", SOUND),):
        main, _, sub = kind.partition("/")
        made.add_attachment(data, maintype=main, subtype=sub, filename=name)
    return made.as_bytes()


def read(body: bytes) -> Message:
    raw = RawMessage(
        channel="phone", via="voicemail", received_at=NOW, sender="pbx@pbx.test", body=body, content_type="message/rfc822"
    )
    return PhoneMail("voicemail", PhoneMailSettings(addresses=(ADDRESS,), forms=FORMS)).read(raw)


def test_asterisk_without_a_transcript_needs_a_person_and_keeps_the_recording() -> None:
    message = read(mail("[PBX]: New message 3 in mailbox 8820", ASTERISK))
    assert (message.text, message.sender, message.unread) == ("", "09998811004", "recording not transcribed: 1")
    assert [(file.name, file.data) for file in message.attachments] == [("msg0002.WAV", SOUND)]
    assert "left a 0:21 long message" in message.quoted, "what the exchange says is beside it and is no report"
    assert not message.automatic


def test_asterisks_own_fields_come_first() -> None:
    body = mail("[PBX]: New message", ASTERISK, X_Asterisk_VM_Caller_ID_Num="09997000110", X_Asterisk_VM_Duration="21")
    assert read(body).sender == "09997000110"


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Voicemail from SHIQIAO 09998811004", "21 second Voicemail from SHIQIAO 09998811004"),
        ('Voicemail from "SHIQIAO" <09998811004> 00:00:21', "x"),
    ],
)
def test_freeswitch(subject: str, text: str) -> None:
    message = read(mail(subject, text, X_Voicemail_Length="21"))
    assert (message.sender, message.unread) == ("09998811004", "recording not transcribed: 1")


FUNASR = json.dumps([{"key": "msg0002", "text": "河湾村塌方，两人被埋。"}]).encode()


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("msg0002.json", "application/json", FUNASR),
        ("msg0002.txt", "text/plain", "河湾村塌方，两人被埋。".encode()),
        ("msg0002.vtt", "text/vtt", "WEBVTT\n\n00:00.000 --> 00:09.000\n河湾村塌方，两人被埋。\n".encode()),
        ("msg0002.srt", "application/octet-stream", "1\n00:00:00,000 --> 00:00:09,000\n河湾村塌方，两人被埋。\n".encode()),
    ],
)
def test_a_transcript_beside_the_recording_is_the_text(name: str, kind: str, data: bytes) -> None:
    message = read(mail("[PBX]: New message 3", ASTERISK, ("msg0002.wav", "audio/x-wav", SOUND), (name, kind, data)))
    assert (message.text, message.unread, message.sender) == ("河湾村塌方，两人被埋。", None, "09998811004")
    assert "machine_transcript" in message.flags
    assert message.attachments[0].data == SOUND


def test_a_transcript_that_a_script_wrote_into_the_text() -> None:
    message = read(mail("[PBX]: New message 3", ASTERISK + "\nTranscription: 河湾村塌方，\n两人被埋。\n"))
    assert message.text == "河湾村塌方，\n两人被埋。"
    assert message.unread is None


def test_mail_without_a_recording_is_said() -> None:
    made = EmailMessage()
    made.set_content("mailbox full")
    assert read(made.as_bytes()).unread == "voicemail without a recording"


async def test_through_the_listener_and_an_hour_without_storage() -> None:
    intake, services = MemoryIntake(), MemoryServices(max_bytes=1_000_000)
    listener = EmailSmtp("mail", EmailSettings(port=0, addresses=("report@gateway.test",)), services)
    services.channels["mail"] = listener
    channel = PhoneMail("voicemail", PhoneMailSettings(addresses=(ADDRESS,), forms=FORMS), services)
    await channel.start(intake)
    await listener.start(intake)
    bodies = [mail(f"[PBX]: New message {n}", ASTERISK.replace("number 3", f"number {n}")) for n in range(3)]

    def offer(body: bytes) -> int:
        with smtplib.SMTP("127.0.0.1", listener.ports[0], timeout=10) as session:
            session.ehlo()
            session.mail("pbx@pbx.test")
            assert session.rcpt(ADDRESS)[0] == 250
            return session.data(body)[0]

    try:
        intake.trouble = True
        for _quarter in range(4):
            assert {await asyncio.to_thread(offer, body) for body in bodies} == {451}
        assert intake.accepted == []
        intake.trouble = False
        assert {await asyncio.to_thread(offer, body) for body in bodies} == {250}
        assert [(raw.channel, raw.via) for raw in intake.accepted] == [("phone", "voicemail")] * 3
        assert await asyncio.to_thread(offer, bodies[0]) == 250, "the answer was lost and the mail comes again"
        assert intake.accepted[-1].body == intake.accepted[0].body
    finally:
        await channel.stop()
        await listener.stop()
    assert channel.health().state == "down"
