"""When it happened. Time phrases are read in the sender's day and always into the past; then the one that tells of the event
is chosen, before those of the alarm, of the state of affairs (截至), of the end and of the paper's own head and foot.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from gateway.core.model import Occurred, Precision, Qualifier
from gateway.reading.lazy import lazy
from gateway.reading.normalise import Normal
from gateway.reading.numerals import value_of

_HAN = "零〇一二两三四五六七八九十"
_N = rf"(?:\d{{1,2}}|[{_HAN}]{{1,3}})"
_DATE = (
    rf"(?:(?P<y>\d{{4}}|[{_HAN}]{{4}})年)?(?P<m>{_N})月(?:份)?(?P<d>{_N})[日号]"
    r"|(?P<y2>20\d\d)[-./](?P<m2>\d{1,2})[-./](?P<d2>\d{1,2})(?!\d)"
    # 5日 anywhere; 5号 only where an hour or a pause follows: 人民路5号, 8号矿井 and 二号仓库 are no days.
    rf"|(?<![\d月{_HAN}路街巷弄道里镇乡村组区县市厂矿])(?P<d3>{_N})"
    rf"(?:日|号(?=凌晨|清晨|[早晨晚夜\d{_HAN}]|上午|中午|正午|午后|下午|傍晚|深夜|半夜|[,，。;；、\s]|$))"
    r"|(?P<rel>大前天|前天|前日|昨天|昨日|昨|今天|今日|今|当天|当日|当(?=[晚夜])|前(?=[晚夜]))"
)
_PERIOD = r"凌晨|清晨|早晨|早上|早|晨|上午|中午|正午|午后|下午|傍晚|晚上|晚间|晚|夜里|夜间|深夜|午夜|半夜|夜"
_MINUTE = rf"\d{{1,2}}(?!\d)分?|[二三四五]?十[{_HAN[2:11]}]?分?|[零〇][{_HAN[2:11]}]分?|[{_HAN[2:11]}]分|[一三]刻|半|整"
_CLOCK = (
    rf"(?P<h>{_N})(?:时|点钟?)(?!\d*[年月日天]|间|段|期|[意建要问措原])(?:过"
    rf"|差不多)?(?P<mi>{_MINUTE})?(?!(?<=点)[{_HAN[:11]}](?:公|平|级|吨|万|亿|米|度|倍|个百))"
    r"|(?P<h2>\d{1,2}):(?P<mi2>\d{2})(?::\d{2})?(?![\d:])"
)
_AGO = rf"(?P<ago>(?:{_N}|半)个?(?:多)?)(?P<agounit>小时|分钟|钟头|天)(?:前|之前|以前)"
_PHRASE = lazy(
    rf"(?:(?:{_AGO})|(?P<just>刚才|刚刚)"
    rf"|(?:{_DATE})(?:\([^()]{{1,8}}\)|的)?[， ]?(?:(?P<p>{_PERIOD})[， ]?)?(?:大?概|约|大约"
    rf"|差不多)?(?:"
    rf"{_CLOCK.replace('?P<h>', '?P<ha>').replace('?P<mi>', '?P<mia>').replace('?P<h2>', '?P<hb>').replace('?P<mi2>', '?P<mib>')}"
    rf")?"
    rf"|(?P<p2>{_PERIOD})[， ]?(?:大?概|约|大约|差不多)?(?:{_CLOCK})"
    rf"|(?P<p3>凌晨|清晨|早上|上午|中午|下午|傍晚|晚上|夜里|深夜|半夜)(?=[，在有我]|发生)"
    rf"|{_CLOCK.replace('?P<h>', '?P<hc>').replace('?P<mi>', '?P<mic>').replace('?P<h2>', '?P<hd>').replace('?P<mi2>', '?P<mid>')})"
    r"(?P<tail>许|左右|前后|多|来钟|来|钟|上下|分许)?"
)
_AS_OF = lazy(r"(?:截至|截止|截止到|到|至|目前|统计至)$")
_PLANNED = lazy(r"(?:定于|将于|拟于|计划于|计划|预计|预定|请于|扬言|准备)$")
_REPORTED = lazy(r"(?:[报上]报的|报的|报过|报告的|上报|前报)")
_ALARM_AFTER = lazy(r"[，]?(?:[^，。;\n]{0,16}?)(?:接到?群?众?(?:集中)?报[警告案]?|接警|接报|报案|报警|获悉|得知|发现)")
_END_AFTER = lazy(r"[，]?(?:[^，。;\n]{0,6}?)(?:扑灭|灭了|熄灭|平息|控制|结束|散去|解除|恢复|疏通|打捞|升井|赶到|到达|到场|抵达)")
_DATELINE = lazy(r"(?:专?电|讯|消息|信息:)")
_SAID_AFTER = lazy(
    r"[，]?[^，。;\n]{0,24}?(?:记者|获悉|证实|通报|表示|介绍|透露|宣布|指出|采访|对外|出发|派出|启动|召开|部署|看望|慰问|赶赴|前往|离开|返回|出院|刑拘|刑事拘留)"
)
_HAPPENS = lazy(r"发生|地震|遭|起火|着火|失火|爆炸|相撞|碰撞|追尾|侧翻|坠|塌|中毒|袭击|透水|溃|遇难|死亡|受伤|身亡|病例")
_NAMED = lazy(r"[“\"「](?P<m>1[0-2]|0?[1-9])[·・.](?P<d>3[01]|[12]\d|0?[1-9])[”\"」]")
_BACK_THEN = lazy(r"(?:去年|前年|上年|上月|20\d\d年以来)")

_SENTENCE = 200
_CONSIDERED = 100
"""So many signs after a time are looked at, and so many times of a text: beyond them nobody tells of the event first."""

Role = Literal["event", "named", "alarm", "as_of", "end", "said", "header", "ignored"]


class Phrase(NamedTuple):
    """A time phrase of the text, resolved: local time, how finely, and what it tells of."""

    start: int
    end: int
    at: datetime
    precision: Precision
    qualifier: Qualifier
    role: Role


class _Clock(NamedTuple):
    hour: int
    minute: int
    spoken: bool


def occurred(normal: Normal, received: datetime, skip: list[tuple[int, int]]) -> tuple[Occurred | None, list[tuple[int, int]]]:
    """The time of the event, or None, and the stretches that tell of it (normal text, the chosen one first).

    ``received`` is local; ``skip`` are stretches (a clerk's words) that do not tell.
    """
    phrases = [p for p in time_phrases(normal.text, received) if not any(a <= p.start < b for a, b in skip)]
    chosen = _chosen(normal.text, phrases)
    if chosen is None:
        return None, []
    size = {"year": 4, "month": 7, "day": 10, "hour": 13, "minute": 16}[chosen.precision]
    told = Occurred(
        value=chosen.at.isoformat(timespec="minutes")[:size],
        precision=chosen.precision,
        qualifier=chosen.qualifier,
        evidence=(normal.span(chosen.start, chosen.end),),
    )
    others = [(p.start, p.end) for p in phrases if p is not chosen and p.role != "header"]
    return told, [(chosen.start, chosen.end), *others]


def _chosen(text: str, phrases: list[Phrase]) -> Phrase | None:
    for role in ("event", "named", "alarm", "end", "as_of", "said"):
        among = [p for p in phrases if p.role == role]
        if not among:
            continue
        first = among[0]
        if role == "event":
            starts = sorted(p.start for p in phrases)
            first = next((p for p in among[:_CONSIDERED] if _happens(text, p, starts)), first)
        return _corrected(text, _finer(text, first, among), among)
    return None


def _happens(text: str, phrase: Phrase, starts: list[int]) -> bool:
    """True where the sentence goes on to say that something happened, before it comes to another time (one of ``starts``)."""
    stop = min(len(text), phrase.end + _SENTENCE)
    stop = min([stop, *(at for mark in "。;\n" if (at := text.find(mark, phrase.end, stop)) >= 0)])
    later = bisect_left(starts, phrase.end)
    return _HAPPENS.search(text, phrase.end, min([stop, *starts[later : later + 1]])) is not None


def _finer(text: str, first: Phrase, phrases: list[Phrase]) -> Phrase:
    """A plain day is followed by the hour of the same day: the finer one is meant, if it stands near or tells of the event too."""
    if first.precision == "minute":
        return first
    for later in phrases[:_CONSIDERED]:
        if later.precision == "minute" and later.start > first.start and later.at.date() == first.at.date():
            if later.start - first.start < 120 or (later.start - first.start < 400 and _happens(text, later, [])):
                return later
            break
    return first


def _corrected(text: str, first: Phrase, phrases: list[Phrase]) -> Phrase:
    """六点半多，六点四十吧: who speaks twice of the same moment means the second."""
    for later in phrases:
        between = text[first.end : later.start]
        if (
            later.start > first.end
            and later.precision == "minute"
            and re.fullmatch(r"(?:[，,]|不对|哦|噢|不|是|应该|错了|吧|更正|大概){1,4}", between)
        ):
            return later
    return first


def time_phrases(text: str, received: datetime) -> list[Phrase]:
    """All time phrases of ``text`` in order, events called after a day last. ``received`` gives the day in whose terms they speak; aware or not."""
    now = received.replace(tzinfo=None)
    headers = _headers(text)
    found: list[Phrase] = []
    context: date | None = None
    for match in _PHRASE.finditer(text):
        header = any(a <= match.start() < b for a, b in headers)
        previous = found[-1] if found and not header else None
        phrase = _resolve(text, match, now, context, previous)
        if phrase is None:
            continue
        role = "header" if header else _role(text, match, phrase)
        dateline = _DATELINE.match(text, match.end()) is not None
        found.append(phrase._replace(role="ignored" if dateline else role))
        if dateline or role in ("event", "alarm", "end", "said"):
            context = phrase.at.date()
    return found + [_named_after(match, now) for match in _NAMED.finditer(text)]


def _named_after(match: re.Match[str], now: datetime) -> Phrase:
    """ "12·11"事故 is called after its day."""
    day = _past(None, int(match["m"]), int(match["d"]), now.date())
    at = datetime(day.year, day.month, day.day) if day else now
    return Phrase(match.start(), match.end(), at, "day", "exact", "named" if day else "ignored")


def _headers(text: str) -> list[tuple[int, int]]:
    """Lines that are the head or foot of a paper: no sentence in them, while others have one."""
    lines = [(m.start(), m.end()) for m in re.finditer(r"[^\n]+", text)]
    if len(lines) < 2:
        return []
    return [
        (a, b)
        for a, b in lines
        if b - a < 80 and not re.search("[，。;]", text[a:b]) and not re.search(r"发生|起火|相撞|爆炸", text[a:b])
    ]


def _role(text: str, match: re.Match[str], phrase: Phrase) -> Role:
    before = text[max(0, match.start() - 6) : match.start()]
    after = text[match.end() : match.end() + 30]
    if _PLANNED.search(before) or _REPORTED.match(after) or _BACK_THEN.search(before):
        return "ignored"
    if _AS_OF.search(before):
        return "as_of"
    if _END_AFTER.match(after):
        return "end"
    if _ALARM_AFTER.match(after) and "接" in after[:20]:
        return "alarm"
    if _SAID_AFTER.match(after):
        return "said"
    return "event"


def _resolve(text: str, match: re.Match[str], now: datetime, context: date | None, previous: Phrase | None) -> Phrase | None:
    if match["ago"] or match["just"]:
        return _ago(match, now)
    clock = _clock_of(match)
    if clock is None and _no_clock(match):
        return None
    period = match["p"] or match["p2"] or match["p3"] or ""
    day, stated = _day_of(match, now, context)
    if day is None:
        return None
    if clock is not None and not period and not stated and previous is not None and match.start() - previous.end < 15:
        period = _period_in(text[previous.start : previous.end])
    moment = _moment(day, period, clock, match["rel"] or "")
    if moment is None:
        return None
    if clock is not None and clock.spoken and not period and clock.hour <= 12 and not stated:
        later = moment + timedelta(hours=12)
        moment = later if moment < later <= now else moment
    if not stated and moment > now and clock is not None:
        moment -= timedelta(days=1)
    qualifier: Qualifier = "about" if match["tail"] or re.search("概|约|差不多", match[0]) else "exact"
    precision: Precision = "day" if clock is None else "minute"
    return Phrase(match.start(), match.end(), moment, precision, qualifier, "event")


def _ago(match: re.Match[str], now: datetime) -> Phrase | None:
    if match["just"]:
        return Phrase(match.start(), match.end(), now, "minute", "about", "event")
    count = match["ago"].rstrip("多").rstrip("个")
    number = 0.5 if count == "半" else value_of(count)
    if number is None:
        return None
    if match["agounit"] == "天":
        return Phrase(match.start(), match.end(), now - timedelta(days=number), "day", "exact", "event")
    minutes = number * (1 if match["agounit"] == "分钟" else 60)
    return Phrase(match.start(), match.end(), now - timedelta(minutes=minutes), "minute", "about", "event")


def _clock_of(match: re.Match[str]) -> _Clock | None:
    hour = match["ha"] or match["h"] or match["hc"]
    minute = match["mia"] or match["mi"] or match["mic"] or ""
    if hour is None:
        hour, minute = match["hb"] or match["h2"] or match["hd"], match["mib"] or match["mi2"] or match["mid"] or ""
    if hour is None:
        return None
    hours, minutes = value_of(hour), _minutes(minute)
    if hours is None or minutes is None or hours > 24 or minutes > 59:
        return None
    return _Clock(int(hours), minutes, "点" in match[0])


def _minutes(text: str) -> int | None:
    text = text.removesuffix("分")
    fixed = {"": 0, "半": 30, "整": 0, "一刻": 15, "三刻": 45}.get(text)
    if fixed is not None:
        return fixed
    value = value_of(text.lstrip("零〇") or "零")
    return None if value is None else int(value)


def _no_clock(match: re.Match[str]) -> bool:
    """A bare word of a day that says nothing by itself (今, 昨), or a bare number of a day."""
    return (match["rel"] in ("今", "昨", "当", "前") and not match["p"]) or bool(
        match["hc"] or match["hd"] or match["h"] or match["h2"]
    )


def _period_in(text: str) -> str:
    found = re.search(_PERIOD, text)
    return found[0] if found else ""


def _day_of(match: re.Match[str], now: datetime, context: date | None) -> tuple[date | None, bool]:
    """The day that a phrase means, and whether it says so itself."""
    today = now.date()
    if rel := match["rel"]:
        if rel in ("当天", "当日", "当"):
            return context or today, True
        back = {"大前天": 3, "前天": 2, "前日": 2, "前": 2, "昨天": 1, "昨日": 1, "昨": 1}.get(rel, 0)
        return today - timedelta(days=back), True
    if match["m"] or match["m2"]:
        year, month, day = (
            value_of(t) if t else None for t in (match["y"] or match["y2"], match["m"] or match["m2"], match["d"] or match["d2"])
        )
        return _past(year, month, day, today), True
    if match["d3"]:
        day = value_of(match["d3"])
        month = context.month if context else today.month
        year = context.year if context else None
        found = _past(year, month, day, today)
        if found is None or (found > today or (context is None and (today - found).days > 300)):
            last = today.replace(day=1) - timedelta(days=1)
            found = _past(last.year, last.month, day, today)
        return found, True
    return context or today, False


def _past(year: float | None, month: float | None, day: float | None, today: date) -> date | None:
    if month is None or day is None:
        return None
    try:
        if year is not None:
            return date(int(year), int(month), int(day))
        this = date(today.year, int(month), int(day))
        return this if this <= today + timedelta(days=1) else date(today.year - 1, int(month), int(day))
    except ValueError:
        return None


def _moment(day: date, period: str, clock: _Clock | None, rel: str) -> datetime | None:
    base = datetime(day.year, day.month, day.day)
    if clock is None:
        return base
    hour = clock.hour
    night = period in ("晚", "晚上", "晚间", "夜", "夜里", "夜间", "深夜", "半夜", "午夜")
    afternoon = period in ("下午", "傍晚", "午后") and 1 <= hour < 12
    noon = period in ("中午", "正午") and 1 <= hour <= 3
    if afternoon or noon or (night and 6 <= hour < 12):
        hour += 12
    elif night and (hour == 12 or hour < 6):
        # 昨夜十二点半, 昨晚1点 belong to the morning after; 今天半夜两点 is this morning.
        named_day = rel in ("昨", "昨天", "昨日", "前", "前天", "前日", "当", "当天", "当日")
        after = named_day or (hour == 12 and period in ("晚", "晚上", "晚间"))
        return base + timedelta(days=1 if after else 0, hours=hour % 12, minutes=clock.minute)
    elif period == "凌晨" and hour == 12:
        hour = 0
    return base + timedelta(hours=hour, minutes=clock.minute)
