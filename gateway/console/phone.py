"""The telephone form (电话记录单): typed while listening. It is kept as it is typed, and shows what the gateway makes of it.

What is handed in is the form of ``gateway phone-log``. The id of the draft is the id of the call: pressing twice is one call.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from starlette.responses import Response

from gateway import phone_log, wording
from gateway.asked import OperationError
from gateway.console.call import Call, Page
from gateway.console.originals import Piece, facts, pieces
from gateway.core.errors import Malformed
from gateway.core.model import RawMessage, Report
from gateway.explain import Explainer
from gateway.house import House
from gateway.i18n import _
from gateway.store import KeyGone, NotFound, Tampered, Tx, drafts

FIELDS = {"unit": 100, "name": 50, "caller": 40, "called": 40, "started_at": 16, "text": 20_000, "remark": 2000}
"""Field → characters at most."""
LEAST = 6
"""Characters from which there is something to understand."""
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
_reading = asyncio.Semaphore(1)


def pages() -> Iterable[Page]:
    """The form, what is understood of it, handing in, throwing away."""
    yield Page("GET", "/phone", "phone", form)
    yield Page("POST", "/phone/draft", "phone", keep)
    yield Page("POST", "/phone", "phone", hand_in)
    yield Page("POST", "/phone/drop", "phone", throw_away)


async def form(call: Call) -> Response:
    """An empty form, or one that was begun."""
    asked, account, desk = call.request.query_params.get("draft", ""), call.user.account.name, call.desk
    oldest = desk.live.now() - timedelta(hours=desk.section.draft_hours)

    def read(tx: Tx) -> tuple[list[drafts.Draft], dict[str, str]]:
        mine = [one for one in drafts.of(tx, account) if one.changed_at > oldest]
        given = drafts.fields(tx, asked) if asked in {one.id for one in mine} else {}
        return mine, given

    try:
        mine, given = await desk.store.read(read)
    except (NotFound, KeyGone, Tampered):
        return await call.problem(404, _("that form is no longer there"), back="/phone")
    id_ = asked if given else desk.store.new_id()
    begun = [(one, desk.live.shown(one.changed_at)) for one in mine if one.id != id_]
    return await _page(call, id_, given or {"started_at": _now(call)}, begun=begun)


async def _page(
    call: Call, id_: str, given: dict[str, str], *, begun: Any = (), wrong: str = "", status: int = 200
) -> Response:
    understood = await _understand(call, given)
    values = {name: given.get(name, "") for name in FIELDS}
    return await call.page(
        "phone.html", status, id=id_, given=values, most=FIELDS, begun=begun, wrong=wrong, understood=understood, kept=""
    )


async def keep(call: Call) -> Response:
    """Keep the form as it is, and show what is understood of it."""
    id_, given = call.form.line("id", 26), _given(call)
    if _ID.fullmatch(id_) is None:
        return await call.problem(400, _("send the form of this page"))
    now, account, desk = call.desk.live.now(), call.user.account.name, call.desk
    old = now - timedelta(hours=desk.section.draft_hours)

    def write(tx: Tx) -> None:
        drafts.drop(tx, [one.id for one in drafts.every(tx) if one.changed_at < old])
        drafts.put(tx, id_, account, now, given)

    try:
        await desk.store.write(write)
    except NotFound:
        return await call.problem(403, _("this form is not one of this sign-in; nothing was done"))
    return call.part("understood.html", understood=await _understand(call, given), kept=now.isoformat()[11:19])


async def hand_in(call: Call) -> Response:
    """The form becomes a message like any other."""
    id_, given, person = call.form.line("id", 26), _given(call), call.user
    if _ID.fullmatch(id_) is None:
        return await call.problem(400, _("send the form of this page"))
    try:
        whole = {**{k: v for k, v in given.items() if v}, "call_id": id_, "clerk": person.name}
        if given["started_at"]:
            whole["started_at"] = _instant(call, given["started_at"])
        if not given["caller"]:
            raise OperationError(_("{field} is needed").format(field=_("caller's number")))
        if not given["text"]:
            raise OperationError(_("{field} is needed").format(field=_("what was said")))
        done = await call.operation("phone_log", form=whole)
    except OperationError as refusal:
        return await _page(call, id_, given, wrong=str(refusal), status=400)
    await _drop(call, id_)
    again = _(" (again; first taken as {id})").format(id=done["duplicate_of"]) if done["duplicate_of"] else ""
    call.say(_("accepted as {id}").format(id=done["id"]) + again)
    return call.go("/phone")


async def throw_away(call: Call) -> Response:
    """A form that is not wanted."""
    await _drop(call, call.form.line("id", 26))
    return call.go("/phone")


async def _drop(call: Call, id_: str) -> None:
    account = call.user.account.name

    def write(tx: Tx) -> None:
        kept = drafts.get(tx, id_)
        if kept is not None and kept.account == account:
            drafts.drop(tx, [id_])

    await call.desk.store.write(write)


def _given(call: Call) -> dict[str, str]:
    return {name: call.form.text(name, most) if most > 1000 else call.form.line(name, most) for name, most in FIELDS.items()}


def _now(call: Call) -> str:
    return call.desk.live.now().isoformat()[:16]


def _instant(call: Call, text: str) -> str:
    try:
        at = datetime.fromisoformat(text.replace(" ", "T"))
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(call.desk.config.timezone))
        return at.isoformat()
    except ValueError:
        known = _("{value} is no time; allowed: 2026-03-05, 2026-03-05T22, 2026-03-05T22:30")
        raise OperationError(known.format(value=text)) from None


async def _understand(call: Call, given: dict[str, str]) -> dict[str, Any] | None:
    """What the form would become, by the gateway's own dry run; None where there is too little of it."""
    if len(given.get("text", "")) < LEAST:
        return None
    house, now = call.desk.house, call.desk.live.now()
    async with _reading:
        try:
            return await asyncio.to_thread(_explain, house, given, now)
        except Exception as error:
            return {"failed": type(error).__name__}


def _explain(house: House, given: dict[str, str], now: datetime) -> dict[str, Any]:
    channel = next((one for one in house.config.channels if one.name == phone_log.VIA), None)
    if channel is None:
        return {"failed": _("no channel {name} is configured").format(name=phone_log.VIA)}
    kept = {name: given.get(name, "") for name in ("unit", "name", "text", "remark")}
    body = msgspec.json.encode({"form": "phone-log", "caller": given.get("caller") or "—", "clerk": "—", **kept})
    raw = RawMessage(
        channel="phone", via=phone_log.VIA, received_at=now, sender="", body=body, content_type=channel.cls.content_type
    )
    line = {
        "id": "form", "channel": "phone", "received_at": house.local(now).isoformat(), "sender": given.get("caller", ""),
        "text": channel.cls(channel.name, channel.settings).read(raw).text,
    }  # fmt: skip
    explainer = Explainer(house)
    try:
        found = explainer.explain(line)
    except Malformed as fault:
        return {"failed": str(fault)}
    finally:
        explainer.close()
    told = found["report"]
    report = msgspec.convert({**{k: v for k, v in told.items() if v is not None}, "text": ""}, Report) if told else None
    shown: tuple[Piece, ...] = pieces(found["text"], report) if report else ()
    return {
        "failed": "",
        "marked": report is None,
        "action": found["action"],
        "because": found["because"],
        "items": found["catalogue"],
        "review": found["review"],
        "severity": wording.severity(found["severity"]),
        "missing": found["missing"],
        "route": found["route"],
        "facts": list(facts(report).items()) if report else [],
        "pieces": shown,
    }
