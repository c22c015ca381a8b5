"""Reading the files of conf/ and validating their tables, every fault kept with its file, line and key."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.conf_files import Files
from gateway.conf_index import Index
from gateway.faults import Fault, listed, unknown_name
from gateway.i18n import _
from gateway.reference import Context

Model = TypeVar("Model", bound=BaseModel)
KeyPath = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Source:
    """One TOML file: its name relative to conf/, its data and where each key stands."""

    name: str
    data: dict[str, Any]
    index: Index
    made: dict[str, Any] = field(default_factory=dict, compare=False)
    """What was made of it alone, kept for the next time the same bytes are read."""

    def line(self, path: KeyPath) -> int:
        """The line of a key."""
        return self.index.line(path)


Memory = dict[str, tuple[bytes, Source]]
"""TOML files read before: the bytes, and what they held."""


@dataclass(slots=True)
class Reader:
    """Reads files below ``root``, or those of ``files`` where they are in memory already; collects faults and the digest of
    everything read. ``memory`` spares parsing again what has not changed."""

    root: Path
    files: Files = field(default_factory=dict)
    memory: Memory = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _read: dict[str, bytes] = field(default_factory=dict)

    def fault(self, file: str, line: int, key: str, text: str, *, grave: bool = True) -> None:
        """Keep a fault."""
        self.faults.append(Fault(file, line, key, text, grave))

    def at(self, source: Source, path: KeyPath, text: str, *, grave: bool = True) -> None:
        """Keep a fault of a key."""
        self.fault(source.name, source.line(path), dotted(path), text, grave=grave)

    def digest(self) -> str:
        """SHA-256 over names and contents of all files read, hex."""
        total = hashlib.sha256()
        for name, content in sorted(self._read.items()):
            total.update(f"{name}\0{len(content)}\0".encode() + content)
        return total.hexdigest()

    def text(self, name: str, *, required: bool = True) -> str | None:
        """A text file; None (and a fault, if it is required) where there is none."""
        path = self.root / name
        try:
            content = self.files[name] if name in self.files else path.read_bytes()
        except FileNotFoundError:
            if required:
                self.fault(name, 1, path.name, _("the file is missing"))
            return None
        except OSError as error:
            self.fault(name, 1, path.name, _("cannot be read: {error}").format(error=error.strerror))
            return None
        self._read[name] = content
        # Windows' editors and spreadsheets put a byte order mark before UTF-8; it means nothing.
        content = content.removeprefix(codecs.BOM_UTF8)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self.fault(name, line, path.name, _("is not UTF-8; save the file as UTF-8"))
            return None

    def toml(self, name: str, *, required: bool = True) -> Source | None:
        """A TOML file with its positions."""
        text = self.text(name, required=required)
        if text is None:
            return None
        known = self.memory.get(name)
        if known is not None and known[0] == self._read[name]:
            return known[1]
        try:
            source = Source(name, tomllib.loads(text), Index.of(text))
            self.memory[name] = self._read[name], source
            return source
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"\(at line (\d+), column \d+\)", str(error))
            line = int(found[1]) if found else text.count("\n") + 1
            what = re.sub(r" \(at .*\)$", "", str(error))
            self.fault(name, line, "TOML", _("is no TOML: {what}").format(what=what))
            return None

    def folder(self, name: str, pattern: str = "*.toml") -> list[Source]:
        """All TOML files of a folder, by name."""
        names = sorted(path.name for path in (self.root / name).glob(pattern))
        if self.files:
            names = [file.rpartition("/")[2] for file in sorted(self.files) if fnmatch(file, f"{name}/{pattern}")]
        found = (self.toml(f"{name}/{file}") for file in names)
        return [source for source in found if source is not None]

    def validate(self, source: Source, path: KeyPath, model: type[Model], context: Context) -> Model | None:
        """The table at ``path`` as ``model``; None (and its faults) where it is not one."""
        data: Any = source.data
        for key in path:
            data = data[key]
        if not path:
            # A section that is left out is validated as an empty one: its defaults may name what does not exist.
            data = {**{name: {} for name, field in model.model_fields.items() if isinstance(field.default, BaseModel)}, **data}
        # JSON mode with strict types: TOML's arrays and dates become tuples and dates, but "5" is no number.
        try:
            return model.model_validate_json(json.dumps(data, default=str), strict=True, context=context)
        except ValidationError as error:
            for one in _told(error.errors(include_url=False)):
                where, text = described(one, data, model)
                self.at(source, (*path, *where), text)
            return None


def dotted(path: KeyPath) -> str:
    """("office", 3, "ways") → "office[3].ways"; indexes count from 0."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def described(error: ErrorDetails, data: Any, model: type[BaseModel]) -> tuple[KeyPath, str]:
    """The key of a validation error, and what is wrong in the operator's words."""
    path = _real(error["loc"], data, model)
    if error["type"] == "extra_forbidden":
        return path, unknown_name(_("key"), str(path[-1]), _keys(_model_at(model, path[:-1])))
    if error["type"] == "missing":
        owner = _model_at(model, path[:-1])
        wanted = {name: field.description or "" for name, field in _fields(owner)}
        return path, _("is missing; {what}").format(what=wanted.get(str(path[-1])) or _("it has no default"))
    if error["type"] == "string_pattern_mismatch":
        names = [key for key in path if isinstance(key, str)]
        owner = _model_at(model, names[:-1])
        meant = next((f.description for n, f in _fields(owner) if names and n == names[-1]), None)
        return path, _("has the wrong form; allowed: {what}").format(what=meant or error["ctx"]["pattern"])
    return path, _wording(error)


def _told(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without "too short" for a list that is short only because its elements are faulty."""
    places = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if error["type"] != "too_short" or not any(p[:-1] == error["loc"] for p in places if len(p) > len(error["loc"]))
    ]


def _wording(error: ErrorDetails) -> str:
    sort, facts = error["type"], error.get("ctx", {})
    if sort == "unknown_reference":
        return unknown_name(_(facts["sort"]), facts["name"], facts["known"])
    if sort == "wrong":
        return f"{facts['what']}; {_('allowed')}: {facts['allowed']}"
    if sort in ("value_error", "assertion_error"):
        return str(facts.get("error", error["msg"]))
    if sort == "literal_error":
        return _("is {value!r}; allowed: {allowed}").format(value=error["input"], allowed=_choices(facts["expected"]))
    if sort in _BOUNDS:
        return _("is {value}; allowed: {bound}").format(
            value=error["input"], bound=f"{_BOUNDS[sort]} {next(iter(facts.values()))}"
        )
    if sort in ("string_too_long", "string_too_short", "too_long", "too_short"):
        low = "min_length" in facts
        text = _("is too short; allowed: at least {limit}") if low else _("is too long; allowed: at most {limit}")
        return text.format(limit=facts["min_length" if low else "max_length"])
    for ending, name in _types().items():
        if sort.startswith(ending):
            return _("is {got}; allowed: {wanted}").format(got=_got(error["input"]), wanted=name)
    return error["msg"]


_BOUNDS = {"greater_than": ">", "greater_than_equal": "≥", "less_than": "<", "less_than_equal": "≤"}


def _types() -> dict[str, str]:
    return {
        "string": _("a text in quotes"),
        "int": _("a whole number"),
        "float": _("a number"),
        "bool": _("true or false"),
        "datetime": _("a date and time"),
        "date": _("a date such as 2026-10-01"),
        "time": _("a time of day"),
        "tuple": _("a list"),
        "list": _("a list"),
        "dict": _("a table"),
        "model": _("a table"),
        "path": _("a text in quotes"),
        "too": _("a list of that length"),
        "missing": _("a list of that length"),
    }


def _got(value: Any) -> str:
    """The sort of a value; its text is not shown, because it may be a secret in the wrong place."""
    names = {
        bool: _("true or false"),
        int: _("a whole number"),
        float: _("a number"),
        str: _("a text"),
        list: _("a list"),
    }
    return names.get(type(value), _("a table"))


def _choices(expected: str) -> str:
    return listed(re.findall(r"'([^']*)'", expected)) if "'" in expected else expected


def _real(loc: KeyPath, data: Any, model: type[BaseModel]) -> KeyPath:
    """``loc`` without the names of union members that pydantic puts in."""
    kept: list[str | int] = []
    for key in loc:
        if isinstance(data, Mapping) and key in data:
            data = data[str(key)]
        elif isinstance(data, Sequence) and not isinstance(data, str) and isinstance(key, int) and key < len(data):
            data = data[key]
        elif key not in _keys(_model_at(model, kept)):
            continue
        kept.append(key)
    return kept


def _fields(model: type[BaseModel] | None) -> list[tuple[str, FieldInfo]]:
    """The fields of a settings class by their keys as written."""
    return [(field.alias or name, field) for name, field in model.model_fields.items()] if model else []


def _keys(model: type[BaseModel] | None) -> list[str]:
    return [name for name, _field in _fields(model)]


def _model_at(model: type[BaseModel] | None, path: KeyPath) -> type[BaseModel] | None:
    """The settings class of the table at ``path``."""
    for key in path:
        if isinstance(key, int):
            continue
        if model is None:
            return None
        named = dict(_fields(model))
        model = _inner(named[key].annotation) if key in named else None
    return model


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The settings class inside ``tuple[X, ...]``, ``dict[str, X]``, ``X | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Annotated, Union, types.UnionType, tuple, list, dict):
        return next((found for found in map(_inner, get_args(annotation)) if found), None)
    return None
