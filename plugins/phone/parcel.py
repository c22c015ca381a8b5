"""A transcript with its recording in one request: ``multipart/form-data`` (RFC 7578), as ``curl -F`` sends it. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.api import Attachment, Malformed, Message
from gateway_plugins.mailtext import headers, tree
from gateway_plugins.mailtext.limits import Limits
from gateway_plugins.phone import formats, voicemail

FORM = "multipart/form-data"


def check(body: bytes, content_type: str) -> None:
    """Whether it can be read. Raises ``Malformed`` with where and what; called before a receipt is given."""
    files = _files(body, content_type)
    if not files:
        raise Malformed("body: no parts, or no boundary in Content-Type")
    for file in files:
        if (kind := voicemail.transcript_type(file)) is not None:
            try:
                formats.check(file.data, kind)
            except Malformed as fault:
                raise Malformed(f"part {file.name or '?'}: {fault}") from None


def read(body: bytes, content_type: str) -> Message:
    """The transcripts as the text, everything else as attachments. Raises ``Malformed``."""
    files = _files(body, content_type)
    kept = tuple(file for file in files if voicemail.transcript_type(file) is None)
    heard = [formats.read(file.data, kind) for file in files if (kind := voicemail.transcript_type(file)) is not None]
    text = "\n".join(one.text for one in heard if one.text)
    if not text:
        return Message(text="", attachments=kept, unread=f"recording not transcribed: {len(kept)}" if kept else formats.NO_SPEECH)
    return replace(heard[0], text=text, attachments=kept, unread=None)


def _files(body: bytes, content_type: str) -> list[Attachment]:
    budget = tree.Budget(Limits())
    head = b"Content-Type: " + content_type.encode("latin-1", "replace").replace(b"\r", b"").replace(b"\n", b"")
    root = tree.parse(head + b"\r\n\r\n", budget)
    # Recordings are octets: the parts are cut out of the body as it came, which the reader of mails would make lines of.
    boundary = root.params.get("boundary", b"")
    if not boundary:
        return []
    found: list[Attachment] = []
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        if piece.startswith(b"--"):
            break
        fields, mark, data = piece.partition(b"\r\n\r\n")
        if not mark:
            continue
        part = tree.parse(fields.lstrip(b"\r\n") + b"\r\n\r\n", budget)
        name = headers.file_name(part.disposition_params, part.params).text or part.disposition_params.get("name", b"").decode(
            "utf-8", "replace"
        )
        found.append(Attachment(name=name, content_type=part.kind, data=data))
    return found[: budget.limits.parts]
