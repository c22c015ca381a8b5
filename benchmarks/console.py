"""The board's figures: ``python -m benchmarks.console`` (a part of ``make bench``).

2,000 open incidents on a SQLite file, each opened by the desk's own steps: how long the board takes to be made for the first time,
after one report, and when nothing changed; and how long a browser waits for the page.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from gateway import explain, house, preparing, register
from gateway.accounts import add
from gateway.conf_load import load
from gateway.console.app import Console
from gateway.console.services import Services
from gateway.core.model import Message
from gateway.explain import raw_message
from gateway.host import Host
from gateway.intake import take_in
from gateway.operations import Live
from gateway.settings_web import ConsoleSection
from gateway.store import Store, StoreKeys, Tx, accounts, messages
from gateway.web import Listener, bind

ROOT = Path(__file__).parent.parent
COUNT = 2_000
BEGIN = datetime.fromisoformat("2026-11-26T22:30:00+08:00")
COUNTIES = ("青山区", "云台区", "石桥县", "白水县", "平安县", "柳河县")
HASH = "$argon2id$v=19$m=8,t=1,p=1$" + "x" * 40


def say(name: str, seconds: float) -> None:
    """One line of the table."""
    print(f"| {name} | {seconds * 1000:,.0f} ms |", flush=True)


class Clocked(Live):
    """Operations at an instant of the benchmark's choosing."""

    def now(self) -> datetime:
        return BEGIN + timedelta(hours=1)


def fill(store: Store, made: house.House, count: int, first: int = 0) -> None:
    """So many incidents, each of its own."""
    for n in range(first, first + count):
        at = BEGIN + timedelta(milliseconds=n)
        text = f"{COUNTIES[n % 6]}政府办报告：今日22时10分，{COUNTIES[n % 6]}第{n}大街{n}号居民楼起火，{n % 4 + 1}人死亡，{n % 9 + 1}人受伤。"
        raw = raw_message({"channel": "sms", "received_at": at.isoformat(), "sender": f"+86138{n:08d}", "text": text})

        def take(tx: Tx, raw: object = raw, text: str = text, at: datetime = at) -> None:
            row = messages.get(tx, take_in(tx, raw, at, 60).id)  # type: ignore[arg-type]
            register.take(tx, made, row, preparing.prepare(made, row, Message(text=text)), at)

        store.write_now(take)


async def measured(count: int) -> None:
    """Fill, make the board, serve it."""
    config = load(ROOT / "conf", Host.load(ROOT / "conf"))
    made = house.build(config, bureau_public=explain.throwaway_key())
    with tempfile.TemporaryDirectory(prefix="board-") as folder:
        store = Store.open(f"sqlite:///{folder}/gateway.db", StoreKeys(os.urandom(32)), clock=lambda: BEGIN)
        begun = time.perf_counter()
        await asyncio.to_thread(fill, store, made, count)
        say(f"{count:,} incidents opened", time.perf_counter() - begun)
        live = Clocked(config=config, store=store, house=lambda: made)
        console = Console(Services(live=live, section=ConsoleSection(enabled=True, calls_per_minute=100_000)))
        feed = console.rooms.feed
        console.start()
        for name, change in (("first board", 0), ("board after one report", 1), ("board when nothing changed", 0)):
            if change:
                await asyncio.to_thread(fill, store, made, change, count)
            feed.committed()
            begun = time.perf_counter()
            snapshot = await feed.fresh()
            say(name, time.perf_counter() - begun)
        print(f"| open on it | {len(snapshot.lines)} |")
        await paint(console, store, live)
        await console.stop()
        store.close()


async def paint(console: Console, store: Store, live: Live) -> None:
    """The page as a browser gets it, and as it gets it while reports come in."""
    import aiohttp

    token = secrets.token_urlsafe(32)

    def enter(tx: Tx) -> None:
        add(live, tx, "bench", "clerk", "clerk", HASH, "李值班")
        until = live.now() + timedelta(hours=1)
        accounts.open_session(tx, accounts.Session(
            digest=accounts.digest(tx, token), account="clerk", epoch=1, made_at=live.now(), until=until))  # fmt: skip

    store.write_now(enter)
    listener = Listener(reading=None)
    listener.start(console.app, bind("127.0.0.1", 0))
    cookies = {console.rooms.door.cookie: token}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{listener.port}", cookies=cookies, cookie_jar=jar) as http:
        took, size = [], 0
        for place in range(12):
            if place >= 6:
                console.rooms.feed.committed()
            begun = time.perf_counter()
            async with http.get("/") as answer:
                size = len(await answer.read())
                assert answer.status == 200
            took.append(time.perf_counter() - begun)
        say("page of 100 lines, median of 6", sorted(took[:6])[3])
        say("page made with a new board, median of 6", sorted(took[6:])[3])
        print(f"| its size | {size / 1024:.0f} KB |")
    await listener.stop()


if __name__ == "__main__":
    asyncio.run(measured(COUNT))
