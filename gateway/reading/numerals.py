"""Numbers as Chinese reports write and speak them: 2, 1.2万, 9万8, 十一二, 三四百万, 十来, 百余, 数十, 俩.

A number keeps what the text says of its exactness: ``value`` is the stated lower bound, ``high`` closes a range (the figure made of
it has the upper end for its value).
"""

from __future__ import annotations

import re
from collections.abc import Container
from functools import lru_cache
from typing import NamedTuple

from gateway.core.model import Qualifier
from gateway.reading.lazy import lazy

_DIGIT = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "幺": 1} | {c: n for n, c in enumerate("零壹贰叁肆伍陆柒捌玖")}
_UNIT = {"十": 10, "百": 100, "千": 1000, "拾": 10, "佰": 100, "仟": 1000, "万": 10_000, "亿": 100_000_000}
_SPECIAL = {"廿": 20, "卅": 30, "俩": 2, "仨": 3}
_HAN = "零〇一二两三四五六七八九十百千万亿"
_BEFORE = (
    "约有", "大约", "大概", "约", "差不多", "估计", "将近", "接近", "近", "至少", "不少于", "不低于", "最少", "起码", "超过", "逾", "多达", "高达",
)  # fmt: skip
_ARABIC = r"\d{1,15}(?:,\d{3}){0,4}(?:\.\d{1,6})?"
_NUMBER = lazy(
    rf"(?P<before>{'|'.join(_BEFORE)})?"
    r"(?P<body>"
    rf"(?P<low>{_ARABIC})(?P<low_unit>[百千万亿]{{0,2}})(?:至|到|-|~"
    rf"|—)(?P<high>{_ARABIC})(?P<high_unit>[百千万亿]{{0,2}})"
    r"|(?P<one>[一二三四五六七八]|\d)、(?P<next>[二三四五六七八九]|\d)(?=[名个位人])"
    rf"|{_ARABIC}[余多几来]?(?:[十百千万亿]{{1,2}}(?:{_ARABIC}[百千万]?)?)?"
    rf"|[{_HAN}]{{1,16}}点[{_HAN[:11]}]{{1,6}}(?=[公平级吨万亿])"
    rf"|[上数几][十百千万]{{1,2}}|[{_HAN}]{{1,12}}[余多几来]?[百千万亿]{{0,2}}"
    r"|[壹贰叁肆伍陆柒捌玖](?:[零壹贰叁肆伍陆柒捌玖]{0,2}[拾佰仟万亿]){1,8}[壹贰叁肆伍陆柒捌玖]?"  # as on cheques
    r"|廿|卅|俩|仨"
    r"|[几数](?=[名个位人])"
    r")(?P<after>以上|左右|上下|余|多|来|几|许)?", begins=rf"约大差估将接近至不最起超逾多高\d{_HAN}上数几廿卅俩仨壹贰叁肆伍陆柒捌玖")
_CODE_BEFORE = frozenset("第斤-/:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_LOOSE = lazy("[余多几来]")
_RANGE = lazy(r"(?<![一二两三四五六七八九])([一二两三四五六七八九])([一二两三四五六七八九])(?![一二两三四五六七八九])")
_QUALIFIER: dict[str, Qualifier] = {
    "约有": "about", "大约": "about", "大概": "about", "约": "about", "差不多": "about", "估计": "about", "左右": "about", "上下": "about",
    "许": "about", "来": "about", "将近": "nearly", "接近": "nearly", "近": "nearly", "至少": "at_least", "不少于": "at_least",
    "不低于": "at_least", "最少": "at_least", "起码": "at_least", "以上": "at_least", "超过": "over", "逾": "over", "余": "over",
    "多": "over", "几": "over", "多达": "exact", "高达": "exact",
}  # fmt: skip


class Number(NamedTuple):
    """A number in the normal text. ``value`` None: the text says several, but not how many; ``vague``: 数十, only its lower bound."""

    start: int
    end: int
    value: float | None
    high: float | None
    qualifier: Qualifier
    vague: bool = False


def numbers(text: str, before: Container[str] | None = None) -> list[Number]:
    """All numbers of ``text`` in order; ordinals, codes and dates are left to those who know them. ``before``: only those that
    one of these characters follows, or the end of the text.
    """
    found = []
    for match in _NUMBER.finditer(text):
        if before is not None and text[match.end() : match.end() + 1] not in before and match["body"] not in _SPECIAL:
            continue
        at = match.start("body")
        if at and (last := text[at - 1]) in _CODE_BEFORE and (last not in "-/:" or text[max(0, at - 2)].isdecimal()):
            continue
        number = _read(match)
        if number is not None:
            found.append(number)
    return found


def _read(match: re.Match[str]) -> Number | None:
    body, before, after, low_text, one = match.group("body", "before", "after", "low", "one")
    qualifier: Qualifier = _QUALIFIER[before] if before else "exact"
    if body.isdecimal():
        return Number(match.start(), match.end(), int(body), None, _QUALIFIER[after] if after else qualifier)
    inner = next((c for c in body if c in "余多来"), "")
    if body[-1] == "几" and len(body) > 1:
        inner = "几"
    if word := inner or after:
        qualifier = _QUALIFIER[word]
    start, end = match.start(), match.end()
    if low_text:
        unit = match["low_unit"] or match["high_unit"]
        low, high = value_of(low_text + unit), value_of(match["high"] + match["high_unit"])
        if low is None or high is None or high <= low:
            return None
        return Number(start, end, low, high, "range")
    if one:
        low, high = value_of(one), value_of(match["next"])
        if low is None or high is None or high - low != 1:
            return None if high is None else Number(match.start("next"), end, high, None, qualifier)
        return Number(start, end, low, high, "range")
    if body in ("几", "数"):
        return Number(start, end, None, None, "unknown")
    if body[0] in "上数几":
        return Number(start, end, value_of(body[1:]), None, "at_least", body[0] != "上")
    bare = re.sub("[余多来几]", "", body)
    pair = _RANGE.search(bare)
    if pair and _adjacent(pair[1], pair[2]):
        low = value_of(bare[: pair.end(1)] + bare[pair.end() :])
        high = value_of(bare[: pair.start(1)] + bare[pair.start(2) :])
        return Number(start, end, low, high, "range")
    value = value_of(bare)
    return None if value is None else Number(start, end, value, None, qualifier)


def _adjacent(low: str, high: str) -> bool:
    return _DIGIT[high] - _DIGIT[low] == 1 or (low, high) == ("三", "五")


@lru_cache(maxsize=1024)
def value_of(text: str) -> float | None:
    """The value of a bare numeral, Arabic, Chinese or mixed; None where it is none.

    >>> [value_of(t) for t in ("9万8", "六百八", "一千零五", "1亿2000万", "二〇二六", "零点六", "廿")]
    [98000, 680, 1005, 120000000, 2026, 0.6, 20]
    """
    if text.isdecimal():
        return int(text)
    special = _SPECIAL.get(text)
    if special:
        return special
    text = text.replace(",", "")
    if not text:
        return None
    if "点" in text:
        whole, _, part = text.partition("点")
        digits = "".join(str(_DIGIT[c]) for c in part if c in _DIGIT)
        front = value_of(whole)
        return None if front is None or not digits else _tidy(front + float(f"0.{digits}"))
    if all(c in _DIGIT for c in text):
        return int("".join(str(_DIGIT[c]) for c in text))
    return _sum(re.findall(r"\d+(?:\.\d+)?|.", text))


def _sum(pieces: list[str]) -> float | None:
    total: float = 0
    section: float = 0
    current: float | None = None
    last = 1
    zero = False
    for piece in pieces:
        if piece in _UNIT:
            unit = _UNIT[piece]
            if unit == 100_000_000:
                total, section = (total + section + (current or 0) or 1) * unit, 0
            elif unit == 10_000:
                total, section = total + (section + (current or 0) or 1) * unit, 0
            else:
                section += (1 if current is None else current) * unit
            current, last, zero = None, unit, False
        elif piece in _DIGIT:
            zero = zero or piece in "零〇"
            current = _DIGIT[piece]
        elif piece[0].isdigit():
            current = float(piece)
            zero = zero or len(piece) > 1
        else:
            return None
    if current is not None and last >= 100 and not zero:
        current = current * last / 10
    return _tidy(total + section + (current or 0))


def _tidy(value: float) -> float:
    value = round(value, 6)
    return int(value) if value == int(value) else value
