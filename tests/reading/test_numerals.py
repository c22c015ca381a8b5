"""Numerals, the folded text and its map back, the city's tables: properties over any input."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import FIGURES
from gateway.core.parsing import ParseFaults
from gateway.reading.gazetteer import Gazetteer
from gateway.reading.normalise import READ_LIMIT, normalise
from gateway.reading.numerals import numbers, value_of
from gateway.reading.words import Words
from tests.core.example import conf, read

_HAN = "零一二三四五六七八九"


def spoken(number: int) -> str:
    """A number below ten thousand as it is said."""
    if number == 0:
        return "零"
    said, zero = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit:
            said += ("零" if zero and said else "") + _HAN[digit] + name
            zero = False
        else:
            zero = True
    return said


@given(st.integers(0, 9999))
def test_spoken_numbers(number: int) -> None:
    assert value_of(spoken(number)) == number


@given(st.integers(1, 9999), st.integers(0, 9999))
def test_tens_of_thousands(high: int, low: int) -> None:
    tail = "" if low == 0 else ("零" if low < 1000 else "") + spoken(low)
    assert value_of(spoken(high) + "万" + tail) == high * 10_000 + low


@pytest.mark.parametrize(
    ("text", "value"),
    [("9万8", 98000), ("9万8千", 98000), ("六百八", 680), ("一百二", 120), ("一千零五", 1005), ("1亿2000万", 120_000_000), ("零点六", 0.6),
     ("廿", 20), ("俩", 2), ("1,200", 1200), ("二〇二六", 2026), ("x", None), ("", None), ("点五", None)],
)  # fmt: skip
def test_mixed_forms(text: str, value: float | None) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "low", "high", "qualifier"),
    [("三四亩", 3, 4, "range"), ("七八十亩", 70, 80, "range"), ("十一二个", 11, 12, "range"), ("3至5人", 3, 5, "range"), ("八、九人", 8, 9, "range"),
     ("十来万", 100_000, None, "about"), ("百余人", 100, None, "over"), ("上百人", 100, None, "at_least"), ("几个", None, None, "unknown")],
)  # fmt: skip
def test_ranges_and_qualifiers(text: str, low: float | None, high: float | None, qualifier: str) -> None:
    number = numbers(text)[0]
    assert (number.value, number.high, number.qualifier) == (low, high, qualifier)


@given(st.text(max_size=300))
def test_the_map_leads_back(text: str) -> None:
    normal = normalise(text)
    assert len(normal.text) == len(normal.origin)
    assert list(normal.origin) == sorted(normal.origin)
    for at in range(len(normal.text)):
        start, end = normal.span(at, at + 1)
        assert 0 <= start < end <= len(text)


_ALPHABET = "2死5伤人受 ，。、其中重伤无没有约近至少万元亩间昨晚今日3月时分:：()（）白水县来电值班员\n轻亡升至共失踪中毒报"


@given(st.text(alphabet=_ALPHABET, max_size=120))
def test_reading_is_pure_and_its_evidence_lies_in_the_text(text: str) -> None:
    report = read(text)
    assert read(text) == report and report.text == text
    spans = [span for name in FIGURES if (f := getattr(report, name)) is not None for span in f.evidence]
    spans += [span for group in report.evidence.values() for span in group]
    spans += list(report.occurred.evidence) if report.occurred else []
    spans += list(report.place.evidence) if report.place else []
    assert all(0 <= start < end <= len(text) for start, end in spans)


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    assert read(text, channel="fax", subject=text[:30]).text == text


WIDE = str.maketrans({**{str(n): chr(0xFF10 + n) for n in range(10)}, ":": "：", "(": "（", ")": "）"})
REPORT = "白水县政府办：3月5日21时07分，白水县东山镇客车侧翻，造成2人死亡、11人受伤(重伤3人)，直接经济损失约62万元。"


@given(st.integers(0, 2**20), st.sampled_from([" ", "\u3000", "\u200b", "\u2060"]))
def test_width_and_spaces_change_nothing(seed: int, space: str) -> None:
    spread = "".join(c + (space if seed >> (i % 20) & 1 and not c.isdigit() else "") for i, c in enumerate(REPORT)).translate(
        WIDE
    )
    plain, other = read(REPORT), read(spread)
    assert [getattr(other, n) and (getattr(other, n).value, getattr(other, n).qualifier) for n in FIGURES] == [
        getattr(plain, n) and (getattr(plain, n).value, getattr(plain, n).qualifier) for n in FIGURES
    ]
    assert other.occurred and plain.occurred and other.occurred.value == plain.occurred.value
    assert other.place and plain.place and other.place.county == plain.place.county == "白水县"


def test_evidence_points_at_the_words() -> None:
    report = read(REPORT)
    assert report.deaths and [REPORT[a:b] for a, b in report.deaths.evidence] == ["2人死亡"]
    assert report.loss_yuan and [REPORT[a:b] for a, b in report.loss_yuan.evidence] == ["约62万元"]
    assert report.occurred and [REPORT[a:b] for a, b in report.occurred.evidence] == ["3月5日21时07分"]
    assert [REPORT[a:b] for a, b in report.evidence["unit"]] == ["白水县政府办"]


@pytest.mark.parametrize(
    "piece",
    [
        "死亡2人，",
        "2",
        "一",
        "(",
        "今晚",
        "白水县",
        "来电人：",
        "无",
        "其中",
        "三四",
        "续报",
        "\n",
        "因",
        "1月",
        "村",
        "万元",
        "无死亡和",
        "张某、",
        "司机和",
        "1人、",
        "来电人：死2\n值班员：几个？\n",
        "去年曾",
        "送往院",
        "网传",
        "死亡1人、",
        "机密★",
    ],
)
def test_a_megabyte_is_read_in_linear_time(piece: str) -> None:
    begun = time.process_time()
    read(piece * (1_000_000 // len(piece)))
    assert time.process_time() - begun < 4


def test_what_lies_behind_the_limit_is_only_searched_for_a_marking() -> None:
    filler = "。" * READ_LIMIT
    assert read("白水县：" + filler + "死亡9人").deaths is None
    assert read("白水县：" + filler + "\n机密★1年\n").marking == "机密"


@pytest.mark.parametrize(
    "data",
    [None, {}, {"city": {"name": "x"}}, {"city": {}, "county": [{"name": "y"}]}, {"city": {"name": "x"}, "county": [{"nam": "y"}]},
     {"city": {"name": "x"}, "county": [{"name": "y", "aliases": "z"}]},
     {"city": {"name": "x"}, "county": [{"name": "y"}, {"name": "z", "aliases": ["y"]}]}],
)  # fmt: skip
def test_gazetteer_faults(data: object) -> None:
    with pytest.raises(ParseFaults):
        Gazetteer.parse(data)


def test_word_lists_are_checked() -> None:
    data = conf("reading")
    data["words"]["spam"] = "x"
    data["words"]["colour"] = ["red"]
    with pytest.raises(ParseFaults) as caught:
        Words.parse(data)
    assert {f.path for f in caught.value.faults} == {("words", "spam"), ("words", "colour")}
