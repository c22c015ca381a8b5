"""docs/configuration.md and the commented keys of gateway.toml, both made from the settings classes."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.cap_rules import CapFile
from gateway.duty.file import DutyFile
from gateway.host import Host
from gateway.obligation_rules import ObligationsFile
from gateway.paper_rules import PapersFile
from gateway.settings_files import CalendarFile, DirectoryFile
from gateway.settings_model import GatewayFile

HEAD = """\
# Configuration

Made from the settings classes; a test compares it with them. Durations are seconds unless the key says otherwise, paths
are relative to the configuration folder, instants are local to `timezone`. Unknown keys are faults; `gateway check`
names every fault as `file:line: key: what, and what is allowed`.

| file | holds |
|---|---|
| `gateway.toml` | the gateway itself, limits, retries, secrecy |
| `channels.d/*.toml` | ways in `[channel.NAME]` and ways out `[transport.NAME]` |
| `routes.d/*.toml` | `[router.NAME]`, `[reader.NAME]`, `[classifier.NAME]` |
| `directory.toml` | offices, departments, units, informants, persons |
| `calendar.d/*.toml` | holidays and shifted working days of a year |
| `roster.csv` | the duty roster: office, person, from, to, order, role, shift ([roster](roster.md)) |
| `duty.toml` | acknowledgement, escalation, sign-off, follow-ups, supervision |
| `cap.toml` | what incidents are called in CAP 1.2; may be left out |
| `obligations.toml` | what units owe beside the reports of their incidents; may be left out |
| `papers.toml` | names, type and wordings of papers, the morning brief; may be left out ([papers](papers.md)) |
| `catalogue.toml`, `clocks.toml`, `gazetteer.toml`, `reading.toml` | the rules; each file explains its form |
| `templates/*` | texts that go out; `$name` placeholders; `*.html` are papers, Jinja2 |
| `plugins.d/*.py` | plugins of one file |
| `secrets/` | secrets by name, 0600, where systemd gives no credential |

Each `[channel.NAME]`, `[transport.NAME]`, `[router.NAME]` … has `kind` (which plugin class), `enabled` (true unless said
otherwise) and the keys of that class.
"""


def page(host: Host) -> str:
    """The whole of docs/configuration.md."""
    parts = [HEAD, "\n## gateway.toml\n"]
    for name, field in GatewayFile.model_fields.items():
        one = _model(field.annotation)
        parts += [f"\n### [{name}]\n", *_nested(one, "", name)] if one else _nested(_model(field.annotation, missing=True), name)
    parts += ["\n## calendar.d/*.toml\n", *_nested(CalendarFile, "")]
    parts += ["\n## directory.toml\n", *_nested(DirectoryFile, "")]
    parts += ["\n## duty.toml\n", *_nested(DutyFile, "")]
    parts += ["\n## cap.toml (may be left out)\n", *_nested(CapFile, "")]
    parts += ["\n## obligations.toml (may be left out)\n", *_nested(ObligationsFile, "")]
    parts += ["\n## papers.toml (may be left out)\n"]
    for name, field in PapersFile.model_fields.items():
        parts += [f"\n### [{name}]\n", *_nested(_model(field.annotation), "", name)]
    for hook, kinds in host.kinds.items():
        for kind, cls in sorted(kinds.items()):
            parts += [f'\n## [{hook[:-1]}.NAME] kind = "{kind}"\n', *_nested(cls.Settings, "")]
    return "\n".join(line.rstrip("\n") for part in parts for line in part.splitlines()) + "\n"


def commented(section: type[BaseModel]) -> list[str]:
    """The keys of a section as comments, each with its default: the reference in the shipped gateway.toml."""
    lines = []
    for name, field in section.model_fields.items():
        lines += [f"# {field.description}", f"#{field.alias or name} = {toml_value(field.get_default())}"]
    return lines


def toml_value(value: Any) -> str:
    """A default as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:_}" if isinstance(value, int) and value >= 100_000 else str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml_value(one)}" for key, one in value.items()) + "}"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _nested(model: type[BaseModel] | None, path: str, within: str = "") -> Iterator[str]:
    """The keys of a table and of the tables in it; ``within`` is its own path where that has a heading already."""
    if model is None:
        return
    if path:
        yield f"\n### [[{path}]]\n"
    yield from _table(model)
    for name, field in model.model_fields.items():
        inner = _model(field.annotation, missing=True)
        if inner is not None:
            above = path or within
            yield from _nested(inner, f"{above}.{name}" if above else name)


def _table(model: type[BaseModel] | None) -> Iterator[str]:
    if model is None or not model.model_fields:
        return
    yield "| key | form | default | what it is for |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"`{toml_value(field.get_default(call_default_factory=True))}`"
        yield f"| `{field.alias or name}` | {_form(field)} | {default} | {field.description or ''} |"


def _form(field: FieldInfo) -> str:
    bounds = ", ".join(text for one in field.metadata if (text := _bound(one)))
    return _type(field.annotation) + (f", {bounds}" if bounds else "")


def _bound(one: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "max_length": "length ≤"}
    found = [f"{sign} {getattr(one, key):,}" for key, sign in signs.items() if getattr(one, key, None) is not None]
    return ", ".join(found)


def _type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        bounds = ", ".join(text for one in inner[1:] for text in _annotated(one))
        return _type(inner[0]) + (f", {bounds}" if bounds else "")
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(one) for one in inner if one is not type(None))
    if origin in (tuple, list):
        return f"list of {_type(inner[0])}"
    if origin is not None:
        return f"table of {_type(inner[-1])}"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation, "table" if _model(annotation) else getattr(annotation, "__name__", "text"))


def _annotated(one: Any) -> Iterator[str]:
    if isinstance(one, FieldInfo):
        yield from filter(None, map(_bound, one.metadata))
    elif text := _bound(one):
        yield text


def _model(annotation: Any, *, missing: bool = False) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if missing and get_origin(annotation) is not None:
        return next((found for one in get_args(annotation) if (found := _model(one, missing=True))), None)
    return None


def main() -> None:
    """Print docs/configuration.md."""
    sys.stdout.write(page(Host.load()))


if __name__ == "__main__":
    main()
