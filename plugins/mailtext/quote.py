"""The newest part of a mail and the older text below it, by the marks that clients in use in China put between them.

Outlook (原始邮件, 发件人/发送时间 block), QQ, Foxmail, 163 and 126 (在…写道), Gmail (于…写道), Apple Mail, ``>`` quoting,
forwarded mail.
"""

from __future__ import annotations

import re

from msgspec import Struct

from gateway_plugins.mailtext.html import QUOTE_MARK

_RULE = re.compile(
    r"^[>\s]*[-—_=*]{2,}\s*(?:原始邮件|原邮件|原始信息|原文|回复的?原?邮件|(?P<forward>转发的?(?:原?邮件|信息|消息)(?:信息)?|被转发邮件"
    r"|forwarded (?:message|mail)|begin forwarded message)|original (?:message|mail|email)|reply message)\s*[-—_=*]{2,}\s*$",
    re.I,
)
_BEGIN_FORWARD = re.compile(r"^[>\s]*(?:begin forwarded message|开始转发的邮件|下面是被转发的邮件)\s*[:：]\s*$", re.I)
_FIELD = re.compile(
    r"^[>\s*]*(发\s?件\s?人|发\s?送\s?时\s?间|发送日期|日\s?期|时\s?间|收\s?件\s?人|抄\s?送|主\s?题|from|sent|date|to|cc|subject)\s?[*]?\s*[:：]",
    re.I,
)
_FROM = re.compile(r"^[>\s*]*(?:发\s?件\s?人|from)\s?[*]?\s*[:：]", re.I)
_SAID = re.compile(r"(?:写道|wrote)\s*[:：]\s*$", re.I)
_DATED = re.compile(r"\d{4}\s?[-/.年]\s?\d{1,2}\s?[-/.月]\s?\d{1,2}|\d{1,2}\s\w{3,9}\.?,?\s\d{4}|\w{3,9}\s\d{1,2},?\s\d{4}")
_SENDER = re.compile(r"[<\[(（]?[\w.+-]{1,64}@[\w.-]{1,255}|\d{1,2}[:：时]\d{2}")
_FORWARD_SUBJECT = re.compile(r"^\s*(?:转发|转|fw|fwd)\s*[:：]", re.I)
_WORD = re.compile(r"[\w\u4e00-\u9fff]")
COVER_CHARS = 30
_LOOK_AHEAD = 6
_ATTRIBUTION_LINES = 3
_LINE_CHARS = 500
_SENTENCE_END = ("。", "！", "？", "；", "!", "?", ";")


class Cut(Struct, frozen=True):
    """``newest`` is what the sender wrote now; ``forwarded`` says that it is somebody else's text passed on."""

    newest: str
    quoted: str = ""
    forwarded: bool = False


def split(text: str, subject: str = "") -> Cut:
    """Cut ``text`` at the first mark. A forward without a report of its own keeps what it forwards as its text."""
    lines = text.split("\n")
    found = _mark(lines)
    if found is None:
        return Cut(_trim(lines))
    at, after, forward = found
    own, rest = lines[:at], lines[after:]
    kept, quoted = _without_angles(rest) if _angled(rest) else ([], rest)
    newest = _trim([*own, *kept])
    forward = forward or bool(_FORWARD_SUBJECT.match(subject))
    if not _WORD.search(newest) or (forward and _cover(newest)):
        return _forwarded(newest, [line for line in quoted if line.strip() != QUOTE_MARK])
    return Cut(newest, _trim([line for line in quoted if line.strip() != QUOTE_MARK]))


def _forwarded(cover: str, lines: list[str]) -> Cut:
    """The text passed on, without its header block; what it quotes in its turn stays quoted."""
    body = _unangled(lines)
    at = 0
    while at < len(body) and (not body[at].strip() or _FIELD.match(body[at]) or _RULE.match(body[at])):
        at += 1
    inner = body[at:]
    found = _mark(inner)
    newest, older = (inner, []) if found is None else (inner[: found[0]], inner[found[1] :])
    if not _WORD.search("".join(newest)):
        newest, older = inner, []
    text = _trim(newest)
    return Cut(f"{cover}\n{text}" if _WORD.search(cover) else text, _trim(older), forwarded=True)


def _cover(text: str) -> bool:
    """A word to go with a forward (请阅, FYI): short and without a figure."""
    return len(text) <= COVER_CHARS and not re.search(r"[\d一二三四五六七八九十百]", text)


def _mark(lines: list[str]) -> tuple[int, int, bool] | None:
    """Where own text ends, where older text begins, and whether the mark is one of forwarding."""
    for index, long_line in enumerate(lines):
        line = long_line[:_LINE_CHARS]
        if line.strip() == QUOTE_MARK:
            return _before(lines, index), index + 1, False
        if (rule := _RULE.match(line)) is not None:
            return index, index + 1, rule["forward"] is not None
        if _BEGIN_FORWARD.match(line):
            return index, index + 1, True
        if _FROM.match(line) and _block(lines, index):
            return index, index, False
        if (after := _attribution(lines, index)) is not None:
            return index, after, False
        if line.startswith(">") and index + 1 < len(lines) and lines[index + 1].startswith(">"):
            return index, index, False
    return None


def _before(lines: list[str], at: int) -> int:
    """An attribution line (…写道：) just above an HTML mark belongs to the older text."""
    for back in range(at - 1, max(at - 1 - _ATTRIBUTION_LINES, -1), -1):
        if lines[back].strip():
            return back if _attribution(lines, back) is not None else at
    return at


def _block(lines: list[str], at: int) -> bool:
    """Whether a header block of an older mail begins here: sender, then at least two of time, recipient, subject."""
    fields = [line for line in lines[at + 1 : at + 1 + _LOOK_AHEAD] if _FIELD.match(line[:_LINE_CHARS])]
    return len(fields) >= 2


def _attribution(lines: list[str], at: int) -> int | None:
    """The line after a ``在 2026-03-06 09:12:33，"某人" <x@y> 写道：``, which may be broken over several lines; else None.

    It must name a date and a sender or an hour: a report may well say that somebody wrote something.
    """
    joined = ""
    for count in range(_ATTRIBUTION_LINES):
        if at + count >= len(lines):
            return None
        line = lines[at + count].strip()[:_LINE_CHARS]
        if count and not line:
            return None
        joined += line
        if _SAID.search(line):
            whole = len(joined) <= 300 and _DATED.search(joined) and _SENDER.search(joined)
            return at + count + 1 if whole else None
        if (count == 0 and not _DATED.search(line)) or line.endswith(_SENTENCE_END):
            return None  # a sentence of a report is never part of an attribution, which is thrown away
    return None


def _angled(lines: list[str]) -> bool:
    first = next((line for line in lines if line.strip()), "")
    return first.startswith(">")


def _without_angles(lines: list[str]) -> tuple[list[str], list[str]]:
    """Answers written between or below quoted lines are the sender's own."""
    return [line for line in lines if not line.startswith(">")], [line for line in lines if line.startswith(">")]


def _unangled(lines: list[str]) -> list[str]:
    return [re.sub(r"^(?:>\s?)+", "", line) for line in lines]


def _trim(lines: list[str]) -> str:
    return "\n".join(line.rstrip() for line in lines).strip("\n").strip()
