"""What units owe: accounts are pure; reminders and breaches come once each, also over restarts and down time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gateway import house, obligations, preparing, register
from gateway.cli import cli
from gateway.conf_load import load
from gateway.core import obligations as core
from gateway.core.directory import Directory, Person, Unit
from gateway.core.model import Message, Occurred, RawMessage
from gateway.core.obligations import Account, Party, Rule, Sent
from gateway.explain import throwaway_key
from gateway.faults import ConfError
from gateway.host import Host
from gateway.intake import take_in
from gateway.obligation_rules import ObligationsFile
from gateway.settings import Config
from gateway.store import Store, deliveries, messages
from tests.watch.conftest import Clock, changed, events

CITY = ZoneInfo("Asia/Shanghai")
MARCH = core.period("2026-03", CITY)
FIRE = "{unit}报告：今日{hour}时许，本县新华路一仓库发生火灾，造成{n}人死亡、4人受伤。报告人：张明"
INFORMANT, OTHER = "+8613800000001", "+8613800000002"


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CITY)


def rules(**changes: Any) -> ObligationsFile:
    entry = {"name": "月报", "units": ("白水县委办", "云台区政府办"), "monthly": 1, "yearly": 24, **changes}
    return ObligationsFile.model_validate({"obligation": (entry,)})


# the pure part


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [("2026-03", "2026-03-01", "2026-04-01"), ("2026-12", "2026-12-01", "2027-01-01"), ("2026", "2026-01-01", "2027-01-01")],
)
def test_a_period_is_local_and_half_open(text: str, start: str, end: str) -> None:
    found = core.period(text, CITY)
    assert (found.start, found.end, found.month) == (local(start), local(end), "-" in text)


@pytest.mark.parametrize(
    "text", ["", "2026-13", "2026-00", "26-03", "2026-3", "2026-03-01", "0000", "9999", "0000-01", "März", "２０２６"]
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        core.period(text, CITY)


def test_the_limit_itself_is_in_time_and_a_day_counts_from_its_end() -> None:
    rule = Rule(name="r", within=timedelta(hours=48))
    at = local("2026-03-05T00:00")

    def late(occurred: Occurred | None, after: timedelta = timedelta(0)) -> bool:
        one = Sent(unit="u", at=at, sort="below_threshold", lag=core.lag(occurred, at + after, CITY))
        return core.is_late(rule, one)

    minute = Occurred(value="2026-03-03T00:00", precision="minute")
    day = Occurred(value="2026-03-02", precision="day")
    assert not late(minute) and late(minute, timedelta(seconds=1))
    assert not late(day) and late(day, timedelta(seconds=1))
    assert not late(None) and not late(Occurred(value="2026-03", precision="month"), timedelta(days=90))


def test_informants_owe_each_for_themselves() -> None:
    people = (Person(name="张明"), Person(name="李军"))
    directory = Directory.of(
        (), (Unit(name="甲", informants=people), Unit(name="乙", role="media"), Unit(name="丙", role="unit"))
    )
    each = Rule(name="r", roles=("unit",), each="informant", monthly=1)
    assert core.parties(each, directory) == [Party("甲", "张明"), Party("甲", "李军")]
    whole = Rule(name="r", roles=("unit",), units=("甲", "乙"), monthly=1)
    assert core.parties(whole, directory) == [Party("甲"), Party("乙"), Party("丙")]
    sent = [Sent(unit="甲", person="张明", at=MARCH.start, sort="registered"), Sent(unit="甲", at=MARCH.start, sort="registered")]
    found = core.accounts(each, core.parties(each, directory), sent, MARCH, MARCH.end)
    assert [(one.person, one.sent, one.state) for one in found] == [("张明", 1, "met"), ("李军", 0, "missing")]
    assert core.accounts(whole, [Party("甲")], sent, MARCH, MARCH.end)[0].sent == 2


SORTS: Any = st.sampled_from(["registered", "follow_up", "below_threshold", "drill", "needs_person"])
SENT = st.builds(
    Sent,
    unit=st.sampled_from(["甲", "乙"]),
    at=st.datetimes(datetime(2026, 2, 25), datetime(2026, 4, 5)).map(lambda at: at.replace(tzinfo=UTC)),
    sort=SORTS,
    lag=st.none() | st.integers(0, 100).map(lambda hours: timedelta(hours=hours)),
)


@given(st.lists(SENT, max_size=20), st.integers(0, 4), st.sets(SORTS), st.booleans())
def test_an_account_counts_every_good_report_of_the_period_once(
    sent: list[Sent], owed: int, good: set[str], limited: bool
) -> None:
    rule = Rule(name="r", monthly=owed, within=timedelta(hours=48) if limited else None, good=frozenset(good))
    before, after = (
        core.accounts(rule, [Party("甲"), Party("乙"), Party("丙")], sent, MARCH, now) for now in (MARCH.start, MARCH.end)
    )
    inside = [one for one in sent if MARCH.start <= one.at < MARCH.end]
    late = [one for one in inside if limited and one.sort == "below_threshold" and one.lag and one.lag > timedelta(hours=48)]
    assert sum(one.sent for one in after) == sum(one.sort in good and one not in late for one in inside)
    assert sum(one.late for one in after) == len(late)
    assert after[2].sent == 0
    for open_, closed in zip(before, after, strict=True):
        assert (open_.sent, closed.missing) == (closed.sent, max(0, owed - closed.sent))
        met = "nothing owed" if owed == 0 else "met" if closed.missing == 0 else None
        assert (open_.state, closed.state) == (met or "due", met or "missing")


@given(st.lists(st.integers(0, 90 * 24), min_size=1, max_size=30), st.integers(1, 27), st.integers(0, 72))
def test_everything_falls_due_once_however_often_and_late_one_looks(hours: list[int], remind: int, judge: int) -> None:
    """The looks may come at any time, with any gaps: each period is judged exactly once, reminded at most once and in time."""
    config: Any = type("C", (), {"timezone": "Asia/Shanghai"})()
    config.obligations = ObligationsFile.model_validate(
        {"remind_days": remind, "judge_hours": judge, "obligation": [{"name": "r", "roles": ["unit"], "monthly": 1, "yearly": 2}]}
    )
    since = local("2025-10-31T12:00")
    done = obligations.Done(since=since, until=since)
    judged: list[str] = []
    reminded: list[str] = []
    for hour in [*sorted(hours), 200 * 24]:
        now = since + timedelta(hours=hour)
        for one in obligations.work(config, done, now):
            (judged if one.judge else reminded).append(one.period.name)
            assert one.judge == (now >= one.period.end)
        done = replace_done(done, now)
    assert sorted(judged) == ["2025-11", "2025-12", "2026-01", "2026-02", "2026-03", "2026-04"], "2025 was not seen whole"
    assert len(reminded) == len(set(reminded))


def replace_done(done: obligations.Done, now: datetime) -> obligations.Done:
    return obligations.Done(since=done.since, until=max(done.until, now))


# over the real store and the desk's own code


class Office:
    """Units that report to a desk."""

    def __init__(self, open_store: Callable[[], Store], clock: Clock, shipped: Config, **changes: Any) -> None:
        self.open_store, self.clock = open_store, clock
        self.store = open_store()
        self.config = changed(shipped, obligations=rules(**changes))
        self.house = house.build(self.config, bureau_public=throwaway_key())

    def restart(self) -> None:
        self.store = self.open_store()

    def report(self, text: str, sender: str = INFORMANT) -> str:
        """One SMS through intake and desk; returns what became of it."""
        raw = RawMessage(channel="sms", via="sms", received_at=self.clock(), sender=sender, body=text.encode(), content_type="x")
        id_ = self.store.write_now(lambda tx: take_in(tx, raw, self.clock(), 60)).id
        row = self.store.read_now(lambda tx: messages.get(tx, id_))
        if row.state != "accepted":
            return row.state
        ready = preparing.prepare(self.house, row, Message(text=text))
        return self.store.write_now(lambda tx: register.take(tx, self.house, row, ready, self.clock())).action

    async def tend(self) -> int:
        return await obligations.tend(self.store, self.config, self.clock())

    def accounts(self, period: str = "2026-03") -> list[Account]:
        asked = (core.period(period, CITY),)
        return self.store.read_now(lambda tx: obligations.shown(tx, self.config, asked, self.clock()))

    def breaches(self) -> list[tuple[str, str, str]]:
        return [(one.data["what"], one.data["responsible"][0], one.data["why"]) for one in events(self.store, "breach")]

    def reminders(self) -> list[tuple[str, str, str]]:
        rows = self.store.read_now(lambda tx: deliveries.rows(tx, limit=1000))
        return sorted((row.destination, row.transport, row.address) for row in rows if row.duty == "owed")


@pytest.fixture
def clock() -> Clock:
    return Clock(local("2026-02-26T10:00"))


@pytest.fixture
def office(open_store: Callable[[], Store], clock: Clock, shipped: Config) -> Office:
    return Office(open_store, clock, shipped)


def fire(unit: str, hour: int, dead: int = 1) -> str:
    return FIRE.format(unit=unit, hour=hour, n=dead)


async def test_registered_and_follow_ups_count_and_copies_spam_and_drills_do_not(office: Office) -> None:
    office.clock.at = local("2026-03-05T11:00")
    first = fire("白水县委办", 9)
    assert office.report(first) == "new"
    assert office.report(first + " ") == "duplicate"
    assert office.report("祝领导和同事们中秋快乐，阖家幸福！") == "ignore"
    assert office.report("【演练】" + fire("白水县委办", 10, 3)) == "drill"
    assert [one.sent for one in office.accounts()] == [1, 0]
    office.clock.on(hours=2)
    assert office.report("续报：白水县新华路仓库火灾死亡人数升至2人。张明") in ("attach", "merge")
    assert office.report(fire("白水县委办", 9), sender="+8613700000000") in ("duplicate", "new", "attach"), "a stranger's"
    assert [(one.unit, one.sent, one.state) for one in office.accounts()] == [
        ("白水县委办", 2, "met"),
        ("云台区政府办", 0, "due"),
    ]


async def test_who_is_silent_is_reminded_before_the_end_and_on_record_after_it_once(office: Office) -> None:
    await office.tend()
    office.clock.at = local("2026-03-05T11:00")
    office.report(fire("白水县委办", 9))
    office.clock.at = local("2026-03-29T08:59")
    assert await office.tend() == 0
    office.clock.at = local("2026-03-29T09:00")
    assert await office.tend() == 1
    assert office.reminders() == [("云台区政府办", "sms", OTHER)]
    (row,) = office.store.read_now(lambda tx: deliveries.rows(tx, destination="云台区政府办"))
    content = office.store.read_now(lambda tx: deliveries.content(tx, row.id))
    assert "2026-03 应报 1 条，已收 0 条，尚缺 1 条，请于 2026-03-31 前" in content.short_text
    assert [way.transport for way in row.ways] == ["mail"], "its mail stands behind"
    asked = [one.data for one in events(office.store, "asked") if one.data.get("how") == "reminder"]
    assert [(one["of"], one["what"]) for one in asked] == [("云台区政府办", ["月报"])]
    for hours in (0, 1, 24, 62):
        office.clock.at = local("2026-03-29T09:00") + timedelta(hours=hours)
        office.restart()
        assert await office.tend() == 0
    office.clock.at = local("2026-04-01T09:00")
    office.restart()
    assert await office.tend() == 1
    assert office.breaches() == [("零报告", "云台区政府办", "月报 2026-03: 0/1")]
    for _ in range(3):
        office.restart()
        office.clock.on(hours=30)
        assert await office.tend() == 0
    assert len(office.breaches()) == 1


async def test_what_fell_due_while_the_daemon_was_down_is_done_at_its_start(office: Office) -> None:
    await office.tend()
    office.clock.at = local("2026-05-03T00:00")
    office.restart()
    assert await office.tend() == 4
    assert [(who, why) for _what, who, why in office.breaches()] == [
        ("白水县委办", "月报 2026-03: 0/1"), ("云台区政府办", "月报 2026-03: 0/1"),
        ("白水县委办", "月报 2026-04: 0/1"), ("云台区政府办", "月报 2026-04: 0/1"),
    ]  # fmt: skip
    assert office.reminders() == [], "nobody is reminded of what is over"
    office.clock.at = local("2026-05-29T12:00")
    office.restart()
    assert await office.tend() == 2, "late, but before the end"


async def test_a_month_that_the_gateway_has_not_seen_whole_is_not_judged_unless_conf_says_so(
    open_store: Callable[[], Store], clock: Clock, shipped: Config
) -> None:
    office = Office(open_store, clock, shipped)
    await office.tend()
    clock.at = local("2026-03-02T00:00")
    assert await office.tend() == 0
    office.config = changed(shipped, obligations=rules(**{"from": date(2026, 3, 1)}))
    clock.at = local("2026-04-02T00:00")
    assert await office.tend() == 2


async def test_a_year_is_judged_as_a_year(open_store: Callable[[], Store], clock: Clock, shipped: Config) -> None:
    clock.at = local("2025-12-20T10:00")
    office = Office(open_store, clock, shipped, monthly=0, yearly=2, units=("白水县委办",))
    await office.tend()
    clock.at = local("2026-07-05T11:00")
    office.report(fire("白水县委办", 9))
    await office.tend()
    clock.at = local("2027-01-01T09:00")
    assert await office.tend() == 1
    assert office.breaches() == [("零报告", "白水县委办", "月报 2026: 1/2")]


async def test_a_day_to_day_item_that_came_after_two_days_is_no_good_report(
    open_store: Callable[[], Store], clock: Clock, shipped: Config
) -> None:
    good = ("registered", "follow_up", "below_threshold")
    office = Office(open_store, clock, shipped, units=("白水县委办",), within_hours=48, good=good)
    await office.tend()
    clock.at = local("2026-03-10T11:00")
    assert (
        office.report("白水县委办报告：3月7日10时许，白水县城关镇发生一起轻微交通事故，1人轻伤，无人员死亡。张明")
        == "below_threshold"
    )
    assert [(one.sent, one.late, one.state) for one in office.accounts()] == [(0, 1, "due")]
    clock.at = local("2026-03-11T11:00")
    assert (
        office.report("白水县委办报告：3月10日10时许，白水县白河镇发生一起轻微交通事故，2人轻伤，无人员死亡。张明")
        == "below_threshold"
    )
    assert [(one.sent, one.late, one.state) for one in office.accounts()] == [(1, 1, "met")]
    clock.at = local("2026-04-01T10:00")
    await office.tend()
    assert office.breaches() == [("动态信息迟报", "白水县委办", "月报 2026-03: 1")]


async def test_nobody_is_judged_before_the_desk_has_read_what_came_in_time(office: Office) -> None:
    await office.tend()
    office.clock.at = local("2026-03-31T23:59")
    raw = RawMessage(channel="fax", via="fax", received_at=office.clock(), sender=INFORMANT, body=b"x", content_type="x")
    id_ = office.store.write_now(lambda tx: take_in(tx, raw, office.clock(), 60)).id
    office.clock.at = local("2026-04-01T09:30")
    assert await office.tend() == 0
    office.store.write_now(lambda tx: messages.set_state(tx, id_, "ignored"))
    office.clock.on(minutes=10)
    assert await office.tend() == 2


async def test_whom_no_way_leads_to_is_an_alarm(open_store: Callable[[], Store], clock: Clock, shipped: Config) -> None:
    office = Office(open_store, clock, shipped, units=("白水县委办",))
    bare = tuple(Unit(name=unit.name, role=unit.role) for unit in shipped.directory.units)
    office.config = replace(office.config, directory=Directory.of(shipped.directory.offices, bare))
    await office.tend()
    clock.at = local("2026-03-29T09:00")
    assert await office.tend() == 0
    assert [(one.data["what"], one.data["name"]) for one in events(office.store, "alarm")] == [("conf", "白水县委办")]


# conf and command


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            '[[obligation]]\nname = "a"\nmonthly = 1\n',
            "obligations.toml:1: obligation[0]: 没有报送对象; 允许: units 与 roles 至少填一项",
        ),
        ('[[obligation]]\nname = "a"\nroles = ["unit"]\n', "obligations.toml:1: obligation[0]: 没有任何要求"),
        (
            '[[obligation]]\nname = "a"\nunits = ["白水县"]\nmonthly = 1\n',
            "obligations.toml:3: obligation[0].units[0]: 没有这个报送单位",
        ),
        ('[[obligation]]\nname = "a"\nroles = ["unit"]\nmonthly = -1\n', "obligations.toml:4: obligation[0].monthly: "),
        ("remind_days = 28\n", "obligations.toml:1: remind_days: "),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    from gateway import init

    init.write(tmp_path / "conf")
    (tmp_path / "conf" / "obligations.toml").write_text(text, "utf-8")
    with pytest.raises(ConfError) as caught:
        load(tmp_path / "conf", Host.load())
    assert str(caught.value.faults[0]).startswith(fault)


def test_a_conf_without_the_file_owes_nothing_and_needs_no_templates(tmp_path: Path) -> None:
    from gateway import init

    conf = tmp_path / "conf"
    init.write(conf)
    (conf / "obligations.toml").unlink()
    for template in (conf / "templates").glob("obligation.*"):
        template.unlink()
    assert load(conf, Host.load()).obligations.rules() == ()


def test_the_command_shows_who_owes_what(tmp_path: Path) -> None:
    from gateway import init

    conf = tmp_path / "conf"
    init.write(conf)
    run = CliRunner()
    shown = run.invoke(cli, ["--conf", str(conf), "obligations", "--period", "2026-03", "--json"])
    assert shown.exit_code == 0, shown.output
    rows = [json.loads(line) for line in shown.output.splitlines()]
    assert {row["state"] for row in rows} == {"missing"} and {row["owed"] for row in rows} == {1}
    first = next(row for row in rows if row["unit"] == "白水县委办")
    assert first == {
        "rule": "信息员报送任务", "unit": "白水县委办", "person": "张明", "period": "2026-03", "due": "2026-04-01T00:00:00.000+08:00",
        "owed": 1, "sent": 0, "missing": 1, "late": 0, "state": "missing",
    }  # fmt: skip
    assert "未完成" in run.invoke(cli, ["--conf", str(conf), "obligations", "--period", "2026-03"]).output
    wrong = run.invoke(cli, ["--conf", str(conf), "obligations", "--period", "March"])
    assert wrong.exit_code == 1 and "2026-11" in wrong.output
