"""Who has it: escalation step by step, hand-over at the edge of working hours, whom they told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.core.duty import offering
from gateway.core.duty.matter import Offer
from gateway.core.duty.rules import DutyRules, Plan
from gateway.house import House
from gateway.store import deliveries, incidents
from tests.duty.conftest import NIGHT, OFFICE, City, instant, only
from tests.scenarios import playing

STEPS = ["22:45:00", "22:50:00", "22:55:00", "23:00:00"]


def test_each_step_is_taken_at_its_minute_and_not_before(city: City) -> None:
    city.report("22:40")
    city.acknowledge("22:41", *NIGHT[1:])
    assert only(city.until("22:44:59.999"), "escalated") == []
    city.until("23:09:59")
    bureau = [(one["at"][11:19], one["step"], one["to"]) for one in city.all("escalated", destination="市委机要局") if "step" in one]
    assert bureau == [
        ("22:45:00", "other_way", "何值班"),
        ("22:50:00", "next", "邓值班"),
        ("22:55:00", "leader", "卢局长"),
        ("23:00:00", "office", "市委秘书长"),
    ]


@pytest.mark.parametrize("taken", range(5))
def test_an_acknowledgement_ends_it_after_any_step(city: City, taken: int) -> None:
    city.report("22:40")
    city.acknowledge("22:41", *NIGHT[1:])
    city.acknowledge("22:44:59" if taken == 0 else STEPS[taken - 1], NIGHT[0])
    city.until("2026-03-06T02:00")
    steps = [one for one in city.all("escalated", destination="市委机要局") if "step" in one]
    assert len(steps) == taken and city.all("alarm", what="unacknowledged") == []


def test_after_the_last_step_an_alarm_and_a_call_to_everybody_come_again_and_again(city: City) -> None:
    city.report("22:40")
    city.acknowledge("22:41", *NIGHT[1:])
    city.until("2026-03-06T00:00")
    assert [one["at"][11:16] for one in city.all("alarm", what="unacknowledged")] == ["23:30", "00:00"]


def test_who_was_called_for_another_office_answers_for_it_though_they_had_their_own_copy(city: City) -> None:
    city.report("22:40")
    city.acknowledge("22:41", *NIGHT[1:], ("市委秘书长", "高秘书长"))
    city.until("23:00")
    assert only(city.acknowledge("23:05", ("市委秘书长", "高秘书长")), "acknowledged", "refused") == [
        "23:05:00 acknowledged 市委机要局",
        "23:05:00 acknowledged 市委秘书长",
    ]
    assert city.until("2026-03-06T01:00") and city.all("alarm", what="unacknowledged") == []


def test_nobody_on_duty_is_skipped_at_once_and_alarmed(opened: Callable[..., City]) -> None:
    city = opened(other=playing.house_of("roster-hole"))
    city.report("22:40")
    at_once = city.until("22:45")
    assert [one["why"] for one in at_once if one["event"] == "alarm"] == [
        "市委机要局没有值班人员，转下一步",
        "市委机要局没有可替换的值班人员，转下一步",
        "市委机要局没有带班领导，转下一步",
    ]
    assert "22:45:00 escalated 市委机要局 市委秘书长" in only(at_once, "escalated")


def test_every_hole_has_its_words() -> None:
    assert set(offering.HOLES) == {"other_way", "next", "leader", "office"}


def test_an_acknowledgement_stops_what_is_queued_and_nothing_acknowledged_is_sent_again(city: City) -> None:
    city.at("22:39", "transport", destination="市委机要局", state="down")
    city.report("22:40")
    stopped = city.acknowledge("22:43", NIGHT[0])
    assert "22:43:00 queued_stopped 市委机要局" in only(stopped, "queued_stopped")
    city.at("22:44", "transport", destination="市委机要局", state="up")
    city.until("23:30")
    rows = city.simulator.read(lambda tx: deliveries.rows(tx, incident=incidents.get(tx, "0001").id, destination="confidential_bureau"))
    assert {row.state for row in rows if row.duty == "receive"} == {"stopped"}


def test_delivered_is_not_acknowledged(city: City) -> None:
    city.report("22:40")
    assert city.all("delivered", destination="市委机要局") != []
    assert "等待签收：市委机要局" in city.simulator.read(lambda tx: incidents.get(tx, "0001").next_step)


def test_a_follow_up_that_changes_nothing_grave_needs_no_new_acknowledgement_and_a_graver_one_does(city: City) -> None:
    city.report("22:40")
    city.acknowledge("22:41", *NIGHT)
    city.report("22:50", "续报（0001）：青山区幸福路居民楼火灾明火已扑灭，直接经济损失3万元。青山区委办钱进")
    assert [one for one in city.until("22:59") if one["event"] == "escalated" and "step" in one] == []
    city.report("23:00", "续报（0001）：青山区幸福路居民楼火灾死亡人数升至2人。青山区委办钱进")
    again = [one for one in city.until("23:05") if one["event"] == "escalated" and one.get("step") == "other_way"]
    assert {one["destination"] for one in again} == {"市委机要局", "市政府值班室", "市委政务值班室"}


@pytest.mark.parametrize(
    ("told", "offices"),
    [
        ("2026-03-05T08:29:59.999", {"市委机要局", "市政府值班室"}),
        ("2026-03-05T08:30:00", {"市委办信息科", "市政府办秘书二科"}),
        ("2026-03-05T11:59:59.999", {"市委办信息科", "市政府办秘书二科"}),
        ("2026-03-05T12:00:00", {"市委机要局", "市政府值班室"}),
        ("2026-03-05T14:29:59.999", {"市委机要局", "市政府值班室"}),
        ("2026-03-05T14:30:00", {"市委办信息科", "市政府办秘书二科"}),
        ("2026-03-05T17:59:59.999", {"市委办信息科", "市政府办秘书二科"}),
        ("2026-03-05T18:00:00", {"市委机要局", "市政府值班室"}),
    ],
)
def test_working_hours_are_half_open(city: City, told: str, offices: set[str]) -> None:
    city.report(told)
    (routed,) = city.all("routed")
    assert set(routed["destinations"]) & {"市委机要局", "市政府值班室", "市委办信息科", "市政府办秘书二科"} == offices


@pytest.mark.parametrize(("acknowledged", "handed"), [("17:59:59.999", 0), (None, 2)])
def test_what_nobody_has_when_the_office_closes_goes_to_the_desk_that_stands_in(
    city: City, acknowledged: str | None, handed: int
) -> None:
    city.report("17:55")
    if acknowledged:
        city.acknowledge(acknowledged, *OFFICE)
    assert [one for one in city.until("17:59:59.999") if one["event"] == "handed_over"] == []
    assert len([one for one in city.until("18:00:00") if one["event"] == "handed_over"]) == handed


def test_what_came_out_of_hours_goes_to_the_office_when_it_opens_acknowledged_or_not(city: City) -> None:
    city.report("22:40")
    city.acknowledge("22:41", NIGHT[0])
    assert only(city.until("2026-03-06T08:29:59.999"), "handed_over") == []
    assert only(city.until("2026-03-06T08:30:00"), "handed_over") == [
        "08:30:00 handed_over 市委办信息科 市委机要局",
        "08:30:00 handed_over 市政府办秘书二科 市政府值班室",
    ]
    pressed = {one["destination"] for one in city.until("2026-03-06T08:36") if one["event"] == "escalated"}
    assert pressed >= {"市委办信息科", "市政府办秘书二科"} and "市政府值班室" not in pressed


def test_what_came_at_night_about_a_matter_of_the_day_is_handed_on_in_the_morning(city: City) -> None:
    city.report("10:00")
    city.acknowledge("10:01", *OFFICE)
    city.report("20:00", "续报（0001）：青山区幸福路居民楼火灾明火已扑灭，直接经济损失3万元。青山区委办钱进")
    city.acknowledge("20:01", *NIGHT[:2])
    morning = only(city.until("2026-03-06T08:30:00"), "handed_over")
    assert len(morning) == 2
    # Both had it before, and it is no graver: nobody is pressed for it.
    assert [one for one in city.until("2026-03-06T09:30:00") if one["event"] == "escalated" and "step" in one] == []
    # Next night, again a further report to desks that had it already.
    city.report("2026-03-06T21:00", "续报（0001）：青山区幸福路居民楼火灾起火原因为电气线路故障。青山区委办钱进")
    assert only(city.until("2026-03-09T08:30:00"), "handed_over") != []


def test_a_weekend_and_a_holiday_are_no_edge(city: City) -> None:
    city.report("2026-02-14T18:30")  # the last working day, a shifted Saturday, is over
    city.acknowledge("2026-02-14T18:31", *NIGHT)
    assert only(city.until("2026-02-24T08:29:59"), "handed_over") == []
    assert only(city.until("2026-02-24T08:30:00"), "handed_over") != []


def test_the_name_of_the_person_told_is_asked_reminded_and_escalated_until_it_is_there(city: City) -> None:
    city.report("22:40")
    city.acknowledge("22:41", *NIGHT)
    city.at("22:42", "notify", office="市政府值班室", person="赵科长", by="李值班")
    city.until("2026-03-06T00:21")
    what = {"of": "市委机要局", "what": ["市委办信息科被通知人"]}
    asked = [(one["at"][11:16], one["how"]) for one in city.all("asked", **what)]
    assert asked == [("22:40", "ask"), ("22:45", "remind"), ("23:20", "remind"), ("23:50", "remind"), ("00:20", "remind")]
    why = {"why": "未登记市委办信息科被通知人"}
    assert [(one["at"][11:16], one["to"]) for one in city.all("escalated", **why)] == [("22:50", "卢局长")]
    assert not city.all("escalated", why="未登记市政府办秘书二科被通知人")
    city.at("2026-03-06T00:30", "notify", office="市委机要局", person="王科长", by="何值班")
    assert not [one for one in city.until("2026-03-06T02:00") if one.get("what") == ["市委办信息科被通知人"]]


def test_an_acknowledgement_by_the_office_itself_names_the_person(city: City) -> None:
    city.report("22:40")
    city.acknowledge("22:41", *NIGHT, ("市委秘书长", "高秘书长"))
    city.until("23:30")
    assert len(city.all("asked", what=["市委秘书长被通知人"])) == 1
    assert len(city.all("asked", what=["市政府秘书长被通知人"])) > 1


def test_who_was_told_at_night_is_not_to_be_told_again_by_the_office_in_the_morning(city: City) -> None:
    city.report("22:40")
    city.acknowledge("22:41", *NIGHT)
    for office, by, persons in (("市委机要局", "何值班", ("王科长", "高秘书长")), ("市政府值班室", "李值班", ("赵科长",))):
        for person in persons:
            city.at("22:42", "notify", office=office, person=person, by=by)
    city.until("2026-03-06T08:30:00")
    later = [one for one in city.until("2026-03-06T09:30") if one["event"] == "asked" and "被通知人" in one["what"][0]]
    assert {(one["of"], one["what"][0]) for one in later} == {("市政府办秘书二科", "市政府秘书长被通知人")}


def test_steps_may_differ_by_office_and_duty(house: House) -> None:
    rules = house.config.duty_rules
    assert rules.plan("government_office", "receive", True) == rules.plans[0]
    assert rules.plan("committee_office", "receive", True) == rules.plans[1]
    assert rules.plan("committee_office", "inform", True) is None


def test_steps_may_differ_by_the_hour_at_which_it_was_sent() -> None:
    rules = DutyRules(plans=(Plan(hours="working", repeat=1), Plan(hours="out", repeat=2)))
    assert [rules.plan("a", "receive", working).repeat for working in (True, False)] == [1, 2]  # type: ignore[union-attr]


def test_an_offer_waits_until_somebody_has_it_or_another_office_took_over() -> None:
    at = instant("09:00")
    offer = Offer(office="a", duty="receive", offered_at=at, sent_at=at)
    assert offer.waits
    assert not Offer(office="a", duty="receive", offered_at=at, sent_at=at, acknowledged_at=at).waits
    assert not Offer(office="a", duty="receive", offered_at=at, sent_at=at, handed_to="b").waits
