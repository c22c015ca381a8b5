"""The one door in: a receipt is given when the message is on stable storage, not before and not for anything else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any

from gateway.alarms import Alarms
from gateway.core.errors import StorageTrouble, TooLarge
from gateway.core.model import Event, RawMessage
from gateway.core.outcomes import Receipt
from gateway.i18n import _
from gateway.store import Store, Tx, journal, messages, precedence

REPLY_SECONDS = 60.0
AHEAD_BYTES = 64 * 1024
"""A whole message of at most so many bytes, its carrier's remarks included, is made ready on the loop; a longer one, and a part,
by the writer."""
REMARK_BYTES = 32
"""What a remark costs beside its letters."""
LARGE_BYTES = 1024 * 1024
"""Messages larger than this are sealed one at a time: each lies in memory several times meanwhile."""


class Intake:
    """What channels are given. ``wake`` is called after each commit, with the kind of channel and the class of the sender, so
    that the desk looks at once."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], datetime],
        max_bytes: int,
        repeat_seconds: float,
        alarms: Alarms,
        wake: Callable[[str, int], None],
        take_receipt: Callable[[Tx, Receipt, datetime], None],
        wake_dispatch: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._max_bytes = max_bytes
        self._repeat = repeat_seconds
        self._alarms = alarms
        self._wake = wake
        self._take_receipt = take_receipt
        self._wake_dispatch = wake_dispatch
        self._one_large = asyncio.Lock()
        self.on_accepted: Callable[[float], None] = lambda seconds: None
        self.in_hand = 0
        """Carriers that stand waiting for a receipt."""
        self.shut: Callable[[], str] = lambda: ""
        self.is_person: Callable[[str], bool] = lambda sender: False
        self.known: precedence.Known = precedence.everybody

    def use(self, *, max_bytes: int, repeat_seconds: float) -> None:
        """Go on with these from the next message on."""
        self._max_bytes, self._repeat = max_bytes, repeat_seconds

    async def accept(self, raw: RawMessage) -> messages.Accepted:
        """Put ``raw`` on stable storage. Raises ``TooLarge`` with the limit, ``StorageTrouble`` for a temporary answer."""
        if len(raw.body) > self._max_bytes:
            raise TooLarge(_("message has {size} bytes, the limit is {limit}").format(size=len(raw.body), limit=self._max_bytes))
        if why := self.shut():
            raise StorageTrouble(why)
        now, began = self._clock(), monotonic()
        of = precedence.of_sender(raw.sender, self.known)
        repeat = repeat_within(self._repeat, self.is_person(raw.sender))
        work: Callable[[Tx], messages.Accepted]
        if raw.part is None and _length(raw) <= AHEAD_BYTES:
            work = Ready.of(self._store, raw, now, repeat, of)
        else:
            # Parts depend on one another, and a long one would hold up the loop.
            # Its ids are given now all the same: what came first is read first.
            ids = self._store.new_id(), self._store.new_id()
            work = partial(take_in, raw=raw, now=now, repeat_seconds=repeat, known=self.known, ids=ids)
        self.in_hand += 1
        try:
            async with self._one_large if len(raw.body) > LARGE_BYTES else contextlib.nullcontext():
                accepted = await self._store.write(work, again=True)
        except StorageTrouble as trouble:
            self._alarms.raise_("storage", why=str(trouble), via=raw.via)
            raise
        finally:
            self.in_hand -= 1
            # Also where nobody waits for the answer any more: it may have been stored all the same.
            self._wake(raw.channel, of)
        self.on_accepted(monotonic() - began)
        return accepted

    async def receipt(self, receipt: Receipt) -> None:
        """Keep a carrier's receipt. Raises ``StorageTrouble``."""
        now = self._clock()
        try:
            await self._store.write(lambda tx: self._take_receipt(tx, receipt, now))
        except StorageTrouble as trouble:
            self._alarms.raise_("storage", why=str(trouble), via=receipt.via)
            raise
        self._wake_dispatch()


def repeat_within(seconds: float, person: bool) -> float:
    """How long an equal message counts as a copy. A duty person who says 收到 twice within the hour means two matters; only what
    a carrier brings again at once is a copy."""
    return min(seconds, REPLY_SECONDS) if person else seconds


def take_in(
    tx: Tx,
    raw: RawMessage,
    now: datetime,
    repeat_seconds: float,
    known: precedence.Known = precedence.everybody,
    ids: tuple[str, str] | None = None,
) -> messages.Accepted:
    """Frame, hash, seal, store, event: nothing of the content is looked at. What is from a ``known`` sender is read first;
    ``ids`` as ``messages.accept`` takes them."""
    accepted = messages.accept(tx, raw, now, repeat_window=timedelta(seconds=repeat_seconds), known=known, ids=ids)
    journal.emit(tx, _event(raw, accepted, now))
    return accepted


@dataclass(frozen=True, slots=True)
class Ready:
    """As ``take_in``, for a message that was hashed and sealed already, outside of the writer. Those that wait together are
    written together."""

    raw: RawMessage
    now: datetime
    parcel: messages.Parcel
    line: dict[str, Any]
    """The journal's, if the message is no copy."""

    @classmethod
    def of(cls, store: Store, raw: RawMessage, now: datetime, repeat_seconds: float, precedence: int) -> Ready:
        """All of the work on a whole message that needs no transaction: the loop does it while the writer waits for a sync."""
        window = timedelta(seconds=repeat_seconds)
        parcel = messages.parcel(store.keys, store.new_id(), raw, now, repeat_window=window, precedence=precedence)
        accepted = messages.Accepted(id=parcel.id, message=parcel.id)
        return cls(raw, now, parcel, journal.line(_event(raw, accepted, now)))

    def __call__(self, tx: Tx) -> messages.Accepted:
        """Store it, and its event."""
        return take_ready(tx, [self])[0]

    @staticmethod
    def together(tx: Tx, several: Sequence[Ready]) -> list[messages.Accepted]:
        """Store several, and their events."""
        return take_ready(tx, several)


def take_ready(tx: Tx, several: Sequence[Ready]) -> list[messages.Accepted]:
    """Store messages that were made ready, and their events."""
    stored = messages.put_all(tx, [one.parcel for one in several])
    for one, accepted in zip(several, stored, strict=True):
        tx.events.append(one.line if accepted.duplicate_of is None else journal.line(_event(one.raw, accepted, one.now)))
    return stored


def _length(raw: RawMessage) -> int:
    """What there is to seal of it."""
    return len(raw.body) + sum(len(key) + len(value) + REMARK_BYTES for key, value in raw.meta.items())


def _event(raw: RawMessage, accepted: messages.Accepted, now: datetime) -> Event:
    if accepted.duplicate_of:
        data: dict[str, object] = {"of": accepted.duplicate_of, "how": "same bytes", "via": raw.via, "sender": raw.sender}
        return Event(at=now, event="duplicate", message=accepted.id, data=data)
    data = {"via": raw.via, "channel": raw.channel, "sender": raw.sender, "size": len(raw.body)}
    if raw.part is not None:
        data |= {"part": raw.part.number, "parts": raw.part.total}
    event = "part_accepted" if raw.part is not None and accepted.message is None else "accepted"
    if event == "part_accepted":
        data.pop("channel")
    return Event(at=now, event=event, message=accepted.message or accepted.id, data=data)
