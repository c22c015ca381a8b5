"""Facts in the operator's words: figures, times, degrees, numbers. For the command line and the console."""

from __future__ import annotations

import re
from typing import Any

from gateway.core import render
from gateway.core.model import Figure
from gateway.i18n import _, lang, listed, moment, number
from gateway.reasons import reason

UNITS = {"loss_yuan": " yuan", "forest_mu": " mu", "crop_mu": " mu", "crop_lost_mu": " mu"}
ENGLISH = {
    "loss_yuan": "direct loss", "houses": "houses destroyed", "forest_mu": "forest burnt", "crop_mu": "crops hit",
    "crop_lost_mu": "crops lost", "occurred": "time", "attitude": "stance of the leaders",
}  # fmt: skip
QUALIFIERS = {"at_least": "at least ", "about": "about ", "nearly": "nearly ", "over": "over "}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def safe(text: str) -> str:
    """``text`` without control characters: what came from outside must not steer the operator's terminal."""
    return _CONTROL.sub("\ufffd", text)


def element(name: str) -> str:
    """An element of a report by its name: 起因, or cause."""
    return render.element(name) if lang() == "zh" else ENGLISH.get(name, name.replace("_", " "))


def figure(name: str, found: dict[str, Any]) -> str:
    """One figure in words: 死亡 2 人, or deaths: 2; beside it what else the text states, and why this one was taken."""
    others = [_figure(name, other) for other in found.get("others", ())]
    if not others:
        return _figure(name, found)
    told = _("also stated: {figures}").format(figures=listed(others))
    return _figure(name, found) + aside(("；" if lang() == "zh" else "; ").join(filter(None, (told, found.get("why")))))


def _figure(name: str, found: dict[str, Any]) -> str:
    if lang() == "zh":
        loose = {key: found[key] for key in ("qualifier", "max", "low") if key in found}
        return render.figure(name, Figure(value=found["value"], **loose))
    if found["value"] is None:
        return f"{element(name)}: not known"
    least = number(found["value"])
    if found.get("qualifier") == "range" and found.get("max") is not None:
        least = f"{number(found.get('low') or found['value'])} to {number(found['max'])}"
    return f"{element(name)}: {QUALIFIERS.get(found.get('qualifier', 'exact'), '')}{least}{UNITS.get(name, '')}"


def occurred(value: str | None, qualifier: str = "exact") -> str:
    """When it happened, with its qualifier where the text was not sure."""
    text = moment(value)
    return text if qualifier == "exact" or not text else text + aside(_(qualifier))


def severity(found: dict[str, Any] | None) -> str:
    """How grave an accident is, in the rule's own words: 至少较大（死亡 3 人 ≥ 3 人）; empty where no rule says."""
    if not found:
        return ""
    level = found["level"] or _("not decided yet")
    if found["level"] and found["at_least"]:
        level = _("at least {level}").format(level=level)
    told = dict.fromkeys(reason(why.partition("，标准为")[0]) for why in found["why"])
    return safe(level) + aside(safe(listed(told)))


def phone(number: str) -> str:
    """A number of this country as one dials it, another as it is: 139 0000 1234, 0999 812 3456."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    if parsed.country_code != 86:
        return number
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL))


def aside(text: str) -> str:
    """A remark in brackets: （…） or, in English, with a blank before them."""
    return f"（{text}）" if lang() == "zh" else f" ({text})"
