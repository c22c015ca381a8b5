"""The way in and out, the board, and the stream that keeps it live."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from gateway import certificates
from gateway.console import pages as making
from gateway.console import roles
from gateway.console.call import NOT_KEPT, Call, Page
from gateway.console.door import Refused
from gateway.console.feed import Snapshot
from gateway.i18n import _

KEEP = "public, max-age=31536000, immutable"


def pages() -> Iterable[Page]:
    """What everybody meets first."""
    yield Page("GET", "/signin", "anybody", signin)
    yield Page("POST", "/signin", "anybody", enter)
    yield Page("GET", "/static/{name}", "anybody", static)
    yield Page("POST", "/signout", "signed in", leave)
    yield Page("GET", "/", "board", board)
    yield Page("GET", "/board/lines", "board", lines)
    yield Page("GET", "/stream", "board", stream)
    yield Page("GET", "/sessions", "signed in", sessions)
    yield Page("POST", "/sessions", "signed in", revoke)


async def static(call: Call) -> Response:
    """A script, a style sheet, a licence."""
    found = making.statics().get(call.path("name"))
    if found is None:
        return await call.problem(404, _("there is no such page"))
    kept = KEEP if call.request.query_params.get("v") == found.mark else "no-cache"
    return Response(found.body, media_type=None, headers={"Content-Type": found.kind, "Cache-Control": kept})


async def signin(call: Call) -> Response:
    """The form; who is in already goes on."""
    if call.who is not None:
        return call.go(roles.home(call.who.account.role))
    return await _signin(call)


async def _signin(call: Call, status: int = 200, wrong: str = "", name: str = "") -> Response:
    door, desk = call.rooms.door, call.desk
    before = secrets.token_urlsafe(16)
    certified = await door.certified()
    made = await call.page(
        "signin.html", status, wrong=wrong, name=name, before=_before(call, before), passwords=desk.section.passwords,
        certified=certified, unknown=certified is None and certificates.shown() is not None,
    )  # fmt: skip
    made.set_cookie(
        f"{door.cookie}-before", before, max_age=3600, path="/", secure=desk.section.secure, httponly=True, samesite="strict"
    )
    return made


def _before(call: Call, token: str) -> str:
    return call.desk.store.keys.digest("console sign-in", token.encode())[:40]


async def enter(call: Call) -> Response:
    """Somebody signs in."""
    door, form = call.rooms.door, call.form
    token = call.request.cookies.get(f"{door.cookie}-before", "")
    if not token or not hmac.compare_digest(form.raw("before", 100).encode(), _before(call, token).encode()):
        return await _signin(call, 403, _("this page was open too long; try again"))
    name = form.line("account", 64).lower()
    try:
        if form.line("by", 12) == "certificate":
            who, held = await door.enter_certified(call.request)
        else:
            who, held = await door.enter(call.request, name, form.raw("password"), form.line("code", 12))
    except Refused as refusal:
        return await _signin(call, 429 if str(refusal) == _("too many tries; wait a minute") else 403, str(refusal), name)
    made = call.go(roles.home(who.account.role))
    door.hand_cookie(made, held)
    made.delete_cookie(f"{door.cookie}-before", path="/", secure=call.desk.section.secure, httponly=True, samesite="strict")
    return made


async def leave(call: Call) -> Response:
    """Somebody signs out."""
    await call.rooms.door.leave(call.user.session, call.user.name, "asked")
    made = call.go("/signin")
    call.rooms.door.take_cookie(made)
    return made


async def board(call: Call) -> Response:
    """Everything that is open."""
    return await call.page("board.html", **_board(call, await call.rooms.feed.fresh()))


async def lines(call: Call) -> Response:
    """The lines alone, for a board that is open."""
    snapshot = await call.rooms.feed.fresh()
    return call.part("lines.html", snapshot=snapshot, **_board(call, snapshot))


def _board(call: Call, snapshot: Snapshot) -> dict[str, Any]:
    """What the lines are made with: those that wait for who calls come first."""
    section, person = call.desk.section, call.user.account.person
    ours = {office.name for office in call.desk.config.directory.offices if person and office.person(person)}
    ordered = sorted(snapshot.lines, key=lambda line: not line.mine(ours))
    given = call.request.query_params.get("from", "0")
    start = int(given) if given.isascii() and given.isdigit() and len(given) < 7 else 0
    return {
        "shown": ordered[start : start + section.board_rows], "ours": ours, "mine": sum(line.mine(ours) for line in ordered),
        "start": start, "rows": section.board_rows, "stale": section.stale_seconds, "sound": section.sound_seconds,
        "soon": section.soon_minutes, "original": call.may("original"),
    }  # fmt: skip


async def stream(call: Call) -> Response:
    """The events of the board."""
    made = call.rooms.feed.stream(call.user)
    if made is None:
        return Response(_("too many boards are open"), 503, headers={"Retry-After": "10", **NOT_KEPT})
    return made


async def sessions(call: Call) -> Response:
    """One's own sign-ins; everybody's for who may end them."""
    held = await call.rooms.door.sessions()
    if not call.may("revoke"):
        held = [one for one in held if one.account.name == call.user.account.name]
    return await call.page("sessions.html", held=held, zone=call.desk.live.shown)


async def revoke(call: Call) -> Response:
    """End a sign-in."""
    asked = call.form.line("session", 40)
    for one in await call.rooms.door.sessions():
        mine = one.account.name == call.user.account.name
        if one.session.id == asked and (mine or call.may("revoke")):
            await call.rooms.door.leave(one.session, call.user.name, "revoked")
            if one.session.digest == call.user.session.digest:
                made = call.go("/signin")
                call.rooms.door.take_cookie(made)
                return made
            call.say(_("the sign-in of {account} is over").format(account=one.account.name))
            return call.go("/sessions")
    return await call.problem(404, _("there is no such sign-in"), back="/sessions")
