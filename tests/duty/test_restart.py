"""A restart at any point changes nothing: what is still to be done stands in the store, on both data bases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.duty.conftest import NIGHT, City

STEPS: list[tuple[str, str, dict[str, Any]]] = [
    ("22:39", "transport", {"destination": "市政府值班室", "state": "down"}),
    ("22:46", "acknowledge", {"destination": "市委机要局", "by": "何值班"}),
    ("22:47", "notify", {"office": "市委机要局", "person": "王科长", "by": "何值班"}),
    ("22:52", "transport", {"destination": "市政府值班室", "state": "up"}),
    ("23:05", "acknowledge", {"destination": "市委秘书长", "by": "高秘书长"}),
    ("23:20", "approve", {"incident": "last", "by": "秦副市长"}),
    ("23:40", "instruct", {"incident": "last", "by": "高秘书长", "to": "市公安局", "text": "查明原因", "due": "1"}),
    ("2026-03-06T00:10", "approve", {"incident": "last", "by": "金书记"}),
    ("2026-03-06T01:10", "instruct", {"incident": "last", "by": "曾值班", "done": True, "result": "电气故障"}),
]


def played(city: City, restart_after: int | None) -> list[dict[str, Any]]:
    """The whole night; a restart after so many steps."""
    city.at(*STEPS[0][:2], **STEPS[0][2])
    city.report("22:40", happened="22:30")
    for number, (time, do, fields) in enumerate(STEPS[1:]):
        if number == restart_after:
            city.at(time, "restart")
        city.at(time, do, **fields)
    city.until("2026-03-06T09:00")
    left_out = ("message", "delivery", "deliveries")
    return [{key: value for key, value in one.items() if key not in left_out} for one in city.seen]


def test_a_restart_between_any_two_steps_changes_nothing(url: str, opened: Callable[..., City]) -> None:
    without = played(opened(), None)
    assert len(without) > 100
    assert played(opened(url), 4) == without


@pytest.mark.parametrize("restart_after", range(len(STEPS) - 1))
def test_a_restart_after_each_step_on_a_file(restart_after: int, opened: Callable[..., City], tmp_path: Any) -> None:
    without = played(opened(), None)
    assert played(opened(f"sqlite:///{tmp_path}/store.db"), restart_after) == without


def test_what_was_acknowledged_before_a_restart_is_not_sent_again(opened: Callable[..., City], url: str) -> None:
    city = opened(url)
    city.report("22:40")
    city.acknowledge("22:41", *NIGHT)
    for minute in range(42, 60, 6):
        city.at(f"22:{minute}", "restart")
    assert [one for one in city.until("23:30") if one["event"] == "escalated" and "step" in one] == []
    assert len(city.all("delivered", destination="市委政务值班室")) == 1
