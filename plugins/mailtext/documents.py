"""Text of attached documents: .docx (ECMA-376) read thinly from its parts, .pdf by its text layer (extra ``[ocr]``: PDFium).

What a document cannot be made to say within the limits is None: then a person must read it. An attachment is a stranger's
file, so nothing is expanded beyond the limits, a document type declaration is refused (no entities), and depth is bounded.
"""

from __future__ import annotations

import io
import re
import time
import zipfile
import zlib
from collections.abc import Iterator
from xml.parsers import expat

XML_OCTETS = 20 * 1024 * 1024
"""Octets of one part of a .docx when expanded."""
FILES = 2000
DEPTH = 200
PDF_PAGES = 60
PDF_SECONDS = 20.0
TEXT_CHARS = 500_000
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_W_STRICT = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_HEADERS = re.compile(r"word/header\d*\.xml")
_BEHIND = re.compile(r"word/(?:foot(?:er\d*|notes)|endnotes|comments)\.xml")
_SILENT = {"del", "moveFrom", "instrText", "delText", "fldData"}


class Unreadable(Exception):
    """The file is not what it seems, is encrypted, or goes beyond a limit."""


def text_of(data: bytes, name: str, content_type: str) -> str | None:
    """The text of a document, or None where it is of no known kind or cannot be read whole."""
    try:
        if data[:4] == b"PK\x03\x04" and (name.lower().endswith((".docx", ".docm")) or "wordprocessingml" in content_type):
            return docx(data)
        if b"%PDF-" in data[:1024]:
            return pdf(data)
    except Unreadable:
        return None
    return None


def docx(data: bytes) -> str:
    """Headers, the body with tables and text boxes in reading order, then notes. Deleted text is no text.

    Raises ``Unreadable``.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [entry.filename for entry in archive.infolist()]
            if len(names) > FILES or "word/document.xml" not in names:
                raise Unreadable
            parts = sorted(n for n in names if _HEADERS.fullmatch(n))
            parts += ["word/document.xml", *sorted(n for n in names if _BEHIND.fullmatch(n))]
            texts: list[str] = []
            for part in dict.fromkeys(parts):
                texts.append(_paragraphs(_expanded(archive, part)))
                if sum(map(len, texts)) > TEXT_CHARS:
                    raise Unreadable
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError, KeyError):
        raise Unreadable from None
    return "\n".join(dict.fromkeys(text for text in texts if text.strip()))


def _expanded(archive: zipfile.ZipFile, part: str) -> bytes:
    """The octets of one part; the size that the archive states is not believed."""
    with archive.open(part) as opened:
        octets = opened.read(XML_OCTETS + 1)
    if len(octets) > XML_OCTETS:
        raise Unreadable
    return octets


class _Paragraphs:
    """Gathers the text of WordprocessingML: one line for each paragraph, the cells of a row side by side."""

    def __init__(self) -> None:
        self.lines: list[list[str]] = [[]]
        self.depth = 0
        self.silent = 0
        self.within = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > DEPTH:
            raise Unreadable
        word = _local(name)
        if self.silent or word in _SILENT or name == _FALLBACK:
            self.silent += 1
        elif word == "t":
            self.within += 1
        elif word in ("tab", "ptab"):
            self.lines[-1].append(" ")
        elif word in ("br", "cr"):
            self.lines.append([])
        elif word == "noBreakHyphen":
            self.lines[-1].append("-")
        elif word == "txbxContent":
            self.lines.append([])

    def end(self, name: str) -> None:
        self.depth -= 1
        word = _local(name)
        if self.silent:
            self.silent -= 1
        elif word == "t":
            self.within -= 1
        elif word in ("p", "tr"):
            self.lines.append([])

    def text(self, data: str) -> None:
        if self.within and not self.silent:
            self.lines[-1].append(data)


def _local(name: str) -> str:
    return name.removeprefix(_W).removeprefix(_W_STRICT) if name.startswith((_W, _W_STRICT)) else ""


def _paragraphs(octets: bytes) -> str:
    gathered = _Paragraphs()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: gathered.start("{" + name, attributes)
    parser.EndElementHandler = lambda name: gathered.end("{" + name)
    parser.CharacterDataHandler = gathered.text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(octets, True)
    except (expat.ExpatError, UnicodeError):
        raise Unreadable from None
    lines = ("".join(line).strip() for line in gathered.lines)
    return "\n".join(line for line in lines if line)


def _refuse(*_declared: object) -> None:
    raise Unreadable


def pdf(data: bytes) -> str | None:
    """The text layer of every page. None where a page has none, and where PDFium is not installed. Raises ``Unreadable``."""
    try:
        import pypdfium2
    except ImportError:
        return None
    until = time.monotonic() + PDF_SECONDS
    try:
        document = pypdfium2.PdfDocument(data)
    except (pypdfium2.PdfiumError, ValueError, OSError):
        raise Unreadable from None
    try:
        if len(document) > PDF_PAGES:
            raise Unreadable
        texts = list(_pages(document, until))
    except (pypdfium2.PdfiumError, ValueError, OSError):
        raise Unreadable from None
    finally:
        document.close()
    # A page of ink without letters is a scan: what it says is unknown, however much the others say.
    return None if not texts or any(not text.strip() for text in texts) else "\n".join(texts)[:TEXT_CHARS]


def _pages(document: object, until: float) -> Iterator[str]:
    for number in range(len(document)):  # type: ignore[arg-type]
        if time.monotonic() > until:
            raise Unreadable
        page = document[number]  # type: ignore[index]
        layer = page.get_textpage()
        try:
            text = layer.get_text_range(0, min(layer.count_chars(), TEXT_CHARS)) if layer.count_chars() else ""
        finally:
            layer.close()
            page.close()
        yield text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufffe", "").replace("\0", "")
