"""The roster and the directory's look-ups: half-open turns, order of calling, and no input that breaks them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import roster_csv
from gateway.core.directory import Directory, Office, Person, Unit, sender_key

ZONE = ZoneInfo("Asia/Shanghai")
BUREAU = Office(id="bureau", name="市委机要局", persons=(Person(name="何值班"), Person(name="邓值班")))
DIRECTORY = Directory.of([BUREAU], [Unit(name="白水县委办", senders=("+8613800000001", "Duty@Baishui.test"))])
HEAD = "office,person,from,to,order\n"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def test_turns_are_half_open_and_called_in_order() -> None:
    text = HEAD + (
        "bureau,邓值班,2026-11-23 18:00,2026-11-24 08:30,2\n"
        "市委机要局,何值班,2026-11-23 18:00,2026-11-24 08:30,1\n"
        "# 注释\n\n"
        "bureau,邓值班,2026-11-24 08:30,2026-11-24 18:00,1\n"
    )
    found, faults = roster_csv.parse(text, DIRECTORY, ZONE)
    assert faults == []
    assert found.on_duty("bureau", at("2026-11-23T18:00")) == ("何值班", "邓值班")
    assert found.on_duty("bureau", at("2026-11-24T08:29:59")) == ("何值班", "邓值班")
    assert found.on_duty("bureau", at("2026-11-24T08:30")) == ("邓值班",)
    assert found.on_duty("bureau", at("2026-11-24T18:00")) == ()
    assert found.on_duty("nobody", at("2026-11-23T18:00")) == ()


def test_a_byte_order_mark_is_taken() -> None:
    found, faults = roster_csv.parse("\ufeff" + HEAD, DIRECTORY, ZONE)
    assert (found.duties, faults) == ((), [])


def test_good_lines_stay_beside_a_bad_one() -> None:
    text = HEAD + "bureau,何值班,2026-11-23 18:00,2026-11-24 08:30,1\nbureau,张三,2026-11-23 18:00,2026-11-24 08:30,1\n"
    found, faults = roster_csv.parse(text, DIRECTORY, ZONE)
    assert len(found.duties) == 1
    assert [(f.line, f.column, f.what) for f in faults] == [(3, "person", "person")]


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_roster_is_read_or_named(text: str) -> None:
    for candidate in (text, HEAD + text):
        found, faults = roster_csv.parse(candidate, DIRECTORY, ZONE)
        assert all(duty.start < duty.end for duty in found.duties)
        assert all(fault.line >= 1 for fault in faults)


@given(st.text(max_size=40))
def test_any_sender_can_be_looked_up(sender: str) -> None:
    assert DIRECTORY.unit(sender) is None or sender_key(sender) in DIRECTORY.by_sender


@pytest.mark.parametrize("sender", ["8613800000001", "+86 138-0000-0001", "duty@baishui.test", " DUTY@BAISHUI.TEST "])
def test_forms_of_one_sender(sender: str) -> None:
    found = DIRECTORY.unit(sender)
    assert found is not None
    assert found.name == "白水县委办"
