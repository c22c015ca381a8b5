"""Bad routers, readers and classifiers, each of which differs from a good one in a single point; the harness catches every one."""

from __future__ import annotations

import itertools
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.api import Classification, Destination, Doubt, Figure, Match, Settings
from gateway.testing import CANARY, boundary_moments, check_classifier, check_reader, check_router, pure, sample_report
from gateway.testing.samples import odd_incidents

COUNT = itertools.count()
HERE = Path(__file__)


def made(method: str, function: Callable[..., Any]) -> type[Any]:
    """A class whose only method answers what ``function`` does; its first argument is the object."""
    return type(
        "Made", (), {"kind": "made", "Settings": Settings, "__init__": lambda self, name, settings: None, method: function}
    )


def route(incident: Any, moment: Any, _directory: Any) -> list[Destination]:
    office = "committee_office" if moment.working else "government_duty_room"
    return [Destination(office=office, because="工作时间" if moment.working else "非工作时间")]


def remembers(self: Any, incident: Any, moment: Any, directory: Any) -> Any:
    self.asked = getattr(self, "asked", 0) + 1
    return route(incident, moment, directory) if self.asked != 40 else []


def changes(self: Any, incident: Any, moment: Any, directory: Any) -> Any:
    incident.why["事故类-9"] = ("added",)
    return route(incident, moment, directory)


def reads_a_file(self: Any, incident: Any, moment: Any, directory: Any) -> Any:
    HERE.read_text("utf-8")
    return route(incident, moment, directory)


def logs(self: Any, incident: Any, moment: Any, directory: Any) -> Any:
    logging.getLogger("bad").debug("routing %s", incident.report.text[:20])
    return route(incident, moment, directory)


def quotes(self: Any, incident: Any, moment: Any, directory: Any) -> Any:
    return [replace(one, because=incident.title or "-") for one in route(incident, moment, directory)]


ROUTERS: list[tuple[Callable[..., Any], str]] = [
    (lambda self, i, m, d: [route(i, m, d)[0]] if i.items[0] else [], "raised IndexError"),
    (lambda self, i, m, d: route(i, m, d) if len(i.items) < 100 else d[1], "raised TypeError"),
    (lambda self, i, m, d: route(i, m, d) if m.known else 1 / 0, "raised ZeroDivisionError"),
    (lambda self, i, m, d: [Destination(office="lost_property", because="x")], "no office of the directory"),
    (lambda self, i, m, d: route(i, m, d) * 2, "names an office twice"),
    (lambda self, i, m, d: [Destination(office="committee_office", because=" ")], "no because"),
    (lambda self, i, m, d: [Destination(office="committee_office", because="x", duty="forward")], "duty 'forward'"),  # type: ignore[arg-type]
    (lambda self, i, m, d: ["committee_office"], "gives str, not Destination"),
    (lambda self, i, m, d: "committee_office", "no list"),
    (lambda self, i, m, d: (one for one in route(i, m, d)), "no list"),
    (lambda self, i, m, d: [], "names nobody"),
    (lambda self, i, m, d: route(i, m, d) if random.random() < 0.9 else [], "not pure"),
    (remembers, "not pure"),
    (changes, "changes what it is handed"),
    (reads_a_file, "it causes open"),
    (logs, "log line"),
    (quotes, "because repeats the report"),
]


def test_a_good_router_passes() -> None:
    check_router(made("route", lambda self, i, m, d: route(i, m, d)), Settings())


@pytest.mark.parametrize(("function", "why"), ROUTERS, ids=[why for _function, why in ROUTERS])
def test_a_bad_router_is_caught(function: Callable[..., Any], why: str) -> None:
    with pytest.raises(AssertionError, match=why) as caught:
        check_router(made("route", function), Settings())
    assert CANARY not in str(caught.value)


def test_a_slow_router_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pure, "CALL_SECONDS", 0.001)
    with pytest.raises(AssertionError, match="the desk waits"):
        check_router(made("route", lambda self, i, m, d: time.sleep(0.002) or route(i, m, d)), Settings())


def test_every_side_of_the_day_and_every_odd_incident_is_asked() -> None:
    moments = boundary_moments()
    assert {moment.why for moment in moments} >= {"工作时间", "午休", "上班前", "下班后", "周末", "国庆节"}
    assert any(not moment.known for moment in moments)
    assert {moment.working for moment in moments} == {True, False}
    edges = {(moment.local.hour, moment.local.minute, moment.local.second) for moment in moments}
    for hour, minute in ((8, 30), (12, 0), (14, 30), (18, 0)):
        assert {(hour, minute, 0), (hour, minute, 1)} <= edges
    assert {(8, 29, 59), (11, 59, 59), (14, 29, 59), (17, 59, 59)} <= edges
    incidents = odd_incidents()
    assert {len(incident.items) for incident in incidents} >= {0, 1, 100}
    assert any(incident.sensitive for incident in incidents)
    assert any(incident.report.occurred is None for incident in incidents)
    assert {incident.state for incident in incidents} == {"open", "followed_up", "closed", "below_threshold", "drill", "merged"}


def evidence(self: Any, message: Any, report: Any) -> Any:
    report.evidence["cause"] = ((0, 1),)
    return []


READERS: list[tuple[Callable[..., Any], str]] = [
    (lambda self, m, r: [Doubt(item=None, because=r.text[:200] or "-")], "because repeats"),
    (lambda self, m, r: [Match(item="事故类-2", why=("x",))], "gives Match, not Doubt"),
    (lambda self, m, r: [Doubt(item=None, because="")], "gives no because"),
    (lambda self, m, r: [Doubt(item="", because="x")], "an empty item"),
    (lambda self, m, r: list(r.deaths.evidence)[:0], "raised AttributeError"),
    (lambda self, m, r: None, "no list"),
    (lambda self, m, r: [Doubt(item=None, because=f"x{next(COUNT)}")], "not pure"),
    (evidence, "changes what it is handed"),
]


@pytest.mark.parametrize(("function", "why"), READERS, ids=[why for _function, why in READERS])
def test_a_bad_reader_is_caught(function: Callable[..., Any], why: str) -> None:
    with pytest.raises(AssertionError, match=why) as caught:
        check_reader(made("read", function), Settings())
    assert CANARY not in str(caught.value)


def test_a_good_reader_passes() -> None:
    check_reader(made("read", lambda self, m, r: [Doubt(item=None, because="由人核对")] if m.unread else []), Settings())


CLASSIFIERS: list[tuple[Callable[..., Any], str]] = [
    (lambda self, r, f: [Match(item="", why=("x",))], "without a name"),
    (lambda self, r, f: [Match(item="事故类-2", why=())], "without saying why"),
    (lambda self, r, f: [Match(item="事故类-2", why=(r.text or "-",))], "why repeats the report"),
    (lambda self, r, f: [Match(item="事故类-2", why=("",))], "gives no why"),
    (lambda self, r, f: f, "returned Classification"),
    (lambda self, r, f: [f.items[0]], "raised IndexError"),
    (lambda self, r, f: [r], "not Match or Doubt"),
    (lambda self, r, f: [Match(item="事故类-2", why=("x",))] if r.deaths and r.deaths.value > 1 else [], "raised TypeError"),
]


@pytest.mark.parametrize(("function", "why"), CLASSIFIERS, ids=[why for _function, why in CLASSIFIERS])
def test_a_bad_classifier_is_caught(function: Callable[..., Any], why: str) -> None:
    with pytest.raises(AssertionError, match=why) as caught:
        check_classifier(made("classify", function), Settings())
    assert CANARY not in str(caught.value)


def test_a_good_classifier_passes_and_the_authors_cases_are_asked_too() -> None:
    asked = []

    def classify(self: Any, report: Any, found: Any) -> Any:
        asked.append(report)
        return [Doubt(item=None, because="由人核对")] if report.trapped is not None and not found.items else []

    own = sample_report(trapped=Figure(value=4321))
    check_classifier(made("classify", classify), Settings(), [(own, Classification())])
    assert own in asked
