"""Bad configurations: each folder of cases/ is laid over the shipped conf; expected.txt holds every fault, exactly."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_case(case: str, conf: Path, faults: Callable[[Path], list[str]]) -> None:
    shutil.copytree(CASES / case, conf, dirs_exist_ok=True)
    expected = (conf / "expected.txt").read_text(encoding="utf-8").splitlines()
    assert faults(conf) == expected


def test_there_is_a_case_with_twenty_faults() -> None:
    expected = (CASES / "twenty" / "expected.txt").read_text(encoding="utf-8").splitlines()
    assert len(expected) >= 20
