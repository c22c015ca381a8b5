"""What the desk needs of a message that was read: texts of a bounded length, digests in place of files, and its marking.

A mail of 25 MiB may hold as much text; all of it is searched for a marking, no more than ``chars`` of it go on. It is made in the
worker that read the message, so that no large file ever comes into the daemon. Pure.
"""

from __future__ import annotations

import hashlib

import msgspec

from gateway import reading
from gateway.core.model import Attachment, Message

CUT = "text_cut"
"""The remark on a message whose texts are longer than what goes on."""


class Gist(msgspec.Struct, frozen=True, kw_only=True):
    """A message without its files, and the highest marking in any text of it."""

    message: Message
    marking: str | None = None


def of(message: Message, chars: int) -> Gist:
    """``message`` with at most ``chars`` code points in its text, in what it quotes, and in all its files together. What was cut
    off is said in ``unread``: then a person looks at the original."""
    marking = reading.find_marking(texts(message))
    text, quoted = message.text[:chars], message.quoted[:chars]
    left, cut = chars, len(message.text) > chars or len(message.quoted) > chars
    attachments = []
    for one in message.attachments:
        kept = None if one.text is None else one.text[: max(0, left)]
        cut = cut or (one.text is not None and kept != one.text)
        left -= len(kept or "")
        attachments.append(msgspec.structs.replace(one, data=b"", digest=digest(one), text=kept))
    unread, flags = message.unread, message.flags
    if cut:
        said = unread is not None and "a text over" in unread
        unread = unread if said else "; ".join(why for why in (unread, f"a text over {chars} characters") if why)
        flags = (*flags, CUT) if CUT not in flags else flags
    made = msgspec.structs.replace(message, text=text, quoted=quoted, attachments=tuple(attachments), unread=unread, flags=flags)
    return Gist(message=made, marking=marking)


def texts(message: Message) -> list[str]:
    """Every text in which a marking may stand."""
    found = [message.subject, message.text, message.quoted]
    for attachment in message.attachments:
        found += [attachment.name, attachment.text or ""]
    return found


def digest(attachment: Attachment) -> str:
    """What tells the content of one file from another (SHA-256, hexadecimal)."""
    return attachment.digest or hashlib.sha256(attachment.data).hexdigest()
