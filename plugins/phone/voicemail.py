"""A mail with a recording: who called, and the transcript where one came along. Pure.

Sources: Asterisk ``app_voicemail`` (``X-Asterisk-VM-…`` fields where it writes them, its default body otherwise), FreeSWITCH
``mod_voicemail`` (``X-Voicemail-Length``, "N second Voicemail from NAME NUMBER"). Both send the recording as an attachment; a
script in between (Asterisk's ``mailcmd``) may add what a recogniser made of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath

from msgspec import Struct

from gateway.api import Attachment, Field, Malformed, Message
from gateway_plugins.mailtext import forms
from gateway_plugins.phone import formats, recognisers

AUDIO = (".wav", ".mp3", ".gsm", ".ogg", ".oga", ".opus", ".amr", ".m4a", ".aac", ".flac", ".au", ".wma")
READ = {".json": formats.JSON, ".vtt": formats.VTT, ".srt": formats.SRT, ".txt": formats.PLAIN}
KINDS = {"application/json": formats.JSON, "text/vtt": formats.VTT, "text/plain": formats.PLAIN, formats.SRT: formats.SRT}


class VoiceForm(forms.Form):
    """``[channel.NAME.forms.FORM]`` of a voicemail channel."""

    caller: tuple[str, ...] = Field((), description="where the caller's number stands; the first that finds one counts")
    transcript: tuple[str, ...] = Field((), description="where in the text the transcript stands, if the machine writes one")


class Heard(Struct, frozen=True):
    """``caller`` as the machine wrote it; ``text`` the transcript, empty where none came."""

    caller: str = ""
    text: str = ""
    form: str = ""


def is_audio(file: Attachment) -> bool:
    """Whether an attachment is a recording."""
    return file.content_type.startswith("audio/") or PurePath(file.name.lower()).suffix in AUDIO


def read(raw: bytes, mail: Message, known: Mapping[str, VoiceForm]) -> Heard:
    """The caller by the first form that is found; the transcript from an attached file, else from the text."""
    whole = forms.lines(raw, mail)
    name, form = next(((name, form) for name, form in known.items() if forms.found(form.when, whole)), ("", None))
    caller = forms.number(forms.first(form.caller, whole), least=3) if form else forms.number(mail.subject)
    attached = "\n".join(text for file in mail.attachments if (text := _transcript(file)))
    return Heard(caller=caller, text=attached or (forms.first(form.transcript, whole) if form else ""), form=name)


def transcript_type(file: Attachment) -> str | None:
    """As what a file that came beside a recording can be read; None for one that is no transcript."""
    return None if is_audio(file) else READ.get(PurePath(file.name.lower()).suffix) or KINDS.get(file.content_type)


def _transcript(file: Attachment) -> str:
    """What such a file says; empty where it cannot be read, or is JSON of no known recogniser."""
    kind = transcript_type(file)
    if kind is None:
        return ""
    try:
        if kind == formats.JSON and not recognisers.known(json.loads(file.data)):
            return ""
        return formats.read(file.data, kind).text
    except (Malformed, ValueError, RecursionError):
        return ""
