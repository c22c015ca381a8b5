"""Dispatch: moves deliveries by their one table of states until the peer says yes or no way is left.

Every attempt is leased in the store before anything is sent and settled in the store after, so that a crash between the two
repeats the attempt under the same delivery id. Order holds per (destination, incident); nothing else waits for a delivery in
backoff.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from gateway.alarms import Alarms
from gateway.core.errors import StorageTrouble
from gateway.core.model import Delivery
from gateway.core.outcomes import Delivered, Outcome, Receipt, Refused, TryLater
from gateway.duty import acknowledging
from gateway.heartbeat import WORK, Here, unwatched
from gateway.i18n import _
from gateway.settling import Acknowledged, Attempt, alarm, settle, take_receipt
from gateway.store import KeyGone, Store, Tampered, Tx, deliveries, fallback, incidents, precedence, receipts
from gateway.telling import told_without
from gateway.trying import Backoff, Rules, Verdict, judge
from gateway.turns import Turns

log = logging.getLogger(__name__)

BUNDLED = "gateway_plugins."
"""Ours tell codes and words of their own, and a proxy looks through its plugin's; what others pass on is looked through here."""

ROUND = 4
"""Deliveries leased at a time: few, so that the first is on its way before the last is written."""
MOST = 16
"""And so many where there is more than that to do, each round twice the last: then it is the rounds that cost the time."""
ROUND_SECONDS = 0.02
"""What the loop has to do for a round of four, about: it is spread over the time of their answers."""
LATER_SHARE = 0.75
"""How much of what may be in flight at once may be about what strangers told of."""
KEEP_RECEIPTS = timedelta(days=7)


class Leased(Attempt, frozen=True, kw_only=True):
    """The same, opened for a transport."""

    delivery: Delivery


class Dispatcher:
    """Runs the rounds. ``transports`` maps configured names to running transports."""

    def __init__(
        self,
        store: Store,
        transports: Mapping[str, Any],
        *,
        backoff: Backoff,
        rules: Rules,
        owner: str,
        clock: Callable[[], datetime],
        alarms: Alarms,
    ) -> None:
        self.transports = transports
        self._store = store
        self._backoff = backoff
        self._rules = rules
        self._owner = owner
        self._clock = clock
        self._alarms = alarms
        self._awake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._later = 0
        self._round = ROUND
        self.turns = Turns()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._tidied = clock()
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self.objection: Callable[[deliveries.DeliveryRow, Delivery], str | None] = lambda row, delivery: None
        self.on_acknowledged: Acknowledged = acknowledging.by_receipt
        self.on_delivered: Callable[[Tx, deliveries.DeliveryRow, datetime], None] = lambda tx, row, now: None
        self.here: Here = unwatched

    async def start(self) -> None:
        """Take back what an earlier run of this host left in the air, then start."""
        now = self._clock()
        await self._store.write(lambda tx: deliveries.release_stale(tx, self._owner, now))
        self._task = asyncio.create_task(self._run(), name="dispatch")

    async def stop(self, within: float) -> None:
        """Let what is being sent finish, ``within`` seconds; the rest is repeated at the next start."""
        self._stopping = True
        self._awake.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        if self._sending:
            _done, late = await asyncio.wait(self._sending, timeout=within)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def use(self, backoff: Backoff, rules: Rules) -> None:
        """Go on with these from the next outcome on."""
        self._backoff, self._rules = backoff, rules
        self._awake.set()

    def in_hand(self) -> frozenset[asyncio.Task[None]]:
        """What is being sent at this instant."""
        return frozenset(self._sending)

    def wake(self) -> None:
        """There may be something to send."""
        self._awake.set()

    async def _run(self) -> None:
        while not self._stopping:
            self.here("dispatch")
            self._awake.clear()
            wait = 5.0
            try:
                if await self.step(self._clock()):
                    continue
                await self._forget(self._clock())
                wait = await self._until_next()
            except StorageTrouble as trouble:
                self._alarms.raise_("storage", why=str(trouble))
                wait = 1.0
            except Exception as error:
                log.exception("dispatch round")
                self.on_error(error)
                wait = 1.0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._awake.wait()

    async def _forget(self, now: datetime) -> None:
        """Once a day: receipts that no delivery ever asked for."""
        if now - self._tidied >= timedelta(days=1):
            self._tidied = now
            await self._store.write(lambda tx: receipts.forget_parked(tx, now - KEEP_RECEIPTS))

    async def _until_next(self) -> float:
        due = await self._store.read(deliveries.next_due)
        if due is None:
            return 5.0
        now = self._clock()
        if due <= now and not self._sending:
            # Nothing was due to be sent and we hold nothing, so a lease ran out: whoever held it is gone.
            await self._store.write(lambda tx: deliveries.release_stale(tx, None, now))
        return min(5.0, max(0.05, (due - now).total_seconds()))

    async def step(self, now: datetime) -> bool:
        """Lease what is due and begin to send it; True where there was something."""
        giving = self.turns.carriers()
        room = min(ROUND if giving else self._round, self._rules.concurrency - len(self._sending))
        if room <= 0:
            self.here("dispatch", self._rules.send_timeout + WORK)
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            return True
        later = max(0, int(self._rules.concurrency * LATER_SHARE) - self._later)
        if not await self._store.read(lambda tx: deliveries.due(tx, now, 1, later)):
            self._round = ROUND
            return False
        leased = await self._store.write(lambda tx: self._lease(tx, now, room, later))
        self._round = min(MOST, 2 * self._round) if len(leased) >= self._round else ROUND
        for number, one in enumerate(leased):
            task = asyncio.create_task(self._send(one), name=f"send-{one.row.id}")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
            if one.row.precedence != precedence.FIRST:
                self._later += 1
                task.add_done_callback(self._one_later_less)
            if number < ROUND:
                await asyncio.sleep(0)  # the first is on its way while the next is made; the last need not wait for all of them
        if giving:
            await self.turns.give(ROUND_SECONDS)
        return bool(leased)

    def _one_later_less(self, _task: asyncio.Task[None]) -> None:
        self._later -= 1

    def _lease(self, tx: Tx, now: datetime, room: int, later: int) -> list[Leased]:
        leased = []
        for row in deliveries.due(tx, now, room, later):
            # State is looked at again here, in the transaction that leases: an acknowledgement may have come since.
            number = incidents.get(tx, row.incident).number if row.incident else None
            try:
                delivery = deliveries.lease(tx, row.id, self._owner, now + self._rules.lease, now)
            except (Tampered, KeyGone) as error:
                # One row that cannot be opened is set aside for a person; the others go on.
                fallback.refuse(tx, row.id, type(error).__name__)
                why = _("a delivery to {office} cannot be opened: {error}")
                alarm(tx, row, number, now, why.format(office=row.destination, error=type(error).__name__))
                continue
            if delivery is not None:
                numbered = msgspec.structs.replace(delivery, incident=number)
                leased.append(Leased(row=deliveries.get(tx, row.id), delivery=numbered, number=number))
        return leased

    async def _send(self, leased: Leased) -> None:
        row = leased.row
        outcome = await self._attempt(row, leased.delivery)
        while True:
            now = self._clock()
            try:
                verdict = judge(outcome, row, now, self._backoff, self._rules)
                if row.transport not in self.transports:
                    # It was taken out of conf: the next way is tried at once.
                    verdict = msgspec.structs.replace(verdict, fall_back=bool(row.ways))
                await self._store.write(lambda tx, v=verdict, at=now: self._settle(tx, leased, v, at))  # type: ignore[misc]
                break
            except StorageTrouble as trouble:
                # The lease stands; until the store takes the answer nobody else sends this delivery.
                self._alarms.raise_("storage", why=str(trouble), delivery=row.id)
                if self._stopping:
                    return
                await asyncio.sleep(0.5)
            except Exception as error:
                # An outcome that cannot be kept is a fault of the transport's: the delivery is tried again.
                self.on_error(error)
                why = f"transport {row.transport}: its answer cannot be kept ({type(error).__name__})"
                self._alarms.raise_("delivery", why=why, delivery=row.id)
                if outcome == (again := TryLater(why)):
                    return
                outcome = again
        self._awake.set()

    def _settle(self, tx: Tx, leased: Leased, verdict: Verdict, now: datetime) -> None:
        via = self._receipts_from(leased.row)
        settle(tx, leased, verdict, now, via, self._backoff, self._rules, self.on_acknowledged)
        row = leased.row
        if verdict.state == "delivered":
            self.on_delivered(tx, row, now)
        if row.transport in self.transports or verdict.fall_back or verdict.state != "waiting" or row.why == verdict.why:
            return
        if not fallback.others_left(tx, row):
            alarm(
                tx,
                row,
                leased.number,
                now,
                _("{why}; a delivery to {office} waits for it").format(why=verdict.why, office=row.destination),
            )

    def receipt(self, tx: Tx, receipt: Receipt, now: datetime) -> None:
        """Take a carrier's receipt, for intake."""
        take_receipt(tx, receipt, now, self._backoff, self._rules, self.on_acknowledged)

    def _receipts_from(self, row: deliveries.DeliveryRow) -> str | None:
        """Under which channel's name the carrier will send its receipts."""
        name: str | None = getattr(self.transports.get(row.transport), "receipts_from", None)
        return name or None

    async def _attempt(self, row: deliveries.DeliveryRow, delivery: Delivery) -> Outcome:
        transport = self.transports.get(row.transport)
        if transport is None:
            return TryLater(_("transport {name} is not configured").format(name=row.transport))
        if (why := self.objection(row, delivery)) is not None:
            self._alarms.raise_("secrecy", why=why, delivery=row.id, transport=row.transport, destination=row.destination)
            return Refused(why)
        try:
            async with asyncio.timeout(self._rules.send_timeout):
                outcome = await transport.send(delivery)
        except TimeoutError:
            return TryLater(_("no answer within {seconds:g} s").format(seconds=self._rules.send_timeout))
        except asyncio.CancelledError:
            if self._stopping:
                raise
            return TryLater(_("the transport broke the attempt off"))
        except Exception as error:
            log.error("transport %s failed on delivery %s: %s", row.transport, row.id, type(error).__name__)
            self.on_error(error)
            return TryLater(_("the transport failed: {error}").format(error=type(error).__name__))
        if not isinstance(outcome, Delivered | TryLater | Refused):
            return TryLater(_("the transport answered nonsense: {kind}").format(kind=type(outcome).__name__))
        if type(transport).__module__.startswith(BUNDLED) or getattr(type(transport), "apart", False):
            return outcome
        return told_without(outcome, delivery.subject, delivery.text, delivery.short_text)
