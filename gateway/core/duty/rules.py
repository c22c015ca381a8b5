"""The rules of the duty, as conf/duty.toml gives them. Minutes throughout; offices by id."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Hours = Literal["any", "working", "out"]
Reach = Literal["other_way", "next", "leader", "office"]


class Step(Struct, frozen=True, kw_only=True):
    """One step of an escalation (升级), ``after`` minutes without an acknowledgement: the person on duty by another way, the next
    on the roster, the leader on duty, or another office."""

    after: int
    to: Reach
    office: str = ""


class Plan(Struct, frozen=True, kw_only=True):
    """How an office is pressed for its acknowledgement. Empty ``offices`` or ``duties``: all. After the last step an alarm comes
    every ``repeat`` minutes."""

    offices: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()
    hours: Hours = "any"
    steps: tuple[Step, ...] = ()
    repeat: int = 30


class TellRule(Struct, frozen=True, kw_only=True):
    """Who must name the person it told: an office of ``of`` names a person of ``whom``."""

    of: tuple[str, ...]
    whom: str
    hours: Hours = "any"
    ask: int = 0
    remind: int = 5
    escalate: int = 10
    repeat: int = 30


class Pair(Struct, frozen=True, kw_only=True):
    """The office of working hours and the one that stands in for it out of hours."""

    working: str
    out: str


class Signer(Struct, frozen=True, kw_only=True):
    """A level of the sign-off (审签) and the offices whose persons hold it."""

    id: str
    title: str
    offices: tuple[str, ...] = ()


class Chain(Struct, frozen=True, kw_only=True):
    """Who signs, in order, for incidents of these degrees; no degree named: all others."""

    signers: tuple[str, ...]
    levels: tuple[str, ...] = ()


class Rhythm(Struct, frozen=True, kw_only=True):
    """Minutes after the last report at which a follow-up (续报) is asked for, one after another; the last one repeats."""

    minutes: tuple[int, ...]
    levels: tuple[str, ...] = ()


class DutyRules(Struct, frozen=True, kw_only=True):
    """All of conf/duty.toml that the core works with."""

    plans: tuple[Plan, ...] = ()
    tellings: tuple[TellRule, ...] = ()
    pairs: tuple[Pair, ...] = ()
    signers: tuple[Signer, ...] = ()
    chains: tuple[Chain, ...] = ()
    rhythms: tuple[Rhythm, ...] = ()
    upward: tuple[str, ...] = ()
    sign_remind: int = 30
    supervise_hours: int = 24
    supervise_remind: int = 60
    silent_clock: str = "initial"
    raising: tuple[str, ...] = ("deaths", "missing", "injured", "seriously_injured", "poisoned", "ill")

    def plan(self, office: str, duty: str, working: bool) -> Plan | None:
        """The plan for an office with that duty at such an hour: the first that fits."""
        for plan in self.plans:
            fits = (not plan.offices or office in plan.offices) and (not plan.duties or duty in plan.duties)
            if fits and at_hour(plan.hours, working):
                return plan
        return None

    def chain(self, level: str) -> tuple[str, ...]:
        """The levels of sign-off for an incident of that degree."""
        named = next((c for c in self.chains if level in c.levels), None)
        found = named or next((c for c in self.chains if not c.levels), None)
        return found.signers if found else ()

    def rhythm(self, level: str) -> tuple[int, ...]:
        """When follow-ups are asked for, of an incident of that degree."""
        named = next((r for r in self.rhythms if level in r.levels), None)
        found = named or next((r for r in self.rhythms if not r.levels), None)
        return found.minutes if found else ()

    def signer(self, id_: str) -> Signer | None:
        """A level of the sign-off by its id."""
        return next((one for one in self.signers if one.id == id_), None)

    def counterpart(self, office: str, working: bool) -> str | None:
        """The office that takes over from ``office`` when working hours begin (``working``) or end."""
        for pair in self.pairs:
            if office == (pair.out if working else pair.working):
                return pair.working if working else pair.out
        return None


def at_hour(hours: Hours, working: bool) -> bool:
    """Whether something that holds at ``hours`` holds now."""
    return hours == "any" or (hours == "working") == working
