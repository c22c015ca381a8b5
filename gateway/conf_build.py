"""From validated tables to the frozen types of the core: the calendar, the directory and the roster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers

from gateway import roster_text
from gateway.conf_source import Reader, Source
from gateway.core import roster_csv
from gateway.core.calendar import Calendar
from gateway.core.directory import Directory, Office, Person, Unit, sender_key
from gateway.core.model import Address
from gateway.core.roster import Roster
from gateway.i18n import _
from gateway.settings_base import minutes
from gateway.settings_files import CalendarFile, DirectoryFile, OfficeEntry, PersonEntry, UnitEntry
from gateway.settings_model import CalendarSection

HOLIDAYS = {
    "New Year's Day": "元旦",
    "Spring Festival": "春节",
    "Tomb-sweeping Day": "清明节",
    "Labour Day": "劳动节",
    "Dragon Boat Festival": "端午节",
    "Mid-autumn Festival": "中秋节",
    "National Day": "国庆节",
    "Anti-Fascist 70th Day": "抗战胜利70周年纪念日",
}
"""The names of the chinese_calendar package in Chinese."""


def calendar(reader: Reader, files: Sequence[tuple[Source, CalendarFile]], hours: CalendarSection, zone: str) -> Calendar:
    """The arrangement that the package knows, with calendar.d on top. A later file wins over an earlier one."""
    from chinese_calendar import constants  # type: ignore[import-untyped]

    years = {day.year for day in constants.holidays}
    holidays = {day: HOLIDAYS.get(name, name) for day, name in constants.holidays.items()}
    workdays = {day: HOLIDAYS.get(name, name) for day, name in constants.workdays.items()}
    for source, file in files:
        if file.complete:
            years.add(file.year)
        given: dict[date, str] = {}
        for number, entry in enumerate(file.holiday):
            last = entry.last or entry.first
            for offset in range((last - entry.first).days + 1):
                day = entry.first + timedelta(days=offset)
                _day(reader, source, ("holiday", number, "from"), file.year, day, given, entry.name)
                holidays[day] = entry.name
                workdays.pop(day, None)
        for number, work in enumerate(file.workday):
            _day(reader, source, ("workday", number, "day"), file.year, work.day, given, work.name)
            workdays[work.day] = work.name
            holidays.pop(work.day, None)
    return Calendar(
        timezone=zone,
        hours=tuple((minutes(start), minutes(end)) for start, end in hours.working_hours),
        years=frozenset(years),
        holidays=holidays,
        workdays=workdays,
        weekend=tuple(day - 1 for day in hours.weekend),
    )


def _day(
    reader: Reader, source: Source, path: tuple[str | int, ...], year: int, day: date, given: dict[date, str], name: str
) -> None:
    """A day must lie in its file's year (a holiday may begin in the December before) and be given once."""
    if day.year != year and (day.year, day.month) != (year - 1, 12):
        text = _("{day} is not in the year of this file; allowed: days of {year} and of the December before")
        reader.at(source, path, text.format(day=day, year=year))
    if day in given:
        reader.at(source, path, _("{day} is given twice, the first time for {name}").format(day=day, name=given[day]))
    given.setdefault(day, name)


def unknown_years(reader: Reader, known: Calendar, today: date, warn_weeks: int) -> None:
    """The present year must be known; the next one is asked for some weeks before it begins."""
    text = _("the holidays of {year} are not known; add calendar.d/{year}.toml with complete = true")
    for day in (today, today + timedelta(weeks=warn_weeks)):
        if day.year not in known.years:
            key = f"calendar.d/{day.year}.toml"
            reader.fault(key, 1, "year", text.format(year=day.year), grave=day.year == today.year)
            return


def directory(reader: Reader, source: Source, file: DirectoryFile, enabled: frozenset[str], cleared: Sequence[str]) -> Directory:
    """Offices and units with normalised numbers. Ways by a transport that is not enabled are left out."""
    offices = [_office(reader, source, n, entry, file, enabled, cleared) for n, entry in enumerate(file.office)]
    units = [_unit(reader, source, n, entry, file) for n, entry in enumerate(file.unit)]
    owners: dict[str, str] = {}
    for number, unit in enumerate(units):
        for key in {sender_key(sender) for sender in unit.senders if sender.startswith("+") or "@" in sender}:
            if owners.setdefault(key, unit.name) != unit.name:
                text = _("has a number or address that already belongs to {unit}").format(unit=owners[key])
                reader.at(source, ("unit", number), text)
    return Directory.of(offices, units)


def twice(reader: Reader, source: Source) -> None:
    """Ids and names that are there twice; looked for in the file as it stands, whatever else is wrong in it."""
    for table, key in (("office", "id"), ("office", "name"), ("unit", "name")):
        entries = source.data.get(table)
        if isinstance(entries, list):
            _twice(reader, source, table, key, [e.get(key) if isinstance(e, dict) else None for e in entries])


def _twice(reader: Reader, source: Source, table: str, key: str, values: Sequence[Any]) -> None:
    for number, value in enumerate(values):
        if value is not None and value in values[:number]:
            first = source.line((table, values.index(value), key))
            text = _("{value!r} is already used in line {line}; each must be unique").format(value=value, line=first)
            reader.at(source, (table, number, key), text)


def _office(
    reader: Reader,
    source: Source,
    number: int,
    entry: OfficeEntry,
    file: DirectoryFile,
    enabled: frozenset[str],
    cleared: Sequence[str],
) -> Office:
    ways = tuple(Address(transport=w.transport, address=w.address) for w in entry.ways if w.transport in enabled)
    if not ways:
        text = _("no way leads to this office; what is sent to it becomes an alarm")
        reader.at(source, ("office", number, "ways"), text, grave=False)
    return Office(
        id=entry.id,
        name=entry.name,
        hours=entry.hours,
        role=entry.role,
        persons=tuple(_person(reader, source, ("office", number, "persons"), entry.persons, file)),
        ways=ways,
        cleared=tuple(dict.fromkeys(way.transport for way in ways if _clears(way.transport, entry, cleared))),
    )


def _clears(transport: str, entry: OfficeEntry, cleared: Sequence[str]) -> bool:
    """Whether what is sensitive may go to this office by this transport."""
    return transport in cleared and transport not in entry.not_cleared


def _person(
    reader: Reader, source: Source, path: tuple[str | int, ...], entries: Sequence[PersonEntry], file: DirectoryFile
) -> Iterator[Person]:
    for number, entry in enumerate(entries):
        phone = _number(reader, source, (*path, number, "phone"), entry.phone, file)
        senders = _senders([entry.mail], [entry.phone], [phone], file)
        yield Person(name=entry.name, phone=phone, mail=entry.mail, role=entry.role, senders=senders, login=entry.login)


def _unit(reader: Reader, source: Source, number: int, entry: UnitEntry, file: DirectoryFile) -> Unit:
    informants = tuple(_person(reader, source, ("unit", number, "informants"), entry.informants, file))
    phone = _number(reader, source, ("unit", number, "phone"), entry.phone, file)
    fax = _number(reader, source, ("unit", number, "fax"), entry.fax, file)
    own = _senders([entry.mail], [entry.phone, entry.fax], [phone, fax], file)
    return Unit(
        name=entry.name,
        county=entry.county,
        role=entry.role,
        informants=informants,
        phone=phone,
        mail=entry.mail,
        fax=fax,
        senders=tuple(dict.fromkeys((*own, *(sender for person in informants for sender in person.senders)))),
    )


def _senders(mails: Sequence[str], written: Sequence[str], numbers: Sequence[str], file: DirectoryFile) -> tuple[str, ...]:
    """Every form by which a sender may be recognised, each once."""
    forms = (form for number in numbers for form in _forms(number, file))
    return tuple(dict.fromkeys(sender for sender in (*mails, *written, *forms) if sender))


def _number(reader: Reader, source: Source, path: tuple[str | int, ...], raw: str, file: DirectoryFile) -> str:
    """E.164; a short number (110, an extension) stays as it is written."""
    if not raw:
        return ""
    found = _parsed(raw, file)
    if found is None:
        reader.at(source, path, _("is no telephone number; allowed: digits, with +NN or area code as needed"))
        return raw
    if not phonenumbers.is_possible_number(found):
        return sender_key(raw)
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)


def _parsed(raw: str, file: DirectoryFile) -> phonenumbers.PhoneNumber | None:
    digits = sender_key(raw)
    local = file.area_code and 7 <= len(digits) <= 8 and not raw.strip().startswith(("+", "0"))
    try:
        return phonenumbers.parse(f"{file.area_code}{digits}" if local else raw, file.region)
    except phonenumbers.NumberParseException:
        return None


def _forms(number: str, file: DirectoryFile) -> Iterator[str]:
    """The forms in which a carrier may write an E.164 number: with country code, national, with 0, local."""
    if not number.startswith("+"):
        return
    found = phonenumbers.parse(number)
    national = phonenumbers.national_significant_number(found)
    yield number
    yield f"00{found.country_code}{national}"
    yield national
    yield f"0{national}"
    area = file.area_code.lstrip("0")
    if area and national.startswith(area) and 7 <= len(national) - len(area) <= 8:
        yield national[len(area) :]


def duty_roster(reader: Reader, name: str, known: Directory, zone: str) -> Roster:
    """roster.csv; an absent file is an empty roster."""
    text = reader.text(name, required=False)
    if text is None:
        return Roster()
    found, faults = roster_csv.parse(text, known, ZoneInfo(zone))
    for fault in faults:
        reader.fault(name, fault.line, fault.head or fault.column or "roster", roster_text.told(fault, known))
    return found
