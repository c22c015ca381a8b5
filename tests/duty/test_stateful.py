"""Whatever happens, in whatever order: reports, acknowledgements, names, signatures, restarts, broken transports, time.

Invariants: no acknowledged delivery is sent again; no open incident without a next step; every passed clock is judged once.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.house import House
from gateway.store import deliveries, incidents, matters
from tests.duty.conftest import City, instant
from tests.scenarios import playing

BEGIN = ("2026-03-05T08:20", "2026-03-05T17:50", "2026-03-05T22:30", "2026-02-14T17:30", "2026-12-31T20:00")
OFFICES = {
    "市委机要局": "何值班",
    "市政府值班室": "李值班",
    "市委政务值班室": "罗值班",
    "市委办信息科": "王科长",
    "市政府办秘书二科": "赵科长",
    "市委秘书长": "高秘书长",
}
UNITS = {"青山区": ("+8613800000008", "青山区委办"), "白水县": ("+8613800000001", "白水县委办")}
MOST = 4
"""Incidents in one run: enough to mix them up."""
_HOUSE: list[House] = []


def house() -> House:
    """The example configuration, read once."""
    if not _HOUSE:
        _HOUSE.append(playing.house_of(""))
    return _HOUSE[0]


class Duty(RuleBasedStateMachine):
    """A duty office to which anything may happen."""

    @initialize(begin=st.sampled_from(BEGIN))
    def begin(self, begin: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.city = City(house(), f"sqlite:///{self.folder.name}/store.db")
        self.now: datetime = instant(begin)
        self.city.simulator.step({"at": self.now.isoformat(), "do": "restart"})
        self.told = self.happened = 0
        self.acknowledged: dict[str, int] = {}
        self.judged: Counter[tuple[str, str, str]] = Counter()
        self.sent: Counter[str] = Counter()

    def do(self, do: str, **fields: Any) -> None:
        self.city.at(f"{self.now:%Y-%m-%dT%H:%M:%S.%f}", do, **fields)
        self.look()

    def look(self) -> None:
        """What was on record since the last look."""
        seen, self.city.seen = self.city.seen, []
        for one in seen:
            if one["event"] == "clock_passed":
                self.judged[one["incident"], one["clock"], one["due"]] += 1
            if one["event"] in ("delivered", "delivery_failed"):
                assert one["delivery"] not in self.acknowledged, "an acknowledged delivery was sent again"
            if one["event"] == "acknowledged":
                self.acknowledged.update(dict.fromkeys(one.get("deliveries", []), 1))

    @rule(minutes=st.sampled_from((0, 1, 4, 5, 6, 15, 29, 30, 31, 60, 240, 700)), millis=st.sampled_from((0, 1, 59_999)))
    def time_passes(self, minutes: int, millis: int) -> None:
        self.now += timedelta(minutes=minutes, milliseconds=millis)
        self.do("restart")

    @rule(minutes=st.sampled_from((1, 30, 300)))
    def is_down(self, minutes: int) -> None:
        self.do("restart", down_minutes=minutes)
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.told < MOST)
    @rule(county=st.sampled_from(sorted(UNITS)), deaths=st.integers(1, 12), ago=st.sampled_from((5, 30, 50, 130)), fax=st.booleans())
    def happens(self, county: str, deaths: int, ago: int, fax: bool) -> None:
        self.happened += 1
        sender, unit = UNITS[county]
        at = self.now - timedelta(minutes=ago)
        text = f"{at:%-m月%-d日%-H时%M分}，{county}第{self.happened}号仓库起火，{deaths}人死亡，消防已到场扑救。{unit}"
        self.do("receive", channel="fax" if fax else "sms", sender=sender, text=text)
        # Numbers begin anew with the year, and another fire of the unit at the same hour may be taken for the same one.
        self.numbers = sorted(one.number for one in self.city.simulator.read(lambda tx: incidents.rows(tx, limit=1000)))
        self.told = len(self.numbers)

    def number(self, n: int) -> str:
        """The number of one of the incidents that there are."""
        return self.numbers[min(n, self.told) - 1]

    @precondition(lambda self: self.told > 0)
    @rule(n=st.integers(1, MOST), deaths=st.integers(1, 30), kind=st.sampled_from(("续报", "续报", "更正", "终报")))
    def is_followed_up(self, n: int, deaths: int, kind: str) -> None:
        text = f"{kind}（{self.number(n)}）：仓库火灾死亡人数为{deaths}人，火已扑灭。青山区委办钱进"
        self.do("receive", channel="sms", sender=UNITS["青山区"][0], text=text)

    @precondition(lambda self: self.told > 0)
    @rule(n=st.integers(1, MOST), office=st.sampled_from(sorted(OFFICES)))
    def is_acknowledged(self, n: int, office: str) -> None:
        self.do("acknowledge", incident=self.number(n), destination=office, by=OFFICES[office])

    @precondition(lambda self: self.told > 0)
    @rule(n=st.integers(1, MOST), office=st.sampled_from(sorted(OFFICES)), person=st.sampled_from(sorted(OFFICES.values())))
    def names_whom_they_told(self, n: int, office: str, person: str) -> None:
        self.do("notify", incident=self.number(n), office=office, person=person, by=OFFICES[office])

    @precondition(lambda self: self.told > 0)
    @rule(n=st.integers(1, MOST), by=st.sampled_from(("秦副市长", "严常委", "金书记")))
    def is_signed(self, n: int, by: str) -> None:
        self.do("approve", incident=self.number(n), by=by)

    @precondition(lambda self: self.told > 0)
    @rule(n=st.integers(1, MOST), do=st.sampled_from(("close", "reopen", "waive", "split")))
    def a_person_decides(self, n: int, do: str) -> None:
        self.do(do, incident=self.number(n), by="高秘书长", reason="据情处理")

    @precondition(lambda self: self.told > 1)
    @rule(n=st.integers(1, MOST), into=st.integers(1, MOST))
    def is_merged(self, n: int, into: int) -> None:
        numbers = [self.number(one) for one in (n, into)]
        self.do("merge", incident=numbers[0], into=numbers[1], by="高秘书长", reason="同一起")

    @precondition(lambda self: self.told > 0)
    @rule(n=st.integers(1, MOST), back=st.integers(1, 200))
    def the_time_is_corrected(self, n: int, back: int) -> None:
        value = f"{self.now - timedelta(minutes=back):%Y-%m-%dT%H:%M}"
        self.do("correct", incident=self.number(n), by="高秘书长", field="occurred", value=value, reason="再核")

    @precondition(lambda self: self.told > 0)
    @rule(n=st.integers(1, MOST), hours=st.integers(1, 5), done=st.booleans())
    def is_supervised(self, n: int, hours: int, done: bool) -> None:
        fields: dict[str, Any] = {"done": True, "result": "已办"} if done else {"to": "市公安局", "text": "速查", "due": str(hours)}
        self.do("instruct", incident=self.number(n), by="高秘书长", **fields)

    @rule(office=st.sampled_from((*sorted(OFFICES), "省委办公厅")), state=st.sampled_from(("down", "up", "refuses", "hangs")))
    def a_transport_changes(self, office: str, state: str) -> None:
        self.do("transport", destination=office, state=state)

    @invariant()
    def no_open_incident_is_without_a_next_step(self) -> None:
        if not hasattr(self, "city"):
            return
        simulator = self.city.simulator
        assert simulator.read(matters.without_next_step) == []
        open_ones = simulator.read(lambda tx: incidents.rows(tx, states=("open", "followed_up")))
        assert [one.number for one in open_ones if not one.next_step] == []

    @invariant()
    def every_passed_clock_is_judged_once(self) -> None:
        if not hasattr(self, "city"):
            return
        assert [one for one, times in self.judged.items() if times > 1] == []

        def passed(tx: Any) -> list[tuple[str, str, str]]:
            kept = [matters.get(tx, one.id) for one in incidents.rows(tx)]
            return [
                (one.matter.number, clock.clock, kind.kind)
                for one in kept
                if one is not None
                for clock in one.matter.clocks
                if clock.state == "passed"
                for kind in one.matter.judgements
                if kind.clock == clock.clock and kind.kind == clock.judgement
            ]

        found = Counter((number, clock) for number, clock, _kind in self.city.simulator.read(passed))
        assert [one for one, times in found.items() if times > 1] == []

    @invariant()
    def nothing_acknowledged_waits_to_be_sent(self) -> None:
        if not hasattr(self, "city"):
            return
        rows = self.city.simulator.read(lambda tx: deliveries.rows(tx, states=("waiting", "sending"), limit=1000))
        assert [row.id for row in rows if row.id in self.acknowledged] == []

    def teardown(self) -> None:
        if hasattr(self, "city"):
            self.city.simulator.close()
            self.folder.cleanup()


Duty.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
TestDuty = pytest.mark.timeout(600)(Duty.TestCase)
