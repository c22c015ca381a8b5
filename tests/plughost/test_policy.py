"""When a plugin that failed is started again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.plughost.policy import Bucket, Record, Restarts, failed, settled, together, wait

RULES = Restarts(first=1.0, longest=60.0, most=5, window=300.0, rest=600.0)


def test_each_wait_is_longer_until_it_rests() -> None:
    record, now, waits = Record(), 0.0, []
    for _ in range(4):
        record = failed(record, now, "p", RULES)
        waits.append(wait(record, now))
        now += waits[-1]
    assert waits == sorted(waits)
    assert 0.8 <= waits[0] <= 1.2
    record = failed(record, now, "p", RULES)
    assert record.resting
    assert wait(record, now) == 600


def test_the_one_try_after_a_rest_opens_the_breaker_again_or_ends_it() -> None:
    record = Record()
    for now in range(5):
        record = failed(record, float(now), "p", RULES)
    after = record.not_before + 1
    assert failed(record, after, "p", RULES).resting
    lived = settled(record, record.not_before + RULES.window, RULES)
    assert lived.failures == ()
    assert not lived.resting
    assert not failed(lived, record.not_before + RULES.window, "p", RULES).resting


def test_two_plugins_do_not_start_in_step() -> None:
    assert failed(Record(), 0, "a", RULES).not_before != failed(Record(), 0, "b", RULES).not_before
    assert failed(Record(), 0, "a", RULES) == failed(Record(), 0, "a", RULES)


@given(st.lists(st.floats(min_value=0, max_value=2000), max_size=40))
def test_whatever_happens_a_wait_is_bounded(gaps: list[float]) -> None:
    record, now = Record(), 0.0
    for gap in gaps:
        now += gap
        record = failed(record, now, "p", RULES)
        assert 0 < wait(record, now) <= max(RULES.rest, RULES.longest * (1 + RULES.jitter)) + 1e-6
        assert record.resting or len(record.failures) < RULES.most


def test_a_bucket_lets_a_burst_through_and_then_so_many_a_second() -> None:
    bucket = Bucket(rate=10, burst=20)
    waits = [bucket.take(0.0) for _ in range(40)]
    assert waits[:20] == [0.0] * 20
    assert abs(waits[-1] - 2.0) < 1e-9
    assert bucket.take(100.0) == 0


@given(st.floats(0, 1e6), st.floats(0.5, 100))
def test_what_floods_goes_with_the_next_full_second_and_never_before_its_turn(now: float, alone: float) -> None:
    due = now + together(now, alone)
    assert alone - 1e-6 <= due - now < alone + 1 + 1e-6
    assert abs(due - round(due)) < 1e-6
