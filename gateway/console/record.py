"""The record: its last lines in words, and whether the chain holds from the first to the last."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from starlette.responses import Response

from gateway.audit import text as words
from gateway.audit import verify
from gateway.console.call import Call, Page, Rooms
from gateway.i18n import _
from gateway.store import Tx, journal

LINES = 200
PEOPLE = (
    "signed_in", "signed_out", "sign_in_refused", "account_changed", "looked", "opened", "exported", "refused", "acknowledged",
    "notified", "approved", "instructed", "supervision_done", "asked", "corrected", "judged", "clock_waived", "released",
    "merged", "split", "closed", "reopened", "phone_logged", "shift_signed_off", "shift_handed_over", "delivery_retried",
    "supervision_resumed", "waiver_withdrawn", "approval_withdrawn", "delivery_held", "roster_imported", "conf_proposed",
    "conf_declined", "conf_changed", "maintenance", "reloaded", "commanded",
)  # fmt: skip
"""What people did, or tried: shown first."""
_checking = asyncio.Lock()


class Checked(Struct, frozen=True, kw_only=True):
    """What the last check found. ``why`` is empty where the chain holds."""

    at: datetime
    lines: int
    last: int
    why: str = ""


def pages() -> Iterable[Page]:
    """Its last lines; the check."""
    yield Page("GET", "/audit", "audit", show)
    yield Page("POST", "/audit", "audit", check)


async def show(call: Call) -> Response:
    """What people did, the newest first; ``?all=1`` every line; further ones behind ``?before=``."""
    whole = call.request.query_params.get("all") == "1"
    given = call.request.query_params.get("before", "")
    before = int(given) if given.isascii() and given.isdigit() and len(given) < 16 else None
    config = call.desk.config

    def read(tx: Tx) -> tuple[list[journal.Entry], int]:
        last = journal.last_sealed(tx)
        return journal.latest(tx, LINES, before, None if whole else PEOPLE), (last.seq or 0) if last else 0

    found, sealed = await call.desk.store.read(read)
    names = {office.id: office.name for office in config.directory.offices}
    zone = ZoneInfo(config.timezone)
    lines = [(entry.seq, *_split(words.render(_line(entry), zone=zone, names=names))) for entry in found]
    return await call.page(
        "audit.html", lines=lines, sealed=sealed,
        checked=call.rooms.checked, before=found[-1].id if len(found) == LINES else 0, whole=whole,
        shown=call.desk.live.shown,
    )  # fmt: skip


async def check(call: Call) -> Response:
    """Check the whole log against its chain and against the journal."""
    if _checking.locked():
        return await call.problem(429, _("a check is going on"), back="/audit")
    async with _checking:
        found = await asyncio.to_thread(_check, call.rooms)
    call.rooms.checked = found
    if found.why:
        call.say(_("the record does not hold: {why}").format(why=found.why), "bad")
    else:
        call.say(_("the record holds: {lines} lines").format(lines=found.lines))
    return call.go("/audit")


def _check(rooms: Rooms) -> Checked:
    desk = rooms.desk
    try:
        files = verify.rotated(desk.config.audit_log)
        found = verify.verify_files(files, desk.store)
    except OSError as error:
        return Checked(at=desk.live.now(), lines=0, last=0, why=type(error).__name__)
    why = f"{found.broken.file.name}:{found.broken.line}: {words.why(found.broken.why)}" if found.broken else ""
    return Checked(at=desk.live.now(), lines=found.lines, last=found.last or 0, why=why)


def _line(entry: journal.Entry) -> bytes:
    event = entry.event
    named: dict[str, Any] = {"incident": event.incident, "message": event.message, "delivery": event.delivery, "by": event.by}
    return msgspec.json.encode({"at": event.at.isoformat(), "event": event.event, "data": entry.public, **named})


def _split(text: str) -> tuple[str, str]:
    return text[:19], text[20:]
