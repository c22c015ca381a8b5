"""The direction of imports, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "gateway/core": ("gateway.core",),
    "gateway/reading": ("gateway.core", "gateway.reading"),
    "gateway/store": ("gateway.core", "gateway.store", "gateway.i18n"),
    "gateway/audit": ("gateway.core", "gateway.store", "gateway.audit", "gateway.i18n"),
    "plugins": ("gateway.api", "gateway_plugins"),
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files(room)
        for name in imports(path)
        if name.split(".")[0] in ("gateway", "gateway_plugins") and not name.startswith(ROOMS[room]) and name != "gateway"
    ]
    assert not wrong


def test_core_reading_and_store_never_import_twisted() -> None:
    for room in ("gateway/core", "gateway/reading", "gateway/store"):
        assert not [p for p in files(room) for name in imports(p) if name.split(".")[0] in ("twisted", "asyncore")]


def test_the_core_is_pure() -> None:
    banned = {
        "os",
        "socket",
        "asyncio",
        "subprocess",
        "time",
        "random",
        "threading",
        "sqlite3",
        "sqlalchemy",
        "logging",
        "pathlib",
    }
    wrong = [
        f"{p.name}: {n}" for room in ("gateway/core", "gateway/reading") for p in files(room) for n in imports(p) if n in banned
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("twisted.internet.reactor", "gateway/service.py"),
        ("sentry_sdk", "gateway/service.py"),
        ("pluggy.PluginManager", "gateway/host.py"),
    ],
)
def test_one_module_names_it(name: str, only: str) -> None:
    named = {
        str(p.relative_to(ROOT))
        for folder in ("gateway", "plugins")
        for p in files(folder)
        if name in set(imports(p)) or (name == "pluggy.PluginManager" and "PluginManager(" in p.read_text("utf-8"))
    }
    assert named == {only}


def test_nothing_imports_the_command_line() -> None:
    wrong = [
        str(p.relative_to(ROOT))
        for folder in ("gateway", "plugins")
        for p in files(folder)
        if "cli" not in p.parts and p.name not in ("__main__.py", "docs.py")
        for name in imports(p)
        if name == "gateway.cli" or name.startswith("gateway.cli.")
    ]
    assert not wrong
