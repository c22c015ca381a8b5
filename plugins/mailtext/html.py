"""HTML of a mail → the text a reader sees. Linear in its length; hidden elements, scripts and comments are left out.

Rows of tables become lines and cells are kept apart by a tab, so that two figures never run together. Where a client's own
mark of older mail begins, a line of ``QUOTE_MARK`` is put.
"""

from __future__ import annotations

import html
import re

from msgspec import Struct

QUOTE_MARK = "\ufdd0"

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:]{0,30})")
_REST = re.compile(r"""(?>[^>"']+|"[^"]*"|'[^']*')*+>""")
_TAG_CHARS = 2048
_QUOTED_CHARS = 600
"""Within these a ``>`` in quotes does not end a tag; a longer tag ends at its first ``>``, which keeps bad input linear."""
_ATTRIBUTE = re.compile(r"""([a-zA-Z_:-]{1,40})(?:\s{0,20}=\s{0,20}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_HIDING = re.compile(
    r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden|mso-hide\s{0,9}:\s{0,9}all|font-size\s{0,9}:\s{0,9}0(?:px|pt)?\s{0,9}(?:;|$)",
    re.I,
)
_QUOTE = re.compile(
    r"gmail_quote|isReplyContent|divRplyFwdMsg|appendonsend|includetail|yahoo_quoted|moz-cite-prefix|mail_quote|ntes_reply", re.I
)

_VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"])
_SWALLOW = frozenset(["script", "style", "head", "title", "template", "noscript", "object", "svg", "textarea", "select"])
_BLOCK = frozenset(
    [
        "p",
        "div",
        "br",
        "tr",
        "table",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "blockquote",
        "pre",
        "section",
        "article",
        "header",
        "footer",
        "form",
        "fieldset",
        "address",
        "center",
        "tbody",
        "thead",
        "caption",
        "body",
    ]
)
_CELL = frozenset(("td", "th"))
_ROW = frozenset(("tr", "li", "dt", "dd"))
_SPACE = re.compile(r"[ \t\r\f\v\xa0\u3000]*\n[ \t\r\f\v\xa0\u3000]*|[ \t\r\f\v\xa0]+")
_BETWEEN_HAN = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])")


class _Token(Struct):
    """A tag (``name`` set) or a run of text."""

    name: str = ""
    closing: bool = False
    rest: str = ""
    text: str = ""


def to_text(source: str) -> str:
    """The visible text, lines ended by LF."""
    tokens = _tokens(source.replace(QUOTE_MARK, ""))
    skip = _hidden(tokens)
    out: list[str] = []
    at, pre = 0, 0
    while at < len(tokens):
        if at in skip:
            at = skip[at] + 1
            continue
        token = tokens[at]
        at += 1
        if not token.name:
            out.append(_run(token.text, pre > 0))
            continue
        if token.name == "pre":
            pre = max(0, pre + (-1 if token.closing else 1))
        if not token.closing and _quotes(token):
            out.append(f"\n{QUOTE_MARK}\n")
        if token.name in _BLOCK and not (token.closing and token.name in _ROW):
            out.append("\n")
        elif token.name in _CELL:
            out.append("\t")
    return _tidy("".join(out))


def _tokens(source: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    comments_end = True
    while at < len(source):
        left = source.find("<", at)
        if left < 0:
            tokens.append(_Token(text=source[at:]))
            break
        if left > at:
            tokens.append(_Token(text=source[at:left]))
        if source.startswith("<!--", left) and comments_end:
            end = source.find("-->", left + 4)
            comments_end = end >= 0
            at = end + 3 if comments_end else left + 4
            continue
        if source.startswith(("<!", "<?"), left):
            end = source.find(">", left, left + _TAG_CHARS)
            at = end + 1 if end >= 0 else left + 2
            continue
        found = _TAG.match(source, left)
        if found is None:
            tokens.append(_Token(text="<"))
            at = left + 1
            continue
        rest = _REST.match(source, found.end(), found.end() + _QUOTED_CHARS)
        end = rest.end() if rest else source.find(">", found.end(), found.end() + 64 * _TAG_CHARS) + 1
        if end == 0:
            end = found.end()
        tokens.append(_Token(name=found[2].lower(), closing=bool(found[1]), rest=source[found.end() : end][:_TAG_CHARS]))
        at = end
    return tokens


def _hidden(tokens: list[_Token]) -> dict[int, int]:
    """Where elements begin that nobody sees → where they end. One that never ends is not believed to be hidden."""
    ends: dict[int, int] = {}
    open_by_name: dict[str, list[int]] = {}
    for index, token in enumerate(tokens):
        if not token.name or token.name in _VOID:
            continue
        if token.name in _BLOCK and open_by_name.get("p"):
            ends[open_by_name["p"].pop()] = index - 1
        stack = open_by_name.setdefault(token.name, [])
        if not token.closing:
            stack.append(index)
        elif stack:
            ends[stack.pop()] = index
    return {index: end for index, end in ends.items() if end > index and _unseen(tokens[index])}


def _unseen(token: _Token) -> bool:
    if token.name in _SWALLOW:
        return True
    if "hid" not in token.rest.lower() and "style" not in token.rest.lower():
        return False
    found = _attributes(token)
    return "hidden" in found or bool(_HIDING.search(found.get("style", "")))


def _quotes(token: _Token) -> bool:
    if token.name == "blockquote":
        return _attributes(token).get("type", "").lower() == "cite" or bool(_QUOTE.search(token.rest))
    if token.name not in ("div", "includetail", "table", "span"):
        return False
    found = _attributes(token) if _QUOTE.search(token.rest) else {}
    return token.name == "includetail" or bool(_QUOTE.search(found.get("class", "") + " " + found.get("id", "")))


def _attributes(token: _Token) -> dict[str, str]:
    return {m[1].lower(): html.unescape(m[2] or m[3] or m[4] or "") for m in _ATTRIBUTE.finditer(token.rest)}


def _run(text: str, pre: bool) -> str:
    """A run of text: entities decoded, white space as a browser shows it; a line break between Chinese characters is none."""
    plain = html.unescape(text).replace("\r\n", "\n").replace(QUOTE_MARK, "")
    if pre:
        return plain
    return _BETWEEN_HAN.sub("", _SPACE.sub(" ", plain)) if "\n" in plain else _SPACE.sub(" ", plain)


def _tidy(text: str) -> str:
    lines = (re.sub(r"[ ]*\t[ \t]*", "\t", line).strip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
