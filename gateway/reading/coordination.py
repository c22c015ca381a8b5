"""Counts that one predicate takes together: 2名群众、1名民警受伤, 司机和3名乘客死亡, 两男一女."""

from __future__ import annotations

import re

from gateway.reading.lazy import lazy
from gateway.reading.predicates import predicates
from gateway.reading.quantities import Quantity

_AND = lazy(r"[^，。;!?()\n]{0,16}(?:、|及其?|和|与|以及)(?:另)?[^，。;!?()\n、]{0,8}")
_NEXT = lazy(r"^(?:(?:、|及其?|和|与|以及)[^，。;!?()\n、\d]{1,8}\d{1,4}[名人个位](?=[死伤受轻重、及和与]|$))+")
_THEN = lazy(r"(?:、|及其?|和|与|以及)(?:同?[车船机][上内])?的?(?:另外|其他|其余|另)?")
_OWN_VERB = lazy(r"[^，。;!?()\n]{0,6}(?:死|伤|亡|失踪|中毒|被)")
_VICTIMS = lazy(r"[^，。;!?()\n]{0,8}(?:、|及|和|与|以及)")
_APART = lazy(r"[获救]救|救[出起]|生还|脱[险困]|出院|送|逃|升井|幸存|安全|未|无|撤|归|回|抓|到场|赶")


def coordinated(text: str, people: list[Quantity]) -> list[Quantity]:
    """2名群众、1名民警受伤: counts joined by 、及和 before one predicate are one count, put at the place of the last."""
    made: list[Quantity] = []
    for quantity in people:
        previous = made[-1] if made else None
        if previous is not None and (_joined(text, previous, quantity) or _victims(text, previous, quantity)):
            low = (previous.number.value or 0) + (quantity.number.value or 0)
            loose = quantity.number.qualifier if quantity.number.qualifier != "exact" else previous.number.qualifier
            number = quantity.number._replace(value=low, high=None, qualifier="at_least" if loose == "range" else loose)
            since = previous.start if previous.first is None else previous.first
            start = previous.start if _victims(text, previous, quantity) else quantity.start
            made[-1] = quantity._replace(number=number, first=since, start=start)
        else:
            made.append(quantity)
    return made


def _joined(text: str, first: Quantity, second: Quantity) -> bool:
    between = text[first.end : second.start]
    if not between and {first.unit, second.unit} == {"男", "女"}:
        return True
    if first.unit == "单" and not (_THEN.fullmatch(between) or (second.unit == "单" and _THEN.match(between))):
        return False
    if len(between) > 20 or first.number.value is None or second.number.value is None or not _AND.fullmatch(between):
        return False
    if (
        _APART.search(between)
        or {first.unit, second.unit} - {"名", "人", "个", "位", "单", "一", "对"}
        or predicates(text, first.end, second.start)
    ):
        return False
    left = max(text.rfind(c, max(0, first.start - 40), first.start) for c in "，。;!?、()\n")
    if predicates(text, max(left + 1, first.start - 40), first.start):
        return False
    follows = predicates(text, second.end, min(len(text), second.end + 24))
    rest = _NEXT.sub("", text[second.end : follows[0].start]) if follows else "，"
    return not re.search("[，。;、()\\d]", rest)


def _victims(text: str, first: Quantity, second: Quantity) -> bool:
    """砍伤3名儿童和1名教师: those whom one verb hurt, before the next comma."""
    if first.number.value is None or second.number.value is None or not _VICTIMS.fullmatch(text, first.end, second.start):
        return False
    if {first.unit, second.unit} - {"名", "人", "个", "位"}:
        return False
    verb = predicates(text, max(0, first.start - 6), first.start)
    return (
        bool(verb)
        and verb[-1].transitive
        and text[verb[-1].end : first.start] in ("", "了")
        and not _OWN_VERB.match(text, second.end)
    )
