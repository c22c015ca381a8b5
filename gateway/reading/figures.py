"""All figures of a report: mentions reconciled, so that the latest total wins and parts, old values and denials do not add up."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.structs import replace

from gateway.core.model import Figure, Other, Qualifier
from gateway.reading.answers import answers
from gateway.reading.background import background
from gateway.reading.binding import Mention, mentions
from gateway.reading.crowd import participants
from gateway.reading.denial import Denial, denials
from gateway.reading.dialogue import Turn
from gateway.reading.lazy import lazy
from gateway.reading.normalise import Normal
from gateway.reading.numerals import Number
from gateway.reading.property import property_figures
from gateway.reading.quantities import quantities

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


_POISONING = lazy(r"(?<![非除])(?<!除食物)中毒(?!性(?:休克|菌痢|肺炎|痢疾))|毒鼠强|投毒|下药|毒蘑菇|野蘑菇|[毒野]菌|误食")
_SYMPTOMS = lazy(r"呕吐|腹泻|腹痛|拉肚子|肚子[疼痛]|上吐下泻|恶心|头[晕痛]|发烧|发热|吐、|不适|发病|患病")
_EPIDEMIC = lazy(r"确诊|病例|疫情|传染|感染|流感|肺炎|霍乱|鼠疫")
_FOUND_SINCE = lazy(r"救起|获救|生还|救出|遗体|尸体|(?<![没未有能])找到|打捞|脱险")
_HURTS = lazy(r"[伤撞爆炸塌坠砸砍捅翻滑倒燃]|车祸|事故|地震|火灾|起火|触电|溺|殴")
_WHERE = lazy(r"(?:其中)?[\u4e00-\u9fff]{1,8}?(?:镇|乡|村|街道|苏木|客车|轿车|货车|面包车|出租车|大巴|车|船)[上内]?")
_SENTENCE_END = lazy(r"[。;!?\n]")
_CORRECTS = lazy(r"(?=[更有核误不错应])(?:更正|有误|核减|误报|不对|错了|应为)")


def figures(normal: Normal, turns: list[Turn], *, corrects: bool, before: int = 0) -> dict[str, Figure]:
    """The figures that ``normal`` states, by field name. ``corrects``: the report says that it corrects an earlier one.
    ``before``: what the text dates in an earlier year is past, and not what is reported.
    """
    text = normal.text
    counted = quantities(text)
    denied = denials(text, turns)
    skip = [(t.start, t.end) for t in turns if t.clerk]
    people = [q for q in counted if q.what == "people"]
    gone = [(d.start, d.end) for d in denied]
    said = mentions(text, people, gone, skip)
    if skip:
        said = said or mentions(text, people, gone, [])
        said = sorted([*said, *answers(text, turns, people, said)], key=lambda m: m.start)
    said, denied = _of_this(text, said, denied, before)
    said = _in_context(text, said)
    made: dict[str, Figure] = {}
    told = {m.field for m in said} | {d.field for d in denied}
    for field in _PEOPLE:
        if field not in told:
            continue
        figure = _settled(normal, [m for m in said if m.field == field], [d for d in denied if d.field == field], corrects)
        if figure is not None:
            made[field] = figure
    if not (made.get("poisoned") or made.get("ill")):
        _add_light(normal, made, [m for m in said if m.field in ("light", "seriously_injured")])
    _from_sum(made)
    crowd = participants(normal, people, [(m.start, m.end) for m in said])
    if crowd is not None:
        made["participants"] = crowd
    made.update(property_figures(normal, counted))
    return made


def _of_this(text: str, said: list[Mention], denied: list[Denial], before: int) -> tuple[list[Mention], list[Denial]]:
    """Without what is told of other years and incidents, unless the text tells of nothing else."""
    if not said and not denied:
        return said, denied
    other = background(text, before)
    if not other:
        return said, denied
    ours = [m for m in said if not any(a <= m.start < b for a, b in other)]
    none = [d for d in denied if not any(a <= d.start < b for a, b in other)]
    return (ours, none) if ours or none else (said, denied)


def _in_context(text: str, said: list[Mention]) -> list[Mention]:
    """Words that hint at a field: who vomits where people were poisoned is poisoned; who was swept off and no more is missing."""
    stated = {m.field for m in said if not m.weak and m.number.value is not None}
    if "poisoned" in stated:
        said = [m for m in said if m.field not in ("treated",)]
    elif any(m.field in ("ill", "treated") for m in said) and _POISONING.search(text):
        ill = any(m.field == "ill" for m in said)
        said = [m._replace(field="poisoned", weak=False) if m.field == ("ill" if ill else "treated") else m for m in said]
    elif "ill" not in stated and any(m.field == "treated" for m in said) and _SYMPTOMS.search(text):
        said = [m._replace(field="ill") if m.field == "treated" else m for m in said]
    if "ill" in stated or _EPIDEMIC.search(text):
        said = [m for m in said if m.field != "treated"]
    if any(m.field == "treated" for m in said):  # whoever was saved is looked after, not hurt
        said = [m for m in said if m.field != "treated"] if _FOUND_SINCE.search(text) or not _HURTS.search(text) else said
        said = [m._replace(field="injured", weak=True) if m.field == "treated" else m for m in said]
    if any(m.field == "missing" and m.weak for m in said) and _FOUND_SINCE.search(text):
        said = [
            m._replace(number=m.number._replace(value=None, high=None)) if m.field == "missing" and m.weak else m for m in said
        ]
    return said


def figure_of(normal: Normal, number: Number, start: int, end: int) -> Figure:
    """A ``Figure`` for ``number`` with the stretch [start, end) of the normal text as its evidence."""
    value, high = number.value, number.high
    if value is None:
        return Figure(value=None, qualifier="unknown", evidence=(normal.span(start, end),))
    return Figure(value=value, max=high, qualifier=number.qualifier, evidence=(normal.span(start, end),))


def _settled(normal: Normal, said: Sequence[Mention], denied: Sequence[Denial], corrects: bool) -> Figure | None:
    if any(not m.weak for m in said):
        said = [m for m in said if not m.weak]
    current = [m for m in said if m.role != "old"]
    known = [m for m in current if m.number.value is not None]
    winner = _winner(normal.text, known)
    zero = next((d for d in reversed(denied) if d.value == 0), None)
    if winner is not None and winner.weak and zero is not None and not _rest(normal.text, zero):
        winner = None
    if winner is not None and (zero is None or not corrects or zero.start < winner.start):
        figure = _figure(normal, winner, known)
        return _with_others(normal, figure, winner, [m for m in said if m.number.value is not None], zero)
    if zero is not None:
        return Figure(value=0, qualifier="zero", evidence=(normal.span(zero.start, zero.end),))
    if denied:
        return Figure(value=None, qualifier="unknown", evidence=(normal.span(denied[-1].start, denied[-1].end),))
    if current:
        last = current[-1]
        return Figure(value=None, qualifier="unknown", evidence=(normal.span(last.start, last.end),))
    return None


def _winner(text: str, known: Sequence[Mention]) -> Mention | None:
    whole = [m for m in known if not (m.part and len(known) > 1)]
    updates = [m for m in whole if m.role == "update"]
    later = [m for m in whole if m.role in ("update", "total")]
    grows = known[0].field in ("deaths", "injured") and not _CORRECTS.search(text) if known else False
    if later and not grows:
        return later[-1]
    if updates and known[0].field == "injured":
        return updates[-1]
    stated = [*later, *(m for m in whole if m.role == "plain")]
    if not stated:
        return (whole or known)[-1] if known else None
    # Victims become more: the greatest number is the latest, wherever the text tells it.
    return max(stated, key=lambda m: (m.number.value or 0, m.role != "plain", -m.start))


def _figure(normal: Normal, winner: Mention, known: Sequence[Mention]) -> Figure:
    made = figure_of(normal, winner.number, winner.start, winner.end)
    if spread := _spread(normal.text, winner, known):
        evidence = tuple(normal.span(m.start, m.end) for m in spread)
        loose: Qualifier = next((m.number.qualifier for m in spread if m.number.qualifier != "exact"), "exact")
        total = sum(m.number.value or 0 for m in spread)
        return Figure(value=total, qualifier="at_least" if loose == "range" else loose, evidence=evidence)
    later = [m for m in known if m.role == "increment" and not m.part and _adds(normal.text, winner, m)]
    if winner.role == "increment" and made.value is not None:
        return Figure(value=made.value, qualifier="at_least", evidence=made.evidence)
    if winner.role == "plain" and later and made.value is not None:
        total = made.value + sum(m.number.value or 0 for m in later)
        evidence = (*made.evidence, *(normal.span(m.start, m.end) for m in later))
        return Figure(value=total, qualifier=made.qualifier, evidence=evidence)
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
        span = normal.span(mention.start, mention.end)
        others.setdefault(
            value, Other(value=value, max=mention.number.high, qualifier=mention.number.qualifier, evidence=(span,))
        )
    if zero is not None and figure.value and not _rest(normal.text, zero):
        others.setdefault(0, Other(value=0, qualifier="zero", evidence=(normal.span(zero.start, zero.end),)))
    if not others:
        return figure
    corrected = any(m.role == "old" for m in stated) or _CORRECTS.search(normal.text)
    if corrected and winner.role in ("update", "plain"):
        why = "以更正后的数字为准" if _CORRECTS.search(normal.text) else "以更新后的数字为准"
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
    return re.search("其[他它]|此外|另外|除", text[max(0, zero.start - 16) : zero.end]) is not None


def _adds(text: str, winner: Mention, more: Mention) -> bool:
    """另有1人 adds to what was said just before; after a heading, or far away, it is the same count again."""
    return 0 < more.start - winner.start < 80 and "\n" not in text[winner.start : more.start]


def _add_light(normal: Normal, made: dict[str, Figure], said: Sequence[Mention]) -> None:
    """1重伤6轻伤 without a total are 7 injured; with a total they are parts of it."""
    stated = made.get("injured")
    if stated is not None and stated.value:
        return
    heavy = made.get("seriously_injured")
    light = [m for m in said if m.field == "light" and m.number.value is not None and m.role != "old"]
    if heavy is not None and heavy.value == 0:
        heavy = None
    if not light and (heavy is None or heavy.value is None):
        return
    slight = light[-1] if light else None
    value = (heavy.value or 0 if heavy else 0) + (slight.number.value or 0 if slight else 0)
    evidence = (*(heavy.evidence if heavy else ()), *((normal.span(slight.start, slight.end),) if slight else ()))
    qualifier = (slight.number.qualifier if slight else None) or (heavy.qualifier if heavy else "exact")
    made["injured"] = Figure(value=value, qualifier="exact" if qualifier == "range" else qualifier, evidence=evidence)


def _from_sum(made: dict[str, Figure]) -> None:
    """死伤5人 states neither how many died nor how many are hurt: both are then open, unless said elsewhere."""
    both = made.get("casualties")
    if both is None or both.value is None:
        made.pop("casualties", None)
        return
    for field in ("deaths", "injured"):
        made.setdefault(field, Figure(value=None, qualifier="unknown", evidence=both.evidence))
