"""Which incident a report belongs to: by its number, its thread, the sender's words, or the same kind, place and time. Pure.

A further report of the same unit is attached, one of another unit is merged; figures are never added up, and where two
units differ both figures stay visible. What is only likely is proposed to a person, and the report opens an incident of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.folding import fold
from gateway.core.model import FIGURES, Figure, Incident, Occurred, Other, Place, Report
from gateway.core.parsing import Table


class MessageFacts(Struct, frozen=True, kw_only=True):
    """What is known of a message beside its text. ``unit`` is the reporting unit as stated, else as the directory knows it."""

    channel: str
    sender: str
    received_at: datetime
    subject: str = ""
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    unit: str | None = None


class Candidate(Struct, frozen=True, kw_only=True):
    """An incident that a report may belong to, with the carrier's ids and senders of what told of it."""

    incident: Incident
    message_ids: frozenset[str]
    senders: frozenset[str]
    last_report_at: datetime


class MatchRules(Struct, frozen=True, kw_only=True):
    """How far apart two reports of one incident may be. Minutes and hours; [matching] of conf/reading.toml.

    ``long_name`` is the length in characters from which a shared name (红旗煤矿) is a name of its own and no accident of wording.
    ``brawl_kinds`` are the two kinds that one and the same fight is told under: by the police as a case,
    by others as a gathering.
    """

    same_minutes: int = 60
    likely_minutes: int = 240
    follow_hours: int = 168
    soon_hours: int = 24
    long_name: int = 4
    brawl_kinds: tuple[str, ...] = ("mass", "crime")

    @classmethod
    def parse(cls, data: object) -> MatchRules:
        """The rules of a table. Raises ``ParseFaults``."""
        table = Table(data, ("matching",), [])
        table.only("same_minutes", "likely_minutes", "follow_hours", "soon_hours", "long_name", "brawl_kinds")
        made = cls(
            same_minutes=table.number("same_minutes", 60, 1),
            likely_minutes=table.number("likely_minutes", 240, 1),
            follow_hours=table.number("follow_hours", 168, 1),
            soon_hours=table.number("soon_hours", 24, 1),
            long_name=table.number("long_name", 4, 3),
            brawl_kinds=table.texts("brawl_kinds") if "brawl_kinds" in table.data else ("mass", "crime"),
        )
        if made.brawl_kinds and len(set(made.brawl_kinds)) != 2:
            table.fault(("brawl_kinds",), "is no pair of kinds", "two kinds of the catalogue, or an empty list")
        if made.likely_minutes < made.same_minutes:
            table.fault(("likely_minutes",), "is less than same_minutes", f"{made.same_minutes} or more")
        table.done()
        return made


class Verdict(Struct, frozen=True, kw_only=True):
    """Where the report goes. ``proposed`` are the numbers of incidents a person may want to join it with."""

    action: Literal["new", "attach", "merge"]
    incident: str | None = None
    why: str = ""
    certain: bool = True
    proposed: tuple[str, ...] = ()


class Revision(Struct, frozen=True, kw_only=True):
    """A fact that a further report changed."""

    field: str
    old: Any
    new: Any


_CALLED = re.compile(
    r"(?:报的|那起|昨天的?|昨晚的?)([一-鿿]{2,12}?)(?:那个?事|的?事情?|这个?事|一事|事故|事件|的情况|[,，。:：]|$)"
)
_BACK = re.compile(
    r"前报|上报的|刚才|刚刚?报|上午报|下午报|早上报|昨天报|昨晚报|之前报|此前报|再报|续报|那个事|那起|上次|上述|该起|前述|报的那|报过的"
)


def match(report: Report, facts: MessageFacts, candidates: Sequence[Candidate], rules: MatchRules) -> Verdict:
    """The incident that ``report`` belongs to, or a new one."""
    if report.drill or report.noise:
        return Verdict(action="new", why="")
    pool = [c for c in candidates if c.incident.state not in ("drill", "merged")]
    if found := _by_number(report, pool):
        return _joined(found, facts, "引用编号")
    if found := _by_thread(facts, pool):
        if _another_event(report, facts, found, rules):
            return Verdict(action="new", why="回复中似为另一事件", certain=False, proposed=(found.incident.number,))
        return _joined(found, facts, "回复原邮件")
    recent = [c for c in pool if facts.received_at - c.last_report_at <= timedelta(hours=rules.follow_hours)]
    follows = report.kind in ("续报", "终报") or report.correction or report.withdrawal or _refers_back(report)
    if follows and (verdict := _by_words(report, facts, recent, rules)):
        return verdict
    return _by_event(report, facts, recent, rules)


def _refers_back(report: Report) -> bool:
    return _BACK.search(fold(report.text[:200])) is not None


def _by_number(report: Report, pool: Sequence[Candidate]) -> Candidate | None:
    cited = report.refers_to
    if not cited:
        return None
    tail = cited.partition("-")[2] or cited
    exact = [c for c in pool if c.incident.number == cited]
    loose = [c for c in pool if "-" not in cited and c.incident.number.partition("-")[2].lstrip("0") == tail.lstrip("0")]
    found = exact or loose
    return max(found, key=lambda c: c.last_report_at) if found else None


def _by_thread(facts: MessageFacts, pool: Sequence[Candidate]) -> Candidate | None:
    """In-Reply-To is trusted; References only where the subject agrees."""
    for candidate in pool:
        if facts.in_reply_to and facts.in_reply_to in candidate.message_ids:
            return candidate
    subject = _bare_subject(facts.subject)
    for candidate in pool:
        if set(facts.references) & candidate.message_ids and subject and _bare_subject(candidate.incident.title) in subject:
            return candidate
    return None


def _another_event(report: Report, facts: MessageFacts, candidate: Candidate, rules: MatchRules) -> bool:
    """Whether an answer to an old mail tells of something new: another kind or place, at another time, and no follow-up."""
    theirs = candidate.incident.report
    if report.kind in ("续报", "终报") or report.correction or report.withdrawal or _refers_back(report):
        return False
    apart = _minutes_apart(report.occurred, theirs.occurred)
    kinds, known = set(facts.kinds), set(candidate.incident.kinds)
    elsewhere = _counties_differ(report, theirs) or bool(report.place and theirs.place and not _shared_name(report, theirs))
    other = bool(kinds and known and not kinds & known) or elsewhere
    return apart is not None and apart > rules.likely_minutes and other


def _bare_subject(subject: str) -> str:
    bare = re.sub(r"^(?:(?:re|fw|fwd|回复|答复|转发|续报[一二三四五六七八九十\d]*|终报)[::\s]*)+", "", fold(subject).lower())
    return re.sub(r"^关于|(?:的)?(?:情况)?(?:的)?(?:续报|报告|终报)?[((]?(?:续报|终报)?[一二三四五六七八九十\d]*[))]?$", "", bare)


def _joined(candidate: Candidate, facts: MessageFacts, why: str) -> Verdict:
    action: Literal["attach", "merge"] = "attach" if _same_source(candidate, facts) else "merge"
    if why.startswith(("引用", "回复")):
        action = "attach"
    return Verdict(action=action, incident=candidate.incident.id, why=f"{why}：{candidate.incident.number}")


def _same_source(candidate: Candidate, facts: MessageFacts) -> bool:
    if facts.sender in candidate.senders:
        return True
    ours, theirs = facts.unit, candidate.incident.report.unit
    return bool(ours and theirs and (ours in theirs or theirs in ours))


def _by_words(report: Report, facts: MessageFacts, recent: Sequence[Candidate], rules: MatchRules) -> Verdict | None:
    """续报, 更正, 上午报的那个: the incident whose words the report repeats, else the sender's only one."""
    judged = ((_kinship(report, facts, c, rules), c) for c in recent)
    scored = sorted(judged, key=lambda pair: (pair[0], pair[1].last_report_at))
    scored = [pair for pair in scored if pair[0] > 0]
    if not scored:
        return None
    best, candidate = scored[-1]
    rival = scored[-2][0] if len(scored) > 1 else 0
    if (best >= 3 or _nothing_else_meant(report, facts, candidate, rules)) and best > rival:
        return Verdict(action="attach", incident=candidate.incident.id, why=f"续报、更正所指：{candidate.incident.number}")
    if best >= 2:
        numbers = tuple(c.incident.number for score, c in reversed(scored) if score == best)
        return Verdict(action="new", why="续报所指不唯一", certain=False, proposed=numbers[:3])
    return None


def _nothing_else_meant(report: Report, facts: MessageFacts, candidate: Candidate, rules: MatchRules) -> bool:
    """续报二：伤员全部转院: no place and no time of its own, soon after, from the very phone that told of the incident."""
    soon = facts.received_at - candidate.last_report_at <= timedelta(hours=rules.soon_hours)
    return soon and facts.sender in candidate.senders and report.place is None and report.occurred is None


def _kinship(report: Report, facts: MessageFacts, candidate: Candidate, rules: MatchRules) -> int:
    theirs = candidate.incident.report
    source = _same_source(candidate, facts)
    if _counties_differ(report, theirs) and not (source and len(_shared_name(report, theirs)) >= rules.long_name):
        return 0
    score = 2 * source + _recalled(report, theirs)
    score += 2 * bool(set(facts.kinds) & set(candidate.incident.kinds))
    score += 1 if report.place and theirs.place and report.place.county == theirs.place.county else 0
    score += 2 * bool(_shared_name(report, theirs))
    score += 2 if _minutes_apart(report.occurred, theirs.occurred) == 0 else 0
    if report.occurred and theirs.occurred and report.occurred.value[:10] != theirs.occurred.value[:10]:
        score -= 2
    return score


def _recalled(ours: Report, theirs: Report) -> int:
    """How much of what 刚才报的〔伤人〕那个事 calls the matter is in the other text: 2, or 0 where it is called nothing."""
    called = _CALLED.search(fold(ours.text[:200]))
    if called is None:
        return 0
    name, told = called[1], fold(theirs.text[:2000])
    return 2 * any(name[at : at + 2] in told for at in range(len(name) - 1))


def _counties_differ(ours: Report, theirs: Report) -> bool:
    first, second = (r.place.county if r.place else None for r in (ours, theirs))
    return first is not None and second is not None and first != second


def _by_event(report: Report, facts: MessageFacts, recent: Sequence[Candidate], rules: MatchRules) -> Verdict:
    likely: list[Candidate] = []
    for candidate in sorted(recent, key=lambda c: c.last_report_at, reverse=True):
        theirs = candidate.incident.report
        if _counties_differ(report, theirs):
            continue
        apart = _minutes_apart(report.occurred, theirs.occurred)
        if apart is None or apart > rules.likely_minutes:
            continue
        shared = _shared_name(report, theirs)
        if not set(facts.kinds) & set(candidate.incident.kinds):
            # 斗殴 and 打架, 坠河 and 掉河里: one may have no word of the catalogue for it. A long name then decides.
            if len(shared) < rules.long_name:
                continue
            told = set(facts.kinds), set(candidate.incident.kinds)
            if all(told) and not (told[0] | told[1] == set(rules.brawl_kinds) and _same_deaths(report, theirs)):
                likely.append(candidate)
                continue
        if apart <= rules.same_minutes and shared and _same_county(report, theirs) and not _numbers_differ(report, theirs):
            action: Literal["attach", "merge"] = "attach" if _same_source(candidate, facts) else "merge"
            why = f"同类、同地（{shared}）、同时：{candidate.incident.number}"
            return Verdict(action=action, incident=candidate.incident.id, why=why)
        if _same_county(report, theirs):
            likely.append(candidate)
    if likely:
        numbers = tuple(c.incident.number for c in likely[:3])
        return Verdict(action="new", why="可能与已有事件为同一事件", certain=False, proposed=numbers)
    return Verdict(action="new")


def _same_county(ours: Report, theirs: Report) -> bool:
    return bool(ours.place and theirs.place and ours.place.county and ours.place.county == theirs.place.county)


def _numbers_differ(ours: Report, theirs: Report) -> bool:
    """二号仓库 and 七号仓库, 解放路12号 and 解放路86号: what is numbered apart is not one place."""
    first, second = (set(_NUMBERED.findall(fold(r.place.text))) if r.place else set() for r in (ours, theirs))
    return bool(first and second and not first & second)


def _minutes_apart(ours: Occurred | None, theirs: Occurred | None) -> int | None:
    """Minutes between two times, compared as finely as both are known; None where one is not."""
    if ours is None or theirs is None:
        return None
    size = min(len(ours.value), len(theirs.value))
    if size < 13:
        return 0 if size >= 10 and ours.value[:10] == theirs.value[:10] else None
    first, second = (datetime.fromisoformat((v + ":00")[:16] if len(v) < 16 else v) for v in (ours.value, theirs.value))
    return int(abs((first - second).total_seconds()) // 60)


def _shared_name(ours: Report, theirs: Report) -> str:
    """The longest stretch of three characters or more that both name as the place, beside the county's own name."""
    found = max(_named_in(theirs.place, ours.text), _named_in(ours.place, theirs.text), key=len)
    return found or _venue(ours, theirs) or _shared_road(ours.text, theirs.text)


def _shared_road(ours: str, theirs: str) -> str:
    """A numbered road that both texts name, however they write it."""
    both = [set(_NUMBERED_ROAD.findall(_roads(fold(text[:2000])))) for text in (ours, theirs)]
    return min(both[0] & both[1], default="")


def _venue(ours: Report, theirs: Report) -> str:
    """A street or house that both texts name, where one of them is read as no finer than its county."""
    if all(r.place is None or r.place.text not in (r.place.county, r.place.city) for r in (ours, theirs)):
        return ""
    # 石桥县 is no bridge that both stand at.
    counties = {part for r in (ours, theirs) if r.place for part in (r.place.county, r.place.city) if part}
    first, text = fold(ours.text[:300]), fold(theirs.text[:300])
    for county in counties:
        first, text = first.replace(county, "|"), text.replace(county, "|")
    names = (name for name in _VENUE.findall(first) if name in text)
    return max(names, key=len, default="")


def _same_deaths(ours: Report, theirs: Report) -> bool:
    return bool(ours.deaths and theirs.deaths and ours.deaths.value and ours.deaths.value == theirs.deaths.value)


_NUMBERED_ROAD = re.compile(r"[国省县]道\d{3}")
_SPOKEN = {char: str(number) for number, char in enumerate("零一二三四五六七八九")} | {"〇": "0", "幺": "1"}
_ROAD = re.compile(
    r"(?P<spoken>[零〇一二三四五六七八九幺]{3})(?P<a>[国省县]道)|[GSgs]?(?P<number>\d{3})(?P<b>[国省县]道)|国道[Gg](?P<g>\d{3})|省道[Ss](?P<s>\d{3})"
)


def _roads(text: str) -> str:
    """三一零国道, 310国道 and 国道G310 are 国道310."""

    def plain(found: re.Match[str]) -> str:
        if found["spoken"]:
            return found["a"] + "".join(_SPOKEN[char] for char in found["spoken"])
        if found["number"]:
            return found["b"] + found["number"]
        return f"国道{found['g']}" if found["g"] else f"省道{found['s']}"

    return _ROAD.sub(plain, text)


def _named_in(place: Place | None, words: str) -> str:
    if place is None:
        return ""
    name, text = _roads(fold(place.text)), _roads(fold(words[:2000]))
    for part in (place.county, place.city):
        if part:
            name = name.replace(part, "|")
    best = ""
    for start in range(len(name)):
        if name[start] == "号":
            continue
        size = max(len(best) + 1, 3)
        while start + size <= len(name) and "|" not in name[start : start + size] and name[start : start + size] in text:
            best = name[start : start + size]
            size += 1
    return best


_VENUE = re.compile(
    r"(?:(?<=[,，。;；:：])|(?<=[于在]))[一-鿿]{1,10}(?:[路街巷]|歌厅|酒店|饭店|商场|商店|市场|广场|小区|学校|中学|小学|医院|[工煤]厂|煤矿|[村桥站])"
    r"(?:[一-鿿]{1,6}(?:歌厅|酒店|饭店|商场|商店|市场|广场|小区|学校|医院))?"
)
_NUMBERED = re.compile(r"[0-9一二三四五六七八九十百]+(?=号)")
_KEPT = ("kind", "number", "correction", "withdrawal", "text", "refers_to", "noise", "drill", "marking", "evidence")
_ONCE = ("place", "unit", "reporter", "phone", "occurred", "casualties")
_LISTS = ("measures", "next_steps", "cites")


DIFFER = "两单位所报不一致，取较大者"
"""Why a figure was taken where two units differ; the unit that stated it stands behind in brackets, where it is known."""


def combine(old: Report, new: Report, *, another: bool = False, unit: str | None = None) -> tuple[Report, tuple[Revision, ...]]:
    """An incident's facts after a further report: what was stated last wins, nothing is added up.

    Where ``another`` unit than before reports, a lower figure never takes the place of a higher one: both stay, and only a
    further report of the unit that stated the higher one, or a correction, settles it. ``unit`` is who reports now, where the
    text does not say. The text is that of the newer report; what is carried over from the older one loses its evidence, whose
    offsets count in another text.
    """
    unit = new.unit or unit
    changes: dict[str, Any] = {name: getattr(new, name) for name in _KEPT}
    revisions: list[Revision] = []
    for name in FIGURES:
        before_, now_ = getattr(old, name), getattr(new, name)
        if now_ is not None and not new.correction and (another or _unsettled(before_, unit)):
            chosen = _higher(before_, now_, old.unit, unit)
        else:
            chosen = _figure(before_, now_, new)
        changes[name] = chosen
        before, after = _value(before_), _value(chosen)
        if before != after:
            revisions.append(Revision(field=name, old=before, new=after))
    for name in (*_ONCE, "cause", "attitude", "signed_by"):
        before, now = getattr(old, name), getattr(new, name)
        fresh = now is not None and (before is None or name in ("cause", "attitude", "signed_by", "casualties") or new.correction)
        fresh = fresh or (name == "occurred" and _finer(before, now))
        changes[name] = now if fresh else _bare(before)
        if fresh and before is not None and _named(before) != _named(now):
            revisions.append(Revision(field=name, old=_named(before), new=_named(now)))
    for name in _LISTS:
        changes[name] = tuple(dict.fromkeys((*getattr(old, name), *getattr(new, name))))
    changes["sensitive"] = old.sensitive or new.sensitive
    return replace(old, **changes), tuple(revisions)


def _unsettled(old: Figure | None, unit: str | None) -> bool:
    """Whether two units differ on ``old`` and ``unit`` is not known to be the one whose figure was taken."""
    if old is None or not old.why.startswith(DIFFER):
        return False
    taken = old.why[len(DIFFER) :].strip("（）")
    return not (unit and taken and (unit in taken or taken in unit))


def _higher(old: Figure | None, new: Figure, before: str | None, unit: str | None) -> Figure | None:
    """The higher of two units' figures, the other one kept beside it. A bound that the other figure meets is no other figure."""
    if old is None or old.value is None or new.value is None:
        return new if old is None or old.value is None else _bare(old)
    if new.value <= old.value and (new.value == old.value or new.qualifier == "at_least"):
        return _bare(old) if old.why or new.qualifier != "exact" else new
    known = _bare(old)
    others = known.others if known.why.startswith(DIFFER) else ()
    if new.value > old.value:
        if old.qualifier == "at_least":
            return replace(new, others=others, why=_differ(unit)) if others else new
        beside = _other(known)
        return replace(new, others=_each((*others, beside)), why=_differ(unit))
    why = known.why if others else _differ(before)
    return replace(known, others=_each((*others, _other(_bare(new)))), why=why)  # type: ignore[no-any-return]


def _differ(unit: str | None) -> str:
    return f"{DIFFER}（{unit}）" if unit else DIFFER


def _other(figure: Figure) -> Other:
    return Other(value=figure.value, qualifier=figure.qualifier, max=figure.max)


def _each(others: tuple[Other, ...]) -> tuple[Other, ...]:
    return tuple({(o.value, o.qualifier, o.max): o for o in others}.values())


def _figure(old: Figure | None, new: Figure | None, report: Report) -> Figure | None:
    if new is None or (new.value is None and old is not None and old.value is not None):
        return _bare(old)  # type: ignore[no-any-return]
    if old is not None and old.value is not None and new.qualifier == "at_least" and not report.correction:
        return new if (new.value or 0) >= old.value else _bare(old)
    return new


def _bare(value: Any) -> Any:
    """``value`` without the evidence that points into a text which is no longer there."""
    if others := getattr(value, "others", None):
        value = replace(value, others=tuple(replace(other, evidence=()) for other in others))
    return replace(value, evidence=()) if getattr(value, "evidence", None) else value


def _value(figure: Figure | None) -> float | None:
    return None if figure is None else figure.value


def _named(value: Any) -> Any:
    return getattr(value, "text", None) or getattr(value, "value", None) or value


def _finer(old: Occurred | None, new: Occurred | None) -> bool:
    return old is not None and new is not None and len(new.value) > len(old.value) and new.value.startswith(old.value[:10])
