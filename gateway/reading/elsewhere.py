"""A place that the city's own gazetteer does not know, by the table of the country: province, prefecture, county.

News and neighbours name places far away. A level is given only where the text names it or where what it names is unique;
a newspaper's dateline, an office's own name, a road called after a city and a person's home are no place of an event, but
they tell which of two places of one name is meant. Where a text speaks of another country, the country is all it gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gateway.core.model import Place, Span
from gateway.reading.countries import countries
from gateway.reading.divisions import MUNICIPAL, Division, Mention, above, headed, mentions, names, renamed
from gateway.reading.lazy import lazy
from gateway.reading.normalise import Normal

_REACH = 3000
_AGENCY = r"新华[社网]|中新[社网]|人民网|中国新闻网|中国日报网?|中广网|央视网?|法新社|路透社|美联社|本报|[\u4e00-\u9fff]{1,5}(?:[日晚早晨时商快新]|都市|青年|法制|经济)报|东方网|新浪|国际在线|法制网|环球网|[\u4e00-\u9fff]{2}在线|新京报"
_DATELINE = lazy(rf"(?:{_AGENCY}|讯息)[^\n。,，]{{0,18}}?(?:\d+日)?[^\n。,，]{{0,8}}?(?:电|讯|消息|信息)", needs=("电", "讯", "消息", "信息"))
_NO_PLACE_AFTER = lazy(
    r"时间|籍|[男女]?(?:游客|旅客|旅行团)|[路街](?![段口边上头])|大[道街]|(?:特?大)?地震(?:灾区|灾后|重灾|纪念)|话|方言|大学(?![东西南北中]?[路街])|学院(?![东西南北中]?[路街])|[日晚早时商晨]报|都市报|青年报|电视|卫视|广播|新闻|网[讯站]?|[一-鿿]{0,3}?记者|站电|户口|户籍|口音|牌照|货车|客车|产的?"
    r"|出发|飞|赶|派|调|抵|队|、[一-鿿]{2,5}?[区县市旗]派|银行|航空|移动|联通|电信|[一-鿿]{0,2}?集团|军区|驻|领事|大使|使馆|人(?![员死伤民])|[东南西北]?至|到(?=[一-鿿]{2})|往|开往|驶往|始发|[货渔油客轮]?[货渔油客轮运机]\d|管圆|总统|首相|总理|外交|内政|国防|军方|政府说|号"
)
_OFFICE_AFTER = lazy(
    r"(?:人民)?政府|[省市县区]?委|公安|警方|消防|卫生|地震[局台]|(?![一某])[一-鿿]{0,4}?(?:[局厅院]|办(?!公楼)|(?:委员|协|商|工|十字)会)|宣传|民政|安监|应急|武警|疾控|急救|交警|气象|当局|官方|方面"
)
_FELT = lazy(r"[一-鿿]{0,8}?(?:有?震感|有感)")  # not where it was, unless the text tells of nowhere else
_HOSPITAL = lazy(r"(?:等地)?的?(?:几家|多家|各大|大|第[一二三四五六]|人民|中心|妇幼|中)?医院")
_NO_PLACE_BEFORE = (
    "驻", "赴", "飞往", "前往", "开往", "驶往", "发往", "来自", "赶赴", "抵达", "飞抵", "返回", "送往", "运往", "对", "离", "至", "往", "转往", "乘", "回",
)  # fmt: skip
_CAME_TO = ("行至", "驶至", "开至", "途至", "走至", "驾至", "震至")
_BOUNDARY = "，。、;:!?()[]{}<>《》【】“”\"'·-—~/ \n\t0123456789在于从到由位日电讯的和及午夜晨时许经省市区县旗州盟国为称我该起内前昨今晚境近段路线边自被给将向，"
"""What stands before a short name that is one: 昆明, 盈江 after other signs are often parts of a word or of a foreign name."""
_RISKY = frozenset({
    "德州", "巴中", "海口", "大连", "天水", "和田", "中山", "安康", "大同", "大理", "平安", "和平", "东方", "海东",
    "海北", "海西", "海南", "山南", "河池", "三明", "吉安", "万宁", "金华", "汉中", "兴安", "广安", "文山", "平凉",
    "大庆", "长春", "阳泉", "安阳", "延安", "通化", "上海",
})  # fmt: skip
"""Short names of prefectures that are parts of other words or of foreign names."""
_WORDS = frozenset({"公安"})
"""Short names that are words: nobody calls 公安县 so."""
_EVENT = lazy(
    "发生|地震|火灾|起火|爆炸|中毒|事故|遇难|死亡|袭击|塌|坠|车祸|相撞|洪|泥石流|滑坡|失火|遭|沉|突发|特大|透水|暴雨|震中|位于|大火|着火|追尾|翻车|侧翻|爆燃|疫情|踩踏|矿难|劫|境内|砍"
)
_GAP = lazy(r"[的在、\s(]{0,2}")
_PAPERS = {
    "楚天都市报": "湖北", "华商报": "西安", "三秦都市报": "陕西", "燕赵": "河北", "齐鲁晚报": "山东", "大河报": "河南", "三湘都市报": "湖南",
    "潇湘晨报": "湖南", "南方都市报": "广东", "羊城晚报": "广州", "信息时报": "广州", "扬子晚报": "江苏", "现代快报": "南京", "华西都市报": "四川",
    "新京报": "北京", "京华时报": "北京", "法制晚报": "北京", "北青报": "北京", "东方早报": "上海", "新民晚报": "上海", "半岛都市报": "青岛",
    "钱江晚报": "浙江", "都市快报": "杭州", "春城晚报": "昆明", "辽沈晚报": "沈阳", "华商晨报": "沈阳", "半岛晨报": "大连", "新文化报": "长春",
    "海峡都市报": "福建", "东南快报": "福州", "新安晚报": "安徽", "江淮晨报": "合肥", "今晚报": "天津", "每日新报": "天津", "南国早报": "广西",
    "西部商报": "甘肃", "兰州晨报": "兰州", "黔中早报": "贵州",
}  # fmt: skip
"""Newspapers that are not called after the place where they are printed."""


class Chain(NamedTuple):
    """Names that stand together and lie in one another: 云南盈江, 福建省福州市鼓楼区. ``weight`` says how much it tells."""

    start: int
    end: int
    division: Division
    weight: int


def elsewhere(normal: Normal, year: int, aside: Sequence[Span] = ()) -> Place | None:
    """The place of the event by the country's table, or None. ``year`` is that of the report: names are of their time.
    ``aside`` are stretches that tell of something else: they count only where nothing else names a place."""
    text = normal.text
    end = min(len(text), _REACH)
    head = text.find("\n")
    head = head if 0 < head < 60 else 0
    datelines = [m.span() for m in _DATELINE.finditer(text, 0, end)]
    chains = _chains(text, end, year, head, datelines)
    chains = [c for c in chains if not any(a <= c.start < b for a, b in aside)] or chains
    abroad = _abroad(text, end, head, datelines)
    if abroad is not None and abroad[2] > sum(c.weight for c in chains):
        start, stop, _weight, country = abroad
        return Place(text=text[start:stop], country=country, evidence=(normal.span(start, stop),))
    if not chains:
        return None
    best = _choose(chains)
    while deeper := [c for c in chains if _deeper(c, best)]:
        best = max(deeper, key=lambda c: (min(c.weight, 4), -c.start))
    division = best.division
    province, city = above(division, year)
    city = city if city is None or city in text else renamed(division, text) or city
    return Place(
        text=text[best.start : best.end],
        country="中国",
        province=province,
        city=city if division.level > 1 or division.code[:2] in MUNICIPAL else None,
        county=division.name if division.level == 3 else None,
        evidence=(normal.span(best.start, best.end),),
    )


def is_news(text: str) -> bool:
    """True where a text begins as a newspaper's or an agency's does."""
    return _DATELINE.search(text, 0, 160) is not None


def lies_elsewhere(text: str, at: int, ours: tuple[str, ...]) -> bool:
    """True where the name at ``at`` is said to lie in another province or city than ``ours``: 陕西省白水县, 武汉青山区."""
    before = text[max(0, at - 8) : at]
    if not before or not "\u4e00" <= before[-1] <= "\u9fff" or before.endswith(ours):
        return False
    table = names()
    for length in range(2, len(before) + 1):
        name = before[-length:]
        of = table.whole.get(name) or table.short.get(name)
        if of and min(d.level for d in of) < 3 and name not in _RISKY:
            return True
    return False


def _deeper(chain: Chain, best: Chain) -> bool:
    """True for a chain that says more closely where in ``best`` it was; an office alone says it only of a whole province."""
    return (
        chain.division.level > best.division.level
        and _within(chain.division, best.division)
        and chain.weight > (0 if best.division.level == 1 else 1)
    )


def _choose(chains: list[Chain]) -> Chain:
    """The province that the text tells most of, and in it the first chain that is sure, unless it tells far more of another."""
    total: dict[str, int] = {}
    for chain in chains:
        total[chain.division.code[:2]] = total.get(chain.division.code[:2], 0) + chain.weight
    best = max(total, key=lambda code: total[code])
    inside = [c for c in chains if c.division.code[:2] == best]
    first = next((c for c in inside if c.weight >= 2), inside[0])
    told: dict[Division, int] = {}
    for chain in inside:
        if chain.division.level == first.division.level:
            told[chain.division] = told.get(chain.division, 0) + chain.weight
    most = max(told, key=lambda division: told[division])
    renamed = most.code == first.division.code and told[most] > told[first.division]
    far_more = told[most] >= max(2 * told[first.division], told[first.division] + 4)
    return next(c for c in inside if c.division == most) if renamed or far_more else first


def _abroad(text: str, end: int, head: int, datelines: list[Span]) -> tuple[int, int, int, str] | None:
    """The other country that the text tells most of: where it first says so, how much it tells, its name."""
    names, heads = countries()
    found: dict[str, tuple[int, int, int]] = {}
    done = 0
    for at, lengths in headed(text, 0, end, heads):
        length = next((n for n in lengths if text[at : at + n] in names), 0) if at >= done else 0
        if not length:
            continue
        country, stop = names[text[at : at + length]], at + length
        if not any(a <= at < b for a, b in datelines) and not text[max(0, at - 2) : at].endswith(_NO_PLACE_BEFORE):
            weight = 0 if _NO_PLACE_AFTER.match(text, stop) else 1 if _OFFICE_AFTER.match(text, stop) else 2
            if weight:
                weight += 3 if at < head else 1 if _EVENT.search(text, stop, min(end, stop + 30)) else 0
            first = found.get(country, (at, stop, 0))
            found[country] = (first[0], first[1], first[2] + weight)
        done = stop
    if not found:
        return None
    country = max(found, key=lambda name: found[name][2])
    return (*found[country], country) if found[country][2] > 1 else None


def _chains(text: str, end: int, year: int, head: int, datelines: list[Span]) -> list[Chain]:
    named = list(_named(text, end, year))
    around = _around(text, named)
    found: list[Chain] = []
    pending: list[tuple[Mention, tuple[Division, ...]]] = []

    def finish() -> None:
        if pending:
            chain = _chain(text, pending, head, datelines, around)
            if chain is not None:
                found.append(chain)
            pending.clear()

    for mention in named:
        gap = pending and _GAP.match(text, pending[-1][0].end, mention.start)
        joined = bool(gap) and gap.end() == mention.start if gap else False
        inside = tuple(d for d in mention.of if pending and any(_within(d, p) for p in pending[-1][1])) if joined else ()
        if inside:
            pending.append((mention, inside))
            continue
        if pending and mention.start == pending[-1][0].end and not mention.whole and pending[-1][1][0].level < 3:
            continue  # 内蒙古大兴安岭: a name inside another province is not that place
        if not mention.whole and not _stands_alone(text, mention):
            continue
        finish()
        pending.append((mention, mention.of))
    finish()
    return found


def _named(text: str, end: int, year: int) -> Iterator[Mention]:
    """The names of divisions in the text, without those that are part of another word."""
    for mention in mentions(text, 0, end, year):
        if text[mention.start : mention.end] in _WORDS:
            continue
        if (
            mention.whole
            and text[max(0, mention.start - 1) : mention.start] in ("沿", "出", "进")
            and text[mention.start] == "海"
        ):
            continue
        yield mention


def _stands_alone(text: str, mention: Mention) -> bool:
    """True where a short name is not the tail of another word (奥巴马, 长江口, 巴姆古城)."""
    before = text[max(0, mention.start - 1) : mention.start]
    if before in _BOUNDARY or text.startswith("段", mention.end):  # also at the very start; 包茂高速延安段
        return True
    level = min(d.level for d in mention.of)
    return level == 1 or (level == 2 and text[mention.start : mention.end] not in _RISKY)


def _around(text: str, named: list[Mention]) -> list[Division]:
    """The provinces and prefectures that a text speaks of anywhere: they tell which 鼓楼区 is meant."""
    found: list[Division] = []
    for mention in named:
        outer = {d.code: d for d in mention.of if d.level < 3}
        found += outer.values() if len(outer) == 1 else ()
    head = text[:200]
    papers = [place for paper, place in _PAPERS.items() if paper in head]
    found += [m.of[0] for place in papers for m in mentions(place, 0, len(place), 2010)]
    return list({d.code: d for d in found}.values())


def _chain(
    text: str,
    pending: list[tuple[Mention, tuple[Division, ...]]],
    head: int,
    datelines: list[tuple[int, int]],
    around: list[Division],
) -> Chain | None:
    """The chain's last link if it is one division, with its weight; None where the name is no place of an event."""
    first, last = pending[0][0], pending[-1][0]
    of = _narrowest(pending, around)
    if of is None:
        return None
    linked = len(pending) > 1
    if any(a <= first.start < b for a, b in datelines) and not head > first.start:
        return None
    after, before = last.end, text[max(0, first.start - 2) : first.start]
    if _NO_PLACE_AFTER.match(text, after) or (before.endswith(_NO_PLACE_BEFORE) and before not in _CAME_TO):
        return None
    if not last.whole and _HOSPITAL.match(text, after):
        return None
    if _FELT.match(text, after):
        return Chain(first.start, last.end, of, 0)
    office = _OFFICE_AFTER.match(text, after) is not None
    short = not last.whole and not linked and of.level == 3
    weight = 1 if office else 3 if linked or (last.whole and of.level > 1) else 2
    if short:
        # 平安, 和平, 大方 are words as well: alone they are believed only where an event stands beside them.
        on_road = text[max(0, first.start - 2) : first.start].endswith(("公路", "高速", "国道", "省道", "线"))
        if not (on_road or first.start < head or _EVENT.search(text, after, min(len(text), after + 14))):
            return None
        weight = 2 if text.startswith("段", after) else 1
    if office and of.level == 3 and any(text.find(text[last.start : last.end - last.whole], a, b) >= 0 for a, b in datelines):
        weight += 1
    if first.start < head:
        weight += 3
    elif _EVENT.search(text, after, min(len(text), after + 30)) and not office:
        weight += 1
    return Chain(first.start, last.end, of, weight)


def _narrowest(pending: list[tuple[Mention, tuple[Division, ...]]], around: list[Division]) -> Division | None:
    """The one division meant: a bare name of two levels (吉林, 朝阳) is the higher one unless the text says which; one that
    several provinces have is the one in a place that the text speaks of."""
    mention, of = pending[-1]
    if not mention.whole and len(pending) == 1:
        # 北京…朝阳: what lies in a prefecture or municipality that the text speaks of goes before a prefecture of that name.
        near = {d.code: d for a in around for d in of if d.level == 3 and _within(d, a) and a.code[:2] in MUNICIPAL}
        of = tuple(near.values()) if len(near) == 1 else of
    level = min(d.level for d in of)
    highest = [d for d in of if d.level == level]
    if len({d.code for d in highest}) > 1:
        for outer in (2, 1):
            told = {d.code: d for a in around if a.level == outer for d in highest if _within(d, a)}
            if len(told) == 1:
                return next(iter(told.values()))
        codes = {d.code[:4] for d in highest}
        return highest[0] if len(codes) == 1 and mention.whole else None
    return highest[0]


def _within(inner: Division, outer: Division) -> bool:
    return inner.level > outer.level and inner.code.startswith(outer.code[: 2 * outer.level])
