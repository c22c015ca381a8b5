"""How many took part: petitioners, fighters, demonstrators; never the police who came, the arrested or the onlookers."""

from __future__ import annotations

from gateway.core.model import Figure
from gateway.reading.lazy import lazy
from gateway.reading.normalise import Normal
from gateway.reading.quantities import Quantity, as_figure

_GATHERS = lazy(
    r"拦堵|打斗|打架|打了一架|打了起来|殴斗|封堵|推倒|推搡|争执|对峙|赴自治区|不干活|停工|怠工|门口来了|祠堂|族谱|认祖|宗亲|宗族|聚在|停驶|围坐|冲到|围得|堵得|堵死|横住|动的手|动手|打仗|拦停|殴打|围殴|叫去|要见|冲入|冲进|闯入|举牌|下跪|喊口号|散发|灵堂|花圈|抬棺|走上[^，。;\n]{0,8}(?:高速|公路|国道|省道|铁路|马路)|占道|涌入|砸毁|砸坏|政府门[口前]|聚集|聚众|联宗|聚会|不进教室|不上课|不肯走|坐着不|参与|参加|上访|集访|信访|进京|赴京|到京|赴省|械斗|斗殴|互殴|群殴|集会|游行|示威|请愿|静坐|罢工|罢课|罢市|罢运|停运|围堵|围攻|冲击|围住|堵[路住门]|堵[校厂大院店]门|堵塞"
    r"|阻挠|阻拦|阻工|阻止|拦路|祭祖|祭拜|拉横幅|打横幅|横幅|讨薪|讨要|讨说法|维权|闹事|挤兑|取款|提现|哄抢|集资|传教|结社|涉及|诉求|抗议|罢|躺在|挡在|拦住|堵了|取钱|兑付|示众"
)
_OTHERS_BEFORE = lazy(
    r"(?:民警|警力|警察|公安|辅警|特警|武警|官兵|消防员?|(?<!转业)(?<!退役)干部|医护|医务|工作人员|队员|保安|专家|教师|出动|调集|派了?|派出|组织|投入|抓获|带走|拘留|传唤|刑拘|控制|处置"
    r"|劝返|围观|疏散|转移|解救|分管领导|领导|其中|未|撤离|核载|余|剩|仅剩)[^，。;]{0,6}$"
)
_OTHERS_AFTER = lazy(
    r"(?:余)?(?:参[与加](?:了)?(?:现场)?(?:救援|搜救|扑救|抢险|处置|施救|救治|扑火|灭火)|民警|警力|警察|公安|辅警|特警|武警|官兵|消防|干部|医护|医务|工作人员|队员|保安|专家|到场控制|现场处置|维持秩序|围观|带头|被抓|被带走|被拘|被传唤|已被|乡镇|嫌疑人|[^，。;]{0,4}旁观)"
)
_RETRACTED = lazy(r"[，。、…]{0,2}(?:哦|噢|啊|呃|嗯)?(?:不对|不[，是]|错了|说错)")  # 十个，哦不，九个
_SENTENCE = lazy(r"[^。!?\n]+")


def participants(normal: Normal, people: list[Quantity], bound: list[tuple[int, int]]) -> Figure | None:
    """The number who took part, where the text tells of something people take part in; the largest in its sentence."""
    text = normal.text
    if not people or _GATHERS.search(text) is None:
        return None
    for sentence in _SENTENCE.finditer(text):
        start, end = sentence.span()
        trigger = _GATHERS.search(text, start, end)
        if not trigger:
            continue
        chosen = [q for q in people if start <= q.start < end and _takes_part(text, start, q, bound)]
        if not chosen:
            continue
        best = max(chosen, key=lambda q: (q.number.value or 0, -q.start))
        span = (normal.span(best.start, best.end),)
        return as_figure(best.number, span)
    return None


def _takes_part(text: str, start: int, quantity: Quantity, bound: list[tuple[int, int]]) -> bool:
    if any(a <= quantity.start < b for a, b in bound) or quantity.unit in ("死", "亡", "伤", "具", "一", "单"):
        return False
    if _RETRACTED.match(text, quantity.end):
        return False
    if _OTHERS_BEFORE.search(text[max(start, quantity.start - 12) : quantity.start]):
        return _GATHERS.match(text, quantity.end) is not None  # 组织周边6个县市1300余人联宗祭祖
    return not _OTHERS_AFTER.match(text, quantity.end)
