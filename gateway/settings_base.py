"""What the settings classes of conf/ are made of: their base, the types of values, and how a value is refused."""

from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from gateway.i18n import _

_CLOCK = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")


def wrong(what: str, allowed: str) -> PydanticCustomError:
    """A fault of a value: what is wrong with it, and what is allowed."""
    return PydanticCustomError("wrong", "{what}; {allowed}", {"what": what, "allowed": allowed})


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        raise wrong(_("no such time zone"), _("an IANA name such as Asia/Shanghai")) from None
    return value


def minutes(clock: str) -> int:
    """ "08:30" → 510; "24:00" is the end of the day. ValueError for anything else."""
    found = _CLOCK.fullmatch(clock)
    total = int(found[1]) * 60 + int(found[2]) if found else -1
    if not 0 <= total <= 24 * 60:
        raise ValueError(clock)
    return total


def _hours(value: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    end = -1
    for start, stop in value:
        try:
            first, last = minutes(start), minutes(stop)
        except ValueError:
            raise wrong(_("no time of day"), _("HH:MM from 00:00 to 24:00")) from None
        if not end <= first < last:
            raise wrong(_("intervals overlap or run backwards"), _("intervals in order, each with its start before its end"))
        end = last
    return value


Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Mail = Annotated[str, StringConstraints(pattern=r"^$|^[^@\s]+@[^@\s]+$")]
Phone = Annotated[str, StringConstraints(pattern=r"^$|^\+?[0-9][0-9 ()-]{1,24}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]
Timezone = Annotated[str, AfterValidator(_timezone)]
WorkingHours = Annotated[tuple[tuple[str, str], ...], AfterValidator(_hours)]


class Section(BaseModel):
    """Base of the sections: unknown keys are faults, and so are defaults that name what does not exist."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
