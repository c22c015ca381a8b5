"""What a plugin's classes are, told without the classes: done in the plugin's own process, used by the daemon's proxies."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel, ValidationError

from gateway.plughost.wire import BESIDES, About, Checked, FieldAbout, Table
from gateway.reference import SecretName

_SECRET = get_args(SecretName)[1]


def about(hook: str, cls: type[Any]) -> About:
    """The class ``cls`` of ``hook`` in words."""
    try:
        file = inspect.getfile(cls)
    except (TypeError, OSError):
        file = ""
    return About(
        hook=hook,
        kind=cls.kind,
        name=cls.__qualname__,
        module=cls.__module__,
        file=file,
        channel=getattr(cls, "channel", ""),
        reads_in=getattr(cls, "reads_in", ""),
        carrier=inspect.iscoroutinefunction(getattr(cls, "submit", None)),
        receipted=hasattr(cls, "receipts_from"),
        besides=tuple(name for name in BESIDES if callable(getattr(cls, name, None))),
        settings=tuple(fields(cls.Settings)),
    )


def fields(model: type[BaseModel]) -> Iterator[FieldAbout]:
    """The keys of a settings class, as written."""
    for name, field in model.model_fields.items():
        inner = table(field.annotation)
        yield FieldAbout(
            name=field.alias or name,
            description=field.description or "",
            required=field.is_required(),
            default=None if field.is_required() else _plain(field.get_default(call_default_factory=True)),
            inner=tuple(fields(inner)) if inner else (),
        )


def table(annotation: Any) -> type[BaseModel] | None:
    """The settings class inside ``tuple[X, ...]``, ``dict[str, X]``, ``X | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Annotated, Union, types.UnionType, tuple, list, dict):
        return next((found for found in map(table, get_args(annotation)) if found), None)
    return None


def check(model: type[BaseModel], asked: Table) -> Checked:
    """Validate a table as ``gateway.conf_source`` does, with the same strictness and the same names."""
    try:
        settings = model.model_validate_json(asked.data, strict=True, context=asked.context)
    except ValidationError as error:
        told = error.errors(include_url=False)
        return Checked(errors=tuple(json.loads(json.dumps(dict(one), default=str)) for one in told))
    return Checked(settings=settings.model_dump_json(by_alias=True).encode(), secrets=tuple(sorted(set(secrets(settings)))))


def secrets(settings: BaseModel) -> Iterator[str]:
    """The names of secrets that stand in ``settings``: values of fields typed ``SecretName``, at any depth."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if _SECRET in field.metadata or _names_secret(field.annotation):
            yield from _texts(value)
        yield from (one for inner in _models(value) for one in secrets(inner))


def _names_secret(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated and _SECRET in get_args(annotation)[1:]:
        return True
    return any(_names_secret(inner) for inner in get_args(annotation))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, Mapping):
        yield from (one for inner in value.values() for one in _texts(inner))
    elif isinstance(value, tuple | list | set | frozenset):
        yield from (one for inner in value for one in _texts(inner))


def _models(value: Any) -> Iterator[BaseModel]:
    if isinstance(value, BaseModel):
        yield value
    elif isinstance(value, Mapping):
        yield from (one for inner in value.values() for one in _models(inner))
    elif isinstance(value, tuple | list | set | frozenset):
        yield from (one for inner in value for one in _models(inner))


def _plain(value: Any) -> Any:
    """A default as TOML could hold it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    try:
        return msgspec.to_builtins(value)
    except TypeError:
        return str(value)
