"""An incident as a CAP 1.2 alert (OASIS, 2010-07-01; urn:oasis:names:tc:emergency:cap:1.2). Pure: incident, versions, conf → XML.

Each further report of an incident is a version of it with an identifier of its own; the alert that leaves is the newest one
and refers to all before it. What may not leave is refused here: marked, sensitive or unread content has no CAP form.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from gateway.cap_rules import SEVERITIES, CapFile, CapLevel, Severity
from gateway.core import render
from gateway.core.catalogue import Catalogue
from gateway.core.model import FIGURES, Event, Incident, Report
from gateway.core.severity import event_class
from gateway.i18n import _
from gateway.settings_model import CapSection

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
LANGUAGE = "zh-CN"
HEADLINE = 160
"""Characters of a headline, at most: CAP's own advice."""
MsgType = Literal["Alert", "Update", "Cancel"]

OPENING = ("registered", "below_threshold", "drill")
FURTHER = ("attached", "merged", "closed", "reopened", "released", "judged", "split")
"""Events that make a new version of an incident."""
FALSE = ("误报", "false")
"""Judgements that take an incident back."""
# XML 1.0 knows neither control characters nor half surrogates; a line end is LF, as every parser reads it.
_NOT_XML = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class NoCap(Exception):
    """The incident may not leave as CAP; the text says why."""


@dataclass(frozen=True, slots=True)
class Version:
    """One state of an incident that was or could have been sent. ``number`` counts from 1."""

    number: int
    at: datetime
    event: str
    cancels: bool = False


def versions(events: Sequence[Event]) -> tuple[Version, ...]:
    """The versions of an incident by its events in the journal, oldest first."""
    made: list[Version] = []
    for event in events:
        if event.event in (FURTHER if made else (*OPENING, *FURTHER)):
            cancels = event.event == "judged" and event.data.get("kind") in FALSE and event.data.get("state") != "lifted"
            made.append(Version(number=len(made) + 1, at=event.at, event=event.event, cancels=cancels))
    return tuple(made)


def identifier(section: CapSection, number: str, version: Version) -> str:
    """The alert's identifier: stable, unique, and without the spaces, commas, < and & that CAP forbids."""
    return f"{section.sender}-{number}-{version.number}"


def allowed(incident: Incident, quarantined: bool) -> None:
    """Raise ``NoCap`` where secrecy or unread content forbids the export. ``quarantined``: one of its messages is sealed."""
    if quarantined or incident.report.marking:
        raise NoCap(_("{number} holds marked content; it goes to the confidential bureau alone").format(number=incident.number))
    if incident.sensitive or incident.report.sensitive:
        text = _("{number} is sensitive; it leaves by cleared transports only, never as a file")
        raise NoCap(text.format(number=incident.number))
    if not incident.report.text.strip():
        text = _("{number} has not been read yet; a person must read the original first")
        raise NoCap(text.format(number=incident.number))


def document(
    incident: Incident,
    history: Sequence[Version],
    section: CapSection,
    rules: CapFile,
    catalogue: Catalogue,
    *,
    city: str,
    local: Callable[[datetime], datetime],
) -> bytes:
    """The alert as UTF-8 XML. ``local`` turns an instant into the city's time. Raises ``NoCap`` without any version."""
    if not history:
        raise NoCap(_("{number} has no report on record").format(number=incident.number))
    now, kind = history[-1], _type(incident, history)
    alert = ET.Element("alert", xmlns=NAMESPACE)
    _add(alert, "identifier", identifier(section, incident.number, now))
    _add(alert, "sender", section.sender)
    _add(alert, "sent", stamp(local(now.at)))
    _add(alert, "status", "Exercise" if incident.state == "drill" or incident.report.drill else section.status)
    _add(alert, "msgType", kind)
    _add(alert, "scope", section.scope)
    if section.scope == "Restricted":
        _add(alert, "restriction", section.restriction)
    _add(alert, "addresses", " ".join(section.addresses))
    if kind == "Cancel":
        _add(alert, "note", rules.note_merged if incident.state == "merged" else rules.note_cancelled)
    _add(alert, "references", " ".join(_references(incident, history, section, local)))
    _add(alert, "incidents", incident.number)
    _info(ET.SubElement(alert, "info"), incident, now, kind, section, rules, catalogue, city, local)
    ET.indent(alert)
    return bytes(ET.tostring(alert, encoding="utf-8", xml_declaration=True)) + b"\n"


def stamp(at: datetime) -> str:
    """CAP's form of an instant: whole seconds, an offset always, and for UTC -00:00 (CAP 3.3.2 forbids Z)."""
    text = at.replace(microsecond=0).isoformat()
    return text[:-6] + "-00:00" if at.utcoffset() == timedelta(0) else text


def _type(incident: Incident, history: Sequence[Version]) -> MsgType:
    if history[-1].cancels or incident.report.withdrawal or incident.state == "merged":
        return "Cancel"
    return "Update" if len(history) > 1 else "Alert"


def _references(
    incident: Incident, history: Sequence[Version], section: CapSection, local: Callable[[datetime], datetime]
) -> Iterator[str]:
    for before in history[:-1]:
        yield f"{section.sender},{identifier(section, incident.number, before)},{stamp(local(before.at))}"


def _info(
    info: ET.Element,
    incident: Incident,
    now: Version,
    kind: MsgType,
    section: CapSection,
    rules: CapFile,
    catalogue: Catalogue,
    city: str,
    local: Callable[[datetime], datetime],
) -> None:
    report = incident.report
    entries = [found for item in incident.items if (found := rules.by_item(item))]
    level = _level(incident, rules, catalogue)
    over = kind == "Cancel" or incident.state == "closed" or report.kind == "终报"
    doubtful = incident.needs_person or (incident.review and not incident.items)
    certainty = rules.certainty_doubtful if doubtful else rules.certainty_reported
    _add(info, "language", LANGUAGE)
    for category in dict.fromkeys(c for entry in entries for c in entry.category) or rules.category:
        _add(info, "category", category)
    _add(info, "event", _event(incident, rules, catalogue))
    _add(info, "urgency", rules.urgency_over if over else rules.urgency_open)
    _add(info, "severity", _gravest([level.severity if level else "Unknown", *(entry.severity for entry in entries)]))
    _add(info, "certainty", rules.certainty_cancelled if kind == "Cancel" else certainty)
    _pair(info, "eventCode", section.code_name, _code(incident, catalogue))
    _add(info, "effective", stamp(local(now.at)))
    if report.occurred and report.occurred.precision == "minute":
        at = datetime.fromisoformat(report.occurred.value)
        _add(info, "onset", stamp(at.replace(tzinfo=local(now.at).tzinfo)))
    _add(info, "senderName", section.sender_name or f"{city}值班室")
    _add(info, "headline", clean(incident.title)[:HEADLINE])
    _add(info, "description", report.text)
    _add(info, "instruction", "；".join(report.next_steps))
    _add(info, "contact", section.contact)
    for name, value in _parameters(incident, now, section, _code(incident, catalogue), level, local):
        _pair(info, "parameter", name, value)
    _area(info, report, section, rules, city)


def _event(incident: Incident, rules: CapFile, catalogue: Catalogue) -> str:
    for item in incident.items:
        entry, known = rules.by_item(item), catalogue.item(item)
        if entry and entry.event:
            return entry.event
        if known:
            return known.title
    return rules.event


def _level(incident: Incident, rules: CapFile, catalogue: Catalogue) -> CapLevel | None:
    """The gravest level that the incident's degree names or a stated figure reaches; of a range its lower end counts.

    What no rule gives a degree to (a flood, a brawl) is measured by the figures of the same degrees: CAP asks for one word.
    """
    report = incident.report
    found = incident.severity or (catalogue.severity.grade(report) if catalogue.severity else None)
    degree = found.level if found else None
    for level in rules.level:
        if degree and level.degree == degree:
            return level
        for name, least in level.at_least.items():
            figure = getattr(report, name)
            if figure is not None and figure.value is not None and figure.value >= least:
                return level
    return None


def _code(incident: Incident, catalogue: Catalogue) -> str:
    """The code of the incident's class; of an incident that was entered before there were classes, that of its items."""
    found = incident.event_class or event_class(catalogue.classes, (*incident.items, *incident.kinds), None)
    return found.code if found else ""


def _gravest(named: Sequence[Severity]) -> Severity:
    return min(named, key=SEVERITIES.index)


def _parameters(
    incident: Incident,
    now: Version,
    section: CapSection,
    code: str,
    level: CapLevel | None,
    local: Callable[[datetime], datetime],
) -> Iterator[tuple[str, str]]:
    """What CAP has no element for, and the fields of platform 12379's form where conf names the unit's code."""
    report = incident.report
    yield "incidentNumber", render.display_number(incident.number)
    yield "catalogueItems", " ".join(incident.items)
    yield "reportKind", report.kind or ""
    yield "occurred", render.occurred(report.occurred)
    for name in FIGURES:
        figure = getattr(report, name)
        if figure is not None:
            yield name, render.figure(name, figure)
    yield "cause", report.cause or ""
    yield "measures", "；".join(report.measures)
    yield "reportingUnit", report.unit or ""
    yield "missingElements", "、".join(render.element(name) for name in incident.missing)
    if section.unit_code:
        at = local(now.at)
        yield "12379.identifier", f"{section.unit_code}_{at:%Y%m%d%H%M%S}_{now.number}"
        yield "12379.senderCode", section.unit_code
        yield "12379.sendTime", f"{at:%Y-%m-%d %H:%M:%S}{stamp(at)[-6:]}"
        yield "12379.secClassification", "None"
        yield "12379.eventType", code
        yield "12379.severity", level.colour if level else ""


def _area(info: ET.Element, report: Report, section: CapSection, rules: CapFile, city: str) -> None:
    place = report.place
    area = ET.SubElement(info, "area")
    named = [name for name in (place.county, place.city) if name] if place else []
    _add(area, "areaDesc", (place.text if place and clean(place.text).strip() else "") or "".join(reversed(named)) or city)
    code = next((rules.geocode[name] for name in (*named, *(() if named else (city,))) if name in rules.geocode), None)
    if code:
        _pair(area, "geocode", section.geocode_name, code)


def clean(text: str) -> str:
    """``text`` as XML can hold it: no control characters, no half surrogates, LF at line ends."""
    return _NOT_XML.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _add(parent: ET.Element, name: str, text: str) -> None:
    """An element with its text; none where there is nothing to say."""
    if tidy := clean(text).strip():
        ET.SubElement(parent, name).text = tidy


def _pair(parent: ET.Element, name: str, key: str, value: str) -> None:
    if tidy := clean(value).strip():
        made = ET.SubElement(parent, name)
        _add(made, "valueName", key)
        _add(made, "value", tidy)
