"""Which incident a report belongs to: by its number, its thread, the sender's words, or the same kind, place and time. Pure.

A further report of the same unit is attached, one of another unit is merged; figures are never added up, and where two
units differ both figures stay visible. What is only likely is proposed to a person, and the report opens an incident of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Literal

from msgspec import Struct
from msgspec.structs import force_setattr

from gateway.core.folding import fold
from gateway.core.model import Incident, Occurred, Report
from gateway.core.parsing import Table
from gateway.core.whereabouts import numbers_differ, shared_name


class MessageFacts(Struct, frozen=True, kw_only=True):
    """What is known of a message beside its text. ``unit`` is the reporting unit as stated, else as the directory knows it;
    ``answers`` the id of the incident that a mail of ours was about which this one answers."""

    channel: str
    sender: str
    received_at: datetime
    subject: str = ""
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    answers: str | None = None
    kinds: tuple[str, ...] = ()
    unit: str | None = None


class Candidate(Struct, frozen=True, kw_only=True):
    """An incident that a report may belong to, with the carrier's ids and senders of what told of it."""

    incident: Incident
    message_ids: frozenset[str]
    senders: frozenset[str]
    last_report_at: datetime
    county: str | None = None
    """The incident's, set by itself: it is asked of every candidate at every report."""

    def __post_init__(self) -> None:
        place = self.incident.report.place
        force_setattr(self, "county", place.county if place else None)


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


_last = attrgetter("last_report_at")
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
    # In their own zone: two instants of different zones take several times as long to compare.
    since = (facts.received_at - timedelta(hours=rules.follow_hours)).astimezone(UTC)
    recent = [c for c in pool if c.last_report_at >= since]
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
    found = [c for c in pool if c.incident.number == cited]
    if not found and "-" not in cited:
        tail = cited.lstrip("0")
        found = [c for c in pool if c.incident.number.partition("-")[2].lstrip("0") == tail]
    return max(found, key=lambda c: c.last_report_at) if found else None


def _by_thread(facts: MessageFacts, pool: Sequence[Candidate]) -> Candidate | None:
    """In-Reply-To is trusted; References only where the subject agrees."""
    if not (facts.in_reply_to or facts.answers or facts.references):
        return None
    for candidate in pool:
        if facts.in_reply_to and facts.in_reply_to in candidate.message_ids:
            return candidate
        if facts.answers and facts.answers == candidate.incident.id:
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
    elsewhere = _counties_differ(report, theirs) or bool(report.place and theirs.place and not shared_name(report, theirs))
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
    if _counties_differ(report, theirs) and not (source and len(shared_name(report, theirs)) >= rules.long_name):
        return 0
    score = 2 * source + _recalled(report, theirs)
    score += 2 * bool(set(facts.kinds) & set(candidate.incident.kinds))
    score += 1 if report.place and theirs.place and report.place.county == theirs.place.county else 0
    score += 2 * bool(shared_name(report, theirs))
    score += 2 if _minutes_apart(report.occurred, theirs.occurred) == 0 else 0
    # 昨晚 around midnight is a day off; two days are another event, whatever else agrees.
    days = _days_apart(report.occurred, theirs.occurred)
    return score - (0 if days == 0 else 2 if days == 1 or report.correction else 4)


def _days_apart(ours: Occurred | None, theirs: Occurred | None) -> int:
    """Days between two times; 0 where one of them is not known to the day."""
    if ours is None or theirs is None or min(len(ours.value), len(theirs.value)) < 10:
        return 0
    return abs((date.fromisoformat(ours.value[:10]) - date.fromisoformat(theirs.value[:10])).days)


def _recalled(ours: Report, theirs: Report) -> int:
    """How much of what 刚才报的〔伤人〕那个事 calls the matter is in the other text: 2, or 0 where it is called nothing."""
    called = _CALLED.search(fold(ours.text[:200]))
    if called is None:
        return 0
    name, told = called[1], fold(theirs.text[:2000])
    return 2 * any(name[at : at + 2] in told for at in range(len(name) - 1))


def _counties_differ(ours: Report, theirs: Report) -> bool:
    first, second = ours.place, theirs.place  # asked of every candidate
    if first is None or second is None or first.county is None or second.county is None:
        return False
    return bool(first.county != second.county)


def _by_event(report: Report, facts: MessageFacts, recent: Sequence[Candidate], rules: MatchRules) -> Verdict:
    likely: list[Candidate] = []
    here = report.place.county if report.place else None
    near = [c for c in recent if here is None or c.county is None or c.county == here]
    for candidate in sorted(near, key=_last, reverse=True):
        theirs = candidate.incident.report
        apart = _minutes_apart(report.occurred, theirs.occurred)
        if theirs.occurred is None and facts.sender in candidate.senders:
            apart = _minutes_before(report.occurred, candidate.last_report_at, facts.received_at)
        if apart is None or apart > rules.likely_minutes:
            continue
        if not set(facts.kinds) & set(candidate.incident.kinds):
            # 斗殴 and 打架, 坠河 and 掉河里: one may have no word of the catalogue for it. A long name then decides.
            if len(shared_name(report, theirs)) < rules.long_name:
                continue
            told = set(facts.kinds), set(candidate.incident.kinds)
            if all(told) and not (told[0] | told[1] == set(rules.brawl_kinds) and _same_deaths(report, theirs)):
                likely.append(candidate)
                continue
        if not _same_county(report, theirs):
            continue
        # The names last: they cost the most.
        if apart <= rules.same_minutes and not numbers_differ(report, theirs) and (shared := shared_name(report, theirs)):
            action: Literal["attach", "merge"] = "attach" if _same_source(candidate, facts) else "merge"
            why = f"同类、同地（{shared}）、同时：{candidate.incident.number}"
            return Verdict(action=action, incident=candidate.incident.id, why=why)
        likely.append(candidate)
    if likely:
        numbers = tuple(c.incident.number for c in likely[:3])
        return Verdict(action="new", why="可能与已有事件为同一事件", certain=False, proposed=numbers)
    return Verdict(action="new")


def _same_county(ours: Report, theirs: Report) -> bool:
    return bool(ours.place and theirs.place and ours.place.county and ours.place.county == theirs.place.county)


def _minutes_apart(ours: Occurred | None, theirs: Occurred | None) -> int | None:
    """Minutes between two times, compared as finely as both are known; None where one is not."""
    if ours is None or theirs is None:
        return None
    size = min(len(ours.value), len(theirs.value))
    if size < 13:
        return 0 if size >= 10 and ours.value[:10] == theirs.value[:10] else None
    return int(abs((_instant(ours.value) - _instant(theirs.value)).total_seconds()) // 60)


@lru_cache(1024)
def _instant(value: str) -> datetime:
    """An hour or a minute, as ``Occurred`` has them."""
    return datetime.fromisoformat((value + ":00")[:16] if len(value) < 16 else value)


def _minutes_before(ours: Occurred | None, told: datetime, received: datetime) -> int | None:
    """着火，具体后报, and then the time: how long before that first word it was; None where it was later or is not known."""
    if ours is None or ours.precision != "minute":
        return None
    apart = told.astimezone(received.tzinfo).replace(tzinfo=None) - datetime.fromisoformat(ours.value)
    return int(apart.total_seconds() // 60) if apart >= timedelta() else None


def _same_deaths(ours: Report, theirs: Report) -> bool:
    return bool(ours.deaths and theirs.deaths and ours.deaths.value and ours.deaths.value == theirs.deaths.value)
