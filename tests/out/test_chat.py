"""to_wecom, to_dingtalk, to_feishu: the code in the body decides, signatures and limits are the services' own, nothing is dropped."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Delivered, Refused, TryLater
from gateway.testing import MemoryClock, MemoryServices, sample_delivery
from gateway_plugins.chat.pace import Pace
from gateway_plugins.chat.parts import split
from gateway_plugins.to_dingtalk import ToDingtalk
from gateway_plugins.to_feishu import ToFeishu
from gateway_plugins.to_wecom import ToWecom
from tests.out.chat_services import KEY, SIGNING, ChatService, Dingtalk, Feishu, Wecom, running
from tests.out.services import LOOPBACK, Queue, server

SERVICES = [
    pytest.param(ToWecom, Wecom, "/cgi-bin/webhook/send", id="wecom"),
    pytest.param(ToDingtalk, Dingtalk, "/robot/send", id="dingtalk"),
    pytest.param(ToFeishu, Feishu, "/open-apis/bot/v2/hook", id="feishu"),
]


def lent(clock: MemoryClock) -> MemoryServices:
    return MemoryServices(secrets={"robot": KEY, "robot-signing": SIGNING}, clock=clock)


def robot(cls: Any, url: str, clock: MemoryClock, **settings: Any) -> Any:
    given = {"allow_http": True, "allow_networks": LOOPBACK, "timeout_seconds": 2, "robots": {"duty": "robot"}, **settings}
    return cls("chat", cls.Settings(url=url, **given), lent(clock))


def delivery(**changes: Any) -> Any:
    return sample_delivery(address="duty", **changes)


@pytest.mark.parametrize(("cls", "service", "path"), SERVICES)
async def test_the_group_gets_it_with_its_id(cls: Any, service: type[ChatService], path: str) -> None:
    clock = MemoryClock()
    async with running(service(clock), path) as chat:
        way = robot(cls, chat.url, clock)
        assert await way.send(delivery()) == Delivered()
        assert await way.probe() is None
        (text,) = chat.group
        assert sample_delivery().text in text
        assert text.endswith(f"\n[{sample_delivery().id}]")
        assert await robot(cls, chat.url, clock, form="short").send(delivery()) == Delivered()
        assert chat.group[-1].startswith(sample_delivery().short_text)


@pytest.mark.parametrize(("cls", "service", "path"), SERVICES[1:])
async def test_signed_where_the_robot_asks_for_it(cls: Any, service: type[ChatService], path: str) -> None:
    clock = MemoryClock()
    async with running(service(clock, signed=True), path) as chat:
        assert await robot(cls, chat.url, clock, signing={"duty": "robot-signing"}).send(delivery()) == Delivered()
        assert isinstance(await robot(cls, chat.url, clock).send(delivery()), TryLater), "unsigned"
        late = MemoryClock(clock.at - timedelta(hours=2))
        assert isinstance(await robot(cls, chat.url, late, signing={"duty": "robot-signing"}).send(delivery()), TryLater)
    assert len(chat.group) == 1


@pytest.mark.parametrize(("cls", "service", "path"), SERVICES[1:])
async def test_a_keyword_that_the_robot_asks_for_stands_in_every_part(cls: Any, service: type[ChatService], path: str) -> None:
    clock = MemoryClock()
    async with running(service(clock, keyword="应急"), path) as chat:
        assert isinstance(await robot(cls, chat.url, clock).send(delivery()), TryLater)
        assert await robot(cls, chat.url, clock, keyword="应急").send(delivery(text="水位上涨。\n" * 1000)) == Delivered()
    assert len(chat.group) > 1


@pytest.mark.parametrize(("cls", "service", "path"), SERVICES)
async def test_http_200_alone_proves_nothing(cls: Any, service: type[ChatService], path: str) -> None:
    clock = MemoryClock()
    name = cls.code
    for body, outcome in (
        ({name: 0}, Delivered), ({name: 1}, TryLater), ({name: -1}, TryLater), ({name: "0"}, TryLater), ({name: False}, TryLater),
        ({}, TryLater), ([], TryLater), ("ok", TryLater), ({"other": 0}, TryLater),
    ):  # fmt: skip
        data = json.dumps(body).encode()
        async with server(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data) as seen:
            way = robot(cls, f"http://127.0.0.1:{seen.port}{path}", clock)
            assert isinstance(await way.send(delivery()), outcome), body
    async with server(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<ht>") as seen:
        assert isinstance(await robot(cls, f"http://127.0.0.1:{seen.port}{path}", clock).send(delivery()), TryLater)


@pytest.mark.parametrize(("cls", "code"), [(ToWecom, 45002), (ToDingtalk, 430102), (ToFeishu, 9499)])
async def test_what_the_service_will_never_take_goes_another_way(cls: Any, code: int) -> None:
    body = json.dumps({cls.code: code, "errmsg": "内容"}).encode()
    async with server(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body) as seen:
        outcome = await robot(cls, f"http://127.0.0.1:{seen.port}/x", MemoryClock()).send(delivery())
    assert isinstance(outcome, Refused)
    assert "内容" not in outcome.why


async def test_a_group_that_nobody_configured_and_a_text_without_end_are_refused() -> None:
    way = robot(ToWecom, "http://127.0.0.1:9/x", MemoryClock())
    assert isinstance(await way.send(sample_delivery(address="nobody")), Refused)
    assert isinstance(await way.send(delivery(text="字" * 30_000)), Refused)


@pytest.mark.parametrize(("cls", "service", "path", "most"), [(*case.values, most) for case, most in zip(SERVICES, (20, 20, 5), strict=True)])
async def test_a_burst_waits_in_order_and_none_is_dropped(
    tmp_path: Path, cls: Any, service: type[ChatService], path: str, most: int
) -> None:
    """Fifty urgent messages at once: the service never has a reason to say "too much", and all come in their order."""
    clock = MemoryClock()
    async with running(service(clock), path) as chat:
        queue = Queue(tmp_path, clock, {"chat": robot(cls, chat.url, clock)})
        ids = []
        for number in range(50):
            ids.append(queue.put("chat", "duty", f"第{number:02d}号", destination=f"office{number:02d}"))
            clock.advance(0.001)
        await queue.round()
        assert len(chat.group) == most, "what the limit allows goes at once"
        await queue.pass_time(6, step=1)
        queue.close()
    assert [text.split("\n")[1] for text in chat.group] == [f"第{number:02d}号" for number in range(50)]
    assert chat.turned_away == []
    assert len({text.rpartition("[")[2] for text in chat.group}) == len(ids) == 50


@pytest.mark.parametrize(("cls", "service", "path"), SERVICES)
async def test_told_that_it_was_too_much_nobody_speaks_for_a_while(
    tmp_path: Path, cls: Any, service: type[ChatService], path: str
) -> None:
    """Somebody else spoke through the same robot."""
    clock = MemoryClock()
    async with running(service(clock), path) as chat:
        chat.times = [clock()] * 100
        queue = Queue(tmp_path, clock, {"chat": robot(cls, chat.url, clock)})
        ids = [queue.put("chat", "duty", f"第{n}号", destination=f"office{n}") for n in range(3)]
        await queue.round()
        await queue.pass_time(3, step=5)
        assert [queue.row(id).state for id in ids] == ["delivered"] * 3
        queue.close()
    assert len(chat.turned_away) <= 3
    assert len(chat.group) == 3


async def test_a_long_text_goes_on_where_it_stopped(tmp_path: Path) -> None:
    clock = MemoryClock()
    text = "".join(f"{n:04d}某县某镇水库水位上涨。\n" for n in range(150))
    async with running(Wecom(clock), "/cgi-bin/webhook/send") as chat:
        chat.times = [clock()] * 18
        queue = Queue(tmp_path, clock, {"chat": robot(ToWecom, chat.url, clock)})
        id = queue.put("chat", "duty", text)
        await queue.pass_time(10, step=5)
        assert queue.row(id).state == "delivered"
        queue.close()
    assert len(chat.group) == 3
    assert "".join(part.rpartition("（")[0].rstrip("\n") + "\n" for part in chat.group).endswith(text)
    assert all(len(part.encode()) <= 2048 for part in chat.group)


async def test_an_answer_that_is_lost_is_the_only_reason_to_say_it_twice() -> None:
    clock = MemoryClock()
    async with running(Wecom(clock), "/cgi-bin/webhook/send") as chat:
        way = robot(ToWecom, chat.url, clock)
        chat.mode = "answer lost"
        outcome = await way.send(delivery())
        assert isinstance(outcome, TryLater)
        chat.mode = "ok"
        assert await way.send(delivery(attempt=2, progress=outcome.progress)) == Delivered()
        assert chat.group[0] == chat.group[1], "the same text with the same id: people can tell"
        chat.mode = "answers twice"
        assert await way.send(delivery(id="other")) == Delivered()
        assert len(chat.group) == 3


async def test_a_tag_in_a_report_calls_nobody() -> None:
    clock = MemoryClock()
    async with running(Feishu(clock), "/open-apis/bot/v2/hook") as chat:
        await robot(ToFeishu, chat.url, clock).send(delivery(text='<at user_id="all">所有人</at>'))
    assert "<at" not in chat.group[0]


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 90)), max_size=60))
def test_the_pace_never_breaks_a_limit_and_lets_everybody_speak(asks: list[tuple[int, float]]) -> None:
    limits = ((5, 60.0), (2, 1.0))
    pace, clock, spoken = Pace(limits), MemoryClock(), []
    for who, later in [*asks, *((who, 61.0) for who in range(31) for _ in range(8))]:
        clock.advance(later)
        wait = pace.ask(str(who), clock())
        assert 0 <= wait <= 60 * 8
        if wait == 0:
            spoken.append((clock(), who))
    for count, seconds in limits:
        for (first, _a), (last, _b) in zip(spoken, spoken[count:], strict=False):
            assert (last - first).total_seconds() >= seconds - 1e-3
    assert {who for _at, who in spoken} == set(range(31))


@given(st.text(max_size=400), st.integers(120, 300))
def test_a_split_loses_nothing(text: str, most: int) -> None:
    from gateway_plugins.chat.parts import clean

    cleaned = clean(text)
    parts = split(cleaned, "\n[id]", most)
    assert all(len(part.encode()) <= most for part in parts)
    bare = [part.removesuffix("\n[id]") for part in parts]
    if len(parts) > 1:
        bare = [part.rpartition("（")[0] for part in bare]
    assert "".join(bare).replace("\n", "") == cleaned.replace("\n", "")
