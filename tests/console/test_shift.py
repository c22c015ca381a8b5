"""The hand-over in the browser: read, signed by two clerks each with an account of his own, kept as it was; call lists."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from gateway.i18n import _
from tests.console.room import Answer, Browser, Room

OFFICE = "government_duty_room"
SMALL = "云台区政府办报告：今日22时20分，云台区一居民家中厨房起火，无人员伤亡，损失约2000元。报告人：李军"
COLLAPSE = "石桥县政府办报告：今日23时，石桥县河湾村民房倒塌，3人被困，正在救援。"


@pytest.fixture
def night(room: Room) -> Room:
    """A night with a crash, something below the threshold and something ignored; a second clerk with an account."""
    room.desk.take(SMALL, minutes=1)
    room.desk.take("祝您新年快乐", sender="+8613711112222", minutes=1)
    room.desk.do("acknowledge", number="1", office=OFFICE, person="李值班")
    room.desk.pass_time(60)
    room.add("ma", "clerk", "马值班")
    return room


async def sign(browser: Browser, page: Answer, **more: str) -> Answer:
    fields = {name: page.field(name) for name in ("office", "side", "seen", "ticket")}
    return await browser.post("/shift", {"mark": browser.mark, **fields, **more})


def sheet(room: Room) -> Any:
    return room.desk.do("handover_sheet", office=OFFICE)


async def test_the_page_says_what_the_sheet_says(night: Room) -> None:
    page, made = await night.browser("clerk").get("/shift"), sheet(night)
    words = page.words
    assert "交接班单" in words and "市政府值班室" in words and "未办结事项 · 1" in words
    [one] = made["open"]
    for clock in one["clocks"]:
        left, late = clock["minutes_left"], clock["minutes_late"]
        said = _("{n} min left").replace("{n}", str(left)) if left is not None else _("{n} min over").replace("{n}", str(late))
        assert f"{clock['title']} {said}" in words
    for office in one["waiting"]:
        assert f"✕ {office['name']}" in words
    assert "✓ 市政府值班室 李值班" in words
    for alarm in made["alarms"]:
        assert alarm["why"] in words and "信息无人签收" in words
    assert "〔2026〕0002" in words and "137 1111 2222" in words
    assert "李值班、马值班" in words and "未签" in words


async def test_who_goes_signs_who_comes_signs_and_it_is_kept_as_it_was_read(night: Room) -> None:
    goes, comes = night.browser("clerk"), night.browser("ma")
    first = await sign(goes, await goes.get("/shift"))
    assert (first.status, first.headers["location"]) == (303, "/shift/2026-0001")
    made = sheet(night)["waits"]
    page = await comes.get("/shift")
    assert page.field("side") == "comes" and made["digest"] in page.text and "✓ 李值班" in page.words
    night.desk.at += timedelta(minutes=3)
    answer = await sign(comes, await comes.get("/shift"))
    assert answer.status == 303
    kept = await comes.get("/shift/2026-0001")
    assert "✓ 李值班" in kept.words and "✓ 马值班" in kept.words and "双方已签字" in kept.words
    assert [(e.by, e.data["means"]) for e in night.events("shift_signed_off", "shift_handed_over")] == [
        ("李值班", "console, clerk"), ("马值班", "console, ma")
    ]  # fmt: skip
    assert "〔2026〕0001" in (await goes.get("/shift")).words, "it is named among the earlier ones"


async def test_what_came_after_the_page_was_shown_stops_the_signature(night: Room) -> None:
    goes = night.browser("clerk")
    page = await goes.get("/shift")
    night.desk.take(COLLAPSE, "+8613800000003", minutes=1)
    answer = await sign(goes, page)
    assert answer.status == 409 and "未签字" in answer.words and "河湾村" in answer.words
    assert night.events("shift_signed_off") == []
    assert (await sign(goes, answer)).status == 303, "the page that says so can be signed"


async def test_minutes_that_run_on_do_not_stop_it(night: Room) -> None:
    goes = night.browser("clerk")
    page = await goes.get("/shift")
    night.desk.at += timedelta(seconds=50)
    assert (await sign(goes, page)).status == 303


async def test_the_second_signs_what_the_first_signed_and_sees_what_came_since(night: Room) -> None:
    goes, comes = night.browser("clerk"), night.browser("ma")
    await sign(goes, await goes.get("/shift"))
    page = await comes.get("/shift")
    night.desk.take(COLLAPSE, "+8613800000003", minutes=1)
    answer = await sign(comes, page)
    assert answer.status == 409 and "新登记" in answer.words and night.events("shift_handed_over") == []
    assert (await sign(comes, answer)).status == 303
    assert "河湾村" not in (await comes.get("/shift/1")).words, "the sheet is what the first signed"


async def test_one_account_cannot_be_both_and_a_page_signs_once(night: Room) -> None:
    goes = night.browser("clerk")
    page = await goes.get("/shift")
    assert (await sign(goes, page)).status == 303
    assert (await sign(goes, page)).status == 409, "the same page again"
    again = await goes.get("/shift")
    assert again.field("side") == "goes"
    assert (await sign(goes, again, side="comes")).status == 409, "the ticket is for the other side"
    assert (await sign(goes, await goes.get("/shift"))).status == 303
    assert night.events("shift_handed_over") == []


async def test_who_is_of_another_office_reads_and_does_not_sign(night: Room) -> None:
    other = night.browser("bureau")
    assert (await other.get("/shift")).field("office") == "confidential_bureau"
    page = await other.get(f"/shift?office={OFFICE}")
    assert page.status == 200 and page.field("ticket") == "" and "本单位人员" in page.words
    leader = await night.browser("leader").get(f"/shift?office={OFFICE}")
    assert leader.field("ticket") == "" and "您的角色不签交接单" in leader.words
    forged = await other.post("/shift", {"mark": other.mark, "office": OFFICE, "side": "goes", "seen": "x", "ticket": "x"})
    assert forged.status == 409 and night.events("shift_signed_off") == []


@pytest.mark.parametrize("given", ["nowhere", "<script>alert(1)</script>", "police\x00", "x" * 5000])
async def test_an_office_that_is_not_there_is_told_what_there_is(night: Room, given: str) -> None:
    from urllib.parse import quote

    page = await night.browser("clerk").get(f"/shift?office={quote(given)}")
    assert page.status == 404 and "市政府值班室" in page.words and "<script>alert" not in page.text
    answer = await night.browser("clerk").post("/shift", {"mark": night.browser("clerk").mark, "office": given})
    assert answer.status in (400, 403)


@pytest.mark.parametrize("number", ["99", "abc", "2026-9999", "1' OR 1=1"])
async def test_a_sheet_that_is_not_there_is_said_so(night: Room, number: str) -> None:
    assert (await night.browser("clerk").get(f"/shift/{number}")).status == 404
    assert (await night.browser("clerk").get(f"/incident/{number}/calls")).status == 404


async def test_the_call_list_is_that_of_the_command_line(night: Room) -> None:
    page = await night.browser("clerk").get("/incident/1/calls")
    rows = night.desk.do("calls", number="1")
    assert len(rows) > 5
    for one in rows:
        assert one["office"] in page.words and one["person"] in page.words
        digits = re.sub(r"\D", "", one["phone"]).removeprefix("86")
        assert digits in re.sub(r"\D", "", page.words)
    assert page.words.index("市委机要局") < page.words.index("✓ 已签收"), "who does not have it comes first"


async def test_the_call_lists_of_all_that_is_open_stand_on_one_page(night: Room) -> None:
    night.desk.take(COLLAPSE, "+8613800000003", minutes=1)
    page = await night.browser("clerk").get("/calls")
    assert page.text.count('<section class="calls"') == 2 and "〔2026〕0002" not in page.words


async def test_what_does_not_get_through_is_told_by_way_and_reason(night: Room) -> None:
    stuck = "UPDATE deliveries SET state = 'waiting', attempts = 3, why = 'no answer' WHERE destination IN ('police', 'traffic_police')"
    night.desk.store.write_now(lambda tx: tx.conn.exec_driver_sql(stuck))
    words = (await night.browser("clerk").get("/shift")).words
    found = sheet(night)["undelivered"]
    assert found and all(one["destination"] in words for one in found) and words.count("no answer") == 1


async def test_the_board_on_paper_can_be_kept_as_a_file_and_who_took_it_is_on_record(night: Room) -> None:
    answer = await night.browser("clerk").get("/standby")
    assert answer.headers["content-disposition"] == 'attachment; filename="board-20261126-2332.html"'
    assert "〔2026〕0001" in answer.words and "有效至" in answer.words and answer.headers["cache-control"] == "no-store"
    assert [(e.by, e.data["what"], e.data["count"]) for e in night.events("looked")] == [("李值班", "board on paper", 1)]
