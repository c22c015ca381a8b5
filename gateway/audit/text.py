"""An audit line as one line that a person reads, in Chinese or English."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Literal

import msgspec

from gateway.core.events import EVENTS
from gateway.i18n import _
from gateway.i18n import lang as chosen

_IDS = ("message", "delivery")
_NUMBER = re.compile(r"\A(\d{4})-(\d{4,6})\Z")


class _Fields(dict[str, Any]):
    """What a phrase may name; what the line does not hold reads as a dash."""

    def __missing__(self, name: str) -> str:
        return "—"


def render(
    line: str | bytes,
    lang: Literal["zh", "en"] | None = None,
    zone: tzinfo | None = None,
    names: Mapping[str, str] | None = None,
) -> str:
    """``2026-03-05 14:30:12 〔2026〕0123 已送达…``. What is not an audit line comes back as it is.

    ``lang`` defaults to the language in use, ``zone`` to the offset in the line; ``names`` shows ids of offices as
    people call them.
    """
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    text = text.rstrip("\n")
    try:
        found = msgspec.json.decode(text)
        at = datetime.fromisoformat(found["at"])
        name, data = str(found["event"]), found.get("data", {})
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return text
    if not isinstance(data, dict):
        return text
    language = lang or chosen()
    joiner = "、" if language == "zh" else ", "
    kind = EVENTS.get(name)
    phrase = name if kind is None else (kind.zh if language == "zh" else kind.en)
    incident = found.get("incident")
    fields = _Fields({key: _shown(_named(value, names or {}), joiner, zone) for key, value in data.items()})
    fields["by"] = found.get("by") or "—"
    if incident is not None:
        fields.setdefault("number", _number(str(incident)))
    parts = [at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if zone else at.strftime("%Y-%m-%d %H:%M:%S")]
    if incident is not None and "{number}" not in phrase:
        parts.append(_number(str(incident)))
    parts.append(phrase.format_map(fields))
    ids = [str(found[key]) for key in _IDS if found.get(key)]
    if ids:
        parts.append(f"[{' '.join(ids)}]")
    return " ".join(part for part in parts if part)


def _named(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [names.get(one, one) for one in value if isinstance(one, str)]
    return names.get(value, value) if isinstance(value, str) else value


def _number(text: str) -> str:
    """An incident's number as it is shown, 〔2026〕0123; anything else as it is."""
    return _NUMBER.sub(r"〔\1〕\2", text)


def _shown(value: Any, joiner: str, zone: tzinfo | None) -> str:
    if isinstance(value, list):
        return joiner.join(str(one) for one in value) or "—"
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, str) and len(value) >= 19 and value[10:11] == "T":
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return value
        return (at.astimezone(zone) if zone else at).strftime("%Y-%m-%d %H:%M:%S")
    return _number(str(value))


WHYS = (
    "torn line",
    "not an audit line",
    "hash wrong",
    "chain broken: the first line has something before it",
    "chain broken: the line before is not the one that was sealed",
    "seq gap: {expected} expected, {found} found",
    "log is empty, the journal is not",
    "log goes on to {last}, the journal does not",
    "log and journal disagree at {last}",
    "lines are missing at the end: {written} were written, the log ends at {last}",
)
"""What ``verify`` may find, with what it names in braces."""


def why(text: str) -> str:
    """What ``verify`` found, in the operator's language; anything else as it is."""
    for known in WHYS:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\d+)", re.escape(known))
        if found := re.fullmatch(pattern, text):
            return _(known).format(**found.groupdict())
    return text
