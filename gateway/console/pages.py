"""Templates and files of the console: Jinja2 with everything escaped, files with their digest in the address."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway import wording
from gateway.alarms import KINDS
from gateway.core.figures.period import title
from gateway.core.obligations import Period
from gateway.core.render import display_number
from gateway.i18n import _, lang, listed, moment
from gateway.reasons import reason

if TYPE_CHECKING:
    import jinja2

TYPES = {
    "svg": "image/svg+xml",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "LICENSE": "text/plain",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
"""On every answer."""


class File(Struct, frozen=True):
    """A file as it is served."""

    body: bytes
    kind: str
    mark: str


@cache
def statics() -> dict[str, File]:
    """Every file of the folder static by name."""
    found = {}
    for path in (files("gateway.console") / "static").iterdir():
        body = path.read_bytes()
        kind = TYPES.get(path.name.rpartition(".")[2], "application/octet-stream")
        found[path.name] = File(body, kind, hashlib.sha256(body).hexdigest()[:12])
    return found


def address(name: str) -> str:
    """Where a file is; another content has another address, so that browsers may keep it."""
    return f"/static/{name}?v={statics()[name].mark}"


@cache
def environment() -> jinja2.Environment:
    """The templates. A name that nobody gave is an error, not a blank."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("gateway.console", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(_=_, file=address, html_lang=lambda: "zh-CN" if lang() == "zh" else "en")
    made.filters.update(
        moment=moment, clock=_clock, listed=listed, number=display_number, safe_text=wording.safe, element=wording.element,
        reason=reason, phone=wording.phone, aside=wording.aside, word=_, kb=_kb,
        alarm=_alarm, period=_period,
    )  # fmt: skip
    return made


def render(name: str, values: dict[str, Any]) -> str:
    """A page."""
    return environment().get_template(name).render(values)


def _clock(at: str | None) -> str:
    """The time of day, and the date before it where the text holds another day than the one it stands beside."""
    return (at or "")[11:16]


def _period(name: str) -> str:
    """A period in words: 2026年第三季度, or 2026Q3 as it is."""
    return title(Period(datetime.min, datetime.min, name)) if lang() == "zh" else name


def _alarm(what: str) -> str:
    """An alarm by what it says, for whoever reads no runbook."""
    kind = KINDS.get(what)
    return what if kind is None else kind.zh if lang() == "zh" else kind.en


def _kb(size: int) -> str:
    return f"{size / 1024:.1f} KB" if size >= 1024 else f"{size} B"
