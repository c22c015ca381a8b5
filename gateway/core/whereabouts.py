"""Whether two reports speak of the same place: a name, a street, a house or a numbered road that both have. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.core.folding import fold
from gateway.core.model import Place, Report

_KNOWN = 1024
"""So many texts are kept as they are compared: each report is held beside hundreds of incidents."""
_NUMBERED_ROAD = re.compile(r"[国省县]道\d{3}")
_SPOKEN = {char: str(number) for number, char in enumerate("零一二三四五六七八九")} | {"〇": "0", "幺": "1"}
_ROAD = re.compile(
    r"(?P<spoken>[零〇一二三四五六七八九幺]{3})(?P<a>[国省县]道)|[GSgs]?(?P<number>\d{3})(?P<b>[国省县]道)|国道[Gg](?P<g>\d{3})|省道[Ss](?P<s>\d{3})"
)
_VENUE = re.compile(
    r"(?:(?<=[,，。;；:：])|(?<=[于在]))[一-鿿]{1,10}(?:[路街巷]|歌厅|酒店|饭店|商场|商店|市场|广场|小区|学校|中学|小学|医院|[工煤]厂|煤矿|[村桥站])"
    r"(?:[一-鿿]{1,6}(?:歌厅|酒店|饭店|商场|商店|市场|广场|小区|学校|医院))?"
)
_NUMBERED = re.compile(r"[0-9一二三四五六七八九十百]+(?=号)")


def shared_name(ours: Report, theirs: Report) -> str:
    """The longest stretch of three characters or more that both name as the place, beside the county's own name."""
    found = max(_named_in(theirs.place, ours.text), _named_in(ours.place, theirs.text), key=len)
    return found or _venue(ours, theirs) or _shared_road(ours.text, theirs.text)


def _shared_road(ours: str, theirs: str) -> str:
    """A numbered road that both texts name, however they write it."""
    return min(_numbered_roads(ours[:2000]) & _numbered_roads(theirs[:2000]), default="")


@lru_cache(_KNOWN)
def _numbered_roads(text: str) -> frozenset[str]:
    return frozenset(_NUMBERED_ROAD.findall(_roads(text)))


def _venue(ours: Report, theirs: Report) -> str:
    """A street or house that both texts name, where one of them is read as no finer than its county."""
    if all(r.place is None or r.place.text not in (r.place.county, r.place.city) for r in (ours, theirs)):
        return ""
    # 石桥县 is no bridge that both stand at.
    counties = {part for r in (ours, theirs) if r.place for part in (r.place.county, r.place.city) if part}
    first, text = fold(ours.text[:300]), fold(theirs.text[:300])
    for county in counties:
        first, text = first.replace(county, "|"), text.replace(county, "|")
    names = (name for name in _VENUE.findall(first) if name in text)
    return max(names, key=len, default="")


def numbers_differ(ours: Report, theirs: Report) -> bool:
    """二号仓库 and 七号仓库, 解放路12号 and 解放路86号: what is numbered apart is not one place."""
    if ours.place is None or theirs.place is None:
        return False
    first, second = _numbers(ours.place.text), _numbers(theirs.place.text)
    return bool(first and second and first.isdisjoint(second))


@lru_cache(_KNOWN)
def _numbers(place: str) -> frozenset[str]:
    return frozenset(_NUMBERED.findall(fold(place)))


@lru_cache(_KNOWN)
def _roads(text: str) -> str:
    """``text`` folded; 三一零国道, 310国道 and 国道G310 are 国道310."""

    def plain(found: re.Match[str]) -> str:
        if found["spoken"]:
            return found["a"] + "".join(_SPOKEN[char] for char in found["spoken"])
        if found["number"]:
            return found["b"] + found["number"]
        return f"国道{found['g']}" if found["g"] else f"省道{found['s']}"

    return _ROAD.sub(plain, fold(text))


def _named_in(place: Place | None, words: str) -> str:
    if place is None:
        return ""
    name, text = _roads(place.text), _roads(words[:2000])
    for part in (place.county, place.city):
        if part:
            name = name.replace(part, "|")
    best = ""
    for start in range(len(name)):
        if name[start] == "号":
            continue
        size = max(len(best) + 1, 3)
        while start + size <= len(name) and "|" not in name[start : start + size] and name[start : start + size] in text:
            best = name[start : start + size]
            size += 1
    return best
