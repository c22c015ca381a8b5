"""Follow-ups (续报): numbered, what is missing asked for, the next one asked for in its rhythm, until the final report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from msgspec.structs import replace

from gateway.core import render
from gateway.core.duty import reach
from gateway.core.duty.matter import Due, Follow, Given, Matter, Note, Send, Shut, Turn

_NUMERALS = "零一二三四五六七八九"


def stage(kind: str | None, count: int) -> str:
    """The name of a report: 初报, 续报三, 终报; ``count`` further reports have come, this one included."""
    if kind == "终报":
        return "终报"
    return f"续报{numeral(count)}" if count else "初报"


def numeral(number: int) -> str:
    """1 to 99 in Chinese; digits above."""
    if not 0 < number < 100:
        return str(number)
    tens, ones = divmod(number, 10)
    head = "" if tens == 0 else "十" if tens == 1 else f"{_NUMERALS[tens]}十"
    return head + (_NUMERALS[ones] if ones else "")


def heard(matter: Matter, given: Given, *, missing: tuple[str, ...], final: bool, further: bool) -> Turn:
    """A report came: what it answers, and when the next one is due."""
    before = matter.follow
    answered = [name for name in before.missing if name not in missing] if further else []
    ask_at = None if final or before.final else _ask_at(given, matter.level, 0)
    follow = Follow(
        last_at=given.now,
        count=before.count + further,
        ask_at=ask_at,
        missing=missing,
        final=before.final or final,
    )
    of = next(iter(matter.responsible), "报送人")
    notes = (Note(event="answered", data={"of": of, "what": [render.element(name) for name in answered]}),) if answered else ()
    return replace(matter, follow=follow), notes


def _ask_at(given: Given, level: str, asked: int):  # type: ignore[no-untyped-def]
    minutes = given.rules.rhythm(level)
    return given.now + timedelta(minutes=minutes[min(asked, len(minutes) - 1)]) if minutes else None


def falls_due(matter: Matter, given: Given) -> Iterator[Due]:
    """A follow-up that did not come in its rhythm."""
    if matter.follow.ask_at is not None and not matter.follow.final:
        yield matter.follow.ask_at, _ask


def _ask(matter: Matter, given: Given) -> Turn:
    follow = matter.follow
    asked = follow.asked + 1
    matter = replace(matter, follow=replace(follow, asked=asked, ask_at=_ask_at(given, matter.level, asked)))
    of = next(iter(matter.responsible), "报送人")
    note = Note(event="asked", data={"of": of, "what": [f"续报{numeral(follow.count + 1)}"], "how": "follow_up"})
    ways = matter.reporter or reach.unit_ways(given, matter.responsible)
    values = {"stage_asked": f"续报{numeral(follow.count + 1)}"}
    sent = (Send(to="reporter", form="follow_up", duty="remind", ways=ways, values=values),) if ways else ()
    return matter, (note, *sent)


def settled(matter: Matter) -> bool:
    """Whether nothing is left to do after the final report."""
    waits = any(one.waits for one in matter.offers if one.duty == "receive")
    telling = any(one.waits for one in matter.tellings)
    signing = matter.signing is not None and matter.signing.waits
    supervised = any(one.done_at is None for one in matter.instructions)
    running = any(one.state == "running" for one in matter.clocks)
    return matter.follow.final and not (waits or telling or signing or supervised or running)


def close_if_settled(matter: Matter, given: Given) -> Turn:
    """The matter ends by itself only with a final report and nothing else to do."""
    if matter.over or not settled(matter):
        return matter, ()
    return replace(matter, over=True), (Shut(why="终报已收，各项已办结"),)
