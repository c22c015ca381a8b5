"""The day that a time phrase means: a date, a lunar day or feast, a weekday, or a word that leans on the day told before it."""

from __future__ import annotations

import re
from datetime import date, timedelta

from gateway.reading.days import day_of_month, past, weekday
from gateway.reading.lazy import lazy
from gateway.reading.lunar import latest, latest_festival
from gateway.reading.numerals import value_of

SAME_DAY = ("当天", "当日", "同日", "同一天", "当")
NEXT_DAY = ("次日", "翌日", "第二天", "隔天")
_DAY_BEFORE = ("前一天", "前一日")
_HOLIDAYS = {"国庆": (10, 1), "五一": (5, 1), "元旦": (1, 1)}
"""Holidays whose first day is a date: 国庆假期第二天 is 2 October."""
_EXPLAINED = lazy(r"(?:(\d{1,2})月)?(\d{1,2}|[零〇一二两三四五六七八九十]{1,3})[日号]$")
_BACK = {"大前天": 3, "前天": 2, "前日": 2, "前": 2, "昨天": 1, "昨日": 1, "昨": 1}


def number_of(text: str | None) -> int | None:
    value = value_of(text) if text else None
    return None if value is None else int(value)


def day_of(match: re.Match[str], today: date, context: date | None) -> date | None:
    """The day that a phrase means; without a word of a day, the one the text speaks of."""
    if match["day"] is None:
        return context or today
    told = _EXPLAINED.match(match["par"]) if match["par"] else None
    if told and (match["rel"] or match["wd"] or match["feast"]):
        month = number_of(told[1])
        return past(None, month, number_of(told[2]), today) if month else day_of_month(number_of(told[2]), today, context)
    if match["rel"]:
        return _from_word(match["rel"], today, context)
    if of := match["m6"]:
        first = today.replace(day=1)
        if of in ("上", "上个", "本"):
            return first if of == "本" else (first - timedelta(days=1)).replace(day=1)
        year = {"今": today.year, "去": today.year - 1}.get(match["y6"] or "") or number_of(match["y6"])
        return past(year, number_of(of), 1, today)
    if match["ld"]:
        return _lunar(match["lm"] or "正", match["ld"], today, leap=bool(match["leap"]))
    if match["hol"]:
        began = past(None, *_HOLIDAYS[match["hol"]], today)
        nth = number_of(match["nth"].removeprefix("第").replace("首", "一")) or 1
        return began + timedelta(days=nth - 1) if began else None
    if match["feast"]:
        return latest_festival(match["feast"], today)
    if match["wd"]:
        return weekday("一二三四五六日天".index(match["wd"]) % 7 if match["wd"] != "天" else 6, match["week"] or "", today)
    if number := match["d3"] or match["d5"]:
        return day_of_month(number_of(number), today, context, match["month"] or match["month2"] or "")
    month, of_month = (
        number_of((match[a] or match[b] or match[c] or match[d] or "").replace("元", "一"))
        for a, b, c, d in (("m", "m2", "m4", "m7"), ("d", "d2", "d4", "d7"))
    )
    word = match["y"] or match["y2"] or match["y7"] or ""
    back = {"今": 0, "本": 0, "去": 1, "前": 2}.get(word)
    year = today.year - back if back is not None else number_of(word)
    return past(year, month, of_month, today)


def _from_word(word: str, today: date, context: date | None) -> date | None:
    """昨天 counts from today, 当日, 次日 and 前一天 from the day told before (``context``)."""
    if word in SAME_DAY:
        return context or today
    if word in _DAY_BEFORE:
        return (context or today) - timedelta(days=1)
    if word in NEXT_DAY:
        return context + timedelta(days=1) if context else None
    return today - timedelta(days=_BACK.get(word, 0))


def _lunar(month: str, day: str, today: date, *, leap: bool) -> date | None:
    number = {"正": 1, "冬": 11, "腊": 12}.get(month) or number_of(month)
    of_month = number_of(day.removeprefix("初").replace("廿", "二十"))
    return latest(number, of_month, today, leap=leap) if number and of_month and number <= 12 else None
