"""The shipped conf and copies of it with something broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from gateway import i18n
from gateway.conf_load import check
from gateway.faults import ConfError
from gateway.host import Host

SHIPPED = Path(__file__).parents[2] / "conf"
TODAY = date(2026, 6, 1)

Faults = Callable[[Path], list[str]]


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A copy of the shipped configuration."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "conf", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def faults() -> Faults:
    """What ``gateway check`` says of a folder, in English; an empty list where it passes."""

    def found(root: Path, today: date = TODAY) -> list[str]:
        i18n.use("en")
        try:
            check(root, Host.load(root), today=today)
        except ConfError as error:
            return [str(fault) for fault in error.faults]
        finally:
            i18n.use("zh")
        return []

    return found
