"""Local times as people write them in a duty roster: 2026-11-23 18:00, 2026/11/23 8:30, 2026年11月23日18时. What is
wrong with one is said exactly: a month 13, a 30 February and 24:00 are three different mistakes.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from datetime import datetime, timedelta

from msgspec import Struct

FIRST, LAST = 2000, 2199
"""The years of a roster."""
_WRITTEN = re.compile(
    r"([0-9]{4})[-/.年]\s*([0-9]{1,2})[-/.月]\s*([0-9]{1,2})日?"
    r"(?:(?:T|\s+|(?<=日))([0-9]{1,2})(?::([0-9]{1,2})(?::([0-9]{1,2}))?|[时点](?:([0-9]{1,2})分?)?))?"
)
_OFFSET = re.compile(r".*[0-9T: ](Z|[+-][0-9]{2}:?[0-9]{2})", re.IGNORECASE)


class Wrong(Struct, frozen=True):
    """Why a cell is no time: a word of ``roster_table.WHATS``, and what would be allowed."""

    what: str
    allowed: str = ""


def moment(cell: str) -> datetime | Wrong:
    """The local time in ``cell``, without offset; a date alone is its first minute."""
    text = unicodedata.normalize("NFKC", cell).strip()
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return _iso(text)
    year, month, day, hour, minute, second = (int(part or 0) for part in (*found.groups()[:4], found[5] or found[7], found[6]))
    if not FIRST <= year <= LAST:
        return Wrong("year", f"{FIRST}–{LAST}")
    if not 1 <= month <= 12:
        return Wrong("month", "1–12")
    days = monthrange(year, month)[1]
    if not 1 <= day <= days:
        return Wrong("day", f"1–{days}")
    if (hour, minute, second) == (24, 0, 0):
        return Wrong("midnight", f"{datetime(year, month, day) + timedelta(days=1):%Y-%m-%d %H:%M}")
    if hour > 23 or minute > 59 or second > 59:
        return Wrong("clock", "00:00–23:59")
    return datetime(year, month, day, hour, minute, second)


def _iso(text: str) -> datetime | Wrong:
    """The other forms of ISO 8601."""
    if _OFFSET.fullmatch(text):
        return Wrong("offset")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return Wrong("form")
    if found.tzinfo is not None:
        return Wrong("offset")
    return found if FIRST <= found.year <= LAST else Wrong("year", f"{FIRST}–{LAST}")
