"""What is sent to whom: an incident and the offices that routing named, turned into drafts. Pure.

A draft is one thing for one office by its first way; the other ways stand behind it for fall-back. What is sensitive goes
only by ways cleared for it; an office with none gets a notice without content, never nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from gateway.core import render
from gateway.core.directory import Directory, Office
from gateway.core.model import Address, Destination, Incident

Form = Literal["report", "unread", "marked", "marked_sender", "withheld"]


class Draft(Struct, frozen=True, kw_only=True):
    """A delivery before it has an id: texts, the way to try first and the ways after it."""

    destination: str
    duty: str
    because: str
    form: Form
    ways: tuple[Address, ...]
    subject: str
    text: str
    short_text: str
    cleared: bool = False


def drafts(
    incident: Incident,
    destinations: Sequence[Destination],
    directory: Directory,
    templates: Mapping[str, str],
    values: Mapping[str, str],
    form: Form = "report",
) -> tuple[list[Draft], list[str]]:
    """The drafts for ``destinations``, and the offices that no way leads to (each is an alarm)."""
    made: list[Draft] = []
    unreachable: list[str] = []
    for destination in destinations:
        office = directory.office(destination.office)
        if office is None or not office.ways:
            unreachable.append(destination.office)
            continue
        ways, used = _ways(office, form, incident.sensitive)
        named = {**values, "office": office.name, "because": destination.because}
        made.append(_draft(destination, ways, used, templates, named, incident))
    return made, unreachable


def _ways(office: Office, form: Form, sensitive: bool) -> tuple[tuple[Address, ...], Form]:
    if not sensitive or form != "report":
        return office.ways, form
    cleared = tuple(way for way in office.ways if way.transport in office.cleared)
    return (cleared, form) if cleared else (office.ways, "withheld")


def _draft(
    destination: Destination,
    ways: tuple[Address, ...],
    form: Form,
    templates: Mapping[str, str],
    values: Mapping[str, str],
    incident: Incident,
) -> Draft:
    subject = "report.subject" if form == "report" else "marked.subject" if form == "marked" else ""
    plain = f"【紧急信息】{render.display_number(incident.number)}"
    short = render.fill(templates[f"{form}.sms"], values)
    return Draft(
        destination=destination.office,
        duty=destination.duty,
        because=destination.because,
        form=form,
        ways=ways,
        subject=render.fill(templates[subject], values) if subject else plain,
        text=render.fill(templates[f"{form}.txt"], values),
        short_text=f"{short} {render.short_number(incident.number)}",
        cleared=incident.sensitive and form == "report",
    )


def notice(
    form: Literal["marked", "marked_sender"],
    destination: str,
    ways: tuple[Address, ...],
    templates: Mapping[str, str],
    values: Mapping[str, str],
) -> Draft:
    """A notice without content about a marked message; it belongs to no incident."""
    return Draft(
        destination=destination,
        duty="inform",
        because=form,
        form=form,
        ways=ways,
        subject=render.fill(templates["marked.subject"], values),
        text=render.fill(templates[f"{form}.txt"], values),
        short_text=render.fill(templates[f"{form}.sms"], values),
    )
