"""How grave an accident is, and its class: the shipped tables, at every number, with unknown and growing figures."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gateway.core.catalogue import Catalogue
from gateway.core.model import Figure, Report, Severity
from gateway.core.parsing import ParseFaults
from tests.core.example import catalogue, conf, judge

SCALE = catalogue().severity
assert SCALE is not None
NAMES = [degree.name for degree in SCALE.degrees]


def test_the_degrees_are_those_of_the_rule() -> None:
    """国务院令第493号 第三条."""
    assert NAMES == ["特别重大", "重大", "较大", "一般"]
    told = {(limit.fields, limit.at_least): d.name for d in SCALE.degrees for limit in d.limits}
    for fields, limits in {
        ("deaths",): (30, 10, 3),
        ("seriously_injured", "poisoned"): (100, 50, 10),
        ("loss_yuan",): (100_000_000, 50_000_000, 10_000_000),
    }.items():
        assert [told[fields, limit] for limit in limits] == NAMES[:3]
    assert "493" in SCALE.source


@pytest.mark.parametrize(
    ("field", "limits"),
    [
        ("deaths", (30, 10, 3, 1)),
        ("seriously_injured", (100, 50, 10, 1)),
        ("poisoned", (100, 50, 10, 1)),
        ("loss_yuan", (100_000_000, 50_000_000, 10_000_000, 1)),
    ],
)
def test_each_number_belongs_to_the_graver_degree(field: str, limits: tuple[int, ...]) -> None:
    for name, below, limit in zip(NAMES, (*NAMES[1:], None), limits, strict=True):
        for value, want in ((limit - 1, below), (limit, name), (limit + 1, name)):
            found = grade(**{field: value})
            assert (found.level, found.at_least) == (want, False), (field, value)


def grade(**figures: Any) -> Severity:
    made = {name: value if isinstance(value, Figure) else Figure(value=value) for name, value in figures.items()}
    return SCALE.grade(Report(text="", **made))


def test_the_gravest_of_several_figures_decides_and_says_why() -> None:
    found = grade(deaths=2, seriously_injured=12, loss_yuan=60_000_000)
    assert found.level == "重大" and found.why == ("损失 6000 万元 ≥ 5000 万元",)
    assert grade(deaths=3, seriously_injured=10).why == ("死亡 3 人 ≥ 3 人", "重伤 10 人 ≥ 10 人")
    assert grade(seriously_injured=40, poisoned=60).why == ("重伤（含急性工业中毒） 100 人 ≥ 100 人",)


@pytest.mark.parametrize(
    ("figures", "level", "why"),
    [
        ({"deaths": Figure(value=None, qualifier="unknown")}, None, "死亡不详"),
        ({"deaths": Figure(value=None, qualifier="unknown"), "injured": 4}, "一般", "死亡不详"),
        ({"deaths": Figure(value=11, qualifier="range", low=8, max=11)}, "较大", "死亡在 8 至 11 人之间，标准为 10 人"),
        ({"deaths": Figure(value=5, qualifier="at_least")}, "较大", "死亡至少 5 人，标准为 10 人"),
        ({"deaths": 2, "missing": 1}, "一般", "另有 1 人失联被困"),
        ({"deaths": 0, "trapped": 12}, None, "另有 12 人失联被困"),
        ({"deaths": 0, "injured": 15}, "一般", "受伤 15 人，未报重伤人数"),
    ],
)
def test_what_may_still_grow_leaves_the_degree_open(figures: dict[str, Any], level: str | None, why: str) -> None:
    found = grade(**figures)
    assert found.level == level and found.at_least and why in found.why


@pytest.mark.parametrize(
    "figures", [{"deaths": 3, "missing": 2}, {"deaths": 0, "injured": 9, "seriously_injured": 1}, {"deaths": 30, "missing": 9}]
)
def test_what_cannot_reach_the_next_degree_leaves_no_doubt(figures: dict[str, Any]) -> None:
    assert not grade(**figures).at_least


def test_nothing_stated_is_no_degree() -> None:
    found = grade()
    assert (found.level, found.at_least, found.why) == (None, False, ("未报死亡、重伤和直接经济损失",))


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("白水县政府办：今日8时货车与客车相撞，3人死亡，2人受伤。", "较大"),
        ("石桥县应急局：今日15时脚手架坍塌，10人死亡。", "重大"),
        ("青山区消防大队：今日14时民房起火，1人死亡。", "一般"),
        ("平安县应急局：今日15时化工厂爆炸，31人死亡，直接经济损失2亿元。", "特别重大"),
    ],
)
def test_accidents_get_a_degree(text: str, level: str) -> None:
    _, found = judge(text)
    assert found.severity is not None and found.severity.level == level


@pytest.mark.parametrize(
    "text",
    [
        "平安县应急局：昨夜山洪，12人死亡。",
        "青山区公安分局：昨夜发生命案，3人被害死亡。",
        "石桥县公安局：今日3人被人投毒，2人死亡。",
        "青山区公安分局：昨夜有人纵火，房屋起火，1人死亡。",
        "白水县疾控中心：确诊霍乱11例。",
    ],
)
def test_what_the_rule_does_not_speak_of_gets_none(text: str) -> None:
    _, found = judge(text)
    assert found.items and found.severity is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("白水县政府办：今日8时货车与客车相撞，1人死亡。", "12H00"),
        ("青山区消防大队：今日14时民房起火，1人死亡。", "12G00"),
        ("平安县应急局：昨日大风，倒塌房屋20间，无人员伤亡。", "11B06"),
        ("平安县应急局：昨日冰雹，农作物受灾300亩，无人员伤亡。", "11B15"),
        ("平安县应急局：昨日暴雨引发山洪，2人死亡。", "11B03"),
        ("石桥县应急局：今日煤矿瓦斯爆炸，2人死亡。", "12A00"),
        ("石桥县应急局：今日工地脚手架坍塌，2人死亡。", "12C00"),
        ("平安县疾控中心：今日中午某校食堂食物中毒，9人中毒。", "13B03"),
        ("石桥县水利局：今日清水水库大坝管涌。", "11A03"),
        ("塔林旗公安局：今日查获贩毒案一起，缴获冰毒2公斤。", "14B13"),
    ],
)
def test_the_class_of_an_event(text: str, code: str) -> None:
    _, found = judge(text)
    assert found.event_class is not None and found.event_class.code == code, found.event_class
    assert found.event_class.name


def test_every_item_of_the_forty_has_a_class_and_every_code_its_form() -> None:
    covered = {name for one in catalogue().classes for name in one.covers}
    forty = {item.id for item in catalogue().items if not item.id.startswith(("补充", "标准"))}
    assert forty <= covered and len(forty) == 40
    assert all(len(one.code) == 5 and one.code[0] == "1" and one.code[2:3].isalnum() for one in catalogue().classes)


@pytest.mark.parametrize(
    ("change", "path", "word"),
    [
        (lambda d: d["severity"].pop("source"), ("severity", "source"), "missing"),
        (lambda d: d["severity"].update(condition={"term": "nosuch"}), ("severity", "condition", "term"), "nosuch"),
        (lambda d: d["severity"].update(degree=[]), ("severity", "degree"), "missing"),
        (lambda d: d["severity"]["degree"][0].update(any=[]), ("severity", "degree", 0, "any"), "empty"),
        (
            lambda d: d["severity"]["degree"][1]["any"][0].update(field="dead"),
            ("severity", "degree", 1, "any", 0, "field"),
            "dead",
        ),
        (
            lambda d: d["severity"]["degree"][0]["any"][1].update(sum=["deaths", "loss_yuan"]),
            ("severity", "degree", 0, "any", 1, "sum"),
            "units",
        ),
        (lambda d: d["class"][0].update(covers=["事故类-99"]), ("class", 0, "covers"), "事故类-99"),
        (lambda d: d["class"][0].pop("code"), ("class", 0, "code"), "missing"),
        (lambda d: d["class"][0].update(word=["x"]), ("class", 0, "word"), "unknown key"),
    ],
)
def test_a_fault_is_named_with_its_path(change: Any, path: tuple[str | int, ...], word: str) -> None:
    data = copy.deepcopy(conf("catalogue"))
    change(data)
    with pytest.raises(ParseFaults) as caught:
        Catalogue.parse(data)
    assert any(f.path == path and (word in f.what or word in f.allowed) for f in caught.value.faults), caught.value


def test_a_city_may_leave_both_out() -> None:
    data = copy.deepcopy(conf("catalogue"))
    del data["severity"], data["class"]
    made = Catalogue.parse(data)
    assert made.severity is None and made.classes == ()
