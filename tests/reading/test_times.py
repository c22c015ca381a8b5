"""The time of the event: the sender's day, always the past, the event before alarm, state of affairs and paper head."""

from __future__ import annotations

import pytest

from tests.core.example import read

NOON = "2026-03-06T12:00:00+08:00"


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
