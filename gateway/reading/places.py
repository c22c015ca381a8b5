"""Where it happened: the county by the city's own gazetteer, and the stretch of text that names the place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from gateway.core.model import Place
from gateway.reading.gazetteer import Found, Gazetteer
from gateway.reading.lazy import lazy
from gateway.reading.normalise import Normal

_OURS = lazy(r"(?:我们?|本|全|该)[县区旗市镇乡]")
_OURS_BEFORE = lazy(r"(?:我|咱)们?[县区旗市]的?$")
_EVENT = lazy(
    r"发生|起火|着火|失火|相撞|追尾|侧翻|爆炸|泄漏|坍塌|倒塌|被|有人|一[辆名位个起男女处家条栋间台老民村]"
    r"|两[辆名个]|因|出现|遭|村民|居民|群众|某|部分|约?\d+余?[名人]"
    r"|火灾|车祸|突|来自|周边|散场|音乐节|举行|举办|开始|查获|持刀|聚集|上访|突降|普降|涉及|清点|在逃|报案|陆续|透水|溃"
    r"|有[一两三四五六七八九十\d]|人员|学生|工人|职工"
)
_END = (
    "路段|路口|附近|收费站|服务区|候车厅|车站|广场|公园|商场|市场|学校|小学|中学|大学|幼儿园|医院|小区|公司|工厂"
    "|煤矿|矿区|矿井|工地|大厅|库房|仓库|车间|水库|大桥|酒店|宾馆|网吧|饭店|超市"
    "|影院|体育场|体育馆|机场|码头|机要局|政府|大院|门口|花园|园区|科技园|工业园|街道|苏木|嘎查|社区|隧道|大道"
    "|大街|开发区|文化中心|中心|加油站|银行|支行|分理处|信用社|监狱|看守所|景区|景点|度假村|度假区|滑雪场|寺|教堂|养殖场|林场|农场"
    "|国道|省道|高速|铁路|民房|居民楼|宿舍|家中|后山|林区|[镇乡村组街路号县旗厂矿站桥山河湖湾沟岭坡园楼店]"
)
_STRETCH = lazy(rf"(?:{_END})")
_ROAD = lazy(
    r"(?:[GS]\d{1,4}[\u4e00-\u9fff]{0,6}|[\u4e00-\u9fff]{0,2}[省国县]道[A-Z]?\d{0,4}[\u4e00-\u9fff]{0,2}"
    r"|\d{3}[国省]道|[\u4e00-\u9fff]{2}高速(?:公路)?|[\u4e00-\u9fff]{2}铁路)$"
)
_UNIT_TAIL = lazy(
    r"(?:委|政府|公安|人民|应急|安监|信访|卫|教育|气象|林业|农|防汛|政法|交警|消防|党政|县委|民政|水利|环保"
    r"|市场监管)[^，。:\n]{0,10}?(?:办|局|室|报告|:|院|队|站|会|报(?!案)|\n|传真|FAX)"
)
_PIECE = lazy(r"[^，。;!?:、\n]+")
_LEAD = lazy(r"(?:我们|我[县区旗市]的?|我是|在|位于|就是|发现|那个|的|吧|了|今天|刚才)+")
_SITE = lazy(
    "[\u4e00-\u9fffA-Za-z0-9]{1,12}?(?:煤矿|矿业|厂|公司|小学|中学|学校|幼儿园|医院|水库|大桥|隧道|小区|工地|广场"
    "|收费站|服务区|车站|客运站|街道|步行街|看守所|监狱|体育场|网吧|酒店|市场"
    "|商场|超市|加油站|机要局|机要室|大楼|苏木|嘎查|林场|农场|出口|镇|乡|村|庄|屯|岭|湾|山|河|湖|高速|国道|省道)"
)
_NO_SITE = lazy("市委|市政府|民警|造成|已|正|将|多家|数家|几家|说|受|该|一[名个]|[两二三四五六七八九十\\d]")
_REACH = 60
_CONSIDERED = 8000
"""So far into a text its place is looked for."""


def place(
    normal: Normal,
    gazetteer: Gazetteer,
    *,
    times: list[tuple[int, int]],
    unit: str | None,
    home: str | None,
    skip: list[tuple[int, int]],
    aside: Sequence[tuple[int, int]] = (),
    year: int,
) -> Place | None:
    """The place of the event. ``times`` are the stretches that tell when it happened: the place stands near the first.
    ``home`` is the county of the reporting ``unit``, which 我县 and a bare town or firm mean; ``skip`` is what only a clerk says, ``aside``
    what is told of something else;
    ``year`` is that of the report."""
    from gateway.reading.elsewhere import elsewhere, is_news, lies_elsewhere  # a command that reads nothing need not load it

    text = normal.text
    after = times[0][1] if times else 0
    ours = gazetteer.own_names
    if home is None and is_news(text) and not any(name in text for name in ours) and (far := elsewhere(normal, year, aside)) is not None:
        return far
    named = [f for f in gazetteer.counties_in(text, 0, _CONSIDERED) if not _is_unit(text, f, unit)]
    named = named or gazetteer.parts_in(text, 0, _CONSIDERED)
    strange = [f for f in named if lies_elsewhere(text, f.start, ours)]
    named = [f for f in named if f not in strange]
    if home is not None:  # 咱们县经开区 lies in the sender's county, whatever district has that other name
        named = [f._replace(county=home) if _OURS_BEFORE.search(text, max(0, f.start - 5), f.start) else f for f in named]
    elif not strange and (units := gazetteer.counties_in(text, 0, _CONSIDERED)):
        home = units[0].county
    end = _stop(text, after)
    near = [f for f in named if after - 40 <= f.start < end]
    chosen = next((f for f in near if f.start >= after), None) or (near[-1] if near else None) or (named[0] if named else None)
    if chosen is not None:
        return _described(normal, gazetteer, chosen.county, chosen.start, times)
    silent = home is not None and not unit and not _OURS.search(text)
    far = elsewhere(normal, year, aside) if strange or silent or home is None else None
    if far is not None and far.county in gazetteer.by_name and not strange:
        far = None  # our own county, though another province has one of that name
    sure = far is not None and (home is None or far.county is not None or far.country != "中国")
    if strange and sure:
        return far
    town = next((t for t in gazetteer.towns_in(text) if t.sure or home), None)
    if town is not None:
        return _described(normal, gazetteer, town.county if town.sure else home, town.start, times)
    if sure and (silent or home is None):
        # A sender of ours who names no place of ours but one that another province or city has, tells of that one.
        return far
    if home is None:
        units = gazetteer.counties_in(text)
        home = units[0].county if units else None
    if home is None:
        return None
    site = _site(text, times, unit, skip)
    if site is not None:
        return _described(normal, gazetteer, home, site, times)
    mine = _OURS.search(text)
    if mine is not None:
        return _described(normal, gazetteer, home, mine.start(), times)
    return Place(text=home, country="中国", province=gazetteer.province, city=gazetteer.city, county=home)


def is_local(text: str, gazetteer: Gazetteer) -> bool:
    """True where ``text`` names a county or town of the city, and does not say that it lies elsewhere."""
    from gateway.reading.elsewhere import lies_elsewhere

    named = gazetteer.counties_in(text)
    if any(not lies_elsewhere(text, f.start, gazetteer.own_names) for f in named):
        return True
    return not named and bool(gazetteer.towns_in(text))


def _site(text: str, times: list[tuple[int, int]], unit: str | None, skip: list[tuple[int, int]]) -> int | None:
    """Where a firm, school or village is named without its county, near the time of the event."""
    cuts = sorted({at for span in times for at in span})
    for piece in _PIECE.finditer(text[:4000]):
        edges = [piece.start(), *(c for c in cuts if piece.start() < c < piece.end()), piece.end()]
        for edge, end in pairwise(edges):
            lead = _LEAD.match(text, edge, end)
            start = lead.end() if lead else edge
            if unit and text.startswith(unit, start):
                start += len(unit)
                if text[start : start + 1] != "在":
                    continue
                start += 1
            if (start, end) in times or any(a <= start < b for a, b in skip):
                continue
            event = _EVENT.search(text, start, end)
            stop = event.start() if event else end
            if not _NO_SITE.match(text, start) and _SITE.match(text, start, stop):
                return start
    return None


def home_county(gazetteer: Gazetteer, unit: str | None, registered: str | None) -> str | None:
    """The county that a reporting unit belongs to: as its name says, else as it is registered."""
    if unit:
        named = gazetteer.counties_in(unit)
        if named:
            return named[0].county
        stem = next((c.name for c in gazetteer.counties if len(c.name) > 2 and unit.startswith(c.name[:-1])), None)
        if stem:
            return stem
    return registered or None


def _is_unit(text: str, found: Found, unit: str | None) -> bool:
    """True where the name belongs to an office (白水县公安局, 【白水县委办】), not to a place."""
    if unit and text.startswith(unit, found.start):
        return True
    return _UNIT_TAIL.match(text, found.end) is not None or text[found.end : found.end + 1] == "委"


def _stop(text: str, start: int) -> int:
    ends = [at for c in "。;\n" if (at := text.find(c, start)) >= 0]
    return min(ends, default=len(text))


def _described(normal: Normal, gazetteer: Gazetteer, county: str | None, start: int, times: list[tuple[int, int]]) -> Place:
    text = normal.text
    limit = min([_comma(text, start), start + _REACH, *(a for a, _b in times if a > start)])
    event = _EVENT.search(text, start + 1, limit)
    stop = event.start() if event else limit
    ends = [m.end() for m in _STRETCH.finditer(text, start, stop)]
    named = gazetteer.pattern.match(text, start)
    end = max(ends[-1], named.end() if named else 0) if ends else stop  # 青山区 does not end at 山
    road = _ROAD.search(text[max(0, start - 12) : start])
    if road:
        start -= len(road[0])
    shown = text[start:end].strip("，、。:; \n")
    if _OURS.match(shown) and county:
        shown = county + shown[re.match(r"(?:我们?|本|全|该)[县区旗市镇乡]", shown).end() :]  # type: ignore[union-attr]
    if county and shown[:1] == county[-1] and not county.startswith(shown[:1]):
        shown = shown[1:]
    if county and county not in shown and county not in (gazetteer.by_name.get(shown[: len(county) + 2], ""),):
        shown = county + shown
    evidence = (normal.span(start, end),) if end > start else ()
    return Place(
        text=shown[:80], country="中国", province=gazetteer.province, city=gazetteer.city, county=county, evidence=evidence
    )


def _comma(text: str, start: int) -> int:
    ends = [at for c in "，。;\n" if (at := text.find(c, start)) >= 0]
    return min(ends, default=len(text))
