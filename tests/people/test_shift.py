"""The hand-over of a shift: one sheet of what is open, signed by who goes and who comes, kept sealed and shown again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from gateway import i18n
from gateway.asked import OperationError
from gateway.cli import shift as shown
from gateway.core.events import check, public
from gateway.core.roster import Duty, Roster
from gateway.store import handovers, journal
from gateway.store.tables import vault
from tests.people.desk import CRASH, NIGHT, ZONE, Desk

OFFICE, NAME = "government_duty_room", "市政府值班室"
CLERK, SECOND, LEADER = "李值班", "马值班", "蔡主任"
SMALL = "云台区政府办报告：今日22时20分，云台区一居民家中厨房起火，无人员伤亡，损失约2000元。报告人：李军"


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    made.take(CRASH)
    made.take(SMALL, minutes=1)
    made.take("祝您新年快乐", sender="+8613711112222", minutes=1)
    made.do("acknowledge", number="1", office=OFFICE, person=CLERK)
    made.pass_time(60)
    made.take("收到 0777", sender="+8613900000402")
    yield made
    made.store.close()


def sheet(desk: Desk, office: str = NAME) -> dict[str, Any]:
    return desk.do("handover_sheet", office=office)


def test_the_sheet_says_what_is_open_who_has_it_and_what_runs(desk: Desk) -> None:
    made = sheet(desk)
    assert (made["office"], made["name"], made["waits"]) == (OFFICE, NAME, None)
    [one] = made["open"]
    assert one["number"] == "2026-0001" and one["title"] and one["next_step"] and one["next_at"]
    assert {c["clock"] for c in one["clocks"]} == {"phone", "written", "province", "centre"}, "what ended is not on it"
    assert next(c for c in one["clocks"] if c["clock"] == "phone")["minutes_late"] == 22
    assert [(o["name"], o["acknowledged_by"]) for o in one["has_it"]] == [(NAME, CLERK)]
    assert {o["name"] for o in one["waiting"]} == {"市委机要局", "市委政务值班室"}
    assert ("市政府值班室", "市政府办秘书二科") in {(t["of"], t["whom"]) for t in one["owed"]}
    assert one["signing"] == "分管领导审核" and made["on_duty"]["clerks"] == [CLERK, SECOND]


def test_alarms_what_was_set_aside_and_what_was_refused_are_on_it(desk: Desk) -> None:
    made = sheet(desk)
    assert {a["what"] for a in made["alarms"]} == {"unacknowledged"} and all(a["incident"] == "2026-0001" for a in made["alarms"])
    look = made["second_look"]
    assert [one["number"] for one in look["below_threshold"]] == ["2026-0002"]
    assert [(one["sender"], one["channel"]) for one in look["ignored"]] == [("+8613711112222", "sms")] and look["ignored"][0]["why"]
    assert [(one["what"], "0777" in one["why"]) for one in made["refused"]] == [("acknowledge", True)]


def test_an_alarm_that_came_again_and_again_is_one_line(desk: Desk) -> None:
    desk.pass_time(120)
    lines = [a for a in sheet(desk)["alarms"] if "机要局" in a["why"]]
    assert len({a["why"] for a in lines}) == len(lines)


def test_what_does_not_get_through_is_on_it(desk: Desk) -> None:
    row = next(r for r in desk.rows(destination="police") if r.duty == "cooperate")
    stuck = "UPDATE deliveries SET state = 'waiting', attempts = 3, why = 'no answer' WHERE id = ?"
    desk.store.write_now(lambda tx: tx.conn.exec_driver_sql(stuck, (row.id,)))
    [one] = sheet(desk)["undelivered"]
    assert (one["destination"], one["incident"], one["attempts"], one["why"]) == ("市公安局", "2026-0001", 3, "no answer")


def test_an_office_that_has_no_part_in_it_sees_it_among_the_others(desk: Desk) -> None:
    made = sheet(desk, "市气象局")
    assert made["open"] == [] and [one["number"] for one in made["others"]] == ["2026-0001"]


def test_of_a_sensitive_incident_the_sheet_holds_the_number_alone(desk: Desk) -> None:
    desk.take("云台区政府办报告：今日22时，敌对势力在云台区组织非法集会，约30人参与。报告人：李军", minutes=1)
    made = sheet(desk, "市委机要局")
    [secret] = [one for one in made["open"] if one["number"] == "2026-0003"]
    assert secret["title"] == "" and "敌对" not in json.dumps(made, ensure_ascii=False)


def test_two_clerks_sign_and_the_sheet_is_kept_as_it_was(desk: Desk) -> None:
    first = desk.do("hand_over", office=NAME, person=CLERK)
    assert (first["number"], first["state"], first["from"]["person"], first["to"]) == ("2026-0001", "waits", CLERK, None)
    assert sheet(desk)["waits"]["number"] == "2026-0001"
    desk.pass_time(10)
    desk.take("白水县委办报告：今日23时30分，白水县城关镇一居民楼起火，1人死亡。报告人：张明", sender="+8613800000001")
    second = desk.do("hand_over", office=OFFICE, person=SECOND)
    assert (second["number"], second["state"], second["to"]["person"]) == ("2026-0001", "signed", SECOND)
    assert second["open"] == first["open"] and second["made_at"] == first["made_at"], "what the first signed is what the second signs"
    assert [(e["event"], e["incident"]) for e in second["later"] if e["event"] == "registered"] == [("registered", "2026-0003")]
    signed, over = desk.events("shift_signed_off"), desk.events("shift_handed_over")
    assert [(e.by, e.data["ref"], e.data["means"]) for e in signed] == [(CLERK, "2026-0001", "command line, root")]
    [done] = over
    assert (done.by, done.data["from"], done.data["to"], done.data["office"], done.data["ref"]) == (SECOND, CLERK, SECOND, NAME, "2026-0001")
    assert (done.data["open"], done.data["alarms"]) == (1, len(first["alarms"]))
    assert public(check(done)) == done.data, "all of it stands in the audit log"
    desk.pass_time(600)
    again = desk.do("handover", number="1")
    assert {k: v for k, v in again.items() if k != "later"} == {k: v for k, v in second.items() if k != "later"}
    assert again["later"] == second["later"], "what came after the second signature is the next shift's"
    for number in ("2026-0001", "0001", "1"):
        assert desk.do("handover", number=number)["number"] == "2026-0001"


def test_the_record_holds_the_digest_of_what_is_sealed(desk: Desk) -> None:
    made = desk.do("hand_over", office=NAME, person=CLERK)
    desk.do("hand_over", office=NAME, person=SECOND)
    [row] = desk.store.read_now(handovers.rows)
    kept = desk.store.read_now(lambda tx: handovers.sheet(tx, row))
    whole = msgspec.json.Encoder(order="sorted").encode(kept)
    assert desk.events("shift_handed_over")[0].data["digest"] == hashlib.sha256(whole).hexdigest() == made["digest"]
    sealed = desk.store.read_now(lambda tx: tx.scalar(sa.select(vault.c.sealed).where(vault.c.id == row.id)))
    assert "清水湾".encode() not in bytes(sealed) and b"2026-0001" not in bytes(sealed), "sealed at rest"


def test_the_first_may_sign_anew_until_the_second_has_signed(desk: Desk) -> None:
    desk.do("hand_over", office=NAME, person=CLERK)
    desk.do("acknowledge", number="1", office="confidential_bureau", person="何值班")
    again = desk.do("hand_over", office=NAME, person=CLERK)
    assert again["number"] == "2026-0001" and "市委机要局" not in {o["name"] for o in again["open"][0]["waiting"]}
    desk.do("hand_over", office=NAME, person=SECOND)
    with_next = desk.do("hand_over", office=NAME, person=SECOND)
    assert (with_next["number"], with_next["state"]) == ("2026-0002", "waits"), "a signed sheet is closed: the next begins"
    assert [row["number"] for row in desk.do("handovers")] == ["2026-0002", "2026-0001"]


def test_a_sheet_that_waits_too_long_lapses_and_is_signed_anew(desk: Desk) -> None:
    desk.do("hand_over", office=NAME, person=CLERK)
    desk.at += timedelta(minutes=120)
    assert desk.do("handovers")[0]["state"] == "waits", "exactly at the limit it still waits"
    desk.at += timedelta(microseconds=1)
    later = desk.do("hand_over", office=NAME, person=SECOND)
    assert (later["number"], later["from"]["person"], later["to"]) == ("2026-0002", SECOND, None)
    assert [row["state"] for row in desk.do("handovers")] == ["waits", "lapsed"]


@pytest.mark.parametrize(("office", "person"), [(NAME, "张三"), (NAME, "何值班"), (NAME, ""), ("城管局", CLERK)])
def test_who_is_not_of_the_office_cannot_sign(desk: Desk, office: str, person: str) -> None:
    before = len(desk.events("refused"))
    with pytest.raises(OperationError):
        desk.do("hand_over", office=office, person=person)
    [event] = desk.events("refused")[before:]
    assert (event.data["what"], event.data["how"]) == ("hand_over", "command line, root")
    assert desk.do("handovers") == []


def test_each_office_has_sheets_of_its_own(desk: Desk) -> None:
    desk.do("hand_over", office=NAME, person=CLERK)
    other = desk.do("hand_over", office="市委机要局", person="何值班")
    assert (other["number"], other["state"]) == ("2026-0002", "waits")
    assert [row["name"] for row in desk.do("handovers", office="市委机要局")] == ["市委机要局"]


def test_a_shift_begins_with_the_last_hand_over(desk: Desk) -> None:
    desk.do("hand_over", office=NAME, person=CLERK)
    desk.do("hand_over", office=NAME, person=SECOND)
    taken_over = desk.at
    desk.pass_time(25)
    made = sheet(desk)
    assert datetime.fromisoformat(made["since"]) == taken_over
    assert [one["number"] for one in made["second_look"]["below_threshold"]] == ["2026-0002"], "of today, whosever shift it was"
    assert all(datetime.fromisoformat(a["last_at"]) >= taken_over for a in made["alarms"])


def test_without_one_it_begins_with_the_turn_of_the_roster(desk: Desk) -> None:
    begun, ends = NIGHT.replace(hour=18, minute=0), NIGHT.replace(hour=8) + timedelta(days=1)
    turns = [(begun, ends, CLERK, 1), (ends, ends + timedelta(hours=10), SECOND, 1), (ends, ends + timedelta(hours=10), LEADER, 2)]
    roster = Roster(tuple(Duty(start=s, end=e, office=OFFICE, person=p, order=o) for s, e, p, o in turns))
    desk.house = dataclasses.replace(desk.house, config=dataclasses.replace(desk.config, roster=roster))
    made = sheet(desk)
    assert datetime.fromisoformat(made["since"]) == begun
    assert [(one["person"], datetime.fromisoformat(one["from"])) for one in made["on_duty"]["next"]] == [(SECOND, ends), (LEADER, ends)]
    desk.house = dataclasses.replace(desk.house, config=dataclasses.replace(desk.config, roster=Roster()))
    assert datetime.fromisoformat(sheet(desk)["since"]) == desk.at - timedelta(hours=24), "else as far back as conf says"


def test_an_unknown_sheet_is_named_with_what_helps(desk: Desk) -> None:
    for number in ("7", "2025-0001", "x", ""):
        with pytest.raises(OperationError, match="handover list"):
            desk.do("handover", number=number)
    with pytest.raises(OperationError, match="市政府值班室"):
        desk.do("handover_sheet", office="城管局")


def test_a_quiet_shift_has_a_sheet_as_well() -> None:
    quiet = Desk()
    made = quiet.do("hand_over", office=NAME, person=CLERK)
    assert made["open"] == made["others"] == made["alarms"] == []
    quiet.store.close()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_it_is_readable_on_a_terminal(desk: Desk, lang: Any, capsys: pytest.CaptureFixture[str]) -> None:
    i18n.use(lang)
    try:
        shown._print(sheet(desk))
        desk.do("hand_over", office=NAME, person=CLERK)
        shown._print(sheet(desk))
        desk.pass_time(1)
        shown._print(json.loads(json.dumps(desk.do("hand_over", office=NAME, person=SECOND))))
    finally:
        i18n.use("zh")
    out = capsys.readouterr().out
    assert out.count("〔2026〕0001  云台区清水湾路口两车相撞") == 3 and out.count("--sign") == 2
    words = ("交班人：李值班", "接班人：马值班", "超 22", "未签收", "复看", "祝", "非突发信息") if lang == "zh" else (
        "goes: 李值班", "comes: 马值班", "22 late", "does not have it", "second look", "no urgent matter")  # fmt: skip
    assert [word for word in words if word not in out and word != "祝"] == []


def test_events_since_an_instant_are_found_by_halving(desk: Desk) -> None:
    every = desk.events()
    for at in (every[0].at, every[len(every) // 2].at, every[-1].at, desk.at + timedelta(days=1), NIGHT - timedelta(days=9)):
        names = {e.event for e in every}
        found = desk.store.read_now(lambda tx, a=at, n=names: journal.since(tx, a, names=n, limit=100_000))
        assert [e.event for e in found] == [e for e in every if e.at >= at]


def test_a_clock_that_was_set_back_hides_nothing_of_the_last_hour() -> None:
    made = Desk(datetime(2026, 11, 26, 12, 0, tzinfo=ZONE))
    made.do("hand_over", office=NAME, person=CLERK)
    made.at -= timedelta(minutes=30)
    made.do("hand_over", office="市委机要局", person="何值班")
    names = ["shift_signed_off"]
    found = made.store.read_now(lambda tx: journal.since(tx, made.at, names=names))
    assert len(found) == 2
    made.store.close()
