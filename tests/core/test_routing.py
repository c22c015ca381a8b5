"""The routing table of the example: each rule and each boundary, one line each."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from gateway.core.calendar import Calendar
from gateway.core.directory import Directory, Office
from gateway.core.model import Incident, Report
from gateway_plugins.route_offices import RouteOffices, RouteSettings

CALENDAR = Calendar(
    timezone="Asia/Shanghai",
    hours=((510, 720), (870, 1080)),
    years=frozenset({2026}),
    holidays={date(2026, 5, 1): "劳动节"},
    workdays={date(2026, 5, 9): "劳动节"},
)
WORKING = {"committee_office", "government_office"}
OUT = {"confidential_bureau", "government_duty_room"}
HOUR = WORKING | OUT
DIRECTORY = Directory.of(Office(id=name, name=name) for name in HOUR)
SETTINGS: dict[str, Any] = {
    "working": ["committee_office", "government_office"],
    "out_of_hours": ["confidential_bureau", "government_duty_room"],
    "always": ["committee_duty_room"],
    "sensitive": ["confidential_bureau"],
    "inform": ["secretary_general_committee", "secretary_general_government"],
    "superior": {"traffic": ["transport"]},
    "cooperate": {"traffic": ["traffic_police", "transport", "health"], "fire": ["health", "police"]},
}


def incident(*kinds: str, sensitive: bool = False) -> Incident:
    when = datetime.fromisoformat("2026-03-05T22:30:00+08:00")
    return Incident(
        id="i1", number="2026-0001", title="t", state="open", items=("事故类-2",), kinds=kinds, report=Report(text="t"),
        sensitive=sensitive, first_received_at=when,
    )  # fmt: skip


def route(when: str, *kinds: str, sensitive: bool = False, **changes: Any) -> dict[str, str]:
    """Office → duty."""
    router = RouteOffices("offices", RouteSettings.model_validate({**SETTINGS, **changes}))
    moment = CALENDAR.moment(datetime.fromisoformat(when + "+08:00"))
    found = router.route(incident(*kinds, sensitive=sensitive), moment, DIRECTORY)
    assert len({d.office for d in found}) == len(found), "an office is named once"
    assert all(d.because for d in found)
    return {d.office: d.duty for d in found}


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-03-05T08:29:59", OUT),
        ("2026-03-05T08:30:00", WORKING),
        ("2026-03-05T11:59:59", WORKING),
        ("2026-03-05T12:00:00", OUT),
        ("2026-03-05T14:29:59", OUT),
        ("2026-03-05T14:30:00", WORKING),
        ("2026-03-05T17:59:59", WORKING),
        ("2026-03-05T18:00:00", OUT),
        ("2026-03-07T10:00:00", OUT),
        ("2026-05-01T10:00:00", OUT),
        ("2026-05-09T10:00:00", WORKING),
        ("2026-05-09T12:30:00", OUT),
        ("2027-03-03T10:00:00", OUT),
    ],
)
def test_offices_of_the_hour(when: str, expected: set[str]) -> None:
    found = route(when)
    assert {office for office in HOUR if office in found} == expected
    assert all(found[office] == "receive" for office in expected)


@pytest.mark.parametrize("when", ["2026-03-05T10:00:00", "2026-03-05T22:00:00"])
def test_duty_room_and_both_secretaries_general_at_any_hour(when: str) -> None:
    found = route(when)
    assert found["committee_duty_room"] == "receive"
    assert found["secretary_general_committee"] == found["secretary_general_government"] == "inform"


def test_sensitive_goes_to_the_bureau_in_working_hours_as_well() -> None:
    assert "confidential_bureau" not in route("2026-03-05T10:00:00")
    assert route("2026-03-05T10:00:00", sensitive=True)["confidential_bureau"] == "receive"


def test_departments_by_kind() -> None:
    found = route("2026-03-05T10:00:00", "traffic")
    assert found["transport"] == "inform", "the superior department is informed, not merely asked to co-operate"
    assert found["traffic_police"] == found["health"] == "cooperate"
    assert "police" not in found
    both = route("2026-03-05T10:00:00", "traffic", "fire")
    assert both.keys() >= {"transport", "traffic_police", "health", "police"}


def test_kind_without_a_rule_keeps_the_offices() -> None:
    assert route("2026-03-05T10:00:00", "drought").keys() == route("2026-03-05T10:00:00").keys()


GROUP = {"office": "leading_group", "kinds": ["petition"]}


def test_leading_group_beside_the_offices() -> None:
    found = route("2026-03-05T10:00:00", "petition", leading_group=[GROUP])
    assert found["leading_group"] == "receive"
    assert found.keys() >= WORKING
    assert "leading_group" not in route("2026-03-05T10:00:00", "fire", leading_group=[GROUP])


def test_leading_group_in_place_of_the_offices() -> None:
    found = route("2026-03-05T22:00:00", "petition", leading_group=[{**GROUP, "mode": "instead"}])
    assert found["leading_group"] == "receive"
    assert not HOUR & found.keys()
    assert found.keys() >= {"committee_duty_room", "secretary_general_committee"}


def test_a_kind_that_no_group_took_keeps_the_offices() -> None:
    found = route("2026-03-05T22:00:00", "petition", "fire", leading_group=[{**GROUP, "mode": "instead"}])
    assert found.keys() >= OUT | {"leading_group"}


def test_instead_never_drops_the_bureau_for_sensitive_items() -> None:
    group = {**GROUP, "mode": "instead"}
    assert "confidential_bureau" in route("2026-03-05T10:00:00", "petition", sensitive=True, leading_group=[group])


def test_the_hour_is_told() -> None:
    router = RouteOffices("offices", RouteSettings.model_validate(SETTINGS))
    moment = CALENDAR.moment(datetime.fromisoformat("2026-05-01T10:00:00+08:00"))
    assert router.route(incident(), moment, DIRECTORY)[0].because == "非工作时间（劳动节）"


def test_kinds_are_told_by_their_names() -> None:
    rules = {**SETTINGS, "names": {"traffic": "交通事故"}, "leading_group": [{**GROUP, "kinds": ["fire", "traffic"]}]}
    router = RouteOffices("offices", RouteSettings.model_validate(rules))
    moment = CALENDAR.moment(datetime.fromisoformat("2026-03-05T10:00:00+08:00"))
    told = {d.office: d.because for d in router.route(incident("traffic", "fire"), moment, DIRECTORY)}
    assert told["leading_group"] == "领导小组直收：fire、交通事故"
    assert told["transport"] == "上级职能部门：交通事故（不代替单位双重上报）"
    assert told["police"] == "协同部门：fire"
