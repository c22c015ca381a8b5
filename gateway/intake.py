"""The one door in: a receipt is given when the message is on stable storage, not before and not for anything else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from gateway.alarms import Alarms
from gateway.core.errors import StorageTrouble, TooLarge
from gateway.core.model import Event, RawMessage
from gateway.core.outcomes import Receipt
from gateway.i18n import _
from gateway.store import Store, Tx, journal, messages


class Intake:
    """What channels are given. ``wake`` is called after each commit so that the desk looks at once."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], datetime],
        max_bytes: int,
        repeat_seconds: float,
        alarms: Alarms,
        wake: Callable[[], None],
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
        self.on_accepted: Callable[[float], None] = lambda seconds: None

    def use(self, *, max_bytes: int, repeat_seconds: float) -> None:
        """Go on with these from the next message on."""
        self._max_bytes, self._repeat = max_bytes, repeat_seconds

    async def accept(self, raw: RawMessage) -> messages.Accepted:
        """Put ``raw`` on stable storage. Raises ``TooLarge`` with the limit, ``StorageTrouble`` for a temporary answer."""
        if len(raw.body) > self._max_bytes:
            raise TooLarge(_("message has {size} bytes, the limit is {limit}").format(size=len(raw.body), limit=self._max_bytes))
        now, began = self._clock(), monotonic()
        try:
            accepted = await self._store.write(lambda tx: take_in(tx, raw, now, self._repeat))
        except StorageTrouble as trouble:
            self._alarms.raise_("storage", why=str(trouble), via=raw.via)
            raise
        self.on_accepted(monotonic() - began)
        self._wake()
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


def take_in(tx: Tx, raw: RawMessage, now: datetime, repeat_seconds: float) -> messages.Accepted:
    """Frame, hash, seal, store, event: nothing of the content is looked at."""
    accepted = messages.accept(tx, raw, now, repeat_window=timedelta(seconds=repeat_seconds))
    journal.emit(tx, _event(raw, accepted, now))
    return accepted


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
