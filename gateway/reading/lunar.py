"""Days that are named by the lunar calendar or by a festival: 正月十五, 腊月二十八, 除夕, 清明.

The lunar years are a table; a festival is a day of either calendar. Years outside the table have no lunar days.
"""

from __future__ import annotations

from datetime import date, timedelta

_FIRST = 1999
_TABLE = (
    "2160125c 2050192c 12441a95 21201a94 20101b4a 12220b55 20900ad4 1297155b 218004ba 2070125a "
    "1265192b 2140152a 20301694 123416aa 210015aa 13190ab5 21900974 208014b6 12860a57 21600a56 "
    "20501526 12540e95 21200d54 201015aa 122209b5 2100096c 129614ae 2170149c 20601a4c 12651d26 "
    "21301aa6 20300b54 12330d6a 211012da 131b095d 2190095a 2080149a 12861a4b 21501a4a 20401aa4 "
    "12451b54 212016b4 20100ada 1222095b 21000936 13071497 21701496 2060154a 126516a5 21400da4 "
    "202015b4 12330ab6 2110126e 2018092f 2190092e 20800c96 12860d4a 21501d4a 20400d64 1244156c "
    "2120155c 2020125c"
)
"""One word a year from 1999: month and day of its first day in the common calendar, its leap month (hexadecimal, 0 where it
has none), and thirteen bits, most significant first: 1 where a month has thirty days."""
_WIDTH = 9  # a word and a space

_SOLAR = {"元旦": (1, 1), "妇女节": (3, 8), "五一": (5, 1), "劳动节": (5, 1), "六一": (6, 1), "儿童节": (6, 1), "国庆": (10, 1)}
_LUNAR = {
    "春节": (1, 1), "元宵": (1, 15), "龙抬头": (2, 2), "端午": (5, 5), "七夕": (7, 7), "中元": (7, 15), "中秋": (8, 15), "重阳": (9, 9),
    "腊八": (12, 8), "小年": (12, 23),
}  # fmt: skip
FESTIVALS = (*_SOLAR, *_LUNAR, "清明", "冬至", "除夕", "大年三十", "年三十")


def solar(year: int, month: int, day: int, *, leap: bool = False) -> date | None:
    """The common date of a lunar one; None where the year is outside the table or has no such day."""
    word = _TABLE[(year - _FIRST) * _WIDTH :][: _WIDTH - 1] if year >= _FIRST else ""
    if not word:
        return None
    doubled, long = int(word[3], 16), int(word[4:], 16)
    if leap and month != doubled:
        return None
    place = month - 1 + (1 if leap or (doubled and month > doubled) else 0)
    lengths = [29 + (long >> (12 - n) & 1) for n in range(place + 1)]
    if not 1 <= day <= lengths[-1]:
        return None
    return date(year, int(word[0]), int(word[1:3])) + timedelta(days=sum(lengths[:-1]) + day - 1)


def festival(name: str, year: int) -> date | None:
    """The common date of a festival of the (lunar) ``year``; None where it is not known."""
    name = name.removesuffix("节")
    if name in _SOLAR:
        return date(year, *_SOLAR[name])
    if name in _LUNAR:
        return solar(year, *_LUNAR[name])
    if name in ("清明", "冬至"):
        # The sun's own days, by the rule of their century: the fraction gains a quarter of a day a year.
        part, month = (4.81, 4) if name == "清明" else (21.94, 12)
        short = year % 100
        return date(year, month, int(short * 0.2422 + part) - short // 4)
    following = solar(year + 1, 1, 1)
    return following - timedelta(days=1) if following and name in ("除夕", "大年三十", "年三十") else None


def latest(month: int, day: int, today: date, *, leap: bool = False) -> date | None:
    """The last such lunar day that is not after ``today``."""
    days = (solar(year, month, day, leap=leap) for year in (today.year, today.year - 1, today.year - 2))
    return next((d for d in days if d and d <= today), None)


def latest_festival(name: str, today: date) -> date | None:
    """The last such festival that is not after ``today``."""
    days = (festival(name, year) for year in (today.year, today.year - 1, today.year - 2))
    return next((d for d in days if d and d <= today), None)
