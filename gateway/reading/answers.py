"""What a caller answers with a bare number: 多少人受伤？ 十二个. The question says what was counted."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise

from gateway.reading.dialogue import Turn
from gateway.reading.lazy import lazy
from gateway.reading.mention import Mention, Role
from gateway.reading.quantities import Quantity

_ASKED = lazy(
    r"(?P<seriously_injured>重伤|伤重|重的)|(?P<deaths>死亡|死人|死的|死了|遇难)|(?P<injured>受伤|伤员|伤的|伤着|伤了|伤)|(?P<missing>失踪|失联|没找到)"
    r"|(?P<trapped>被困|困住|困着)|(?P<poisoned>中毒)|(?P<evacuated>疏散|转移)"
)
_QUESTION = lazy(r"多少|几[个名人]|有没有|吗|[?]")
_PAUSES = ("", *"，。、;!?吧呢啊了\n")
_OF_THOSE = lazy(r"人|[的都]?[轻重受]?伤|[轻重]的|死|[员民工生兵客师童妇警]|群众|司机")
_YES = lazy(r"(?:嗯|啊|哦)?[，]?(?:对|是的?[，。对]|嗯|没错|就是这样)")
_ANSWERS = lazy(r"(?:(?:重|轻|伤|死)的|[嗯啊哦呃对有是就大概大约目前现在一共总共不，、的吧那个]){0,12}")


def answers(text: str, turns: list[Turn], people: list[Quantity], said: list[Mention]) -> list[Mention]:
    """Numbers that open a caller's turn after a question of the clerk for one kind of victims. ``said`` is already bound."""
    starts = [q.start for q in people]
    bound = sorted(said, key=lambda m: m.start)
    heads = [m.start for m in bound]
    found: list[Mention] = []
    for question, answer in pairwise(turns):
        if not question.clerk or answer.clerk or not _QUESTION.search(text, question.start, question.end):
            continue
        asked = {m.lastgroup or "" for m in _ASKED.finditer(text, question.start, question.end)}
        if "seriously_injured" in asked:
            asked -= {"injured"}
        at = bisect_left(starts, answer.start)
        first = people[at] if at < len(people) and starts[at] < min(answer.end, answer.start + 16) else None
        if len(asked) != 1 or first is None or not _ANSWERS.fullmatch(text[answer.start : first.start]):
            continue
        near = bound[max(0, bisect_right(heads, first.start) - 3) : bisect_right(heads, first.start)]
        plain = text[first.end : first.end + 1] in _PAUSES or _OF_THOSE.match(text, first.end) is not None
        if plain and not any(m.start <= first.start < m.end for m in near):
            role: Role = "update" if text.startswith("不", answer.start) else "plain"
            found.append(Mention(asked.pop(), first.number, role, first.start, first.end))
    return found


def confirmed(text: str, turns: list[Turn], read_back: list[Mention]) -> list[Mention]:
    """What the clerk reads back and the caller says yes to: the sum of what was told until then."""
    yes = [(a.start, a.end) for a, b in pairwise(turns) if a.clerk and not b.clerk and _YES.match(text, b.start, b.end)]
    made = []
    for mention in read_back:
        at = bisect_right(yes, (mention.start, len(text))) - 1
        if mention.role == "plain" and at >= 0 and mention.start < yes[at][1]:
            made.append(mention._replace(role="total"))
    return made
