"""The telephone form: kept sealed as it is typed, understood as it is typed, handed in once."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from gateway.store import drafts, messages, vault
from tests.console.room import Browser, Room

SAID = "石桥县河湾村民房倒塌，两人被压，正在救援"


async def begun(browser: Browser, **fields: str) -> tuple[str, dict[str, str]]:
    page = await browser.get("/phone")
    given = {"mark": browser.mark, "id": page.field("id"), "caller": "0999-8811004", "started_at": "", "text": SAID, **fields}
    return page.field("id"), given


async def test_what_is_typed_is_kept_sealed_and_found_again(room: Room) -> None:
    clerk = room.browser("clerk")
    id_, given = await begun(clerk, unit="石桥县政府办", remark="<b>请核</b>")
    part = await clerk.post("/phone/draft", given, **{"hx-request": "true"})
    assert part.status == 200 and "已保存" in part.words
    again = await clerk.get("/phone")
    assert "未完成" in again.words and f"/phone?draft={id_}" in again.text and SAID not in again.text
    page = await clerk.get(f"/phone?draft={id_}")
    assert SAID in page.text and "石桥县政府办" in page.text and "&lt;b&gt;" in page.text and "<b>请核" not in page.text

    def raw(tx: object) -> bytes:
        found = tx.one(sa.select(vault.vault).where(vault.vault.c.id == id_))  # type: ignore[attr-defined]
        return bytes(found.sealed)

    assert "石桥".encode() not in room.desk.store.read_now(raw), "the table holds no word of it"


async def test_it_says_what_it_becomes_and_what_to_ask(room: Room) -> None:
    clerk = room.browser("clerk")
    _, given = await begun(clerk)
    words = (await clerk.post("/phone/draft", given, **{"hx-request": "true"})).words
    assert "请追问" in words and "时间" in words and "被困 2 人" in words and "市政府值班室" in words and "待人工核定" in words
    given["text"] = "今日22时，石桥县河湾村民房倒塌，3人死亡"
    words = (await clerk.post("/phone/draft", given, **{"hx-request": "true"})).words
    assert "应当报送" in words and "死亡 3 人" in words
    given["text"] = "石桥"
    assert "边听边录" in (await clerk.post("/phone/draft", given, **{"hx-request": "true"})).words
    assert room.events("registered")[1:] == [], "a dry run registers nothing"


async def test_a_marking_is_called_out_while_it_is_typed(room: Room) -> None:
    clerk = room.browser("clerk")
    _, given = await begun(clerk, text="机密★10年 石桥县河湾村发生某事件")
    words = (await clerk.post("/phone/draft", given, **{"hx-request": "true"})).words
    assert "密级标志" in words and "机要局" in words and "石桥县" not in words


async def test_handed_in_twice_it_is_one_call_by_the_person_who_signed_in(room: Room) -> None:
    clerk = room.browser("clerk")
    id_, given = await begun(clerk, started_at="2026-11-26T22:25", name="赵明")
    await clerk.post("/phone/draft", given)
    for _ in range(2):
        assert (await clerk.post("/phone", given)).status == 303
    rows = room.desk.store.read_now(lambda tx: messages.rows(tx, via="phone-log"))
    assert [row.carrier_id for row in rows if row.state == "accepted"] == [id_]
    assert {e.data["clerk"] for e in room.events("phone_logged")} == {"李值班"} and {e.by for e in room.events("phone_logged")} == {"clerk"}
    assert room.desk.store.read_now(drafts.every) == [], "what was handed in is no draft any more"


async def test_what_is_missing_is_told_and_nothing_is_lost(room: Room) -> None:
    clerk = room.browser("clerk")
    for fields, told in (({"caller": ""}, "来电号码"), ({"text": " "}, "通话内容"), ({"started_at": "31.2.2026"}, "不是时间")):
        _, given = await begun(clerk, **fields)
        answer = await clerk.post("/phone", given)
        assert answer.status == 400 and told in answer.words, answer.words
        assert fields.get("text") or SAID in answer.text
    assert room.events("phone_logged") == []


async def test_nobody_sees_or_changes_another_s_form(room: Room) -> None:
    clerk, bureau = room.browser("clerk"), room.browser("bureau")
    id_, given = await begun(clerk)
    await clerk.post("/phone/draft", given)
    assert SAID not in (await bureau.get(f"/phone?draft={id_}")).text
    theirs = {**given, "mark": bureau.mark, "text": "改掉了改掉了"}
    assert (await bureau.post("/phone/draft", theirs)).status == 403
    await bureau.post("/phone/drop", theirs)
    assert SAID in (await clerk.get(f"/phone?draft={id_}")).text
    await clerk.post("/phone/drop", given)
    assert room.desk.store.read_now(drafts.every) == []


async def test_forms_are_forgotten_after_their_time_and_beyond_their_number(room: Room) -> None:
    clerk = room.browser("clerk")
    first, given = await begun(clerk)
    await clerk.post("/phone/draft", given)
    room.desk.at += timedelta(hours=25)
    clerk = room.browser("clerk")
    assert first not in (await clerk.get("/phone")).text
    for _ in range(drafts.MOST + 3):
        _, given = await begun(clerk)
        await clerk.post("/phone/draft", given)
        room.desk.at += timedelta(seconds=1)
    kept = room.desk.store.read_now(drafts.every)
    assert len(kept) == drafts.MOST and first not in {one.id for one in kept}


async def test_an_id_that_is_none_is_refused(room: Room) -> None:
    clerk = room.browser("clerk")
    _, given = await begun(clerk)
    for id_ in ("", "../../etc/passwd", "x" * 26, "console:account:clerk"):
        assert (await clerk.post("/phone/draft", {**given, "id": id_})).status == 400
        assert (await clerk.post("/phone", {**given, "id": id_})).status == 400
