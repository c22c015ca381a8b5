"""Operations of care: where the record ends, maintenance, retention, an imported roster, what units owe."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from gateway import maintenance, obligations, retention
from gateway.asked import OperationError
from gateway.audit.sealer import TREE, Kept
from gateway.core import events
from gateway.core.model import Event
from gateway.core.obligations import period as period_of
from gateway.i18n import _
from gateway.store import Tx, journal, notes
from gateway.store import maintenance as store_maintenance

if TYPE_CHECKING:
    from gateway.operations import Live


def record_end(live: Live, tx: Tx, seq: int | None = None) -> dict[str, Any]:
    """Where the record ends by the journal, the hash at ``seq``, and the algorithm of its tree, for ``audit``."""
    here, last = journal.sealed_at(tx, seq) if seq else None, journal.last_sealed(tx)
    kept = notes.get(tx, TREE, Kept)
    return {
        "sealed": last.seq if last else 0,
        "hash": here.hash if here else None,
        "tree": kept.algorithm if kept else live.config.audit.hash,
        "running": live.running,
    }


def list_maintenance(live: Live, tx: Tx) -> list[dict[str, Any]]:
    """The maintenance that goes on."""
    now = live.now()
    return [_window(live, one) for one in store_maintenance.standing(tx) if one.until > now]


def _window(live: Live, one: store_maintenance.Window) -> dict[str, Any]:
    return {"channel": one.channel, "from": live.shown(one.start), "until": live.shown(one.until), "why": one.why, "by": one.by}


def begin_maintenance(live: Live, tx: Tx, by: str, minutes: int, why: str, channel: str | None = None) -> dict[str, Any]:
    """Keep the alarms that maintenance covers for ``minutes``, of one channel or transport or of all."""
    known = [one.name for one in (*live.config.channels, *live.config.transports)]
    if channel is not None and channel not in known:
        raise OperationError(_("no channel or transport {name}; allowed: {known}").format(name=channel, known=", ".join(known)))
    if not isinstance(minutes, int) or not 1 <= minutes <= maintenance.LONGEST or not why.strip():
        raise OperationError(_("minutes from 1 to {most}, and a reason").format(most=maintenance.LONGEST))
    return _window(live, maintenance.begin(tx, live.now(), minutes=minutes, why=why, by=by, channel=channel))


def end_maintenance(live: Live, tx: Tx, by: str, channel: str | None = None) -> list[dict[str, Any]]:
    """End maintenance before its time: that of one channel, or all of it."""
    now = live.now()
    gone = tuple(w for w in store_maintenance.standing(tx) if w.until > now and channel in (None, w.channel))
    maintenance.end(tx, gone, now, by)
    return [_window(live, one) for one in gone]


def due_for_retention(live: Live, tx: Tx, rule: str, after: str = "") -> dict[str, Any]:
    """How much content is due by a retention rule; ``last`` is where to go on."""
    return _retain(live, tx, None, rule, after)


def retain(live: Live, tx: Tx, by: str, rule: str, after: str = "") -> dict[str, Any]:
    """Destroy the content that is due by a retention rule: one transaction's worth; ``last`` is where to go on."""
    return _retain(live, tx, by, rule, after)


def _retain(live: Live, tx: Tx, by: str | None, name: str, after: str) -> dict[str, Any]:
    rule = next((one for one in retention.rules(live.config.retention) if one.name == name), None)
    if rule is None:
        known = ", ".join(one.name for one in retention.rules(live.config.retention))
        raise OperationError(_("no retention rule {name} in force; allowed: {known}").format(name=name, known=known))
    now = live.now()
    done, last = retention.step(tx, rule, now - timedelta(days=rule.days), after, now, dry_run=by is None, by=by)
    return {"messages": done, "last": last}


def note_roster(live: Live, tx: Tx, by: str, data: dict[str, Any]) -> None:
    """Put on record that a duty roster was imported; the command has read, checked and prepared it."""
    try:
        event = events.check(Event(at=live.now(), event="roster_imported", by=by, data=data))
    except events.NotInVocabulary as error:
        raise OperationError(str(error)) from None
    journal.emit(tx, event)


def list_obligations(live: Live, tx: Tx, period: str | None = None) -> list[dict[str, Any]]:
    """What units owe in a month or a year and what came; without one, in the month and the year that go on."""
    now, config = live.now(), live.config
    try:
        asked = (period_of(period, ZoneInfo(config.timezone)),) if period else obligations.asked(config, now)
    except ValueError:
        raise OperationError(_("no period: {text}; allowed: a month 2026-11 or a year 2026").format(text=period)) from None
    return [obligations.view(one, live.shown) for one in obligations.shown(tx, config, asked, now)]


READS: dict[str, Callable[..., Any]] = {
    "record_end": record_end,
    "maintenance": list_maintenance,
    "retention_due": due_for_retention,
    "obligations": list_obligations,
}
WRITES: dict[str, Callable[..., Any]] = {
    "maintenance_on": begin_maintenance,
    "maintenance_off": end_maintenance,
    "retain": retain,
    "roster_imported": note_roster,
}
