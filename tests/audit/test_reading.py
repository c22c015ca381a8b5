"""The record as people read it: line by line, as it grows, in their language."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.follow import Follower, tail
from gateway.audit.sealer import Sealer
from gateway.audit.text import render
from gateway.core import events
from gateway.store import Store
from tests.audit.conftest import drain, emit

CHINA = timezone(timedelta(hours=8))


def line(memory: Store, log: Path, make_sealer: Callable[..., Sealer], **event: object) -> str:
    emit(memory, **event)
    drain(make_sealer(memory))
    return log.read_text("utf-8").splitlines()[-1]


def test_in_both_languages(memory: Store, log: Path, make_sealer: Callable[..., Sealer]) -> None:
    made = line(
        memory, log, make_sealer, event="delivered", incident="2026-0001", delivery="D1",
        data={"destination": "市政府值班室", "transport": "sms"},
    )  # fmt: skip
    assert render(made, "zh", CHINA) == "2026-03-05 22:30:00 〔2026〕0001 已送达市政府值班室（sms） [D1]"
    assert render(made, "en") == "2026-03-05 14:30:00 〔2026〕0001 delivered to 市政府值班室 by sms [D1]"
    assert render((made + "\n").encode(), "en") == render(made, "en")


def test_lists_times_and_what_is_missing(memory: Store, log: Path, make_sealer: Callable[..., Sealer]) -> None:
    made = line(
        memory, log, make_sealer, event="clock_passed",
        data={"clock": "initial", "judgement": "迟报", "responsible": ["东山镇", "王某"]},
    )  # fmt: skip
    assert render(made, "zh").endswith("时限 initial 已过：迟报（东山镇、王某）")
    made = line(memory, log, make_sealer, event="clock_due", data={"clock": "initial", "due": "2026-03-05T15:00:00+00:00"})
    assert render(made, "zh", CHINA).endswith("时限 initial 将于 2026-03-05 23:00:00 到期")
    made = line(memory, log, make_sealer, event="acknowledged", incident="2026-0001", data={})
    assert render(made, "en").endswith("—: acknowledged by —")


def test_numbers_are_shown_once(memory: Store, log: Path, make_sealer: Callable[..., Sealer]) -> None:
    made = line(memory, log, make_sealer, event="registered", incident="2026-0007", data={"items": ["事故类-2"]})
    assert render(made, "zh") == "2026-03-05 14:30:00 登记为 〔2026〕0007：事故类-2"
    made = line(memory, log, make_sealer, event="merged", incident="2026-0007", data={"into": "2026-0003"})
    assert render(made, "zh") == "2026-03-05 14:30:00 〔2026〕0007 并入 〔2026〕0003"


@pytest.mark.parametrize("text", ["", "no JSON", "{}", "[]", '{"at":"x","event":"y"}', '{"at":"2026-03-05","event":1,"data":[]}'])
def test_what_is_no_audit_line_comes_back(text: str) -> None:
    assert render(text, "zh") == text


@given(st.text() | st.binary())
def test_render_never_raises(text: str | bytes) -> None:
    assert isinstance(render(text, "zh"), str)


def test_every_event_reads_in_both_languages(memory: Store, log: Path, make_sealer: Callable[..., Sealer]) -> None:
    for kind in events.EVENTS.values():
        made = line(memory, log, make_sealer, event=kind.name, incident="2026-0001", by="王某", data={})
        for language in ("zh", "en"):
            shown = render(made, language)
            assert "{" not in shown and "\n" not in shown and kind.name not in shown.split()[:1]


def test_follower_survives_rotation(log: Path) -> None:
    follower = Follower(log)
    assert follower.poll() == []
    log.write_text("1\n2\n3")
    assert follower.poll() == ["1", "2"]
    with log.open("a") as file:
        file.write("b\n4\n")
    old = log.rename(log.with_name("audit.jsonl.1"))
    assert follower.poll() == ["3b", "4"], "renamed and not begun anew: the old one is read on"
    with old.open("a") as file:
        file.write("5\n")
    log.write_text("6\n")
    assert follower.poll() == ["5", "6"]
    os.truncate(log, 0)
    assert follower.poll() == []
    log.write_text("7\n")
    assert follower.poll() == ["7"]
    log.rename(log.with_name("audit.jsonl.2"))
    log.write_text("8\n")
    log.rename(log.with_name("audit.jsonl.3"))
    log.write_text("9\n")
    assert "9" in follower.poll()
    follower.close()


def test_tail(log: Path) -> None:
    log.write_text("".join(f"{n}\n" for n in range(30)))
    assert list(tail(log, lines=3)) == ["27", "28", "29"]
    assert list(tail(log, lines=0)) == []
    assert list(tail(log.with_name("absent"))) == []

    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        with log.open("a") as file:
            file.write(f"more {len(waits)}\n")

    following = tail(log, lines=1, follow=True, sleep=sleep)
    assert [next(following) for _ in range(4)] == ["29", "more 1", "more 2", "more 3"]
    following.close()


def test_vocabulary_is_published() -> None:
    docs = Path(__file__).parents[2] / "docs"
    assert events.markdown() in (docs / "audit.md").read_text("utf-8")
