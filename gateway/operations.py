"""What the command line and the console may ask of the store. Each operation is one short transaction; those that change
something record who asked."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway import __version__, accounts, operations_care, operations_register, phone_log
from gateway.asked import OperationError
from gateway.core.calendar import fixed
from gateway.core.model import Event
from gateway.duty import acts, people, shift, undoing
from gateway.house import House
from gateway.i18n import _
from gateway.settings import Config
from gateway.store import Store, Tx, deliveries, journal

FORESEEN = 200
"""Events of one act that are shown before it is done."""


@dataclass(slots=True)
class Live:
    """What operations work on. Without a daemon ``channels`` is empty and ``wake`` does nothing."""

    config: Config
    store: Store
    channels: Mapping[str, Any] = field(default_factory=dict)
    alarms: Any = None
    wake: Callable[[], None] = lambda: None
    running: bool = True
    daemon: dict[str, Callable[..., Awaitable[Any]]] = field(default_factory=dict)
    """What only the running daemon can do, and no transaction holds: called with who asked and the arguments."""
    not_up: Callable[[str], str] = lambda name: ""
    """Why a channel could not start; empty where it did."""
    house: Callable[[], House] | None = None
    """What the daemon decides with at this instant; without one it is made from ``config``."""

    def now(self) -> datetime:
        """The present instant with the city's offset."""
        return fixed(datetime.now(ZoneInfo(self.config.timezone)))

    def shown(self, at: datetime | None) -> str | None:
        """An instant for an output: ISO 8601 with the city's offset."""
        return at.astimezone(ZoneInfo(self.config.timezone)).isoformat(timespec="milliseconds") if at else None


async def perform(
    live: Live, name: str, args: dict[str, Any], by: str, before: Callable[[Tx], None] = lambda tx: None
) -> Any:
    """Carry out operation ``name`` in the daemon. ``before`` looks at the store in the same transaction and may refuse. Raises
    ``OperationError``."""
    if name in live.daemon:
        return await live.daemon[name](by, **args)
    function, writes = _find(name, args)
    if writes:

        def write(tx: Tx) -> Any:
            before(tx)
            return function(live, tx, by, **args)

        try:
            result = await live.store.write(write)
        except acts.Refused as refusal:
            note = people.refusal(live, by, name, args, str(refusal))
            await live.store.write(note)
            raise OperationError(str(refusal)) from None
        live.wake()
        return result
    return await live.store.read(lambda tx: function(live, tx, **args))


class _LookedAt(Exception):
    """Ends a transaction that was only looked at."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What an act would do: the events it would put on record, and to whom it would send, each with its duty."""

    events: tuple[Event, ...] = ()
    sent: tuple[tuple[str, str], ...] = ()


async def foresee(live: Live, name: str, args: dict[str, Any], by: str) -> Foreseen:
    """What operation ``name`` would do if it were carried out now; nothing of it stays. Raises ``OperationError``."""
    function, _writes = _find(name, args)
    found = Foreseen()

    def write(tx: Tx) -> None:
        nonlocal found
        begun, mark = journal.end(tx), tx.new_id()
        function(live, tx, by, **args)
        entries = journal.entries(tx, after=begun, limit=FORESEEN)
        rows = [row for row in deliveries.rows(tx, limit=FORESEEN) if row.id > mark]
        sent = dict.fromkeys((row.destination, row.duty) for row in reversed(rows))
        found = Foreseen(tuple(entry.event for entry in entries), tuple(sent))
        raise _LookedAt

    try:
        await live.store.write(write)
    except _LookedAt:
        pass
    except acts.Refused as refusal:
        raise OperationError(str(refusal)) from None
    return found


def perform_now(live: Live, name: str, args: dict[str, Any], by: str) -> Any:
    """The same without a daemon; the caller holds the lock."""
    function, writes = _find(name, args)
    if writes:
        try:
            return live.store.write_now(lambda tx: function(live, tx, by, **args))
        except acts.Refused as refusal:
            live.store.write_now(people.refusal(live, by, name, args, str(refusal)))
            raise OperationError(str(refusal)) from None
    return live.store.read_now(lambda tx: function(live, tx, **args))


def _find(name: str, args: dict[str, Any]) -> tuple[Callable[..., Any], bool]:
    if name in READS:
        function, writes = READS[name], False
    elif name in WRITES:
        function, writes = WRITES[name], True
    else:
        raise OperationError(_("unknown operation {name}").format(name=name))
    known = inspect.signature(function).parameters
    unknown = set(args) - set(known)
    if unknown and not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
        raise OperationError(_("unknown argument {name}").format(name=", ".join(sorted(unknown))))
    return function, writes


def status(live: Live, tx: Tx) -> dict[str, Any]:
    """Whether a daemon answers, and which."""
    return {"running": live.running, "version": __version__, "conf": str(live.config.path), "digest": live.config.digest}


READS: dict[str, Callable[..., Any]] = {
    "status": status,
    **operations_register.READS,
    **operations_care.READS,
    **shift.READS,
    **accounts.READS,
    **undoing.READS,
}
WRITES: dict[str, Callable[..., Any]] = {
    **people.WRITES,
    **shift.WRITES,
    **accounts.WRITES,
    **operations_register.WRITES,
    **operations_care.WRITES,
    "phone_log": phone_log.take,
}
