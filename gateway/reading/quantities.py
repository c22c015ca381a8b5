"""A number with what it counts: people, money, areas, houses; everything else is told apart so that it counts for nothing."""

from __future__ import annotations

from typing import Literal, NamedTuple

from gateway.core.model import Qualifier
from gateway.reading.lazy import lazy
from gateway.reading.numerals import Number, numbers

What = Literal["people", "yuan", "mu", "houses"]

_MU = {
    "亩": 1.0,
    "公顷": 15.0,
    "平方公里": 1500.0,
    "平方千米": 1500.0,
    "平方米": 0.0015,
    "平米": 0.0015,
    "平方": 0.0015,
    "m2": 0.0015,
}
_AREA = lazy(r"(?:亩|公顷|平方公里|平方千米|平方米|平米|平方|m2)")
_MONEY = lazy(r"(?:多|余)?(?:元|块钱|块|人民币)(?!月)")
_HOUSES = lazy(r"(?:间|户|栋|幢|处|座|所|套)(?=(?:[\u4e00-\u9fff]{0,4}(?:房|屋|住宅|校舍))|$|[，。、;)倒垮坍]|受)")
_PEOPLE = lazy(
    r"(?:多|余)?(?:人(?![次民工均行])|名(?!单|称)|位(?!于|置)|口(?=人|$|[，。、;)被全])|个(?!多?(?:小时|月|乡|镇"
    r"|村|县|区|苏木|嘎查|旗|省|市|工地|点|班|车|单位|企业|项目|路|部门|站|方面|煤|矿|队|组|厂|店|井))"
    r"|例(?!如|会)|号人|号(?=[，。、])|人次|死(?!亡率)|亡|伤|重伤|轻伤|男|女|具)"
)
_AFTER = lazy("左右|上下|以上")
_FOREIGN = lazy(r"(?:美元|欧元|日元|英镑|卢比|港元|港币|美金|韩元|卢布)")
_PAIRS = lazy(
    r"一对(?:夫妻|夫妇|母子|母女|父子|父女|情侣|兄弟|姐妹|双胞胎|老人)|(?:夫妻|夫妇|母子|母女|父子|父女|兄弟"
    r"|姐妹)(?P<n>[二两三四]|俩|仨)?人?"
    r"(?=[被均全在一溺死遇受,，。])|[俩仨](?=[，。!?;)]|人|都|$)"
)
_SEVERAL = lazy(r"(?<![\d十百千万余])(?:多|若干|部分|不少|大量)(?:名|人)")
_ONE = lazy(r"(?:一|某)(?=(?:男子|女子|老人|儿童|学生|村民|小孩|男童|女童|妇女|工人|司机|乘客))")


class Quantity(NamedTuple):
    """``number`` of ``what`` in the normal text; ``end`` is past the unit. Areas are in 亩, money in yuan."""

    start: int
    end: int
    what: What
    number: Number
    unit: str


def quantities(text: str) -> list[Quantity]:
    """The quantities of ``text`` in order. What counts neither people, yuan, land nor houses is left out."""
    found = []
    taken = 0
    for number in numbers(text):
        quantity = _people_word(text, number) or _measured(text, number)
        if quantity is not None and quantity.start >= taken:
            found.append(quantity)
            taken = quantity.end
    starts = {q.start for q in found}
    spans = [(q.start, q.end) for q in found]
    for extra in _worded(text):
        if extra.start not in starts and not any(a < extra.end and extra.start < b for a, b in spans):
            found.append(extra)
    return sorted(found, key=lambda q: q.start)


def _people_word(text: str, number: Number) -> Quantity | None:
    if text[number.start : number.end] in ("俩", "仨"):
        return Quantity(number.start, number.end, "people", number, "俩")
    return None


def _measured(text: str, number: Number) -> Quantity | None:
    at = number.end
    if _FOREIGN.match(text, at):
        return None
    if unit := _AREA.match(text, at):
        factor = _MU[unit[0]]
        return Quantity(number.start, unit.end(), "mu", _scaled(number, factor), unit[0])
    if unit := _MONEY.match(text, at):
        return Quantity(number.start, unit.end(), "yuan", number, unit[0])
    if unit := _HOUSES.match(text, at):
        return Quantity(number.start, unit.end(), "houses", _whole(number), unit[0])
    if unit := _PEOPLE.match(text, at):
        qualifier: Qualifier = "over" if unit[0][0] in "多余" else number.qualifier
        counted = unit[0].lstrip("多余")
        end = at if counted in ("死", "亡", "伤", "重伤", "轻伤") else unit.end()
        if counted == "个" and text.startswith("人", end):
            end += 1
        after = _AFTER.match(text, end)
        if after:
            qualifier, end = ("at_least" if after[0] == "以上" else "about"), after.end()
        return Quantity(number.start, end, "people", _whole(number)._replace(qualifier=qualifier), counted)
    if text[number.end : number.end + 1] in "，。;、)\n吧":  # also the end of the text: the unit is understood
        return Quantity(number.start, number.end, "yuan", number, "")
    return None


def _scaled(number: Number, factor: float) -> Number:
    def scale(value: float | None) -> float | None:
        if value is None:
            return None
        product = round(value * factor, 4)
        return int(product) if product == int(product) else product

    return number._replace(value=scale(number.value), high=scale(number.high))


def _whole(number: Number) -> Number:
    if number.value is not None and number.value != int(number.value):
        return number._replace(value=None, qualifier="unknown")
    return number


def _worded(text: str) -> list[Quantity]:
    found = []
    for match in _PAIRS.finditer(text):
        count = {"三": 3, "仨": 3, "四": 4}.get(match["n"] or match[0][0], 2)
        number = Number(match.start(), match.end(), count, None, "exact")
        found.append(Quantity(match.start(), match.end(), "people", number, "对"))
    for match in _SEVERAL.finditer(text):
        number = Number(match.start(), match.end(), None, None, "unknown")
        found.append(Quantity(match.start(), match.end(), "people", number, "多"))
    for match in _ONE.finditer(text):
        number = Number(match.start(), match.start() + 1, 1, None, "exact")
        found.append(Quantity(match.start(), match.start() + 1, "people", number, "一"))
    return found
