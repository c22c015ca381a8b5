"""The rules that the pure rooms read themselves: catalogue, clocks, gazetteer, words. Their faults get file and line here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from gateway.conf_source import Reader, Source
from gateway.core import clocks
from gateway.core.catalogue import Catalogue
from gateway.core.clocks import Clock
from gateway.core.matching import MatchRules
from gateway.core.parsing import ParseFaults
from gateway.i18n import _
from gateway.reading.gazetteer import Gazetteer
from gateway.reading.words import Words

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class Domain:
    """What was read; None where the file had faults. ``kinds`` are the kinds of incident the catalogue can give."""

    catalogue: Catalogue | None
    clocks: tuple[Clock, ...]
    gazetteer: Gazetteer | None
    words: Words | None
    matching: MatchRules
    kinds: tuple[str, ...]


def parse(reader: Reader, files: Mapping[str, Source | None]) -> Domain:
    """Parse the four files; faults go to ``reader``."""
    catalogue = _parsed(reader, files["catalogue"], Catalogue.parse)
    reading = files["reading"]
    rules = _parsed(reader, reading, lambda data: MatchRules.parse(_table(data, "matching")), "matching")
    return Domain(
        catalogue=catalogue,
        clocks=_parsed(reader, files["clocks"], clocks.parse) or (),
        gazetteer=_parsed(reader, files["gazetteer"], Gazetteer.parse),
        words=_parsed(reader, files["reading"], Words.parse),
        matching=rules or MatchRules(),
        kinds=tuple(catalogue.kinds) if catalogue else _written_kinds(files["catalogue"]),
    )


def _parsed(
    reader: Reader, source: Source | None, parse: Callable[[object], Parsed], part: str = "whole"
) -> Parsed | None:
    """What ``parse`` makes of a file, once for as long as the file stays the same."""
    if source is None:
        return None
    try:
        if part not in source.made:
            source.made[part] = parse(source.data)
        made: Parsed = source.made[part]
        return made
    except ParseFaults as error:
        for fault in error.faults:
            text = _worded(fault.what)
            if fault.allowed:
                text += _("; allowed: {allowed}").format(allowed=fault.allowed)
            reader.at(source, fault.path or (source.name,), text)
        return None


def _table(data: object, name: str) -> object:
    return data.get(name, {}) if isinstance(data, dict) else {}


def _worded(what: str) -> str:
    """The fixed part of a fault in the operator's language, the name it is about as it stands."""
    found = re.fullmatch(r"(.*?)('.*')?( .*)?", what)
    if found is None or found[2] is None:
        return _(what)
    return _((found[1] + "{name}" + (found[3] or "")).strip()).format(name=found[2])


def _written_kinds(source: Source | None) -> tuple[str, ...]:
    """The kinds as they stand in a catalogue with faults elsewhere, so that these do not draw others after them."""
    kinds = source.data.get("kinds") if source else None
    return tuple(kinds) if isinstance(kinds, dict) else ()
