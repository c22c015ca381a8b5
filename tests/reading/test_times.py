"""The time of the event: the sender's day, always the past, the event before alarm, state of affairs and paper head."""

from __future__ import annotations

from datetime import datetime

import pytest

from gateway.core.model import Occurred
from gateway.reading.normalise import normalise
from gateway.reading.times import occurred, time_phrases
from tests.core.example import read

NOON = "2026-03-06T12:00:00+08:00"


def told(text: str) -> Occurred | None:
    """What is taken for the time of the event, at noon."""
    normal = normalise(text)
    return occurred(normal, time_phrases(normal.text, datetime.fromisoformat(NOON)), [])[0]


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("今晨5时20分，两车相撞。", NOON, "2026-03-06T05:20"),
        ("昨晚22时30分左右，两车相撞。", NOON, "2026-03-05T22:30"),
        ("昨夜十二点半，两车相撞。", NOON, "2026-03-06T00:30"),
        ("昨晚1点，两车相撞。", NOON, "2026-03-06T01:00"),
        ("前天下午三点，两车相撞。", NOON, "2026-03-04T15:00"),
        ("3月5日24时，两车相撞。", NOON, "2026-03-06T00:00"),
        ("今日零时10分，两车相撞。", NOON, "2026-03-06T00:10"),
        ("2小时前，两车相撞。", NOON, "2026-03-06T10:00"),
        ("半小时前，两车相撞。", NOON, "2026-03-06T11:30"),
        ("刚才，两车相撞。", NOON, "2026-03-06T12:00"),
        ("两车相撞，夜里11点的事。", "2026-03-06T08:15:00+08:00", "2026-03-05T23:00"),
        ("12月30日9时10分，两车相撞。", NOON, "2025-12-30T09:10"),
        ("28日9时，两车相撞。", NOON, "2026-02-28T09:00"),
        ("2025年12月30日9时，两车相撞。", NOON, "2025-12-30T09:00"),
        ("六月十三号下午三点一刻，大风。", "2026-06-15T16:00:00+08:00", "2026-06-13T15:15"),
        ("３月５日２１时０７分，两车相撞。", NOON, "2026-03-05T21:07"),
        ("3月5曰2l吋O7分，两车相撞。", NOON, "2026-03-05T21:07"),
        ("3月4日20时至5日6时，暴雨成灾。", NOON, "2026-03-04T20:00"),
        ("截至3月6日8时，两车相撞事故已死亡2人，事故3月5日21时发生。", NOON, "2026-03-05T21:00"),
        ("3月5日8时，厂房起火，10时明火扑灭。", NOON, "2026-03-05T08:00"),
        ("3月5日，山洪暴发。", NOON, "2026-03-05"),
        ("今早，有人堵路。", NOON, "2026-03-06"),
        ("下午两点着火的，三点半就灭了。", "2026-03-06T17:00:00+08:00", "2026-03-06T14:00"),
        ("早上六点半多，六点四十吧，透水了。", NOON, "2026-03-06T06:40"),
        ("今天中午，十二点一刻开始有人吐。", "2026-03-06T13:30:00+08:00", "2026-03-06T12:15"),
        ("两点多着火的，人没事。", "2026-03-06T17:00:00+08:00", "2026-03-06T14:00"),
        ("十一点五十九分，两车相撞。", NOON, "2026-03-06T11:59"),
        ("刚才十一点二十，炸了。", "2026-03-06T23:40:00+08:00", "2026-03-06T23:20"),
        ("昨晚凌晨1点，民房起火。", NOON, "2026-03-06T01:00"),
        ("昨晚8时许，民房起火，10时扑灭。", NOON, "2026-03-05T20:00"),
        ("5日凌晨，渡船沉没。早上7时搜救开始。", NOON, "2026-03-05"),
        ("3月5日晚，起火，当晚11时许，两车相撞。", NOON, "2026-03-05T23:00"),
        ("周三（4日）晚上8时15分，爆炸。", NOON, "2026-03-04T20:15"),
        ("元月4日夜里10点多，面包车撞车。", NOON, "2026-01-04T22:00"),
        ("起火时间为早上9点左右，10时许消防赶到。", NOON, "2026-03-06T09:00"),
        ("3月5日聚餐，次日起多人呕吐。", NOON, "2026-03-05"),
        ("北京时间3月5日1时（当地时间4日18时），地震。", NOON, "2026-03-04T18:00"),
        ("3月5日7时5分和8时10分，两车先后爆炸。", NOON, "2026-03-05T07:05"),
        ("2012年5月的地震后重建的学校，3月5日9时倒塌。", NOON, "2026-03-05T09:00"),
        ("“3·1”事故最后一名遇难者5日找到。3月1日8时，渡船沉没。", NOON, "2026-03-01T08:00"),
        ("20260305 20:15起火。", NOON, "2026-03-05T20:15"),
        ("事故发生在3月上旬。", NOON, "2026-03"),
        ("日前，两车相撞。记者5日从交警获悉。", NOON, None),
        ("截至3月5日8时，已死亡2人。", NOON, None),
        ("有一点轻伤。", NOON, None),
        ("两三点着火的。", NOON, None),
        ("用时3时20分扑灭。", NOON, None),
        ("烧了零点六公顷，十来分钟灭的。", NOON, None),
        ("定于3月8日9时开会。", NOON, None),
        ("拥军路110号两车相撞，120已到。", NOON, None),
    ],
)  # fmt: skip
def test_occurred(text: str, at: str, expected: str | None) -> None:
    occurred = read("白水县政府办：" + text, at).occurred
    assert (occurred.value if occurred else None) == expected


def test_head_and_foot_of_a_fax_do_not_tell() -> None:
    text = "白水县应急局 FAX 2026-03-06 O9:12\n3月6日7时40分，两车相撞，1人死亡。\n白水县应急局\n2026年3月6日9时"
    occurred = read(text, NOON, channel="fax").occurred
    assert occurred and occurred.value == "2026-03-06T07:40"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("新华社武汉3月5日电 今天上午9时，客车坠江。", "2026-03-05T09:00"),
        ("晚报讯 昨天上午9时，客车坠江。", "2026-03-05T09:00"),
        ("都市报3月5日电 昨日9时，客车坠江。", "2026-03-05T09:00"),
        ("新华社东京3月5日电 警方5日说，4日晚发生火灾。火灾发生在当晚6时45分左右。", "2026-03-04T18:45"),
        ("记者5日上午从县里获悉，4日10时11分，挖断管道引发爆燃。", "2026-03-04T10:11"),
    ],
)
def test_news_speaks_in_the_day_of_its_dateline(text: str, expected: str) -> None:
    found = told(text)
    assert found is not None and found.value == expected


def test_only_how_it_ended_tells_the_day() -> None:
    found = told("3月5日10时，大火被扑灭。")
    assert found is not None and (found.value, found.qualifier) == ("2026-03-05", "about")


def test_a_form_tells_by_its_labels() -> None:
    text = "事件快报\n报告时间：3月6日9时\n接警时间：3月6日8时12分\n事发时间：3月6日8时05分\n地点：白水县青石镇"
    found = read(text, NOON).occurred
    assert found is not None and found.value == "2026-03-06T08:05"


@pytest.mark.parametrize(
    ("text", "qualifier"), [("5时许", "about"), ("5时左右", "about"), ("5时20分", "exact"), ("五点来钟", "about")]
)
def test_qualifier(text: str, qualifier: str) -> None:
    occurred = read(f"白水县政府办：今晨{text}，两车相撞。", NOON).occurred
    assert occurred and occurred.qualifier == qualifier


@pytest.mark.parametrize("at", ["2026-01-01T00:05:00+08:00", "2026-03-01T00:00:00+08:00", "2024-02-29T23:59:00+08:00"])
@pytest.mark.parametrize("word", ["昨晚23时", "今天0时", "前天8时", "31日8时", "2月29日8时", "夜里11点", "12月31日23时59分"])
def test_never_the_future(word: str, at: str) -> None:
    occurred = read(f"白水县政府办：{word}，两车相撞。", at).occurred
    assert occurred is None or occurred.value <= at[:16]
