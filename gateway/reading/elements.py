"""What a report tells in words: the cause, what was done, what comes next, how the leaders take it."""

from __future__ import annotations

from typing import NamedTuple

from gateway.core.model import Span
from gateway.reading.lazy import lazy
from gateway.reading.normalise import Normal

_CAUSE = (
    lazy(r"(?:初步)?(?:原因|起因|诱因)(?:初步)?(?:判断|查明|认定|分析)?(?:是|为|系|:)(?P<c>[^，。;\n]{2,24})", begins="初原起诱", needs=("因",)),
    lazy(
        r"(?:因为|因|由于)(?P<c>[^，。;\n、:]{2,16}?)(?:问题|引发|引起|导致|造成|发生|产生|聚集|未能|，|。|;|持刀"
        r"|失控|侧翻|被|而)"
    ),
    lazy(r"(?:系|由)(?P<c>[^，。;\n]{2,16}?)(?:引发|引起|导致|所致|造成)"),
    lazy(r"(?:涉嫌)(?P<c>非法集资|酒驾|酒后驾驶|疲劳驾驶|超载|放火|投毒)", needs=("涉嫌",)),
)
_ENDS = lazy(r"[，。;!?\n]")
_NO_CAUSE = lazy(r"正在|不明|待查|不详|灾死|公|工|伤|此|为|病")
_WEATHER = lazy(r"(?P<c>大风|暴雨|冰雹|雷击|台风|龙卷风|山洪|暴雪|强降雨|地震|泥石流|沙尘暴)")
_DONE = lazy(
    r"(?:已经?|正在?|现正?在|现已|立即|迅速|及时|组织|启动|派出|出动|调集|赶赴|赶到|到场|全力|连夜)[^，。;!?\n]{0,30}?"
    r"(?:救治|送医|医院|处置|扑救|扑灭|疏散|转移|封锁|抢救|抢修|立案|追捕|劝返|稳控|控制|调查|核查|监测|救援|搜救"
    r"|排水|谈判|到位|送往|抓获|安置|隔离|采样|观察|警戒|疏导|善后|稳定|现场|平息|安抚|预案|响应|消毒|扑杀|侦查"
    r"|停产)")
_NEXT = lazy(r"(?:下一步|下步|接下来|后续将|将继续|拟|我[县区局旗市]将|将进一步)[，:]?(?P<n>[^。\n]{2,120})")
_ATTITUDE = lazy(
    r"(?:书记|县长|市长|区长|旗长|局长|领导|主任|省长|镇长|乡长)[^。\n]{0,30}(?:批示|指示|要求"
    r"|高度重视|作出|赶赴现场|坐镇|亲自|带队)[^。\n]{0,60}"
)


class Told(NamedTuple):
    """The elements in words, with their spans in the original by field name."""

    cause: str | None
    measures: tuple[str, ...]
    next_steps: tuple[str, ...]
    attitude: str | None
    evidence: dict[str, tuple[Span, ...]]


def elements(normal: Normal) -> Told:
    """The cause, measures, next steps and attitude that the text tells."""
    text = normal.text[:20_000]
    spans: dict[str, tuple[Span, ...]] = {}
    cause = _cause(normal, text, spans)
    steps = list(_NEXT.finditer(text))[:5]
    if steps:
        spans["next_steps"] = tuple(normal.span(*m.span("n")) for m in steps)
    ahead = [m.span() for m in steps]
    measures: list[str] = []
    places: list[Span] = []
    end = 0
    while len(measures) < 12 and (done := _DONE.search(text, end)):
        start = end
        for before in _ENDS.finditer(text, end, done.start()):
            start = before.end()
        stop = _ENDS.search(text, done.end())
        end = stop.start() if stop else len(text)
        if not (ahead and any(a <= start < b for a, b in ahead)) and (clause := text[start:end].strip()) not in measures:
            measures.append(clause)
            places.append(normal.span(start, end))
    if places:
        spans["measures"] = tuple(places)
    attitude = None
    if leader := _ATTITUDE.search(text):
        start = max(leader.start() - 20, *(text.rfind(c, 0, leader.start()) + 1 for c in "。;\n，"))
        attitude, spans["attitude"] = text[start : leader.end()], (normal.span(start, leader.end()),)
    return Told(cause, tuple(measures), tuple(m["n"].strip() for m in steps), attitude, spans)


def _cause(normal: Normal, text: str, spans: dict[str, tuple[Span, ...]]) -> str | None:
    for pattern in _CAUSE:
        for match in pattern.finditer(text):
            if not _NO_CAUSE.match(match["c"]) and "正在" not in match["c"] and "还没" not in match["c"]:
                spans["cause"] = (normal.span(*match.span("c")),)
                return match["c"]
    weather = _WEATHER.search(text)
    if weather is None:
        return None
    spans["cause"] = (normal.span(*weather.span("c")),)
    return weather["c"]
