"""The board: order, words beside colours, whose turn it is; the stream that keeps it live and says when it is not."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.console.feed import Feed
from gateway.core.errors import StorageTrouble
from gateway.store import accounts
from tests.console.room import Room

FIRE = "青山区政府办报告：今日22时20分，青山区幸福路一居民楼起火，1人死亡，3人受伤。报告人：王强"
CROWD = "云台区政府办报告：今日22时，敌对势力在云台区组织非法集会，约30人参与。报告人：李军"


def numbers(page: str) -> list[str]:
    return re.findall(r'id="n(2026-\d{4})"', page)


async def test_a_line_says_what_where_when_who_and_what_is_still_to_be_done(room: Room) -> None:
    words = (await room.browser("clerk").get("/")).words
    for said in ("〔2026〕0001", "云台区清水湾路口两车相撞", "22:10", "死亡 2 人", "受伤 3 人", "事故类-2", "剩 40 分", "一般", "市委机要局",
                 "市政府值班室", "待审签", "请您签收", "1 起待您签收"):  # fmt: skip
        assert said in words, said


async def test_what_nobody_has_comes_first_then_the_graver(room: Room) -> None:
    room.desk.take(FIRE.replace("1人死亡", "4人死亡"), "+8613800000001", minutes=1)
    room.desk.take(FIRE.replace("幸福路", "和平路"), "+8613800000001", minutes=1)
    clerk = room.browser("leader")
    assert numbers((await clerk.get("/")).text) == ["2026-0002", "2026-0001", "2026-0003"]
    for office, person in (("government_duty_room", "李值班"), ("confidential_bureau", "何值班"), ("committee_duty_room", "罗值班")):
        room.desk.do("acknowledge", number="2", office=office, person=person)
    page = await clerk.get("/")
    assert numbers(page.text) == ["2026-0001", "2026-0003", "2026-0002"], "what nobody has is more urgent than the graver that somebody has"
    assert "✓ 市政府值班室 李值班" in page.words and "2 待签收" in page.words


async def test_his_own_come_first_for_whoever_looks(room: Room) -> None:
    room.desk.take(FIRE.replace("1人死亡", "4人死亡"), "+8613800000001", minutes=1)
    room.desk.do("acknowledge", number="2", office="government_duty_room", person="马值班")
    assert numbers((await room.browser("clerk").get("/")).text) == ["2026-0001", "2026-0002"]
    assert numbers((await room.browser("bureau").get("/")).text) == ["2026-0002", "2026-0001"]


async def test_a_clock_that_ran_out_says_so_in_words(room: Room) -> None:
    room.desk.pass_time(110)
    page = await room.browser("clerk").get("/")
    assert re.search(r"书面报告（2小时） 超 \d+ 分", page.words) and '<span class="late"><i>✕</i>' in page.text


async def test_who_only_reads_sees_nothing_sensitive(room: Room) -> None:
    room.desk.take(CROWD, "+8613800000001", minutes=1)
    assert room.desk.incident("2026-0002").sensitive
    reader, clerk = room.browser("readonly"), room.browser("clerk")
    assert "非法集会" in (await clerk.get("/")).words and (await clerk.get("/incident/2")).status == 200
    for path in ("/", "/board/lines"):
        page = await reader.get(path)
        assert "集会" not in page.text and "内容敏感，此处不显示" in page.words and "事件类-9" not in page.words and "n2026-0002" not in page.text
    answer = await reader.get("/incident/2")
    assert answer.status == 403 and "集会" not in answer.text
    assert "两车相撞" in (await reader.get("/incident/1")).words


async def test_pages_of_the_board_hold_so_many(room: Room) -> None:
    small = Room(room.desk.__class__(), board_rows=10)
    for place in range(12):
        small.desk.take(FIRE.replace("幸福路", f"第{place + 1}大街").replace("3人受伤", f"{place + 3}人受伤"), f"+86138000001{place:02d}", minutes=200)
    browser = small.browser("clerk")
    first, second = await browser.get("/"), await browser.get("/?from=10")
    every = len(small.console.rooms.feed.snapshot.lines)
    assert len(numbers(first.text)) == 10 and len(numbers(second.text)) == every - 10 > 0
    assert not set(numbers(first.text)) & set(numbers(second.text))
    assert (await browser.get("/?from=-1")).status == (await browser.get("/?from=9999999999")).status == 200
    small.desk.store.close()


async def test_the_line_at_the_top_names_what_is_not_up(room: Room) -> None:
    room.desk.live.channels = {
        one.name: SimpleNamespace(health=lambda: SimpleNamespace(state="up", detail="")) for one in room.desk.config.channels
    }
    room.services.transports = {one.name: object() for one in room.desk.config.transports}
    room.console.rooms.feed.committed()
    browser = room.browser("clerk")
    assert "全部正常" in (await browser.get("/")).words
    room.desk.live.channels["sms"] = SimpleNamespace(health=lambda: SimpleNamespace(state="down", detail="no answer"))
    room.services.failed = lambda sort, name: "port in use" if (sort, name) == ("channel", "mail") else ""
    room.console.rooms.feed.committed()
    words = (await browser.get("/")).words
    assert "2 条未通" in words and "✕ 收 sms" in words and "✕ 收 mail" in words


async def test_a_way_out_that_gets_nothing_through_is_not_called_alive(room: Room) -> None:
    from gateway.store import deliveries

    room.desk.take(FIRE, "+8613800000001", minutes=1)

    def fail(tx: Any) -> None:
        [row] = deliveries.rows(tx, limit=1)
        deliveries.retry(tx, row.id, room.desk.at)
        tx.run(deliveries.deliveries.update().where(deliveries.deliveries.c.id == row.id).values(state="waiting", attempts=3))

    room.services.transports = {one.name: object() for one in room.desk.config.transports}
    room.desk.store.write_now(fail)
    room.console.rooms.feed.committed()
    assert "1 件未送出" in (await room.browser("clerk").get("/")).words


async def events(feed: Feed, who: Any, count: int) -> list[tuple[str, dict[str, Any]]]:
    """The first events of a stream."""
    found: list[tuple[str, dict[str, Any]]] = []
    made = feed._events(who)
    try:
        async with asyncio.timeout(5):
            async for chunk in made:
                if told := re.match(r"event: (\w+)\ndata: (.*)\n\n", chunk.decode()):
                    found.append((told[1], json.loads(told[2])))
                    if len(found) == count:
                        return found
    finally:
        await made.aclose()
    return found


async def who_of(room: Room, name: str) -> Any:
    room.browser(name)
    return next(one for one in await room.console.rooms.door.sessions() if one.account.name == name)


async def test_the_stream_tells_what_is_not_acknowledged_and_no_word_of_content(room: Room) -> None:
    [(name, told)] = await events(room.console.rooms.feed, await who_of(room, "clerk"), 1)
    assert name == "board" and told["unheld"] == ["2026-0001"] and told["open"] == 1
    assert "相撞" not in json.dumps(told, ensure_ascii=False)


async def test_a_commit_reaches_an_open_stream(room: Room) -> None:
    feed = room.console.rooms.feed
    feed.start()
    try:
        waiting = asyncio.create_task(events(feed, await who_of(room, "clerk"), 2))
        for _ in range(200):
            await asyncio.sleep(0)
            if feed.streams and feed.snapshot.version:
                break
        room.desk.take(FIRE, "+8613800000001")
        (_, first), (name, second) = await waiting
        assert name == "board" and second["version"] != first["version"] and second["unheld"] == ["2026-0001", "2026-0002"]
    finally:
        await feed.stop()


async def test_time_alone_makes_no_new_board_until_a_clock_runs_out(room: Room) -> None:
    feed = room.console.rooms.feed
    first = (await feed.fresh()).version
    room.desk.at += timedelta(minutes=3)
    feed.committed()
    assert (await feed.fresh()).version == first
    room.desk.at += timedelta(minutes=100)
    feed.committed()
    assert (await feed.fresh()).version != first


async def test_a_stream_ends_with_the_sign_in(room: Room) -> None:
    who = await who_of(room, "clerk")
    room.desk.store.write_now(lambda tx: accounts.drop(tx, [who.session.digest]))
    assert await events(room.console.rooms.feed, who, 2) == [("bye", {})]


async def test_so_many_streams_and_no_more_and_none_after_a_stop(room: Room) -> None:
    small = Room(streams=1)
    feed, browser = small.console.rooms.feed, small.browser("clerk")
    feed.streams = 1
    assert (await browser.get("/stream")).status == 503
    feed.streams = 0
    await feed.stop()
    assert (await browser.get("/stream")).status == 503
    small.desk.store.close()


@pytest.mark.parametrize("error", [StorageTrouble("disk full"), ValueError("x")])
async def test_a_board_that_cannot_be_made_anew_says_so_and_shows_the_last(room: Room, error: Exception) -> None:
    browser, feed = room.browser("clerk"), room.console.rooms.feed
    await browser.get("/")

    def broken(tx: Any) -> Any:
        raise error

    feed._read = broken  # type: ignore[method-assign]
    feed.committed()
    words = (await browser.get("/")).words
    assert "存储无法读取，以下内容截至" in words and "两车相撞" in words
