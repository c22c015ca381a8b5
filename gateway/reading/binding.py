"""Ties each number of people to its own predicate: 2死5伤, 死亡人数由2人升至3人, 受伤的又增加两个，一共五个.

Works on segments (what stands between two commas), where a Chinese report puts a number and its verb side by side; a subject
whose verb only follows after the comma (车上4人，全部遇难) is carried over within its sentence. The result is a list of
mentions; which of several wins is decided in ``figures``.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from itertools import takewhile
from typing import NamedTuple

from gateway.reading.coordination import coordinated
from gateway.reading.lazy import lazy
from gateway.reading.mention import MISTAKE, Mention, mention_of, role_of
from gateway.reading.placing import has_whole, in_part, placed
from gateway.reading.predicates import Predicate, predicates
from gateway.reading.quantities import BARE, Quantity

_FILLER = lazy(
    r"(?:应该?[为是]|住院|送医|就医|治疗|改为|上调|下调|成|人数|人员|人口|群众|村民|学生|矿工|工人|干部|在|旅客|乘客|民众|职工|员工|人士|儿童|师生|居民|总数|者|数|员|的|已|经|又|新|再|上升|下降|回落|减少|增加|升|增|降|减|至|到|达|为|共"
    r"|一|合|累|总|计|有|由|从|是|:|还|就|仍|分别|最新|最终|包括"
    r"|目前|初步|统计|核实|核减|核定|核|调整|更正|变|了|都|约|下|上|另|因|当场|现|只|中|其|知|嘛|吧|大概|发现|找到|遗体|尸体|确认|可能|估计|预计|或){0,14}"
)
_WHO = lazy(r"(?:[\u4e00-\u9fff]{0,4}(?:人数|总数)?(?:\d{1,2}日)?(?:已经?)?(?:增至|升至|(?:增加|上升|升高)[到至为])|的[\u4e00-\u9fff]{0,8}?(?:人数)?(?:已经?|共|总共|至少)?(?:达到?|有|为|是|增至|升至|(?:增加|上升)[到至]|超过)了?)")  # 牺牲的官兵已达20人
_LOOSE = lazy(r"[^死伤抓]{0,14}")
_SEGMENT = lazy(r"[^，。、;!?()\[\]【】\n]+")
_ENDS = lazy(r"[。;!?\n]")
_QUESTION = lazy(r"有没有|是否|是不是|多少|几个人?[?吗]|死没死")
_NOUN = lazy(r"(?:[\u4e00-\u9fff]{0,4}[员民工生兵客师童妇长友警手徒]|保安|群众|司机)")  # 打死保安1名
_SINCE = lazy(r"[^，。;\n]{0,6}(?:遗体|尸体|找到|寻获|生还|获救|脱险|平安)")
_ILLNESS = lazy(r"[^，。;\n\d]{0,10}(?:病|炎|症|热|流感|霍乱|痢|麻疹|水痘)")
_DISEASE = lazy(r"[\u4e00-\u9fff](?:病|炎|流感|霍乱|痢疾|麻疹|水痘|腮腺炎|出血热)|流感|疫情|发热")
_VICTIMS = lazy(r"(?:名|人|个|位)?(?:轻)?(?:伤员|伤者|伤兵)")
_NUMBER_OF = ("人数", "的人数", "者人数", "总数", "者总数")
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
_ATTACKERS = lazy(r"余?(?:名|人|个)?(?:暴徒|歹徒|恐怖分子|袭击者|武装分子|匪徒|劫匪|凶手|枪手|嫌犯|犯罪嫌疑人)")
_CONTINUES = lazy(
    r"(?:人(?:当场|已经)?(?:没|死)|死了|没了|死亡|身亡|(?:均|都)?(?:被|经)?(?:初步)?(?:诊断|确诊|认定)[为是]|说?也没|伤[情势]|[左右双]?(?:手[腕臂]?|腿|脚|头|胳膊|腰|胸|背|脸|肋)[^，。;]{0,3}(?:骨[折裂]|[受烧烫擦划砸扭摔]?伤)|后|随后|其后|之后|目前|现|已|均|都|全部?|至今|迄今|一直|无一|相继|陆续|先后|不幸|当场|随即|经|因|送|被|出现|抢救|救出|捞上来|捞起|抬出|挖出|最终|结果|事后|吃|饮|食用|饭后|用餐|下落不明|生死不明|[^，。;]{0,8}等[^，。;]{0,8}后)"
)
_SOME = lazy(r"(?:[\u4e00-\u9fff]{0,4})?(?:部分|个别|有的|一些|少数|多数|不少|许多|多[名人]|数[名人]|[有另](?:学生|群众|村民|工人|人|员工|居民|乘客|顾客|师生))")  # 随后部分学生呕吐: not all who ate
_DIES = lazy(r"(?:说也?|也)?经?[^，。;]{0,12}(?:抢救无效|不治|没(?:能)?救过来|没救活|没抢救过来|死亡(?!没|未|人|率|数|[:的])|身亡|遇难|丧生|罹难|溺亡)")
_FILL_WORDS = lazy("[吧吗呢啊呃嗯,，、]|不对|哦|错了|应该是?|说|我|那个")
_TALLY = lazy(r"还是|仍[是为]|统计|一共|总共|累计|现在有|目前有|数了")
_TALLIED = ("deaths", "injured", "ill", "poisoned", "missing", "trapped", "evacuated")
_LISTED = lazy(r"[\u4e00-\u9fff]{0,4}[员民工生兵客师童妇友警机众部方人安]")
_LISTED_FIRST = lazy(r"[伤亡死难毒踪][^，。;\d一二两三四五六七八九十]{0,4}[员民工生兵客师童妇友警机众部方人安][\d一二两三四五六七八九十]{1,5}[名人]$")
_WITHIN = lazy(r"其中|里[头面]有|当中有")
_CLOSES = lazy(r"(?:[\u4e00-\u9fff]{0,3}[员民工生兵客师童妇长友警手徒者众机])?(?:了|吧|呢|啊|嘛|左右|多|受伤|死亡|遇难)?(?=[，。、;!?()\n]|$)")
_CHANGED = ("injured", "seriously_injured", "light", "trapped", "missing", "treated", "ill", "swept")


class _Subject(NamedTuple):
    """A number whose verb may come in a later segment of its sentence; ``made`` counts the mentions it has already."""

    quantity: Quantity
    part: bool
    segment: int
    made: int


def mentions(text: str, people: list[Quantity], denied: list[tuple[int, int]], skip: list[tuple[int, int]]) -> list[Mention]:
    """Every number of people that ``text`` ties to a predicate, in order. ``denied`` and ``skip`` hold no figures."""
    people = coordinated(text, people)
    closed = bytearray(len(text))
    for left, right in (*denied, *skip):
        closed[left:right] = b"\1" * (right - left)
    walk = _Walk(text, closed)
    index = 0
    starts = [*(q.start for q in people), len(text)]
    for segment in _SEGMENT.finditer(text):
        start, end = segment.span()
        uncounted = walk.subject is None and starts[index] >= end
        if uncounted and not text.startswith("、", end) and not text.endswith(_NUMBER_OF, start, end):
            walk.bare = walk.asked = None  # nothing counted, and nothing for what follows to lean on
            continue
        inside: list[Quantity] = []
        while starts[index] < end:
            if starts[index] >= start and not closed[starts[index]]:
                inside.append(people[index])
            index += 1
        walk.on(start, end, inside)
    return walk.found


class _Walk:
    """The segments of a text one after another, with what of one the next may lean on: ``subject``, a count whose verb may still
    come; ``bare``, a verb before a 、; ``asked``, what was announced (受伤人数，…)."""

    def __init__(self, text: str, closed: bytearray) -> None:
        self.text = text
        self.closed = closed
        self.found: list[Mention] = []
        self.bare: Predicate | None = None
        self.asked: Predicate | None = None
        self.subject: _Subject | None = None
        self._sentence = self._last_sentence = self._past = 0

    def on(self, start: int, end: int, people: list[Quantity]) -> None:
        """The next segment that can matter, and the counts in it."""
        if _ENDS.search(self.text, self._past, start):
            self._sentence += 1
            self.subject = None
        self._past = end
        topic, self.asked = (self.asked if self.text[start - 1 : start] in ("，", ":") else None), None
        if not people:
            self._without_count(start, end)
        elif _QUESTION.search(self.text, start, end):
            self.subject = None
        else:
            self._with_counts(start, end, people, topic)

    def _said(self, start: int, end: int) -> list[Predicate]:
        return [p for p in predicates(self.text, start, end) if not self.closed[p.start]]

    def _without_count(self, start: int, end: int) -> None:
        text = self.text
        if self.subject is not None and _SOME.match(text, start, end):
            self.subject = None
        subject, self.bare = self.subject, None
        listed = text[start - 1 : start] == "、" and subject is not None and not subject.made
        follows = subject is not None and (listed or _CONTINUES.match(text, start, end))
        if text.endswith(_NUMBER_OF, start, end):
            named = self._said(start, end)
            self.asked = named[-1] if named and text[named[-1].end : end] in _NUMBER_OF else None
        if follows or text.startswith("、", end):
            said = self._said(start, end)
            self.bare = said[-1] if said and not self.closed[start] else None
            if subject is not None and follows and said:
                self.found = _continued(text, start, self.found, subject, said)

    def _with_counts(self, start: int, end: int, people: list[Quantity], topic: Predicate | None) -> None:
        text, found = self.text, self.found
        carried = found[-1] if found and (self._sentence == self._last_sentence or start - found[-1].end < 20) else None
        said = self._said(start, end)
        bound = _listed(text, start, people, said, self.bare) or _cases(text, start, people, said) or _bind(text, start, end, people, said, carried)
        if not bound and topic is not None and not said and len(people) == 1 and not _helper(text, start, people[0], end):
            # 尚未公布受伤人数，估计至少96人
            bound = mention_of(text, start, people[0], topic.field, people[0].start, people[0].end)
        alone = people[0].start == start and text[start - 1 : start] == "，"
        if not bound and not said and (alone or _TALLY.search(text, start, people[0].start)) and _CLOSES.match(text, people[0].end):
            bound = self._tallied(start, people[0])
        if not bound and not said and carried is not None and len(people) == 1 and self._listed_on(start, end, people[0], carried):
            # 砸伤学生8人、教师2人
            bound = [Mention(carried.field, people[0].number, "increment", people[0].start, people[0].end, carried.part, carried.weak)]
        if carried is not None and bound and bound[0].role == "update" and MISTAKE.search(text[max(0, start - 8) : start]):
            found[-1] = carried._replace(role="old")
        part = _WITHIN.search(text, start, end) is not None or in_part(text, start)
        for mention in bound:
            counted = part and has_whole(text, found, mention)
            one = mention._replace(part=True) if counted and not mention.part else mention
            if part and not counted and self._uncounted(start, mention):
                one = mention._replace(number=mention.number._replace(value=None, high=None), part=True)
            found.append(placed(text, start, found, one))
        last = people[-1]
        self.subject = None if _helper(text, start, last, end) else _Subject(last, part, start, len(bound))
        self.bare = None
        self._last_sentence = self._sentence


    def _listed_on(self, start: int, end: int, quantity: Quantity, carried: Mention) -> bool:
        """True for 、教师2人 after 砸伤学生8人: who they are, how many, and nothing else."""
        if self.text[start - 1 : start] != "、" or carried.end != start - 1 or quantity.end != end:
            return False
        told = _LISTED.fullmatch(self.text, start, quantity.start) is not None
        return told and _LISTED_FIRST.search(self.text, carried.start, carried.end) is not None

    def _uncounted(self, start: int, mention: Mention) -> bool:
        """一批人上吐下泻，里头有一个抽搐: how many are ill is not said, and surely not one."""
        if mention.field not in ("ill", "poisoned"):
            return False
        since = max(self.text.rfind(c, max(0, start - 80), start) for c in "。;!?\n") + 1
        near = takewhile(lambda m: m.start >= since, reversed(self.found))
        return all(m.field != mention.field for m in near) and any(p.field == mention.field for p in self._said(max(since, start - 80), start))

    def _tallied(self, start: int, quantity: Quantity) -> list[Mention]:
        """有学生发烧，到现在统计上来43个: what the clause before says of people it does not count."""
        before = self.text[max(0, start - 40) : start - 1]
        left = start - 1 - len(before) + max(before.rfind(c) for c in "，。;:!?\n") + 1
        fields = {p.field for p in self._said(left, start - 1)}
        if len(fields) != 1 or not fields <= set(_TALLIED) or any(c.isdecimal() for c in self.text[left:start]):
            return []
        return mention_of(self.text, start, quantity, fields.pop(), quantity.start, quantity.end)


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
    return mention_of(text, start, people[0], field, bare.start, people[0].end) if field else []


def _cases(text: str, start: int, people: list[Quantity], said: list[Predicate]) -> list[Mention]:
    """手足口病聚集，今日新增4例，累计19例: cases of the illness that the sentence names."""
    if said or any(q.unit != "例" for q in people):
        return []
    since = max(text.rfind(c, max(0, start - 60), start) for c in "。;!?\n")
    if not _DISEASE.search(text, max(since + 1, start - 60), start):
        return []
    return [m for q in people for m in mention_of(text, start, q, "ill", q.start, q.end)]


def _bind(
    text: str, start: int, end: int, people: list[Quantity], said: list[Predicate], carried: Mention | None
) -> list[Mention]:
    people = [q for q in people if not _AGENT.search(text[max(start, q.start - 3) : q.start])]
    if not people:
        return []
    found = _victims(text, start, people, said)
    return found + _by_verb(text, start, end, people, said, carried)


def _victims(text: str, start: int, people: list[Quantity], said: list[Predicate]) -> list[Mention]:
    """21名伤员中又有1人死亡: the wounded are counted, though the verb speaks of one of them."""
    if said and said[0].weak:
        return []
    found = []
    for quantity in people:
        if quantity.unit == "例" and not any(p.field == "ill" for p in said) and _ILLNESS.match(text, quantity.end):
            found += mention_of(text, start, quantity, "ill", quantity.start, quantity.end)
        if quantity.unit in ("名", "人", "位", "个") and _VICTIMS.match(text, quantity.end):
            found += mention_of(text, start, quantity, "injured", quantity.start, quantity.end + 2)
        elif quantity.unit == "具" and text.startswith(("遗体", "尸体"), quantity.end):
            found += mention_of(text, start, quantity, "deaths", quantity.start, quantity.end + 2)
    return [m._replace(weak=True) for m in found]


def _by_verb(
    text: str, start: int, end: int, people: list[Quantity], said: list[Predicate], carried: Mention | None
) -> list[Mention]:
    if not said:
        return _carry(text, start, people, carried)
    if said[0].start < people[0].start and said[-1].end <= people[-1].start:
        return [m for q in people for m in _backward(text, start, q, said)]
    found: list[Mention] = []
    taken: set[int] = set()
    for i, quantity in enumerate(people):
        following = people[i + 1] if i + 1 < len(people) else None
        limit = following.start if following else end
        if len(said) == 1:
            near = said if quantity.end <= said[0].start < limit else []
        else:
            near = said[bisect_left(said, quantity.end, key=_start) : bisect_left(said, limit, key=_start)]
        if quantity.unit in BARE:
            near = [p for p in near if p.start == quantity.end]  # 2死10伤 嫌疑人身亡: the number has its own verb
        group = [p for p in near if _reaches(text, quantity, p)]
        if following is not None and group and group[-1].transitive and quantity.end < group[-1].start:
            follows = text[group[-1].end : following.start] in ("", "了", "其", "其他")
            group = group[:-1] if follows else group  # 10名男子打伤1人: the victims follow
        if group:
            found.extend(_forward(text, start, quantity, group))
            taken.update(p.start for p in group)
        else:  # 91名矿工遇难上百名仍在井下: the verb is the former's
            found.extend(_backward(text, start, quantity, [p for p in said if p.start not in taken]))
    return found


def _reaches(text: str, quantity: Quantity, predicate: Predicate) -> bool:
    """False where the victims that a predicate names are not those who were counted: 50名医生抢救受伤人员."""
    between = text[quantity.end : predicate.start]
    if ":" in between:
        return False
    if predicate.weak and predicate.field != "treated":
        return len(between) <= (10 if quantity.unit == "具" else 3) and not _OUR_HELP.search(between)
    if predicate.field == "missing" and _SINCE.match(text, predicate.end):
        return False
    if predicate.nominal and len(between) > 2:
        return not (_OUR_HELP.search(between) or _HELPERS_AFTER.match(between))
    return True


def _forward(text: str, start: int, quantity: Quantity, group: list[Predicate]) -> list[Mention]:
    if len(group) == 1:
        return mention_of(text, start, quantity, group[0].field, quantity.start, group[0].end)
    fields = {p.field for p in group}
    if "deaths" in fields:
        fields -= {"injured", "seriously_injured", "light", "ill", "missing", "trapped", "treated", "swept", "hit"}
    if "seriously_injured" in fields or "light" in fields:
        fields -= {"injured"}
    if "injured" in fields or len(fields) > 1:
        fields -= {"hit"}
    if "poisoned" in fields:
        fields -= {"ill", "treated"}
    if "ill" in fields or "injured" in fields:
        fields -= {"treated"}
    found = []
    seen: set[str] = set()
    for predicate in group:
        if predicate.field in fields and predicate.field not in seen:
            seen.add(predicate.field)
            found.extend(mention_of(text, start, quantity, predicate.field, quantity.start, predicate.end))
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
    return [*found, *(m._replace(part=True) if subject.part else m for m in made)]


def _start(predicate: Predicate) -> int:
    return predicate.start


def _end(predicate: Predicate) -> int:
    return predicate.end


def _backward(text: str, start: int, quantity: Quantity, said: list[Predicate]) -> list[Mention]:
    # Predicates stand in order and do not overlap; a whole text may be one segment.
    count = bisect_right(said, quantity.start, key=_end)
    if not count or _ATTACKERS.match(text, quantity.end):
        return []  # 4人遇难14名暴徒被击毙
    nearest = said[count - 1]
    between = _FROM.sub("", text[nearest.end : quantity.start])
    allowed = _LOOSE if nearest.field in ("evacuated", "affected", "ill", "treated") else _FILLER
    if not allowed.fullmatch(between) and not _WHO.fullmatch(between) and not (_NOUN.fullmatch(between) and quantity.unit in ("名", "人", "个", "位")):
        return []
    before = said[count - 2] if count > 1 else nearest
    first = before if before.end == nearest.start and before.field == "deaths" else nearest
    part = between.startswith(("者中", "人员中", "中有", "中包括")) or (nearest.weak and between.startswith("中"))
    made = mention_of(text, start, quantity, first.field, nearest.start, quantity.end)
    return [m._replace(part=True) for m in made] if part else made


def _carry(text: str, start: int, people: list[Quantity], carried: Mention | None) -> list[Mention]:
    """一共五个 after 受伤的又增加两个: the field of the mention before it."""
    if carried is None:
        return []
    found = []
    mistake = MISTAKE.search(text[max(0, start - 8) : start])
    for quantity in people:
        role = "update" if mistake else role_of(text, start, quantity)
        if role == "plain" and carried.role == "old":
            role = "update" if re.search("为|是", text[start : quantity.start]) else "plain"
        if not _CLOSES.match(text, quantity.end):
            continue  # 共有33名职工正在作业 counts nobody of those before
        if role in ("total", "update") and _FILLER.fullmatch(_FILL_WORDS.sub("", text[start : quantity.start])):
            found.append(Mention(carried.field, quantity.number, role, quantity.start, quantity.end))
    return found


