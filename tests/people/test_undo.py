"""Taking back: an act of its own, with a reason, that names what it takes back; what has left the house stays."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.asked import OperationError
from gateway.core.duty import undoing
from gateway.core.events import EVENTS
from tests.people.desk import CRASH, Desk

CLERK = "李值班"
LEADER = "秦副市长"
OTHER = CRASH.replace("清水湾路口", "文昌路口").replace("22时10分", "21时10分")


@pytest.fixture
def desk() -> Any:
    made = Desk()
    made.take(CRASH)
    yield made
    made.store.close()


def do(desk: Desk, act: str, number: str = "1", by: str = CLERK, **args: Any) -> Any:
    desk.pass_time(1)
    return desk.do("do", number=number, act=act, person=by, **args)


def undo(desk: Desk, number: str = "1", by: str = CLERK, entry: str = "last", reason: str = "录入有误") -> Any:
    desk.pass_time(1)
    return desk.do("do", number=number, act="undo", person=by, entry=entry, reason=reason)


def acts(desk: Desk, number: str = "1", person: str = CLERK) -> list[dict[str, Any]]:
    return desk.do("undoable", number=number, person=person)


def test_a_corrected_fact_stands_again_as_it_stood_with_what_qualified_it(desk: Desk) -> None:
    desk.take(OTHER.replace("2人死亡", "至少2人死亡"), "+8613800000008")
    before = desk.incident("2026-0002").report.deaths
    assert before is not None and before.qualifier == "at_least" and before.evidence
    do(desk, "correct", "2", field="deaths", value="10", reason="医院核实")
    [wrong] = [one for one in acts(desk, "2") if one["undo"]]
    assert wrong["changes"] == [["deaths", 2, 10]] and wrong["by"] == CLERK
    history = len(desk.events())
    undo(desk, "2", entry=wrong["entry"])
    assert desk.incident("2026-0002").report.deaths == before
    after = desk.events()[history:]
    back = next(e for e in after if e.event == "corrected")
    assert back.by == CLERK and back.data["why"] == "录入有误" and back.data["undoes"].endswith(f"#{wrong['entry']}")
    assert any(e.event == "revised" and e.data.get("from") == 10 for e in after), "who has it hears of it"
    assert next(one for one in acts(desk, "2") if one["entry"] == wrong["entry"])["undo"] is None, "once"


def test_a_fact_that_was_decided_again_since_is_not_taken_back(desk: Desk) -> None:
    do(desk, "correct", field="deaths", value="3", reason="核实")
    first = acts(desk)[0]["entry"]
    do(desk, "correct", field="deaths", value="4", reason="再核实")
    with pytest.raises(OperationError, match=r"其后已另有处置|decided about it since"):
        undo(desk, entry=first)
    assert desk.incident("2026-0001").report.deaths.value == 4
    assert desk.events("refused")[-1].data["what"] == "undo"
    undo(desk)
    assert desk.incident("2026-0001").report.deaths.value == 3
    undo(desk, entry=first)
    assert desk.incident("2026-0001").report.deaths.value == 2, "one after the other, the last first"


def test_what_was_done_is_not_done_and_is_reminded_of_again(desk: Desk) -> None:
    do(desk, "instruct", by="金书记", wording="全力救治", to="confidential_bureau", due="2")
    do(desk, "done", result="已办")
    assert desk.matter("2026-0001").instructions[0].done_at is not None
    undo(desk)
    item = desk.matter("2026-0001").instructions[0]
    assert item.done_at is None and item.next_at > desk.at
    [event] = desk.events("supervision_resumed")
    assert event.data["instruction"] == item.id and event.data["undoes"].startswith("supervision_done@")
    desk.pass_time(200)
    assert desk.events("supervision_due"), "it is reminded of again"


def test_a_merger_and_a_split_take_each_other_back(desk: Desk) -> None:
    desk.take(OTHER, "+8613800000008")
    do(desk, "merge", "2", into="1", reason="同一事故")
    assert [one["undo"] for one in acts(desk, "1") if one["event"] == "merged"] == [None], "it is told where"
    assert "0002" in next(one["why"] for one in acts(desk, "1") if one["event"] == "merged")
    undo(desk, "2")
    assert desk.incident("2026-0002").state == "open"
    undo(desk, "2")
    assert desk.incident("2026-0002").state == "merged"
    assert [e.data["undoes"][:6] for e in desk.events("split", "merged") if e.data.get("undoes")][::2] == ["merged", "split@"]


def test_a_judgement_of_a_person_is_lifted_one_of_a_rule_stands_as_it_stood(desk: Desk) -> None:
    do(desk, "judge", kind="误报", reason="来报不实")
    undo(desk)
    assert [(j.kind, j.state) for j in desk.matter("2026-0001").judgements] == [("误报", "lifted")]
    desk.pass_time(180)
    made = [j for j in desk.matter("2026-0001").judgements if j.state == "automatic"]
    assert made, "limits have passed"
    do(desk, "judge", kind="迟报", reason="核实", clock=made[0].clock)
    undo(desk)
    assert [j for j in desk.matter("2026-0001").judgements if j.state == "automatic"] == made
    do(desk, "judge", kind="迟报", reason="系统原因", clock=made[0].clock, lift=True)
    undo(desk)
    assert [j for j in desk.matter("2026-0001").judgements if j.state == "automatic"] == made
    assert all(e.by == CLERK and e.data["undoes"] for e in desk.events("judged") if e.data.get("undoes"))


def test_clocks_that_were_freed_run_again_and_nobody_is_late_for_what_he_was_freed_from(desk: Desk) -> None:
    due = {c.clock: c.due for c in desk.matter("2026-0001").clocks if c.state == "running"}
    do(desk, "waive", reason="市内处置")
    freed = [c.clock for c in desk.matter("2026-0001").clocks if c.state == "waived"]
    assert desk.matter("2026-0001").signing.waived and len(freed) >= 2
    assert sum(one["undo"] == "waive" for one in acts(desk)) == 1, "freed in one act, taken back in one"
    undo(desk)
    matter = desk.matter("2026-0001")
    assert not matter.signing.waived and {c.clock: c.due for c in matter.clocks if c.clock in freed} == {c: due[c] for c in freed}
    do(desk, "waive", reason="市内处置")
    desk.pass_time(60 * 8)
    undo(desk)
    clocks = [c for c in desk.matter("2026-0001").clocks if c.clock in freed]
    assert all(c.state == "running" and c.due > desk.at for c in clocks)
    assert {e.data["clock"] for e in desk.events("waiver_withdrawn")} == set(freed)


def test_a_signature_is_taken_back_by_who_gave_it_until_it_has_gone_up(desk: Desk) -> None:
    do(desk, "approve", by=LEADER, wording="同意")
    assert desk.matter("2026-0001").signing.waits, "a second signature is missing"
    with pytest.raises(OperationError):
        undo(desk, by=CLERK, entry=acts(desk)[0]["entry"])
    undo(desk, by=LEADER)
    assert desk.matter("2026-0001").signing.given == ()
    [event] = desk.events("approval_withdrawn")
    assert event.by == LEADER
    while desk.matter("2026-0001").signing.waits:
        level = desk.matter("2026-0001").signing.level
        signer = desk.house.config.duty_rules.signer(level)
        person = desk.config.directory.office(signer.offices[0]).persons[0].name
        do(desk, "approve", by=person, wording="同意")
    assert desk.matter("2026-0001").signing.sent_at is not None
    told = next(one for one in acts(desk) if one["event"] == "approved")
    assert told["undo"] is None and ("上报" in told["why"] or "gone" in told["why"])


def test_closing_and_opening_again(desk: Desk) -> None:
    do(desk, "close", reason="处置完毕")
    undo(desk)
    assert desk.incident("2026-0001").state == "open" and desk.events("reopened")[0].data["undoes"].startswith("closed@")
    undo(desk)
    assert desk.incident("2026-0001").state == "closed"


def test_what_has_left_the_house_says_why_it_stays(desk: Desk) -> None:
    desk.do("acknowledge", number="1", office="government_duty_room", person=CLERK)
    do(desk, "ask", what="伤员情况")
    shown = {one["event"]: one for one in acts(desk)}
    for name in ("acknowledged", "asked"):
        assert shown[name]["undo"] is None and shown[name]["why"]
        with pytest.raises(OperationError):
            undo(desk, entry=shown[name]["entry"])
    with pytest.raises(OperationError):
        undo(desk)
    assert set(undoing.ACTS) <= set(EVENTS)


@pytest.mark.parametrize("entry", ["0", "999999", "x", "-1", "'; --"])
def test_what_is_no_act_of_this_incident_is_refused(desk: Desk, entry: str) -> None:
    do(desk, "correct", field="deaths", value="3", reason="核实")
    with pytest.raises(OperationError):
        undo(desk, entry=entry)
    with pytest.raises(OperationError):
        undo(desk, reason=" ")
    with pytest.raises(OperationError):
        undo(desk, by="路人甲")
    assert desk.incident("2026-0001").report.deaths.value == 3
