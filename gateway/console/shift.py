"""The hand-over of a shift (交接班) and the call list (电话通知单) in the browser: read, signed by both clerks, printed.

The sheet, its rules and its keeping are those of ``gateway handover``. What is signed here is what was read: where the sheet has
become another since the page was shown, the signature is refused and the page shows it anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from starlette.responses import HTMLResponse, Response

from gateway.asked import OperationError
from gateway.console.call import NOT_KEPT, Call, Page
from gateway.core.directory import Office
from gateway.core.model import Event
from gateway.core.render import display_number
from gateway.core.roster import needing
from gateway.duty import incident_view, shift
from gateway.duty.acts import OPEN
from gateway.i18n import _
from gateway.papers import standby
from gateway.store import Tx, incidents, journal

KEPT = 20
"""Signed sheets that are named below the present one."""
LISTS = 30
"""Open incidents whose call lists are printed in one go, the newest; of the others each has its own page."""
STATES = {"signed": "signed by both", "waits": "waits for the second signature", "lapsed": "lapsed without the second signature"}


SINCE = {
    "registered": "new incident", "attached": "further report", "clock_passed": "clock ran out", "alarm": "alarm",
    "handed_over": "handed to another office",
}  # fmt: skip
"""What may have happened since the first signature (``shift.LATER``), as msgids."""


class Changed(OperationError):
    """The sheet is no longer the one that was read."""


class Turn(Struct, frozen=True, kw_only=True):
    """What the person who has signed in may sign: as ``goes`` or ``comes``; ``seen`` says which sheet. ``why`` tells who may
    not sign at all; ``off_roster``: the roster does not know that person in this shift."""

    side: str = ""
    seen: str = ""
    why: str = ""
    off_roster: bool = False


def pages() -> Iterable[Page]:
    """The sheet as it is now, its signature, a kept one; call lists of one incident and of all that are open."""
    yield Page("GET", "/shift", "acknowledge", show)
    yield Page("POST", "/shift", "shift", sign)
    yield Page("GET", "/shift/{number}", "acknowledge", kept)
    yield Page("GET", "/calls", "acknowledge", all_calls)
    yield Page("GET", "/incident/{number}/calls", "acknowledge", calls)
    yield Page("GET", "/standby", "acknowledge", board_on_paper)


async def show(call: Call) -> Response:
    """The sheet of an office: of the one asked for, else of an office of one's own."""
    offices = _offices(call)
    given = call.request.query_params.get("office", "")
    office = next((one for one in offices if given in (one.id, one.name)), None) if given else _own(call, offices)
    if office is None:
        known = "、".join(one.name for one in offices) or "—"
        text = _("no office {office}; allowed: {known}").format(office=given[:60] or "?", known=known)
        return await call.problem(404, text, back="/shift")
    return await _page(call, office)


async def _page(call: Call, office: Office, status: int = 200, wrong: str = "") -> Response:
    sheet, later, rows = await call.desk.store.read(lambda tx: _read(call, tx, office.id))
    turn = _turn(call, office, sheet, later)
    ticket = call.rooms.door.ticket(call.user, _purpose(office.id, turn.side, turn.seen)) if turn.side else ""
    return await call.page(
        "shift.html", status, sheet=sheet, later=later, rows=rows, offices=_offices(call), turn=turn, ticket=ticket, wrong=wrong,
        kept=False, states=STATES, since=SINCE, stuck=_stuck(sheet),
    )  # fmt: skip


async def kept(call: Call) -> Response:
    """A sheet that was signed, as it was signed."""
    try:
        sheet = await call.look("handover", number=call.path("number"))
    except OperationError as refusal:
        return await call.problem(404, str(refusal), back="/shift")
    return await call.page(
        "shift.html", sheet=sheet, later=sheet["later"], rows=[], offices=(), turn=Turn(), ticket="", wrong="", kept=True,
        states=STATES, since=SINCE, stuck=_stuck(sheet),
    )  # fmt: skip


async def sign(call: Call) -> Response:
    """One signature, once, in the name of who has signed in."""
    office = next((one for one in _offices(call) if one.id == call.form.line("office", 64)), None)
    if office is None:
        return await call.problem(400, _("{field} is needed").format(field=_("office")), back="/shift")
    side, seen = call.form.line("side", 8), call.form.line("seen", 100)
    if not call.rooms.door.take_ticket(call.user, _purpose(office.id, side, seen), call.form.line("ticket", 64)):
        text = _("this page was sent before or is too old; nothing was done now. Look at the sheet as it stands.")
        return await call.problem(409, text, back=f"/shift?office={office.id}")

    def unchanged(tx: Tx) -> None:
        sheet, later, _rows = _read(call, tx, office.id)
        now = _turn(call, office, sheet, later)
        if (now.side, now.seen) != (side, seen):
            raise Changed(_("the sheet has changed since this page was shown; nothing was signed. Here it is as it stands now."))

    try:
        row = await call.operation("hand_over", unchanged, office=office.id, person=call.user.account.person, means="console")
    except OperationError as refusal:
        return await _page(call, office, 409, str(refusal))
    call.say(_("{number} is signed by {person}").format(number=display_number(row["number"]), person=call.user.name))
    return call.go(f"/shift/{row['number']}")


def _read(call: Call, tx: Tx, office: str) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """The sheet to be read: the one that waits for its second signature as it was signed, else as it is now; what came since
    the first signature; the last kept ones."""
    live = call.desk.live
    sheet = shift.show_sheet(live, tx, office)
    rows = shift.list_handovers(live, tx, office, KEPT)
    if (waits := sheet["waits"]) is None or waits["from"]["person"] == call.user.account.person:
        return {"number": None, **sheet}, [], rows
    signed = shift.show_handover(live, tx, waits["number"])
    return {**signed, "waits": waits}, signed["later"], rows


def _stuck(sheet: Mapping[str, Any]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """What does not get through, by way and reason: a carrier that is down is one line, not ninety."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in sheet["undelivered"]:
        found.setdefault((one["transport"], one["why"] or ""), []).append(one)
    return found


def _turn(call: Call, office: Office, sheet: Mapping[str, Any], later: list[dict[str, Any]]) -> Turn:
    """Who has signed in signs first where no sheet waits or the one that waits is his own, else second."""
    person = call.user.account.person
    if not call.may("shift"):
        return Turn(why=_("your role does not sign it"))
    if not person or office.person(person) is None:
        return Turn(why=_("only persons of this office sign it"))
    waits = sheet["waits"]
    if waits is not None and waits["from"]["person"] != person:
        there = {one["person"] for one in sheet["on_duty"]["next"]} | set(sheet["on_duty"]["clerks"])
        return Turn(side="comes", seen=f"{waits['digest']} {len(later)}", off_roster=person not in there)
    return Turn(side="goes", seen=gist(sheet), off_roster=person not in sheet["on_duty"]["clerks"])


def gist(sheet: Mapping[str, Any]) -> str:
    """What must still be so when it is signed: matters, who has them, clocks by their state, alarms by their kind. Minutes that
    run on and an alarm that is raised again change nothing."""
    told = [
        [
            [one["number"], one["state"], one["needs_person"], one.get("signing")]
            + [[clock["clock"], clock["state"]] for clock in one.get("clocks", ())]
            + [[office["office"], office["acknowledged_by"]] for office in (*one.get("has_it", ()), *one.get("waiting", ()))]
            + [[told["of"], told["whom"]] for told in one.get("owed", ())]
            + [item["id"] for item in one.get("instructions", ())]
            + [[judged["kind"], judged["clock"], judged["state"]] for judged in one.get("judgements", ())]
            for one in sheet["open"]
        ],
        [one["number"] for one in sheet["others"]],
        [[one["what"], one["why"], one["incident"]] for one in sheet["alarms"]],
        [one["id"] for one in sheet["undelivered"]],
        [one["number"] for one in sheet["second_look"]["below_threshold"]],
        [one["id"] for one in sheet["second_look"]["ignored"]],
        [one["at"] for one in sheet["refused"]],
        sheet["quarantined"],
    ]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


def _purpose(office: str, side: str, seen: str) -> str:
    return f"shift {office} {side} {seen}"


def _offices(call: Call) -> tuple[Office, ...]:
    """The offices that have shifts: those that need somebody on duty."""
    config = call.desk.config
    return tuple(office for office in needing(config.roster, config.directory) if office.persons)


def _own(call: Call, offices: tuple[Office, ...]) -> Office | None:
    person = call.user.account.person
    mine = (office for office in offices if person and office.person(person))
    return next(mine, offices[0] if offices else None)


async def calls(call: Call) -> Response:
    """Whom to ring up about one incident."""
    try:
        incident = await call.look("incident", number=call.path("number"))
        found = await call.look("calls", number=call.path("number"))
    except OperationError as refusal:
        return await call.problem(404, str(refusal), back="/")
    shown = {"number": incident["number"], "title": "" if incident["sensitive"] else incident["title"], "calls": found}
    return await call.page("calls.html", lists=[shown], count=1, back=f"/incident/{incident['number']}")


async def all_calls(call: Call) -> Response:
    """Those of every open incident, the newest first, each on a sheet of its own when printed."""

    def read(tx: Tx) -> tuple[int, list[dict[str, Any]]]:
        found = incidents.rows(tx, states=OPEN, limit=shift.MOST)
        lists = [
            {
                "number": one.number,
                "title": "" if one.sensitive else one.title,
                "calls": incident_view.call_list(call.desk.live, tx, one),
            }
            for one in found[:LISTS]
        ]
        return len(found), lists

    count, lists = await call.desk.store.read(read)
    return await call.page("calls.html", lists=lists, count=count, back="/shift")


async def board_on_paper(call: Call) -> Response:
    """The board on paper as it is now, as a file to be kept or printed; who took it is on record."""
    live, house = call.desk.live, call.desk.house
    now = live.now()
    sheet = await call.desk.store.read(lambda tx: standby.gather(tx, house, now))
    data = {"what": "board on paper", "account": call.user.account.name, "count": len(sheet.open), "means": "console"}
    await call.desk.store.write(lambda tx: journal.emit(tx, Event(at=now, event="looked", by=call.user.name, data=data)))
    name = f"board-{now:%Y%m%d-%H%M}.html"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **NOT_KEPT}
    return HTMLResponse(standby.html(sheet, house), headers=headers)
