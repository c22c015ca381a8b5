"""Every threshold of the shipped catalogue at n-1, n and n+1, read from written messages through the whole pipeline.

A threshold that is added to conf/catalogue.toml without a message here fails ``test_every_threshold_has_a_message``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.core.conditions import NAMES, UNITS, Condition, amount
from tests.core.example import catalogue
from tests.reading.test_corpus import Streams

Key = tuple[str, str, float]
AT = "2026-04-10T17:00:00+08:00"

# A message for each (item, fields, limit), twice where the rule asks twice; {n} is the figure.
MESSAGES: list[tuple[str, str, float, str]] = [
    ("事件类-3", "casualties", 1, "白水县公安局：今日15时出动民警处置村民聚集堵门，处置过程中双方推搡，{n}人受伤，无人死亡。"),
    ("事件类-4", "participants", 5, "塔林旗委办：今晨6时两村因草场发生械斗，参与人员共{n}人，无人员伤亡。"),
    ("事件类-4", "casualties", 1, "塔林旗委办：今晨6时两村因草场发生械斗，{n}人受伤，无人死亡。"),
    ("事件类-7", "participants", 100, "柳河县政府办：今日10时马氏宗族在马家岭举行祭祖活动，参加人员{n}人，秩序良好。"),
    ("事件类-7", "participants", 50, "柳河县政府办：今日10时马氏宗族在马家岭祭祖，未经批准，参加人员{n}人，秩序良好。"),
    ("事件类-8", "participants", 2, "石桥县信访局：今早得知，{n}名村民准备到自治区上访，反映征地补偿。"),
    ("事件类-8", "participants", 8, "石桥县信访局：今日9时，{n}名商户到县信访局上访，扬言采取过激行为。"),
    ("事件类-9", "participants", 10, "柳河县政府办：今日8时{n}名村民在桥头集会，无人员伤亡。"),
    ("案件类-1", "deaths", 1, "青山区公安分局：昨夜23时南湖小区发生一起命案，{n}人死亡，嫌疑人在逃。"),
    ("案件类-2", "loss_yuan", 100_000, "青山区公安分局：今日8时一男子遭抢劫，被抢现金{n}元，未受伤。"),
    ("案件类-2", "loss_yuan", 100_000, "青山区公安分局：今日8时一男子遭抢劫，损失{n}元，未受伤。"),
    ("案件类-2", "loss_yuan", 200_000, "青山区公安分局：今日8时一男子遭抢劫，被抢财物价值{n}元，未受伤。"),
    ("案件类-3", "loss_yuan", 1_000_000, "石桥县公安局：供销社会计携款{n}元潜逃，今日8时报案。"),
    ("案件类-4", "participants", 30, "平安县公安局：某合作社涉嫌非法集资，今日参与上门讨要的有{n}人。"),
    ("案件类-4", "loss_yuan", 1_000_000, "平安县公安局：今日立案一起非法集资，涉案金额{n}元。"),
    ("案件类-5", "deaths", 1, "白水县政府办：今晨某户水井被人投毒，{n}人死亡，无其他人中毒。"),
    ("案件类-5", "poisoned", 3, "白水县政府办：今日8时某户被投毒，{n}人中毒，无人死亡。"),
    ("案件类-7", "loss_yuan", 100_000, "柳河县市场监管局：今日查获制售假酒窝点一处，案值{n}元，无人员伤亡。"),
    ("案件类-7", "casualties", 1, "柳河县市场监管局：今日查获制售假酒窝点一处，案值3万元，饮用后{n}人死亡。"),
    ("案件类-7", "poisoned", 1, "柳河县市场监管局：今日查获制售假酒窝点一处，案值3万元，饮用后{n}人中毒，无人死亡。"),
    ("案件类-10", "casualties", 1, "云台区公安分局：今日10时执法人员遭暴力抗法，{n}人受伤，无人死亡。"),
    ("事故类-2", "deaths", 1, "白水县政府办：今日8时货车与客车相撞，{n}人死亡，无人受伤。"),
    ("事故类-2", "casualties", 5, "白水县政府办：今日8时货车与客车相撞，{n}人受伤，无人死亡。"),
    ("事故类-2", "casualties+unaccounted", 5, "白水县政府办：今日8时客车坠河，2人受伤，无人死亡，{n}人失踪。"),
    ("事故类-2", "loss_yuan", 500_000, "白水县政府办：今日8时两辆货车追尾，无人员伤亡，直接经济损失{n}元。"),
    ("事故类-4", "deaths", 1, "青山区消防大队：今日14时民房起火，{n}人死亡，无人受伤。"),
    ("事故类-4", "casualties", 5, "青山区消防大队：今日14时民房起火，{n}人受伤，无人死亡。"),
    ("事故类-4", "casualties+unaccounted", 5, "青山区消防大队：今日14时厂房起火，2人受伤，无人死亡，{n}人被困。"),
    ("事故类-4", "loss_yuan", 1_000_000, "青山区消防大队：今日14时仓库起火，无人员伤亡，直接经济损失{n}元。"),
    ("事故类-3", "deaths", 1, "石桥县应急局：今日15时脚手架坍塌，{n}人死亡，无人受伤。"),
    ("事故类-3", "casualties", 5, "石桥县应急局：今日15时脚手架坍塌，{n}人受伤，无人死亡。"),
    ("事故类-3", "casualties+unaccounted", 5, "石桥县应急局：今日15时煤矿透水，2人受伤，无人死亡，{n}人被困。"),
    ("事故类-3", "poisoned", 5, "石桥县应急局：今日15时车间一氧化碳泄漏，{n}人中毒，无人死亡。"),
    ("事故类-3", "loss_yuan", 1_000_000, "石桥县应急局：今日15时塔吊倒塌，无人员伤亡，直接经济损失{n}元。"),
    ("事故类-5", "deaths", 1, "柳河县政府办：今晚8时广场灯会发生踩踏，{n}人死亡，无人受伤。"),
    ("事故类-5", "casualties", 5, "柳河县政府办：今晚8时广场灯会发生踩踏，{n}人受伤，无人死亡。"),
    ("事故类-5", "casualties+unaccounted", 5, "柳河县政府办：今晚8时广场看台垮塌，2人受伤，无人死亡，{n}人被困。"),
    ("灾情疫情类-2", "deaths", 1, "平安县应急局：昨日17时冰雹，{n}人死亡，无人受伤。"),
    ("灾情疫情类-2", "seriously_injured", 3, "平安县应急局：昨日17时冰雹，无人死亡，重伤{n}人。"),
    ("灾情疫情类-2", "missing", 2, "平安县应急局：昨日17时山洪，无人死亡，失踪{n}人。"),
    ("灾情疫情类-2", "houses", 10, "平安县应急局：昨日17时大风，倒塌房屋{n}间，无人员伤亡。"),
    ("灾情疫情类-2", "loss_yuan", 10_000, "平安县应急局：昨日17时冰雹，一户村民损失{n}元，无人员伤亡。"),
    ("灾情疫情类-2", "loss_yuan", 100_000, "平安县应急局：昨日17时冰雹，村集体直接经济损失{n}元，无人员伤亡。"),
    ("灾情疫情类-2", "forest_mu", 5, "平安县林业局：昨日17时山林起火，过火面积{n}亩，无人员伤亡。"),
    ("灾情疫情类-2", "crop_mu", 100, "平安县应急局：昨日17时冰雹，农作物受灾面积{n}亩，无人员伤亡。"),
    ("灾情疫情类-2", "crop_lost_mu", 50, "平安县应急局：昨日17时冰雹，农作物绝收{n}亩，无人员伤亡。"),
    ("灾情疫情类-2", "loss_yuan", 500_000, "平安县应急局：昨日17时大风，乡镇供电中断，直接经济损失{n}元，无人员伤亡。"),
    ("灾情疫情类-4", "ill", 5, "青山区卫健局：今日8时起，某中学{n}名学生发病，病因不明，已送医。"),
    ("灾情疫情类-4", "poisoned", 5, "青山区卫健局：今日8时起，某校{n}人疑似中毒，原因不明，已送医。"),
    ("标准-1", "deaths", 1, "白水县政府办：今日7时河边发现异常情况，{n}人死亡，原因待查。"),
    ("标准-2", "casualties", 5, "白水县政府办：今日7时发生一起伤人事件，{n}人受伤，无人死亡。"),
    ("标准-2", "unaccounted", 3, "白水县政府办：今日7时河边发生意外事件，{n}人失踪，无人死亡。"),
    ("标准-2", "poisoned", 5, "白水县政府办：今日7时一起事故致{n}人中毒，无人死亡。"),
    ("标准-2", "participants", 50, "白水县政府办：今日7时因土地纠纷，村民聚集，参与人员{n}人，无人员伤亡。"),
    ("标准-2", "loss_yuan", 1_000_000, "白水县公安局：今日破获一起盗窃案件，涉案金额{n}元。"),
    ("标准-4", "ill", 5, "平安县疾控中心：今日某校发生传染病疫情，发病{n}人，均已隔离。"),
    ("标准-4", "ill", 5, "平安县疾控中心：今日中午某工地工人发病{n}人，均已送医，初步判断为食源性疾病。"),
    ("标准-4", "ill", 5, "平安县疾控中心：今日中午某校学生{n}人腹痛、腹泻，均已送医。"),
    ("标准-4", "poisoned", 3, "平安县疾控中心：今日中午某工地发生食物中毒，{n}人中毒，均已送医。"),
    ("标准-4", "deaths", 1, "平安县政府办：今日9时山洪，{n}人死亡，无人受伤。"),
    ("标准-4", "casualties", 5, "平安县政府办：今日9时冰雹，{n}人受伤，无人死亡。"),
    ("标准-4", "missing", 2, "平安县政府办：今日9时山洪，{n}人失踪，无人死亡。"),
    ("标准-4", "affected", 1000, "平安县政府办：今日9时冰雹，受灾人口{n}人，无人员伤亡。"),
    ("标准-4", "loss_yuan", 1_000_000, "平安县政府办：今日9时冰雹，直接经济损失{n}元，无人员伤亡。"),
    ("标准-6", "participants", 10, "青山区信访局：今日{n}名业主到区信访局集体上访，秩序平稳。"),
    ("标准-6", "participants", 2, "青山区信访局：今日{n}名村民准备赴省上访，正在劝返。"),
    ("标准-8", "deaths", 1, "石桥县应急局：昨日17时大风，{n}人死亡，无人受伤。"),
    ("标准-8", "missing", 2, "石桥县应急局：昨日17时暴雨，{n}人失踪，无人死亡。"),
    ("标准-8", "houses", 10, "石桥县应急局：昨日17时暴雨，倒塌房屋{n}间，无人员伤亡。"),
    ("标准-8", "crop_mu", 100, "石桥县应急局：昨日17时霜冻，农作物受灾{n}亩，无人员伤亡。"),
    ("标准-8", "affected", 1000, "石桥县应急局：昨日17时暴雨，受灾人口{n}人，无人员伤亡。"),
    ("标准-8", "loss_yuan", 100_000, "石桥县应急局：昨日17时大风，直接经济损失{n}元，无人员伤亡。"),
]  # fmt: skip
SHIFT = {"casualties+unaccounted": 2}
"""What the message already holds of the sum beside {n}."""


def _thresholds(condition: Condition) -> Iterator[Condition]:
    if condition.form == "threshold":
        yield condition
    for part in condition.parts:
        yield from _thresholds(part)


def _wanted() -> Counter[Key]:
    found = ((item.id, t) for item in catalogue().items for t in _thresholds(item.condition))
    return Counter((item, "+".join(t.fields), t.at_least) for item, t in found)


def test_every_threshold_has_a_message() -> None:
    assert Counter((item, fields, limit) for item, fields, limit, _ in MESSAGES) == _wanted()


@pytest.fixture(scope="module")
def dry() -> Iterator[Streams]:
    made = Streams()
    yield made
    made.explainer.close()


def _explained(dry: Streams, text: str) -> dict[str, Any]:
    line = {"id": "1", "channel": "sms", "received_at": AT, "sender": "+8613800000001", "text": text}
    return dry.begin().explain(line)


def _sentence(shown: dict[str, Any], item: str) -> str:
    return next((match["why"][0] for match in shown["catalogue"] if match["item"] == item), "")


CASES = [pytest.param(*one, id=f"{one[0]}-{one[1]}-{one[2]:g}-{n}") for n, one in enumerate(MESSAGES)]


@pytest.mark.parametrize(("item", "fields", "limit", "text"), CASES)
def test_threshold_is_met_from_its_number_on(item: str, fields: str, limit: float, text: str, dry: Streams) -> None:
    unit = UNITS.get(fields.partition("+")[0], "人")
    for change in (-1, 0, 1):
        number = int(limit) + change
        shown = _explained(dry, text.format(n=number - SHIFT.get(fields, 0)))
        reason = f"{amount(number, unit)} ≥ {amount(limit, unit)}"
        sentence = _sentence(shown, item)
        told = f"{text}\n{number}: {sentence!r}, review {shown['review']}"
        if change < 0:
            assert reason not in sentence, told
            assert NAMES.get(fields, "") not in sentence or f"≥ {amount(limit, unit)}" not in sentence, told
        else:
            assert reason in sentence, told
            assert sentence.startswith(catalogue().item(item).title + "，"), told  # type: ignore[union-attr]
            assert shown["action"] == "new", told


# The trigger is there, the figure is said to be unknown: a person decides, it never rests below the threshold.
UNKNOWN: list[tuple[str, str]] = [
    ("事件类-3", "白水县公安局：今日15时出动民警处置村民聚集堵门，处置过程中双方推搡，伤亡情况不明。"),
    ("事件类-4", "塔林旗委办：今晨6时两村因草场发生械斗，参与人数不详。"),
    ("事件类-4", "塔林旗委办：今晨6时两村因草场发生械斗，伤亡情况不明。"),
    ("事件类-7", "柳河县政府办：今日10时马氏宗族在马家岭祭祖，未经批准，参加人数不详。"),
    ("事件类-8", "石桥县信访局：今早得知有村民准备到自治区上访，人数不详。"),
    ("事件类-9", "柳河县政府办：今日8时村民在桥头集会，人数不详。"),
    ("案件类-1", "青山区公安分局：昨夜23时南湖小区发生一起命案，死亡人数不详。"),
    ("案件类-2", "青山区公安分局：今日8时一男子遭抢劫，损失金额不详，未受伤。"),
    ("案件类-3", "石桥县公安局：供销社会计携款潜逃，金额不详，今日8时报案。"),
    ("案件类-4", "平安县公安局：今日立案一起非法集资，涉案金额不详。"),
    ("案件类-5", "白水县政府办：今晨某户水井被人投毒，伤亡情况不明。"),
    ("案件类-5", "白水县政府办：今晨某户水井被人投毒，中毒人数不详，无人死亡。"),
    ("案件类-7", "柳河县市场监管局：今日查获制售假酒窝点一处，案值不详。"),
    ("案件类-10", "云台区公安分局：今日10时执法人员遭暴力抗法，伤亡情况不明。"),
    ("事故类-2", "白水县政府办：今日8时货车与客车相撞，死亡人数不详。"),
    ("事故类-2", "白水县政府办：今日8时货车与客车相撞，伤亡情况不明。"),
    ("事故类-4", "青山区消防大队：今日14时民房起火，死亡人数不详。"),
    ("事故类-4", "青山区消防大队：今日14时民房起火，伤亡情况正在核实。"),
    ("事故类-3", "石桥县应急局：今日15时脚手架坍塌，伤亡情况不明。"),
    ("事故类-5", "柳河县政府办：今晚8时广场灯会发生踩踏，伤亡人数不详。"),
    ("灾情疫情类-2", "平安县应急局：昨日17时冰雹，伤亡情况不明。"),
    ("灾情疫情类-2", "平安县应急局：昨日17时山洪，无人死亡，失踪人数不详。"),
    ("灾情疫情类-4", "青山区卫健局：今日8时起，某中学有学生发病，人数不详，病因不明，已送医。"),
    ("标准-1", "白水县政府办：今日7时河边发现异常情况，死亡人数不详。"),
    ("标准-2", "白水县政府办：今日7时发生一起伤人事件，伤亡情况不明。"),
    ("标准-4", "平安县政府办：今日9时山洪，死亡人数不详。"),
    ("标准-8", "石桥县应急局：昨日17时大风，死亡人数不详。"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "text"), UNKNOWN)
def test_a_figure_said_to_be_unknown_is_left_to_a_person(item: str, text: str, dry: Streams) -> None:
    shown = _explained(dry, text)
    assert item in [doubt["item"] for doubt in shown["review"]], (text, shown["catalogue"], shown["review"])
    assert shown["action"] == "new", text


# The trigger is denied, or not there at all.
DENIED: list[tuple[str, str]] = [
    ("事件类-1", "白水县政府办：今日9时，3名村民到镇政府反映低保问题，未发生冲击政府机关情况，谈完即回。"),
    ("事件类-4", "塔林旗委办：今晨6时两村因草场发生口角，未发生械斗，现场20人已散去。"),
    ("事件类-9", "柳河县政府办：今日8时市集人多，未发生集会、游行。"),
    ("案件类-1", "青山区公安分局：昨夜23时一老人在家中因病死亡，排除他杀。"),
    ("案件类-6", "青山区公安分局：今日18时广场有人燃放爆竹，未发生爆炸，无人员伤亡。"),
    ("案件类-9", "石桥县公安局：今日清点，县局枪支弹药账物相符，未发现丢失、被盗。"),
    ("案件类-11", "柳河县公安局：今日8时一仓库起火，排除人为纵火，无人员伤亡。"),
    ("事故类-2", "白水县政府办：今日8时，大雾天气，未发生交通事故，无人员伤亡。"),
    ("事故类-4", "云台区应急局：今日9时锅炉房冒烟，没有起火，无人员伤亡。"),
    ("事故类-6", "平安县生态环境局：今日3时一辆槽车停靠检修，液氨未泄漏，未造成污染。"),
    ("灾情疫情类-1", "石桥县水利局：今日巡查清水水库，大坝未出现险情、渗漏。"),
    ("灾情疫情类-4", "青山区卫健局：今日8时某中学2名学生发烧，确诊为普通感冒。"),
    ("灾情疫情类-5", "白水县疾控中心：今日一养殖户发热就诊，排除禽流感。"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "text"), DENIED)
def test_what_is_denied_meets_nothing(item: str, text: str, dry: Streams) -> None:
    shown = _explained(dry, text)
    met = [match["item"] for match in shown["catalogue"]] + [doubt["item"] for doubt in shown["review"]]
    assert item not in met, (text, shown["catalogue"], shown["review"])
