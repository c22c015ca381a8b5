"""Whom a step reaches: the person on duty, the next one, the leader on duty, and the ways to a unit."""

from __future__ import annotations

from gateway.core.duty.matter import Given
from gateway.core.model import Address


def on_duty(given: Given, office: str) -> tuple[str, ...]:
    """The clerks on duty in ``office`` now, in calling order."""
    return given.roster.on_duty(office, given.now)


def leader(given: Given, office: str) -> str | None:
    """The leader on duty (带班领导) of ``office`` now."""
    return next(iter(given.roster.leaders(office, given.now)), None)


def unit_ways(given: Given, units: tuple[str, ...]) -> tuple[Address, ...]:
    """The ways to the informants of ``units``: short messages first, then the unit's mail."""
    found: list[Address] = []
    for unit in given.directory.units:
        if unit.name not in units:
            continue
        found += [Address(transport=given.transports["sms"], address=p.phone) for p in unit.informants if p.phone]
        if unit.mail:
            found.append(Address(transport=given.transports["email"], address=unit.mail))
    return tuple(dict.fromkeys(found))


def responsible(given: Given, unit: str | None, role: str, county: str | None) -> tuple[str, ...]:
    """The units that answer for reporting it: the one that reports; where another source speaks, those of the county."""
    if unit and role == "unit":
        return (unit,)
    if county:
        return tuple(one.name for one in given.directory.units if one.role == "unit" and one.county == county)
    return ()


def answering_offices(given: Given, offices: tuple[str, ...]) -> tuple[str, ...]:
    """The city's offices that answer for reporting it upward: those of working hours whose line has it, else whoever has it."""
    lines = [p.working for p in given.rules.pairs if p.working in offices or p.out in offices]
    return tuple(given.directory.name(one) for one in dict.fromkeys(lines or offices))
