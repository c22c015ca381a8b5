"""A figure as one place of the text states it: of what, how many, and how it stands to other numbers of the same (total,
increment, update, old).
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from gateway.reading.lazy import lazy
from gateway.reading.numerals import Number
from gateway.reading.quantities import Quantity

Role = Literal["plain", "total", "increment", "update", "old"]
_UPDATE = lazy(
    r"升至|增至|修正[为至]|[上下]调[为至]|(?:上升|增加|减少|下降|回落|升高)[到至为]|降[至为]|减[至为]|调整为|更正为|应为|应该是|改为|核减|核实为|变[为成]|而是"
    r"|不对|错了|实际[为是有]?|现为|达到|已达|最新"
)
_TOTAL = lazy(r"(?<!公)共(?!同|和国|产)|累计|合计|总计|总数|总共|截至|至此|总人数")
_INCREMENT = lazy(r"又(?![遭被与和撞起])|新增|再|另有|另|增加(?![到至为])|新发现|还有")
_LESS = lazy(r"(?:核减|减少|下降|减去|扣除)了?$")
_LEFT = lazy(r"[^，。;\n\d]{0,6}(?:出院|康复|痊愈)")
_ALREADY = lazy(r"[^。;\n\d]{0,14}?(?:已?计入|包[括含]在|算在|含在|统计在)")
_STILL = lazy(r"[^，。;\n]{0,12}(?:治疗|住院|观察|重症|监护|救治|[住躺]在)")
_OLD_AFTER = lazy(r"(?:的)?(?:向[上下])?(?:升|增|修正|[上下]调|上升|更正|改|调整|降|减|变|核)")
_REPLACED = lazy(
    r"(?:的)?(?:向[上下])?(?:有误|应为|应该是|修正[为至]|[上下]调[为至]|更正为|改为|核实为|变[为成]|升至|增至|(?:上升|增加|减少|下降|回落)[到至为]|降[至为]|减[至为]|核减[至为]|调整[至为])"
)
_OLD_BEFORE = lazy(r"(?:原报|前报|前期|此前|原先|误报|初报|上次报|原来|之前)[^，。]{0,10}$")
MISTAKE = lazy(r"(?:不对|错了|说错|口误|应该是|不是)[，。、啊哦呃嗯]{0,3}$")
_FOUND = lazy(r"(?:(?![未没尚])[^，。;\n]){0,16}(?:找到|寻获|生还(?!可能|希望|几率|机会)|获救|脱险|平安|回家|返家|返回|归来|现身|投案|(?:在|到)(?:外地|亲戚|朋友|同学))")
_REMAINING = lazy(r"(?:另外?|其余|还有|剩下?|余下?|剩余)的?$")
_FLED = lazy(r"老板|法人|负责人|会计|出纳|店主|房东")  # who is not to be found with the money is not missing

_SAYS_OF = {"both": ("missing", "trapped"), "swept": ("missing",), "gone": ("deaths", "missing"), "dying": ("deaths",), "sought": ("missing",), "hit": ("injured",)}
"""The fields of which a predicate's own word tells, where it is not one of them."""


class Mention(NamedTuple):
    """A figure as one place of the text states it; [start, end) covers number and predicate.

    ``part``: it is counted in another; ``weak``: the words hint at it, and count only where nothing plain is said.
    """

    field: str
    number: Number
    role: Role
    start: int
    end: int
    part: bool = False
    weak: bool = False


def mention_of(text: str, start: int, quantity: Quantity, field: str, left: int, right: int) -> list[Mention]:
    """What ``quantity`` says of ``field`` in the segment from ``start``; [left, right) is what says it. Two for 失踪死亡, none for
    whoever is not a victim.
    """
    if quantity.unit == "单" and (field == "treated" or (field == "missing" and _FLED.match(text, quantity.start))):
        return []
    if _LESS.search(text, max(start, quantity.start - 4), quantity.start):
        return []  # 遇难人数核减一人: so many fewer, not so many
    if field == "sought" and not _REMAINING.search(text, max(0, quantity.start - 4), quantity.start):
        return []  # 200人仍在搜寻 are those who search
    role = role_of(text, start, quantity)
    if role == "increment" and field in ("injured", "seriously_injured", "light") and _LEFT.match(text, max(right, quantity.end)):
        return []  # 又有一名受伤儿童出院
    left, right = min(left, quantity.start if quantity.first is None else quantity.first), max(right, quantity.end)
    number = (
        quantity.number._replace(value=None, high=None, qualifier="unknown") if field in ("gone", "dying") else quantity.number
    )
    if field == "missing" and _FOUND.match(text, right) and not text.startswith(("遗体", "尸体"), right):
        number = number._replace(value=None, high=None, qualifier="unknown")
    weak = field in ("swept", "gone", "dying", "treated", "hit") or quantity.unit == "单" or text.endswith("无一幸免", left, right)
    part = role == "increment" and _ALREADY.match(text, right) is not None  # 另有5人受伤，已计入总数
    return [Mention(name, number, role, left, right, part, weak) for name in _SAYS_OF.get(field) or (field,)]


def role_of(text: str, start: int, quantity: Quantity) -> Role:
    """How the number stands to others of its field, by the words about it."""
    before = text[max(start, quantity.start - 10) : quantity.start]
    if _REPLACED.match(text, quantity.end) or (_OLD_AFTER.match(text, quantity.end) and re.search("由|从|人数", before)):
        return "old"
    if _OLD_BEFORE.search(text[max(0, quantity.start - 18) : quantity.start]):
        return "old"
    if MISTAKE.search(text[max(0, start - 8) : start]):
        return "update"
    if not before:
        return "plain"
    if _UPDATE.search(before):
        return "update"
    if _TOTAL.search(before):
        return "total"
    if _INCREMENT.search(before):
        return "plain" if "还有" in before and _STILL.match(text, quantity.end) else "increment"
    return "plain"
