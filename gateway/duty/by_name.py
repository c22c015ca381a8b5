"""An act by its name, with its arguments as commands, the console and scenarios give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from gateway.core.model import Incident
from gateway.duty import undoing
from gateway.duty.acts import Act, Actor, Refused
from gateway.i18n import _


def carry_out(act: Act, do: str, incident: Incident, actor: Actor, args: Mapping[str, Any]) -> Incident:
    """An act by its name, with its arguments as commands and scenarios give them. Raises ``Refused``, ``CannotJoin``."""
    reason = str(args.get("reason") or args.get("why") or "")
    wording = str(args.get("wording") or args.get("text") or args.get("what") or "")
    if do == "approve":
        return act.approve(incident, actor, wording or "同意", str(args.get("level") or ""))
    if do == "instruct":
        if args.get("done"):
            item = "last" if args["done"] is True else str(args["done"])
            return act.done(incident, actor, item, str(args.get("result") or ""))
        return act.instruct(incident, actor, wording, str(args.get("to") or args.get("owner") or ""), _due(act, args.get("due")))
    if do == "waive":
        clocks = args.get("clocks") or args.get("clock") or ()
        return act.waive(incident, actor, reason, (clocks,) if isinstance(clocks, str) else tuple(clocks))
    if do == "judge":
        return act.judge(
            incident, actor, str(args.get("kind") or ""), reason, lift=bool(args.get("lift")), clock=str(args.get("clock") or "")
        )
    if do == "correct":
        changes = dict(args.get("changes") or args.get("fields") or {})
        if args.get("field"):
            changes[str(args["field"])] = args.get("value", args.get("to"))
        return act.correct(incident, actor, changes, reason)
    if do == "merge":
        return act.merge(incident, actor, str(args.get("into") or args.get("with") or ""), reason)
    if do == "split":
        return act.split(incident, actor, reason)
    if do == "undo":
        return undoing.undo(act, incident, actor, str(args.get("entry") or undoing.LAST), reason)
    if do == "done":
        return act.done(incident, actor, str(args.get("item") or "last"), str(args.get("result") or ""))
    if do == "ask":
        return act.ask(incident, actor, wording)
    simple: dict[str, Callable[[Incident, Actor, str], Incident]] = {
        "close": act.close, "reopen": act.reopen, "release": act.release,
    }  # fmt: skip
    return simple[do](incident, actor, reason)


def _due(act: Act, given: Any) -> datetime | None:
    """When it is to be done: an instant, or a number of hours from now."""
    if given in (None, ""):
        return None
    try:
        if isinstance(given, int | float) or str(given).isdigit():
            return act.now + timedelta(hours=float(given))
        at = datetime.fromisoformat(str(given))
        return at if at.tzinfo else at.replace(tzinfo=act.house.local(act.now).tzinfo)
    except (ValueError, OverflowError):
        raise Refused(_("{value} is no time; allowed: 2026-03-05T22:30, or a number of hours").format(value=given)) from None
