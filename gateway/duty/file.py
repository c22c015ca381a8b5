"""conf/duty.toml: escalation, who must name whom it told, hand-over, sign-off, follow-ups, supervision, replies, answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from gateway.core.duty import rules
from gateway.core.model import FIGURES
from gateway.core.replies import Words
from gateway.i18n import _
from gateway.reference import OfficeId
from gateway.settings_base import Id, Name, Section

Hours = Literal["any", "working", "out"]
Duty = Literal["receive", "inform", "cooperate"]
Minutes = Annotated[int, Field(ge=0, le=100_000)]
Said = tuple[Annotated[str, StringConstraints(min_length=1, max_length=20)], ...]


def _wrong(what: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{what}; {allowed}", {"what": what, "allowed": allowed})


class StepEntry(Section):
    """One step of an escalation."""

    after: Minutes = Field(description="minutes without an acknowledgement")
    to: Literal["other_way", "next", "leader", "office"] = Field(
        description="the person on duty by another way, the next on the roster, the leader on duty, or an office"
    )
    office: OfficeId = Field(default="", validate_default=False, description="the office, where to = office")

    @model_validator(mode="after")
    def _named(self) -> StepEntry:
        if (self.to == "office") != bool(self.office):
            raise _wrong(_("office goes with to = \"office\", and with nothing else"), _("both or neither"))
        return self


class EscalationEntry(Section):
    """How offices are pressed for their acknowledgement (签收). The first entry that fits holds."""

    offices: tuple[OfficeId, ...] = Field(default=(), description="for these offices; empty: all")
    duties: tuple[Duty, ...] = Field(default=("receive",), description="what they have the incident for; empty: all")
    hours: Hours = Field(default="any", description="for what was sent at these hours")
    step: tuple[StepEntry, ...] = Field(default=(), description="steps, in order")
    repeat_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=30, description="after the last step an alarm and a call to everybody on duty come again so often"
    )

    @model_validator(mode="after")
    def _ordered(self) -> EscalationEntry:
        after = [one.after for one in self.step]
        if after != sorted(set(after)):
            raise _wrong(_("the steps are not in order"), _("each step later than the one before"))
        return self


class TellingEntry(Section):
    """Which office names the person that it told, of which office. Minutes count from when it was offered the incident."""

    of: tuple[OfficeId, ...] = Field(min_length=1, description="offices that must tell")
    whom: OfficeId = Field(description="the office whose person must be named")
    hours: Hours = Field(default="any", description="for what was sent at these hours")
    ask: Minutes = Field(default=0, description="when the name is asked for")
    remind: Minutes = Field(default=5, description="when it is reminded of")
    escalate: Minutes = Field(default=10, description="when the leader on duty is asked")
    repeat_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(default=30, description="reminded again so often after that")

    @model_validator(mode="after")
    def _ordered(self) -> TellingEntry:
        if not self.ask < self.remind < self.escalate:
            raise _wrong(_("the steps are not in order"), "ask < remind < escalate")
        return self


class HandoverEntry(Section):
    """An office of working hours and the one that stands in for it out of hours."""

    working: OfficeId = Field(description="the office of working hours")
    out: OfficeId = Field(description="the office out of hours")


class SignerEntry(Section):
    """A level of the sign-off (审签)."""

    id: Id = Field(description="its name in chains and commands")
    title: Name = Field(description="what it is called")
    offices: tuple[OfficeId, ...] = Field(min_length=1, description="offices whose persons may sign at this level")


class ChainEntry(Section):
    """Who signs, in order, before a report goes to the level above."""

    levels: tuple[str, ...] = Field(default=(), description="degrees of severity (catalogue.toml); empty: all others")
    signers: tuple[Id, ...] = Field(min_length=1, description="levels of sign-off, in order")


class RhythmEntry(Section):
    """When follow-ups (续报) are asked for."""

    levels: tuple[str, ...] = Field(default=(), description="degrees of severity; empty: all others")
    minutes: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(
        min_length=1, description="minutes after the last report or request, one after another; the last one repeats"
    )


class UpwardSection(Section):
    """Delivery to the level above, after the sign-off."""

    offices: tuple[OfficeId, ...] = Field(default=(), description="offices of the level above")
    remind_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=30, description="a missing signature is reminded of so often"
    )


class SupervisionSection(Section):
    """Instructions of leaders (批示) under supervision (督办)."""

    hours: Annotated[int, Field(ge=1, le=1000)] = Field(default=24, description="time to do it, where the instruction names none")
    remind_minutes: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=60, description="what is overdue is reminded of so often"
    )


class RepliesSection(Section):
    """What a person of the directory may answer by short message or mail; a number of the incident may follow."""

    acknowledge: Said = Field(default=("收到", "已收到", "签收", "已签收", "收悉", "已悉"), description="I have it")
    notified: Said = Field(
        default=("已告知", "已通知", "已报告", "已报", "告知", "通知"), description="I told the person named after it"
    )
    approve: Said = Field(default=("同意上报", "同意", "审签同意"), description="I sign, with this wording")


class AnswersSection(Section):
    """The answer to whoever reported: received, number, what is missing."""

    enabled: bool = Field(default=True, description="answer reporters by the way they came")
    most_per_hour: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=20, description="answers to one address within an hour; guards against mail loops"
    )


class JudgementSection(Section):
    """Judgements made by rule."""

    silent_clock: Id = Field(
        default="initial", description="the unit's clock whose passing is a breach where another source had told first"
    )


class RevisionSection(Section):
    """What makes an incident graver: whoever has it must then acknowledge it anew, and it is signed and sent up anew."""

    figures: tuple[Literal[FIGURES], ...] = Field(  # type: ignore[valid-type]
        default=("deaths", "missing", "injured", "seriously_injured", "poisoned", "ill"), description="figures that have risen"
    )


class ShiftSection(Section):
    """The sheet of a shift's hand-over (交接班)."""

    sign_within_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=120, description="the clerk who comes signs within this time after the one who goes; later it is signed anew"
    )
    longest_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        default=24, description="how far back a sheet looks where neither a hand-over nor the roster says when the shift began"
    )


class DutyFile(Section):
    """duty.toml."""

    escalation: tuple[EscalationEntry, ...] = Field(default=(), description="who is pressed for an acknowledgement, and how")
    telling: tuple[TellingEntry, ...] = Field(default=(), description="who must name the person it told")
    handover: tuple[HandoverEntry, ...] = Field(default=(), description="which offices stand in for each other")
    signer: tuple[SignerEntry, ...] = Field(default=(), description="levels of the sign-off")
    chain: tuple[ChainEntry, ...] = Field(default=(), description="chains of the sign-off")
    rhythm: tuple[RhythmEntry, ...] = Field(default=(), description="when follow-ups are asked for")
    upward: UpwardSection = Field(default=UpwardSection(), description="delivery to the level above")
    supervision: SupervisionSection = Field(default=SupervisionSection(), description="instructions of leaders")
    replies: RepliesSection = Field(default=RepliesSection(), description="words of replies")
    answers: AnswersSection = Field(default=AnswersSection(), description="answers to reporters")
    revision: RevisionSection = Field(default=RevisionSection(), description="what makes an incident graver")
    judgement: JudgementSection = Field(default=JudgementSection(), description="judgements made by rule")
    shift: ShiftSection = Field(default=ShiftSection(), description="the sheet of a shift's hand-over")

    @model_validator(mode="after")
    def _named(self) -> DutyFile:
        known = [one.id for one in self.signer]
        for id_ in (id_ for chain in self.chain for id_ in chain.signers):
            if id_ not in known:
                raise _wrong(_("unknown signer '{name}' in a chain").format(name=id_), ", ".join(known))
        return self

    def words(self) -> Words:
        """The words of replies, as the core takes them."""
        given = self.replies
        return Words(acknowledge=given.acknowledge, notified=given.notified, approve=given.approve)

    def rules(self) -> rules.DutyRules:
        """As the core takes them."""
        return rules.DutyRules(
            plans=tuple(
                rules.Plan(
                    offices=one.offices,
                    duties=one.duties,
                    hours=one.hours,
                    steps=tuple(rules.Step(after=s.after, to=s.to, office=s.office) for s in one.step),
                    repeat=one.repeat_minutes,
                )
                for one in self.escalation
            ),
            tellings=tuple(
                rules.TellRule(
                    of=one.of, whom=one.whom, hours=one.hours, ask=one.ask, remind=one.remind, escalate=one.escalate,
                    repeat=one.repeat_minutes,
                )
                for one in self.telling
            ),
            pairs=tuple(rules.Pair(working=one.working, out=one.out) for one in self.handover),
            signers=tuple(rules.Signer(id=one.id, title=one.title, offices=one.offices) for one in self.signer),
            chains=tuple(rules.Chain(signers=one.signers, levels=one.levels) for one in self.chain),
            rhythms=tuple(rules.Rhythm(minutes=one.minutes, levels=one.levels) for one in self.rhythm),
            upward=self.upward.offices,
            sign_remind=self.upward.remind_minutes,
            supervise_hours=self.supervision.hours,
            supervise_remind=self.supervision.remind_minutes,
            silent_clock=self.judgement.silent_clock,
            raising=self.revision.figures,
        )  # fmt: skip
