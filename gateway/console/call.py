"""One call: who calls, what was sent, and the ways to answer. Pages are functions of a call."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.console import pages, roles
from gateway.console.door import Door, Who
from gateway.console.feed import Feed
from gateway.console.forms import Form
from gateway.console.originals import Originals
from gateway.console.roles import Right
from gateway.console.services import Services
from gateway.wording import safe

NOT_KEPT = {"Cache-Control": "no-store"}
SAID = 200


@dataclass(slots=True)
class Rooms:
    """What the pages share."""

    desk: Services
    door: Door
    feed: Feed
    originals: Originals
    said: OrderedDict[str, tuple[str, str]] = field(default_factory=OrderedDict)
    """What the next page of a sign-in says: mood and text."""
    checked: Any = None
    """What the last check of the record found."""
    counted: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    """Periods whose figures were counted a moment ago."""
    trying: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Conf is read by one at a time: a large one takes its time."""
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """And written by one at a time."""


@dataclass(slots=True)
class Call:
    """One call. ``who`` is None only on pages for anybody."""

    rooms: Rooms
    request: Request
    who: Who | None
    form: Form = field(default_factory=Form)

    @property
    def desk(self) -> Services:
        return self.rooms.desk

    @property
    def user(self) -> Who:
        """Who calls, on a page that asks for a sign-in."""
        assert self.who is not None
        return self.who

    @property
    def htmx(self) -> bool:
        """Whether a part of a page is asked for."""
        return self.request.headers.get("hx-request") == "true"

    def may(self, right: Right) -> bool:
        """Whether who calls has ``right``."""
        return self.who is not None and roles.may(self.who.account.role, right)

    def path(self, name: str) -> str:
        """A part of the address."""
        return str(self.request.path_params.get(name, ""))

    async def operation(self, name: str, before: Callable[[Any], None] = lambda tx: None, **args: Any) -> Any:
        """An operation as the person who has signed in. Raises ``OperationError``."""
        from gateway.operations import perform

        return await perform(self.desk.live, name, args, self.user.account.name, before)

    async def look(self, name: str, **args: Any) -> Any:
        """An operation that only reads. Raises ``OperationError``."""
        from gateway.operations import READS

        return await self.desk.store.read(lambda tx: READS[name](self.desk.live, tx, **args))

    def say(self, text: str, mood: str = "good") -> None:
        """What the next page says first."""
        said = self.rooms.said
        said[self.user.session.digest] = (mood, text)
        while len(said) > SAID:
            said.popitem(last=False)

    async def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page with what stands around every one of them."""
        whole = {**await self._around(), **values}
        return HTMLResponse(pages.render(template, whole), status, headers=NOT_KEPT)

    def part(self, template: str, status: int = 200, **values: Any) -> Response:
        """A part of a page."""
        return HTMLResponse(pages.render(template, {"call": self, **values}), status, headers=NOT_KEPT)

    async def problem(self, status: int, text: str, *, back: str = "") -> Response:
        """What went wrong, for a person."""
        return await self.page("problem.html", status, text=text, code=status, back=back)

    def go(self, path: str) -> Response:
        """To another page, by GET."""
        if self.htmx:
            return Response(status_code=204, headers={"HX-Redirect": path, **NOT_KEPT})
        return RedirectResponse(path, 303, headers=NOT_KEPT)

    async def _around(self) -> dict[str, Any]:
        desk, who = self.desk, self.who
        around: dict[str, Any] = {
            "call": self,
            "city": safe(desk.config.city),
            "demo": desk.config.demo,
            "who": who,
            "now": desk.live.now().isoformat(timespec="seconds"),
            "said": None,
            "mark": "",
            "snapshot": None,
        }
        if who is not None:
            around["said"] = self.rooms.said.pop(who.session.digest, None)
            around["mark"] = self.rooms.door.mark(who)
            around["snapshot"] = await self.rooms.feed.fresh()
        return around


@dataclass(frozen=True, slots=True)
class Page:
    """A page: where it is, how it is asked for, the right it asks for, and what answers. ``form_kb``: its form may hold so much,
    where that is more than conf lets a form hold."""

    method: str
    path: str
    right: Right
    answer: Callable[[Call], Awaitable[Response]]
    form_kb: int = 0
