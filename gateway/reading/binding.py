"""Ties each number of people to its own predicate: 2死5伤, 死亡人数由2人升至3人, 受伤的又增加两个，一共五个.

Works on segments (what stands between two commas), where a Chinese report puts a number and its verb side by side; a subject
whose verb only follows after the comma (车上4人，全部遇难) is carried over within its sentence. The result is a list of
mentions; which of several wins is decided in ``figures``.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import Literal, NamedTuple

from gateway.reading.coordination import coordinated
from gateway.reading.lazy import lazy
from gateway.reading.numerals import Number
from gateway.reading.predicates import Predicate, predicates
from gateway.reading.quantities import Quantity

Role = Literal["plain", "total", "increment", "update", "old"]

_FILLER = lazy(
    r"(?:应该?[为是]|住院|送医|就医|治疗|改为|成|人数|人员|人口|群众|村民|学生|矿工|工人|干部|在|旅客|乘客|民众|职工|员工|人士|儿童|师生|居民|总数|者|数|员|的|已|经|又|新|再|上升|下降|回落|减少|增加|升|增|降|减|至|到|达|为|共"
    r"|一|合|累|总|计|有|由|从|是|:|还|就|仍|分别|最新|最终|包括"
    r"|目前|初步|统计|核实|核减|核定|核|调整|更正|变|了|都|约|下|上|另|因|当场|现|只|中|其|知|嘛|吧|大概|发现|找到|确认){0,14}"
)
_GOES_ON = lazy(r"[，、;]?(?:另|另有|还有|又有)?")
_ON_THE_SPOT = lazy(r"当场|现场")
_IN_HOSPITAL = lazy(r"送医|送往|医院|抢救|救治|途中")
_LOOSE = lazy(r"[^死伤抓]{0,14}")
_SEGMENT = lazy(r"[^，。、;!?()\[\]【】\n]+")
_ENDS = lazy(r"[。;!?\n]")
_UPDATE = lazy(
    r"升至|增至|(?:上升|增加|减少|下降|回落|升高)[到至为]|降[至为]|减[至为]|调整为|更正为|应为|应该是|改为|核减|核实为|变[为成]|而是"
    r"|不对|错了|实际[为是有]?|现为|达到|已达|最新"
)
_TOTAL = lazy(r"(?<!公)共(?!同|和国|产)|累计|合计|总计|总数|总共|截至|至此|总人数")
_INCREMENT = lazy(r"又|新增|再|另有|另|增加(?![到至为])|新发现|还有")
_STILL = lazy(r"[^，。;\n]{0,12}(?:治疗|住院|观察|重症|监护|救治)")
_OLD_AFTER = lazy(r"(?:的)?(?:升|增|上升|更正|改|调整|降|减|变|核)")
_REPLACED = lazy(
    r"(?:的)?(?:有误|应为|应该是|更正为|改为|核实为|变[为成]|升至|增至|(?:上升|增加|减少|下降|回落)[到至为]|降[至为]|减[至为]|核减[至为]|调整[至为])"
)
_OLD_BEFORE = lazy(r"(?:原报|前报|此前|原先|误报|初报|上次报|原来|之前)[^，。]{0,10}$")
_QUESTION = lazy(r"有没有|是否|是不是|多少|几个人?[?吗]|死没死")
_NOUN = lazy(r"(?:[\u4e00-\u9fff]{0,4}[员民工生兵客师童妇长友警手徒]|保安|群众|司机)")  # 打死保安1名
_SINCE = lazy(r"[^，。;\n]{0,6}(?:遗体|尸体|找到|寻获|生还|获救)")
_FROM = lazy(
    r"(?:由|从)[^，。;]{0,6}?(?:\d{1,6}|[一二两三四五六七八九十百]{1,4})(?:人|名|个|例)|\d{1,6}(?:人|名|个|例)(?=应为|改为|更正为|升至|增至)"
)
_AGENT = lazy(r"(?:被|遭到?|受到?|遭受)$")
_OUR_HELP = lazy(r"救|搜|寻|找|看望|慰问|运送|护送|转运|处置|处理|调查|安抚|清理|打捞|照顾|陪护|接诊|善后")
_HELPERS_BEFORE = lazy(
    r"(?:出动|调集|调派|派出|组织|投入|增派|抽调|集结|动员|安排|抓获|拘留|控制|核载|限载|荷载|疏散|转移|撤离|安置|劝返|围观|核定|可乘|年龄|近)[^，。;]{0,6}$"
)
_HELPERS_AFTER = lazy(
    r"余?(?:多|余)?(?:名|人)?[^，。;被遭受死伤]{0,4}(?:民警|警力|警察|消防|官兵|医护|医务|医生|护士|专家|队员|干部|救援|工作人员|记者|志愿者|嫌疑人|犯罪|特警|武警|士兵|军人|施救|医疗)"
)
_CONTINUES = lazy(
    r"(?:人(?:当场|已经)?(?:没|死)|后|随后|其后|之后|目前|现|已|均|都|全部?|至今|迄今|一直|无一|相继|陆续|先后|不幸|当场|随即|经|因|送|被|出现|抢救|最终|结果|事后|吃|饮|食用|饭后|用餐|下落不明|生死不明|[^，。;]{0,8}等[^，。;]{0,8}后)"
)
_DIES = lazy(r"经?[^，。;]{0,8}(?:抢救无效|不治|没(?:能)?救过来|没救活|没抢救过来|死亡|身亡|遇难|丧生|罹难|溺亡)")
_MISTAKE = lazy(r"(?:不对|错了|说错|口误|应该是|不是)[，。、啊哦呃嗯]{0,3}$")
_FILL_WORDS = re.compile("[吧吗呢啊呃嗯,，、]|不对|哦|错了|应该是?|说|我|那个")
_CHANGED = ("injured", "seriously_injured", "light", "trapped", "missing", "treated", "ill", "swept")


class Mention(NamedTuple):
    """A figure as one place of the text states it; [start, end) covers number and predicate.

    ``part``: it is counted in another; ``weak``: the words hint at it, and count only where nothing plain is said.
    """

    field: str
    number: Number
    role: Role
    start: int
    end: int
    part: bool = False
    weak: bool = False


class _Subject(NamedTuple):
    """A number whose verb may come in a later segment of its sentence; ``made`` counts the mentions it has already."""

    quantity: Quantity
    part: bool
    segment: int
    made: int


def mentions(text: str, people: list[Quantity], denied: list[tuple[int, int]], skip: list[tuple[int, int]]) -> list[Mention]:
    """Every number of people that ``text`` ties to a predicate, in order. ``denied`` and ``skip`` hold no figures."""
    found: list[Mention] = []
    index = 0
    last_sentence = sentence = past = 0
    bare: Predicate | None = None
    subject: _Subject | None = None
    people = coordinated(text, people)
    closed = bytearray(len(text))
    for left, right in (*denied, *skip):
        closed[left:right] = b"\1" * (right - left)
    for segment in _SEGMENT.finditer(text):
        start, end = segment.span()
        inside: list[Quantity] = []
        while index < len(people) and people[index].start < end:
            quantity = people[index]
            if quantity.start >= start and not closed[quantity.start]:
                inside.append(quantity)
            index += 1
        if _ENDS.search(text, past, start):
            sentence += 1
            subject = None
        past = end
        if not inside:
            bare = None
            listed = text[start - 1 : start] == "、" and subject is not None and not subject.made
            follows = subject is not None and (listed or _CONTINUES.match(text, start, end))
            if follows or text[end : end + 1] == "、":
                said = [p for p in predicates(text, start, end) if not closed[p.start]]
                bare = said[-1] if said and not closed[start] else None
                if subject is not None and follows and said:
                    found = _continued(text, start, found, subject, said)
            continue
        if _QUESTION.search(text, start, end):
            subject = None
            continue
        carried = found[-1] if found and (sentence == last_sentence or start - found[-1].end < 20) else None
        said = [p for p in predicates(text, start, end) if not closed[p.start]]
        bound = _listed(text, start, inside, said, bare) or _bind(text, start, end, inside, said, carried)
        if carried is not None and bound and bound[0].role == "update" and _MISTAKE.search(text[max(0, start - 8) : start]):
            found[-1] = carried._replace(role="old")
        part = "其中" in text[start:end] or _in_part(text, start)
        for mention in bound:
            counted = part and _whole(found, mention)
            found.append(_placed(text, start, found, mention._replace(part=counted or mention.part)))
        last = inside[-1]
        subject = None if _helper(text, start, last, end) else _Subject(last, part, start, len(bound))
        bare = None
        last_sentence = sentence
    return found


def _in_part(text: str, start: int) -> bool:
    """True inside brackets or a list that 其中 opened, before the next comma."""
    before = text[max(0, start - 40) : start]
    cut = max(before.rfind(c) for c in "，。;\n)")
    return "其中" in before[cut + 1 :]


def _placed(text: str, start: int, found: list[Mention], mention: Mention) -> Mention:
    """``mention`` after those ``found`` before it: 1人当场死亡、2人送医后死亡 adds, 仍有2人被埋 replaces, 另7人受伤 stands alone."""
    before = found[-1] if found else None
    if mention.role == "plain" and before and before.field == mention.field and text[before.end : mention.start] == "、":
        return mention._replace(role="increment")
    if before is not None and _died_later(text, before, mention):
        return mention._replace(part=True) if before.part else mention._replace(role="increment")
    if _one_more(text, before, mention):
        return mention._replace(role="increment")
    said = text[max(start, mention.start - 6) : mention.end]
    if mention.field in ("missing", "trapped") and mention.role in ("plain", "increment") and re.search("仍|尚", said):
        return mention._replace(role="update")
    alone = mention.role == "increment" and not any(m.field == mention.field for m in found)
    return mention._replace(role="plain") if alone and re.search("另|还有", said) and not re.search("又|新|再", said) else mention


def _one_more(text: str, before: Mention | None, mention: Mention) -> bool:
    """一名妇女当场死亡，一名男子送医后死亡: two persons, each told of once in one sentence."""
    if before is None or mention.role != "plain" or before.field != mention.field or before.number.value != 1:
        return False
    between = text[before.end : mention.start]
    alone = mention.number.value == 1 and text.startswith(("一名", "1名", "一位", "一个", "1个"), mention.start)
    return alone and not mention.weak and len(between) < 30 and not _ENDS.search(between)


def _died_later(text: str, before: Mention, mention: Mention) -> bool:
    """2人当场死亡，1人送医后不治: those who died on the spot and those who died in hospital are not the same."""
    if mention.role != "plain" or before.field != "deaths" or mention.field != "deaths":
        return False
    if not _GOES_ON.fullmatch(text[before.end : mention.start]):
        return False
    return bool(_ON_THE_SPOT.search(text, before.start, before.end) and _IN_HOSPITAL.search(text, mention.start, mention.end))


def _whole(found: list[Mention], mention: Mention) -> bool:
    """Is there, just before, the count that 其中 takes this one from? 车上27人，其中13人死亡 tells of no other dead."""
    return any(m.field == mention.field and mention.start - m.end < 60 for m in found[-4:])


def _helper(text: str, start: int, quantity: Quantity, end: int) -> bool:
    """True where the number counts those who came, were led away or fit in: no victims follow them after a comma."""
    if _HELPERS_BEFORE.search(text[max(start, quantity.start - 12) : quantity.start]):
        return True
    return bool(_HELPERS_AFTER.match(text, quantity.end, end))


def _listed(text: str, start: int, people: list[Quantity], said: list[Predicate], bare: Predicate | None) -> list[Mention]:
    """死亡、失踪87人: one number for both, so that neither is known alone."""
    if bare is None or not said or text[start - 1 : start] != "、" or said[0].start != start or bare.end != start - 1:
        return []
    if people[0].start < said[0].end or not _FILLER.fullmatch(text[said[0].end : people[0].start]):
        return []
    pair = {bare.field, said[0].field}
    field = {frozenset({"deaths", "missing"}): "gone", frozenset({"deaths", "injured"}): "casualties"}.get(frozenset(pair))
    return _mention(text, start, people[0], field, bare.start, people[0].end) if field else []


def _bind(
    text: str, start: int, end: int, people: list[Quantity], said: list[Predicate], carried: Mention | None
) -> list[Mention]:
    people = [q for q in people if not _AGENT.search(text[max(start, q.start - 3) : q.start])]
    if not people:
        return []
    if not said:
        return _carry(text, start, people, carried)
    if said[0].start < people[0].start and said[-1].end <= people[-1].start:
        return [m for q in people for m in _backward(text, start, q, said)]
    found: list[Mention] = []
    for i, quantity in enumerate(people):
        following = people[i + 1] if i + 1 < len(people) else None
        limit = following.start if following else end
        near = said[bisect_left(said, quantity.end, key=_start) : bisect_left(said, limit, key=_start)]
        group = [p for p in near if _reaches(text, quantity, p)]
        if following is not None and group and group[-1].transitive and quantity.end < group[-1].start:
            follows = text[group[-1].end : following.start] in ("", "了", "其", "其他")
            group = group[:-1] if follows else group  # 10名男子打伤1人: the victims follow
        if group:
            found.extend(_forward(text, start, quantity, group))
        else:
            found.extend(_backward(text, start, quantity, said))
    return found


def _reaches(text: str, quantity: Quantity, predicate: Predicate) -> bool:
    """False where the victims that a predicate names are not those who were counted: 50名医生抢救受伤人员."""
    between = text[quantity.end : predicate.start]
    if ":" in between:
        return False
    if predicate.weak and predicate.field != "treated":
        return len(between) <= (10 if quantity.unit == "具" else 3) and not _OUR_HELP.search(between)
    if predicate.nominal and predicate.field == "missing" and _SINCE.match(text, predicate.end):
        return False
    if predicate.nominal and len(between) > 2:
        return not (_OUR_HELP.search(between) or _HELPERS_AFTER.match(between))
    return True


def _forward(text: str, start: int, quantity: Quantity, group: list[Predicate]) -> list[Mention]:
    fields = {p.field for p in group}
    if "deaths" in fields:
        fields -= {"injured", "seriously_injured", "light", "ill", "missing", "trapped", "treated", "swept"}
    if "seriously_injured" in fields or "light" in fields:
        fields -= {"injured"}
    if "poisoned" in fields:
        fields -= {"ill", "treated"}
    if "ill" in fields or "injured" in fields:
        fields -= {"treated"}
    found = []
    seen: set[str] = set()
    for predicate in group:
        if predicate.field in fields and predicate.field not in seen:
            seen.add(predicate.field)
            found.extend(_mention(text, start, quantity, predicate.field, quantity.start, predicate.end))
    return found


def _continued(text: str, start: int, found: list[Mention], subject: _Subject, said: list[Predicate]) -> list[Mention]:
    """The verb after the comma: for a number without one, or where those who were hurt turn out to have died."""
    quantity = subject.quantity
    if subject.made:
        group = [p for p in said if p.field == "deaths" and not p.nominal]
        if not group or not _DIES.match(text, start):
            return found
        own = {m.field for m in found if m.start <= quantity.start < m.end}
        if not own or own - set(_CHANGED):
            return found
        found = [m for m in found if not m.start <= quantity.start < m.end]
    else:
        group = [p for p in said if not p.nominal or p.field in ("poisoned", "ill")]
    made = _forward(text, subject.segment, quantity, group)
    return [*found, *(m._replace(part=subject.part) for m in made)]


def _start(predicate: Predicate) -> int:
    return predicate.start


def _end(predicate: Predicate) -> int:
    return predicate.end


def _backward(text: str, start: int, quantity: Quantity, said: list[Predicate]) -> list[Mention]:
    # Predicates stand in order and do not overlap; a whole text may be one segment.
    count = bisect_right(said, quantity.start, key=_end)
    if not count:
        return []
    nearest = said[count - 1]
    between = _FROM.sub("", text[nearest.end : quantity.start])
    allowed = _LOOSE if nearest.field in ("evacuated", "affected", "ill", "treated") else _FILLER
    if not allowed.fullmatch(between) and not (_NOUN.fullmatch(between) and quantity.unit in ("名", "人", "个", "位")):
        return []
    before = said[count - 2] if count > 1 else nearest
    first = before if before.end == nearest.start and before.field == "deaths" else nearest
    part = between.startswith(("者中", "人员中", "中有", "中包括")) or (nearest.weak and between.startswith("中"))
    made = _mention(text, start, quantity, first.field, nearest.start, quantity.end)
    return [m._replace(part=part) for m in made]


def _carry(text: str, start: int, people: list[Quantity], carried: Mention | None) -> list[Mention]:
    """一共五个 after 受伤的又增加两个: the field of the mention before it."""
    if carried is None:
        return []
    found = []
    mistake = _MISTAKE.search(text[max(0, start - 8) : start])
    for quantity in people:
        role = "update" if mistake else _role(text, start, quantity)
        if role == "plain" and carried.role == "old":
            role = "update" if re.search("为|是", text[start : quantity.start]) else "plain"
        if role in ("total", "update") and _FILLER.fullmatch(_FILL_WORDS.sub("", text[start : quantity.start])):
            found.append(Mention(carried.field, quantity.number, role, quantity.start, quantity.end))
    return found


def _mention(text: str, start: int, quantity: Quantity, field: str, left: int, right: int) -> list[Mention]:
    if field == "treated" and quantity.unit == "单":
        return []
    role = _role(text, start, quantity)
    left, right = min(left, quantity.start if quantity.first is None else quantity.first), max(right, quantity.end)
    names = {"both": ("missing", "trapped"), "swept": ("missing",), "gone": ("deaths", "missing"), "dying": ("deaths",)}.get(
        field, (field,)
    )
    number = (
        quantity.number._replace(value=None, high=None, qualifier="unknown") if field in ("gone", "dying") else quantity.number
    )
    weak = field in ("swept", "gone", "dying", "treated") or quantity.unit == "单"
    return [Mention(name, number, role, left, right, False, weak) for name in names]


def _role(text: str, start: int, quantity: Quantity) -> Role:
    before = text[max(start, quantity.start - 10) : quantity.start]
    if _REPLACED.match(text, quantity.end) or (_OLD_AFTER.match(text, quantity.end) and re.search("由|从|人数", before)):
        return "old"
    if _OLD_BEFORE.search(text[max(0, quantity.start - 18) : quantity.start]):
        return "old"
    if _UPDATE.search(before) or _MISTAKE.search(text[max(0, start - 8) : start]):
        return "update"
    if _TOTAL.search(before):
        return "total"
    if _INCREMENT.search(before):
        return "plain" if "还有" in before and _STILL.match(text, quantity.end) else "increment"
    return "plain"
