"""What may leave for Sentry: an allow-list. Everything that is not named here is dropped, whatever it is."""

from __future__ import annotations

from typing import Any

_TOP = ("event_id", "timestamp", "level", "platform", "release", "environment", "sdk", "type")
_FRAME = ("filename", "function", "module", "lineno", "colno", "in_app")


def scrub(event: dict[str, Any], hint: dict[str, Any] | None = None) -> dict[str, Any]:
    """Keep where an exception came from and its type; its text, local variables, log messages and tags all go."""
    kept: dict[str, Any] = {key: event[key] for key in _TOP if key in event}
    values = (event.get("exception") or {}).get("values") or []
    if values:
        kept["exception"] = {"values": [_exception(value) for value in values]}
    return kept


def _exception(value: dict[str, Any]) -> dict[str, Any]:
    frames = ((value.get("stacktrace") or {}).get("frames")) or []
    return {
        "type": value.get("type"),
        "module": value.get("module"),
        "stacktrace": {"frames": [{key: frame[key] for key in _FRAME if key in frame} for frame in frames]},
    }
