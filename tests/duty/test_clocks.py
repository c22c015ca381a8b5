"""Clocks: when they pass, what stops them, how they move, how often they are judged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from gateway.core.duty.matter import Matter
from gateway.house import House
from gateway.store import incidents, matters
from tests.duty.conftest import NIGHT, OFFICE, City, instant, only
from tests.scenarios import playing

UNITS = {"unit": "+8613800000008", "superior": "+8613800000099", "leader": "+8613800000098", "media": "+8613800000097"}
STOPS = {
    "sms": {"initial", "missed"},
    "phone": {"initial", "phone", "missed"},
    "email": {"initial", "phone", "written", "missed"},
    "fax": {"initial", "phone", "written", "missed"},
}


def matter(city: City, number: str = "0001") -> Matter:
    kept = city.simulator.read(lambda tx: matters.get(tx, incidents.get(tx, number).id))
    assert kept is not None
    return kept.matter


@pytest.mark.parametrize(("arrives", "passed"), [("09:30:00", []), ("09:30:00.001", ["09:30:00.001 clock_passed initial"])])
def test_exactly_at_the_limit_is_in_time_and_the_first_instant_after_is_not(city: City, arrives: str, passed: list[str]) -> None:
    city.report(arrives, happened="09:00")
    assert only(city.seen, "clock_passed") == passed


def test_a_limit_passes_at_the_first_instant_after_it(city: City) -> None:
    city.report("09:10", happened="09:00")
    assert only(city.until("10:00:00"), "clock_passed") == []
    assert only(city.until("10:00:00.001"), "clock_passed") == ["10:00:00.001 clock_passed phone"]


@pytest.mark.parametrize("role", UNITS)
@pytest.mark.parametrize("channel", STOPS)
def test_a_channel_stops_what_the_rule_says_and_only_for_the_unit(city: City, channel: str, role: str) -> None:
    sender = "qingshan@example.test" if channel == "email" and role == "unit" else UNITS[role]
    city.report("09:10", happened="09:00", channel=channel, sender=sender)
    assert {one["clock"] for one in city.all("clock_stopped")} == (STOPS[channel] if role == "unit" else set())


def test_a_delivery_upward_stops_the_clocks_of_the_city_and_no_other(city: City) -> None:
    city.report("09:10", happened="09:00")
    city.at("09:20", "approve", incident="last", by="秦副市长")
    assert only(city.at("09:30", "approve", incident="last", by="金书记"), "clock_stopped") == [
        "09:30:00 clock_stopped province",
        "09:30:00 clock_stopped centre",
    ]


def test_nothing_goes_up_and_no_clock_stops_while_the_level_above_cannot_be_reached(city: City) -> None:
    for office in ("省委办公厅", "省政府办公厅"):
        city.at("09:00", "transport", destination=office, state="down")
    city.report("09:10", happened="09:00")
    city.at("09:20", "approve", incident="last", by="秦副市长")
    city.at("09:30", "approve", incident="last", by="金书记")
    assert "13:00:00.001 clock_passed province" in only(city.until("13:01"), "clock_passed", "clock_stopped")


def test_whoever_can_still_act_is_warned_once_before_the_limit(city: City) -> None:
    city.report("09:10", happened="09:00")
    assert only(city.until("09:44:59.999"), "clock_due") == []
    assert only(city.until("09:45"), "clock_due") == ["09:45:00 clock_due phone"]
    assert only(city.until("10:29"), "clock_due") == []


def test_a_clock_of_an_unknown_time_counts_from_the_receipt_and_says_so(city: City) -> None:
    city.report("09:10", "青山区幸福路一居民楼起火，1人死亡。青山区委办钱进")
    assert {(one["started_at"][11:16], one["estimated"]) for one in city.all("clock_started")} == {("09:10", True)}


def test_a_later_report_that_says_otherwise_moves_the_clocks_on_record(city: City) -> None:
    city.report("09:30", "青山区幸福路一居民楼起火，1人死亡。青山区委办钱进")
    moved = city.report("09:40", "续报（0001）：青山区幸福路居民楼火灾发生于今日9时05分，1人死亡。青山区委办钱进")
    found = [one for one in moved if one["event"] == "clock_moved" and one["clock"] == "phone"]
    assert [(one["from"][11:16], one["to"][11:16], one["because"]) for one in found] == [("10:30", "10:05", "续报更正事发时间")]
    assert only(city.until("10:06"), "clock_passed") == ["10:05:00.001 clock_passed phone"]


def test_what_was_in_time_is_judged_late_where_the_event_was_earlier_than_told(city: City) -> None:
    city.report("09:10", happened="09:00")
    late = city.at("09:20", "correct", incident="last", by="高秘书长", field="occurred", value="2026-03-05T08:30", reason="接警记录")
    assert only(late, "clock_passed") == ["09:20:00 clock_passed initial"]


def test_a_judgement_that_a_correction_throws_doubt_on_stands_until_a_person_lifts_it(city: City) -> None:
    city.report("09:40", happened="09:00")
    assert only(city.seen, "clock_passed") == ["09:40:00 clock_passed initial"]
    city.at("09:45", "correct", incident="last", by="高秘书长", field="occurred", value="2026-03-05T09:20", reason="接警记录")
    initial = next(one for one in matter(city).clocks if one.clock == "initial")
    assert (initial.state, initial.disputed) == ("passed", True)
    # A second correction, by which it was late after all: no doubt is left.
    city.at("09:46", "correct", incident="last", by="高秘书长", field="occurred", value="2026-03-05T09:05", reason="再核")
    assert not next(one for one in matter(city).clocks if one.clock == "initial").disputed
    city.at("09:47", "correct", incident="last", by="高秘书长", field="occurred", value="2026-03-05T09:20", reason="三核")
    city.at("09:50", "judge", incident="last", by="高秘书长", kind="迟报", clock="initial", lift=True, reason="以接警记录为准")
    assert not next(one for one in matter(city).clocks if one.clock == "initial").disputed
    assert len(city.all("clock_passed", clock="initial")) == 1


def test_what_never_goes_up_is_late_first_and_missed_after_a_day(city: City) -> None:
    city.report("09:10", happened="09:00", channel="fax")
    city.acknowledge("09:11", *OFFICE)
    assert len([one for one in city.until("13:01") if one["event"] == "clock_passed" and one["clock"] == "province"]) == 1
    assert [one for one in city.until("2026-03-06T09:00:00") if one["event"] == "judged"] == []
    day_later = [one for one in city.until("2026-03-06T09:00:00.001") if one["event"] == "judged"]
    assert {(one["clock"], one["kind"]) for one in day_later} == {("province", "漏报"), ("centre", "漏报")}
    assert [one for one in city.until("2026-03-07T12:00") if one["event"] == "judged"] == []


def test_what_is_waived_is_not_judged_and_what_has_passed_stays_judged(city: City) -> None:
    city.report("09:40", happened="09:00")
    waived = city.at("09:50", "waive", incident="last", by="高秘书长", reason="个案", clocks=["initial", "phone", "province"])
    assert {one["clock"] for one in waived if one["event"] == "clock_waived"} == {"phone", "province"}
    city.until("16:00")
    assert {one["clock"] for one in city.all("clock_passed")} == {"initial", "written", "centre"}


def test_a_graver_incident_goes_up_again_within_the_limit_from_then(city: City) -> None:
    city.report("09:10", happened="09:00", channel="fax")
    city.at("09:20", "approve", incident="last", by="秦副市长")
    city.at("09:30", "approve", incident="last", by="金书记")
    city.report("12:00", "续报（0001）：青山区幸福路居民楼火灾死亡人数升至4人。青山区委办钱进")
    started = [(one["clock"], one["due"][11:16]) for one in city.all("clock_started") if one["at"][11:16] == "12:00"]
    assert started == [("province", "16:00"), ("centre", "18:00")]
    assert only(city.until("16:01"), "clock_passed") == ["16:00:00.001 clock_passed province"]


def test_a_report_below_the_threshold_counts_when_the_matter_becomes_grave(city: City) -> None:
    city.report("09:10", "今日9时，青山区一工地发生坍塌，2人受伤，无人员死亡。青山区委办钱进")
    assert only(city.seen, "clock_started") == []
    city.report("11:00", "续报（0001）：青山区工地坍塌2名伤者中1人经抢救无效死亡。青山区委办钱进")
    stopped = [(one["clock"], one["stopped_at"][11:16]) for one in city.all("clock_stopped")]
    assert stopped == [("initial", "09:10"), ("missed", "09:10")]
    assert {one["clock"] for one in city.all("clock_passed")} == {"phone"}


@pytest.mark.parametrize("role", ["superior", "leader", "media"])
def test_another_source_first_and_the_unit_silent_past_its_limit_is_a_breach(city: City, role: str) -> None:
    text = "今日9时，白水县境内省道S207线一客车坠河，3人死亡，9人受伤。"
    city.report("09:10", text, sender=UNITS[role])
    assert only(city.until("09:30"), "breach") == []
    city.until("09:31")
    assert [(one["what"], one["responsible"]) for one in city.all("breach")] == [("他处先知而责任单位超时未报", ["白水县委办"])]
    assert [(one["kind"], one["state"]) for one in city.all("judged")] == [("疑似瞒报", "automatic")]


def test_a_unit_that_reports_within_its_limit_conceals_nothing_whoever_spoke_first(city: City) -> None:
    text = "今日9时，白水县境内省道S207线一客车坠河，3人死亡，9人受伤。"
    city.report("09:10", text, sender=UNITS["media"])
    city.report("09:30", text + "白水县委办张明", sender="+8613800000001")
    city.until("2026-03-06T12:00")
    assert city.all("breach") == [] and not [one for one in city.all("judged") if "瞒报" in one["kind"]]


def test_a_report_that_is_late_by_itself_is_no_breach(city: City) -> None:
    city.report("10:10", happened="09:00")
    assert city.all("clock_passed", clock="initial") != [] and city.all("breach") == []


def test_the_stricter_profile_of_the_state_is_in_force_where_conf_names_it(opened: Callable[..., City]) -> None:
    state = playing.house_of("state-profile")
    city = opened(other=state)
    city.report("09:10", happened="09:00")
    assert {one["clock"]: one["due"][11:16] for one in city.all("clock_started")}["phone"] == "09:30"
    assert only(city.until("10:00:00.001"), "clock_passed") == ["09:30:00.001 clock_passed phone", "10:00:00.001 clock_passed written"]


def test_after_down_time_what_passed_is_judged_once_in_order_and_marked(city: City) -> None:
    city.report("09:10", happened="09:00")
    city.acknowledge("09:11", *OFFICE)
    after = city.at("09:20", "restart", down_minutes=300)
    passed = [(one["clock"], one["late"], one["at"][11:16]) for one in after if one["event"] == "clock_passed"]
    assert passed == [("phone", True, "14:20"), ("written", True, "14:20"), ("province", True, "14:20")]
    city.until("2026-03-06T10:00")
    assert len({one["clock"] for one in city.all("clock_passed")}) == len(city.all("clock_passed"))


def test_the_offices_that_hold_it_are_warned_of_the_limit_upward(city: City, house: House) -> None:
    city.report("22:40", happened="22:30")
    city.acknowledge("22:41", *NIGHT)
    warned = [one for one in city.until("2026-03-06T01:30:00") if one["at"][11:16] == "01:30" and one["event"] == "delivered"]
    assert {"市委机要局", "市政府值班室", "分管领导"} <= {one["destination"] for one in warned}
    assert instant("2026-03-06T02:30") - timedelta(minutes=60) == instant("2026-03-06T01:30")
