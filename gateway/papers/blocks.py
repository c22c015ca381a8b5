"""The HTML of a paper as blocks: paragraphs with their class, and tables. What DOCX and plain text are made from. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

KINDS = ("h1", "h2", "h3", "p", "hr", "table")
_SKIPPED = ("style", "script", "title", "head", "svg")


@dataclass(slots=True)
class Piece:
    """Text within a paragraph; ``sort`` is the class of the span it stood in, or its tag."""

    text: str
    sort: str = ""


@dataclass(slots=True)
class Block:
    """A paragraph, a heading, a rule or a table. ``sorts`` are its classes."""

    kind: str
    sorts: tuple[str, ...] = ()
    pieces: list[Piece] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    heads: int = 0
    new_page: bool = False
    plot: str = ""
    alt: str = ""
    """The id of the plot that stands in it, and what it is called."""

    @property
    def text(self) -> str:
        """All of it in one string; parts that stand apart on the line with a blank between them."""
        return "　".join(piece.text.strip() for piece in self.apart() if piece.text.strip())

    def apart(self) -> list[Piece]:
        """Its pieces; those that only differ in type joined."""
        made: list[Piece] = []
        for piece in self.pieces:
            if made and (piece.sort in ("", "b") or made[-1].sort == piece.sort):
                made[-1] = Piece(made[-1].text + piece.text, made[-1].sort)
            else:
                made.append(Piece(piece.text, piece.sort))
        return made


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self._open: Block | None = None
        self._sort: list[str] = []
        self._skipped = 0
        self._cell: list[str] | None = None
        self._outer: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _SKIPPED:
            self._skipped += 1
            if tag == "svg" and self._open is not None:
                self._open.plot, self._open.alt = given.get("id", ""), given.get("aria-label", "")
        elif self._skipped:
            return  # what a plot is drawn of
        elif tag == "div":
            self._outer.append(given.get("class", ""))
        elif tag in KINDS:
            sorts = (*given.get("class", "").split(), *(one for one in self._outer if one))
            self._open = Block(tag, sorts, new_page="break-before" in given.get("style", ""))
            self.blocks.append(self._open)
            if tag == "hr":
                self._open = None
        elif tag == "tr" and self._open is not None:
            self._open.rows.append([])
        elif tag in ("td", "th") and self._open is not None and self._open.rows:
            self._cell = []
            if tag == "th":
                self._open.heads = len(self._open.rows)
        elif tag in ("span", "b"):
            self._sort.append(given.get("class", "") or tag)
        elif tag == "br" and self._open is not None:
            self._open.pieces.append(Piece("\n", "".join(self._sort[-1:])))

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIPPED:
            self._skipped -= 1
        elif tag == "div" and self._outer:
            self._outer.pop()
        elif tag in KINDS:
            self._open = None
        elif tag in ("td", "th") and self._cell is not None and self._open is not None:
            self._open.rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None
        elif tag in ("span", "b") and self._sort:
            self._sort.pop()

    def handle_data(self, data: str) -> None:
        if self._skipped or self._open is None:
            return
        if self._cell is not None:
            self._cell.append(data)
        elif self._open.kind != "table":
            kept = data if "original" in self._open.sorts else _one_line(data)
            if kept:
                self._open.pieces.append(Piece(kept, "".join(self._sort[-1:])))


def _one_line(data: str) -> str:
    """Line ends and the template's indents mean nothing; ideographic blanks do."""
    return " ".join(data.split("\n")).strip(" ") if data.strip(" \n\t") else ""


def read(html: str) -> list[Block]:
    """The blocks of a paper, in order; empty paragraphs but for those of the head left out."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return [one for one in parser.blocks if one.kind in ("hr", "table") or one.text or one.plot]


def text(html: str) -> str:
    """A paper as plain text."""
    lines: list[str] = []
    for block in read(html):
        if block.kind == "hr" or block.plot or "caption" in block.sorts:
            continue
        if block.kind == "table":
            lines += ["", *("  ".join(row) for row in block.rows), ""]
        elif block.kind in ("h1", "h2"):
            lines += ["", block.text]
        else:
            lines.append(block.text)
    return "\n".join(lines).strip() + "\n"
