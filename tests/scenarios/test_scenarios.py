"""Each scenario of this folder, through the whole pipeline on a virtual clock, is what its time line says, event for event."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.house import House
from tests.scenarios import playing


@pytest.fixture(scope="module")
def house_for() -> Callable[[str], House]:
    plain = playing.house_of("")
    return lambda name: playing.house_of(name) if (playing.HERE / f"{name}.edit").exists() else plain


@pytest.mark.parametrize("name", playing.NAMES)
def test_the_timeline_is_what_a_duty_officer_expects(name: str, house_for: Callable[[str], House]) -> None:
    expected = (playing.HERE / f"{name}.expected").read_text("utf-8").splitlines()
    assert playing.played(name, house_for(name)) == expected


def test_there_is_a_timeline_for_every_scenario_and_no_other() -> None:
    assert len(playing.NAMES) >= 25
    assert sorted(path.stem for path in playing.HERE.glob("*.expected")) == playing.NAMES
    assert {path.stem for path in playing.HERE.glob("*.edit")} <= set(playing.NAMES)
