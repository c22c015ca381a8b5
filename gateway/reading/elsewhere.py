"""A place that the city's own gazetteer does not know, by the table of the country: province, prefecture, county.

News and neighbours name places far away. A level is given only where the text names it or where what it names is unique;
a newspaper's dateline, an office's own name, a road called after a city and a person's home are no place of an event.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.core.model import Place
from gateway.reading.divisions import Division, Mention, above, mentions
from gateway.reading.lazy import lazy
from gateway.reading.normalise import Normal

_REACH = 3000
_DATELINE = lazy(
    r"(?:新华[社网]|中新[社网]|人民网|中国新闻网|中广网|央视网?|本报|[\u4e00-\u9fff]{2,4}[日晚早时]报|东方网|新浪|国际在线|法制网|讯息)"
    r"[^\n。,，]{0,14}?(?:\d+日)?[^\n。,，]{0,8}?(?:电|讯|消息)"
)
_NO_PLACE_AFTER = lazy(
    r"时间|籍|[路街](?![段口边上])|大[道街]|话|方言|大学|学院|[日晚早时商]报|电视|卫视|广播|新闻|网[讯站]?|[一-鿿]{0,3}?记者|站电|户口|户籍|口音|牌照|货车|客车|产的?"
    r"|出发|飞|赶|派|调|抵|队|银行|航空|移动|联通|电信|[一-鿿]{0,2}?集团|军区|驻|领事|大使|人(?![员死伤民])|至|到(?=[一-鿿]{2})|往"
)
_OFFICE_AFTER = lazy(
    r"(?:人民)?政府|[省市县区]?委|公安|警方|消防|卫生|地震[局台]|[一-鿿]{0,4}?[局厅办院会]|宣传|民政|安监|应急|武警|疾控|急救|交警|气象|当局|官方|方面"
)
_NO_PLACE_BEFORE = (
    "驻",
    "赴",
    "飞往",
    "前往",
    "开往",
    "发往",
    "来自",
    "赶赴",
    "抵达",
    "飞抵",
    "返回",
    "送往",
    "运往",
    "对",
    "离",
)
_EVENT = lazy(
    "发生|地震|火灾|起火|爆炸|中毒|事故|遇难|死亡|袭击|塌|坠|车祸|相撞|洪|泥石流|滑坡|失火|遭|沉|突发|特大|透水|暴雨|震中|位于"
)
_GAP = lazy(r"[的在、\s(]{0,2}")


class Chain(NamedTuple):
    """Names that stand together and lie in one another: 云南盈江, 福建省福州市鼓楼区. ``weight`` says how much it tells."""

    start: int
    end: int
    division: Division
    weight: int


def elsewhere(normal: Normal, year: int) -> Place | None:
    """The place of the event by the country's table, or None. ``year`` is that of the report: names are of their time."""
    text = normal.text
    end = min(len(text), _REACH)
    head = text.find("\n")
    chains = _chains(text, end, year, head if 0 < head < 60 else 0)
    if not chains:
        return None
    best = _choose(chains)
    deeper = [c for c in chains if c.division.level > best.division.level and _within(c.division, best.division) and c.weight > 0]
    while deeper:
        best = max(deeper, key=lambda c: (c.weight, -c.start)) if deeper[0].weight < 2 else deeper[0]
        deeper = [c for c in deeper if c.division.level > best.division.level and _within(c.division, best.division)]
    division = best.division
    province, city = above(division, year)
    return Place(
        text=text[best.start : best.end],
        country="中国",
        province=province,
        city=city if division.level > 1 or city == province else None,
        county=division.name if division.level == 3 else None,
        evidence=(normal.span(best.start, best.end),),
    )


def _choose(chains: list[Chain]) -> Chain:
    """The province that the text tells most of, and in it the first chain that is sure."""
    total: dict[str, int] = {}
    for chain in chains:
        total[chain.division.code[:2]] = total.get(chain.division.code[:2], 0) + chain.weight
    best = max(total, key=lambda code: total[code])
    inside = [c for c in chains if c.division.code[:2] == best]
    return next((c for c in inside if c.weight >= 2), inside[0])


def _chains(text: str, end: int, year: int, head: int) -> list[Chain]:
    datelines = [m.span() for m in _DATELINE.finditer(text, 0, end)]
    found: list[Chain] = []
    pending: list[tuple[Mention, tuple[Division, ...]]] = []

    def finish() -> None:
        if pending:
            chain = _chain(text, pending, head, datelines)
            if chain is not None:
                found.append(chain)
            pending.clear()

    for mention in mentions(text, 0, end, year):
        gap = pending and _GAP.match(text, pending[-1][0].end, mention.start)
        joined = bool(gap) and gap.end() == mention.start if gap else False
        inside = tuple(d for d in mention.of if pending and any(_within(d, p) for p in pending[-1][1])) if joined else ()
        if inside:
            pending.append((mention, inside))
            continue
        finish()
        pending.append((mention, mention.of))
    finish()
    return found


def _chain(
    text: str, pending: list[tuple[Mention, tuple[Division, ...]]], head: int, datelines: list[tuple[int, int]]
) -> Chain | None:
    """The chain's last link if it is one division, with its weight; None where the name is no place of an event."""
    first, last = pending[0][0], pending[-1][0]
    of = _narrowest(pending)
    if of is None:
        return None
    linked = len(pending) > 1
    if any(a <= first.start < b for a, b in datelines) and not head > first.start:
        return None
    after, before = last.end, text[max(0, first.start - 2) : first.start]
    if _NO_PLACE_AFTER.match(text, after) or before.endswith(_NO_PLACE_BEFORE):
        return None
    office = _OFFICE_AFTER.match(text, after) is not None
    short = not last.whole and not linked and of.level == 3
    weight = 1 if office else 3 if linked or (last.whole and of.level > 1) else 2
    if short:
        # 平安, 和平, 大方 are words as well: alone they are believed only where an event stands beside them.
        if not (first.start < head or _EVENT.search(text, after, min(len(text), after + 14))):
            return None
        weight = 1
    if first.start < head:
        weight += 3
    elif _EVENT.search(text, after, min(len(text), after + 30)) and not office:
        weight += 1
    return Chain(first.start, last.end, of, weight)


def _narrowest(pending: list[tuple[Mention, tuple[Division, ...]]]) -> Division | None:
    """The one division meant: a bare name of two levels (吉林, 朝阳) is the higher one unless the text says which."""
    mention, of = pending[-1]
    level = min(d.level for d in of)
    highest = [d for d in of if d.level == level]
    if len({d.code for d in highest}) > 1:
        codes = {d.code[:4] for d in highest}
        return highest[0] if len(codes) == 1 and mention.whole else None
    return highest[0]


def _within(inner: Division, outer: Division) -> bool:
    return inner.level > outer.level and inner.code.startswith(outer.code[: 2 * outer.level])
