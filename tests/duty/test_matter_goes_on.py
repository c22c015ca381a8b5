"""What goes on until the matter is over: sign-off, follow-ups, instructions, judgements, closing, merging."""

from __future__ import annotations

import pytest

from gateway.core.directory import REPORTER
from gateway.core.duty import following
from gateway.store import incidents, matters
from tests.duty.conftest import OFFICE, City

FAX = {"channel": "fax", "sender": "0999-6112346"}
FIRST = "石桥县政府办：{when}，石桥县城关镇一居民楼起火，1人死亡，明火已扑灭。"
LAST = "石桥县政府办终报（0001）：居民楼火灾善后处置完毕，起火原因为电气故障，直接经济损失3万元。"


def begun(city: City) -> None:
    """A report in writing in working hours, which everybody has and knows."""
    city.report("09:00", FIRST, happened="08:45", **FAX)
    city.acknowledge("09:01", *OFFICE)
    city.at("09:02", "notify", office="市委办信息科", person="高秘书长", by="王科长")
    city.at("09:02", "notify", office="市政府办秘书二科", person="方秘书长", by="赵科长")


def act(city: City, time: str, do: str, by: str = "高秘书长", **fields: object) -> list[dict[str, object]]:
    return city.at(time, do, incident="last", by=by, **fields)


def state(city: City) -> tuple[str, str]:
    found = city.simulator.read(lambda tx: incidents.get(tx, "0001"))
    return found.state, found.next_step


def test_a_first_report_goes_out_at_once_and_only_the_level_above_waits_for_the_chain(city: City) -> None:
    begun(city)
    assert not [one for one in city.seen if one.get("destination") == "省委办公厅"]
    act(city, "09:11", "approve", "秦副市长", text="属实")
    assert not city.all("delivered", destination="省委办公厅")
    act(city, "09:12", "approve", "金书记", text="同意")
    assert [one["at"][11:16] for one in city.all("delivered", destination="省委办公厅")] == ["09:12"]
    assert [(one["by"], one["level"], one["wording"]) for one in city.all("approved")][-1] == ("金书记", "principal", "同意")


def test_whose_turn_it_is_not_is_refused_by_the_name_of_the_level(city: City) -> None:
    begun(city)
    act(city, "09:10", "approve", "金书记", level="principal")
    (refused,) = city.all("refused")
    assert refused["why"] == "应由分管领导审核（deputy）审签" and refused["incident"] == "2026-0001"


def test_a_missing_signature_is_reminded_of_every_half_hour_until_it_is_given(city: City) -> None:
    begun(city)
    city.until("10:29:59")
    assert [one["at"][11:16] for one in city.all("asked", of="分管领导审核")] == ["09:00", "09:30", "10:00"]
    act(city, "10:30", "approve", "秦副市长")
    city.until("11:00")
    assert [one["at"][11:16] for one in city.all("asked", of="主要领导审签")] == ["10:30", "11:00"]


def test_for_a_grave_incident_the_leader_of_that_line_signs_too(city: City) -> None:
    text = "石桥县政府办：{when}，石桥县城关镇一客车坠崖，12人死亡，20人受伤。"
    city.report("09:00", text, happened="08:45", **FAX)
    for time, by in (("09:10", "秦副市长"), ("09:11", "严常委")):
        act(city, time, "approve", by)
    assert not city.all("delivered", destination="省委办公厅")
    act(city, "09:12", "approve", "陶市长")
    assert city.all("delivered", destination="省委办公厅") and city.all("approved")[-1]["chain"] == "deputy→line→principal"


def test_not_for_upward_needs_a_reason(city: City) -> None:
    begun(city)
    act(city, "09:10", "waive", reason="  ")
    assert city.all("clock_waived") == [] and city.all("refused")[-1]["what"] == "waive"
    act(city, "09:11", "waive", reason="个案")
    assert {(one["clock"], one["why"], one["by"]) for one in city.all("clock_waived")} == {
        ("province", "个案", "高秘书长"),
        ("centre", "个案", "高秘书长"),
    }
    assert not [one for one in city.until("15:00") if one.get("what") == ["审签"]]


def test_a_correction_of_what_went_up_waits_for_the_chain_as_well(city: City) -> None:
    text = "石桥县政府办：{when}，石桥县城关镇一厂房坍塌，5人死亡，2人受伤。"
    city.report("09:00", text, happened="08:45", **FAX)
    for time, by in (("09:10", "秦副市长"), ("09:11", "金书记")):
        act(city, time, "approve", by)
    city.report("10:00", "石桥县政府办更正（0001）：厂房坍塌死亡人数应为1人，前报5人有误。", **FAX)
    assert len(city.all("delivered", destination="省委办公厅")) == 1
    assert [(one["kind"], one["state"]) for one in city.all("judged")] == [("误报", "automatic")]
    for time, by in (("10:10", "秦副市长"), ("10:11", "金书记")):
        act(city, time, "approve", by)
    assert len(city.all("delivered", destination="省委办公厅")) == 2


@pytest.mark.parametrize(
    ("kind", "count", "name"),
    [(None, 0, "初报"), ("续报", 1, "续报一"), ("续报", 10, "续报十"), ("续报", 21, "续报二十一"), ("终报", 3, "终报"), ("续报", 100, "续报100")],
)
def test_reports_are_numbered(kind: str | None, count: int, name: str) -> None:
    assert following.stage(kind, count) == name


def test_follow_ups_are_asked_for_in_their_rhythm_counted_from_the_last_report(city: City) -> None:
    begun(city)
    act(city, "09:10", "waive", reason="个案")
    city.until("2026-03-08T09:00")
    asked = [one["at"][5:16] for one in city.all("asked", how="follow_up")]
    assert asked == ["03-05T13:00", "03-06T01:00", "03-07T01:00", "03-08T01:00"]
    assert {one["what"][0] for one in city.all("asked", how="follow_up")} == {"续报一"}
    city.report("2026-03-08T10:00", "石桥县政府办续报（0001）：居民楼火灾起火原因正在调查。", **FAX)
    city.until("2026-03-08T14:00")
    assert [one["at"][5:16] for one in city.all("asked", how="follow_up")][4:] == ["03-08T14:00"]


def test_what_is_missing_is_asked_in_the_answer_and_named_when_it_is_answered(city: City) -> None:
    begun(city)
    asked = city.all("asked", how="answer")[0]["what"]
    assert "起因" in asked and "直接经济损失" in asked
    city.report("10:00", "石桥县政府办续报（0001）：居民楼火灾起火原因为电气故障，直接经济损失3万元。", **FAX)
    assert city.all("answered")[-1]["what"] == ["起因", "直接经济损失"]


def test_the_final_report_closes_only_when_nothing_else_is_left(city: City) -> None:
    begun(city)
    city.report("10:00", LAST, **FAX)
    assert city.all("closed") == [] and state(city) == ("followed_up", "待审签：分管领导审核")
    act(city, "10:10", "waive", reason="个案")
    assert [one["at"][11:16] for one in city.all("closed")] == ["10:10"] and state(city) == ("closed", "")


def test_a_person_closes_with_a_reason_and_opens_again_with_a_reason(city: City) -> None:
    begun(city)
    act(city, "09:30", "close", reason="")
    assert state(city)[0] == "open"
    act(city, "09:31", "close", reason="误触发")
    assert city.until("2026-03-07T09:00") == [] and state(city) == ("closed", "")
    act(city, "2026-03-07T09:10", "reopen", reason="家属提出异议")
    assert state(city)[0] == "open" and state(city)[1] != ""
    assert city.simulator.read(matters.without_next_step) == []


def test_a_report_on_a_closed_matter_opens_it_again(city: City) -> None:
    begun(city)
    act(city, "09:31", "close", reason="处置完毕")
    city.report("10:00", "石桥县政府办续报（0001）：居民楼火灾又发现1名死者，死亡人数升至2人。", **FAX)
    assert state(city)[0] == "followed_up" and "等待签收" in state(city)[1]


@pytest.mark.parametrize(("done", "reminded"), [("11:59:59", []), ("12:00:30", ["12:00"]), ("14:30", ["12:00", "13:00", "14:00"])])
def test_an_instruction_is_reminded_of_until_it_is_done(city: City, done: str, reminded: list[str]) -> None:
    begun(city)
    act(city, "09:30", "instruct", text="查明原因", to="市应急管理局", due="2026-03-05T12:00:00+08:00")
    act(city, done, "instruct", "许值班", done=True, result="电气故障")
    city.until("18:00")
    assert [one["at"][11:16] for one in city.all("supervision_due")] == reminded
    assert [(one["by"], one["office"]) for one in city.all("supervision_done")] == [("许值班", "市应急管理局")]


def test_an_instruction_without_a_time_has_a_day(city: City) -> None:
    begun(city)
    act(city, "09:30", "instruct", text="查明原因", to="市应急管理局")
    assert city.all("instructed")[0]["due"].startswith("2026-03-06T09:30")


def test_concealment_is_confirmed_or_lifted_only_by_a_person_with_a_reason(city: City) -> None:
    text = "记者来电：{when}，石桥县一煤矿瓦斯爆炸，4人死亡、7人受伤。"
    city.report("10:00", text, happened="08:50", sender="+8613800000097")
    act(city, "10:10", "judge", kind="瞒报", reason="")
    act(city, "10:11", "judge", kind="隐瞒", reason="不在所列")
    assert len(city.all("refused")) == 2
    act(city, "10:12", "judge", kind="瞒报", reason="县里知情不报")
    assert (city.all("judged")[-1]["by"], city.all("judged")[-1]["state"]) == ("高秘书长", "confirmed")
    act(city, "10:13", "judge", kind="瞒报", lift=True, reason="查无实据")
    assert city.all("judged")[-1]["state"] == "lifted"
    act(city, "10:14", "judge", kind="瞒报", lift=True, reason="再撤")
    assert [one["what"] for one in city.all("refused")] == ["judge"] * 3


def test_what_is_merged_waits_for_nobody_and_what_is_split_goes_on(city: City) -> None:
    begun(city)
    city.report("09:10", "今日9时05分，青山区化工路一仓库爆炸，2人死亡、1人受伤。青山区委办钱进")
    city.at("09:30", "merge", incident="0002", into="0001", by="高秘书长", reason="同一起")
    assert not [one for one in city.until("10:00") if one.get("incident") == "2026-0002" and one["event"] != "delivered"]
    city.at("10:05", "split", incident="0002", by="高秘书长", reason="两起")
    assert {one["event"] for one in city.until("10:10") if one.get("incident") == "2026-0002"} | {
        one["event"] for one in city.seen if one.get("incident") == "2026-0002" and one["at"][11:16] >= "10:05"
    } >= {"split"}
    assert city.simulator.read(matters.without_next_step) == []


def test_automatic_mail_and_a_loop_get_no_answer_without_end(city: City) -> None:
    for n in range(25):
        text = f"今日9时{n:02d}分，青山区第{n}号仓库起火，1人死亡。青山区委办钱进"
        city.report(f"10:{n:02d}", text)
    answered = [one for one in city.all("delivered") if one["destination"] == REPORTER]
    assert len(answered) == 20 and len(city.all("unanswered")) == 5
