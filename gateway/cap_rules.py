"""conf/cap.toml: how catalogue items, figures and places are said in CAP 1.2. A city may change every line of it.

Words of CAP's own closed sets (category, severity, urgency, certainty) are those of the OASIS standard of 2010-07-01.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from gateway.core.model import FIGURES
from gateway.i18n import _
from gateway.reference import ItemId, PlaceName
from gateway.settings_base import Name, Section

Category = Literal["Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other"]
Severity = Literal["Extreme", "Severe", "Moderate", "Minor", "Unknown"]
Urgency = Literal["Immediate", "Expected", "Future", "Past", "Unknown"]
Certainty = Literal["Observed", "Likely", "Possible", "Unlikely", "Unknown"]
Geocode = Annotated[str, StringConstraints(pattern=r"^([0-9]{6}|[0-9]{12})$")]

SEVERITIES: tuple[Severity, ...] = ("Extreme", "Severe", "Moderate", "Minor", "Unknown")
"""From the gravest on."""


class CapItem(Section):
    """What a catalogue item is in CAP."""

    id: ItemId = Field(description="a catalogue item")
    category: tuple[Category, ...] = Field(min_length=1, description="CAP categories")
    event: str = Field(default="", max_length=100, description="what it is called; empty: the item's title")
    severity: Severity = Field(default="Unknown", description="at least so severe, whatever the figures say")


class CapLevel(Section):
    """A degree of severity in CAP: one of the catalogue's degrees, further figures from which it holds, or both."""

    degree: str = Field(default="", description="a degree of [severity] in catalogue.toml")
    severity: Severity = Field(description="the degree")
    colour: Literal["", "Red", "Orange", "Yellow", "Blue"] = Field(default="", description="colour in fields of the 12379 form")
    at_least: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default={}, description="figure of a report = the number from which on"
    )

    @model_validator(mode="after")
    def _known(self) -> CapLevel:
        for name in self.at_least:
            if name not in FIGURES:
                facts = {"what": _("unknown figure '{name}'").format(name=name), "allowed": ", ".join(FIGURES)}
                raise PydanticCustomError("wrong", "{what}; {allowed}", facts)
        return self


class CapFile(Section):
    """cap.toml."""

    event: Name = Field(default="突发事件", description="event where no item says better")
    category: tuple[Category, ...] = Field(default=("Other",), min_length=1, description="category where no item says better")
    urgency_open: Urgency = Field(default="Immediate", description="urgency of an incident that goes on")
    urgency_over: Urgency = Field(default="Past", description="urgency after the final report, closing or cancelling")
    certainty_reported: Certainty = Field(default="Observed", description="certainty of what was reported")
    certainty_doubtful: Certainty = Field(default="Possible", description="certainty while a person must still decide or read")
    certainty_cancelled: Certainty = Field(default="Unlikely", description="certainty of what was withdrawn or found false")
    note_cancelled: str = Field(default="信息已撤回或经核实为误报", max_length=200, description="note of a cancelled alert")
    note_merged: str = Field(default="已并入其他事件", max_length=200, description="note where the incident went into another")
    level: tuple[CapLevel, ...] = Field(default=(), description="degrees of severity, the gravest first")
    item: tuple[CapItem, ...] = Field(default=(), description="catalogue items in CAP")
    geocode: dict[PlaceName, Geocode] = Field(
        default={}, description="county or city = its division code (GB/T 2260), 6 or 12 digits"
    )

    def by_item(self, name: str) -> CapItem | None:
        """The entry of a catalogue item."""
        return next((one for one in self.item if one.id == name), None)
