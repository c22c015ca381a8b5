"""The self-test (网关自检): a message of ours that goes out by a real carrier and must come back in. Pure.

Its token is an id and a keyed digest of it, so that nobody who does not hold the store's key can make one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

PURPOSE = "canary"
"""What the digest is made for (``StoreKeys.digest``)."""
MARK = 20
"""Hex digits of the digest in a token: 80 bits."""
KEPT = 20
"""So many failed ones are still known by name when they come back late."""
_TOKEN = re.compile(r"(?<![0-9A-Za-z])([0-9A-HJKMNP-TV-Z]{26})-([0-9a-f]{20})(?![0-9A-Za-z])")

Step = Literal["begin", "send", "fail", "wait"]


class State(Struct, frozen=True, kw_only=True):
    """One self-test as it stands. ``id`` is the newest, begun at ``begun_at``; ``taken``: the carrier took it; ``done``: it is
    back or was given up; ``failing``: the last one that was judged had failed; ``lost`` are ids that were given up."""

    id: str
    begun_at: datetime
    taken: bool = False
    done: bool = False
    failing: bool = False
    lost: tuple[str, ...] = ()


def words(token: str) -> str:
    """The text that is sent."""
    return f"网关自检 {token}"


def tokens(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Every (id, digest) that has the form of a token in ``texts``."""
    return [(found[1], found[2]) for text in texts for found in _TOKEN.finditer(text)]


def step(state: State | None, now: datetime, up_since: datetime, every: timedelta, within: timedelta) -> Step:
    """What is to be done at ``now``. One that was on its way while the gateway was down (it has been up since ``up_since``) has
    its whole time again: the carrier could not bring it."""
    if state is None or (state.done and not state.begun_at <= now < state.begun_at + every):
        return "begin"
    if state.done:
        return "wait"
    if now > max(state.begun_at, up_since) + within:
        return "fail"
    return "wait" if state.taken else "send"


def begun(state: State | None, id_: str, now: datetime) -> State:
    """A new one is on its way."""
    if state is None:
        return State(id=id_, begun_at=now)
    return State(id=id_, begun_at=now, failing=state.failing, lost=state.lost)


def failed(state: State) -> State:
    """The newest did not come back in time."""
    return replace(state, done=True, failing=True, lost=(*state.lost, state.id)[-KEPT:])


def back(state: State, id_: str) -> tuple[State, Literal["in time", "recovered", "late", "again"]]:
    """``id_`` came back: in time, in time after a failure, late, or once more."""
    if id_ in state.lost:
        return replace(state, lost=tuple(one for one in state.lost if one != id_)), "late"
    if id_ != state.id or state.done:
        return state, "again"
    return replace(state, done=True, failing=False), "recovered" if state.failing else "in time"


def taken(state: State) -> State:
    """The carrier took the newest."""
    return replace(state, taken=True)
