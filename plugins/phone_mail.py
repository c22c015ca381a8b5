"""Voicemail (电话留言) that a telephone exchange sends as mail to an address of its own: Asterisk, FreeSWITCH.

The recording is always kept. Where a transcript came along it is the text; without one a person must listen. The mail comes in
through the listener of the channel named in ``listener``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec.structs import replace

from gateway.api import Channel, Field, Message, RawMessage, Settings, hookimpl
from gateway_plugins.mailtext import read_mail
from gateway_plugins.phone import voicemail
from gateway_plugins.smtpin.guest import GuestChannel


class PhoneMailSettings(Settings):
    """``[channel.NAME]`` with ``kind = "phone_mail"``."""

    listener: str = Field("mail", description="the email_smtp channel whose listener takes the mail")
    addresses: tuple[str, ...] = Field(description="the recipients whose mail is taken as voicemail")
    forms: dict[str, voicemail.VoiceForm] = Field({}, description="what mails of telephone exchanges look like, by name")


class PhoneMail(GuestChannel):
    """Takes addresses on another channel's listener."""

    kind: ClassVar[str] = "phone_mail"
    channel: ClassVar[Channel] = "phone"
    reads_in: ClassVar[Literal["parse"]] = "parse"
    Settings = PhoneMailSettings
    settings: PhoneMailSettings

    def read(self, raw: RawMessage) -> Message:
        """The transcript, with the recording kept. What the exchange itself writes is beside it, as quoted text."""
        mail = read_mail(raw.body)
        heard = voicemail.read(raw.body, mail, self.settings.forms)
        recordings = sum(voicemail.is_audio(file) for file in mail.attachments)
        why = [one for one in (mail.unread or "").split("; ") if one and not one.startswith("attachment not read")]
        if not heard.text:
            why.append(f"recording not transcribed: {recordings}" if recordings else "voicemail without a recording")
        return replace(
            mail,
            text=heard.text,
            quoted="\n".join(text for text in (mail.text, mail.quoted) if text and text != heard.text),
            automatic=False,
            bulk=False,
            sender=heard.caller,
            unread="; ".join(why) or None,
            flags=(*mail.flags, *(("machine_transcript",) if heard.text else ())),
        )


@hookimpl
def channels() -> list[type[PhoneMail]]:
    """The channel of this plugin."""
    return [PhoneMail]
