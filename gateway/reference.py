"""Types for settings that name something configured elsewhere: an office, a transport, a channel, a kind of incident.

While conf/ is loaded the names that exist are the validation context; a name that is not among them is a fault at its
own line. Without a context (a plugin's unit test) any name is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

Context = Mapping[str, Mapping[str, str]]
"""What exists: sort of thing → name as written → its id. Offices are found by id and by display name."""


def _must_exist(sort: str) -> Callable[[str, ValidationInfo], str]:
    def check(value: str, info: ValidationInfo) -> str:
        context: Context | None = info.context
        if context is None or sort not in context:
            return value
        known = context[sort]
        if value not in known:
            facts: dict[str, Any] = {"sort": sort, "name": value, "known": sorted(set(known.values()))}
            raise PydanticCustomError("unknown_reference", "unknown {sort} '{name}'", facts)
        return known[value]

    return check


OfficeId = Annotated[str, AfterValidator(_must_exist("office"))]
"""An office of directory.toml, by id or display name; becomes its id."""
TransportName = Annotated[str, AfterValidator(_must_exist("transport"))]
"""A configured way out."""
ChannelName = Annotated[str, AfterValidator(_must_exist("channel"))]
"""A configured way in."""
UnitName = Annotated[str, AfterValidator(_must_exist("unit"))]
"""A unit of directory.toml, by its name."""
IncidentKind = Annotated[str, AfterValidator(_must_exist("kind"))]
"""A kind of incident that the catalogue can give (traffic, fire …)."""
ItemId = Annotated[str, AfterValidator(_must_exist("item"))]
"""An item of catalogue.toml."""
PlaceName = Annotated[str, AfterValidator(_must_exist("place"))]
"""The city of gazetteer.toml or one of its counties."""
SecretName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""The name of a secret: a systemd credential, or a 0600 file in the secrets folder. Never the secret itself."""
