"""What the watchdog makes of what it sees: which queues stand still, which ways are down, and what of it is said now. Pure.

The shell (``gateway.watch``) looks and raises; here is decided. The same trouble is said once, again after ``repeat``, and again
when the maintenance that covered it is over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct

Sort = Literal["channel", "transport"]
Way = tuple[Sort, str]
Case = Literal["lease", "try", "undelivered", "unread", "parts", "down", "lag", "idle"]


class Limits(Struct, frozen=True, kw_only=True):
    """So long each may take before it is trouble."""

    lease: timedelta
    late_try: timedelta
    undelivered: timedelta
    unread: timedelta
    parts: timedelta
    down: timedelta
    seal: timedelta
    repeat: timedelta


class Heap(Struct, frozen=True, kw_only=True):
    """What waits too long by one way: ``name`` is the channel or transport, ``oldest`` an id, ``since`` its instant."""

    name: str
    count: int
    oldest: str
    since: datetime


class Seen(Struct, frozen=True, kw_only=True):
    """One look. The heaps hold only what is over its limit already; ``down`` says since when a way has not been up."""

    leases: Sequence[Heap] = ()
    tries: Sequence[Heap] = ()
    undelivered: Sequence[Heap] = ()
    unread: Sequence[Heap] = ()
    parts: Sequence[Heap] = ()
    unsealed: datetime | None = None
    idle: Sequence[str] = ()
    down: Mapping[Way, datetime] = {}


class Finding(Struct, frozen=True, kw_only=True):
    """One trouble: the kind of alarm, which case of it, whom it is about (``data``), how long it has stood and an id to begin
    with. ``key`` is the same for as long as it is the same trouble."""

    kind: str
    case: Case
    data: Mapping[str, Any]
    minutes: int = 0
    incident: str | None = None
    message: str | None = None
    delivery: str | None = None

    @property
    def key(self) -> str:
        """By which it is known again at the next look; counts and times do not belong to it."""
        names = (str(value) for name, value in sorted(self.data.items()) if name != "count")
        return "|".join((self.kind, self.case, *names, self.incident or ""))


class Said(Struct, frozen=True):
    """When a trouble was said last, and whether maintenance kept it then."""

    at: datetime
    kept: bool


def standing(before: Mapping[Way, datetime], up: Mapping[Way, bool], now: datetime) -> dict[Way, datetime]:
    """Since when each way that is not up has been so; what was up in between begins anew."""
    return {way: before.get(way, now) for way, is_up in up.items() if not is_up}


def findings(seen: Seen, limits: Limits, now: datetime) -> list[Finding]:
    """Every trouble of one look."""
    found: list[Finding] = []
    heaps: tuple[tuple[Case, Sequence[Heap]], ...] = (
        ("lease", seen.leases), ("try", seen.tries), ("undelivered", seen.undelivered),
    )  # fmt: skip
    for case, some in heaps:
        for heap in some:
            data = {"transport": heap.name, "count": heap.count}
            found.append(Finding(kind="stuck", case=case, data=data, minutes=_minutes(heap.since, now), delivery=heap.oldest))
    for heap in seen.unread:
        data = {"via": heap.name, "count": heap.count}
        found.append(Finding(kind="unread", case="unread", data=data, minutes=_minutes(heap.since, now), message=heap.oldest))
    for heap in seen.parts:
        data = {"via": heap.name, "count": heap.count}
        found.append(Finding(kind="unread", case="parts", data=data, minutes=_minutes(heap.since, now)))
    for (sort, name), since in seen.down.items():
        if now - since >= limits.down:
            key = "via" if sort == "channel" else "transport"
            found.append(Finding(kind=sort, case="down", data={key: name}, minutes=_minutes(since, now)))
    if seen.unsealed is not None and now - seen.unsealed >= limits.seal:
        found.append(Finding(kind="sealer", case="lag", data={}, minutes=_minutes(seen.unsealed, now)))
    found += [Finding(kind="idle", case="idle", data={}, incident=number) for number in seen.idle]
    return found


def news(
    found: Sequence[Finding], said: Mapping[str, Said], covered: Collection[str], now: datetime, repeat: timedelta
) -> tuple[list[Finding], dict[str, Said]]:
    """What is to be said of ``found`` now, and what has been said after that. ``covered`` are the keys that maintenance covers:
    such a trouble is said once, to be kept, and aloud as soon as it is covered no more. A trouble that is over is forgotten."""
    tell: list[Finding] = []
    after: dict[str, Said] = {}
    for one in found:
        key, kept = one.key, one.key in covered
        last = said.get(key)
        fresh = last is None or (last.kept and not kept) or (not kept and not last.at <= now < last.at + repeat)
        if fresh:
            tell.append(one)
        after[key] = Said(now, kept) if fresh or last is None else last
    return tell, after


def _minutes(since: datetime, now: datetime) -> int:
    return max(0, (now - since) // timedelta(minutes=1))
