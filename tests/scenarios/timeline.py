"""A scenario's events as a time line that a duty officer reads, and every event is in it.

A heading for each day; then the time, the number of the incident, the event, its fields. Equal events of one instant and
incident that follow each other stand on one line, divided by ``｜``. Left out are only names that are made anew at each run
(ids of messages and deliveries, the version of the rules) and the size of a message. A scenario of very many events is
counted instead: how often each event came in each minute.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

OUTER = ("at", "event", "incident", "by")
LEFT_OUT = ("message", "delivery", "deliveries", "rules", "size", "duplicate_of", "ref")
_ID = re.compile("[0-9A-Z]{26}")
WEEKDAYS = "一二三四五六日"


def lines(events: Iterable[dict[str, Any]]) -> list[str]:
    """Every event, one instant after another."""
    found: list[str] = []
    day, before, said = None, None, ""
    for event in events:
        at = datetime.fromisoformat(event["at"])
        if at.date() != day:
            day, before = at.date(), None
            found.append(f"== {day:%Y-%m-%d} 周{WEEKDAYS[day.weekday()]}")
        head = (at, event.get("incident"), event["event"])
        text = _fields(event, day)
        if head == before:
            found[-1] = f"{found[-1]} ｜ {text}" if text != said else _again(found[-1])
        else:
            shown = f"{at:%H:%M:%S}" + (f".{at.microsecond // 1000:03d}" if at.microsecond else "")
            number = f"〔{event['incident'][5:]}〕" if event.get("incident") else "〔----〕"
            found.append(f"{shown} {number} {event['event']} {text}".rstrip())
        before, said = head, text
    return found


def counted(events: Iterable[dict[str, Any]]) -> list[str]:
    """How many of each event came in each minute."""
    seen = Counter((event["at"][:16].replace("T", " "), event["event"]) for event in events)
    return [f"{minute} {name} × {number}" for (minute, name), number in sorted(seen.items())]


def _again(line: str) -> str:
    head, _, times = line.rpartition(" ×")
    return f"{head} ×{int(times) + 1}" if head and times.isdigit() else f"{line} ×2"


def _fields(event: dict[str, Any], day: Any) -> str:
    said = [f"由{event['by']}"] if event.get("by") else []
    for key, value in event.items():
        if key not in OUTER and key not in LEFT_OUT:
            said.append(f"{key}={_value(value, day)}")
    return " ".join(said)


def _value(value: Any, day: Any) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, list):
        return "、".join(_value(one, day) for one in value) or "无"
    text = str(value)
    if text.startswith("sender:") or text == "reporter":
        return "报送人"
    if _ID.fullmatch(text):
        return "前一信息"
    try:
        at = datetime.fromisoformat(text) if "T" in text else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        return text
    clock = f"{at:%H:%M:%S}".removesuffix(":00")
    return clock if at.date() == day else f"{at:%m-%d} {clock}"
