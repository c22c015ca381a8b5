"""The console over a gateway in memory, and browsers that call it with no network between."""

from __future__ import annotations

import dataclasses
import re
import secrets
from datetime import timedelta
from functools import cache
from html import unescape
from typing import Any
from urllib.parse import quote, urlencode

from gateway.console.app import Console
from gateway.console.services import Services
from gateway.core.model import Message, RawMessage
from gateway.judging import Judged, judge
from gateway.settings_web import ConsoleSection
from gateway.store import accounts
from tests.people.desk import NIGHT, Desk

PASSWORD = "correct-horse-battery"
PEOPLE = {"clerk": "李值班", "leader": "秦副市长", "bureau": "何值班", "operator": "", "readonly": ""}
FORM = "application/x-www-form-urlencoded"


@cache
def hashed() -> str:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


class Room:
    """One console. Its accounts are named as their roles."""

    def __init__(self, desk: Desk | None = None, **section: Any) -> None:
        self.desk = desk or Desk(NIGHT)
        self.section = ConsoleSection(enabled=True, **section)
        self.services = Services(live=self.desk.live, section=self.section, read=self._read)
        self.console = Console(self.services)
        self.desk.store.listeners.append(self.console.rooms.feed.committed)
        self.errors: list[BaseException] = []
        self.console.on_error = self.errors.append
        for role, person in PEOPLE.items():
            self.add(role, role, person)

    def add(self, name: str, role: str, person: str = "") -> None:
        self.desk.do("account_add", account=name, role=role, password=hashed(), person=person)

    async def _read(self, raw: RawMessage) -> tuple[Judged, str | None]:
        # The desk of tests puts eight octets of chance before a text.
        return judge(self.services.house.rules, raw, Message(text=raw.body[8:].decode()), raw.meta), None

    def browser(self, name: str | None = None, peer: str = "192.0.2.7") -> Browser:
        """A browser; with ``name`` one that has signed in with that account."""
        made = Browser(self, peer)
        if name is not None:
            token = secrets.token_urlsafe(32)

            def write(tx: Any) -> None:
                account = accounts.get(tx, name)
                assert account is not None
                now = self.desk.at
                accounts.open_session(tx, accounts.Session(
                    digest=accounts.digest(tx, token), account=name, epoch=account.epoch, made_at=now,
                    until=now + timedelta(hours=self.section.session_hours), peer=peer))  # fmt: skip

            self.desk.store.write_now(write)
            made.cookies[self.console.rooms.door.cookie] = token
        return made

    def events(self, *names: str) -> list[Any]:
        return self.desk.events(*names)


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def words(self) -> str:
        """What a person reads."""
        bare = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", self.text, flags=re.S)
        return re.sub(r"\s+", " ", unescape(bare))

    def field(self, name: str) -> str:
        """What a hidden field of the page holds; of several the last."""
        found = re.findall(rf'name="{name}" value="([^"]*)"', self.text)
        return unescape(found[-1]) if found else ""


class Browser:
    def __init__(self, room: Room, peer: str) -> None:
        self.room = room
        self.peer = peer
        self.cookies: dict[str, str] = {}

    async def call(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        sent: list[dict[str, Any]] = []
        bare, _, query = path.partition("?")
        told = {"host": "duty.test", **({"content-length": str(len(body))} if body else {})}
        if method == "POST":
            told |= {"content-type": FORM, "sec-fetch-site": "same-origin", "origin": "http://duty.test"}
        if self.cookies:
            told["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        told |= {name.lower(): value for name, value in (headers or {}).items()}
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": bare, "raw_path": quote(bare).encode(),
            "query_string": query.encode(), "scheme": "http", "root_path": "", "client": (self.peer, 5), "server": ("duty.test", 80),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in told.items() if v is not None],
        }  # fmt: skip
        parts = [body[i : i + 65536] for i in range(0, len(body), 65536)] or [b""]

        async def receive() -> dict[str, Any]:
            part = parts.pop(0) if parts else b""
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.room.console.app(scope, receive, send)
        found = [(k.decode(), v.decode()) for k, v in sent[0]["headers"]]
        cookies = [value for name, value in found if name == "set-cookie"]
        for cookie in cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        body = b"".join(m.get("body", b"") for m in sent[1:])
        return Answer(sent[0]["status"], dict(found), cookies, body)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, headers=headers)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        return await self.call("POST", path, urlencode(fields).encode(), headers)

    @property
    def mark(self) -> str:
        """What the forms of this sign-in carry."""
        from gateway.store.accounts import DIGITS

        keys, cookie = self.room.desk.store.keys, self.cookies[self.room.console.rooms.door.cookie]
        digest = keys.digest("console session", cookie.encode())[:DIGITS]
        return keys.digest("console form", digest.encode())[:40]

    async def sign_in(self, account: str, password: str = PASSWORD, code: str = "") -> Answer:
        page = await self.get("/signin")
        return await self.post(
            "/signin", {"account": account, "password": password, "code": code, "before": page.field("before")}
        )

    async def act(self, path: str, **fields: str) -> Answer:
        """Fill in, look, confirm."""
        shown = await self.post(path, {"mark": self.mark, "step": "look", **fields})
        return await self.confirm(path, shown, **fields)

    async def confirm(self, path: str, shown: Answer, **fields: str) -> Answer:
        once = {"ticket": shown.field("ticket"), "seen": shown.field("seen")}
        return await self.post(path, {"mark": self.mark, "step": "do", **once, **fields})


