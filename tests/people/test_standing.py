"""How an incident stands, the whole chain of people, and whom to ring up: read from what the real steps left behind."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway import i18n
from gateway.cli import matter as shown
from gateway.cli import register
from gateway.core import trail
from gateway.core.events import EVENTS
from gateway.core.model import Event
from tests.people.desk import CRASH, NIGHT, Desk

CLERK, SECOND, LEADER = "李值班", "马值班", "蔡主任"


@pytest.fixture
def desk() -> Any:
    """A crash at 22:10, reported at 22:30 by SMS, acknowledged, told, signed, instructed and judged."""
    made = Desk()
    made.take(CRASH)
    made.pass_time(3)
    made.do("acknowledge", number="1", office="government_duty_room", person=CLERK)
    made.pass_time(4)
    made.take("收到", sender="+8613900000301")
    made.take("已告知王科长", sender="+8613900000301")
    made.pass_time(5)
    made.do("do", number="1", act="approve", person="秦副市长", wording="情况属实，同意上报")
    made.take("同意上报 0001", sender="+8613900000921", minutes=1)
    made.do("do", number="1", act="instruct", person="金书记", wording="全力救治伤员", to="health", due=12)
    made.do("do", number="1", act="instruct", person=CLERK, done="last", result="伤员均已脱离危险")
    made.pass_time(60)
    made.do("do", number="1", act="judge", person=LEADER, kind="迟报", reason="电话报告超时", clock="phone")
    yield made
    made.store.close()


def stand(desk: Desk) -> dict[str, Any]:
    return desk.do("incident", number="1")["duty"]


def test_clocks_run_or_passed_with_their_minutes(desk: Desk) -> None:
    clocks = {c["clock"]: c for c in stand(desk)["clocks"]}
    assert (clocks["initial"]["state"], clocks["initial"]["minutes_taken"], clocks["initial"]["minutes_late"]) == ("stopped", 20, None)
    assert (clocks["phone"]["state"], clocks["phone"]["judgement"], clocks["phone"]["minutes_late"]) == ("passed", "迟报", 33)
    assert (clocks["written"]["state"], clocks["written"]["minutes_left"]) == ("running", 27)
    assert clocks["phone"]["due"] == "2026-11-26T23:10:00.000+08:00" and clocks["phone"]["responsible"] == ["云台区政府办"]
    desk.at += timedelta(minutes=1)
    later = {c["clock"]: c for c in stand(desk)["clocks"]}
    assert (later["phone"]["minutes_late"], later["written"]["minutes_left"], later["initial"]["minutes_taken"]) == (34, 26, 20)


def test_who_has_it_and_who_does_not(desk: Desk) -> None:
    offices = {o["office"]: o for o in stand(desk)["offices"]}
    assert offices["government_duty_room"]["has_it"] and offices["government_duty_room"]["acknowledged_by"] == CLERK
    assert offices["government_duty_room"]["minutes"] == 3
    waiting = offices["committee_duty_room"]
    assert not waiting["has_it"] and waiting["minutes"] == 73 and "罗值班" in waiting["called"]
    told = {(t["of"], t["whom"]): t for t in stand(desk)["tellings"]}
    assert told["市委机要局", "市委办信息科"]["person"] == "王科长" and told["市委机要局", "市委办信息科"]["by"] == "何值班"
    assert told["市政府值班室", "市政府办秘书二科"]["waits"] and told["市政府值班室", "市政府办秘书二科"]["person"] is None


def test_signatures_instructions_and_judgements_with_their_wordings(desk: Desk) -> None:
    now = stand(desk)
    assert now["signing"]["state"] == "sent" and now["signing"]["next"] is None
    assert [(one["by"], one["wording"]) for one in now["signing"]["chain"]] == [
        ("秦副市长", "情况属实，同意上报"), ("金书记", "同意上报"),
    ]  # fmt: skip
    [item] = now["instructions"]
    assert (item["by"], item["owner"], item["wording"], item["result"]) == (
        "金书记", "市卫生健康委员会", "全力救治伤员", "伤员均已脱离危险",
    )  # fmt: skip
    assert {"kind": "迟报", "clock": "phone", "title": "电话报告（1小时）", "state": "confirmed"} in now["judgements"]


def test_below_the_threshold_nothing_is_owed(desk: Desk) -> None:
    desk.take("云台区政府办报告：今日22时50分，云台区一居民家中厨房起火，无人员伤亡，损失约2000元。报告人：李军", minutes=1)
    other = desk.do("incident", number="2", trail=True)
    assert other["state"] == "below_threshold" and other["duty"] is None
    assert other["chain"][0]["step"] == "reported"


def chain(desk: Desk) -> list[dict[str, Any]]:
    return desk.do("incident", number="1", trail=True)["chain"]


def test_the_chain_leads_from_the_informant_to_the_leader(desk: Desk) -> None:
    steps = chain(desk)
    first: dict[str, dict[str, Any]] = {}
    for one in steps:
        first.setdefault(one["step"], one)
    wanted = ["reported", "received", "offered", "acknowledged", "notified", "approved", "instructed", "judged"]
    assert [name for name in first if name in wanted] == wanted
    shown_ = {name: (first[name]["office"], first[name]["person"], first[name]["means"], first[name]["minutes"]) for name in wanted}
    assert shown_["reported"] == ("云台区政府办", "李军", "sms", 20)
    assert shown_["acknowledged"] == ("市政府值班室", CLERK, "command line, root", 23)
    assert shown_["notified"] == ("市委机要局", "何值班", "sms sms", 27) and first["notified"]["what"] == "王科长"
    assert shown_["approved"] == ("分管领导审核", "秦副市长", "command line, root", 32)
    assert first["approved"]["what"] == "情况属实，同意上报"
    assert shown_["instructed"] == ("", "金书记", "command line, root", 33) and "全力救治伤员 → 市卫生健康委员会" in first["instructed"]["what"]
    judged = next(one for one in steps if one["step"] == "judged")
    assert (judged["office"], judged["person"], judged["means"]) == ("云台区政府办", LEADER, "command line, root")
    assert "电话报告（1小时）" in judged["what"] and "电话报告超时" in judged["what"]
    assert {one["office"] for one in steps if one["step"] == "offered"} >= {"市委机要局", "市政府值班室", "市公安局"}
    assert [one["at"] for one in steps] == sorted(one["at"] for one in steps)
    assert all(one["at"].endswith("+08:00") for one in steps)


def test_replies_of_duty_persons_are_no_reports(desk: Desk) -> None:
    assert [one["person"] for one in chain(desk) if one["step"] == "reported"] == ["李军"]
    desk.take("续报：云台区清水湾路口两车相撞事故死亡人数上升至3人。", sender="+8613711112222", minutes=5)
    reported = [one for one in chain(desk) if one["step"] == "reported"]
    assert [(one["person"], one["verified"]) for one in reported] == [("李军", True), ("+8613711112222", False)]


def test_every_step_that_names_a_person_names_the_means(desk: Desk) -> None:
    bare = [one for one in chain(desk) if one["person"] and not one["means"]]
    assert bare == []


def test_what_was_refused_and_what_passed_stand_in_the_chain(desk: Desk) -> None:
    desk.take("收到 0001", sender="+8613700000000", minutes=1)
    steps = chain(desk)
    [refused] = [one for one in steps if one["step"] == "refused"]
    assert "****" in refused["person"] and "acknowledge" in refused["what"]
    [passed] = [one for one in steps if one["step"] == "limit passed"]
    assert passed["office"] == "云台区政府办" and passed["what"] == "电话报告（1小时） 迟报" and passed["minutes"] == 60


def test_every_event_that_a_person_makes_is_told_and_every_step_has_its_word() -> None:
    people = {name for name, kind in EVENTS.items() if "{by}" in kind.en}
    # Of these some are about no incident, or change nothing about who has it.
    beside = {
        "reloaded", "roster_imported", "commanded", "opened", "exported", "maintenance", "delivery_retried", "delivery_held",
        "shift_signed_off", "phone_logged", "account_changed", "signed_in", "looked",
        "conf_proposed", "conf_declined", "conf_changed",
    }  # fmt: skip
    assert people - beside - set(trail._TOLD) == set()
    i18n.use("zh")
    assert [step for step in trail.STEPS if i18n._(step) == step] == []
    made = {
        step[0]
        for name, told in trail._TOLD.items()
        for step in told(Event(at=NIGHT, event=name, by="甲"), {"destinations": ["x"], "final": True}, str, str)
    }
    assert made | {"reported"} == set(trail.STEPS)


def test_events_without_their_fields_are_told_as_far_as_they_go() -> None:
    """Journals of former versions lack fields: the chain is shortened, never refused."""
    events = [Event(at=NIGHT, event=name) for name in EVENTS]
    steps = trail.chain(NIGHT - timedelta(seconds=30), [], events, str)
    assert {one.minutes for one in steps} == {0}
    before = trail.chain(NIGHT + timedelta(seconds=30), [], events, str)
    assert {one.minutes for one in before} == {-1}, "before the event is before it"


def test_the_call_list_begins_with_those_who_do_not_have_it(desk: Desk) -> None:
    rows = desk.do("calls", number="1")
    assert [(one["role"], one["office"], one["person"], one["phone"]) for one in rows][:4] == [
        ("on duty", "市委政务值班室", "罗值班", "+8613900000501"),
        ("next", "市委政务值班室", "袁值班", "+8613900000502"),
        ("leader", "市委政务值班室", "戴主任", "+8613900000503"),
        ("on duty", "市委机要局", "何值班", "+8613900000301"),
    ]
    has = {one["office"]: one["has_it"] for one in rows}
    assert (has["市委政务值班室"], has["市政府值班室"], has["市委秘书长"]) == (False, True, None)
    roles = [one["role"] for one in rows]
    assert list(dict.fromkeys(roles)) == ["on duty", "next", "leader", "secretary-general", "reporter", "unit"]
    assert {one["person"] for one in rows if one["role"] == "secretary-general"} >= {"高秘书长", "方秘书长"}
    [reporter] = [one for one in rows if one["role"] == "reporter"]
    assert (reporter["office"], reporter["person"], reporter["phone"]) == ("云台区政府办", "李军", "+8613800000002")
    assert all(one["phone"] or one["mail"] for one in rows)


def test_who_must_sign_next_is_on_the_list_while_it_waits() -> None:
    fresh = Desk()
    fresh.take(CRASH)
    signs = [one["person"] for one in fresh.do("calls", number="1") if one["role"] == "signs"]
    assert signs == ["秦副市长", "许副书记"]
    fresh.do("do", number="1", act="approve", person="秦副市长")
    assert [one["person"] for one in fresh.do("calls", number="1") if one["role"] == "signs"] == ["金书记", "陶市长"]
    fresh.store.close()


def test_where_nobody_is_on_duty_the_whole_office_is_on_the_list() -> None:
    late = Desk(datetime.fromisoformat("2028-11-26T22:30+08:00"))
    late.take(CRASH)
    rows = [one for one in late.do("calls", number="1") if one["office"] == "市政府值班室"]
    assert [one["person"] for one in rows] == [CLERK, SECOND, LEADER] and {one["role"] for one in rows} == {"next"}
    late.store.close()


def test_a_sender_that_nobody_knows_is_on_the_list_by_number(desk: Desk) -> None:
    desk.take("续报：云台区清水湾路口两车相撞事故死亡人数上升至3人。", sender="+8613711112222", minutes=5)
    assert "+8613711112222" in [one["phone"] for one in desk.do("calls", number="1") if one["role"] == "reporter"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_all_of_it_is_readable_on_a_terminal(desk: Desk, lang: Any, capsys: pytest.CaptureFixture[str]) -> None:
    i18n.use(lang)
    try:
        register._print_incident(json.loads(json.dumps(desk.do("incident", number="1", trail=True))))
        shown.print_calls(desk.do("calls", number="1"), False)
    finally:
        i18n.use("zh")
    out = capsys.readouterr().out
    for word in ("云台区政府办 李军", "情况属实，同意上报", "全力救治伤员", "伤员均已脱离危险", "电话报告（1小时）", "139 0000 0501", "+23"):
        assert word in out, word
    words = ("责任链", "签收情况", "无人签收", "超 33", "剩 27", "命令行, root") if lang == "zh" else (
        "chain of people", "who has it", "nobody yet", "33 late", "27 left", "command line, root")  # fmt: skip
    assert [word for word in words if word not in out] == []
    assert "\x1b" not in out


def test_what_came_from_outside_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk()
    desk.take(CRASH)
    desk.do("do", number="1", act="approve", person="秦副市长", wording="同意\x1b[2J上报")
    register._print_incident(desk.do("incident", number="1", trail=True))
    assert "\x1b" not in capsys.readouterr().out
    desk.store.close()
