"""The octets of a mail → ``Message``. Any octets give a message: what could not be read is said in ``unread``."""

from __future__ import annotations

import re

from msgspec import Struct, field

from gateway.api import Attachment, Message
from gateway_plugins.mailtext import documents, html, quote, tree
from gateway_plugins.mailtext import headers as h
from gateway_plugins.mailtext.charset import codec_of, decode
from gateway_plugins.mailtext.limits import Limits

_PLACEHOLDER = re.compile(
    r"html|不支持.{0,10}(?:显示|查看)|无法显示|纯文本|this (?:is|message).{0,40}(?:multi-?part|mime)"
    r"|view (?:it|this).{0,30}browser",
    re.I,
)
_PLACEHOLDER_CHARS = 200
_AUTO_SUBJECT = re.compile(
    r"^\s*(?:自动回复|自动答复|系统自动|automatic reply|auto(?:matic)?[- ]?(?:reply|response)|out of office|自动转发通知)", re.I
)
_SIGNATURES = (
    "application/pgp-signature",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "application/pgp-keys",
)
_READ_AS_TEXT = ("application/json", "application/xml", "message/delivery-status", "message/disposition-notification")
_LOGO_BYTES = 10 * 1024
_CONTROL_SHARE = 0.1


class Found(Struct):
    """What a walk over the parts has gathered."""

    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    nested: list[Message] = field(default_factory=list)
    unread: int = 0


def read_mail(data: bytes, limits: Limits | None = None) -> Message:
    """The mail as a message. Never an exception; see the limits for what is looked at."""
    budget = tree.Budget(limits or Limits())
    root = tree.parse(data, budget)
    return _message(root, budget, whole=True)


def _message(root: tree.Part, budget: tree.Budget, *, whole: bool) -> Message:
    fields = root.headers
    subject = _header_text(fields.raw("subject"), budget)
    found = Found()
    _gather(root, found, budget, related=False, root=True)
    body = _body(found, budget)
    if _binary(body):
        budget.reach("the content is not text")
        body = ""
    cut = quote.split(body, subject)
    text, quoted, forwarded = cut.newest, cut.quoted, cut.forwarded
    if not text.strip() and found.nested:
        text, quoted, forwarded = found.nested[0].text, found.nested[0].quoted, True
    if forwarded:
        budget.flag("forwarded")
    return Message(
        text=text.replace(html.QUOTE_MARK, ""),
        subject=subject,
        quoted=quoted.replace(html.QUOTE_MARK, ""),
        attachments=tuple(found.attachments),
        message_id=h.message_id(fields.raw("message-id")),
        in_reply_to=next(iter(h.message_ids(fields.raw("in-reply-to"))), None),
        references=h.message_ids(fields.raw("references"))[-50:],
        automatic=_automatic(fields, subject, root.kind),
        bulk=_bulk(fields),
        sent_at=h.date(fields.raw("date")),
        unread=_unread(found, budget),
        flags=tuple(budget.flags) if whole else (),
    )


def _gather(part: tree.Part, found: Found, budget: tree.Budget, *, related: bool, root: bool = False) -> None:
    """Sort what is below ``part`` into body texts and attachments."""
    name = _name(part, budget)
    if part.kind.startswith("multipart/") and part.children:
        if part.kind == "multipart/alternative":
            _alternative(part, found, budget)
            return
        for child in part.children:
            _gather(child, found, budget, related=related or part.kind == "multipart/related")
    elif part.kind.startswith("message/") and part.children:
        _nested(part, name, found, budget)
    elif part.kind in ("text/plain", "text/html") and part.disposition != "attachment" and (root or not name):
        text = _text(part, budget)
        (found.html if part.kind == "text/html" else found.plain).append(text)
    else:
        _attachment(part, name, found, budget, related)


def _alternative(part: tree.Part, found: Found, budget: tree.Budget) -> None:
    """Two forms of one text: the plain one unless it is empty, a mere placeholder or much shorter."""
    inner = Found()
    for child in part.children:
        _gather(child, inner, budget, related=True)
    plain = "\n".join(inner.plain).strip()
    rich = "\n".join(html.to_text(source) for source in inner.html).strip()
    if rich and _poor(plain, rich):
        found.html.extend(inner.html)
    elif plain:
        found.plain.append(plain)
    found.attachments.extend(inner.attachments)
    found.nested.extend(inner.nested)
    found.unread += inner.unread


def _poor(plain: str, rich: str) -> bool:
    """Whether the plain form does not hold what the HTML form says."""
    bare = quote.split(rich).newest
    if not plain or (len(plain) <= _PLACEHOLDER_CHARS and _PLACEHOLDER.search(plain) and len(bare) > len(plain) // 2):
        return True
    return len(plain) < 0.3 * len(bare) and len(bare) - len(plain) > 40


def _body(found: Found, budget: tree.Budget) -> str:
    rich = [html.to_text(source) for source in found.html]
    if rich and not any(text.strip() for text in found.plain):
        budget.flag("html_only")
    return "\n".join(text for text in [*found.plain, *rich] if text.strip())


def _text(part: tree.Part, budget: tree.Budget) -> str:
    """The text of a part in whatever charset it turns out to be, within the limit."""
    octets = tree.transfer_decoded(part, budget)
    label = part.params.get("charset", b"").decode("latin-1") or None
    if part.kind == "text/html" and codec_of(label) is None:
        label = _meta_charset(octets) or label
    done = decode(octets, label)
    if (done.repaired or _binary(done.text)) and (head := tree.first_encoded(part)) is not None:
        # A list or a scanner has put something behind the encoded text; the text before it is one all the same.
        before = decode(head, label)
        if not before.repaired and not _binary(before.text):
            done = before
            budget.reach("what follows the encoded text is not text")
    if done.repaired:
        budget.flag("charset_repaired")
    if len(done.text) > budget.limits.text_chars:
        budget.reach(f"a text over {budget.limits.text_chars} characters")
    return done.text[: budget.limits.text_chars]


def _meta_charset(octets: bytes) -> str | None:
    found = re.search(rb"charset\s{0,5}=\s{0,5}[\"']?([\w-]{2,40})", octets[:4096], re.I)
    return found[1].decode("ascii") if found else None


def _nested(part: tree.Part, name: str, found: Found, budget: tree.Budget) -> None:
    """A mail within the mail: an attachment with a text, and the text itself should the outer mail have none."""
    inner = _message(part.children[0], budget, whole=False)
    found.nested.append(inner)
    title = name or f"{inner.subject or 'message'}.eml"
    text = "\n".join(piece for piece in (inner.subject, inner.text, inner.quoted) if piece)
    found.attachments.append(Attachment(name=title, content_type="message/rfc822", data=part.content, text=text))
    found.attachments.extend(inner.attachments)
    found.unread += sum(1 for attachment in inner.attachments if attachment.text is None)


def _attachment(part: tree.Part, name: str, found: Found, budget: tree.Budget, related: bool) -> None:
    if part.kind.startswith("text/") or part.kind in _READ_AS_TEXT:
        octets = tree.transfer_decoded(part, budget)
        text = _text(part, budget)
        shown = html.to_text(text) if part.kind == "text/html" else text
        binary = _binary(shown)
        found.unread += binary
        found.attachments.append(Attachment(name=name, content_type=part.kind, data=octets, text=None if binary else shown))
        return
    octets = tree.transfer_decoded(part, budget)
    document = documents.text_of(octets, name, part.kind)
    if document is not None and document.strip():
        found.attachments.append(Attachment(name=name, content_type=part.kind, data=octets, text=document))
        return
    if part.kind == "application/octet-stream" and name.lower().endswith(".txt"):
        # Mail programs of phones send every file as octets; what its name calls a text is one.
        done = decode(octets, None)
        if not _binary(done.text):
            plain = done.text[: budget.limits.text_chars]
            found.attachments.append(Attachment(name=name, content_type=part.kind, data=octets, text=plain))
            return
    found.attachments.append(Attachment(name=name, content_type=part.kind, data=octets))
    logo = related and part.kind.startswith("image/") and part.disposition != "attachment" and len(octets) <= _LOGO_BYTES
    # A container that was not opened has been said already, as the limit it reached.
    container = part.kind.startswith(("multipart/", "message/"))
    if not logo and not container and part.kind not in _SIGNATURES and (octets or name):
        found.unread += 1


def _name(part: tree.Part, budget: tree.Budget) -> str:
    done = h.file_name(part.disposition_params, part.params)
    if done.repaired:
        budget.flag("charset_repaired")
    return done.text


def _header_text(value: bytes, budget: tree.Budget) -> str:
    done = h.text(value)
    if done.repaired:
        budget.flag("charset_repaired")
    return done.text


def _unread(found: Found, budget: tree.Budget) -> str | None:
    reasons = list(budget.reached)
    if found.unread:
        reasons.append(f"attachment not read: {found.unread}")
    return "; ".join(reasons) or None


def _binary(text: str) -> bool:
    """Whether this is no text at all: control characters or holes where letters should be."""
    sample = text[:4000]
    odd = sum(1 for c in sample if (c < " " and c not in "\t\n\r\x0b\x0c\x1b") or c in "�\x7f")
    return odd > max(8, _CONTROL_SHARE * len(sample))


def _automatic(fields: h.Headers, subject: str, kind: str) -> bool:
    """Answers of machines (RFC 3834 and what came before it)."""
    if fields.word("auto-submitted").partition(";")[0].strip() not in ("", "no"):
        return True
    if fields.has("x-autoreply") or fields.has("x-autorespond") or fields.word("precedence") in ("auto_reply", "auto-reply"):
        return True
    return kind == "multipart/report" or bool(_AUTO_SUBJECT.match(subject))


def _bulk(fields: h.Headers) -> bool:
    return fields.word("precedence") in ("bulk", "list", "junk") or fields.has("list-id") or fields.has("list-unsubscribe")
