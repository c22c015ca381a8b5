"""The self-test of carriers (网关自检): sends the canary of each ``[[canary]]`` by its real transport, knows it again at the
desk, and says when one did not come back in time. What is decided is in ``gateway.core.canary``."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway import alarms
from gateway.core import canary
from gateway.core.model import Delivery, Event, Message
from gateway.core.outcomes import Delivered
from gateway.i18n import _
from gateway.settings_care import CanaryEntry
from gateway.store import Store, Tx, journal, maintenance, notes
from gateway.store.messages import MessageRow

log = logging.getLogger(__name__)

SEND_SECONDS = 30.0


class Canaries:
    """``config`` gives the entries of conf; ``up_since`` is when this run of the gateway began."""

    def __init__(
        self,
        store: Store,
        transports: Mapping[str, Any],
        *,
        entries: Callable[[], Sequence[CanaryEntry]],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._transports = transports
        self._entries = entries
        self._clock = clock
        self._up_since = clock()

    async def look(self) -> None:
        """One turn of every canary, side by side. Raises ``StorageTrouble``."""
        await asyncio.gather(*(self._turn(entry) for entry in self._entries()))

    async def _turn(self, entry: CanaryEntry) -> None:
        now = self._clock()
        if await self._store.read(lambda tx: self._step(tx, entry, now)) == "wait":
            return
        state = await self._store.write(lambda tx: self._decide(tx, entry, now))
        if state is None:
            return
        # Noted before it is sent: after a crash in between it is sent again, with the same token.
        if await self._send(entry, state):
            await self._store.write(lambda tx: _note_taken(tx, entry, state))

    def _step(self, tx: Tx, entry: CanaryEntry, now: datetime) -> canary.Step:
        every, within = timedelta(minutes=entry.every_minutes), timedelta(minutes=entry.within_minutes)
        return canary.step(_state(tx, entry), now, self._up_since, every, within)

    def _decide(self, tx: Tx, entry: CanaryEntry, now: datetime) -> canary.State | None:
        """Carry out one step; returns what is to be sent."""
        notes.lock(tx, _name(entry))
        state, step = _state(tx, entry), self._step(tx, entry, now)
        if step == "begin":
            made = canary.begun(state, tx.new_id(), now)
            notes.put(tx, _name(entry), made)
            return made
        if step == "fail" and state is not None:
            notes.put(tx, _name(entry), canary.failed(state))
            _fail(tx, entry, now - state.begun_at, now)
        return state if step == "send" else None

    async def _send(self, entry: CanaryEntry, state: canary.State) -> bool:
        transport = self._transports.get(entry.transport)
        text = canary.words(f"{state.id}-{_mark(self._store.keys, state.id)}")
        delivery = Delivery(
            id=f"canary-{state.id}", incident=None, destination="canary", transport=entry.transport, address=entry.address,
            subject=text, text=text, short_text=text,
        )  # fmt: skip
        try:
            async with asyncio.timeout(SEND_SECONDS):
                outcome = await transport.send(delivery) if transport is not None else None
        except Exception as error:
            log.warning("canary %s could not be sent: %s", entry.name, type(error).__name__)
            return False
        if not isinstance(outcome, Delivered):
            log.warning("canary %s was not taken: %s", entry.name, getattr(outcome, "why", "no such transport"))
        return isinstance(outcome, Delivered)


def recognise(tx: Tx, message: Message) -> str | None:
    """The id of a canary of ours in a message; None in any other. No one else can make a token."""
    for id_, mark in canary.tokens((message.text, message.subject)):
        if hmac.compare_digest(mark, _mark(tx.keys, id_)):
            return id_
    return None


def returned(tx: Tx, entries: Sequence[CanaryEntry], row: MessageRow, id_: str, *, automatic: bool, now: datetime) -> None:
    """Note that a canary came in with ``row``. One that came by another channel than its own, or in a machine's answer (a mail
    that was bounced), proves nothing of the way back."""
    for entry in entries:
        notes.lock(tx, _name(entry))
        state = _state(tx, entry)
        if state is None or id_ not in (state.id, *state.lost) or entry.via != row.via or automatic:
            continue
        after, how = canary.back(state, id_)
        notes.put(tx, _name(entry), after)
        if how in ("recovered", "late"):
            data = {"name": entry.name, "via": entry.via, "transport": entry.transport, "late": how == "late"}
            if id_ == state.id:
                data["minutes"] = (now - state.begun_at) // timedelta(minutes=1)
            journal.emit(tx, Event(at=now, event="canary_returned", message=row.id, data=data))


def _fail(tx: Tx, entry: CanaryEntry, waited: timedelta, now: datetime) -> None:
    named = {"name": entry.name, "via": entry.via, "transport": entry.transport}
    minutes = waited // timedelta(minutes=1)
    journal.emit(tx, Event(at=now, event="canary_failed", data={**named, "minutes": minutes}))
    why = _("the self-test {name} did not come back over {via} within {minutes} min")
    why = why.format(name=entry.name, via=entry.via, minutes=entry.within_minutes)
    kept = alarms.covers(maintenance.standing(tx), "canary", named, now)
    log.log(logging.INFO if kept else logging.ERROR, why)
    data = alarms.fields("canary", why, kept=kept, minutes=minutes, **named)
    journal.emit(tx, Event(at=now, event="alarm", data=data))


def _note_taken(tx: Tx, entry: CanaryEntry, sent: canary.State) -> None:
    notes.lock(tx, _name(entry))
    state = _state(tx, entry)
    if state is not None and state.id == sent.id:
        notes.put(tx, _name(entry), canary.taken(state))


def _state(tx: Tx, entry: CanaryEntry) -> canary.State | None:
    return notes.get(tx, _name(entry), canary.State)


def _name(entry: CanaryEntry) -> str:
    return f"canary:{entry.name}"


def _mark(keys: Any, id_: str) -> str:
    digest: str = keys.digest(canary.PURPOSE, id_.encode())
    return digest[: canary.MARK]
