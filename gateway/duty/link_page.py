"""The page behind a one-time link: GET shows what it is for and who may confirm, POST acknowledges. Plain HTML without scripts.

It speaks to people on any telephone, and to strangers: nothing is shown but number and title, every refusal is told and on
record, bodies are small, calls are counted for each address, and no answer may be kept, framed or run anything.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.core.errors import StorageTrouble
from gateway.core.render import display_number
from gateway.duty import acts, by_link, links
from gateway.duty.by_link import Link
from gateway.duty.throttle import Throttle
from gateway.house import House
from gateway.i18n import _, lang, moment
from gateway.store import Store, Tx

if TYPE_CHECKING:
    import jinja2

log = logging.getLogger(__name__)

MOST_BYTES = 2048
BODY_SECONDS = 30.0
"""A form with one name in it is never longer."""
FORM = "application/x-www-form-urlencoded"
STATUS = {"open": 200, "used": 410, "expired": 410, "overtaken": 410, "forged": 404}
STYLE = (
    "body{font:18px/1.5 sans-serif;max-width:32em;margin:0 auto;padding:1em;color:#111;background:#fff}"
    "h1{font-size:1.3em;margin:0 0 .5em}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.3em .6em .3em 0}th{white-space:nowrap;font-weight:normal;color:#555}"
    "label{display:block;padding:.4em 0}button{font-size:1.1em;padding:.6em 1.6em}"
    ".good{border-left:.3em solid #176c2d;padding-left:.6em}.bad{border-left:.3em solid #a11;padding-left:.6em}.city{color:#555}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
QUIET = timedelta(hours=1)
"""The same refusal to the same address goes on record once in this time: a scanner must not fill the record."""


class LinkPage:
    """Serves the links of one gateway. ``house`` gives what decisions are made with at this instant."""

    def __init__(
        self, store: Store, house: Callable[[], House], *, clock: Callable[[], datetime], wake: Callable[[], None]
    ) -> None:
        self._store = store
        self._house = house
        self._clock = clock
        self._wake = wake
        self._calls = Throttle()
        self._recorded = Throttle(span=QUIET)

    def routes(self) -> list[Route]:
        """What is mounted beside the server's own pages."""
        return [Route(f"{links.PATH}{{token}}", self.answer, methods=["GET", "HEAD", "POST"])]

    async def answer(self, request: Request) -> Response:
        """One call. A HEAD is a GET whose body nobody wants."""
        house, now, peer = self._house(), self._clock(), self._peer(request)
        if not house.config.links.public_url:
            return self._page(house, 404, said=_("links are not in use here"))
        if not self._calls.allow(peer, house.config.links.per_minute, now):
            refused = self._page(house, 429, said=_("too many calls; try again in a minute"))
            refused.headers["Retry-After"] = "60"
            return refused
        try:
            if request.method == "POST":
                return await self._acknowledge(request, house, now, peer)
            return await self._show(request, house, now, peer)
        except StorageTrouble:
            busy = self._page(house, 503, said=_("it cannot be kept at this moment; try again, or telephone"))
            busy.headers["Retry-After"] = "10"
            return busy

    async def _show(self, request: Request, house: House, now: datetime, peer: str) -> Response:
        token = request.path_params["token"]
        link = await self._store.read(lambda tx: by_link.look(tx, house, token, now))
        if link.state == "open":
            return self._page(house, 200, link, ask=True)
        # Whoever used a link may look at it again; only what never was or is no longer a link is an attempt.
        if request.method == "GET" and link.state != "used":
            await self._record(house, now, peer, token, link, "open", by_link.why(link))
        return self._page(house, STATUS[link.state], link, said=by_link.why(link))

    async def _acknowledge(self, request: Request, house: House, now: datetime, peer: str) -> Response:
        token = request.path_params["token"]
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            return self._page(house, 415, said=_("send the form of this page"))
        body = await _body(request)
        if body is None:
            return self._page(house, 413, said=_("too much was sent; the most is {bytes} bytes").format(bytes=MOST_BYTES))
        person = _person(body)
        try:
            done = await self._store.write(lambda tx: by_link.acknowledge(tx, house, token, person, now))
        except acts.Refused as refusal:
            link = await self._store.read(lambda tx: by_link.look(tx, house, token, now))
            await self._record(house, now, peer, token, link, "acknowledge", str(refusal), person)
            status = STATUS[link.state] if link.state != "open" else 403
            if link.state == "open" and not person:
                refusal = acts.Refused(_("choose who you are"))
                status = 400
            return self._page(house, status, link, said=str(refusal), ask=link.state == "open")
        self._wake()
        text = _("{person} of {office} has it. Thank you.").format(person=done.by, office=done.name)
        return self._page(house, 200, done, said=text, mood="good")

    async def _record(
        self, house: House, now: datetime, peer: str, token: str, link: Link, what: str, why: str, person: str = ""
    ) -> None:
        number = link.incident.number if link.incident is not None else None
        if not self._recorded.allow(f"{peer} {what} {token if number else ''} {why} {person}"[:400], 1, now):
            return
        how = f"{by_link.HOW} {peer}"

        def write(tx: Tx) -> None:
            acts.refused(tx, now, who=person or link.name or "?", what=what, why=why, how=how, incident=number)

        await self._store.write(write)

    def _peer(self, request: Request) -> str:
        """Who calls. A proxy that conf names is believed where it says for whom it calls."""
        peer = request.client.host if request.client else "?"
        if peer in self._house().config.links.proxies:
            told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            return told[:45] or peer
        return peer

    def _page(
        self, house: House, status: int, link: Link | None = None, *, said: str = "", mood: str = "bad", ask: bool = False
    ) -> Response:
        shown = link if link is not None and link.incident is not None else None
        values: dict[str, Any] = {
            "lang": "zh-CN" if lang() == "zh" else "en",
            "heading": _("acknowledge an urgent report"),
            "style": STYLE,
            "lines": _lines(house, shown) if shown else (),
            "said": said,
            "mood": mood,
            "persons": shown.persons if shown and ask else (),
            "chosen": _chosen(shown) if shown else "",
            "ask": _("Who has it? Choose your name and confirm:"),
            "press": _("I have it"),
            "city": house.config.city,
        }
        return Response(_template().render(values), status, media_type="text/html; charset=utf-8", headers=HEADERS)


def _lines(house: House, link: Link) -> list[tuple[str, str]]:
    incident = link.incident
    assert incident is not None
    title = _("sensitive; not shown here") if incident.sensitive else incident.title
    received = moment(house.local(incident.first_received_at))
    return [
        (_("number"), display_number(incident.number)),
        (_("title"), title),
        (_("received"), received),
        (_("office"), link.name),
        *([(_("acknowledged by"), f"{link.by} {moment(link.at)}".strip())] if link.by and link.state != "overtaken" else []),
    ]


def _chosen(link: Link) -> str:
    """The name that is chosen already: the only one, or whose own number the link was sent to."""
    return link.persons[0] if len(link.persons) == 1 else link.likely


async def _body(request: Request) -> bytes | None:
    """What was sent; None where it is too much. Never more is read than may be."""
    try:
        if int(request.headers.get("content-length") or 0) > MOST_BYTES:
            return None
    except ValueError:
        return None
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    return None
    except (ClientDisconnect, TimeoutError):
        return b""
    return body


def _person(body: bytes) -> str:
    """The name in a form; empty where there is none, or more than one."""
    try:
        named = parse_qs(body.decode("ascii"), encoding="utf-8", errors="strict", max_num_fields=10).get("person", [])
    except ValueError:
        return ""
    return named[0].strip()[:40] if len(named) == 1 else ""


@cache
def _template() -> jinja2.Template:
    import jinja2

    loader = jinja2.PackageLoader("gateway", "pages")
    found = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return found.get_template("link.html")
