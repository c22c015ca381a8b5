"""All figures of a report: mentions reconciled, so that the latest total wins and parts, old values and denials do not add up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache

from msgspec.structs import replace

from gateway.core.model import Figure, Occurred, Other, Qualifier
from gateway.reading.answers import answers, confirmed
from gateway.reading.binding import mentions
from gateway.reading.context import in_context, of_this, someone_died, superseded
from gateway.reading.crowd import participants
from gateway.reading.denial import Denial, denials
from gateway.reading.dialogue import Turn
from gateway.reading.lazy import lazy
from gateway.reading.mention import Mention
from gateway.reading.normalise import Normal
from gateway.reading.numerals import Number, value_of
from gateway.reading.placing import others_beside
from gateway.reading.property import property_figures
from gateway.reading.quantities import as_figure, quantities
from gateway.reading.timeline import latest, since
from gateway.reading.times import Phrase

_PEOPLE = (
    "deaths",
    "injured",
    "seriously_injured",
    "missing",
    "poisoned",
    "ill",
    "trapped",
    "evacuated",
    "affected",
    "casualties",
)


_OF_WOUNDED = lazy(r"(?P<n>\d{1,4}|[一二两三四五六七八九十]{1,3})[名个位](?:伤者|伤员)中(?:又?有)?$")
_WHERE = lazy(r"(?:其中)?[\u4e00-\u9fff]{1,8}?(?:镇|乡|村|街道|苏木|客车|轿车|货车|面包车|出租车|大巴|车|船)[上内]?")
_DEGREES = ("light", "seriously_injured")
_FAR_ABOVE = 1.5
_ROUGHLY = 0.85
_SENTENCE_END = lazy(r"[。;!?\n]")
_CORRECTS = lazy(r"更正|修正为|下调[为至]|有误|核减|误报|不对|错了|应为")


def figures(
    normal: Normal, turns: list[Turn], *, corrects: bool, today: date | None = None, phrases: Sequence[Phrase] = (), when: Occurred | None = None
) -> dict[str, Figure]:
    """The figures that ``normal`` states, by field name. ``corrects``: the report says that it corrects an earlier one.
    ``today``: what the text dates long before that day is past, and not what is reported.
    ``phrases``: the times that the text tells, by which the latest of several counts is known; ``when``: that of the event, before
    which it tells of something else.
    """
    text = normal.text
    counted = quantities(text)
    denied = denials(text, turns)
    skip = [(t.start, t.end) for t in turns if t.clerk]
    people = [q for q in counted if q.what == "people"]
    gone = [(d.start, d.end) for d in denied]
    said = mentions(text, people, gone, skip)
    if skip:
        said = sorted([*said, *answers(text, turns, people, said)], key=lambda m: m.start)
        read_back = mentions(text, people, gone, [])
        if not said:
            said = read_back
        elif agreed := confirmed(text, turns, read_back):
            said = sorted([*said, *agreed], key=lambda m: m.start)
    said, denied = of_this(text, said, denied, today)
    if when is not None and when.precision in ("day", "minute"):
        said = since(text, said, phrases, date.fromisoformat(when.value[:10]))
    said = latest(text, superseded(text, in_context(text, said)), phrases, _says_corrected(text))
    made: dict[str, Figure] = {}
    told = {m.field for m in said} | {d.field for d in denied}
    for field in _PEOPLE:
        if field not in told:
            continue
        figure = _settled(normal, [m for m in said if m.field == field], [d for d in denied if d.field == field], corrects)
        if figure is not None:
            made[field] = figure
    sick = made.get("poisoned") or made.get("ill")
    _add_light(normal, made, [m for m in said if m.field in _DEGREES and (not sick or "伤" in text[m.start : m.end])])
    _from_sum(made)
    if "deaths" not in told and (someone := someone_died(normal, gone, skip)) is not None:
        made["deaths"] = someone
    _without_the_dead(text, made, said)
    crowd = participants(normal, people, [(m.start, m.end) for m in said])
    if crowd is not None:
        made["participants"] = crowd
    made.update(property_figures(normal, counted))
    return made


def _without_the_dead(text: str, made: dict[str, Figure], said: list[Mention]) -> None:
    """砍伤3人，3名伤者中1人死亡: two are hurt. Taken off only where the wounded of whom some died are as many as were hurt."""
    hurt = made.get("injured")
    died = next((m for m in said if m.field == "deaths" and _OF_WOUNDED.search(text, max(0, m.start - 12), m.start)), None)
    if hurt is None or hurt.value is None or hurt.max is not None or died is None or not died.number.value or died.number.value >= hurt.value:
        return
    of = _OF_WOUNDED.search(text, max(0, died.start - 12), died.start)
    if of is not None and value_of(of["n"]) == hurt.value:
        made["injured"] = replace(hurt, value=hurt.value - died.number.value)


def figure_of(normal: Normal, number: Number, start: int, end: int) -> Figure:
    """A ``Figure`` for ``number`` with the stretch [start, end) of the normal text as its evidence."""
    return as_figure(number, (normal.span(start, end),))


def _settled(normal: Normal, said: Sequence[Mention], denied: Sequence[Denial], corrects: bool) -> Figure | None:
    if any(not m.weak and m.role != "old" for m in said):
        said = [m for m in said if not m.weak]
    current = [m for m in said if m.role != "old"]
    known = [m for m in current if m.number.value is not None]
    winner = _winner(normal.text, known)
    zero = next((d for d in reversed(denied) if d.value == 0), None)
    if winner is not None and winner.weak and zero is not None and not _rest(normal.text, zero):
        winner = None
    if winner is not None and others_beside(normal.text, winner, known):
        spans = tuple(normal.span(m.start, m.end) for m in known)
        return Figure(value=None, qualifier="at_least", low=winner.number.value, evidence=spans)
    if winner is not None and (zero is None or not corrects or zero.start < winner.start):
        figure = _figure(normal, winner, known, said)
        return _with_others(normal, figure, winner, [m for m in said if m.number.value is not None], zero)
    if zero is not None:
        return Figure(value=0, qualifier="zero", evidence=(normal.span(zero.start, zero.end),))
    if denied:
        return Figure(value=None, qualifier="unknown", evidence=(normal.span(denied[-1].start, denied[-1].end),))
    if current:
        last = current[-1]
        return Figure(value=None, qualifier="unknown", evidence=(normal.span(last.start, last.end),))
    return None


@lru_cache(maxsize=4)
def _says_corrected(text: str) -> bool:
    """True where ``text`` speaks of a correction; asked for each figure of one text."""
    return _CORRECTS.search(text) is not None


def _winner(text: str, known: Sequence[Mention]) -> Mention | None:
    whole = [m for m in known if not (m.part and len(known) > 1)]
    updates = [m for m in whole if m.role == "update"]
    later = [m for m in whole if m.role in ("update", "total")]
    grows = known[0].field in ("deaths", "injured") and not _says_corrected(text) if known else False
    if later and not grows:
        return later[-1]
    if updates and known[0].field == "injured":
        return updates[-1]
    if known and known[0].field == "missing" and (plain := [m for m in whole if m.role in ("plain", "increment")]):
        return min(plain, key=lambda m: m.start)  # the missing become fewer: what the text leads with is the latest
    stated = [*later, *(m for m in whole if m.role == "plain")]
    if not stated:
        return (whole or known)[-1] if known else None
    stated = _exact(_near_the_heading(text, stated))
    # Victims become more: the greatest number is the latest, wherever the text tells it.
    best = max(stated, key=lambda m: (m.number.value or 0, m.role != "plain", -m.start))
    if best.number.qualifier == "at_least":  # 数百人，其中一百八十人…: at least as many as the part
        return max([best, *(m for m in known if m.part)], key=lambda m: m.number.value or 0)
    return best


def _exact(stated: list[Mention]) -> list[Mention]:
    """Without 近百名 and 上百名 where another place counts them: 96."""
    counts = [m.number.value or 0 for m in stated if m.number.qualifier == "exact"]
    rough = [m for m in stated if m.number.qualifier in ("about", "nearly")]
    told = [m for m in rough if any(_ROUGHLY * (m.number.value or 0) <= n <= (m.number.value or 0) for n in counts)]
    return [m for m in stated if m not in told]


def _near_the_heading(text: str, stated: list[Mention]) -> list[Mention]:
    """Without what is far above the number in the heading, where another place tells a number near to that one: it tells of a
    whole campaign, a season, another event.
    """
    end = text.find("\n", 0, 60)
    head = max((m.number.value or 0 for m in stated if m.end <= end), default=0)
    near = [m for m in stated if (m.number.value or 0) <= head * _FAR_ABOVE]
    told_again = any(m.start > end and (m.number.value or 0) * _FAR_ABOVE >= head for m in near)
    return near if head >= 3 and told_again else stated


def _figure(normal: Normal, winner: Mention, known: Sequence[Mention], said: Sequence[Mention]) -> Figure:
    made = figure_of(normal, winner.number, winner.start, winner.end)
    if spread := _spread(normal.text, winner, known):
        evidence = tuple(normal.span(m.start, m.end) for m in spread)
        loose: Qualifier = next((m.number.qualifier for m in spread if m.number.qualifier != "exact"), "exact")
        total = sum(m.number.value or 0 for m in spread)
        return Figure(value=total, qualifier="at_least" if loose == "range" else loose, evidence=evidence)
    later = [m for m in known if m.role == "increment" and not m.part and _adds(normal.text, winner, m, said)]
    if winner.role == "increment" and made.value is not None:
        return Figure(value=made.least, qualifier="at_least", evidence=made.evidence)
    if winner.role == "plain" and later and made.value is not None:
        total = (made.least or 0) + sum(m.number.value or 0 for m in later)
        evidence = (*made.evidence, *(normal.span(m.start, m.end) for m in later))
        return Figure(value=total, qualifier="at_least" if made.qualifier == "range" else made.qualifier, evidence=evidence)
    return made


def _spread(text: str, winner: Mention, known: Sequence[Mention]) -> list[Mention]:
    """甲镇死亡2人，乙镇死亡3人: the counts of several places in one sentence, where no total is told; else none."""
    plain = [m for m in known if m.role == "plain" and not m.part and m.number.high is None]
    if winner.role != "plain" or len(plain) < 2:
        return []
    where: dict[str, Mention] = {}
    for mention in plain:
        if _SENTENCE_END.search(text, min(mention.start, winner.start), max(mention.start, winner.start)):
            continue
        near = max(0, mention.start - 30)
        named = _WHERE.match(text, max(text.rfind(c, near, mention.start) + 1 for c in "，。:;"), mention.start)
        if named is None or named[0] in where:
            return []
        where[named[0]] = mention
    return list(where.values()) if len(where) > 1 else []


def _with_others(normal: Normal, figure: Figure, winner: Mention, stated: Sequence[Mention], zero: Denial | None) -> Figure:
    """``figure`` with the numbers that contradict it. Parts and what was added up contradict nothing."""
    others: dict[float, Other] = {}
    for mention in stated:
        value = mention.number.value
        if mention.part or mention.role == "increment" or normal.span(mention.start, mention.end) in figure.evidence:
            continue
        if value in (None, figure.value, winner.number.value):
            continue
        told = figure_of(normal, mention.number, mention.start, mention.end)
        other = Other(value=told.value, low=told.low, max=told.max, qualifier=told.qualifier, evidence=told.evidence)
        others.setdefault(value, other)
    if zero is not None and figure.value and not _rest(normal.text, zero):
        others.setdefault(0, Other(value=0, qualifier="zero", evidence=(normal.span(zero.start, zero.end),)))
    if not others:
        return figure
    corrected = any(m.role == "old" for m in stated) or _says_corrected(normal.text)
    if corrected and winner.role in ("update", "plain"):
        why = "以更正后的数字为准" if _says_corrected(normal.text) else "以更新后的数字为准"
    elif winner.role in ("update", "total"):
        why = "以最新合计为准"
    elif list(others) == [0]:
        why = "以具体数字为准"
    elif "\n" in normal.text[: winner.start + 60] and winner.start < 60:
        why = "以标题为准"
    else:
        why = "数字不一，以较大者为准"
    return replace(figure, others=tuple(others.values()), why=why)


def _rest(text: str, zero: Denial) -> bool:
    """无其他人员伤亡, 此外无人员伤亡 deny only more of them."""
    if re.search("其[他它]|此外|另外|除", text[max(0, zero.start - 16) : zero.end]):
        return True
    return re.search("[学师]生|旅客|乘客|游客|居民|村民|工人|儿童|群众", text[max(0, zero.start - 2) : zero.end]) is not None


def _adds(text: str, winner: Mention, more: Mention, said: Sequence[Mention]) -> bool:
    """另有1人 adds to what was said just before; after a heading, far away, or with what was told before in between (由24人新增的1人),
    it is the same count again."""
    far = 240 if "当场" in text[winner.start : winner.end] else 80
    if not 0 < more.start - winner.start < far or "\n" in text[winner.start : more.start]:
        return False
    if "(" in text[winner.end : more.start].rpartition(")")[2]:
        return False  # 死亡5人（原报3人，又发现2具遗体） says how the five came about
    # also 4人死亡。3人当场死亡，1人送医后不治: the one is counted with the three
    between = [m for m in said if winner.start < m.start < more.start]
    return not any(m.role == "old" or (m.role == "plain" and (m.number.value or 0) < (winner.number.value or 0)) for m in between)


def _add_light(normal: Normal, made: dict[str, Figure], said: Sequence[Mention]) -> None:
    """1重伤6轻伤 without a total are 7 injured; with a total they are parts of it."""
    stated = made.get("injured")
    slightly = max((m.number.value or 0 for m in said if m.field == "light"), default=0)
    if stated is not None and stated.value and stated.value >= slightly:
        return
    alone = (stated.least or 0) if stated is not None else 0  # 2人皮外伤，司机骨折
    heavy = made.get("seriously_injured") if any(m.field == "seriously_injured" for m in said) else None
    light = [m for m in said if m.field == "light" and m.number.value is not None and m.role != "old"]
    if heavy is not None and heavy.value == 0:
        heavy = None
    if not light and (heavy is None or heavy.value is None or not any("伤" in normal.text[m.start : m.end] for m in said)):
        return  # 危重2个 may be any of those in hospital
    slight = light[-1] if light else None
    value = alone + (heavy.least or 0 if heavy else 0) + (slight.number.value or 0 if slight else 0)
    evidence = (*(stated.evidence if stated and alone else ()), *(heavy.evidence if heavy else ()), *((normal.span(slight.start, slight.end),) if slight else ()))
    qualifier = "at_least" if alone else (slight.number.qualifier if slight else None) or (heavy.qualifier if heavy else "exact")
    made["injured"] = Figure(value=value, qualifier="at_least" if qualifier == "range" else qualifier, evidence=evidence)


def _from_sum(made: dict[str, Figure]) -> None:
    """死伤5人 states neither how many died nor how many are hurt: both are then open, unless said elsewhere."""
    both = made.get("casualties")
    if both is None or both.value is None:
        made.pop("casualties", None)
        return
    for field in ("deaths", "injured"):
        made.setdefault(field, Figure(value=None, qualifier="unknown", evidence=both.evidence))
