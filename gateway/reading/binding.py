"""Ties each number of people to its own predicate: 2死5伤, 死亡人数由2人升至3人, 受伤的又增加两个，一共五个.

Works on segments (what stands between two commas), where a Chinese report puts a number and its verb side by side. The
result is a list of mentions; which of several wins is decided in ``figures``.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from gateway.reading.lazy import lazy
from gateway.reading.numerals import Number
from gateway.reading.quantities import Quantity

Role = Literal["plain", "total", "increment", "update", "old"]

_PREDICATES = {
    "deaths": (
        r"死亡|遇难|身亡|丧生|丧命|罹难|毙命|牺牲|殉职|被害|遇害|被杀|溺亡|溺水亡|坠亡|没救过来|没救活|没抢救过来"
        r"|抢救无效|不治|没气了|去世"
        r"|[烧淹砸炸撞压砍捅打毒摔憋闷踩]死|死了|(?<=[\d一二两三四五六七八九十人名个])[死亡](?!者|刑|因)"
        r"|死(?=[\d一二两三四五六七八九十])"
    ),
    "seriously_injured": (r"重伤(?!员|者)|伤势较?(?:严?重|危重)|伤情较?(?:严?重|危重)|受伤较重|危重|病危|生命垂危|严重受伤"),
    "light": r"轻伤(?!员|者)|轻微伤|受轻伤|伤势较轻",
    "injured": (
        r"受伤|负伤|[烧烫灼砍炸砸擦摔刺打咬冻撞压]伤(?!员|者|亡)|[砸撞压烧烫]着(?=[\d一二两三四五六七八九十仨俩几])|骨折|伤了|不同程度受?伤"
        r"|(?<=[\d一二两三四五六七八九十人名个])伤(?!亡|者|员|情|势|病|口)"
        r"|伤(?=[\d一二两三四五六七八九十])"
    ),
    "casualties": r"死伤|伤亡",
    "both": r"没上来|没有上来|未上来|未升井|没升井|没出来|未出来|没能出来|没有出来",
    "missing": r"失踪|失联|下落不明|没找到|尚未找到|未找到|失去联系|联系不上|冲走|卷走",
    "trapped": r"被困|受困|被埋|掩埋|困在",
    "poisoned": r"中毒",
    "ill": (
        r"发病(?!率)|患病|染病|呕吐|腹泻|腹痛|拉肚子|肚子[疼痛]|发烧|发热|不适|感染|确诊|病例|症状|吐(?=[,，、])"
        r"|送医院?的|住院|就诊"
    ),
    "evacuated": r"疏散|转移|撤离|安置|撤出|撤走",
    "affected": r"受灾(?!面积)|受影响|断粮|饮水困难",
}
_PREDICATE = lazy("|".join(f"(?P<{name}>{words})" for name, words in _PREDICATES.items()))
_WEAK = lazy(
    r"(?P<seriously_injured>重伤[员者])|(?P<injured>伤员|伤者|轻伤[员者])|(?P<deaths>遗体|尸体|死者)|(?P<ill>患者"
    r"|病人|病号)"
)
_FILLER = lazy(
    r"(?:人数|人员|人口|群众|村民|学生|总数|者|数|员|的|已|经|又|新|再|上升|下降|增加|升|增|降|减|至|到|达|为|共"
    r"|一|合|累|总|计|有|由|从|是|:|还|就"
    r"|目前|初步|统计|核实|核减|核定|核|调整|更正|变|了|都|约|下|上|另|因|当场|现|只){0,12}"
)
_LOOSE = lazy(r"[^死伤抓]{0,14}")
_SEGMENT = lazy(r"[^，。;!?、()\[\]【】\n]+")
_UPDATE = lazy(
    r"升至|增至|上升[到至为]|增加[到至]|降[至为]|减[至为]|调整为|更正为|应为|应该是|改为|核减|核实为|变[为成]|而是"
    r"|不对|实际[为是有]?|现为|达到|已达"
)
_TOTAL = lazy(r"共|累计|合计|总计|总数|总共|截至")
_INCREMENT = lazy(r"又|新增|再|另有|另|增加(?![到至])|新发现|还有")
_OLD_AFTER = lazy(r"(?:的)?(?:升|增|上升|更正|改|调整|降|减|变|核)")
_OLD_BEFORE = lazy(r"(?:原报|前报|此前|原先|误报|初报|上次报|原来|之前报)[^，。]{0,8}$")
_QUESTION = lazy(r"有没有|是否|是不是|多少|几个人[?吗]")
_AND = lazy(r"[^，。;!?()\n]{0,16}(?:、|及|和|与|以及)(?:另)?")
_CAUSATIVE = lazy(r"(?:致人|致其|涉嫌.{0,4}致?)$")


class Mention(NamedTuple):
    """A figure as one place of the text states it; [start, end) covers number and predicate."""

    field: str
    number: Number
    role: Role
    start: int
    end: int
    part: bool = False


class _Predicate(NamedTuple):
    field: str
    start: int
    end: int


def mentions(text: str, people: list[Quantity], denied: list[tuple[int, int]], skip: list[tuple[int, int]]) -> list[Mention]:
    """Every number of people that ``text`` ties to a predicate, in order. ``denied`` and ``skip`` hold no figures."""
    found: list[Mention] = []
    index = 0
    last_sentence = -1
    people = _coordinated(text, people)
    for segment in _SEGMENT.finditer(text):
        start, end = segment.span()
        inside: list[Quantity] = []
        while index < len(people) and people[index].start < end:
            if people[index].start >= start and not _within(people[index].start, skip):
                inside.append(people[index])
            index += 1
        if not inside or _QUESTION.search(text, start, end):
            continue
        sentence = max(text.rfind(c, 0, start) for c in "。;!?\n")
        carried = found[-1] if found and (sentence == last_sentence or start - found[-1].end < 20) else None
        bound = _bind(text, start, end, inside, denied, carried)
        part = "其中" in text[start:end] or _in_part(text, start)
        found.extend(m._replace(part=part) for m in bound)
        last_sentence = sentence
    return found


def _coordinated(text: str, people: list[Quantity]) -> list[Quantity]:
    """2名群众、1名民警受伤: counts joined by 、及和 before one predicate are one count, put at the place of the last."""
    made: list[Quantity] = []
    for quantity in people:
        previous = made[-1] if made else None
        if previous is not None and _joined(text, previous, quantity):
            low = (previous.number.value or 0) + (quantity.number.value or 0)
            loose = quantity.number.qualifier if quantity.number.qualifier != "exact" else previous.number.qualifier
            number = quantity.number._replace(value=low, high=None, qualifier="at_least" if loose == "range" else loose)
            made[-1] = quantity._replace(number=number)
        else:
            made.append(quantity)
    return made


def _joined(text: str, first: Quantity, second: Quantity) -> bool:
    between = text[first.end : second.start]
    if len(between) > 20 or first.number.value is None or second.number.value is None or not _AND.fullmatch(between):
        return False
    if _PREDICATE.search(between) or {first.unit, second.unit} - {"名", "人", "个", "位"}:
        return False
    left = max(text.rfind(c, 0, first.start) for c in "，。;!?、()\n")
    if _PREDICATE.search(text, left + 1, first.start):
        return False
    follows = _PREDICATE.search(text, second.end, min(len(text), second.end + 24))
    return follows is not None and not re.search("[，。;、()\\d]", text[second.end : follows.start()])


def _within(place: int, spans: list[tuple[int, int]]) -> bool:
    return any(a <= place < b for a, b in spans)


def _in_part(text: str, start: int) -> bool:
    """True inside brackets or a list that 其中 opened, before the next comma."""
    before = text[max(0, start - 40) : start]
    cut = max(before.rfind(c) for c in "，。;\n)")
    return "其中" in before[cut + 1 :]


def _bind(
    text: str, start: int, end: int, people: list[Quantity], denied: list[tuple[int, int]], carried: Mention | None
) -> list[Mention]:
    predicates = [p for p in _predicates(text, start, end) if not _within(p.start, denied)]
    if not predicates:
        return _carry(text, start, people, carried)
    if predicates[0].start < people[0].start and predicates[-1].end <= people[-1].start:
        return [m for q in people for m in _backward(text, start, q, predicates)]
    found: list[Mention] = []
    for i, quantity in enumerate(people):
        limit = people[i + 1].start if i + 1 < len(people) else end
        group = [p for p in predicates if quantity.end <= p.start < limit]
        if group:
            found.extend(_forward(text, start, quantity, group))
        else:
            found.extend(_backward(text, start, quantity, predicates))
    return found


def _predicates(text: str, start: int, end: int) -> list[_Predicate]:
    strong = [_Predicate(m.lastgroup or "", *m.span()) for m in _PREDICATE.finditer(text, start, end)]
    strong = [p for p in strong if not _CAUSATIVE.search(text[max(start, p.start - 6) : p.start])]
    if strong:
        return strong
    return [_Predicate(m.lastgroup or "", *m.span()) for m in _WEAK.finditer(text, start, end)]


def _forward(text: str, start: int, quantity: Quantity, group: list[_Predicate]) -> list[Mention]:
    fields = {p.field for p in group}
    if "deaths" in fields:
        fields -= {"injured", "seriously_injured", "light", "ill", "missing", "trapped"}
    if "seriously_injured" in fields or "light" in fields:
        fields -= {"injured"}
    if "poisoned" in fields:
        fields -= {"ill"}
    found = []
    seen: set[str] = set()
    for predicate in group:
        if predicate.field in fields and predicate.field not in seen:
            seen.add(predicate.field)
            found.extend(_mention(text, start, quantity, predicate.field, quantity.start, predicate.end))
    return found


def _backward(text: str, start: int, quantity: Quantity, predicates: list[_Predicate]) -> list[Mention]:
    before = [p for p in predicates if p.end <= quantity.start]
    if not before:
        return []
    nearest = before[-1]
    between = re.sub(r"(?:由|从)?\d{1,6}(?:人|名|个)", "", text[nearest.end : quantity.start])
    between = re.sub(r"(?:由|从)[一二两三四五六七八九十百]{1,4}(?:人|名|个)", "", between)
    allowed = _LOOSE if nearest.field in ("evacuated", "affected", "ill") else _FILLER
    if not allowed.fullmatch(between):
        return []
    first = next((p for p in reversed(before) if p.end == nearest.start and p.field == "deaths"), nearest)
    return _mention(text, start, quantity, first.field, nearest.start, quantity.end)


def _carry(text: str, start: int, people: list[Quantity], carried: Mention | None) -> list[Mention]:
    """一共五个 after 受伤的又增加两个: the field of the mention before it."""
    if carried is None or carried.role == "old":
        return []
    found = []
    for quantity in people:
        role = _role(text, start, quantity)
        if role in ("total", "update") and _FILLER.fullmatch(
            re.sub("[吧吗呢啊呃,，]|不对|哦|应该", "", text[start : quantity.start])
        ):
            found.append(Mention(carried.field, quantity.number, role, quantity.start, quantity.end))
    return found


def _mention(text: str, start: int, quantity: Quantity, field: str, left: int, right: int) -> list[Mention]:
    role = _role(text, start, quantity)
    left, right = min(left, quantity.start), max(right, quantity.end)
    names = ("missing", "trapped") if field == "both" else (field,)
    return [Mention(name, quantity.number, role, left, right) for name in names]


def _role(text: str, start: int, quantity: Quantity) -> Role:
    before = text[max(start, quantity.start - 10) : quantity.start]
    if _OLD_AFTER.match(text, quantity.end) and re.search("由|从|人数", before):
        return "old"
    if _OLD_BEFORE.search(text[max(0, quantity.start - 16) : quantity.start]):
        return "old"
    if _UPDATE.search(before):
        return "update"
    if _TOTAL.search(before):
        return "total"
    if _INCREMENT.search(before):
        return "increment"
    return "plain"
