"""The press: HTML becomes PDF or fax pages, in a process of its own with limits on time and memory, one paper after another.

``python -m gateway.papers.press MEMORY_MB`` reads one ``Order`` from standard input and writes one ``Made``. It fetches nothing:
neither files nor addresses that a template may name. A fax page is 1728 dots wide, 204×196 to the inch, 1 bit, G4.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import sys
from typing import Any, Literal

import msgspec

from gateway.confine import leave_no_core, spawn, stand_back
from gateway.i18n import _
from gateway.workers import environment

Form = Literal["pdf", "tiff", "png"]
Why = Literal["library", "pages", "memory", "failed"]
FAX_WIDTH, FAX_ACROSS, FAX_DOWN, FAX_HEIGHT = 1728, 204.0, 196.0, 2292
THRESHOLD = 160
PICTURE = 4.0
"""Dots of a picture for each point of the page."""
NICE = 5


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A paper to be made. One with more than ``most`` pages is not."""

    html: str
    form: Form
    most: int


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The pages, or why there are none: a word, and what it is about."""

    data: bytes = b""
    pages: int = 0
    why: Why | None = None
    detail: str = ""

    @property
    def reason(self) -> str:
        """Why there are none, for an operator; empty where there are."""
        return "" if self.why is None else _reasons()[self.why].format(detail=self.detail)


class NotPrinted(Exception):
    """No pages were made. The text says why, without a word of the paper."""


def _reasons() -> dict[Why, str]:
    return {
        "library": _("WeasyPrint cannot be used ({detail}); see: gateway doctor"),
        "pages": _("too many pages ({detail})"),
        "memory": _("more memory was needed than allowed"),
        "failed": _("it failed ({detail})"),
    }


_order = msgspec.msgpack.Decoder(Order)
_made = msgspec.msgpack.Decoder(Made)
_encode = msgspec.msgpack.Encoder().encode


class Press:
    """Makes one paper at a time, so that several cost no more memory than one."""

    def __init__(self, seconds: float, memory_mb: int) -> None:
        self.seconds, self.memory_mb = seconds, memory_mb
        self._one_at_a_time = asyncio.Lock()

    async def make(self, html: str, form: Form, most: int) -> Made:
        """The pages of ``html``. Raises ``NotPrinted``; never takes longer than its seconds, waiting for others included."""
        order = _encode(Order(html=html, form=form, most=most))
        try:
            async with asyncio.timeout(self.seconds), self._one_at_a_time:
                made = await self._ask(order)
        except TimeoutError:
            raise NotPrinted(_("it took longer than {seconds:g} s").format(seconds=self.seconds)) from None
        except OSError as error:
            raise NotPrinted(_("no process could be started ({error})").format(error=type(error).__name__)) from None
        if made.why:
            raise NotPrinted(made.reason)
        return made

    async def _ask(self, order: bytes) -> Made:
        process = await spawn(
            sys.executable, "-P", "-m", "gateway.papers.press", str(self.memory_mb),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env=environment(), start_new_session=True,
        )  # fmt: skip
        try:
            answer, _errors = await process.communicate(order)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
                await asyncio.shield(process.wait())
        try:
            return _made.decode(answer)
        except msgspec.DecodeError:
            raise NotPrinted(_("the process ended ({code})").format(code=process.returncode)) from None


def pages(order: Order) -> Made:
    """The work itself, in this process."""
    try:
        import weasyprint
        from weasyprint.urls import URLFetcher
    except (ImportError, OSError) as error:
        return Made(why="library", detail=type(error).__name__)

    class Nothing(URLFetcher):  # type: ignore[misc]
        """Neither files nor addresses, whatever a template names."""

        def fetch(self, url: str, headers: Any = None) -> Any:
            raise ValueError("papers fetch nothing")

    document = weasyprint.HTML(string=order.html, url_fetcher=Nothing()).render()
    if len(document.pages) > order.most:
        return Made(why="pages", detail=f"{len(document.pages)} > {order.most}")
    data: bytes = document.write_pdf()
    if order.form == "tiff":
        data = _fax(data)
    elif order.form == "png":
        data = _picture(data)
    return Made(data=data, pages=len(document.pages))


def _fax(pdf: bytes) -> bytes:
    """The pages as a fax machine speaks: white is 0, one strip a page (ITU-T T.4, RFC 2306)."""
    import pypdfium2
    from PIL import Image

    made: list[Any] = []
    document = pypdfium2.PdfDocument(pdf)
    for page in document:
        drawn = page.render(scale=FAX_ACROSS / 72, grayscale=True).to_pil()
        scaled = drawn.resize((FAX_WIDTH, FAX_HEIGHT), Image.Resampling.LANCZOS)
        made.append(scaled.point([255 * (level > THRESHOLD) for level in range(256)], mode="1"))
    document.close()
    out = io.BytesIO()
    made[0].save(
        out, "TIFF", save_all=True, append_images=made[1:], compression="group4", dpi=(FAX_ACROSS, FAX_DOWN), tiffinfo={262: 0},
        strip_size=1 << 24,
    )  # fmt: skip
    return out.getvalue()


def _picture(pdf: bytes) -> bytes:
    """The first page as a picture for print, 288 dots to the inch."""
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    out = io.BytesIO()
    document[0].render(scale=PICTURE).to_pil().save(out, "PNG", optimize=True)
    document.close()
    return out.getvalue()


def main() -> None:
    """One order, one answer."""
    import resource

    memory = int(sys.argv[1]) * 1024 * 1024
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not break the answer
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    leave_no_core()
    stand_back(NICE)
    try:
        made = pages(_order.decode(sys.stdin.buffer.read()))
    except MemoryError:
        made = Made(why="memory")
    except Exception as error:
        made = Made(why="failed", detail=type(error).__name__)
    answers.write(_encode(made))
    answers.flush()


if __name__ == "__main__":
    main()
