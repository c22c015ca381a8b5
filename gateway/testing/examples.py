"""What is known of a plugin that is one file: its classes, the settings given for them, and the EXAMPLE that the file may hold.

    EXAMPLE = {"line_tcp": {"settings": {…}, "body": b"…", "content_type": "text/plain", "contains": "…", "send": speak}}

By kind. ``settings``: as in the configuration. A channel: a raw ``body`` with its ``content_type`` and words that its text
``contains``; ``send``, async ``(channel, body) -> "accepted" | "temporary" | "refused"``, which says what the carrier was told;
``oversize``, a body, or True for the body many times over; ``port``, ``(channel) -> int``. A transport: an ``address``; ``talk``,
async ``(reader, writer, mode) -> bool``, or ``answers``, for the peers of ``gateway.testing``. A router: further ``offices``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from gateway.faults import unknown_name
from gateway.i18n import _

SORTS = ("channel", "transport", "router", "reader", "classifier")
ALLOWED = ("settings", "body", "content_type", "contains", "send", "oversize", "port", "address", "talk", "answers", "offices")


class Skipped(Exception):
    """The check has nothing to work with; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A class under test. ``given`` is its table of settings, ``example`` its entry of EXAMPLE, ``near`` the configuration
    that the settings were taken from."""

    hook: str
    cls: type[Any]
    given: dict[str, Any]
    example: dict[str, Any]
    near: Path | None = None

    @property
    def kind(self) -> str:
        """As the configuration names it."""
        return str(self.cls.kind)

    def fields(self) -> set[str]:
        """The names of its settings."""
        return set(self.cls.Settings.model_fields)

    def settings(self, **wanted: Any) -> Any:
        """Its settings; of ``wanted`` each is taken where the class has such a field and allows that value."""
        table = dict(self.given)
        made = None
        for name, value in wanted.items():
            if name in self.fields():
                try:
                    made = self.cls.Settings.model_validate({**table, name: value})
                except ValidationError as error:
                    if any(one["loc"][:1] == (name,) for one in error.errors()):
                        continue
                table[name] = value
        return made or self.cls.Settings.model_validate(table)


def subject(hook: str, cls: type[Any], module: ModuleType, settings: Path | None) -> Subject:
    """A class with what is given for it. Raises AssertionError for an EXAMPLE or a settings file that cannot be used."""
    examples = getattr(module, "EXAMPLE", {})
    assert isinstance(examples, dict), _("EXAMPLE: is no dict; allowed: kind → entry")
    example = examples.get(cls.kind, {})
    assert isinstance(example, dict), _("EXAMPLE: is no dict; allowed: kind → entry")
    for name in example:
        assert name in ALLOWED, f"EXAMPLE: {cls.kind}: " + unknown_name(_("entry"), str(name), ALLOWED)
    given = _table(settings, hook.removesuffix("s"), cls.kind) if settings else None
    near = settings.resolve().parent.parent if settings else None
    return Subject(hook, cls, given if given is not None else dict(example.get("settings", {})), example, near)


def _table(path: Path, sort: str, kind: str) -> dict[str, Any] | None:
    """The settings of ``kind`` in a file like those of the configuration, or a file that is nothing but one table."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AssertionError(f"{path}: {error}") from None
    tables = data.get(sort, {}) if any(isinstance(data.get(name), dict) for name in SORTS) else {"": data}
    for table in tables.values() if isinstance(tables, dict) else ():
        if isinstance(table, dict) and table.get("kind", kind) == kind:
            return {key: value for key, value in table.items() if key not in ("kind", "enabled", "isolation")}
    return None


def offices(one: Subject) -> list[str]:
    """The offices that EXAMPLE names, and those of the configuration that the settings lie in, by id and display name."""
    found = [str(name) for name in one.example.get("offices", ())]
    book = one.near / "directory.toml" if one.near else None
    if book is not None and book.is_file():
        try:
            tables = tomllib.loads(book.read_text("utf-8")).get("office", [])
        except ValueError as error:
            raise AssertionError(f"{book}: {error}") from None
        found += [str(table[key]) for table in tables for key in ("id", "name") if key in table]
    return found
