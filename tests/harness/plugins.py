"""The plugins that these tests break: the one that ``gateway plugins new`` writes, and the sample in docs/examples."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from gateway.testing import scaffold

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "weather-bureau" / "src" / "jibao_weather"


def imported(path: Path, name: str) -> ModuleType:
    """The module of a file, under a name of its own."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def fresh(kind: str) -> ModuleType:
    """What ``gateway plugins new`` writes for a kind."""
    with TemporaryDirectory() as folder:
        project = scaffold.write(f"fresh-{kind}", kind, Path(folder))
        return imported(project / "src" / f"fresh_{kind}" / "__init__.py", f"fresh_{kind}")


@cache
def webhook() -> ModuleType:
    """The sample's way out."""
    return imported(EXAMPLE / "webhook.py", "sample_webhook")
