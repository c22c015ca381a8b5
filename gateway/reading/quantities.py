"""A number with what it counts: people, money, areas, houses; everything else is told apart so that it counts for nothing."""

from __future__ import annotations

from typing import Literal, NamedTuple

from gateway.core.model import Qualifier
from gateway.reading.lazy import lazy
from gateway.reading.numerals import Number, numbers

What = Literal["people", "yuan", "mu", "houses"]

_UNITS = frozenset(
    "亩公平m元块人多余间户栋幢处座所套名位口个例号死亡伤重轻失被中遇男女具美欧日英卢港韩，。;、)\n吧"
)  # how units begin
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
    r"(?:多|余)?(?:人(?![次民工]|行道)|名(?!单|称)|位(?!于|置)|口(?=人|之家|$|[，。、;)被全吃遇双煤])|个(?!多?(?:小时|月|乡|镇"
    r"|村|县|区|苏木|嘎查|旗|省|市|工地|点|班|车|单位|企业|项目|路|部门|站|方面|煤|矿|队|组|厂|店|井))"
    r"|例(?!如|会)|号人|号(?=[，。、])|人次|死(?!亡率)|亡|伤|重伤|轻伤|失踪|被困|中毒|遇难|重(?=[，。、;)轻\d一二两三四五六七八九十]|$)"
    r"|轻(?=[，。、;)]|$)|男|女|具)"
)
_BARE = ("死", "亡", "伤", "重伤", "轻伤", "失踪", "被困", "中毒", "遇难", "重", "轻")  # verbs that stand for their unit: 2死5伤
_BREAK = lazy(r"[，。;!?、()\n和及与]")
_NO_UNIT = lazy(r"(?:死|亡|伤|失踪|中毒|被困|遇难)$")
_AFTER = lazy("左右|上下|以上")
_FOREIGN = lazy(r"(?:美元|欧元|日元|英镑|卢比|港元|港币|美金|韩元|卢布)")
_PAIRS = lazy(
    r"(?=[一夫母父兄姐俩仨双两])(?:一对(?:夫妻|夫妇|母子|母女|父子|父女|情侣|兄弟|姐妹|双胞胎|老人)|(?:夫妻|夫妇|母子|母女|父子|父女|兄弟"
    r"|姐妹)(?P<n>[二两三四]|俩|仨)?人?"
    r"(?=[被均全在一溺死遇受触中双相,，。])|[俩仨](?=[，。!?;)]|人|都|$)|双(?=亡|双(?:死|身|遇|丧|殒|溺|罹))|两(?:姐妹|兄弟|母子|父子|母女|父女))"
)
_SEVERAL = lazy(r"(?=[多若部不大])(?<![\d十百千万余])(?:多|若干|部分|不少|大量)(?:名|人)")
_SINGLE = lazy(
    r"(?=[司驾飞学教肇嫌凶新伴住店老房东户男女孕儿妻丈父母姐妹哥弟孩婴妇农婆少])(?<![名位个两双各多全些诸])(?<![\d一二两三四五六七八九十百几数多余]个)(?:司机|驾驶员|驾驶人|飞行员|学员|教练|肇事者|嫌疑人|凶手|住户|店主|老板|房东|户主|男子|女子|男孩|女孩|男童|女童|老人|老汉|老太|老妇|妇人|农妇|老翁|婆婆|少年|少女|女婴|男婴|女工|新娘|新郎|伴娘|孕妇|儿子|女儿|妻子|丈夫|父亲|母亲|姐姐|妹妹|哥哥|弟弟|孩子|婴儿)"
    r"|(?<=[\u4e00-\u9fff])某某?(?=[，。(及和与被当在因、已死受重轻溺触从跳不])"
    r"|其(?=[砍打捅刺杀砸掐勒撞烧毒]死|杀害)"
)
_ONE = lazy(
    r"(?<=有)个(?=[\u4e00-\u9fff]{0,4}(?:人|工|老|男|女|孩|娃|学生))|(?:一|某)(?=(?:男子|女子|老人|儿童|学生|村民|小孩|男童|女童|妇女|工人|司机|乘客))"
)


class Quantity(NamedTuple):
    """``number`` of ``what`` in the normal text; ``end`` is past the unit. Areas are in 亩, money in yuan.

    ``first``: where a count begins that is a sum of several.
    """

    start: int
    end: int
    what: What
    number: Number
    unit: str
    first: int | None = None


def quantities(text: str) -> list[Quantity]:
    """The quantities of ``text`` in order. What counts neither people, yuan, land nor houses is left out."""
    found = []
    taken = 0
    for number in numbers(text):
        quantity = _people_word(text, number) or _measured(text, number)
        if quantity is not None and quantity.start >= taken:
            found.append(quantity)
            taken = quantity.end
    return _merged(text, found, _worded(text))


def _merged(text: str, counted: list[Quantity], worded: list[Quantity]) -> list[Quantity]:
    """Both in order, without a worded one that lies in a counted one, or that a number before it counts (2名女司机)."""
    made: list[Quantity] = []
    following = iter(sorted(worded, key=lambda q: q.start))
    extra = next(following, None)
    for quantity in (*counted, None):
        while extra is not None and (quantity is None or extra.start < quantity.start):
            free = not made or made[-1].end <= extra.start
            if free and (quantity is None or extra.end <= quantity.start) and not _counted(text, made, extra):
                made.append(extra)
            extra = next(following, None)
        if quantity is not None:
            made.append(quantity)
    return made


def _counted(text: str, made: list[Quantity], extra: Quantity) -> bool:
    if extra.unit != "单" or not made or extra.start - made[-1].end > 40:
        return False
    return made[-1].what == "people" and not _BREAK.search(text, made[-1].end, extra.start)


def _people_word(text: str, number: Number) -> Quantity | None:
    if text[number.start : number.end] in ("俩", "仨"):
        return Quantity(number.start, number.end, "people", number, "俩")
    return None


def _measured(text: str, number: Number) -> Quantity | None:
    at = number.end
    following = text[at : at + 1]
    if following and following not in _UNITS:
        return None
    if _FOREIGN.match(text, at):
        return None
    if unit := _AREA.match(text, at):
        factor = _MU[unit[0]]
        return Quantity(number.start, unit.end(), "mu", _scaled(number, factor), unit[0])
    if unit := _MONEY.match(text, at):
        return Quantity(number.start, unit.end(), "yuan", number, unit[0])
    if unit := _HOUSES.match(text, at):
        return Quantity(number.start, unit.end(), "houses", _whole(number), unit[0])
    if text.startswith("口", at) and text[number.start - 1 : number.start] == "家":
        return Quantity(number.start, at + 1, "people", _whole(number), "口")
    if unit := _PEOPLE.match(text, at):
        qualifier: Qualifier = "over" if unit[0][0] in "多余" else number.qualifier
        counted = unit[0].lstrip("多余")
        end = at if counted in _BARE else unit.end()
        if counted == "个" and text.startswith("人", end):
            end += 1
        after = _AFTER.match(text, end)
        if after:
            qualifier, end = ("at_least" if after[0] == "以上" else "about"), after.end()
        return Quantity(number.start, end, "people", _whole(number)._replace(qualifier=qualifier), counted)
    if following in "，。;、)\n" and _NO_UNIT.search(text[max(0, number.start - 2) : number.start]):
        return Quantity(number.start, at, "people", _whole(number), "")
    if following in "，。;、)\n吧":  # also the end of the text: the unit is understood
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
    for match in _SINGLE.finditer(text):
        if text[match.end() : match.end() + 1] not in ("们", "等", "员"):
            left = match.start() - (text[match.start()] == "某")  # with the surname
            number = Number(left, match.end(), 1, None, "at_least")
            found.append(Quantity(left, match.end(), "people", number, "单"))
    return found
