"""Maintenance (维护): for a time the alarms that it covers are kept but not raised. Nothing else changes: every report is
taken, read and sent as ever.

A window is a row: it outlives a restart and ends by itself. When it ends, trouble that was kept meanwhile and still stands is
raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from gateway import alarms
from gateway.alarms import Alarms
from gateway.core.model import Event
from gateway.store import NotFound, Store, Tx, deliveries, journal, maintenance
from gateway.store.maintenance import Window

LONGEST = 7 * 24 * 60
"""Minutes that one maintenance may last."""


def begin(tx: Tx, now: datetime, *, minutes: int, why: str, by: str, channel: str | None = None) -> Window:
    """Begin a window, with its event. ValueError for a time out of bounds."""
    if not 1 <= minutes <= LONGEST:
        raise ValueError(minutes)
    window = maintenance.begin(tx, start=now, until=now + timedelta(minutes=minutes), channel=channel, why=why, by=by)
    _note(tx, "started", window, now, by)
    return window


def end(tx: Tx, windows: tuple[Window, ...], now: datetime, by: str) -> None:
    """End windows before their time, with their events."""
    for window in windows:
        maintenance.cut(tx, window.id, now, by)
        _note(tx, "ended", window, now, by)


def settle(tx: Tx, windows: tuple[Window, ...], now: datetime) -> list[dict[str, Any]]:
    """Settle windows that are over; returns the alarms kept in them whose trouble stands and that no other window covers,
    oldest first, each once."""
    settled = [window for window in windows if maintenance.settle(tx, window.id, now)]
    others = tuple(window for window in maintenance.standing(tx) if window.until > now)
    kept: dict[str, dict[str, Any]] = {}
    for window in settled:
        if window.ended_by is None:
            _note(tx, "ended", window, now, None)
        for entry in journal.entries(tx, after=window.after, names=["alarm"], limit=10_000):
            data = {**entry.event.data, "message": entry.event.message, "delivery": entry.event.delivery}
            was_kept = data.pop("maintenance", False) and alarms.covers((window,), str(data["what"]), data, entry.event.at)
            kind = alarms.KINDS.get(str(data["what"]))
            if not was_kept or (kind is not None and kind.again):
                continue
            if not alarms.covers(others, str(data["what"]), data, now) and _stands(tx, data):
                kept[str(data)] = data
    return list(kept.values())


def _stands(tx: Tx, alarm: Mapping[str, Any]) -> bool:
    """Whether the trouble of a kept alarm still stands, as far as the store knows: of a delivery, whether it is refused yet."""
    if not alarm.get("delivery"):
        return True
    try:
        return deliveries.get(tx, str(alarm["delivery"])).state == "refused"
    except NotFound:
        return False


def _healthy(alarm: Mapping[str, Any], channels: Mapping[str, Any]) -> bool:
    """Whether a kept alarm is about a channel that is up again."""
    names = [str(alarm[key]) for key in ("via", "channel", "plugin", "name") if key in alarm]
    running = [channels[name] for name in names if name in channels]
    try:
        return bool(running) and all(one.health().state == "up" for one in running)
    except Exception:
        return False


async def tend(store: Store, told: Alarms, channels: Mapping[str, Any], now: datetime) -> None:
    """Bring ``told`` up to date; settle what is over and raise what still stands. Raises ``StorageTrouble``."""
    windows = await store.read(maintenance.standing)
    told.windows = tuple(window for window in windows if window.until > now)
    over = tuple(window for window in windows if window.until <= now)
    if over:
        # What waits to be written was kept by these windows: it must be in the journal before they are looked through.
        await told.flush()
        await _say(await store.write(lambda tx: settle(tx, over, now)), told, channels)


async def _say(kept: list[dict[str, Any]], told: Alarms, channels: Mapping[str, Any]) -> None:
    """Raise the alarms that were kept and still stand."""
    for alarm in kept:
        if not _healthy(alarm, channels):
            data = {key: value for key, value in alarm.items() if value is not None and key != "page"}
            told.raise_(data.pop("what"), why=data.pop("why"), **data)
    await told.flush()


def _note(tx: Tx, state: str, window: Window, now: datetime, by: str | None) -> None:
    data: dict[str, Any] = {"state": state, "why": window.why, "until": window.until.astimezone(now.tzinfo), "window": window.id}
    if window.channel:
        data["via"] = window.channel
    journal.emit(tx, Event(at=now, event="maintenance", by=by, data=data))
