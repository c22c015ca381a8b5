"""Acts in the browser: what will happen is shown before, happens once, and is what the command line would do."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import pytest

from gateway.console.acting import ACTS
from tests.console.room import Room
from tests.people.desk import CRASH

ACK = "/incident/2026-0001/acknowledge"
BUREAU, DUTY_ROOM = "confidential_bureau", "government_duty_room"


async def test_looking_shows_what_will_happen_and_changes_nothing(room: Room) -> None:
    browser, before = room.browser("clerk"), len(room.events())
    page = await browser.get(ACK)
    assert "市政府值班室：李值班 签收" in page.words and page.field("ticket"), "his own office is chosen, and he sees what comes"
    shown = await browser.post(ACK, {"mark": browser.mark, "step": "look", "office": DUTY_ROOM})
    assert "市政府值班室：李值班 签收" in shown.words
    assert len(room.events()) == before and room.desk.matter("2026-0001").offer(DUTY_ROOM).waits


async def test_confirming_does_it_in_the_name_of_the_person(room: Room) -> None:
    browser = room.browser("clerk")
    answer = await browser.confirm(ACK, await browser.get(ACK), office=DUTY_ROOM)
    assert answer.status == 303 and answer.headers["location"] == "/incident/2026-0001"
    [event] = room.events("acknowledged")
    assert event.by == "李值班" and event.data["how"] == "console, clerk" and event.data["verified"] is True
    page = await browser.get("/incident/1")
    assert "已办：签收" in page.words and "✓ 市政府值班室" in page.words
    assert "已办" not in (await browser.get("/incident/1")).words, "it is said once"


async def test_what_is_sent_again_is_refused(room: Room) -> None:
    browser = room.browser("clerk")
    page = await browser.get(ACK)
    assert (await browser.confirm(ACK, page, office=DUTY_ROOM)).status == 303
    again = await browser.confirm(ACK, page, office=DUTY_ROOM)
    assert again.status == 409 and "已提交过" in again.words
    assert len(room.events("acknowledged")) == 1


@pytest.mark.parametrize("attack", ["none", "guessed", "another's", "another act", "another incident", "other words"])
async def test_a_ticket_is_good_for_one_person_act_incident_and_wording(room: Room, attack: str) -> None:
    room.desk.take("青山区政府办报告：今日22时20分，青山区幸福路一居民楼起火，1人死亡，3人受伤。报告人：王强", "+8613800000001")
    leader = room.browser("leader")
    path = "/incident/2026-0001/approve"
    shown = await leader.post(path, {"mark": leader.mark, "step": "look", "wording": "同意"})
    ticket, seen, wording, target = shown.field("ticket"), shown.field("seen"), "同意", path
    if attack == "none":
        ticket = ""
    elif attack == "guessed":
        ticket = "A" * len(ticket)
    elif attack == "another's":
        room.add("second", "leader", "金书记")
        leader = room.browser("second")
    elif attack == "another act":
        target = "/incident/2026-0001/close"
    elif attack == "another incident":
        target = "/incident/2026-0002/approve"
    else:
        wording = "不同意"
    fields = {"mark": leader.mark, "step": "do", "ticket": ticket, "seen": seen, "wording": wording, "reason": "x"}
    answer = await leader.post(target, fields)
    assert answer.status == 409 and room.events("approved", "closed") == []


async def test_two_officers_at_once_one_has_it_the_other_is_told_who(room: Room) -> None:
    room.add("second", "clerk", "马值班")
    first, second = room.browser("clerk"), room.browser("second")
    pages = [await one.get(ACK) for one in (first, second)]
    answers = await asyncio.gather(*(one.confirm(ACK, page, office=DUTY_ROOM) for one, page in zip((first, second), pages, strict=True)))
    assert sorted(answer.status for answer in answers) == [303, 409]
    [done] = room.events("acknowledged")
    late = next(answer for answer in answers if answer.status == 409)
    assert f"{done.by}" in late.words and "市政府值班室" in late.words
    [refused] = room.events("refused")
    assert refused.incident == "2026-0001" and refused.data["who"] != done.by and refused.data["how"].startswith("console, ")


async def test_facts_that_changed_since_must_be_looked_at_again(room: Room) -> None:
    leader, clerk = room.browser("leader"), room.browser("clerk")
    path = "/incident/2026-0001/approve"
    shown = await leader.post(path, {"mark": leader.mark, "step": "look", "wording": "同意上报"})
    fixed = await clerk.act("/incident/2026-0001/correct", field="deaths", value="3", reason="医院核实")
    assert fixed.status == 303
    answer = await leader.confirm(path, shown, wording="同意上报")
    assert answer.status == 409 and "已有变化" in answer.words and room.events("approved") == []
    assert (await leader.act(path, wording="同意上报")).status == 303
    [signed] = room.events("approved")
    assert signed.by == "秦副市长"


async def test_a_correction_shows_before_what_follows_from_it(room: Room) -> None:
    clerk = room.browser("clerk")
    path = "/incident/2026-0001/correct"
    shown = await clerk.post(path, {"mark": clerk.mark, "step": "look", "field": "deaths", "value": "10", "reason": "医院核实"})
    assert "死亡: 2 → 10" in shown.words and "发送至 市政府值班室" in shown.words and shown.status == 200 and room.desk.incident("2026-0001").report.deaths.value == 2
    assert (await clerk.confirm(path, shown, field="deaths", value="10", reason="医院核实")).status == 303
    assert room.desk.incident("2026-0001").report.deaths.value == 10
    wrong = await clerk.post(path, {"mark": clerk.mark, "step": "look", "field": "deaths", "value": "很多", "reason": "x"})
    assert wrong.status == 409 and "很多" in wrong.words and not wrong.field("ticket")


async def test_every_act_of_the_console_leads_to_the_one_place(room: Room) -> None:
    """Each in turn, as far as this incident takes it: done by a person, on record with means."""
    done = {
        "acknowledge": ("clerk", {"office": DUTY_ROOM}, "acknowledged"),
        "notify": ("clerk", {"office": DUTY_ROOM, "told": "赵科长"}, "notified"),
        "ask": ("clerk", {"what": "伤员救治情况"}, "asked"),
        "correct": ("clerk", {"field": "cause", "value": "大雾", "reason": "交警核实"}, "corrected"),
        "judge": ("clerk", {"kind": "迟报", "reason": "经查实"}, "judged"),
        "approve": ("leader", {"wording": "情况属实，同意上报"}, "approved"),
        "instruct": ("leader", {"wording": "全力救治伤员", "to": "confidential_bureau", "due": "24"}, "instructed"),
        "close": ("clerk", {"reason": "处置完毕"}, "closed"),
        "reopen": ("clerk", {"reason": "又有伤亡"}, "reopened"),
    }
    assert {act.name for act in ACTS} - {"release", "merge", "split", "waive", "done", "undo"} == set(done)
    for name, (account, fields, event) in done.items():
        person = room.browser(account)
        answer = await person.act(f"/incident/2026-0001/{name}", **fields)
        leads = room.events(event)
        assert answer.status == 303 or (name == "instruct" and answer.status == 409), f"{name}: {answer.words[-300:]}"
        if answer.status == 303:
            assert leads and leads[-1].by == {"clerk": "李值班", "leader": "秦副市长"}[account], name


async def test_two_incidents_become_one_and_two_again(room: Room) -> None:
    room.desk.take(CRASH.replace("清水湾路口", "文昌路口").replace("22时10分", "21时10分"), "+8613800000008")
    clerk = room.browser("clerk")
    itself = await clerk.post("/incident/2026-0002/merge", {"mark": clerk.mark, "step": "look", "into": "2", "reason": "x"})
    assert itself.status == 409 and not itself.field("ticket")
    assert (await clerk.act("/incident/2026-0002/merge", into="1", reason="同一事故")).status == 303
    page = await clerk.get("/incident/2")
    assert "并入" in page.words and "/incident/2026-0002/split" in page.text and "/incident/2026-0002/close" not in page.text
    assert (await clerk.act("/incident/2026-0002/split", reason="并非同一事故")).status == 303
    assert room.desk.incident("2026-0002").state == "open" and {e.by for e in room.events("merged", "split")} == {"李值班"}


async def test_what_needs_not_go_up_is_said_by_a_person_with_a_reason(room: Room) -> None:
    clerk = room.browser("clerk")
    assert (await clerk.act("/incident/2026-0001/waive", reason="市内处置")).status == 303
    assert room.desk.matter("2026-0001").signing.waived and "/approve" not in (await room.browser("leader").get("/incident/1")).text


async def test_who_may_not_is_refused_told_and_on_record(room: Room) -> None:
    clerk = room.browser("clerk")
    shown = await clerk.post(ACK, {"mark": clerk.mark, "step": "look", "office": BUREAU})
    assert shown.status == 409 and "李值班" in shown.words and not shown.field("ticket")
    assert room.events("refused") == [], "who only looks has not tried"
    assert "已办" not in (await clerk.get("/incident/1")).words and room.desk.matter("2026-0001").offer(BUREAU).waits


async def test_what_is_left_empty_is_asked_for(room: Room) -> None:
    clerk = room.browser("clerk")
    answer = await clerk.post("/incident/2026-0001/close", {"mark": clerk.mark, "step": "do", "reason": "  "})
    assert answer.status == 400 and "请填写：理由" in answer.words
    assert (await clerk.get("/incident/2026-9999/close")).status == 404
    assert (await clerk.get("/incident/..%2f/close")).status == 404


async def test_a_page_from_before_a_restart_must_be_looked_at_again(room: Room) -> None:
    clerk = room.browser("clerk")
    page = await clerk.get(ACK)
    from gateway.console.app import Console

    room.console = Console(room.services)
    assert (await clerk.confirm(ACK, page, office=DUTY_ROOM)).status == 409 and room.events("acknowledged") == []
    assert (await clerk.confirm(ACK, await clerk.get(ACK), office=DUTY_ROOM)).status == 303


async def test_old_forms_make_room_for_new_ones(room: Room) -> None:
    from gateway.console.door import ONCE_EACH

    clerk = room.browser("clerk")
    first = await clerk.get(ACK)
    for _ in range(ONCE_EACH):
        last = await clerk.get(ACK)
    assert (await clerk.confirm(ACK, first, office=DUTY_ROOM)).status == 409
    assert (await clerk.confirm(ACK, last, office=DUTY_ROOM)).status == 303


async def test_an_act_is_taken_back_with_its_effect_shown_before(room: Room) -> None:
    clerk = room.browser("clerk")
    fixed = await clerk.act("/incident/2026-0001/correct", field="deaths", value="10", reason="听错")
    assert fixed.status == 303
    page = await clerk.get("/incident/1/undo")
    assert "死亡 2 → 10" in page.words and "李值班" in page.words
    entry = re.findall(r'/undo\?entry=(\d+)"', page.text)[0]
    shown = await clerk.post("/incident/2026-0001/undo", {"mark": clerk.mark, "step": "look", "entry": entry, "reason": "听错"})
    assert "死亡: 10 → 2" in shown.words and room.desk.incident("2026-0001").report.deaths.value == 10
    assert (await clerk.confirm("/incident/2026-0001/undo", shown, entry=entry, reason="听错")).status == 303
    assert room.desk.incident("2026-0001").report.deaths.value == 2
    assert (await clerk.confirm("/incident/2026-0001/undo", shown, entry=entry, reason="听错")).status == 409
    again = await clerk.post("/incident/2026-0001/undo", {"mark": clerk.mark, "step": "look", "entry": entry, "reason": "听错"})
    assert again.status == 409 and "其后已另有处置" in again.words


async def test_what_cannot_be_taken_back_says_so_before_it_is_done_and_after(room: Room) -> None:
    clerk, leader = room.browser("clerk"), room.browser("leader")
    for path, browser in (("acknowledge", clerk), ("notify", clerk), ("ask", clerk), ("release", clerk), ("approve", leader), ("instruct", leader)):
        assert "此操作不能撤回" in (await browser.get(f"/incident/1/{path}")).words, path
    for path in ("correct", "judge", "merge", "waive", "close", "done"):
        assert "此操作以后可撤回" in (await clerk.get(f"/incident/1/{path}")).words, path
    assert (await clerk.confirm(ACK, await clerk.get(ACK), office=DUTY_ROOM)).status == 303
    page = await clerk.get("/incident/1/undo")
    assert "不能撤回 : 签收已生效" in page.words.replace(": ", " : ").replace("  ", " ") and "entry=" not in page.text


async def test_two_officers_take_back_the_same_act_and_it_is_done_once(room: Room) -> None:
    room.add("second", "clerk", "马值班")
    first, second = room.browser("clerk"), room.browser("second")
    assert (await first.act("/incident/2026-0001/close", reason="处置完毕")).status == 303
    entry = re.findall(r"entry=(\d+)", (await first.get("/incident/1/undo")).text)[0]
    path, fields = "/incident/2026-0001/undo", {"entry": entry, "reason": "又有伤亡"}
    pages = [await one.post(path, {"mark": one.mark, "step": "look", **fields}) for one in (first, second)]
    answers = await asyncio.gather(*(one.confirm(path, page, **fields) for one, page in zip((first, second), pages, strict=True)))
    assert sorted(answer.status for answer in answers) == [303, 409] and len(room.events("reopened")) == 1


async def test_a_graver_report_asks_again(room: Room) -> None:
    clerk = room.browser("clerk")
    assert (await clerk.act(ACK, office=DUTY_ROOM)).status == 303
    assert "请您签收" not in (await clerk.get("/")).words
    room.desk.at += timedelta(minutes=5)
    room.desk.take(CRASH.replace("2人死亡", "5人死亡").replace("报告：", "续报："))
    assert "请您签收" in (await clerk.get("/")).words
