"""One incident on one page: the facts with their evidence, every report beside the others, who has it, what waits, the trail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from gateway import wording
from gateway.asked import OperationError
from gateway.console import acting, originals
from gateway.console.call import NOT_KEPT, Call, Page
from gateway.console.originals import NotShown, Read
from gateway.core.model import FIGURES
from gateway.core.render import CHANNELS
from gateway.i18n import _
from gateway.store import NotFound, incidents, messages
from gateway.store.message_rows import MessageRow

REPORTS = 8
"""Reports that stand side by side, the newest; older ones are named."""
OPEN = ("open", "followed_up")


def pages() -> Iterable[Page]:
    """The page itself, one message of it read again, and the pages that a fax came in."""
    yield Page("GET", "/incident/{number}", "board", show)
    yield Page("GET", "/incident/{number}/message/{message}", "original", again)
    yield Page("GET", "/incident/{number}/message/{message}/pages", "original", leaf)
    yield Page("GET", "/incident/{number}/message/{message}/pages/{page}", "original", picture)


async def show(call: Call) -> Response:
    """The whole of it."""
    try:
        shown = await call.look("incident", number=call.path("number"), trail=True)
    except OperationError as refusal:
        return await call.problem(404, str(refusal), back="/")
    if shown["sensitive"] and not call.may("original"):
        return await call.problem(403, _("sensitive; not shown here"), back="/")
    rows = await call.desk.store.read(lambda tx: [messages.get(tx, id_) for id_ in incidents.messages_of(tx, shown["id"])])
    reads: list[dict[str, Any]] = []
    for place, row in enumerate(rows[-REPORTS:]):
        read = Read(why=_("your role does not see what came in"))
        if call.may("original"):
            read = await call.rooms.originals.read(row, call.user)
        nth = len(rows) - len(rows[-REPORTS:]) + place + 1
        pages = call.may("original") and call.rooms.originals.has_pages(row)
        reads.append({"row": row, "read": read, "nth": nth, "unit": _unit(call, row), "pages": pages})
    quarantined = [one for one in shown["messages"] if one["state"] == "quarantined"]
    return await call.page(
        "incident.html",
        one=shown,
        duty=shown["duty"],
        facts=_facts(shown),
        reads=reads,
        older=len(rows) - len(reads),
        compared=originals.compared([one["read"].facts for one in reads]),
        quarantined=quarantined,
        acts=_acts(call, shown),
        channels=CHANNELS,
        figure=wording.figure,
        severity=wording.severity(shown["severity"]),
    )


async def again(call: Call) -> Response:
    """One message that takes long to read, such as a fax; with ``?page=`` what stands on that page."""
    found = await _message(call)
    if found is None:
        return await call.problem(404, _("there is no such page"), back="/")
    read = await call.rooms.originals.read(found[1], call.user, slowly=True)
    return call.part("original.html", read=read.page(_number(call.request.query_params.get("page", ""))))


async def leaf(call: Call) -> Response:
    """One page of a fax beside its text: a part of the incident's page, or a page of its own where the image has more room."""
    found = await _message(call)
    if found is None:
        return await call.problem(404, _("there is no such page"), back="/")
    shown, row = found
    back = f"/incident/{shown['number']}"
    page = max(1, _number(call.request.query_params.get("page", "1")))
    why, total = "", 0
    try:
        total = (await call.rooms.originals.picture(row, call.user, page)).pages
    except NotShown as refused:
        if refused.status == 403 or not call.htmx:
            return await call.problem(refused.status, str(refused), back=back)
        why = str(refused)
    read = call.rooms.originals.opened(row)
    values = {
        "number": shown["number"], "message": row.id, "page": page, "total": total, "why": why,
        "unit": _unit(call, row) or row.sender,
        "read": read.page(page) if read is not None else None, "parted": read is not None and len(read.page_ends) >= page,
    }  # fmt: skip
    if call.htmx:
        return call.part("leaf.html", **values)
    return await call.page("leaves.html", title=shown["title"], at=call.desk.live.shown(row.received_at), **values)


async def picture(call: Call) -> Response:
    """The image of a page."""
    found = await _message(call)
    if found is None:
        return await call.problem(404, _("there is no such page"), back="/")
    try:
        shown = await call.rooms.originals.picture(found[1], call.user, _number(call.path("page")))
    except NotShown as refused:
        return await call.problem(refused.status, str(refused), back=f"/incident/{found[0]['number']}")
    return Response(shown.data, media_type="image/png", headers=NOT_KEPT)


async def _message(call: Call) -> tuple[dict[str, Any], MessageRow] | None:
    """The incident and the message of the address; None where they do not belong together."""
    try:
        shown = await call.look("incident", number=call.path("number"))
        row = await call.desk.store.read(lambda tx: messages.get(tx, call.path("message")))
    except (OperationError, NotFound):
        return None
    return (shown, row) if row.incident == shown["id"] else None


def _number(text: str) -> int:
    """A page's number; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0


def _facts(shown: dict[str, Any]) -> list[tuple[str, str]]:
    """What all reports together say, each fact in words."""
    report, found = shown["report"], []
    occurred = report.get("occurred")
    found.append((wording.element("occurred"), wording.occurred(occurred["value"], occurred["qualifier"]) if occurred else ""))
    place = report.get("place")
    found.append((wording.element("place"), place["text"] if place else ""))
    for name in FIGURES:
        if figure := report.get(name):
            label = acting.label(name)
            found.append((label, wording.figure(name, figure).removeprefix(label).strip()))
    for name in originals.TEXTS:
        if report.get(name):
            found.append((wording.element(name), report[name]))
    for name in ("measures", "next_steps"):
        if report.get(name):
            found.append((wording.element(name), "；".join(report[name])))
    return found


def _acts(call: Call, shown: dict[str, Any]) -> list[acting.Act]:
    """What who calls may do about it as it stands."""
    duty, open_ = shown["duty"], shown["state"] in OPEN
    possible = {
        "acknowledge": bool(duty and any(not one["has_it"] and not one["handed_to"] for one in duty["offices"])),
        "notify": bool(duty and any(one["waits"] for one in duty["tellings"])),
        "approve": bool(duty and duty["signing"] and duty["signing"]["state"] == "waits"),
        "release": shown["needs_person"] is not None,
        "waive": bool(duty and duty["signing"] and duty["signing"]["state"] == "waits"),
        "done": bool(duty and open_ and any(not one["done_at"] for one in duty["instructions"])),
        "undo": True,
        "reopen": shown["state"] == "closed",
        "split": shown["state"] == "merged",
        "merge": shown["state"] != "merged",
        "close": open_ or shown["state"] == "below_threshold",
        "correct": open_ or shown["state"] == "below_threshold",
    }
    return [act for act in acting.ACTS if call.may(act.right) and possible.get(act.name, open_ and duty is not None)]


def _unit(call: Call, row: Any) -> str:
    unit = call.desk.config.directory.unit(row.sender)
    return unit.name if unit else ""
