"""Pages of a fax as images, one at a time: TIFF (all frames) by Pillow, PDF by PDFium. Both are optional (extra ``[ocr]``)."""

from __future__ import annotations

import importlib.util
import io
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gateway.api import Malformed

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 40_000_000
MOST_FRAMES = 10_000
"""Frames that are counted: nobody reads so many pages."""
DOTS = 200
"""Dots per inch at which a PDF page is drawn; a fax in fine mode has 204 x 196."""
LONGEST = 3000
"""Dots to which a page is made smaller before it is shown; A4 in fine mode stays as it is."""
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


def one(data: bytes, index: int) -> Image | None:
    """The page at ``index``, counted from 0, as a person looks at it: square dots, black and white where it came so. None where
    there is none. Raises ``Malformed`` for one that cannot be opened."""
    if not available():
        raise Malformed("pages cannot be drawn on this host: the extra [ocr] is not installed")
    import pypdfium2
    from PIL import Image, UnidentifiedImageError

    try:
        if is_pdf(data):
            document = pypdfium2.PdfDocument(data)
            try:
                return _drawn(document[index]) if index < len(document) else None
            finally:
                document.close()
        with Image.open(io.BytesIO(data)) as opened:
            if index >= int(getattr(opened, "n_frames", 1)):
                return None
            opened.seek(index)
            if opened.width * opened.height > MOST_PIXELS:
                raise Malformed("the page is too large")
            bare = opened.mode == "1"
            page = _square(opened)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, RuntimeError, Image.DecompressionBombError):
        raise Malformed("the page cannot be opened") from None
    if max(page.size) > LONGEST:
        page.thumbnail((LONGEST, LONGEST))
        return page
    return page.convert("1", dither=Image.Dither.NONE) if bare else page


def png(page: Image) -> bytes:
    """A page as a PNG."""
    out = io.BytesIO()
    page.save(out, "PNG")
    return out.getvalue()


def _count_image(data: bytes) -> int:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as opened:
            return _frame_count(data, opened)
    except Image.DecompressionBombError:
        return 1


def _frame_count(data: bytes, opened: Image) -> int:
    """How many frames an image has. Those of a TIFF are counted here: Pillow takes a minute over 60,000 of them."""
    return _directories(data) or min(int(getattr(opened, "n_frames", 1)), MOST_FRAMES)


def _directories(data: bytes) -> int:
    """The image file directories of a TIFF (revision 6.0, section 2), ``MOST_FRAMES`` at most; 0 for what is none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return 0
    seen: set[int] = set()
    (at,) = struct.unpack_from(order + "I", data, 4)
    while at and at not in seen and len(seen) < MOST_FRAMES and at + 2 <= len(data):
        seen.add(at)
        (entries,) = struct.unpack_from(order + "H", data, at)
        after = at + 2 + 12 * entries
        if after + 4 > len(data):
            break
        (at,) = struct.unpack_from(order + "I", data, after)
    return len(seen)


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
        total = _frame_count(data, opened)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        raise Malformed("the pages cannot be opened") from None
    for number in range(total):
        try:
            opened.seek(number)
            yield _square(opened) if opened.width * opened.height <= MOST_PIXELS else None
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
            yield None


def _square(frame: Image) -> Image:
    """Grey, and with square dots: fax lines in standard mode are 98 to the inch where dots are 204. ``info["tall"]`` of what is
    returned says how often each row stands in it."""
    dots = frame.info.get("dpi") or (DOTS, DOTS)
    across, down = float(dots[0]) or DOTS, float(dots[1]) or DOTS
    grey = frame.convert("L")
    if across / down >= 1.5:
        times = round(across / down)
        tall = grey.resize((grey.width, grey.height * times))
        tall.info["tall"] = times
        return tall
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
                yield _drawn(document[number])
            except (pypdfium2.PdfiumError, ValueError, OSError):
                yield None
    finally:
        document.close()


def _drawn(page: Any) -> Image:
    """A page of a PDF in grey."""
    scale = DOTS / 72
    width, height = page.get_size()
    if width * height * scale * scale > MOST_PIXELS:
        scale = (MOST_PIXELS / max(width * height, 1.0)) ** 0.5
    drawn: Image = page.render(scale=scale, grayscale=True).to_pil().convert("L")
    return drawn
