"""The city's own places (conf/gazetteer.toml): counties with their towns and the other names people use for them."""

from __future__ import annotations

import re
from typing import NamedTuple

from msgspec import Struct, field

from gateway.core.folding import fold
from gateway.core.parsing import Table


class County(Struct, frozen=True, kw_only=True):
    """A county, district or banner; ``aliases`` are other names for it, ``towns`` names that stand for it, ``position`` its longitude
    and latitude in degrees, for the map."""

    name: str
    aliases: tuple[str, ...] = ()
    towns: tuple[str, ...] = ()
    position: tuple[float, float] | None = None


class Found(NamedTuple):
    """A county named in a text: [start, end) is the name; ``sure`` is False for a town of which there are several."""

    start: int
    end: int
    county: str
    sure: bool


def _position(table: Table) -> tuple[float, float] | None:
    """Longitude and latitude, where they are given."""
    given = table.data.get("position")
    if given is None:
        return None
    plain = isinstance(given, list) and len(given) == 2 and all(type(one) in (int, float) for one in given)
    if not plain or not (-180 <= given[0] <= 180 and -90 <= given[1] <= 90):
        table.fault(("position",), "is no position", "[longitude, latitude] in degrees")
        return None
    return float(given[0]), float(given[1])


class Gazetteer(Struct, frozen=True, kw_only=True):
    """Places to be recognised. Make it with ``Gazetteer.parse``."""

    city: str
    province: str | None
    counties: tuple[County, ...]
    pattern: re.Pattern[str] = field(default_factory=lambda: re.compile("(?!)"))
    towns: re.Pattern[str] = field(default_factory=lambda: re.compile("(?!)"))
    by_name: dict[str, str] = {}
    short: re.Pattern[str] = field(default_factory=lambda: re.compile("(?!)"))
    by_short: dict[str, str] = {}
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
            table.only("name", "aliases", "towns", "position")
            aliases, towns = tuple(map(fold, table.texts("aliases"))), tuple(map(fold, table.texts("towns")))
            county = County(name=fold(table.text("name")), aliases=aliases, towns=towns, position=_position(table))
            for name in (county.name, *county.aliases):
                if by_name.setdefault(name, county.name) != county.name:
                    table.fault(("name",), f"{name!r} is used twice", "each name once")
            for town in county.towns:
                by_town[town] = (*by_town.get(town, ()), county.name)
            counties.append(county)
        if not counties:
            root.fault(("county",), "is missing", "[[county]]")
        by_short = {c.name[:-1]: c.name for c in counties if len(c.name) > 2 and c.name[:-1] not in by_town}
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
            short=_either(by_short),
            by_short=by_short,
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

    def parts_in(self, text: str, start: int = 0, end: int | None = None) -> list[Found]:
        """Counties by their short names, where only a place can be meant: G65高速江州青山段."""
        stop = len(text) if end is None else end
        ours = tuple(name for name in self.own_names if name)
        found = []
        for match in self.short.finditer(text, start, stop):
            if text.startswith(("段", "境内", "路段", "辖区"), match.end()) or text.endswith(ours, 0, match.start()):
                found.append(Found(*match.span(), self.by_short[match[0]], True))
        return found

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
