"""An incident's facts after a further report: what was stated last wins, and where two units differ both figures stay. Pure."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.model import FIGURES, Figure, Occurred, Other, Report

_KEPT = ("kind", "number", "correction", "withdrawal", "text", "refers_to", "noise", "drill", "marking", "evidence")
_ONCE = ("place", "unit", "reporter", "phone", "occurred", "casualties")
_LISTS = ("measures", "next_steps", "cites")
DIFFER = "两单位所报不一致，取较大者"
"""Why a figure was taken where two units differ; the unit that stated it stands behind in brackets, where it is known."""


class Revision(Struct, frozen=True, kw_only=True):
    """A fact that a further report changed."""

    field: str
    old: Any
    new: Any


def combine(old: Report, new: Report, *, another: bool = False, unit: str | None = None) -> tuple[Report, tuple[Revision, ...]]:
    """An incident's facts after a further report: what was stated last wins, nothing is added up.

    Where ``another`` unit than before reports, a lower figure never takes the place of a higher one: both stay, and only a
    further report of the unit that stated the higher one, or a correction, settles it. ``unit`` is who reports now, where the
    text does not say. The text is that of the newer report; what is carried over from the older one loses its evidence, whose
    offsets count in another text.
    """
    unit = new.unit or unit
    changes: dict[str, Any] = {name: getattr(new, name) for name in _KEPT}
    revisions: list[Revision] = []
    for name in FIGURES:
        before_, now_ = getattr(old, name), getattr(new, name)
        if now_ is not None and not new.correction and (another or _unsettled(before_, unit)):
            chosen = _higher(before_, now_, old.unit, unit)
        else:
            chosen = _figure(before_, now_, new)
        changes[name] = chosen
        before, after = _value(before_), _value(chosen)
        if before != after:
            revisions.append(Revision(field=name, old=before, new=after))
    for name in (*_ONCE, "cause", "attitude", "signed_by"):
        before, now = getattr(old, name), getattr(new, name)
        fresh = now is not None and (before is None or name in ("cause", "attitude", "signed_by", "casualties") or new.correction)
        fresh = fresh or (name == "occurred" and _finer(before, now))
        changes[name] = now if fresh else _bare(before)
        if fresh and before is not None and _named(before) != _named(now):
            revisions.append(Revision(field=name, old=_named(before), new=_named(now)))
    for name in _LISTS:
        changes[name] = tuple(dict.fromkeys((*getattr(old, name), *getattr(new, name))))
    changes["sensitive"] = old.sensitive or new.sensitive
    return replace(old, **changes), tuple(revisions)


def _unsettled(old: Figure | None, unit: str | None) -> bool:
    """Whether two units differ on ``old`` and ``unit`` is not known to be the one whose figure was taken."""
    if old is None or not old.why.startswith(DIFFER):
        return False
    taken = old.why[len(DIFFER) :].strip("（）")
    return not (unit and taken and (unit in taken or taken in unit))


def _higher(old: Figure | None, new: Figure, before: str | None, unit: str | None) -> Figure | None:
    """The higher of two units' figures, the other one kept beside it. A bound that the other figure meets is no other figure."""
    if old is None or old.value is None or new.value is None:
        return new if old is None or old.value is None else _bare(old)
    if new.value <= old.value and (new.value == old.value or new.qualifier == "at_least"):
        return _bare(old) if old.why or new.qualifier != "exact" else new
    known = _bare(old)
    others = known.others if known.why.startswith(DIFFER) else ()
    if new.value > old.value:
        if old.qualifier == "at_least":
            return replace(new, others=others, why=_differ(unit)) if others else new
        beside = _other(known)
        return replace(new, others=_each((*others, beside)), why=_differ(unit))
    why = known.why if others else _differ(before)
    return replace(known, others=_each((*others, _other(_bare(new)))), why=why)  # type: ignore[no-any-return]


def _differ(unit: str | None) -> str:
    return f"{DIFFER}（{unit}）" if unit else DIFFER


def _other(figure: Figure) -> Other:
    return Other(value=figure.value, qualifier=figure.qualifier, max=figure.max, low=figure.low)


def _each(others: tuple[Other, ...]) -> tuple[Other, ...]:
    return tuple({(o.value, o.qualifier, o.low, o.max): o for o in others}.values())


def _figure(old: Figure | None, new: Figure | None, report: Report) -> Figure | None:
    if new is None or (new.value is None and old is not None and old.value is not None):
        return _bare(old)  # type: ignore[no-any-return]
    if old is not None and old.value is not None and new.qualifier == "at_least" and not report.correction:
        return new if (new.value or 0) >= old.value else _bare(old)
    return new


def _bare(value: Any) -> Any:
    """``value`` without the evidence that points into a text which is no longer there."""
    if others := getattr(value, "others", None):
        value = replace(value, others=tuple(replace(other, evidence=()) for other in others))
    return replace(value, evidence=()) if getattr(value, "evidence", None) else value


def _value(figure: Figure | None) -> float | None:
    return None if figure is None else figure.value


def _named(value: Any) -> Any:
    return getattr(value, "text", None) or getattr(value, "value", None) or value


def _finer(old: Occurred | None, new: Occurred | None) -> bool:
    return old is not None and new is not None and len(new.value) > len(old.value) and new.value.startswith(old.value[:10])
