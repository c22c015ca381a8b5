"""An incident that is opened by a person's act, or that a former version left open, is nobody's less: offices are sent it, clocks
run, somebody must say that he has it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from gateway.duty import reports
from gateway.store import incidents, matters, tables
from tests.duty.conftest import City, instant, only

SMALL = "白水县政府办：今日{when}，白水县城关镇东街两车追尾，无人员伤亡，损失约2万元。"
LARGE = "石桥县政府办：今日{when}，石桥县幸福路一居民楼起火，1人死亡、3人受伤。"
RECEIVE = {"市委办信息科", "市政府办秘书二科", "市委政务值班室"}


def is_on_its_way(city: City, number: str, events: list[dict[str, Any]], *, reportable: bool = True) -> None:
    incident = city.simulator.read(lambda tx: incidents.get(tx, number))
    kept = city.simulator.read(lambda tx: matters.get(tx, incident.id))
    assert incident.state in ("open", "followed_up") and incident.next_step
    assert kept is not None and bool(kept.matter.clocks) == reportable, "clocks run for what a rule makes reportable"
    mine = [one for one in events if one.get("incident") == number]
    (routed,) = [one for one in mine if one["event"] == "routed"]
    assert set(routed["destinations"]) >= RECEIVE
    told = {one["destination"] for one in mine if one["event"] == "delivered"}
    assert told >= RECEIVE
    assert city.simulator.read(matters.without_next_step) == []


def test_a_correction_that_lifts_it_over_the_threshold_is_sent_like_a_report(city: City) -> None:
    city.report("09:30", SMALL)
    events = city.at("09:40", "correct", incident="last", field="deaths", value="3", reason="医院核实", by="王科长")
    is_on_its_way(city, "2026-0001", events)
    # The unit had reported within ten minutes: nothing to blame it for.
    assert city.all("clock_passed") == []
    assert city.simulator.read(lambda tx: incidents.get(tx, "2026-0001")).severity.level == "较大"
    assert [one["to"] for one in city.until("09:55") if one["event"] == "escalated"], "nobody says anything: it is pressed"


def test_merging_into_one_below_the_threshold_opens_it_for_everybody(city: City) -> None:
    city.report("09:30", SMALL)
    city.report("09:35", LARGE, sender="+8613800000003")
    events = city.at("09:40", "merge", incident="0002", into="0001", reason="同一起", by="王科长")
    is_on_its_way(city, "2026-0001", events)


def test_splitting_off_what_was_below_the_threshold_opens_it_for_everybody(city: City) -> None:
    city.report("09:30", SMALL)
    city.report("09:35", LARGE, sender="+8613800000003")
    city.at("09:40", "merge", incident="0001", into="0002", reason="同一起", by="王科长")
    events = city.at("09:50", "split", incident="0001", reason="另一起", by="王科长")
    is_on_its_way(city, "2026-0001", events, reportable=False)


def test_one_below_the_threshold_that_was_closed_is_opened_again_for_everybody(city: City) -> None:
    city.report("09:30", SMALL)
    city.at("09:40", "close", incident="0001", reason="已了解", by="王科长")
    is_on_its_way(city, "2026-0001", city.at("09:50", "reopen", incident="0001", reason="另有伤者", by="王科长"), reportable=False)


def as_a_former_version_left_it(city: City) -> None:
    city.simulator._write(lambda tx: tx.run(sa.delete(tables.matters)))


def adopted(city: City, time: str) -> None:
    def adopt(tx: Any) -> None:
        for number in matters.without_matter(tx):
            reports.adopt(tx, city.house, incidents.get(tx, number), instant(time))

    city.simulator._write(adopt)


def test_what_a_former_version_left_open_is_judged_by_what_came_then_and_pressed_from_now_on(opened: Callable[..., City]) -> None:
    city = opened()
    city.report("09:10", LARGE, sender="+8613800000003", happened="09:00")
    city.acknowledge("09:15", ("市委政务值班室", "罗值班"))
    mail = {"channel": "email", "sender": "shiqiao-office@gateway.test", "subject": "续报"}
    city.at("09:50", "receive", text="续报：石桥县幸福路居民楼火灾，1人死亡，3人受伤，起因为电线短路。石桥县政府办", **mail)
    as_a_former_version_left_it(city)
    city.seen.clear()
    # The new version starts at night, long after every limit.
    city.simulator.now = instant("2026-03-05T23:00:00")
    adopted(city, "2026-03-05T23:00:00")
    events = city.until("2026-03-05T23:00:01")
    assert city.all("clock_passed") == [], "told within half an hour, by mail within two; going up was not ours to record then"
    assert {one["clock"] for one in city.all("clock_waived")} == {"province", "centre"}
    assert only(events, "escalated") == [], "nobody is called for hours that were before our time"
    waiting = {one["destination"] for one in city.until("2026-03-05T23:06:00") if one["event"] == "escalated"}
    assert "市委政务值班室" not in waiting and "市委办信息科" in waiting
    kept = city.simulator.read(lambda tx: matters.get(tx, incidents.get(tx, "2026-0001").id))
    assert kept.matter.boundary is not None and kept.matter.first_at == instant("09:10")
    later = city.until("2026-03-06T08:31:00") + city.until((instant("2026-03-06T08:31:00") + timedelta(minutes=1)).isoformat()[:19])
    assert city.simulator.read(matters.without_next_step) == [] and later
