"""Judgements (迟报 漏报 误报 瞒报): made by rule where the record proves them, confirmed or lifted only by a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.core.duty.matter import Given, Judged, Matter, Note, Turn

KINDS = ("迟报", "漏报", "误报", "疑似瞒报", "瞒报")
NONE = "none"
"""What stood before a judgement that a person made first."""


class NotJudged(ValueError):
    """There is nothing of that kind to lift."""


def false_report(matter: Matter, given: Given) -> Turn:
    """What was reported had to be taken back: 误报, once."""
    if any(one.kind == "误报" for one in matter.judgements):
        return matter, ()
    data = {"kind": "误报", "responsible": list(matter.responsible), "state": "automatic"}
    return replace(matter, judgements=(*matter.judgements, Judged(kind="误报"))), (Note(event="judged", data=data),)


def judge(matter: Matter, given: Given, kind: str, by: str, reason: str, *, lift: bool = False, clock: str = "") -> Turn:
    """A person confirms a judgement, makes one, or lifts one. 瞒报 confirms or lifts what was suspected. Raises ``NotJudged``."""
    fits = [one for one in matter.judgements if one.state != "lifted" and _same(one, kind) and clock in ("", one.clock)]
    if lift and not fits:
        raise NotJudged(f"没有可撤销的{kind}认定")
    state = "lifted" if lift else "confirmed"
    decided = [replace(one, kind=one.kind if lift else kind, state=state) if one in fits else one for one in matter.judgements]
    if not fits:
        decided.append(Judged(kind=kind, clock=clock, state="confirmed"))
    settled = {one.clock for one in fits if one.clock}
    clocks = tuple(replace(one, disputed=False) if one.clock in settled else one for one in matter.clocks)
    data: dict[str, Any] = {"kind": kind, "state": state, "why": reason, "responsible": list(matter.responsible)}
    disputed = any(one.disputed for one in matter.clocks if one.clock in settled)
    data["former"] = {"state": fits[-1].state, "kind": fits[-1].kind, "disputed": disputed} if fits else {"state": NONE}
    if clock or settled:
        data["clock"] = clock or min(settled)
    return replace(matter, judgements=tuple(decided), clocks=clocks), (Note(event="judged", by=by, data=data),)


def take_back(matter: Matter, given: Given, data: Mapping[str, Any], by: str, reason: str, undoes: str) -> Turn:
    """What a person had judged (``data`` of that event) is taken back: a judgement of the person's own is lifted, any other
    stands as it stood before. Raises ``NotJudged``."""
    kind, state, clock = str(data.get("kind")), str(data.get("state")), str(data.get("clock") or "")
    fits = [one for one in matter.judgements if one.kind == kind and one.state == state and clock in ("", one.clock)]
    if not fits:
        raise NotJudged(f"{kind}认定已有变动")
    former = data["former"]
    was, before = str(former["state"]), str(former.get("kind") or kind)
    own = was == NONE
    changed = {"state": "lifted"} if own else {"state": was, "kind": before}
    judgements = tuple(
        msgspec.convert({**msgspec.to_builtins(one), **changed}, Judged) if (one is fits[-1] if own else one in fits) else one
        for one in matter.judgements
    )
    settled = {one.clock for one in fits if one.clock} if former.get("disputed") else set()
    clocks = tuple(replace(one, disputed=True) if one.clock in settled else one for one in matter.clocks)
    note: dict[str, Any] = {"kind": before, "state": changed["state"], "why": reason, "responsible": list(matter.responsible)}
    note |= {"former": {"state": state, "kind": kind}, "undoes": undoes}
    if clock:
        note["clock"] = clock
    return replace(matter, judgements=judgements, clocks=clocks), (Note(event="judged", by=by, data=note),)


def _same(one: Judged, kind: str) -> bool:
    return one.kind == kind or {one.kind, kind} == {"疑似瞒报", "瞒报"}
