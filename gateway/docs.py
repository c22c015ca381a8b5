"""Writes the generated pages of docs/ from the code, so that they cannot disagree: ``python -m gateway.docs docs``."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.core import model

SCHEMA = Path("schema") / f"v{model.SCHEMA_VERSION}.json"


def schema() -> str:
    """The incident schema as JSON Schema (draft 2020-12)."""
    types = (model.RawMessage, model.Message, model.Report, model.Incident, model.Delivery, model.Event)
    references, components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    published = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:jibao-gateway:incident-schema:v{model.SCHEMA_VERSION}",
        "title": "Incident schema of the urgent-report gateway",
        "anyOf": list(references),
        "$defs": {name: _tidy(made) for name, made in sorted(components.items())},
    }
    return json.dumps(published, ensure_ascii=False, indent=2) + "\n"


def _tidy(component: dict[str, Any]) -> dict[str, Any]:
    """Docstrings without their indentation: whether it is taken away before depends on the versions of Python and msgspec."""
    text = component.get("description")
    return {**component, "description": inspect.cleandoc(text)} if text else component


def commands() -> str:
    """Every command with its options, as ``--help`` says it in English."""
    from gateway import i18n
    from gateway.cli import COMMANDS, cli

    i18n.use("en")
    lines = ["# Commands", "", "Exit 0 = done, 1 = found wrong, 2 = bad usage. `--json` wherever people would script.", ""]
    context = click.Context(cli, info_name="gateway", **cli.context_settings)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        with click.Context(command, parent=context, info_name=name) as inner:
            lines += [f"## gateway {name}", "", "```text", command.get_help(inner), "```", ""]
            for sub, made in sorted(getattr(command, "commands", {}).items()):
                with click.Context(made, parent=inner, info_name=sub) as deeper:
                    lines += [f"### gateway {name} {sub}", "", "```text", made.get_help(deeper), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def pages() -> dict[str, Callable[[], str]]:
    """Every generated page by its path under docs/."""
    from gateway import catalogue_docs

    return {str(SCHEMA): schema, "commands.md": commands, "catalogue.md": catalogue_docs.page}


def main(folder: Path) -> None:
    """Write all pages below ``folder``."""
    for name, make in pages().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
