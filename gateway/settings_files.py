"""The settings classes of directory.toml and calendar.d/."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from gateway.i18n import _
from gateway.reference import TransportName
from gateway.settings_base import Id, Mail, Name, Phone, Section, wrong


class HolidayEntry(Section):
    """A holiday of several days, or of one where ``to`` is left out."""

    name: Name = Field(description="name of the holiday")
    first: date = Field(alias="from", description="first day off")
    last: date | None = Field(default=None, alias="to", description="last day off; left out: one day")

    @model_validator(mode="after")
    def _ordered(self) -> HolidayEntry:
        if self.last is not None and not 0 <= (self.last - self.first).days <= 31:
            raise wrong(_("the holiday runs backwards or lasts over a month"), "from ≤ to")
        return self


class WorkdayEntry(Section):
    """A weekend day worked in exchange (调休上班)."""

    name: Name = Field(description="the holiday it is exchanged for")
    day: date = Field(description="the day worked")


class CalendarFile(Section):
    """calendar.d/*.toml: one year's arrangement, or local days on top of it."""

    year: int = Field(ge=2000, le=2200, description="the year")
    complete: bool = Field(
        default=False, description="true: the file holds the whole arrangement of the year, which is then known"
    )
    holiday: tuple[HolidayEntry, ...] = Field(default=(), description="days off")
    workday: tuple[WorkdayEntry, ...] = Field(default=(), description="weekend days worked")


class PersonEntry(Section):
    """A person. Numbers may be written as usual; they are kept as E.164."""

    name: Name = Field(description="the person's name")
    phone: Phone = Field(default="", description="mobile or telephone number: digits, with +NN or area code as needed")
    mail: Mail = Field(default="", description="mail address: name@domain")
    role: str = Field(default="", max_length=50, description="duty or rank")
    login: str = Field(
        default="", pattern=r"^$|^[a-z_][a-z0-9_.-]{0,31}$", description="user of this host by whose commands this person acts"
    )


class WayEntry(Section):
    """One way to an office."""

    transport: TransportName = Field(description="a configured transport")
    address: str = Field(min_length=1, max_length=254, description="mail address or number, as the transport asks")


class OfficeEntry(Section):
    """An office or department that receives."""

    id: Id = Field(description="short name for conf and commands: a-z, 0-9 and _")
    name: Name = Field(description="display name")
    hours: Literal["working", "out", "always"] = Field(default="always", description="when it is staffed")
    role: Literal["office", "leader", "department", "superior"] = Field(default="office", description="what it is")
    persons: tuple[PersonEntry, ...] = Field(default=(), description="its duty persons")
    ways: tuple[WayEntry, ...] = Field(default=(), description="ways to it, tried in order")
    not_cleared: tuple[TransportName, ...] = Field(
        default=(), description="transports that carry nothing sensitive to this office, though [secrecy] clears them"
    )


class UnitEntry(Section):
    """A source of reports."""

    name: Name = Field(description="the unit's name")
    county: str = Field(default="", description="its county or district")
    role: Literal["unit", "superior", "leader", "media", "public"] = Field(
        default="unit", description="what it means when it speaks"
    )
    informants: tuple[PersonEntry, ...] = Field(default=(), description="its registered informants")
    phone: Phone = Field(default="", description="its telephone: digits, with +NN or area code as needed")
    mail: Mail = Field(default="", description="its mail address: name@domain")
    fax: Phone = Field(default="", description="its fax number: digits, with +NN or area code as needed")


class DirectoryFile(Section):
    """directory.toml: offices that receive, units that report."""

    area_code: str = Field(
        default="", pattern=r"^(0\d{2,3})?$", description="the city's area code with its 0, for numbers written without it"
    )
    region: str = Field(default="CN", pattern="^[A-Z]{2}$", description="country in which numbers without +NN are read")
    office: tuple[OfficeEntry, ...] = Field(default=(), description="offices and departments")
    unit: tuple[UnitEntry, ...] = Field(default=(), description="reporting units and other sources")
