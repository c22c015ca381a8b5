"""The tables of channels.d/ and routes.d/: each names a plugin's class and holds its settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.api import Settings
from gateway.conf_source import Reader, Source
from gateway.faults import listed, unknown_name
from gateway.host import Host
from gateway.i18n import _
from gateway.plughost import apart
from gateway.settings import Configured

FOLDERS = {"channels.d": ("channel", "transport"), "routes.d": ("router", "reader", "classifier")}
SORTS = tuple(sort for sorts in FOLDERS.values() for sort in sorts)


class Plugins:
    """The files of both folders, read when this is made. What is wrong goes to ``reader``."""

    def __init__(self, reader: Reader, host: Host) -> None:
        self._reader = reader
        self._host = host
        self._files = {folder: reader.folder(folder) for folder in FOLDERS}

    def names(self, sort: str) -> list[str]:
        """The names that tables of ``sort`` (channel, transport …) give, whether or not they can be used."""
        return [name for source in self._sources(sort) for name in _mapping(source.data.get(sort))]

    def _sources(self, sort: str) -> list[Source]:
        return next(self._files[folder] for folder, sorts in FOLDERS.items() if sort in sorts)

    def of(self, sort: str, context: Any) -> Iterator[Configured]:
        """What tables of ``sort`` configure, those that are enabled and without fault; ``context`` holds the names that
        settings may refer to."""
        seen: dict[str, str] = {}
        for source in self._sources(sort):
            self._unknown_tables(source, sort)
            if not isinstance(source.data.get(sort, {}), dict):
                self._reader.at(source, (sort,), _("is no table; allowed: [{sort}.NAME]").format(sort=sort))
                continue
            for name, table in _mapping(source.data.get(sort)).items():
                where = f"{source.name}:{source.line((sort, name))}"
                if name in seen:
                    text = _("this name is already used at {where}; each must be unique").format(where=seen[name])
                    self._reader.at(source, (sort, name), text)
                seen.setdefault(name, where)
                if not isinstance(table, dict):
                    self._reader.at(source, (sort, name), _("is no table; allowed: [{sort}.NAME]").format(sort=sort))
                    continue
                made = self._one(source, sort, name, table, where, context)
                if made is not None:
                    yield made

    def _unknown_tables(self, source: Source, sort: str) -> None:
        allowed = FOLDERS[source.name.partition("/")[0]]
        for key in source.data:
            if key not in allowed and sort == allowed[0]:
                self._reader.at(source, (key,), unknown_name(_("table"), key, allowed))

    def _one(self, source: Source, sort: str, name: str, table: dict[str, Any], where: str, context: Any) -> Configured | None:
        path = (sort, name)
        kinds = self._host.kinds[f"{sort}s"]
        kind, enabled = table.get("kind"), table.get("enabled", True)
        if not isinstance(enabled, bool):
            self._reader.at(source, (*path, "enabled"), _("allowed: {what}").format(what=_("true or false")))
        if not isinstance(kind, str) or kind not in kinds:
            text = _("is missing; {what}").format(what=_("the plugin class that is to be used"))
            if kind is not None:
                text = unknown_name(_("plugin kind"), str(kind), kinds)
            if kind is None or not self._host.broken(str(kind)):
                self._reader.at(source, (*path, "kind"), text)
            return None
        asked = table.get("isolation")
        if asked not in (None, *apart.CHOICES):
            self._reader.at(source, (*path, "isolation"), _("allowed: {what}").format(what=listed(apart.CHOICES)))
        cls, refused = self._host.pick(f"{sort}s", kind, asked)
        if refused is not None:
            self._reader.at(source, (*path, "isolation"), refused)
        rest = {key: value for key, value in table.items() if key not in ("kind", "enabled", "isolation")}
        bare = Source(source.name, {sort: {name: rest}}, source.index)
        settings_class: type[Settings] = cls.Settings
        settings = self._reader.validate(bare, path, settings_class, context)
        if settings is None or enabled is not True:
            return None
        return Configured(name, kind, cls, settings, where)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
