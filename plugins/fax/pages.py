"""Pages of a fax as images, one at a time: TIFF (all frames) by Pillow, PDF by PDFium. Both are optional (extra ``[ocr]``)."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway.api import Malformed

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 40_000_000
DOTS = 200
"""Dots per inch at which a PDF page is drawn; a fax in fine mode has 204 x 196."""
KINDS = ("image/tiff", "image/tif", "image/x-tiff", "application/pdf", "application/x-pdf", "image/png", "image/jpeg")
SUFFIXES = (".tif", ".tiff", ".pdf", ".png", ".jpg", ".jpeg")


def is_page_file(content_type: str, name: str) -> bool:
    """Whether an attachment holds pages."""
    return content_type in KINDS or (not content_type.startswith("text/") and name.lower().endswith(SUFFIXES))


def is_pdf(data: bytes) -> bool:
    return b"%PDF-" in data[:1024]


def available() -> bool:
    """Whether pages can be opened at all on this host."""
    return all(importlib.util.find_spec(name) is not None for name in ("PIL", "pypdfium2"))


def count(data: bytes) -> int:
    """How many pages; 0 where the file cannot be opened."""
    try:
        return _count_pdf(data) if is_pdf(data) else _count_image(data)
    except (OSError, ValueError, SyntaxError, RuntimeError, EOFError, Malformed, ImportError):
        return 0


def images(data: bytes) -> Iterator[Image | None]:
    """Each page in grey, square dots; None for one that cannot be opened. Raises ``Malformed`` when none can."""
    yield from _pdf(data) if is_pdf(data) else _frames(data)


def _count_image(data: bytes) -> int:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as opened:
            return int(getattr(opened, "n_frames", 1))
    except Image.DecompressionBombError:
        return 1


def _count_pdf(data: bytes) -> int:
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    try:
        return len(document)
    finally:
        document.close()


def _frames(data: bytes) -> Iterator[Image | None]:
    from PIL import Image, UnidentifiedImageError

    try:
        opened = Image.open(io.BytesIO(data))
        total = int(getattr(opened, "n_frames", 1))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        raise Malformed("the pages cannot be opened") from None
    for number in range(total):
        try:
            opened.seek(number)
            yield _square(opened) if opened.width * opened.height <= MOST_PIXELS else None
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
            yield None


def _square(frame: Image) -> Image:
    """Grey, and with square dots: fax lines in standard mode are 98 to the inch where dots are 204."""
    dots = frame.info.get("dpi") or (DOTS, DOTS)
    across, down = float(dots[0]) or DOTS, float(dots[1]) or DOTS
    grey = frame.convert("L")
    if across / down >= 1.5:
        return grey.resize((grey.width, grey.height * round(across / down)))
    if down / across >= 1.5:
        return grey.resize((grey.width * round(down / across), grey.height))
    return grey


def _pdf(data: bytes) -> Iterator[Image | None]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except (pypdfium2.PdfiumError, ValueError, OSError):
        raise Malformed("the PDF cannot be opened (damaged or encrypted)") from None
    try:
        for number in range(len(document)):
            try:
                page = document[number]
                scale = DOTS / 72
                width, height = page.get_size()
                if width * height * scale * scale > MOST_PIXELS:
                    scale = (MOST_PIXELS / max(width * height, 1.0)) ** 0.5
                yield page.render(scale=scale, grayscale=True).to_pil().convert("L")
            except (pypdfium2.PdfiumError, ValueError, OSError):
                yield None
    finally:
        document.close()
