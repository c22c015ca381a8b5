"""What servers that give up root's rights need: a folder that others can get through to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder of the test's own outside pytest's, which every further run of pytest shuts for other users."""
    with tempfile.TemporaryDirectory(prefix="jibao-peer-", ignore_cleanup_errors=True) as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
