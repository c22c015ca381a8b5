"""What a person's correction makes of an incident: values as the report holds them, and all that is decided by them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from gateway.core import catalogue
from gateway.core.catalogue import Catalogue
from gateway.core.clocks import anchor
from gateway.core.model import FIGURES, Figure, Incident, Occurred
from gateway.i18n import _

CORRECTABLE = (*FIGURES, "occurred", "cause", "unit", "signed_by", "attitude")
"""The facts that a person may correct."""


def decided_anew(rules: Catalogue, incident: Incident, changes: Mapping[str, Any]) -> Incident:
    """``incident`` with ``changes`` in its report, and what follows from them: items, degree, what is missing. Items that words
    alone had met stay."""
    facts = replace(incident.report, **changes)
    again = catalogue.classify(rules, facts, subject=incident.title)
    items = tuple(dict.fromkeys((*(m.item for m in again.items), *_by_words(incident))))
    return replace(
        incident,
        report=facts,
        items=items,
        why={**{i: w for i, w in incident.why.items() if i in items}, **{m.item: m.why for m in again.items}},
        missing=again.missing,
        severity=again.severity,
        review=again.review,
        state="open" if incident.state == "below_threshold" and items else incident.state,
    )


def fact(name: str, value: Any) -> Any:
    """A corrected value as the report holds it. Raises ``ValueError`` with what is allowed."""
    if name in FIGURES:
        text = str(value).strip()
        if text in ("", "不详", "unknown", "None"):
            return Figure(value=None, qualifier="unknown")
        if re.fullmatch(r"\d{1,12}(\.\d{1,4})?", text, re.ASCII) is None:
            raise ValueError(_("{name}: {value} is no number; allowed: a number, or unknown").format(name=name, value=text))
        number = float(text)
        whole = int(number) if number.is_integer() else number
        return Figure(value=whole, qualifier="zero" if whole == 0 else "exact")
    if name == "occurred":
        return _occurred(str(value))
    if name in CORRECTABLE:
        return str(value)
    raise ValueError(_("{name} cannot be corrected; allowed: {known}").format(name=name, known=", ".join(CORRECTABLE)))


def _occurred(text: str) -> Occurred:
    sizes = {4: "year", 7: "month", 10: "day", 13: "hour", 16: "minute"}
    value = text.strip().replace(" ", "T")
    precision = sizes.get(len(value))
    made = Occurred(value=value, precision=precision) if precision else None  # type: ignore[arg-type]
    if made is not None:
        far = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
        start, estimated = anchor(made, far, "UTC")  # only whether it is a time at all is asked: any zone will do
        if start != far or not estimated:
            return made
    raise ValueError(_("{value} is no time; allowed: 2026-03-05, 2026-03-05T22, 2026-03-05T22:30").format(value=text))


def plain(value: Any) -> Any:
    """A fact as an event tells it: a figure or a time by its value."""
    return getattr(value, "value", None) if value is not None and hasattr(value, "value") else value


def _by_words(incident: Incident) -> tuple[str, ...]:
    """Items that words alone had met: a corrected figure does not touch them."""
    return tuple(item for item in incident.items if not any("≥" in why for why in incident.why.get(item, ())))
