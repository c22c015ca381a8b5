"""The country's provinces, prefectures and counties (GB/T 2260), each name with the years in which it was in force.

The table completes what the city's own gazetteer does not know: reports, news and neighbours that name places elsewhere. It
is read when a text first needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from operator import add
from typing import NamedTuple

from gateway.reading.lazy import lazy

_NATIONS = (
    "蒙古族|蒙古|回族|藏族|维吾尔族|维吾尔|苗族|彝族|壮族|布依族|朝鲜族|满族|侗族|瑶族|白族|土家族|哈尼族|哈萨克族|哈萨克|傣族|黎族|傈僳族|佤族"
    "|畲族|高山族|拉祜族|水族|东乡族|东乡|纳西族|景颇族|柯尔克孜|土族|达斡尔族|达斡尔|仫佬族|羌族|布朗族|撒拉族|毛南族|仡佬族|锡伯族|锡伯"
    "|阿昌族|普米族|塔吉克|怒族|鄂温克族|德昂族|保安族|裕固族|独龙族|鄂伦春族|门巴族|珞巴族|基诺族|各族"
)
_TAIL = lazy(rf"(?:(?:{_NATIONS})*(?:自治[区州县旗])|特别行政区|地区|[省市县区旗盟])$")
_SIGNS = lazy("[\u3400-\U0003ffff]{2,}")
"""Where names can stand: all begin with two of these, and many a text has none at all."""
MUNICIPAL = ("11", "12", "31", "50")


class Division(NamedTuple):
    """One name of one code, in force from ``first`` to ``last``."""

    code: str
    name: str
    first: int
    last: int
    level: int
    """1 province, 2 prefecture, 3 county."""


class Mention(NamedTuple):
    """A name found in a text: [start, end); ``whole`` is False for 盈江 instead of 盈江县."""

    start: int
    end: int
    whole: bool
    of: tuple[Division, ...]


class Names(NamedTuple):
    """Every name and every short name of the table; ``heads`` gives the lengths that names with these two first signs have."""

    whole: dict[str, tuple[Division, ...]]
    short: dict[str, tuple[Division, ...]]
    heads: dict[str, tuple[int, ...]]
    by_code: dict[str, tuple[Division, ...]]


def short_name(name: str) -> str:
    """盈江县 → 盈江, 德宏傣族景颇族自治州 → 德宏; "" where less than two signs are left."""
    stem = _TAIL.sub("", name) if name != "内蒙古自治区" else "内蒙古"
    stem = stem[:-1] if name.endswith("新区") else stem
    return stem if len(stem) >= 2 and stem != name else ""


@cache
def names() -> Names:
    """The table, read once."""
    from importlib.resources import files  # slow to import, and most reports need no table

    whole: dict[str, list[Division]] = {}
    short: dict[str, list[Division]] = {}
    by_code: dict[str, list[Division]] = {}
    for line in files("gateway.reading").joinpath("divisions.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        code, name, first, last = line.split(" ")
        level = 1 if code.endswith("0000") else 2 if code.endswith("00") else 3
        one = Division(code, name, 0 if first == "-" else int(first), 9999 if last == "-" else int(last), level)
        whole.setdefault(name, []).append(one)
        by_code.setdefault(code, []).append(one)
        if one.level == 2 and name.endswith("自治州"):
            short.setdefault(short_name(name) + "州", []).append(one)
        elif name.endswith(("自治县", "自治旗")):
            whole.setdefault(short_name(name) + name[-1], []).append(one)
        if stem := short_name(name):
            short.setdefault(stem, []).append(one)
    lengths: dict[str, set[int]] = {}
    for name in (*whole, *short):
        lengths.setdefault(name[:2], set()).add(len(name))
    return Names(
        {k: tuple(v) for k, v in whole.items()},
        {k: tuple(v) for k, v in short.items()},
        {k: tuple(sorted(v, reverse=True)) for k, v in lengths.items()},
        {k: tuple(v) for k, v in by_code.items()},
    )


def mentions(text: str, start: int, end: int, year: int) -> Iterator[Mention]:
    """The divisions that ``text`` names in [start, end), in order, the longest name first; those in force in ``year`` before
    those that were or will be."""
    table, done = names(), start
    for at, lengths in headed(text, start, end, table.heads):
        for length in lengths if at >= done else ():
            name = text[at : at + length]
            if at + length <= end and (of := table.whole.get(name) or table.short.get(name)):
                whole = name in table.whole
                yield Mention(at, at + length, whole, in_force(of, year) if whole else of_the_time(of, year))
                done = at + length
                break


def headed(text: str, start: int, end: int, heads: dict[str, tuple[int, ...]]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Where a name may begin: the places of [start, end) whose two signs are in ``heads``, with the lengths that it may have."""
    for signs in _SIGNS.finditer(text, start, end):
        stretch, first = signs[0], signs.start()
        for at, pair in enumerate(map(add, stretch, stretch[1:]), first):
            if pair in heads:
                yield at, heads[pair]


def in_force(of: tuple[Division, ...], year: int) -> tuple[Division, ...]:
    """Those of ``of`` in force in ``year``; all of them where none was."""
    return tuple(one for one in of if one.first <= year <= one.last) or of


def of_the_time(of: tuple[Division, ...], year: int) -> tuple[Division, ...]:
    """As ``in_force``, for a short name, which does not say which of two it is: a place renamed in ``year`` had its old name for
    most of it."""
    now = in_force(of, year)
    before = tuple(one for one in of if one.last == year - 1)
    renamed = {one.code[:4] for one in before}
    return before + tuple(one for one in now if one not in before and not (one.first == year and one.code[:4] in renamed))


def above(division: Division, year: int) -> tuple[str | None, str | None]:
    """Names of the province and the prefecture that ``division`` lies in. The four municipalities are both."""
    by_code = names().by_code
    province = in_force(by_code[division.code[:2] + "0000"], year)[0].name
    if division.code[:2] in MUNICIPAL:
        return province, province
    seat = by_code.get(division.code[:4] + "00")
    return province, in_force(seat, year)[0].name if seat else None


def renamed(division: Division, text: str) -> str | None:
    """The other name of the prefecture that ``division`` lies in which ``text`` calls it by, if it had another."""
    seats = names().by_code.get(division.code[:4] + "00", ())
    return next((one.name for one in seats if len(seats) > 1 and one.name in text), None)
