"""Properties of the figures over any report: proofs lie where the words are, and nothing but words about people changes them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.combining import combine
from gateway.core.model import FIGURES, Figure, Report
from gateway.reading.normalise import normalise
from gateway.reading.numerals import numbers
from tests.core.example import read

NAMES = (*FIGURES, "casualties")
_COUNT = st.integers(1, 900)
_VICTIMS = st.sampled_from(["人", "名工人", "名乘客", "名学生", "名村民"])
_CLAUSES = (
    "{n}{v}死亡", "造成{n}{v}受伤", "死亡{n}人", "受伤{n}人", "{n}{v}失踪", "{n}{v}被困", "遇难者升至{n}人", "累计{n}人中毒", "转移群众{n}人", "直接经济损失{n}万元", "倒塌房屋{n}间",
    "其中{n}人重伤", "又有{n}人不治", "近{n}人受伤", "死伤{n}人", "无人员伤亡", "伤亡情况不详", "司机当场死亡", "一家三口遇难",
)  # fmt: skip
_OPENINGS = ("3月5日22时许，白水县东山镇一客车侧翻，", "今日上午，石桥县一厂房坍塌，", "柳河县三岔镇煤矿透水，")
_QUIET = (
    "县领导已赶赴现场指挥。", "现场道路恢复通行。", "原因正在调查。", "天气晴好。", "各项工作有序开展。", "有关情况将及时续报。", "相关部门全力开展处置。",
)  # fmt: skip


@st.composite
def reports(draw: st.DrawFn) -> str:
    """A report of one to five clauses."""
    said = draw(st.lists(st.sampled_from(_CLAUSES), min_size=1, max_size=5))
    body = "，".join(clause.format(n=draw(_COUNT), v=draw(_VICTIMS)) for clause in said)
    return draw(st.sampled_from(_OPENINGS)) + body + "。"


def stated(report: Report) -> dict[str, Any]:
    """The figures without their evidence."""
    found = {name: getattr(report, name) for name in NAMES}
    return {n: (f.value, f.qualifier, f.max, f.why, tuple(o.value for o in f.others)) for n, f in found.items() if f is not None}


@given(reports())
def test_evidence_holds_the_number_that_was_read(text: str) -> None:
    report = read(text)
    for name in NAMES:
        figure = getattr(report, name)
        if figure is None:
            continue
        assert figure.evidence
        for shown in (figure, *figure.others):
            assert all(0 <= start < end <= len(text) for start, end in shown.evidence)
            words = "".join(text[start:end] for start, end in shown.evidence)
            values = [n.value for n in numbers(normalise(words).text)]
            scaled = values + [v * 10_000 for v in values if v is not None]
            single = shown.qualifier in ("zero", "unknown", "at_least")
            assert single or shown.value in scaled or (shown.value or 0) <= sum(v or 0 for v in values), (name, words, shown)


@given(reports(), st.sampled_from(_QUIET), st.booleans())
def test_a_sentence_without_figures_changes_none(text: str, quiet: str, first: bool) -> None:
    other = quiet + text if first else text + quiet
    assert stated(read(other)) == stated(read(text))


_WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
_COMPLEX = str.maketrans("伤亡万亿间户经济财损", "傷亡萬億間戶經濟財損")


@given(reports())
def test_width_and_traditional_characters_change_nothing(text: str) -> None:
    assert stated(read(text.translate(_WIDE))) == stated(read(text))
    assert stated(read(text.translate(_COMPLEX))) == stated(read(text))


@given(reports(), st.integers(0, 2**20), st.sampled_from([" ", "\u3000", "\u200b", "\ufeff", "\u2060"]))
def test_spaces_between_characters_change_nothing(text: str, seed: int, space: str) -> None:
    spread = "".join(c + (space if seed >> (i % 20) & 1 and not c.isdigit() else "") for i, c in enumerate(text))
    assert stated(read(spread)) == stated(read(text))


@given(reports(), st.integers(22, 60))
def test_lines_that_the_paper_breaks_change_nothing(text: str, width: int) -> None:
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    whole = all(len(line) >= 20 and any(c in line for c in "，。") and line[-1] not in "。" for line in lines[:-1])
    if whole:
        assert stated(read("\n".join(lines))) == stated(read(text))


@given(reports())
def test_reading_twice_is_the_same(text: str) -> None:
    assert read(text) == read(text)


@given(
    st.text(
        alphabet="2死5伤人受亡，。、其中又共至由升名口家失踪困毒送医院无没未司机某和及将曾去年截累()：\n 俩三十百", max_size=160
    )
)
def test_no_jumble_of_the_words_of_a_report_raises(text: str) -> None:
    report = read(text)
    for name in NAMES:
        figure = getattr(report, name)
        for shown in (figure, *figure.others) if figure else ():
            assert all(0 <= start < end <= len(text) for start, end in shown.evidence)
        assert figure is None or figure.why == "" or figure.others


def test_both_numbers_are_kept_where_a_text_contradicts_itself() -> None:
    text = "白水县政府办：客车侧翻，3人死亡。另据县医院，死亡5人。"
    deaths = read(text).deaths
    assert deaths is not None and deaths.value == 5 and deaths.why
    assert [(o.value, text[o.evidence[0][0] : o.evidence[0][1]]) for o in deaths.others] == [(3, "3人死亡")]


@pytest.mark.parametrize(
    ("text", "value", "others", "why"),
    [
        ("更正：前报死亡5人有误，应为4人死亡。", 4, [5], "以更正后的数字为准"),
        ("续报：受伤人数由5人升至9人。", 9, [5], "以更新后的数字为准"),
        ("3人受伤，截至18时共9人受伤。", 9, [3], "以最新合计为准"),
        ("2人死亡，5人受伤，无人员伤亡。", 2, [0], "以具体数字为准"),
        ("7人受伤，其中2人重伤。", 7, [], ""),
        ("当场死亡3人，另有1人送医后死亡。", 4, [], ""),
    ],
)
def test_the_choice_says_why(text: str, value: int, others: list[int], why: str) -> None:
    report = read("白水县政府办：客车侧翻，" + text)
    figure = next(f for f in (report.deaths, report.injured) if f is not None and f.value == value)
    assert ([o.value for o in figure.others], figure.why) == (others, why)


def test_facts_sealed_before_others_were_kept_are_still_read() -> None:
    old = b'{"text":"x","deaths":{"value":2,"qualifier":"exact","max":null,"evidence":[[0,1]]}}'
    report = msgspec.json.decode(old, type=Report)
    assert report.deaths == Figure(value=2, evidence=((0, 1),))
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_what_was_not_taken_lives_on_without_its_place() -> None:
    first = read("白水县政府办：客车侧翻，3人死亡。另据县医院，死亡5人。")
    kept, _ = combine(first, read("白水县政府办续报：道路已恢复通行。"))
    assert kept.deaths is not None and kept.deaths.value == 5 and kept.deaths.evidence == ()
    assert [(o.value, o.evidence) for o in kept.deaths.others] == [(3, ())] and kept.deaths.why
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Report) == kept
