"""``gateway plugins new``: the project of a new plugin, from the templates beside this module. It passes the harness at once."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

from gateway.i18n import _

GROUP = "gateway.plugins"
NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
LONGEST = 40
WAYS = ("channel", "transport")
SETTINGS = {
    "channel": "port = 26100\n",
    "transport": 'host = "127.0.0.1"\nport = 26200\n',
    "router": 'office = "government_duty_room"\nkinds = ["traffic"]\n',
    "reader": 'words = ["疑似", "有待核实"]\n',
    "classifier": "trapped = 3\n",
}


class ScaffoldError(Exception):
    """The project cannot be written; the text says why and what is allowed."""


def write(name: str, kind: str, directory: Path) -> Path:
    """Write project ``name`` of a plugin of ``kind`` (channel, transport, router, reader, classifier) to a new folder in
    ``directory``. Returns the folder. Raises ``ScaffoldError``; nothing is written then."""
    refused = _unfit(name)
    if refused:
        raise ScaffoldError(_("{name!r} {why}").format(name=name, why=refused))
    project, module = directory / name, name.replace("-", "_")
    try:
        if project.exists() and (not project.is_dir() or any(project.iterdir())):
            raise ScaffoldError(_("{path} is there already and not empty; give another name or --dir").format(path=project))
        for path, text in _files(name, module, kind).items():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ScaffoldError(f"{project}: {error.strerror}") from None
    return project


def _unfit(name: str) -> str | None:
    """Why a plugin cannot have this name."""
    module = name.replace("-", "_")
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        text = _("is no name for a plugin; allowed: small letters, digits, - and _ between them, at most {most} characters, "
                 "a letter first")  # fmt: skip
        return text.format(most=LONGEST)
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module in ("gateway", "gateway_plugins", "tests"):
        return _("is the name of a module that exists; give another one")
    if module in {point.name for point in entry_points(group=GROUP)}:
        return _("is a plugin that is installed; give another name")
    return None


def _files(name: str, module: str, kind: str) -> dict[str, str]:
    """Path in the project → text."""
    folder = "channels.d" if kind in WAYS else "routes.d"
    conf = f'[{kind}.{module}]\nkind = "{module}"\n{SETTINGS[kind]}'
    values = {
        "NAME": name,
        "MODULE": module,
        "CLASS": "".join(word.capitalize() for word in module.split("_")),
        "SORT": kind.capitalize(),
        "WHERE": f"{folder}/{module}.toml",
        "CONF": conf,
    }
    wanted = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".gitignore": "gitignore",
        f"src/{module}/__init__.py": f"{kind}.py",
        f"tests/test_{module}.py": f"test_{kind}.py",
        f"conf/{folder}/{module}.toml": "",
    }
    return {path: _filled(template, values) if template else conf for path, template in wanted.items()}


def _filled(template: str, values: dict[str, str]) -> str:
    text = (files("gateway.testing") / "templates" / f"{template}.txt").read_text("utf-8")
    return re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], text)
