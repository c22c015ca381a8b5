"""Numbers of houses, shafts and stores are no days; names with 山 are no forest fires."""

from __future__ import annotations

import pytest

from gateway.core.catalogue import classify
from tests.core.example import catalogue, read


@pytest.mark.parametrize(
    "text",
    [
        "青山区人民路5号发生火灾，2人死亡。",
        "柳河县三岔镇8号矿井透水，6人被困",
        "云台区幸福路18号居民楼着火，1人受伤",
        "石桥县粮库二号仓库起火",
    ],
)
def test_a_number_of_a_place_is_no_day(text: str) -> None:
    assert read(text).occurred is None


@pytest.mark.parametrize(
    "text", ["5号上午，青山区一民房起火，1人死亡", "5号，青山区一民房起火，1人死亡", "5日青山区一民房起火，1人死亡"]
)
def test_a_day_is_still_a_day(text: str) -> None:
    occurred = read(text).occurred
    assert occurred is not None
    assert occurred.value[8:10] == "05"


def test_a_fire_in_qingshan_is_no_forest_fire() -> None:
    found = classify(catalogue(), read("今日9时20分，青山区幸福路一居民楼起火，1人死亡"))
    assert "灾情疫情类-2" not in {m.item for m in found.items}
    found = classify(catalogue(), read("今日9时20分，白水县青石镇后山起火，过火林地60亩"))
    assert "灾情疫情类-2" in {m.item for m in found.items}
