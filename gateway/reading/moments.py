"""One time phrase → one moment: the words of a day, of a part of the day and of the clock, in the sender's day, in the past.

A day may be a date, a bare 5日, a lunar day or festival, a weekday, a word (昨晚) or one counted from the time told before it
(当晚, 次日); what the phrase leaves out comes from there too. Nothing is guessed: 日前, 近日 give no moment.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from gateway.core.model import Precision, Qualifier
from gateway.reading.dates import SAME_DAY, day_of, number_of
from gateway.reading.days import day_of_month, past
from gateway.reading.lazy import lazy
from gateway.reading.lunar import FESTIVALS
from gateway.reading.numerals import value_of

_HAN = "零〇一二两三四五六七八九十"
_ONES = "一二两三四五六七八九"
_N = rf"(?:\d{{1,2}}|[{_HAN}]{{1,3}})"
_PERIOD = (
    r"(?:晚上?|夜里?|深夜|半夜)凌晨|凌晨|清晨|早晨|早上|大清早|一大早|大早上|一早|早间|拂晓|黎明|早|晨|上午|中午|正午|晌午|午间|午后|下午|傍晚|黄昏"
    r"|晚上|晚间|傍黑|晚|后半夜|前半夜|夜里|夜间|夜晚|深夜|午夜|子夜|半夜|夜|午"
)
_LUNAR_DAY = r"初[一二三四五六七八九十]|十[一二三四五六七八九]|二十[一二三四五六七八九]?|廿[一二三四五六七八九]?|三十|十五"
_DAY = (
    rf"(?:(?P<y>\d{{4}}|[{_HAN}]{{4}}|今|去|前|本)年?[.]?)?(?P<m>(?<![\d.]){_N}|元)月(?:份)?(?P<d>{_N})[日号]"
    rf"|(?:农历|阴历|旧历)?(?:\d{{4}}年|[今去]年)?(?:(?P<leap>闰)?(?P<lm>正|腊|冬|(?:(?<=[历闰])|(?={_N}月初)){_N})月|(?:大年|年)(?=初))(?P<ld>{_LUNAR_DAY})(?![月个多]|日)"
    rf"|(?:(?P<y6>\d{{4}}|今|去)年)?(?P<m6>(?<![\d.]){_N}|上个?|本)月份?(?:上旬|中旬|下旬|初|底|末)"
    r"|(?P<y2>20\d\d)[-./](?P<m2>\d{1,2})[-./](?P<d2>\d{1,2})(?!\d)"
    r"|(?<!\d)(?P<y7>20\d\d)(?P<m7>0[1-9]|1[0-2])(?P<d7>0[1-9]|[12]\d|3[01])(?=[ ，]?\d{1,2}[:时])"
    r"|(?<![\d.-])(?P<m4>0?[1-9]|1[0-2])[-/](?P<d4>0?[1-9]|[12]\d|3[01])(?=[ ,，]?\d{1,2}:\d{2})"
    rf"|(?P<month>本月|当月|这个?月|上个?月|(?<![\d月{_HAN}]))(?P<d3>{_N})日(?!游|常|均|内|报[^，。案警]|用|元|产)"
    # 5日 anywhere; 5号 only where an hour or a pause follows: 人民路5号, 8号矿井 and 二号仓库 are no days.
    rf"|(?P<month2>本月|当月|这个?月|上个?月|(?<![\d月{_HAN}路街巷弄道里镇乡村组区县市厂矿]))(?P<d5>{_N})"
    rf"号(?=凌晨|清晨|[早晨晚夜\d{_HAN}]|上午|中午|正午|午后|下午|傍晚|深夜|半夜|开始|起|[,，。;；、\s]|$)"
    r"|(?P<week>上上个?|上个?|本|这个?)?(?<![一两二三四五六七八九十\d几数半每])(?:周|星期|礼拜)(?P<wd>[一二三四五六日天])(?![年岁期个名至到])"
    r"|(?P<hol>国庆|五一|元旦)节?(?:小?长假|假期|黄金周)的?(?P<nth>首|第[一二三四五六七])[天日]"
    rf"|(?P<feast>{'|'.join(FESTIVALS)})节?(?:当天|当日|那天|这天|当(?=[晚夜])|(?={_PERIOD}|夜|\d{{1,2}}[时点:]))"
    r"|(?P<rel>大前天|前天|前日|昨天|昨日|昨|今天|今日|今(?!年|后|冬|春|夏|秋)|当天|当日|同日|同一天|当(?=[晚夜])|前(?=[晚夜])|次日|翌日|第二天|隔天|前一[天日])"
)
_MINUTE = rf"[一三13]刻|\d{{1,2}}(?!\d)分?|[一二三四五]?十[{_ONES}]?分?|[零〇](?:[{_ONES}]|\d(?!\d))分?|[{_ONES}]分|半|整"
_CLOCK = (
    rf"(?P<h>(?<!\d){_N})(?:时|点钟?)(?!\d*[年月日天]|间|段|期|速|[意建要问措原])(?:过)?(?P<mi>{_MINUTE})?(?:\d{{1,2}}秒)?"
    rf"(?!(?<=点)[{_HAN[:12]}](?:公|平|级|吨|万|亿|米|度|倍|个百))"
    r"|(?P<h2>(?<![\d.])(?<!\d:)\d{1,2}):(?P<mi2>\d{2})(?::\d{2})?(?![\d:])"
)
_AGO = (
    rf"(?P<ago>(?:{_N}|十?几|半|[一两三](?=刻钟))[来多]?个?半?(?:来|多)?)(?P<agounit>小时|分钟|刻钟|钟头|天|周|星期|礼拜|个?月)"
    r"(?:左右|多)?(?:之前|以前|前(?![往去后夕线来方]))"
)
_ABOUT = r"大概|约|大约|差不多|接近|将近|近|不到|快"
_BEGIN = (
    rf"20\d{{6}}[ ，]?\d|\d{{1,4}}[年月日号时点:/.个多来几刻分小天周星礼半钟-]|[{_HAN}半廿几]{{1,4}}[年月日号时点个多来几刻分小天周星礼半钟]|[昨今凌早晨拂黎夜晚傍闰]|前[天日年晚夜半]|前一[天日]"
    r"|当[天日晚夜月]|本[月年周星礼]|上[个周星礼月上午]|这个?[周星礼月]|大[前清早年]|[次翌]日|第二天|隔[天日]|同[一日]|周[一二三四五六日天]|星期|礼拜"
    r"|[正腊冬]月|[农阴旧]历|年[初三]|去年|一大?早|[下中正晌上]午|黄昏|午[后间夜]|[子深后半]半?夜|午|刚[才刚]|方才|除夕|春节|元[旦宵月]|端午|中[秋元]|清明|国庆|[五六]一|七夕"
    r"|重阳|妇女节|劳动节|儿童节|龙抬头|腊八|小年|冬至"
)
"""With what a time phrase begins: most signs of a text begin none, and are passed over quickly."""
_HEADS = rf"\d{_HAN}半廿几昨今凌早晨拂晓黎夜晚傍闰前当本上这大次翌第隔同周星礼正腊冬农阴旧年一下中晌黄午子深后刚方除春元端清国五六七重妇劳儿龙小去"
_PHRASE = lazy(
    rf"(?={_BEGIN})(?:"
    rf"{_AGO}|(?P<just>刚才|刚刚|方才)(?!{_PERIOD}|{_N}[点时]|\d)"
    rf"|(?:(?:{_DAY})(?P<day>)(?:\((?P<par>[^()]{{1,12}})\)|的)?[，， ]?)?(?:(?P<p>{_PERIOD})(?:时分)?[， ]?)?(?:{_ABOUT})?(?:{_CLOCK})?"
    rf"(?(day)|(?(h)|(?(h2)|(?(p)(?:(?<=时分)|(?<=凌晨|清晨|早上|上午|中午|下午|傍晚|晚上|夜里|深夜|半夜)(?=[，在有我许]|发生))|(?!)))))"
    r")(?P<tail>许|左右|前后|多|来钟|来|钟|上下|分许)?",
    begins=_HEADS,
)
_DATELINE = lazy(
    rf"(?:(?P<y>\d{{4}})年)?(?:(?P<m>{_N})月)?(?P<d>{_N})日(?:\([^()]{{1,24}}\))?(?:[^\n。，,\d(]{{0,4}}?(?:专?电|讯(?!问))|(?:消息|信息)(?:[:(\d]|据))",
    begins=rf"\d{_HAN}",
    needs=("电", "讯", "消息", "信息"),
)
_TODAY = lazy(r"[^昨前]{0,160}?今[日天晨早]")
_SAYS_ABOUT = lazy(_ABOUT)
_NIGHT = ("晚", "晚上", "晚间", "夜", "夜里", "夜间", "夜晚", "深夜", "半夜", "午夜", "子夜", "傍黑", "前半夜")
_EVENING = ("晚", "晚上", "晚间", "夜晚")
_MEAL = lazy(r"([早午中晚])(?:饭|餐|自习)[^，。;\n\d]{0,3}[，]?$")
_VAGUE_POINT = lazy(r"(?:有|差|快|慢|多|少|好|大|小|这|那|重|轻|早)$")
_LASTED = lazy(r"(?:用|历|耗|共|达|约|限|费)时?$|持续|经过|工作$")


class Moment(NamedTuple):
    """A phrase and what it means. ``period`` and ``hour`` are its own words, for what follows to lean on."""

    match: re.Match[str]
    at: datetime
    precision: Precision
    qualifier: Qualifier
    period: str
    hour: int | None
    stated: bool


class _Clock(NamedTuple):
    hour: int
    minute: int
    spoken: bool
    han: bool


class Before(NamedTuple):
    """What the text told before a phrase: the day it spoke of, and the last moment."""

    day: date | None
    moment: Moment | None


def phrases(text: str) -> list[re.Match[str]]:
    """The stretches that have the form of a time, the first thousand of them."""
    return list(islice(_PHRASE.finditer(text), 1000))


def dateline_day(text: str, today: date) -> date | None:
    """The day of a news agency's 3月5日电: what such a text calls 今天. None for any other text."""
    match = _DATELINE.search(text, 0, 400)
    if match is None:
        return None
    if text[max(0, match.start() - 1) : match.start()] == "报" and not _TODAY.match(text, match.end(), match.end() + 160):
        return None  # a newspaper's 昨日 is the day before it is sold, unless it says where it was written as well
    day = (
        past(number_of(match["y"]), number_of(match["m"]), number_of(match["d"]), today)
        if match["m"]
        else day_of_month(number_of(match["d"]), today, None)
    )
    return day if day and timedelta() <= today - day <= timedelta(days=30) else None


def resolve(text: str, match: re.Match[str], now: datetime, base: date, before: Before) -> Moment | None:
    """What a phrase means, or None. ``now`` is when it was sent, ``base`` the day it calls today."""
    if match["ago"] or match["just"]:
        return _ago(match, now)
    clock = _clock_of(match)
    if clock is None and match["day"] is None and not match["p"]:
        return None
    if clock is None and (match["rel"] in ("今", "昨", "当", "前") and not match["p"]):
        return None
    if clock is not None and not match["p"] and match["day"] is None and _no_clock(text, match):
        return None
    day = day_of(match, base, before.day)
    stated = match["day"] is not None
    if day is None or day > now.date():
        return None
    period = match["p"] or ""
    if clock is not None and not period:
        period = _leaning(text, match, clock, day, before.moment)
    moment = _moment(day, period, clock, match["rel"] or "", stated)
    if moment is None:
        return None
    if clock is not None and _means_afternoon(clock, period, stated, before) and moment + timedelta(hours=12) <= now:
        moment += timedelta(hours=12)
    if clock is not None and moment > now and (not stated or moment.date() > now.date()):
        moment -= timedelta(days=1)
    qualifier: Qualifier = "about" if match["tail"] or _SAYS_ABOUT.search(match[0]) else "exact"
    precision: Precision = "month" if match["m6"] else "day" if clock is None else "minute"
    return Moment(match, moment, precision, qualifier, period, clock.hour if clock else None, stated)


def _means_afternoon(clock: _Clock, period: str, stated: bool, before: Before) -> bool:
    """Spoken without a word for the part of the day: the later one if it is past already, by day if the day is said."""
    if not clock.spoken or period:
        return False
    return (clock.han and 1 <= clock.hour <= 5) if stated else (1 <= clock.hour <= 12 and _nothing_before(before))


def _nothing_before(before: Before) -> bool:
    """True where no part of a day was told: 就刚才，一点四十 is as open as 一点四十 alone."""
    return before.moment is None or bool(before.moment.match["just"])


def _no_clock(text: str, match: re.Match[str]) -> bool:
    """A bare clock that is none: 有一点, 用时3时20分, 一时."""
    ahead = text[max(0, match.start() - 4) : match.start()]
    if match["h"] == "一" and match[0] in ("一点", "一时", "一点钟前"):
        return bool(_VAGUE_POINT.search(ahead)) or text[match.end() : match.end() + 1] in tuple("也都儿没不小伤轻皮难间没有")
    return _LASTED.search(ahead) is not None and ":" not in match[0] and not ahead.endswith(("约", "共", "达"))


def _leaning(text: str, match: re.Match[str], clock: _Clock, day: date, last: Moment | None) -> str:
    """昨晚8点起火，10点扑灭: a bare clock takes the part of the day from the time before it, where it goes on from there."""
    if match["day"] is None and clock.hour <= 12 and (meal := _MEAL.search(text, max(0, match.start() - 8), match.start())):
        period = {"早": "早上", "午": "中午", "中": "中午"}.get(meal[1], "晚上")
        return period if period != "晚上" or _fits(period, clock.hour) else ""
    if last is None or not last.period or clock.hour > 12 or last.match.end() > match.start():
        return ""
    gap = match.start() - last.match.end()
    if match["day"] is not None and not (match["rel"] and match["rel"] in SAME_DAY):
        return ""
    if last.hour is None:
        near = gap < 80 and not any(c in text[last.match.end() : match.start()] for c in "。;!?")
        return last.period if near and last.at.date() == day and _fits(last.period, clock.hour) else ""
    if last.hour > 12 or gap >= 200:
        return ""
    on = last.hour <= clock.hour or last.hour == 12
    return last.period if on and _fits(last.period, clock.hour) else ""


def _fits(period: str, hour: int) -> bool:
    if period in ("下午", "午后"):
        return hour == 12 or 1 <= hour <= 7
    if period in ("傍晚", "黄昏"):
        return 4 <= hour <= 8
    if period in ("中午", "正午"):
        return hour in (11, 12, 1, 2)
    return hour >= 5 if period in _NIGHT else False


def _ago(match: re.Match[str], now: datetime) -> Moment | None:
    if match["just"]:
        return Moment(match, now, "minute", "about", "", None, False)
    count = re.sub("[来多]", "", match["ago"])
    if "几" in count:
        return None
    whole = count.rstrip("个")
    number = 0.5 if whole == "半" else value_of(whole.removesuffix("半").rstrip("个"))
    if number is None:
        return None
    if whole.endswith("半") and whole != "半":
        number += 0.5
    unit = match["agounit"].removeprefix("个")
    if unit == "月":
        return Moment(match, now - timedelta(days=30 * number), "month", "about", "", None, True) if number >= 1 else None
    days = {"天": 1, "周": 7, "星期": 7, "礼拜": 7}.get(unit)
    if days:
        qualifier: Qualifier = "exact" if days == 1 and match[0][-2:] != "多天" else "about"
        return Moment(match, now - timedelta(days=days * number), "day", qualifier, "", None, True)
    minutes = number * {"分钟": 1, "刻钟": 15}.get(unit, 60)
    return Moment(match, now - timedelta(minutes=minutes), "minute", "about", "", None, True)


def _clock_of(match: re.Match[str]) -> _Clock | None:
    hour, minute = match["h"] or match["h2"], match["mi"] or match["mi2"] or ""
    if hour is None:
        return None
    if len(hour) > 1 and not hour[0].isdigit() and "十" not in hour and hour[0] not in "零〇二":
        return None  # 两三点 is no hour
    hours, minutes = value_of(hour), _minutes(minute)
    if hours is None or minutes is None or hours > 24 or minutes > 59 or (hours == 24 and minutes):
        return None
    return _Clock(int(hours), minutes, match["h"] is not None and "点" in match[0], not hour.isdigit())


def _minutes(text: str) -> int | None:
    text = text.removesuffix("分")
    fixed = {"": 0, "半": 30, "整": 0, "一刻": 15, "三刻": 45, "1刻": 15, "3刻": 45}.get(text)
    if fixed is not None:
        return fixed
    value = value_of(text.lstrip("零〇") or "零")
    return None if value is None else int(value)


def _moment(day: date, period: str, clock: _Clock | None, rel: str, stated: bool) -> datetime | None:
    base = datetime(day.year, day.month, day.day)
    if clock is None:
        return base
    hour = clock.hour
    night = period in _NIGHT
    afternoon = period in ("下午", "傍晚", "午后", "黄昏") and 1 <= hour < 12
    noon = period in ("中午", "正午", "晌午", "午间", "午") and 1 <= hour <= 3
    if afternoon or noon or (night and 6 <= hour < 12) or (hour == 5 and period in _EVENING):
        hour += 12
    elif len(period) > 2 and period.endswith("凌晨"):
        return base + timedelta(days=1, hours=hour % 12, minutes=clock.minute)
    elif night and (hour in (0, 12) or hour < 6):
        # 昨夜十二点半, 昨晚1点, 5日晚12时 belong to the morning after; 今天半夜两点, 5日深夜2时 are that morning.
        named = rel in ("昨", "昨天", "昨日", "前", "前天", "前日", *SAME_DAY)
        after = named or (stated and rel not in ("今", "今天", "今日") and (period in _EVENING or hour == 12))
        after = after or (hour == 12 and period in _EVENING)
        return base + timedelta(days=1 if after else 0, hours=hour % 12, minutes=clock.minute)
    elif (period in ("凌晨", "后半夜")) and hour == 12:
        hour = 0
    return base + timedelta(hours=hour, minutes=clock.minute)
