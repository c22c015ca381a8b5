"""Alarms: said at once to the log, kept as events as soon as the store takes them again.

``KINDS`` is the closed table of what may be raised; each kind has a page in docs/runbook. While maintenance covers an alarm
it is kept as an event marked ``maintenance`` and not said as an error; trouble that stands when it ends is said then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from gateway.core import events
from gateway.core.errors import StorageTrouble
from gateway.core.model import Event
from gateway.store import Store, journal, maintenance

log = logging.getLogger("gateway.alarm")

QUIET = timedelta(seconds=60)
"""The same alarm is said once in this time."""


class Kind(Struct, frozen=True):
    """A kind of alarm: what it says, in English and Chinese, and whether maintenance may cover it."""

    en: str
    zh: str
    covered: bool = False
    again: bool = False
    """The watchdog says it again by itself for as long as it stands: what maintenance kept of it need not be said after."""


KINDS: Mapping[str, Kind] = {
    "storage": Kind("the store takes nothing", "存储不可写"),
    "sealer": Kind("the audit log cannot be written or was changed", "审计日志无法写入或被改动"),
    "witness": Kind("the record's head is not witnessed", "审计摘要未送达见证处", covered=True),
    "secrecy": Kind("a marked message could not be handled in full", "涉密信息处置不完整"),
    "desk": Kind("a message could not be taken", "信息未能受理"),
    "delivery": Kind("an office cannot be reached", "信息送不出去", covered=True),
    "stuck": Kind("deliveries do not get on", "发送积压", covered=True, again=True),
    "unacknowledged": Kind("nobody acknowledges a report", "信息无人签收"),
    "routing": Kind("a route is not as conf means it", "路由异常"),
    "disk": Kind("a disk is full or will be", "磁盘空间不足或即将用尽"),
    "idle": Kind("an open incident without a next step", "事件无后续安排"),
    "unread": Kind("messages that nobody takes", "信息无人受理"),
    "channel": Kind("a way in is down", "渠道中断", covered=True),
    "transport": Kind("a way out is down", "发送通道中断", covered=True, again=True),
    "canary": Kind("the self-test of a carrier did not come back", "通道自检未返回", covered=True, again=True),
    "plugin": Kind("a channel or transport reports trouble", "渠道插件报告异常", covered=True),
    "paper": Kind("an official paper cannot be made: plain pages go out", "公文无法生成，改发普通页"),
    "standby": Kind("the paper board for when the machine is down is not up to date", "备用看板未能更新"),
    "start": Kind("a plugin could not start", "插件未能启动", covered=True),
    "conf": Kind("something is wrong in the configuration", "配置有误"),
    "reload": Kind("a new configuration was refused", "新配置未被采用"),
    "roster": Kind("nobody is on duty", "无人值班"),
    "clock": Kind("the clock cannot be trusted", "系统时钟不可信"),
    "watchdog": Kind("the daemon does not get on with its work", "程序停滞"),
    "retention": Kind("content that is due cannot be destroyed", "到期内容无法销毁"),
}  # fmt: skip
"""Every kind by name. What keeps a report from being taken in, kept or sealed is never covered by maintenance."""


def page(what: str) -> str:
    """The runbook page of a kind, under docs/; of an unknown one the list of pages."""
    return f"runbook/{what}.md" if what in KINDS else "runbook/README.md"


class Alarms:
    """Collects alarms. The texts name ids and reasons, never content."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._said: dict[str, datetime] = {}
        self.last: dict[str, tuple[datetime, str]] = {}
        """The last trouble of each channel, transport or plugin by name: when, and why."""
        self._waiting: deque[Event] = deque(maxlen=1000)
        self._one_at_a_time = asyncio.Lock()
        self._direct: set[int] = set()
        self.on_raised: Callable[[], None] = lambda: None
        """Called after each alarm that is not kept."""
        self.count = 0
        self.windows: tuple[maintenance.Window, ...] = ()
        """The maintenance that goes on; ``gateway.maintenance`` keeps it fresh."""

    def raise_(
        self,
        what: str,
        *,
        why: str,
        incident: str | None = None,
        message: str | None = None,
        delivery: str | None = None,
        **data: Any,
    ) -> None:
        """Raise an alarm of kind ``what``. Data that the vocabulary does not know is left out: an alarm is never refused."""
        now = self._clock()
        kept = covers(self.windows, what, data, now)
        ids = {"incident": incident, "message": message, "delivery": delivery}
        event = _event(now, what, str(why), ids, {**data, "maintenance": True} if kept else data)
        key = f"{event.data}|{incident}|{message}|{delivery}"
        if not kept:
            self.count += 1
        for name in {str(data[field]) for field in ("via", "channel", "plugin", "transport", "name") if data.get(field)}:
            self.last[name] = (now, str(why))
        last = self._said.get(key)
        if last is not None and now - last < QUIET:
            return
        if len(self._said) > 10_000:
            self._said.clear()
        self._said[key] = now
        level = logging.INFO if kept else logging.ERROR
        log.log(level, " ".join(f"{name}={value}" for name, value in event.data.items()))
        self._waiting.append(event)
        if not kept:
            self.on_raised()

    @property
    def waiting(self) -> bool:
        """Whether the store has not taken something yet."""
        return bool(self._waiting)

    def unwritten(self) -> list[Event]:
        """What the store has not taken yet, oldest first, without what maintenance keeps and what left directly."""
        return [one for one in self._waiting if id(one) not in self._direct and not one.data.get("maintenance")]

    def left_directly(self, event: Event) -> None:
        """``event`` of ``unwritten`` was told without the store: once it is written, it says so, and is not told again."""
        self._direct = {id(one) for one in self._waiting if id(one) in self._direct or one is event}

    def _as_told(self, event: Event) -> Event:
        if id(event) not in self._direct:
            return event
        return msgspec.structs.replace(event, data={**event.data, "direct": True})

    async def flush(self) -> None:
        """Write what is waiting; on storage trouble it goes on waiting."""
        async with self._one_at_a_time:
            while self._waiting:
                event = self._waiting[0]
                try:
                    await self._store.write(lambda tx, event=event: journal.emit(tx, self._as_told(event)))  # type: ignore[misc]
                except StorageTrouble:
                    return
                except Exception as error:
                    log.error("an alarm could not be kept: %s", type(error).__name__)
                # While it was written the queue may have overflowed and let go of it.
                if self._waiting and self._waiting[0] is event:
                    self._waiting.popleft()
                self._direct.discard(id(event))


def covers(windows: tuple[maintenance.Window, ...], what: str, data: Mapping[str, Any], now: datetime) -> bool:
    """Whether maintenance covers an alarm: its kind may be covered and, where a channel is named, the alarm is about it."""
    kind = KINDS.get(what)
    if kind is None or not kind.covered:
        return False
    about = {str(data[name]) for name in ("via", "channel", "plugin", "transport", "name") if name in data}
    return any(one.start <= now < one.until and (one.channel is None or one.channel in about) for one in windows)


def fields(what: str, why: str, *, kept: bool = False, **data: Any) -> dict[str, Any]:
    """The data of an alarm that is written in the transaction which decided it."""
    return {**data, "what": what, "why": why, "page": page(what), **({"maintenance": True} if kept else {})}


def _event(now: datetime, what: str, why: str, ids: dict[str, str | None], data: dict[str, Any]) -> Event:
    try:
        whole = events.known("alarm", {**data, "what": what, "why": why, "page": page(what)})
        return events.check(Event(at=now, event="alarm", data=whole, **ids))
    except events.NotInVocabulary:
        return Event(at=now, event="alarm", data={"what": str(what)[:64], "why": why[:300], "page": page(what)})
