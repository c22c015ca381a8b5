"""What is sent to whom: an incident and the offices that routing named, turned into drafts. Pure.

A draft is one thing for one office by its first way; the other ways stand behind it for fall-back. What is sensitive goes
only by ways cleared for it; an office with none gets a notice without content, never nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

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
    headers: dict[str, str] = {}
    paper: dict[str, str] = {}


LINK = "\ue000"
"""Stands in a draft where the link of its delivery will stand, which has no id yet. A private-use character: no text has it."""


_TAIL = re.compile(r"〔\d+〕$")


def linked(text: str, link: str) -> str:
    """``text`` with its link; without one the line that speaks of it goes, but for the number that ends every short message."""
    if LINK not in text:
        return text
    if link:
        return text.replace(LINK, link)
    lines = text.split("\n")
    tail = _TAIL.search(lines[-1]) if LINK in lines[-1] else None
    return "\n".join(line for line in lines if LINK not in line).strip() + (f" {tail[0]}" if tail else "")


def form_of(incident: Incident) -> Form:
    """What is sent of an incident: where its only content could not be read, that something came and who must look at it."""
    return "unread" if incident.needs_person and not incident.report.text.strip() else "report"


def drafts(
    incident: Incident,
    destinations: Sequence[Destination],
    directory: Directory,
    templates: Mapping[str, str],
    values: Mapping[str, str],
    form: Form = "report",
    on_paper: Collection[str] = (),
) -> tuple[list[Draft], list[str]]:
    """The drafts for ``destinations``, and the offices that no way leads to (each is an alarm). ``on_paper`` names the transports
    that end on paper."""
    made: list[Draft] = []
    unreachable: list[str] = []
    for destination in destinations:
        office = directory.office(destination.office)
        if office is None or not office.ways:
            unreachable.append(destination.office)
            continue
        ways, used = _ways(office, form, incident.sensitive)
        named = {**values, "office": office.name, "because": destination.because, "link": LINK}
        draft = _draft(destination, ways, used, templates, named, incident)
        if used == "report" and any(way.transport in on_paper for way in ways):
            draft = replace(draft, paper=paper_values(incident, values))
        made.append(draft)
    return made, unreachable


def paper_values(incident: Incident, values: Mapping[str, str]) -> dict[str, str]:
    """What a paper on an incident says: the report's placeholders that say something, and the degree."""
    level = (incident.severity.level or "") if incident.severity else ""
    return {name: text for name, text in {**values, "level": level}.items() if text and name not in ("link", "office", "because")}


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
        short_text=f"{short.rstrip()} {render.short_number(incident.number)}",
        cleared=incident.sensitive and form == "report",
    )


def short(
    form: str,
    destination: str,
    duty: str,
    ways: tuple[Address, ...],
    templates: Mapping[str, str],
    values: Mapping[str, str],
    number: str,
    headers: Mapping[str, str] | None = None,
) -> Draft:
    """A short text of conf/templates about an incident, the same by mail and by short message."""
    text = render.fill(templates[f"{form}.txt"], {**values, "link": LINK})
    tail = render.short_number(number) if number else ""
    return Draft(
        destination=destination,
        duty=duty,
        because=form,
        form="report",
        ways=ways,
        subject=f"【紧急信息】{render.display_number(number)}" if number else "【紧急信息】",
        text=text,
        short_text=text if tail in text else f"{text} {tail}",
        headers=dict(headers or {}),
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
