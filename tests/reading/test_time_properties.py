"""A moment that is put into words reads back as that moment, never after the moment of sending, with its evidence."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.reading.lunar import solar
from gateway.reading.normalise import normalise
from gateway.reading.times import occurred, time_phrases
from tests.core.example import read

HAN = "零一二三四五六七八九十"
SENT = datetime.fromisoformat("2026-03-06T12:00:00+08:00")
AFTER = "，两车相撞，1人死亡。"

moments = st.integers(1, 60 * 24 * 300).map(lambda minutes: SENT - timedelta(minutes=minutes))
sent = st.integers(0, 60 * 24 * 3000).map(lambda minutes: SENT + timedelta(minutes=minutes))


def han(number: int) -> str:
    """A number up to 59 as it is spoken."""
    tens, ones = divmod(number, 10)
    if not tens:
        return HAN[ones]
    return ("" if tens == 1 else HAN[tens]) + "十" + (HAN[ones] if ones else "")


def spoken_minute(minute: int) -> str:
    """The minute behind 点."""
    if minute in (0, 30):
        return "" if minute == 0 else "半"
    return ("零" if minute < 10 else "") + han(minute)


def period(hour: int) -> tuple[str, int]:
    """The word for the part of the day, and the hour on the dial."""
    if hour < 5:
        return "凌晨", hour
    if hour < 12:
        return "上午", hour
    if hour == 12:
        return "中午", 12
    return ("下午" if hour < 18 else "晚上"), hour - 12


def told(text: str, at: datetime = SENT) -> str | None:
    """What the reading takes for the time of the event."""
    normal = normalise(text + AFTER)
    found, _others = occurred(normal, time_phrases(normal.text, at), [])
    return found.value if found else None


@given(moments, st.sampled_from(["{y}年{m}月{d}日{H}时{M}分", "{y}-{m:02d}-{d:02d} {H:02d}:{M:02d}", "{y}/{m}/{d} {H}:{M:02d}", "{y}.{m}.{d} {H}:{M:02d}", "{m}月{d}日{H}时{M}分", "{m}月{d}日{H}点{M:02d}分许", "{m:02d}-{d:02d} {H:02d}:{M:02d}"]))  # fmt: skip
def test_a_written_moment(at: datetime, form: str) -> None:
    text = form.format(y=at.year, m=at.month, d=at.day, H=at.hour, M=at.minute)
    assert told(text) == at.isoformat(timespec="minutes")[:16]


@given(moments)
def test_a_moment_with_the_part_of_the_day(at: datetime) -> None:
    word, hour = period(at.hour)
    assert told(f"{at.month}月{at.day}日{word}{hour}时{at.minute}分许") == at.isoformat(timespec="minutes")[:16]


@given(moments)
def test_a_spoken_moment(at: datetime) -> None:
    word, hour = period(at.hour)
    assert (
        told(f"{han(at.month)}月{han(at.day)}号{word}{han(hour)}点{spoken_minute(at.minute)}")
        == at.isoformat(timespec="minutes")[:16]
    )


@given(st.integers(1, 60 * 24 * 4), sent)
def test_a_word_for_the_day(minutes: int, now: datetime) -> None:
    at = now - timedelta(minutes=minutes)
    back = (now.date() - at.date()).days
    assume(back <= 3)
    word, hour = period(at.hour)
    text = f"{('今天', '昨天', '前天', '大前天')[back]}{word}{han(hour)}点{spoken_minute(at.minute)}"
    assert told(text, now) == at.isoformat(timespec="minutes")[:16]


@given(st.integers(0, 6), st.integers(0, 23), sent)
def test_a_weekday(day: int, hour: int, now: datetime) -> None:
    at = (now - timedelta(days=day)).replace(hour=hour, minute=0)
    assume(at <= now and day > 0)
    name = "周" + "一二三四五六日"[at.weekday()]
    assert told(f"{name}{hour}时", now) == at.isoformat(timespec="minutes")[:16]


@given(st.integers(1, 40), sent)
def test_so_long_ago(count: int, now: datetime) -> None:
    assert told(f"{count}分钟前", now) == (now - timedelta(minutes=count)).isoformat(timespec="minutes")[:16]
    assert told(f"{han(count)}个小时前", now) == (now - timedelta(hours=count)).isoformat(timespec="minutes")[:16]


@given(st.integers(2000, 2059), st.integers(1, 12), st.integers(1, 29), st.integers(0, 23))
def test_a_lunar_day(year: int, month: int, day: int, hour: int) -> None:
    at = solar(year, month, day)
    assert at is not None
    name = {1: "正", 11: "冬", 12: "腊"}.get(month) or han(month)
    written = ("初" if day <= 10 else "") + han(day)
    now = datetime(at.year, at.month, at.day, 23, 59) + timedelta(days=3)
    assert told(f"农历{name}月{written}{hour}时", now) == f"{at}T{hour:02d}:00"


@pytest.mark.parametrize(
    ("year", "month", "day", "leap", "expected"),
    [
        (2026, 1, 1, False, "2026-02-17"),
        (2026, 1, 15, False, "2026-03-03"),
        (2025, 6, 1, True, "2025-07-25"),
        (2025, 8, 15, False, "2025-10-06"),
        (2020, 4, 1, True, "2020-05-23"),
        (2000, 1, 1, False, "2000-02-05"),
    ],
)
def test_the_lunar_table(year: int, month: int, day: int, leap: bool, expected: str) -> None:
    assert str(solar(year, month, day, leap=leap)) == expected


def test_lunar_days_that_do_not_exist() -> None:
    assert solar(2026, 6, 1, leap=True) is None
    assert solar(1950, 1, 1) is None and solar(2100, 1, 1) is None
    assert solar(2026, 1, 31) is None


WORDS = st.sampled_from(
    [
        "昨晚", "今晨", "当晚", "次日", "凌晨", "上午", "8时", "十二点半", "23时59分", "3月5日", "5日", "31日", "正月十五", "除夕夜", "周五", "上周日",
        "半小时前", "刚才", "下午", "两点", "，", "。", "起火", "截至", "24时", "2月29日", "12:30", "2026-03-05", "至", "（5日）", "中秋节当晚", "3月上旬",
        "记者", "电", "接报", "扑灭", "去年", "日前", "1人", "一点",
    ]
)  # fmt: skip


@given(st.lists(WORDS, max_size=14).map("".join), sent)
def test_no_day_after_the_day_of_sending(text: str, now: datetime) -> None:
    normal = normalise(text)
    phrases = time_phrases(normal.text, now)
    for phrase in phrases:
        assert phrase.at.date() <= now.date() + timedelta(days=1)  # 今日24时 is the day after
    found, _others = occurred(normal, phrases, [])
    assert found is None or found.value[:10] <= str(now.date() + timedelta(days=1))


@given(st.lists(WORDS, max_size=14).map("".join), sent)
def test_the_evidence_is_the_phrase_and_reading_is_pure(text: str, now: datetime) -> None:
    whole = "白水县政府办：" + text + AFTER
    report = read(whole, now.isoformat())
    assert report == read(whole, now.isoformat())
    if report.occurred:
        ((start, end),) = report.occurred.evidence
        assert 0 <= start < end <= len(whole)
        assert re.search(r"[0-9一二两三四五六七八九十昨今当次前上周正除刚半凌中下]", whole[start:end])


@given(moments, st.sampled_from(["", " ", "　"]))
def test_width_and_spacing_change_nothing(at: datetime, gap: str) -> None:
    plain = f"{at.month}月{at.day}日{at.hour}时{at.minute}分"
    wide = plain.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789"})
    assert told(wide) == told(plain)
    assert told(re.sub("(?<=[月日时])", gap, plain)) == told(plain)
