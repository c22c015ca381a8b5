"""Counts that a text tells with the time at which they stood: 11日凌晨为24人，截至11日21时为25人. The latest is the one that holds.

Only times of counting are compared (截至, 公布, 统计, 升至, or a bare 8时96例), never those of the event: 7时一处爆炸致23人死亡，8时另一处致
12人死亡 are two counts of two things.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from gateway.reading.lazy import lazy
from gateway.reading.mention import Mention
from gateway.reading.times import Phrase

_COUNTS = lazy(r"数字|人数|公布|通报|统计|更新|显示|变[为成]|[升增]至|(?:上升|增加|升)[到至为]|已达|达到|累计")
_AT_ONCE = lazy(r"[已则的约共，为是有达]{0,3}")
_ENDS = "。;!?\n"
_PART_OF_DAY = (
    ("凌晨", 0, 6), ("清晨", 4, 9), ("早", 4, 10), ("上午", 5, 12), ("中午", 10, 15), ("下午", 12, 19), ("傍晚", 16, 20), ("深夜", 21, 24),
    ("夜", 18, 24), ("晚", 17, 24), ("晨", 4, 9),
)  # fmt: skip
_REACH = 160


class _Stood(NamedTuple):
    """A count with the span of time in which it can have stood; ``firm``: the text says 截至, or that it was published."""

    mention: Mention
    low: datetime
    high: datetime


def latest(text: str, said: list[Mention], phrases: Sequence[Phrase], corrected: bool) -> list[Mention]:
    """``said`` with the counts that a later one of the same field replaces as old. ``corrected``: a smaller one may replace."""
    times = sorted(p for p in phrases if p.precision in ("minute", "day"))
    starts = [p.start for p in times]
    stood = [s for m in said if m.number.value is not None and not m.part and not m.weak and (s := _stood(text, m, times, starts))]
    if len(stood) < 2:
        return said
    old = {id(s.mention) for s in stood for other in stood if _replaces(other, s, corrected)}
    return [m._replace(role="old") if id(m) in old else m for m in said]


def since(text: str, said: list[Mention], phrases: Sequence[Phrase], day: date) -> list[Mention]:
    """``said`` without what a later sentence dates before ``day``, that of the event: 5日客车坠河…。3日，同一路段两车相撞，2人死亡."""
    earlier = sorted((p for p in phrases if p.precision in ("minute", "day") and p.role not in ("header", "as_of")), key=lambda p: p.start)
    if not said or all(p.at.date() >= day for p in earlier):
        return said
    starts = [p.start for p in earlier]
    lead = text.find("。") if "。" in text else len(text)
    ours = [m for m in said if m.start <= lead or not _dated_before(text, m, earlier, starts, day)]
    return ours or said


def _dated_before(text: str, mention: Mention, phrases: Sequence[Phrase], starts: Sequence[int], day: date) -> bool:
    at = bisect_left(starts, mention.start) - 1
    if at < 0 or mention.start - phrases[at].start > _REACH or phrases[at].at.date() >= day:
        return False
    return not any(c in text[phrases[at].end : mention.start] for c in _ENDS)


def _replaces(later: _Stood, earlier: _Stood, corrected: bool) -> bool:
    if earlier.high >= later.low or later.mention.role in ("increment", "old"):
        return False
    if (later.mention.field, earlier.mention.field) == ("light", "injured"):  # 受伤370人; later 重伤8人、轻伤369人
        return 2 * (later.mention.number.value or 0) >= (earlier.mention.number.value or 0)
    if later.mention.field != earlier.mention.field:
        return False
    more = (later.mention.number.value or 0) >= (earlier.mention.number.value or 0)
    return more or corrected or later.mention.field in ("missing", "trapped")


def _stood(text: str, mention: Mention, times: Sequence[Phrase], starts: Sequence[int]) -> _Stood | None:
    """``mention`` with the time that its sentence gives it, if that is a time of counting."""
    at = bisect_left(starts, mention.end) - 1
    if at < 0 or mention.start - times[at].start > _REACH:
        return None
    when = times[at]
    between = text[when.end : max(mention.start, when.end)]
    if any(c in between for c in _ENDS):
        return None
    if when.role != "as_of" and not _COUNTS.search(text, when.end, mention.end) and not _AT_ONCE.fullmatch(between):
        return None
    if when.precision == "minute":
        return _Stood(mention, when.at, when.at)
    words = text[when.start : when.end]
    low, high = next(((a, b) for word, a, b in _PART_OF_DAY if word in words), (0, 24))
    day = when.at.replace(hour=0, minute=0)
    return _Stood(mention, day + timedelta(hours=low), day + timedelta(hours=high))
