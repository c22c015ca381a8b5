"""The console as one application: every page behind the same guard, every answer with the same headers.

A page is a row of a table with the right it asks for; nothing answers that is not in the table.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.console import acting, changes, conf, figures, front, incident, phone, record, review, roles, shift
from gateway.console.call import NOT_KEPT, Call, Page, Rooms
from gateway.console.door import Door, Who
from gateway.console.feed import Feed
from gateway.console.forms import BadForm, Form, read
from gateway.console.originals import Originals
from gateway.console.pages import HEADERS
from gateway.console.services import Services
from gateway.core.errors import StorageTrouble
from gateway.duty import acts
from gateway.duty.throttle import Throttle
from gateway.i18n import _

log = logging.getLogger(__name__)

CHANGING = "POST"
STRANGERS = 120
"""Calls of one address within a minute that nobody has signed in for."""
QUIET = timedelta(minutes=10)
"""The same page refused to the same sign-in goes on record once in this time."""


def pages() -> Iterable[Page]:
    """Every page there is."""
    for room in (front, incident, acting, phone, review, shift, figures, record, changes, conf):
        yield from room.pages()


class Console:
    """The duty desk's pages. ``app`` is what a server serves."""

    def __init__(self, desk: Services) -> None:
        self._desk = desk
        door = Door(desk)
        self.rooms = Rooms(desk=desk, door=door, feed=Feed(desk, door), originals=Originals(desk))
        self._strangers = Throttle()
        self._noted = Throttle(span=QUIET)
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self.pages = tuple(pages())
        routes = [Route(page.path, self._endpoint(page), methods=[page.method]) for page in self.pages]
        handlers = {404: self._nowhere, 405: self._nowhere}
        self.app = Starlette(routes=routes, exception_handlers=handlers)

    def start(self) -> None:
        """Begin to listen for commits."""
        self.rooms.feed.start()

    async def stop(self) -> None:
        """End every open stream."""
        await self.rooms.feed.stop()

    def _endpoint(self, page: Page) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            return _dressed(await self._safely(page, request))

        return endpoint

    async def _safely(self, page: Page, request: Request) -> Response:
        try:
            return await self._answer(page, request)
        except StorageTrouble:
            text = _("it cannot be kept at this moment; try again, or telephone")
            return PlainTextResponse(text, 503, headers={"Retry-After": "10", **NOT_KEPT})
        except Exception as error:
            log.error("the page %s failed: %s", page.path, type(error).__name__)
            self.on_error(error)
            return PlainTextResponse(_("the page failed; the fault is in the log"), 500, headers=NOT_KEPT)

    async def _answer(self, page: Page, request: Request) -> Response:
        """The guard: known, not too often, in the right role, from our own page, with a form that can be read."""
        door = self.rooms.door
        who = await door.known(request)
        call = Call(self.rooms, request, who)
        if who is None and not self._strangers.allow(door.peer(request), STRANGERS, self._desk.live.now()):
            return PlainTextResponse(_("too many calls; try again in a minute"), 429, headers={"Retry-After": "60", **NOT_KEPT})
        if who is not None and not door.may_call(who):
            return await call.problem(429, _("too many calls; try again in a minute"))
        if page.right != "anybody":
            if who is None:
                return await self._to_the_door(page, call)
            if not roles.may(who.account.role, page.right):
                await self._refuse(page, who)
                return await call.problem(403, _("your role may not do this"), back=roles.home(who.account.role))
        if page.method == CHANGING:
            refused = await self._form(page, call)
            if refused is not None:
                return refused
        return await page.answer(call)

    async def _to_the_door(self, page: Page, call: Call) -> Response:
        """A page that is looked at leads to the form; what would change something is refused."""
        if page.method == CHANGING:
            return await call.problem(401, _("your sign-in is over; nothing was done. Sign in and look again."), back="/signin")
        if page.path == "/stream":
            return Response(status_code=401, headers=NOT_KEPT)
        return call.go("/signin")

    async def _form(self, page: Page, call: Call) -> Response | None:
        """Read the form of a POST; what it is refused with, None where it is good."""
        if not self._ours(call.request):
            return await call.problem(403, _("this was sent by another site; nothing was done"))
        most = max(self._desk.section.form_kb, page.form_kb)
        try:
            call.form = await read(call.request, most * 1024)
        except BadForm as bad:
            return await call.problem(bad.status, self._why(bad.status, most))
        given = call.form.raw("mark", 100) or call.request.headers.get("x-mark", "")
        if call.who is not None and page.right != "anybody" and not self.rooms.door.marked(call.who, given):
            return await call.problem(403, _("this form is not one of this sign-in; nothing was done"), back="/")
        return None

    def _why(self, status: int, most: int) -> str:
        if status == 413:
            return _("too much was sent; the most is {kb} KB").format(kb=most)
        if status == 408:
            return _("the form took too long to arrive")
        return _("send the form of this page")

    def _ours(self, request: Request) -> bool:
        """Whether the browser says that our own page sent it. What old browsers do not say, the mark in the form does."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = request.headers.get("origin")
        if origin is None:
            return True
        known = {request.headers.get("host", ""), urlsplit(self._desk.section.public_url).netloc}
        return urlsplit(origin).netloc in known - {""}

    async def _refuse(self, page: Page, who: Who) -> None:
        """Put on record what somebody tried and may not do."""
        now = self._desk.live.now()
        if not self._noted.allow(f"{who.session.digest} {page.method} {page.path}", 1, now):
            return
        what = page.path.rstrip("/").rpartition("/")[2].strip("{}") or "board"
        how = f"console, {who.account.name}"
        why = _("the role {role} may not do this").format(role=_(who.account.role))
        await self._desk.store.write(lambda tx: acts.refused(tx, now, who=who.name, what=what, why=why, how=how))

    async def _nowhere(self, request: Request, error: Exception) -> Response:
        if not self._strangers.allow(self.rooms.door.peer(request), STRANGERS, self._desk.live.now()):
            return _dressed(PlainTextResponse(_("too many calls; try again in a minute"), 429, headers=NOT_KEPT))
        status = getattr(error, "status_code", 404)
        try:
            call = Call(self.rooms, request, await self.rooms.door.known(request), Form())
            return _dressed(await call.problem(status, _("there is no such page"), back="/"))
        except StorageTrouble:
            return _dressed(PlainTextResponse(_("there is no such page"), status, headers=NOT_KEPT))


def _dressed(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
