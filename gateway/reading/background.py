"""Which sentences tell of something else: earlier years, other incidents, statistics. Their figures are not this incident's."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from gateway.reading.divisions import names
from gateway.reading.lazy import lazy
from gateway.reading.numerals import value_of

_ELSEWHEN = lazy(
    r"(?=[去前上往历近年今入同史有每平曾也还另类这此该是本12以就不一两三四五六七八九十\d])(?:去年|前年|上年(?!度)|往年|历年|近\S{0,2}年[来间]?|年来|今年以来|入[春夏秋冬汛梅伏]以来|同期|历史上|史上|有史以来|每年|年均|平均每"
    r"|曾(?:经)?(?:于|在|因|遭|先后|多次|发生|造成|导致|致|有)|也曾|[还也](?:被\S{0,6}(?:怀疑|指)|制造|发动|策划|实施|承认)|同日[^，。;\n]{0,8}，[\u4e00-\u9fff]{2,8}?(?:一|某)|另外?(?:的)?[\d一二两三四五六七八九十]+[起次]|同日[，]?[\u4e00-\u9fff]{2,8}(?:因|也|还)|[一两三四五六七八九十\d]+(?:个月|年)(?:多)?(?:之前|以前|前)|上个?月[，因共全死有发]"
    r"|(?:上一次|上次|上一起|另一起|同类|类似|这类|此类)(?:\S{0,4}(?:事故|事件|案件|地震|灾害|惨剧|火灾|爆炸)|病?患)"
    r"|(?:这|此|该)?是?(?:今年|本月|近期|近来)\S{0,12}第(?:\d+|[一二两三四五六七八九十]+)[起次例]|(?:19|20)\d\d年(?:以来|至今)"
    r"|以来\S{0,14}[起次例]|上周(?![一二三四五六日天末])|上个?月(?=\d{1,2}日)|同一(?:地点|路段|地方|位置|路口)[^，。;\n]{0,6}[也还又曾]|同一天，(?!又)|就在[^，。]{1,6}前|(?:上周\S?|上个?月|前不久|不久前|此前)[，]?[^，。;\n]{0,10}[也还又]有一|(?:这|此)[与和同][^，。;\n]{2,24}(?:案|事件|事故)[^。;\n]{0,16}(?:相似|类似|相同|如出一辙))", begins=r"去前上往历近年今入同史有每平曾也还另类这此该是本以就不一两三四五六七八九十\d",
    needs=("年", "曾", "还", "也", "另", "史", "类", "以来", "同期", "同日", "均每", "个月", "上月", "上个月", "上周", "同一", "上一", "上次", "本月", "近期", "近来", "就在", "有一", "相似", "类似", "相同", "如出一辙"))
_PAST = lazy(r"同期|曾经?发生|曾造成|历史上")
_STATISTICS = lazy(
    r"(?:(?:19|20)\d\d年|今年|去年|上半年|下半年|全年|[一二三四]季度|\d月份)[^，。;\n]{0,14}?发生[^，。;\n\d]{0,8}\d+(?:多|余)?[起次例][^，。;\n]{0,20}(?:[死伤亡]|遇难)[^，。;\n]{0,6}",
    begins=r"\d今去上下全一二三四", needs=("发生",),
)  # 2024年发生5起死亡5人 tells of no event
_RUMOUR = lazy(r"谣言|谣传|网传|网上流传|网上有[^，。;\n]{0,24}(?:说法|消息)|系误传|误传|网[民友][^，。;\n]{0,6}称|网[民友][^，。;\n]{0,12}(?:发布|发帖|发文|上传|散布|编造|爆料)[^，。;\n]{0,40}|流传的?[^，。;\n]{0,40}(?:说法|不属实|不实|谣言|根据)|不属实|[无没]有?根据|子虚乌有|否认[^，。;\n]{0,24}(?:报道|说法|传言|传闻)|传言|说法不实",
    needs=("传", "谣", "网", "虚", "属实", "不实", "根据", "否认"))
_WIDER = lazy(r"(?:全[国省市县州区旗]|(?<!全国)(?:各|多)地)(?:[^，。;\n]{0,14}?(?:造成|导致|致))?(?:已|共|累计|总计|范围内|境内|先后|因灾|有){0,4}[\d一二两三四五六七八九十百]+余?[人名][^，。;\n]{0,4}(?:死|遇难|失踪|丧生)", needs=("全", "各地", "多地"))
_TOTAL_NOW = lazy(r"截[至止]|目前|[增升]至|(?:上升|增加)[到至]")
_COUNTED = lazy(r"[\d一二两三四五六七八九十百]+余?[人名][^，。;\n]{0,10}(?:死|遇难|失踪|丧生|身亡|被埋|被困)|(?:死亡|遇难|失踪|死)(?:人数)?[\d一二两三四五六七八九十百]")
_FOLLOWS = lazy(r"继[^，。;\n]{4,40}后，", needs=("继",))
_SAME_AS_BEFORE = lazy(r"当时|当年的|那次|那起|彼时|该次")
_OWN_YEAR = lazy(r"(?:19|20)\d\d年(?=\d{1,2}月)", needs=("年",))
_OLD_YEAR = lazy(r"(?P<year>(?:19|20)\d\d|(?:一九|二[〇零])[〇零一二三四五六七八九]{2})年", begins="12一二", needs=("年",))
_THIS_YEAR = lazy(
    r"[今\d共](?:(?<=今)年(?:\d{1,2}月|[一二三四五六七八九十]+月|元旦|春节|年初|上半年|至今)|(?<=\d)\d?[至到-]\d{1,2}月|(?<=共)发生\S{0,10}[起次])")
_FULL_DATE = lazy(r"(?P<year>(?:19|20)\d\d)年(?P<month>1[0-2]|0?[1-9])月", begins="12", needs=("年",))
_MEANWHILE = timedelta(days=20)
_BARE_YEAR = lazy(r"(?:19|20)\d\d年(?!\d|度|第)", begins="12", needs=("年",))
_BY_DATE = lazy(r"(?<!\d)\d{1,2}·\d{1,2}(?!\d)", begins=r"\d", needs=("·",))
_CALLED = lazy(r"[“\"「](?P<name>[^”\"」\n]{2,8})[”\"」](?:特?大)?(?:地震|海啸|洪[水灾]|空难|矿难|大?火灾|惨案|事[故件]|爆炸)", needs=("“", '"', "「"))
_OTHER_QUAKE = lazy(r"(?P<name>[\u4e00-\u9fff]{2})(?:特?大)?地震(?:(?:已经?)?(?:共)?(?:造成|致)|[中时里曾])", needs=("地震",))
_SENTENCE = lazy(r"[^。!?\n]+")


def rumours(text: str) -> list[tuple[int, int]]:
    """The clauses of ``text`` that tell what is only said: 网传, 谣言, 误传.

    >>> rumours("火已扑灭，网传死亡三人系谣言，实际伤6人。")
    [(5, 14)]
    """
    found = []
    for rumour in _RUMOUR.finditer(text):
        low, high = max(0, rumour.start() - 100), rumour.end() + 100
        start = max(low, *(text.rfind(c, low, rumour.start()) + 1 for c in "，。!?\n"))
        found.append((start, min([high, *(at for c in "，。!?\n" if (at := text.find(c, rumour.end(), high)) >= 0)])))
    return found


@lru_cache(maxsize=4)
def background(text: str, today: date | None = None) -> tuple[tuple[int, int], ...]:
    """The stretches of ``text``, as [start, end), that tell of other times or other incidents: from the clause that says so
    to the end of its sentence, and the next sentence where it goes on (当时…). The first full sentence is the report's own.
    ``today``: what is dated in an earlier month than that day and the weeks before it is past.

    >>> background("客车坠河，3人死亡。去年该路段曾有12人死于车祸。")
    ((10, 24),)
    """
    found: list[tuple[int, int]] = []
    if not any(
        p.search(text) for p in (_ELSEWHEN, _CALLED, _OLD_YEAR, _THIS_YEAR, _BY_DATE, _OTHER_QUAKE, _WIDER, _FOLLOWS)
    ):
        return ()
    lead = -1
    for sentence in _SENTENCE.finditer(text):
        start, end = sentence.span()
        if lead < 0 and end - start > (30 if text[end : end + 1] == "\n" else 6):
            lead = end
        if found and found[-1][1] == start - 1 and _SAME_AS_BEFORE.search(text, start, end):
            found.append((start, end))
        elif (ahead := _FOLLOWS.search(text, start, end)) is not None and end == lead:
            found.append(ahead.span())  # 继3月3日地震之后，…: the rest of the sentence is the report's own
        elif (at := _elsewhen(text, start, end, lead, today)) is not None:
            left = max(text.rfind(c, start, at) for c in "，;") + 1
            if left or (start > 0 and end != lead) or _PAST.search(text, start, end):
                found.append((left or start, end))
    return tuple(found)


def statistics(text: str) -> list[tuple[int, int]]:
    """Counts of a whole year or season: never those of an event, even where a text tells of nothing else."""
    return [m.span() for m in _STATISTICS.finditer(text)]


def long_ago(text: str, span: tuple[int, int], today: date | None) -> bool:
    """True where ``span`` of ``text`` says in figures that it tells of an earlier year: that is never what is reported."""
    if today is None:
        return False
    return any((value_of(m["year"]) or today.year) < today.year - 1 for m in _OLD_YEAR.finditer(text, *span))


def _elsewhen(text: str, start: int, end: int, lead: int, today: date | None) -> int | None:
    marker = _ELSEWHEN.search(text, start, end)
    if marker is not None:
        earlier = _dated(text, start, marker.start(), lead, today)
        return marker.start() if earlier is None else earlier
    own = _OWN_YEAR.search(text, 0, max(lead, 0))
    for bare in _BARE_YEAR.finditer(text, start, end):
        inside = bare.start() > start and text[bare.start() - 1] not in "，;(:"
        if (own is None or own[0] != bare[0]) and (inside or 0 <= lead < end):
            return bare.start()
    if start == 0 or end <= lead or lead < 0:
        return None
    quake = _OTHER_QUAKE.search(text, start, end)
    if quake and quake["name"] in names().short and quake["name"] not in text[:lead]:
        return quake.start()
    wider = _WIDER.search(text, start, end)
    if wider and text[wider.start() : wider.start() + 2] not in text[:lead] and not _TOTAL_NOW.search(text, start, end) and _COUNTED.search(text, 0, lead):
        return start  # a landslide buried 29; the rains killed 41 in the whole prefecture
    named = _CALLED.search(text, start, end)
    if named and named["name"] not in text[:lead]:
        return named.start()
    if this := _THIS_YEAR.search(text, start, end):
        return this.start()
    event = _BY_DATE.search(text, start, end)
    if event and event[0] not in text[:lead] and event[0].partition("·")[2] + "日" not in text:
        return event.start()
    if (at := _dated(text, start, end, lead, today)) is not None:
        return at
    before = today.year - (today.month < 3) if today else 0
    for dated in _OLD_YEAR.finditer(text, start, end):
        if (value_of(dated["year"]) or before) < before or (own and dated[0] != own[0]):
            return dated.start()
    return None


def _dated(text: str, start: int, end: int, lead: int, today: date | None) -> int | None:
    """Where [start, end) names a month of a year that is past, and that the first sentence does not name."""
    if start == 0 or end <= lead or lead < 0 or today is None:
        return None
    since = today - _MEANWHILE
    for full in _FULL_DATE.finditer(text, start, end):
        if (int(full["year"]), int(full["month"])) < (since.year, since.month) and full[0] not in text[:lead]:
            return full.start()
    return None
