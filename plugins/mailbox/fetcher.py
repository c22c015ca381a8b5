"""The loop over a mailbox: look, fetch, store, and only then mark. What goes wrong is an alarm, and is tried again with patience.

The box blocks, so each call runs in a thread and has a deadline; one that takes longer has its connection cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

from msgspec import Struct

from gateway.api import Intake, RawMessage, Receipt, Services, StorageTrouble, TooLarge, _
from gateway_plugins.mailbox.box import Box, BoxError, Fetched, Item, LoginRefused, MailError
from gateway_plugins.mailbox.hand import Hand
from gateway_plugins.mailbox.settings import BoxSettings
from gateway_plugins.mailtext import dsn
from gateway_plugins.mailtext.origin import fields_of

log = logging.getLogger(__name__)

T = TypeVar("T")
BATCH = 50
"""Mails of one look; the marks of a POP3 session last only when it ends, so that it must not be endless."""
TRIES = 3
"""After so many sessions in which a mail could not be had somebody is told, and it is tried at growing intervals."""
SELDOM_SECONDS = 3600.0
CUT_SECONDS = 0.5
"""How long a call may take to end after its connection was cut."""
STOP_SECONDS = 4.0
TOLD_SECONDS = 1.0


class State(Struct, frozen=True):
    """How the channel is, for ``gateway channels``."""

    state: Literal["up", "connecting", "down"]
    detail: str = ""


class Fetcher:
    """Fetches for one channel from ``start`` to ``stop``; ``box`` is closed at first."""

    def __init__(self, via: str, settings: BoxSettings, services: Services, box: Box, *, lasting: bool) -> None:
        self.via = via
        self.settings = settings
        self.services = services
        self.box = box
        self.lasting = lasting
        """Whether a session may stay open between two looks."""
        self.state: Literal["up", "connecting", "down"] = "down"
        self.taken = 0
        self.waiting = 0
        self.why = ""
        self._task: asyncio.Task[None] | None = None
        self._hand: Hand | None = None
        self._told: set[str] = set()
        self._bad: Counter[str] = Counter()
        self._later: dict[str, float] = {}

    def start(self, intake: Intake) -> None:
        """Begin; returns at once, whether or not the server is there."""
        self._hand = Hand(f"mailbox-{self.via}")
        self.state = "connecting"
        self._task = asyncio.create_task(self._run(intake), name=f"mailbox-{self.via}")

    async def stop(self) -> None:
        """End what is running. A mail whose storing has begun is stored, and fetched again and linked after the next start."""
        if self._task is not None:
            self._task.cancel()
            self.box.cut()
            await asyncio.wait({self._task}, timeout=STOP_SECONDS)
            self._task = None
        if self._hand is not None:
            self._hand.end()
            self._hand = None
        self.state = "down"

    def health(self) -> State:
        """State, how many were taken and wait, and the last trouble."""
        detail = _("{host}: {taken} mails taken, {waiting} waiting").format(
            host=self.settings.host, taken=self.taken, waiting=self.waiting
        )
        return State(self.state, "; ".join(part for part in (detail, self.why) if part))

    async def _run(self, intake: Intake) -> None:
        wait = self.settings.reconnect_min
        while True:
            try:
                await self._session(intake)
                wait = self.settings.reconnect_min
                continue
            except LoginRefused as error:
                self._trouble(str(error), error.what)
                wait = self.settings.reconnect_max
            except BoxError as error:
                self._trouble(str(error), error.what)
            except StorageTrouble:
                self._trouble(_("a mail could not be stored; it stays in the mailbox"))
            except Exception as error:
                # Nothing may end the fetching: the kind of the fault is told, and the next session begins anew.
                log.error("mailbox %s: %s", self.via, type(error).__name__)
                self._trouble(_("fetching failed ({error})").format(error=type(error).__name__))
            finally:
                await self._leave()
            await asyncio.sleep(wait)
            wait = min(self.settings.reconnect_max, wait * 2)

    async def _session(self, intake: Intake) -> None:
        """One connection. Returns only from one that is not to last; every trouble is raised."""
        remark = await self._do(self.box.open)
        if remark:
            # The names of the mails have changed, so that nothing is known of any of them.
            self._bad.clear()
            self._later.clear()
            self.services.alarm(remark, via=self.via)
        told = False
        while True:
            marked = await self._look(intake)
            self._fine()
            if marked < BATCH and not self.lasting:
                await asyncio.sleep(self.settings.poll_seconds)
            if not self.lasting:
                return
            if marked >= BATCH:
                continue
            if told and not marked:
                # A server that tells of what is not there is not asked again and again without a pause.
                told = False
                await asyncio.sleep(min(self.settings.poll_seconds, TOLD_SECONDS))
                continue
            told = await self._do(self.box.wait, seconds=None)
            if not told:
                await asyncio.sleep(self.settings.poll_seconds)

    async def _look(self, intake: Intake) -> int:
        """Take what is new; how many that were. ``BATCH`` or more: there may be others."""
        items = await self._do(self.box.new, BATCH + len(self._bad) + len(self._later))
        now = asyncio.get_running_loop().time()
        items = [item for item in items if self._later.get(self._name(item), now) <= now]
        # What could not be had the last time comes last, so that it holds up nobody.
        items.sort(key=lambda item: (self._bad[self._name(item)], item.key))
        self.waiting, marked = len(items), 0
        for item in items:
            if await self._take(intake, item):
                marked += 1
                self.waiting -= 1
        await self._do(self.box.settle)
        return marked

    async def _take(self, intake: Intake, item: Item) -> bool:
        limit = self.services.max_bytes
        if item.size > limit:
            return self._leave_it(item, _("it has {size} bytes, the limit is {limit}").format(size=item.size, limit=limit))
        try:
            fetched: Fetched | None = await self._do(self.box.get, item, limit)
        except BoxError as error:
            # Whether it is this mail or the line nobody knows: the line is made anew, and this mail comes last.
            self._bad[self._name(item)] += 1
            if isinstance(error, MailError) and (more := self._bad[self._name(item)] - TRIES) >= 0:
                self._leave_it(item, str(error), self.settings.reconnect_max * 2 ** min(more, 12))
            raise
        if fetched is None:
            return False
        if receipts := await asyncio.to_thread(_reported, fetched.body, self.via):
            for receipt in receipts:
                await intake.receipt(receipt)
            await self._do(self.box.done, item)
            return True
        raw = RawMessage(
            channel="email", via=self.via, received_at=self.services.now(), sender="", recipient=self.settings.username,
            body=fetched.body, content_type="message/rfc822", carrier_id=fetched.carrier_id, meta={"protocol": self.box.protocol},
        )  # fmt: skip
        try:
            await intake.accept(raw)
        except TooLarge as error:
            return self._leave_it(item, str(error))
        self.taken += 1
        self._bad.pop(self._name(item), None)
        self._later.pop(self._name(item), None)
        await self._do(self.box.done, item)
        return True

    def _leave_it(self, item: Item, why: str, seconds: float = SELDOM_SECONDS) -> bool:
        """This mail stays where it is for ``seconds``, and somebody is told, once."""
        name = self._name(item)
        if name not in self._later:
            told = _("a mail stays in the mailbox {name} and a person must read it there: {why}")
            self.services.alarm(told.format(name=self.settings.username, why=why), via=self.via)
        self._later[name] = asyncio.get_running_loop().time() + min(seconds, SELDOM_SECONDS)
        return False

    @staticmethod
    def _name(item: Item) -> str:
        # The number alone may be another mail's tomorrow.
        return item.uidl or f"{item.key}/{item.size}"

    async def _do(self, call: Callable[..., T], *given: Any, seconds: float | None = 0) -> T:
        """``call`` in the thread, within ``seconds`` (0: the configured time-out with some room; None: as long as it takes)."""
        assert self._hand is not None
        running = self._hand.do(partial(call, *given))
        limit = None if seconds is None else seconds or self.settings.timeout_seconds * 1.5
        try:
            async with asyncio.timeout(limit):
                return await asyncio.shield(running)
        except TimeoutError:
            await self._broken(running)
            raise BoxError(_("the server takes longer than {seconds:g} s").format(seconds=limit or 0)) from None
        except asyncio.CancelledError:
            await self._broken(running)
            raise

    async def _broken(self, running: asyncio.Future[Any]) -> None:
        self.box.cut()
        await asyncio.wait({running}, timeout=CUT_SECONDS)
        if running.done() and not running.cancelled():
            running.exception()

    async def _leave(self) -> None:
        with contextlib.suppress(BoxError):
            await self._do(self.box.close, seconds=CUT_SECONDS)

    def _trouble(self, why: str, what: str = "") -> None:
        """An alarm, once for as long as the same trouble (``what``; the text where it is not given) lasts."""
        self.state, self.why = "connecting", why
        if (what or why) not in self._told:
            self._told.add(what or why)
            self.services.alarm(why, via=self.via)

    def _fine(self) -> None:
        if self.state != "up":
            self.state, self.why = "up", ""
            self._told.clear()


def _reported(body: bytes, via: str) -> list[Receipt]:
    """What a mail server reports of a mail that we sent; none where this is anything else."""
    return dsn.receipts(body, via) if fields_of(body).raw("return-path").strip() == b"<>" else []
