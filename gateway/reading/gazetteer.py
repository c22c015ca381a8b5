"""The city's own places (conf/gazetteer.toml): counties with their towns and the other names people use for them."""

from __future__ import annotations

import re
from typing import NamedTuple

from msgspec import Struct, field

from gateway.core.folding import fold
from gateway.core.parsing import Table


class County(Struct, frozen=True, kw_only=True):
    """A county, district or banner; ``aliases`` are other names for it, ``towns`` names that stand for it."""

    name: str
    aliases: tuple[str, ...] = ()
    towns: tuple[str, ...] = ()


class Found(NamedTuple):
    """A county named in a text: [start, end) is the name; ``sure`` is False for a town of which there are several."""

    start: int
    end: int
    county: str
    sure: bool


class Gazetteer(Struct, frozen=True, kw_only=True):
    """Places to be recognised. Make it with ``Gazetteer.parse``."""

    city: str
    province: str | None
    counties: tuple[County, ...]
    pattern: re.Pattern[str] = field(default_factory=lambda: re.compile("(?!)"))
    towns: re.Pattern[str] = field(default_factory=lambda: re.compile("(?!)"))
    by_name: dict[str, str] = {}
    by_town: dict[str, tuple[str, ...]] = {}

    @classmethod
    def parse(cls, data: object) -> Gazetteer:
        """The gazetteer of a parsed TOML file. Raises ``ParseFaults``."""
        root = Table(data, (), [])
        root.only("city", "county")
        city = Table(root.data.get("city"), ("city",), root.faults)
        city.only("name", "province")
        counties: list[County] = []
        by_name: dict[str, str] = {}
        by_town: dict[str, tuple[str, ...]] = {}
        for table in root.tables("county"):
            table.only("name", "aliases", "towns")
            aliases, towns = tuple(map(fold, table.texts("aliases"))), tuple(map(fold, table.texts("towns")))
            county = County(name=fold(table.text("name")), aliases=aliases, towns=towns)
            for name in (county.name, *county.aliases):
                if by_name.setdefault(name, county.name) != county.name:
                    table.fault(("name",), f"{name!r} is used twice", "each name once")
            for town in county.towns:
                by_town[town] = (*by_town.get(town, ()), county.name)
            counties.append(county)
        if not counties:
            root.fault(("county",), "is missing", "[[county]]")
        name, province = city.text("name"), city.text("province", "") or None
        root.done()
        return cls(
            city=name,
            province=province,
            counties=tuple(counties),
            pattern=_either(by_name),
            towns=_either(by_town),
            by_name=by_name,
            by_town=by_town,
        )

    @property
    def own_names(self) -> tuple[str, ...]:
        """What a text writes before the name of a county to say that it is ours: the city's name, short and whole, and the province's."""
        short = self.city[:-1] if len(self.city) > 2 else self.city
        return (self.city, short, self.province) if self.province else (self.city, short)

    def counties_in(self, text: str, start: int = 0, end: int | None = None) -> list[Found]:
        """The counties that ``text`` (folded) names in [start, end), in order, by their own names first."""
        stop = len(text) if end is None else end
        return [Found(*m.span(), self.by_name[m[0]], True) for m in self.pattern.finditer(text, start, stop)]

    def towns_in(self, text: str, start: int = 0, end: int | None = None) -> list[Found]:
        """Towns named in [start, end); sure where only one county has a town of that name."""
        stop = len(text) if end is None else end
        found = []
        for match in self.towns.finditer(text, start, stop):
            owners = self.by_town[match[0]]
            found.append(Found(*match.span(), owners[0], len(owners) == 1))
        return found


def _either(names: dict[str, object] | dict[str, str] | dict[str, tuple[str, ...]]) -> re.Pattern[str]:
    longest = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest)) or "(?!)")
