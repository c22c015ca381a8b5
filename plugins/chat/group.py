"""Sending to a group through its robot: which robot, in which parts, how fast, and what the service's answer means.

These services answer HTTP 200 to everything; whether a message is in the group says a code in the body, and only that code.
There is no key by which they could tell a repeat, so every message closes with the delivery's id for people to tell it by.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from gateway.api import Delivered, Delivery, Field, Outcome, Refused, SecretName, Services, TryLater, _
from gateway_plugins.chat.pace import Limit, Pace
from gateway_plugins.chat.parts import clean, split
from gateway_plugins.httpout.post import Closed, HttpSettings, Unreachable, judged, post, prepare, probed

BUDGET = 12.0
"""Seconds after which no further part is begun in one try; with the time-out of a request it stays below dispatch's own."""
THROTTLED = 60.0
"""Seconds of silence after a service said that it was too much."""

Meaning = Literal["ok", "throttled", "refused"]


class GroupSettings(HttpSettings):
    """What every robot's transport has."""

    robots: dict[str, SecretName] = Field(
        description="the groups: address as in directory.toml → name of the secret that holds the robot's key"
    )
    form: Literal["full", "short"] = Field("full", description="send the whole text, or the short one as by SMS")
    keyword: str = Field("", max_length=30, description="a word that the robots' security settings ask for in every message")
    max_parts: int = Field(10, ge=1, le=99, description="a text that needs more messages is refused, never cut")


@dataclass(slots=True)
class _Line:
    """Those who want to speak through one robot."""

    pace: Pace
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class GroupTransport(ABC):
    """Base of the three transports. A provider says its limits, its request and its codes."""

    kind: ClassVar[str]
    Settings: ClassVar[type[GroupSettings]]
    limits: ClassVar[Sequence[Limit]]
    most_bytes: ClassVar[int]
    code: ClassVar[str]
    codes: ClassVar[Mapping[int, Meaning]]

    def __init__(self, name: str, settings: Any, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self._lines: dict[str, _Line] = {}

    @abstractmethod
    def request(self, robot: str, key: str, text: str, now: datetime) -> tuple[str, dict[str, Any]]:
        """URL and body of one message."""

    async def start(self) -> None:
        """Nothing to open: each message has a connection of its own."""
        await prepare(self.settings)

    async def stop(self) -> None:  # noqa: B027 (the contract asks for it)
        """Nothing to close."""

    async def probe(self) -> str | None:
        """The keys, then the service's certificate. A robot can be tried only by speaking in its group, so it is not."""
        assert self.services is not None
        for robot, secret in self.settings.robots.items():
            self.request(robot, self.services.secret(secret), "", self.services.now())
        return await probed(self.settings.url, self.settings)

    async def send(self, delivery: Delivery) -> Outcome:
        """Every part that the service has not taken yet, in order."""
        assert self.services is not None
        secret = self.settings.robots.get(delivery.address)
        if secret is None:
            return Refused(_("no robot of that name in robots"))
        parts = self._parts(delivery)
        if len(parts) > self.settings.max_parts:
            return Refused(_("the text is too long for a chat message"))
        key = self.services.secret(secret)
        line = self._lines.setdefault(delivery.address, _Line(Pace(self.limits)))
        began = asyncio.get_running_loop().time()
        for number in range(taken(delivery.progress, len(parts)), len(parts)):
            progress = {"parts": len(parts), "sent": number}
            if asyncio.get_running_loop().time() - began > BUDGET:
                return TryLater(_("the rest of a long text follows"), 1.0, progress, turn=True)
            outcome = await self._in_turn(line, f"{delivery.id}/{number}", delivery.address, key, parts[number])
            if isinstance(outcome, TryLater):
                return TryLater(outcome.why, outcome.after, progress, outcome.turn)
            if isinstance(outcome, Refused):
                return outcome
        return Delivered()

    def _parts(self, delivery: Delivery) -> list[str]:
        if self.settings.form == "short":
            text = clean(delivery.short_text or delivery.text)
        else:
            text = f"{clean(delivery.subject)}\n{clean(delivery.text)}".strip()
        if self.settings.keyword and self.settings.keyword not in text:
            text = f"【{self.settings.keyword}】{text}"
        # A part without the keyword would be turned away like a whole message without it.
        mark = f" {self.settings.keyword}" if self.settings.keyword else ""
        return split(text, f"\n[{clean(delivery.id)}{mark}]", self.most_bytes)

    async def _in_turn(self, line: _Line, place: str, robot: str, key: str, text: str) -> Outcome:
        """One message at a time through a robot, so that they stand in the group in their order."""
        assert self.services is not None
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                await line.lock.acquire()
        except TimeoutError:
            return TryLater(_("the service is slow: it waits its turn"))
        try:
            wait = line.pace.ask(place, self.services.now())
            if wait > 0:
                return TryLater(_("the group's rate limit: it waits its turn"), wait, turn=True)
            return await self._post(robot, key, text, line.pace, place)
        finally:
            line.lock.release()

    async def _post(self, robot: str, key: str, text: str, pace: Pace, place: str) -> Outcome:
        assert self.services is not None
        now = self.services.now()
        url, body = self.request(robot, key, text, now)
        data = json.dumps(body, ensure_ascii=False).encode()
        try:
            answer = await post(url, data, {"Content-Type": "application/json; charset=utf-8"}, self.settings)
        except (Unreachable, Closed) as error:
            return TryLater(str(error))
        by_status = judged(answer, _("the service"))
        if by_status is not None:
            return by_status
        code = said(answer.body, self.code)
        if code is None:
            return TryLater(_("the service answered without a code: whether it is in the group is not known"))
        meaning = self.codes.get(code)
        if meaning == "ok":
            return Delivered()
        why = _("the service answered {code}").format(code=f"{self.code} {code}")
        if meaning == "throttled":
            pace.shut(place, now + timedelta(seconds=THROTTLED))
            return TryLater(why, THROTTLED)
        return Refused(why) if meaning == "refused" else TryLater(why)


def said(body: bytes, name: str) -> int | None:
    """The code of an answer; None where there is none. The service's words stay out: they may quote the message."""
    try:
        found = json.loads(body)[name]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def taken(progress: Mapping[str, Any], total: int) -> int:
    """How many parts an earlier attempt got through; none where that attempt cut the text otherwise."""
    sent = progress.get("sent")
    return sent if progress.get("parts") == total and isinstance(sent, int) and 0 <= sent < total else 0
