"""The settings classes of obligations.toml: what units owe beside the reports of their incidents (零报告)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.core.obligations import Rule
from gateway.i18n import _
from gateway.reference import UnitName
from gateway.settings_base import Name, Section, wrong

Sort = Literal["registered", "follow_up", "below_threshold", "drill", "needs_person"]
Role = Literal["unit", "superior", "leader", "media", "public"]
Count = Annotated[int, Field(ge=0, le=100_000)]


class ObligationEntry(Section):
    """One obligation."""

    name: Name = Field(description="its name, as people say it; each once")
    units: tuple[UnitName, ...] = Field(default=(), description="units of directory.toml by name")
    roles: tuple[Role, ...] = Field(default=(), description="and all units of these roles")
    each: Literal["unit", "informant"] = Field(
        default="unit", description="who owes it: the unit as a whole, or every registered informant of it"
    )
    monthly: Count = Field(default=0, description="good reports owed each month; 0: none")
    yearly: Count = Field(default=0, description="good reports owed each year; 0: none")
    within_hours: int = Field(
        default=0, ge=0, le=8784, description="hours within which a day-to-day item must be sent after the event; 0: no limit"
    )
    good: tuple[Sort, ...] = Field(
        default=("registered", "follow_up"), description="what counts as a good report, by what became of it"
    )
    day_to_day: tuple[Sort, ...] = Field(
        default=("below_threshold",), description="what is a day-to-day item, by what became of it"
    )
    since: date | None = Field(
        default=None, alias="from", description="first day it is owed from; left out: since the gateway first knew of obligations"
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> ObligationEntry:
        if not (self.units or self.roles):
            raise wrong(_("nobody owes it"), _("at least one of units and roles"))
        if not (self.monthly or self.yearly or self.within_hours):
            raise wrong(_("it asks for nothing"), _("at least one of monthly, yearly and within_hours above 0"))
        return self

    def rule(self) -> Rule:
        """As the core has it."""
        return Rule(
            name=self.name, units=self.units, roles=self.roles, each=self.each, monthly=self.monthly, yearly=self.yearly,
            within=timedelta(hours=self.within_hours) if self.within_hours else None, good=frozenset(self.good),
            day_to_day=frozenset(self.day_to_day), since=self.since,
        )  # fmt: skip


class ObligationsFile(Section):
    """obligations.toml. A file that is left out asks for nothing."""

    remind_days: int = Field(
        default=3, ge=0, le=27, description="days before a period ends in which those who have not sent are reminded; 0: never"
    )
    remind_hour: int = Field(default=9, ge=0, le=23, description="hour of the day, local time, of the reminder")
    judge_hours: int = Field(
        default=9, ge=0, le=720, description="hours after the end of a period at which a breach is recorded"
    )
    obligation: tuple[ObligationEntry, ...] = Field(default=(), description="what is owed, and by whom")

    @model_validator(mode="after")
    def _each_once(self) -> ObligationsFile:
        names = [one.name for one in self.obligation]
        for name in names:
            if names.count(name) > 1:
                raise wrong(_("two obligations are called {name}").format(name=name), _("each name once"))
        return self

    def rules(self) -> tuple[Rule, ...]:
        """As the core has them."""
        return tuple(one.rule() for one in self.obligation)
