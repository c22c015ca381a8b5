"""Every way out that posts, through a real dispatcher with its store, while its peer has one trouble after another."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import HttpPeer, MemoryClock, MemoryServices, PeerMode
from gateway_plugins.to_dingtalk import ToDingtalk
from gateway_plugins.to_feishu import ToFeishu
from gateway_plugins.to_gateway import ToGateway
from gateway_plugins.to_webhook import ToWebhook
from gateway_plugins.to_wecom import ToWecom
from tests.out.services import LOOPBACK, Queue

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
YES = b'{"errcode": 0, "code": 0, "id": "r-0001"}'
WAYS = [ToWebhook, ToWecom, ToDingtalk, ToFeishu, ToGateway]


@contextlib.asynccontextmanager
async def house(cls: Any, folder: Path) -> AsyncIterator[tuple[Queue, HttpPeer, str]]:
    clock = MemoryClock()
    peer = HttpPeer({"ok": (200, YES), "slow": (200, YES)})
    await peer.start()
    given: dict[str, Any] = {"url": peer.url.rstrip("/"), "allow_http": True, "allow_networks": LOOPBACK, "timeout_seconds": 0.5}
    if "robots" in cls.Settings.model_fields:
        given["robots"] = {"duty": "robot"}
    if "gateways" in cls.Settings.model_fields:
        given |= {"name": "jiangzhou", "channel": "gateways", "gateways": {"duty": given.pop("url")}, "keys": {"duty": "webhook-key"}}
    services = MemoryServices(secrets={"webhook-key": KEY, "robot": "k3y"}, clock=clock)
    way = cls("out", cls.Settings(**given), services)
    await way.start()
    queue = Queue(folder, clock, {"out": way})
    try:
        yield queue, peer, "duty"
    finally:
        queue.close()
        await way.stop()
        await peer.stop()


@pytest.mark.parametrize("cls", WAYS)
async def test_a_peer_that_is_down_for_an_hour_gets_everything_once(cls: Any, tmp_path: Path) -> None:
    async with house(cls, tmp_path) as (queue, peer, address):
        await peer.be("down")
        ids = [queue.put("out", address, destination=f"office{n}") for n in range(5)]
        await queue.pass_time(60, step=20)
        assert {queue.row(id).state for id in ids} == {"waiting"}
        assert peer.received() == 0
        await peer.be("ok")
        await queue.pass_time(10, step=20)
        assert {queue.row(id).state for id in ids} == {"delivered"}
        assert peer.received() == 5
        told = b"\n".join(body for _head, body in peer.requests).decode()
        assert [told.count(id) for id in ids] == [1] * 5


@pytest.mark.parametrize("mode", ["slow", "later", "throttle", "error", "rubbish", "closes", "hang"])
@pytest.mark.parametrize("cls", WAYS)
async def test_whatever_the_peer_does_nothing_is_lost_or_doubled(cls: Any, mode: PeerMode, tmp_path: Path) -> None:
    async with house(cls, tmp_path) as (queue, peer, address):
        await peer.be(mode)
        ids = [queue.put("out", address, destination=f"office{n}") for n in range(3)]
        await queue.round()
        if mode != "slow":
            assert {queue.row(id).state for id in ids} == {"waiting"}
        await peer.be("ok")
        await queue.pass_time(5, step=20)
        assert {queue.row(id).state for id in ids} == {"delivered"}
        if mode != "slow":
            assert peer.received() == 3


@pytest.mark.parametrize("cut", [0, 1, 20, 60, -1])
@pytest.mark.parametrize("cls", WAYS)
async def test_a_connection_that_closes_in_the_middle_of_the_answer(cls: Any, cut: int, tmp_path: Path) -> None:
    """The peer took it and we cannot know: it is sent again with the same id. From the whole answer on it is not."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Fill: %s\r\n\r\n%s" % (len(YES), b"x" * 60, YES)
    bodies: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            bodies.append(await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0])))
            # The second time all is well, and said twice over.
            writer.write(answer[:cut] if len(bodies) == 1 else answer * 2)
            await writer.drain()

    async with house(cls, tmp_path) as (queue, peer, address):
        await peer.stop()
        server = await asyncio.start_server(serve, "127.0.0.1", peer.port)
        id = queue.put("out", address)
        await queue.pass_time(2, step=10)
        server.close()
        assert queue.row(id).state == "delivered"
        assert len(bodies) == 2
        assert all(id.encode() in body for body in bodies)
