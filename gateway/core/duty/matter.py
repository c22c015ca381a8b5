"""One incident's matter: its clocks, who has it, who must still be told, sign, answer. Frozen; every move makes a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.calendar import Calendar
from gateway.core.clocks import Clock
from gateway.core.directory import Directory, Person
from gateway.core.duty.rules import DutyRules
from gateway.core.model import Address
from gateway.core.roster import Roster

ClockWord = Literal["running", "stopped", "passed", "waived"]


class Running(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A clock of this incident. ``disputed``: its start was corrected after it had been judged, and by the new start it was in
    time; only a person settles that. ``since``: the incident became graver, and it runs again from then."""

    clock: str
    due: datetime
    state: ClockWord = "running"
    stopped_at: datetime | None = None
    warned: bool = False
    judgement: str = ""
    disputed: bool = False
    since: datetime | None = None


class Offer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The incident as one office was offered it. ``round`` counts what it must acknowledge: a figure revised upward begins a new
    one. ``sent_at``: when it was last sent a report, whether or not it must acknowledge that. ``step`` steps of the escalation
    are done; ``tried`` are the persons already called, ``reached`` the offices."""

    office: str
    duty: str
    offered_at: datetime
    sent_at: datetime
    round: int = 1
    step: int = 0
    again_at: datetime | None = None
    tried: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    handed_to: str = ""

    @property
    def waits(self) -> bool:
        """True until a named person has it or another office took over."""
        return self.acknowledged_at is None and not self.handed_to


class Telling(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What office ``of`` owes: the name of the person of ``whom`` that it told. ``step`` 1 asked, 2 reminded, 3 escalated."""

    of: str
    whom: str
    since: datetime
    step: int = 0
    again_at: datetime | None = None
    person: str = ""
    by: str = ""
    at: datetime | None = None
    over: str = ""

    @property
    def waits(self) -> bool:
        """True until a person is named or it no longer matters."""
        return not self.person and not self.over


class Approval(Struct, frozen=True, kw_only=True):
    """One signature: the level, who gave it, when."""

    level: str
    by: str
    at: datetime


class Signing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The sign-off that delivery upward waits for. ``sent_at``: when it was given to dispatch, after the last signature."""

    chain: tuple[str, ...]
    since: datetime
    given: tuple[Approval, ...] = ()
    again_at: datetime | None = None
    sent_at: datetime | None = None
    waived: bool = False

    @property
    def waits(self) -> bool:
        """True while a signature is missing."""
        return self.sent_at is None and not self.waived

    @property
    def level(self) -> str:
        """The level whose signature comes next; empty where none is missing."""
        return self.chain[len(self.given)] if len(self.given) < len(self.chain) else ""


class Instruction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A leader's instruction (批示) under supervision (督办)."""

    id: str
    by: str
    owner: str
    due: datetime
    next_at: datetime
    done_at: datetime | None = None


class Follow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Reports on this incident: how many further ones, when the next is asked for, whether the final one (终报) is here."""

    last_at: datetime
    count: int = 0
    asked: int = 0
    ask_at: datetime | None = None
    missing: tuple[str, ...] = ()
    final: bool = False


class Judged(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A judgement (迟报 漏报 误报 疑似瞒报 瞒报). ``state``: automatic, confirmed or lifted, the latter two by a person."""

    kind: str
    clock: str = ""
    state: Literal["automatic", "confirmed", "lifted"] = "automatic"


class Matter(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that is still to be done about one incident, and what was. ``told_by`` is the role of whoever spoke first,
    ``unit_at`` when the responsible unit itself first reported."""

    number: str
    first_at: datetime
    start: datetime
    follow: Follow
    estimated: bool = False
    level: str = ""
    responsible: tuple[str, ...] = ()
    office_responsible: tuple[str, ...] = ()
    told_by: str = "unit"
    unit_at: datetime | None = None
    clocks: tuple[Running, ...] = ()
    offers: tuple[Offer, ...] = ()
    tellings: tuple[Telling, ...] = ()
    signing: Signing | None = None
    instructions: tuple[Instruction, ...] = ()
    judgements: tuple[Judged, ...] = ()
    boundary: datetime | None = None
    reporter: tuple[Address, ...] = ()
    over: bool = False

    def offer(self, office: str) -> Offer | None:
        """What that office was offered."""
        return next((one for one in self.offers if one.office == office), None)


@dataclass(frozen=True, slots=True)
class Given:
    """What a move is decided with. ``transports`` names the way for ``sms`` and ``email``; without ``trusted`` time nothing is
    judged."""

    now: datetime
    rules: DutyRules
    clocks: tuple[Clock, ...]
    directory: Directory
    roster: Roster
    calendar: Calendar
    transports: Mapping[str, str]
    trusted: bool = True
    _working: dict[datetime, bool] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What was asked before: a move asks of the same few instants again and again."""
    soonest: dict[int, tuple[Matter, Due | None]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What falls due first about a matter, by its identity: a tick ends with that question, and whoever keeps the matter asks it
    again."""

    def working(self, at: datetime) -> bool:
        """Whether ``at`` lies in working hours."""
        known = self._working.get(at)
        if known is None:
            known = self._working[at] = self.calendar.moment(at).working
        return known

    def clock(self, id_: str) -> Clock | None:
        """A clock of conf; None where it was taken out since."""
        for one in self.clocks:
            if one.id == id_:
                return one
        return None

    def person_ways(self, office: str, name: str) -> tuple[Address, ...]:
        """The ways to a person of an office: by short message, then by mail."""
        there = self.directory.office(office)
        person: Person | None = there.person(name) if there else None
        if person is None:
            return ()
        phone = (Address(transport=self.transports["sms"], address=person.phone),) if person.phone else ()
        mail = (Address(transport=self.transports["email"], address=person.mail),) if person.mail else ()
        return phone + mail


class Note(Struct, frozen=True, kw_only=True):
    """An event to be written."""

    event: str
    data: dict[str, Any] = {}
    by: str | None = None


class Send(Struct, frozen=True, kw_only=True):
    """Something to be sent: form ``report`` is the incident itself, the others are short texts of conf/templates. ``ways`` empty:
    the office's own."""

    to: str
    form: str
    duty: str
    ways: tuple[Address, ...] = ()
    because: str = ""
    values: dict[str, str] = {}


class Settle(Struct, frozen=True, kw_only=True):
    """An office has it: what was delivered there is acknowledged by ``by``, what is queued for it is stopped."""

    office: str
    by: str
    how: str
    verified: bool


class Warn(Struct, frozen=True, kw_only=True):
    """An alarm to be raised about this incident."""

    what: str
    why: str
    data: dict[str, Any] = {}


class Shut(Struct, frozen=True, kw_only=True):
    """The incident is over: its state becomes closed."""

    why: str
    by: str | None = None


Effect = Note | Send | Settle | Warn | Shut
Turn = tuple[Matter, tuple[Effect, ...]]
Due = tuple[datetime, Callable[[Matter, Given], Turn]]


def swap(many: tuple[Any, ...], old: Any, **changes: Any) -> tuple[Any, ...]:
    """``many`` with ``old`` changed."""
    return tuple(replace(one, **changes) if one is old else one for one in many)


def joined(matter: Matter, *moves: Callable[[Matter], Turn]) -> Turn:
    """Moves one after another, with all their effects."""
    effects: list[Effect] = []
    for move in moves:
        matter, more = move(matter)
        effects += more
    return matter, tuple(effects)
