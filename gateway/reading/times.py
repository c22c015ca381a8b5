"""When it happened. Of the times that a text tells, the one of the event is chosen, before those of the alarm, of the end, of
what was said of it and of the state of affairs (截至); the paper's own head and foot and old history do not count.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from gateway.core.model import Occurred, Precision, Qualifier
from gateway.reading.dates import NEXT_DAY, SAME_DAY
from gateway.reading.lazy import lazy
from gateway.reading.moments import Before, Moment, dateline_day, resolve
from gateway.reading.moments import phrases as forms
from gateway.reading.normalise import Normal

_AS_OF = lazy(r"(?:截至|截止|截止到|截至到|(?<!回)到|至|目前|统计至|(?<!—)—|~|-)(?:当地时间|北京时间|[一-鿿]{2,4}时间)?$")
_AS_OF_AFTER = lazy(r"(?:已经?)?(?:上升|攀升|增加|升|增)[到至]")
_PLANNED = lazy(r"(?:定于|将于|拟于|计划于|计划|预计|预定|已购|购买|购|订了|买了|请于|扬言|准备|原定|定在|将在|拟在|约定|限|务必于|要求于)$")
_TAKEN_BACK = lazy(r"[.…]{1,8}(?:算了|不对|哦不|不是|错了)")
_REPORTED = lazy(r"(?:报没报|(?<=刚[才刚])(?:[两那这][个次]|的|说的|报)|[报上]报的|的?报的|报(?=[:，称告])|报过|报告的|上报|前报|报送)")
_TOLD = lazy(
    r"(?:(?:事发|案发|发案|出险|起火|发病|事故|事件|灾害|发震|发生|爆炸)(?:的|具体)?(?:时间|时刻)|(?:破裂|坠落|坠楼|落水|倒塌|坍塌|垮塌|相撞|撞上|翻车|侧翻|出事|爆燃|泄漏|袭击)的时间|(?:^|[\n、.])时间)(?:[:为是在于]|大?约|大概){0,3}$"
)
_HAPPENED_AT = lazy(r"(?:发生|起火|爆炸|出事|事发|失火|着火)(?:于|在)(?:大?约)?(?:当地时间|北京时间)?$")
_ALARM_FIELD = lazy(r"(?:接报|接警|报警|报案|发现|接到报告|接到报警|获悉)(?:的)?(?:时间|时刻)?(?:[:为是在])?$")
_PAPER_FIELD = lazy(
    r"(?:报告|上报|填报|报送|发布|打印|发文|签发|印发|统计|成文|值班|更新|发稿|投稿|填表|制表|来电|收文|编辑|拍摄|送达)(?:时间|日期):?$"
)
_ALARM_AFTER = lazy(
    r"[，]?(?:[^，。;\n]{0,22}?)(?:接到?[一-鿿]{0,10}?(?:报[警告案称]|求助|电话|来电|举报|反映)|接警|接报|接诉|报案|报警|(?<!者)获悉|得知)"
)
_END_AFTER = lazy(
    r"[，]?进入第|[，]?又有[^，。;\n]{0,20}?(?:送[往到医至]|入院|住院|就诊)|[，]?[^，。;\n]{0,20}?(?:最后一[名具位]|遗体)|[，]?[^，。;\n]{0,40}?打捞出|[，]?[^，。;\n]{0,4}又有?[^，。;\n]{0,14}?(?:死亡|身亡|遇难|不治|去世)|[，]?(?:[^，。;\n]{0,8}?)(?:仍在|仍未|还在|扑灭|灭了|熄灭|平息|控制|结束|散去|散了|解除|恢复|疏通|打捞|升井|赶到|到达(?!厅|层|口)|到场|抵达|救出|救起|拖[至到回]|获救|送医|送往|送到|抢救无效|不治|宣布|被抓|抓获|落网|投案|自首|转移|疏散|通车|撤离|出院)"
)
_CAUGHT = lazy(r"[，]?[^，。;\n]{0,20}?(?:抓获|查获|破获|捣毁|收缴|侦破)")  # the event itself
_SAID_AFTER = lazy(
    r"(?:凌晨|早上|上午|中午|下午|晚|晚上|晚间)?(?:说|称|在[^，。;\n]{2,16}上说)|[，]?[^，。;\n]{0,24}?(?:记者|证实|通报|统计|表示|介绍|透露|宣布|公布|指出|采访|对外|派出(?!所)|启动|召开|部署|看望|慰问|赶赴|出院|更新的|刑拘|刑事拘留|发布|发表|作出|批示|致电)"
)
_MOVED_AFTER = lazy(r"[，]?[^，。;\n]{0,24}?(?:出发|前往|离开|返回)")
_HAPPENS = lazy(
    r"引[起发]|溺亡|没过|熄火|查获|破获|捣毁|发生|地震(?![局办台部应])|遭|起火|着火|失火|爆炸|相撞|碰撞|追尾|撞|侧翻|翻车|翻[入下]|坠|塌|失事|迫降|中毒|呕吐|爆燃|燃爆|脱轨|枪击|开枪|砍|烧|淹|漏|断裂|引爆|沉|击|撞|腹[痛泻]|袭击|透水|溃|遇难|死亡|受伤|身亡|病例|闯入|持刀|被砍|被杀|劫|抢|暴雨|滑坡"
    r"|泥石流|决[口堤]|泄漏|外泄|沉没|倾[覆复]|翻[覆复沉]|落水|溺水|踩踏|聚集|上访|围堵|罢[课工]|械斗|冲突|冒烟|冒出|失踪|失联|去向不明|被盗|倒[下地]|晕倒|昏[倒迷]|突发|突降|出现|燃起|引燃|大火|火灾|被困|卷入|被[夹卡压埋]|[掉跌摔滑][下进入落倒]|误[食服饮]|昏迷|失去动力|堵[校厂大院店]?门|搁浅|漂流|跳闸|破裂|无力"
)
_STRONG = lazy(r"翻[入下]|坠|冲[入出下]|突然|冒烟|火焰|自燃|爆胎|撞|沉没|落水|失控|断裂|上访|信访局|进京|赴京|发生|相撞|碰撞|追尾|侧翻|翻车|坠|起火|着火|爆炸|遭|中毒|塌")
_NAMED = lazy(
    r"(?:(?<=[“\"「'])|(?<![\d·.“\"「'])(?=\d{1,2}·\d{1,2}[一-鿿]{0,8}?(?:火灾|事故|案|爆炸|地震|事件|交通|坍塌|矿难)))"
    r"(?P<m>1[0-2]|0?[1-9])[·・.](?P<d>3[01]|[12]\d|0?[1-9])(?=[”\"」'\u4e00-\u9fff])",
    begins=r"\d", needs=("·", "・", "."),
)
_BACK_THEN = lazy(r"(?:去年|前年|上年|上月|\d年以来|同期|历史上|曾[于在]?)$")
_PAUSES = "，。;"
_MARKS = lazy(r"[^。;\n]{0,24}?(?:周年|纪念日|忌日|祭日)")
_WEATHER = lazy(r"(?:气象|水文)[^。;:\n]{0,8}?(?:显示|监测|记录|资料|统计|介绍|称)[^。;:\n]*$")
_UNTIL = lazy(r"[至到~-](?:\d|当|次)")
_SINCE = lazy(r"(?:之后|以后|后(?!山|院|门|勤|街)|之前|以前|前(?!往|街|门|方))")
_UNDATED = lazy(r"日前|近日|近期|不久前|前不久|前些天|前几天|几天前|数天前|连日来|上周(?![一二三四五六日天])")
_WORLD = lazy(r"(?:当地时间|[一-鿿]{2,5}(?<!北京)时间)(?:是|为)?$")
_BEIJING = lazy(r"北京时间(?:是|为)?$")

_PARTS = lazy(r"凌晨|清晨|早|晨|上午|中午|下午|傍晚|晚|夜")
_HOURS = {
    "凌": (0, 6),
    "清": (3, 9),
    "早": (4, 10),
    "晨": (0, 9),
    "上": (5, 12),
    "中": (10, 15),
    "下": (12, 19),
    "傍": (16, 20),
    "晚": (17, 24),
    "夜": (0, 24),
}
"""The hours that a word for a part of the day, by its first sign, can mean."""
_SENTENCE = 200
_OLD = timedelta(days=60)
_CONSIDERED = 100
"""So many signs after a time are looked at, and so many times of a text: beyond them nobody tells of the event first."""

Role = Literal["told", "event", "bare", "named", "alarm", "end", "said", "as_of", "header", "ignored"]


class Phrase(NamedTuple):
    """A time phrase of the text, resolved: local time, how finely, and what it tells of."""

    start: int
    end: int
    at: datetime
    precision: Precision
    qualifier: Qualifier
    role: Role


def occurred(
    normal: Normal, phrases: Sequence[Phrase], skip: list[tuple[int, int]], aside: Sequence[tuple[int, int]] = ()
) -> tuple[Occurred | None, list[tuple[int, int]]]:
    """The time of the event, or None, and the stretches that tell of it (normal text, the chosen one first).

    ``phrases`` are its times (``time_phrases``); ``skip`` are stretches (a clerk's words) that do not tell, ``aside`` those that tell of something
    else, and are asked only where nothing else tells.
    """
    found = [p for p in phrases if not any(a <= p.start < b for a, b in skip)]
    own = [p for p in found if not any(a <= p.start < b for a, b in aside)]
    chosen = _chosen(normal.text, own) or (_chosen(normal.text, found) if aside else None)
    if chosen is None:
        return None, []
    size = {"year": 4, "month": 7, "day": 10, "hour": 13, "minute": 16}[chosen.precision]
    told = Occurred(
        value=chosen.at.isoformat(timespec="minutes")[:size],
        precision=chosen.precision,
        qualifier=chosen.qualifier,
        evidence=(normal.span(chosen.start, chosen.end),),
    )
    others = [(p.start, p.end) for p in own if p is not chosen and p.role != "header"]
    return told, [(chosen.start, chosen.end), *others]


def _chosen(text: str, found: list[Phrase]) -> Phrase | None:
    by_role: dict[Role, list[Phrase]] = {}
    for phrase in found:
        by_role.setdefault(phrase.role, []).append(phrase)
    events = [p for p in by_role.get("event", by_role.get("bare", [])) if p.precision != "month"]
    months = [p for p in by_role.get("event", []) if p.precision == "month"]
    if told := _recent(by_role.get("told", []), found):
        return _finer(text, told[0], told + events)
    named_days = {p.at.date() for p in by_role.get("named", []) if p.start < 250}
    if by_name := [p for p in events if p.at.date() in named_days]:
        # "9·20"事故: the event that the text is about, not the day on which the last victim was found.
        events = by_name
    if recent := _recent(events[:_CONSIDERED], found):
        times = sorted((p.start, p.end) for p in found)
        first = next((p for p in (*recent, *events[:_CONSIDERED]) if _happens(text, p, times)), None)
        alarm = next(iter(by_role.get("alarm", [])), None)
        if first is None and alarm is not None and alarm.start < recent[0].start:
            return alarm
        return _of_the_place(text, _corrected(text, _finer(text, first or recent[0], events), events), events)
    for role in ("named", "alarm"):
        if among := by_role.get(role):
            return _corrected(text, _finer(text, among[0], among), among)
    if months:
        return months[0]
    rest = [*by_role.get("end", []), *by_role.get("said", [])]
    if rest and "as_of" not in by_role and not _UNDATED.search(text, 0, 300):
        # Only how it ended or was told of: that day is the best the text gives, the minute is not the event's.
        first = min(rest)
        if first.precision == "minute" and _CAUGHT.match(text, first.end):
            return first
        return first._replace(at=first.at.replace(hour=0, minute=0), precision="day", qualifier="about")
    return None


def _recent(events: list[Phrase], found: list[Phrase]) -> list[Phrase]:
    """Without the history that a text recalls (2008年5月的地震), where it tells of something newer too."""
    newest = max((p.at for p in found), default=datetime.max)
    recent = [p for p in events if newest - p.at <= _OLD]
    told = any(p.role in ("alarm", "end", "said", "as_of") and newest - p.at <= _OLD for p in found)
    return recent or ([] if told else events)


def _happens(text: str, phrase: Phrase, times: list[tuple[int, int]]) -> bool:
    """True where the sentence goes on to say that something happened, before it comes to another time (one of ``times``)."""
    stop = min(len(text), phrase.end + _SENTENCE)
    stop = min([stop, *(at for mark in "。;\n" if (at := text.find(mark, phrase.end, stop)) >= 0)])
    later, end = bisect_left(times, (phrase.end, 0)), phrase.end
    while later < len(times) and times[later][0] < end + 4:  # 7时5分、8时10分和9时 are told in one breath
        end = times[later][1]
        later += 1
    return _HAPPENS.search(text, phrase.end, min([stop, *(a for a, _b in times[later : later + 1])])) is not None


def _finer(text: str, first: Phrase, found: list[Phrase]) -> Phrase:
    """A plain day is followed by the hour of the same day: the finer one is meant, if it stands near or tells of the event too."""
    if first.precision == "minute":
        return first
    if first.precision == "day":  # 26日8时，… 今日260人上访
        for earlier in found[:_CONSIDERED]:
            same = earlier.precision == "minute" and earlier.at.date() == first.at.date() and earlier.end <= first.start
            if same and "。" not in text[earlier.end : first.start] and first.start - earlier.end < 60:
                return earlier
    said = _PARTS.search(text, first.start, first.end)
    low, high = _HOURS[said[0][0]] if said else (0, 24)
    for later in found[:_CONSIDERED]:
        if later.precision == "minute" and later.at.date() == first.at.date() and not low <= later.at.hour <= high:
            continue  # 5日凌晨 is not made finer by 早上7时
        night = timedelta() <= later.at - first.at < timedelta(hours=30) and re.search("[晚夜]", text[first.start : first.end])
        if later.precision == "minute" and later.start > first.start and (later.at.date() == first.at.date() or night):
            if later.start - first.start < 120 or (later.start - first.start < 400 and _happens(text, later, [])):
                return later
            break
    return first


def _corrected(text: str, first: Phrase, found: list[Phrase]) -> Phrase:
    """六点半多，六点四十吧: who speaks twice of the same moment means the second."""
    for later in found[:_CONSIDERED]:
        if later.start <= first.end or later.precision != "minute" or later.start - first.end > 12:
            continue
        if re.fullmatch(r"(?:[，,。]|不对|哦|噢|呃|嗯|不|是|应该|错了|说错|我|吧|更正|大概){1,6}", text[first.end : later.start]):
            return later
    return first


def _of_the_place(text: str, first: Phrase, found: list[Phrase]) -> Phrase:
    """北京时间5日1时（当地时间4日18时）: the time of the place of the event is meant."""
    if not _BEIJING.search(text, max(0, first.start - 6), first.start):
        return first
    near = (p for p in found if 0 < p.start - first.end < 12 and _WORLD.search(text, max(0, p.start - 8), p.start))
    return next(near, first)


def time_phrases(text: str, received: datetime, aside: Sequence[tuple[int, int]] = ()) -> list[Phrase]:
    """All time phrases of ``text`` in order, events called after a day last. ``received`` gives the day in whose terms they speak; aware or not."""
    now = received.replace(tzinfo=None)
    base = dateline_day(text, now.date()) or now.date()
    several = "\n" in text.strip("\n")
    found: list[Phrase] = []
    before = Before(None, None)
    for match in forms(text):
        start = match.start()
        moment = resolve(text, match, now, base, _that_day(text, match, found, before))
        if moment is None:
            continue
        ahead = text[max(0, start - 12) : start]
        dateline = _is_dateline(text, match.end(), moment)
        role = "ignored" if dateline else _role(text, ahead, moment)
        if role not in ("told", "ignored") and several and _in_header(text, start):
            role = "header"
        found.append(Phrase(start, match.end(), moment.at, moment.precision, moment.qualifier, role))
        if role == "event" and moment.hour is None and not moment.stated and not moment.match["ago"]:
            found[-1] = found[-1]._replace(role="bare")  # 凌晨有感地震, in a heading: the text says which day and hour
        if role == "header" or any(a <= start < b for a, b in aside):
            continue
        if dateline or role in ("told", "event", "alarm", "end", "said"):
            before = before if moment.precision == "month" else Before(_told_day(moment, before), moment)
    return found + [_named_after(match, base) for match in _NAMED.finditer(text)]


def _that_day(text: str, match: re.Match[str], found: list[Phrase], before: Before) -> Before:
    """截至10日22时，当日12时58分发生…: 当日 is the day just named, whatever that one was named for."""
    near = found[-1] if found else None
    if near is None or near.role != "as_of" or match["rel"] not in SAME_DAY or text[near.end : match.start()] not in ("，", ""):
        return before
    return before._replace(day=near.at.date())


_DATELINE_AFTER = lazy(r"(?:\([^()]{1,24}\))?(?:[^\n。，,\d(]{0,4}?(?:专?电(?!话)|讯(?!问))|(?:消息|信息)(?:[:(\d]|据))")


def _is_dateline(text: str, end: int, moment: Moment) -> bool:
    return moment.precision == "day" and _DATELINE_AFTER.match(text, end) is not None


def _told_day(moment: Moment, before: Before) -> date:
    """The day that 当晚 and a bare clock after this phrase mean: its own, though the clock went over midnight."""
    if moment.hour is not None and not moment.stated and before.day is not None:
        return before.day if moment.at.date() - before.day <= timedelta(days=1) else moment.at.date()
    return moment.at.date()


def _named_after(match: re.Match[str], today: date) -> Phrase:
    """ "12·11"事故 is called after its day."""
    try:
        day = date(today.year, int(match["m"]), int(match["d"]))
        day = day if day <= today else day.replace(year=today.year - 1)
    except ValueError:
        return Phrase(match.start(), match.end(), datetime(today.year, today.month, today.day), "day", "exact", "ignored")
    return Phrase(match.start(), match.end(), datetime(day.year, day.month, day.day), "day", "exact", "named")


def _in_header(text: str, at: int) -> bool:
    """Whether the line that ``at`` is in, one of several, is the head or foot of a paper: no sentence in it."""
    start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
    end = len(text) if end < 0 else end
    return at < end < start + 80 and not re.search("[，。;]", text[start:end]) and not _HAPPENS.search(text, start, end)


def _role(text: str, ahead: str, moment: Moment) -> Role:
    after = moment.match.end()
    leads = ahead[-1:] not in _PAUSES  # words that say what the time is stand right before it
    if leads and (_PAPER_FIELD.search(ahead) or _PLANNED.search(ahead) or _BACK_THEN.search(ahead)):
        return "ignored"
    if _TAKEN_BACK.match(text, after) or _REPORTED.match(text, after):
        return "ignored"
    if leads and (_TOLD.search(ahead) or (moment.precision == "minute" and _HAPPENED_AT.search(ahead))):
        return "told"
    if (leads and _AS_OF.search(ahead)) or _AS_OF_AFTER.match(text, after):
        return "as_of"
    if _END_AFTER.match(text, after) or moment.match["rel"] in NEXT_DAY:
        return "end"
    measured = _UNTIL.match(text, after) and _WEATHER.search(text, max(0, moment.match.start() - 60), moment.match.start())
    if measured or _MARKS.match(text, after):  # 据气象部门，18日20时至19日8时降雨171毫米
        return "ignored"
    if ahead.endswith("记者") or _SINCE.match(text, after):
        return "said" if ahead.endswith("记者") else "ignored"
    if (leads and _ALARM_FIELD.search(ahead)) or _ALARM_AFTER.match(text, after, after + 40):
        return "alarm"
    if _SAID_AFTER.match(text, after, after + 40):
        return "said"
    if _MOVED_AFTER.match(text, after, after + 40):
        stop = text.find("。", after)
        return "event" if _STRONG.search(text, after, min(after + 120, stop if stop >= 0 else len(text))) else "said"
    return "event"
