"""Corrections and joined incidents over a store that is closed and opened again: what falls away, what stays, who is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway import explain, i18n, preparing, register
from gateway import house as houses
from gateway.asked import OperationError
from gateway.cli import acts
from gateway.cli import register as commands
from gateway.conf_load import load
from gateway.core.model import Incident, Message, RawMessage
from gateway.host import Host
from gateway.intake import take_in
from gateway.operations import Live, perform_now
from gateway.store import Store, StoreKeys, deliveries, incidents, journal, messages

CONF = Path(__file__).parents[1] / "conf"
CONFIG = load(CONF, Host.load(CONF))
HOUSE = houses.build(CONFIG, bureau_public=explain.throwaway_key())
AT = datetime(2026, 3, 6, 9, 10, tzinfo=timezone(timedelta(hours=8)))
POLICE, HEALTH = "+8613810310001", "+8613810310002"
CRASH = "石桥县公安局：3月6日8时40分，石桥县东风镇东风路口两车相撞，造成1人死亡、2人受伤。"
NOBODY = "石桥县公安局更正：东风路口两车相撞事故死亡1人更正为无人死亡。"
NEAR = "石桥县卫健委：3月6日9时，石桥县发生车祸，3人死亡、1人受伤。"


class Desk:
    """The register over a file, which can be opened once more."""

    def __init__(self, file: Path) -> None:
        self.at, self.file, self.keys = AT, file, StoreKeys(os.urandom(32))
        self.open()

    def open(self) -> None:
        self.store = Store.open(f"sqlite:///{self.file}", self.keys, clock=lambda: self.at)
        self.live = Live(config=CONFIG, store=self.store)

    def again(self) -> None:
        self.store.close()
        self.open()

    def take(self, text: str, sender: str = POLICE, minutes: float = 10) -> register.Taken:
        self.at += timedelta(minutes=minutes)
        raw = RawMessage(
            channel="sms", via="sms", received_at=self.at, sender=sender, body=text.encode(), content_type="text/plain"
        )
        accepted = self.store.write_now(lambda tx: take_in(tx, raw, self.at, 60))
        row = self.store.read_now(lambda tx: messages.get(tx, accepted.id))
        prepared = preparing.prepare(HOUSE, row, Message(text=text))
        return self.store.write_now(lambda tx: register.take(tx, HOUSE, row, prepared, self.at))

    def do(self, name: str, **args: Any) -> Any:
        return perform_now(self.live, name, args, "李值班")

    def incident(self, taken: register.Taken) -> Incident:
        assert taken.incident is not None
        return self.store.read_now(lambda tx: incidents.get(tx, taken.incident.id))  # type: ignore[union-attr]

    def events(self, number: str) -> list[Any]:
        return [one.event for one in self.store.read_now(lambda tx: journal.entries(tx, incident=number, limit=1000))]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "store.db")
    yield made
    made.store.close()


def test_what_a_correction_takes_away_falls_and_a_person_decides(desk: Desk) -> None:
    first = desk.take(CRASH)
    desk.take("石桥县公安局续报：东风路口事故伤者已送医。")
    desk.again()
    taken = desk.take(NOBODY)
    now = desk.incident(first)
    assert first.incident and "事故类-2" in first.incident.items
    assert (now.items, now.state, now.needs_person) == ((), "followed_up", register.NOTHING_LEFT)
    assert not now.why and register.NOTHING_LEFT in {doubt.because for doubt in now.review}
    assert now.kinds == first.incident.kinds, "it is still a traffic accident"
    assert {d.office for d in first.route} <= {d.office for d in taken.route}, "who had it hears of the correction"
    fell = [e for e in desk.events(now.number) if e.event == "revised" and e.data.get("field") == "items"]
    assert [e.data["fallen"] for e in fell] == [list(first.incident.items)] and fell[0].data["items"] == []
    later = desk.take("石桥县公安局续报：东风路口两车相撞事故1名伤者经抢救无效死亡。")
    assert later.incident and "事故类-2" in later.incident.items and later.incident.needs_person is None


def test_the_first_words_are_not_lost_behind_a_follow_up(desk: Desk) -> None:
    """The correction and the last report name no crash: the item is judged by the words it was first known by."""
    first = desk.take(CRASH.replace("1人死亡", "3人死亡"))
    desk.take("石桥县公安局续报：东风路口伤者已送医。")
    desk.again()
    taken = desk.take(f"{first.incident.number if first.incident else ''} 更正：死亡人数应为1人。")
    assert taken.incident and taken.incident.id == (first.incident and first.incident.id)
    assert "事故类-2" in taken.incident.items and "死亡 1 人" in taken.incident.why["事故类-2"][0]
    assert taken.incident.severity and taken.incident.severity.level == "一般"


def test_a_withdrawal_closes_nothing(desk: Desk) -> None:
    first = desk.take(CRASH)
    taken = desk.take("石桥县公安局：撤回前报东风路口两车相撞事故信息，该信息有误。")
    now = desk.incident(first)
    assert taken.action == "attach" and now.state == "followed_up" and now.items
    assert now.needs_person == register.WITHDRAWN and taken.route


def test_a_corrected_time_moves_the_clocks() -> None:
    dry = explain.Explainer(HOUSE)
    line = {"id": "1", "channel": "sms", "received_at": AT.isoformat(), "sender": POLICE, "text": CRASH}
    late = (AT + timedelta(minutes=50)).isoformat()
    before = dry.explain(line)
    text = "石桥县公安局更正：东风路口两车相撞事故发生时间应为3月6日7时10分。"
    after = dry.explain({**line, "id": "2", "received_at": late, "text": text})
    dry.close()
    due = [{c["clock"]: c["due"] for c in one["clocks"]}["initial"] for one in (before, after)]
    assert after["incident"] == before["incident"]
    assert due == ["2026-03-06T09:10:00+08:00", "2026-03-06T07:40:00+08:00"]
    assert after["clocks"][0]["state"] == "passed"


def two(desk: Desk) -> tuple[Incident, Incident]:
    first, second = desk.take(CRASH), desk.take(NEAR, HEALTH)
    assert first.incident and second.incident and second.action == "new"
    return first.incident, second.incident


def test_a_person_joins_two_incidents(desk: Desk) -> None:
    kept, gone = two(desk)
    assert desk.do("incident", number=gone.number)["may_be"] == [kept.number]
    desk.do("do", act="merge", person="王科长", number=gone.number, into=kept.number, reason="同一起车祸")
    desk.again()
    shown, old = desk.do("incident", number=kept.number), desk.do("incident", number=gone.number)
    assert (old["state"], old["merged_into"], old["may_be"]) == ("merged", kept.number, [])
    deaths = shown["report"]["deaths"]
    assert (deaths["value"], [o["value"] for o in deaths["others"]]) == (3, [1]) and "两单位所报不一致" in deaths["why"]
    assert len(shown["messages"]) == 2 and shown["may_be"] == []
    assert set(kept.items) | set(gone.items) <= set(shown["items"])
    merged = [e for e in desk.events(gone.number) if e.event == "merged"]
    assert [(e.by, e.data["into"], e.data["why"]) for e in merged] == [("王科长", kept.number, "同一起车祸")]
    follow = desk.take("石桥县卫健委续报：3月6日9时石桥县车祸1名伤者不治，共4人死亡。", HEALTH)
    assert follow.incident and follow.incident.number == kept.number


def test_what_waits_is_stopped_only_where_the_other_one_went(desk: Desk) -> None:
    kept, gone = two(desk)
    rows = desk.store.read_now(lambda tx: deliveries.rows(tx, incident=kept.id, limit=1000))
    without = next(r.destination for r in rows if r.duty == "receive")
    desk.store.write_now(lambda tx: deliveries.stop(tx, incident=kept.id, destination=without, why="held"))
    desk.do("do", act="merge", person="王科长", number=gone.number, into=kept.number, reason="同一起车祸")
    every = desk.store.read_now(lambda tx: deliveries.rows(tx, incident=gone.id, limit=1000))
    after = [r for r in every if r.duty in ("receive", "inform", "cooperate")]
    assert {r.state for r in after if r.destination != without} == {"stopped"}
    assert {r.state for r in after if r.destination == without} == {"waiting"}, "this office has neither"


def test_what_was_merged_by_mistake_is_split_off_again(desk: Desk) -> None:
    kept, gone = two(desk)
    desk.do("do", act="merge", person="王科长", number=gone.number, into=kept.number, reason="同一起车祸")
    desk.do("do", act="split", person="王科长", number=gone.number, reason="系另一路段")
    back, other = desk.do("incident", number=gone.number), desk.do("incident", number=kept.number)
    assert back["state"] == "open" and back["merged_into"] is None and back["report"]["deaths"]["value"] == 3
    assert (len(back["messages"]), len(other["messages"])) == (1, 1)
    assert any("已拆出" in doubt["because"] for doubt in other["review"])


@pytest.fixture
def english() -> Iterator[None]:
    i18n.use("en")
    yield
    i18n.use("zh")


def test_nonsense_is_refused(desk: Desk, english: None) -> None:
    kept, gone = two(desk)
    for number, into, reason, says in (
        (gone.number, gone.number, "x", "itself"),
        (gone.number, kept.number, " ", "reason"),
        (gone.number, "2026-0999", "x", "0999"),
    ):
        with pytest.raises(OperationError, match=says):
            desk.do("do", act="merge", person="王科长", number=number, into=into, reason=reason)
    with pytest.raises(OperationError, match="only an incident that was merged"):
        desk.do("do", act="split", person="王科长", number=gone.number, reason="x")
    desk.do("do", act="merge", person="王科长", number=gone.number, into=kept.number, reason="x")
    for number, into in ((gone.number, kept.number), (kept.number, gone.number)):
        with pytest.raises(OperationError, match="before"):
            desk.do("do", act="merge", person="王科长", number=number, into=into, reason="x")
    other = desk.take("青山区应急局：3月6日11时，青山区民房起火，1人死亡。", "+8613810310009", 120)
    desk.do("do", act="close", person="王科长", number=kept.number, reason="处置完毕")
    assert other.incident
    with pytest.raises(OperationError, match="only open"):
        desk.do("do", act="merge", person="王科长", number=other.incident.number, into=kept.number, reason="x")


def test_a_person_sees_both_figures_and_the_proposal_and_joins_by_command(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(acts.incident, list(words), obj=CONF)
        assert done.exit_code == 0, done.output
        return done.output

    for module in (commands, acts):
        monkeypatch.setattr(module, "do", lambda conf, name, **args: desk.do(name, **args))
    kept, gone = (one.number for one in two(desk))
    assert f"gateway incident {int(gone[5:])} merge {int(kept[5:])} --reason" in run(gone)
    assert kept[:4] in run(gone, "merge", kept, "--reason", "同一起车祸", "--by", "王科长")
    shown = run(kept)
    assert "3" in shown and "两单位所报不一致，取较大者（石桥县" in shown and "merge" not in shown
    assert "〔2026〕" in run(gone, "split", "--reason", "系另一路段", "--by", "王科长")
