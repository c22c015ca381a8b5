"""Figures by group of trap: each number tied to its own predicate, the latest total winning, silence never a zero."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.model import FIGURES
from tests.core.example import read

COUNTY = "白水县政府办："


def stated(text: str) -> dict[str, Any]:
    """The figures of a text: the value, or (value, max, qualifier) where it is not exact."""
    report = read(COUNTY + text)
    found: dict[str, Any] = {}
    for name in (*FIGURES, "casualties"):
        figure = getattr(report, name)
        if figure is not None:
            plain = figure.max is None and figure.qualifier in ("exact", "zero", "unknown")
            found[name] = figure.value if plain else (figure.value, figure.max, figure.qualifier)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # width, spaces, recognition
        ("客车侧翻，造成２人死亡、１１人受伤。", {"deaths": 2, "injured": 11}),
        ("客车侧翻，造成 2 人 死 亡 、 1 1人受伤。", {"deaths": 2, "injured": 1}),
        ("客车侧翻，死亡l2人，受伤2O人。", {"deaths": 12, "injured": 20}),
        ("客车侧翻，死\u200b亡２人，受傷３人。", {"deaths": 2, "injured": 3}),
        ("①客车侧翻 ②死亡2人", {"deaths": 2}),
        # numerals
        ("客车侧翻，死亡两人，伤十一人。", {"deaths": 2, "injured": 11}),
        ("客车侧翻，三四人受伤。", {"injured": (4, 4, "range")}),
        ("客车侧翻，受伤的有十一二个。", {"injured": (12, 12, "range")}),
        ("客车侧翻，致十余人受伤。", {"injured": (10, None, "over")}),
        ("客车侧翻，至少3人死亡。", {"deaths": (3, None, "at_least")}),
        ("客车侧翻，近20人受伤。", {"injured": (20, None, "nearly")}),
        ("客车侧翻，数十人受伤。", {"injured": (None, None, "at_least")}),
        ("客车侧翻，多人受伤。", {"injured": None}),
        # money
        ("厂房垮塌，直接经济损失约9万8千元。", {"loss_yuan": (98000, None, "about")}),
        ("厂房垮塌，损失两万八。", {"loss_yuan": 28000}),
        ("厂房垮塌，直接经济损失三四百万元。", {"loss_yuan": (4000000, 4000000, "range")}),
        ("厂房垮塌，直接经济损失1.2亿元。", {"loss_yuan": 120000000}),
        ("厂房垮塌，损失300万美元。", {}),
        ("厂房垮塌，已拨付救助金20万元。", {}),
        # names that hold numbers
        ("3月18日，G310国道K12处一号井旁两车相撞，1死3伤。", {"deaths": 1, "injured": 3}),
        ("五一路第一中学三号楼冒烟，无人员伤亡。", {"deaths": 0, "injured": 0}),
        # others who are counted
        ("客车侧翻，1人死亡，出动民警40人、消防车3辆，疏散群众500余人。", {"deaths": 1, "evacuated": (500, None, "over")}),
        ("客车核载19人、实载23人，侧翻后4人受伤。", {"injured": 4}),
        ("疫点处置，68名接触者隔离观察。", {}),
        ("口蹄疫，病死羊460只，累计1530只。", {}),
        # parts
        ("客车侧翻，7人受伤，其中2人重伤。", {"injured": 7, "seriously_injured": 2}),
        ("客车侧翻，11人受伤(重伤3人)。", {"injured": 11, "seriously_injured": 3}),
        ("客车侧翻，1重伤6轻伤。", {"injured": 7, "seriously_injured": 1}),
        ("客车侧翻，5人死亡，1男4女。", {"deaths": 5}),
        ("客车侧翻，5人死亡，其中司机1人当场死亡。", {"deaths": 5}),
        ("冲突中2名群众、1名民警受伤。", {"injured": 3}),
        # updates
        ("更正：死亡人数由2人升至3人。", {"deaths": 3}),
        ("受伤的又增加两个，一共五个。", {"injured": 5}),
        ("客车侧翻，当场死亡3人，另有1人送医后死亡。", {"deaths": 4}),
        ("更正：前报死亡5人有误，应为4人死亡。", {"deaths": 4}),
        ("续报：死亡人数上升到七人，受伤人数降至9人。", {"deaths": 7, "injured": 9}),
        ("续报：受伤人数核减为6人。", {"injured": 6}),
        # denials
        ("厂房垮塌，无人员伤亡。", {"deaths": 0, "injured": 0}),
        ("厂房垮塌，末造成人员伤亡。", {"deaths": 0, "injured": 0}),
        ("厂房垮塌，人没事。", {"deaths": 0, "injured": 0}),
        ("厂房垮塌，暂无伤亡。", {"deaths": 0, "injured": 0}),
        ("厂房垮塌，2人受伤，无死亡。", {"deaths": 0, "injured": 2}),
        ("厂房垮塌，尚无人员伤亡的报告。", {"deaths": None, "injured": None}),
        ("厂房垮塌，伤亡情况不详。", {"deaths": None, "injured": None}),
        ("厂房垮塌，死亡人数正在核实。", {"deaths": None}),
        ("客车侧翻，没有中国人伤亡。", {}),
        ("客车侧翻，今日无新增死亡。", {}),
        ("客车侧翻，3人受伤，暂无生命危险。", {"injured": 3}),
        # sums
        ("客车侧翻，死伤5人。", {"casualties": 5, "deaths": None, "injured": None}),
        ("客车侧翻，伤亡9人，其中死亡2人、受伤7人。", {"casualties": 9, "deaths": 2, "injured": 7}),
        ("入室行凶，一对夫妻被害。", {"deaths": 2}),
        ("2人中毒死亡。", {"deaths": 2, "poisoned": 2}),
        ("围墙倒了，砸着仨学生。", {"injured": 3}),
        ("累计发热学生46例。", {"ill": 46}),
        # disaster
        ("暴雨，受灾人口1.2万人，倒塌房屋36间，农作物受灾面积4500亩，其中绝收800亩，2人失踪。",
         {"affected": 12000, "houses": 36, "crop_mu": 4500, "crop_lost_mu": 800, "missing": 2}),
        ("山林起火，过火面积零点六公顷。", {"forest_mu": 9}),
        ("山林起火，烧了三四亩灌木。", {"forest_mu": (4, 4, "range")}),
        ("民房起火，过火面积300平方米。", {}),
        ("透水，5人被困失联。", {"missing": 5, "trapped": 5}),
    ],
)  # fmt: skip
def test_stated(text: str, expected: dict[str, Any]) -> None:
    assert stated(text) == expected


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        ("来电人：三个人没了。\n值班员：死亡三人，还有没有受伤的？\n来电人：没有。", 0),
        ("来电人：翻车了。\n值班员：有没有受伤的？\n来电人：还不清楚。", None),
        ("来电人：翻车了，伤了两个。\n值班员：受伤五人？\n来电人：两个。", 2),
    ],
)
def test_clerk_asks_and_caller_answers(talk: str, expected: int | None) -> None:
    injured = read(talk, channel="phone").injured
    assert injured is not None and injured.value == expected


def test_loss_in_cash_and_goods() -> None:
    report = read("青山区公安分局：一女子被抢现金3000元和手机一部（价值2000元）。")
    assert report.loss_yuan and report.loss_yuan.value == 5000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30余名村民到县政府上访，民警40人到场。", 30),
        ("两村械斗，双方参与60多人，抓获8人。", 60),
        ("四个人拉横幅，十来分钟就走了。", 4),
        ("宗亲约2000人祭祖，来自周边3县。", 2000),
        ("客车侧翻，车上20人。", None),
    ],
)
def test_participants(text: str, expected: int | None) -> None:
    figure = read(COUNTY + text).participants
    assert (figure.value if figure else None) == expected
