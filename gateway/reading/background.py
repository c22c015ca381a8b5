"""Which sentences tell of something else: earlier years, other incidents, statistics. Their figures are not this incident's."""

from __future__ import annotations

from gateway.reading.lazy import lazy

_ELSEWHEN = lazy(
    r"(?=[去前上往历近年今入同史有每平曾也还另类这此该是本12以就])(?:去年|前年|上年(?!度)|往年|历年|近\S{0,2}年[来间]?|年来|今年以来|入[春夏秋冬]以来|同期|历史上|史上|有史以来|每年|年均|平均每"
    r"|曾(?:经)?(?:于|在|因|遭|先后|多次|发生|造成|导致|致|有)|也曾|[还也](?:被\S{0,6}(?:怀疑|指)|制造|发动|策划|实施|承认)|上个?月[，因共全死有发]"
    r"|(?:上一次|上次|上一起|另一起|同类|类似|这类|此类)(?:\S{0,4}(?:事故|事件|案件|地震|灾害|惨剧|火灾|爆炸)|病?患)"
    r"|(?:这|此|该)?是?(?:今年|本月|近期|近来)\S{0,12}第(?:\d+|[一二两三四五六七八九十]+)[起次例]|(?:19|20)\d\d年(?:以来|至今)"
    r"|以来\S{0,14}[起次例]|就在[^，。]{1,6}前)"
)
_HINTS = (
    "年", "曾", "以来", "同期", "史上", "平均每", "还", "也", "上个月", "上月", "上次", "上一", "另一", "类", "本月", "近期", "近来", "就在", "谣", "传", "不实", "·",
    "地震", "共发生", "至", "到",
)  # fmt: skip
_PAST = lazy(r"同期|曾经?发生|曾造成|历史上")
_RUMOUR = lazy(r"谣言|谣传|网传|网上流传|传言|说法不实")
_SAME_AS_BEFORE = lazy(r"当时|当年的|那次|那起|彼时|该次")
_OWN_YEAR = lazy(r"(?:19|20)\d\d年(?=\d{1,2}月)")
_OLD_YEAR = lazy(r"(?P<year>(?:19|20)\d\d)年")
_THIS_YEAR = lazy(
    r"今年(?:\d{1,2}月|[一二三四五六七八九十]+月|元旦|春节|年初|上半年|至今)|\d{1,2}[至到-]\d{1,2}月|共发生\S{0,10}[起次]"
)
_BARE_YEAR = lazy(r"(?:19|20)\d\d年(?!\d|度|第)")
_BY_DATE = lazy(r"(?<!\d)\d{1,2}·\d{1,2}(?!\d)")
_OTHER_QUAKE = lazy(r"(?P<name>[\u4e00-\u9fff]{2})(?:特?大)?地震(?:已经?)?(?:共)?(?:造成|致)")
_NO_NAME = frozenset("次级场起该生烈的强大日时晨午晚夜年月震")
_SENTENCE = lazy(r"[^。!?\n]+")


def background(text: str, before: int = 0) -> list[tuple[int, int]]:
    """The stretches of ``text``, as [start, end), that tell of other times or other incidents: from the clause that says so
    to the end of its sentence, and the next sentence where it goes on (当时…). The first full sentence is the report's own.
    ``before``: what is dated in an earlier year is past.

    >>> background("客车坠河，3人死亡。去年该路段曾有12人死于车祸。")
    [(10, 24)]
    """
    found: list[tuple[int, int]] = []
    if not any(hint in text for hint in _HINTS) or not any(
        p.search(text) for p in (_ELSEWHEN, _OLD_YEAR, _THIS_YEAR, _BY_DATE, _OTHER_QUAKE, _RUMOUR)
    ):
        return found
    lead = -1
    for sentence in _SENTENCE.finditer(text):
        start, end = sentence.span()
        if lead < 0 and end - start > (30 if text[end : end + 1] == "\n" else 6):
            lead = end
        for rumour in _RUMOUR.finditer(text, start, end):
            left = max(text.rfind("，", start, rumour.start()) + 1, start)
            right = text.find("，", rumour.end(), end)
            found.append((left, right if right > 0 else end))
        if found and found[-1][1] == start - 1 and _SAME_AS_BEFORE.search(text, start, end):
            found.append((start, end))
        elif (at := _elsewhen(text, start, end, lead, before)) is not None:
            left = max(text.rfind(c, start, at) for c in "，;") + 1
            if left or (start > 0 and end != lead) or _PAST.search(text, start, end):
                found.append((left or start, end))
    return found


def _elsewhen(text: str, start: int, end: int, lead: int, before: int) -> int | None:
    if marker := _ELSEWHEN.search(text, start, end):
        return marker.start()
    own = _OWN_YEAR.search(text, 0, max(lead, 0))
    for bare in _BARE_YEAR.finditer(text, start, end):
        inside = bare.start() > start and text[bare.start() - 1] not in "，;(:"
        if (own is None or own[0] != bare[0]) and (inside or 0 <= lead < end):
            return bare.start()
    if start == 0 or end <= lead or lead < 0:
        return None
    quake = _OTHER_QUAKE.search(text, start, end)
    if quake and not set(quake["name"]) & _NO_NAME and quake["name"] not in text[:lead]:
        return quake.start()
    if this := _THIS_YEAR.search(text, start, end):
        return this.start()
    event = _BY_DATE.search(text, start, end)
    if event and event[0] not in text[:lead]:
        return event.start()
    for dated in _OLD_YEAR.finditer(text, start, end):
        if int(dated["year"]) < before or (own and dated[0] != own[0]):
            return dated.start()
    return None
