"""An SMSC that speaks real SMPP 3.4 over TCP: it delivers messages to the gateway, takes what the gateway sends, and
returns receipts. For ``gateway demo`` and for tests, which can also make it slow, silent, busy or broken.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec
from twisted.internet.protocol import Factory

from gateway.aio import Listener, listen
from gateway_plugins.smpp import inbound, text
from gateway_plugins.smpp import pdu as smpp
from gateway_plugins.smpp.link import Link, LinkLost
from gateway_plugins.smpp.pdu import Bind, BindResp, Command, Pdu, Sm, SmResp, Status, Tag

_UDHI = 0x40
_RECEIPT = 0x04
_BINDS = frozenset({Command.BIND_TRANSCEIVER, Command.BIND_RECEIVER, Command.BIND_TRANSMITTER})


class Sent(NamedTuple):
    """A message that the gateway sent, its parts joined."""

    to: str
    text: str
    at: datetime


class SmscLink(Link):
    """A connection that keeps count of what comes, and leaves unanswered what it is told to."""

    def __init__(self, smsc: DemoSmsc) -> None:
        super().__init__(smsc.handle)
        self.smsc = smsc

    def requested(self, pdu: Pdu) -> None:
        """Count the request; answer it unless its command is a silent one."""
        self.smsc.seen[pdu.command] += 1
        if pdu.command not in self.smsc.silent:
            super().requested(pdu)

    def answered(self, pdu: Pdu) -> None:
        """Remember what the ESME did not understand."""
        if pdu.command == Command.GENERIC_NACK:
            self.smsc.nacks.append(pdu.status)
        super().answered(pdu)


_KEPT_SECONDS = 120.0
"""So long a message waits for somebody to take it."""


class DemoSmsc:
    """``sent`` holds whole messages in the order of their last part; ``seen`` counts requests by command, ``nacks`` are the
    statuses of generic_nacks that came. The other public attributes shape its behaviour:

    ``throttle``  so many of the next submits are answered with ESME_RTHROTTLED
    ``submit_status``  command_status for every submit, 0 to take them
    ``bind_status``  command_status for every bind; None to judge by system_id and password
    ``silent``  commands that get no answer
    ``receipts``  how a delivery receipt is written: in its text, in TLVs, or not sent at all
    ``own_numbers``  numbers of the gateway itself: what is sent to one comes back in as a deliver_sm
    ``echo_after``  seconds that such a message takes; None: it is lost

    Message ids have ten digits, leading zeros among them, and count from ``first_id``.
    """

    def __init__(
        self,
        system_id: str,
        password: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        first_id: int = 1,
    ) -> None:
        self.system_id = system_id
        self.password = password
        self.sent: list[Sent] = []
        self.submitted: list[Sm] = []
        self.binds = 0
        self.throttle = 0
        self.submit_status = 0
        self.bind_status: int | None = None
        self.silent: set[int] = set()
        self.receipts: Literal["text", "tlv", "none"] = "text"
        self.own_numbers: set[str] = set()
        self.echo_after: float | None = 0.0
        self.seen: Counter[int] = Counter()
        self.nacks: list[int] = []
        self._now = now
        self._ids = itertools.count(first_id)
        self._references = itertools.count(1)
        self._listener: Listener | None = None
        self._port = 0
        self._links: list[Link] = []
        self._bound: list[Link] = []
        self._parts: dict[tuple[str, int], dict[int, text.Fragment]] = {}
        self._receipts: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def start(self, endpoint: str) -> None:
        """Listen on a Twisted server endpoint, such as ``tcp:26004:interface=127.0.0.1``."""
        factory = Factory()
        factory.protocol = self._build
        factory.noisy = False
        self._listener = await listen(factory, endpoint)
        bound: Any = self._listener.port
        self._port = bound.getHost().port

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._listener is not None:
            await self._listener.stop()
        for task in list(self._receipts):
            task.cancel()
        await asyncio.gather(*self._receipts, return_exceptions=True)
        await self.cut()

    @property
    def port(self) -> int:
        """The port in use, for endpoints with port 0."""
        return self._port

    async def cut(self) -> None:
        """Cut every connection, as a network failure would, and wait until that is done."""
        links = list(self._links)
        for link in links:
            link.abort()
        await asyncio.gather(*(link.lost for link in links))

    async def wait_for(self, predicate: Callable[[DemoSmsc], bool], seconds: float) -> None:
        """Return as soon as ``predicate(self)`` holds; TimeoutError after ``seconds``."""
        async with asyncio.timeout(seconds):
            while not predicate(self):
                self._changed.clear()
                await self._changed.wait()

    async def wait_bound(self, seconds: float) -> None:
        """Return as soon as an ESME is bound; TimeoutError after ``seconds``."""
        await self.wait_for(lambda smsc: bool(smsc._bound), seconds)

    @property
    def link(self) -> Link:
        """The newest bound connection."""
        if not self._bound:
            raise LinkLost("no ESME is bound")
        return self._bound[-1]

    async def deliver(self, sender: str, recipient: str, words: str, *, seconds: float = 30.0) -> list[int]:
        """Send a message in as many parts as it needs; returns each part's command_status once all are answered."""
        parts = text.split(words, next(self._references))
        return await self.deliver_all([deliver_sm(sender, recipient, part) for part in parts], seconds=seconds)

    async def deliver_all(
        self, messages: Sequence[Sm], *, tlvs: tuple[tuple[int, bytes], ...] = (), seconds: float = 30.0
    ) -> list[int]:  # fmt: skip
        """Send deliver_sm PDUs as given, all at once; returns their statuses in the same order."""
        link = self.link
        answers = await asyncio.gather(
            *(link.request(Command.DELIVER_SM, message, tlvs=tlvs, seconds=seconds) for message in messages)
        )
        return [answer.status for answer in answers]

    def _build(self) -> Link:
        link = SmscLink(self)
        self._links.append(link)
        link.lost.add_done_callback(lambda _: self._lost(link))
        return link

    def _lost(self, link: Link) -> None:
        self._links.remove(link)
        if link in self._bound:
            self._bound.remove(link)
        self._changed.set()

    async def handle(self, link: Link, pdu: Pdu) -> Pdu:
        """The answer to a request."""
        if pdu.command in _BINDS and isinstance(pdu.body, Bind):
            return self._bind(link, pdu, pdu.body)
        if link not in self._bound:
            return smpp.response(pdu, status=Status.ESME_RINVBNDSTS)
        if pdu.command == Command.SUBMIT_SM and isinstance(pdu.body, Sm):
            return self._submit(link, pdu, pdu.body)
        return smpp.generic_nack(Status.ESME_RINVCMDID, pdu.sequence)

    def _bind(self, link: Link, pdu: Pdu, bind: Bind) -> Pdu:
        status = self.bind_status
        if status is None:
            known = (bind.system_id, bind.password) == (self.system_id, self.password)
            status = Status.ESME_ROK if known else Status.ESME_RINVPASWD
        if status == 0:
            self._bound.append(link)
            self.binds += 1
            self._changed.set()
        return smpp.response(pdu, BindResp(system_id="demo-smsc"), status)

    def _submit(self, link: Link, pdu: Pdu, sm: Sm) -> Pdu:
        status = self.submit_status
        if self.throttle:
            self.throttle -= 1
            status = Status.ESME_RTHROTTLED
        if status:
            return smpp.response(pdu, status=status)
        message_id = f"{next(self._ids):010}"
        self.submitted.append(sm)
        to = self._collect(sm)
        if to in self.own_numbers and self.echo_after is not None:
            asyncio.get_running_loop().call_soon(self._start, self._bring_back(link, sm, self.echo_after))
        if sm.registered_delivery & 1 and self.receipts != "none":
            # Never before the answer: what is called soon runs once this answer is written.
            asyncio.get_running_loop().call_soon(self._start, self._send_receipt(link, sm, message_id))
        return smpp.response(pdu, SmResp(message_id=message_id))

    def _collect(self, sm: Sm) -> str:
        """Keep a part; returns the number it is for."""
        to = inbound.number(sm.dest_addr_ton, sm.destination_addr)
        place, used = text.split_header(sm.short_message) if sm.esm_class & _UDHI else (None, 0)
        part = text.Fragment(coding=text.coding_of(sm.data_coding), data=sm.short_message[used:], concat=place)
        parts = [part]
        if place is not None:
            found = self._parts.setdefault((to, place.reference), {})
            found[place.number] = part
            if len(found) < place.total:
                return to
            parts = list(self._parts.pop((to, place.reference)).values())
        self.sent.append(Sent(to=to, text=text.join(parts).text, at=self._now()))
        self._changed.set()
        return to

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._receipts.add(task)
        task.add_done_callback(self._receipts.discard)

    async def _bring_back(self, link: Link, sm: Sm, seconds: float) -> None:
        """A message to one of the gateway's own numbers, as its carrier hands it in: by another link if that one is gone,
        once there is one if there is none."""
        await asyncio.sleep(seconds)
        message = msgspec.structs.replace(sm, esm_class=sm.esm_class & _UDHI, registered_delivery=0)
        answered = False
        with contextlib.suppress(TimeoutError):
            while not answered:
                await self.wait_bound(_KEPT_SECONDS)
                with contextlib.suppress(LinkLost):
                    await (link if link in self._bound else self.link).request(Command.DELIVER_SM, message, seconds=30.0)
                    answered = True

    async def _send_receipt(self, link: Link, sm: Sm, message_id: str) -> None:
        message, tlvs = receipt_sm(sm, message_id, self._now(), in_tlvs=self.receipts == "tlv")
        with contextlib.suppress(LinkLost, TimeoutError):
            await link.request(Command.DELIVER_SM, message, tlvs=tlvs, seconds=30.0)


def deliver_sm(sender: str, recipient: str, part: text.Outgoing) -> Sm:
    """One part as the deliver_sm that a carrier would send."""
    return Sm(
        source_addr_ton=1 if sender.startswith("+") else 0,
        source_addr_npi=1,
        source_addr=sender.removeprefix("+"),
        dest_addr_ton=1 if recipient.startswith("+") else 0,
        dest_addr_npi=1,
        destination_addr=recipient.removeprefix("+"),
        esm_class=_UDHI if part.udh else 0,
        data_coding=8 if part.encoding == "ucs2" else 0,
        short_message=part.udh + part.data,
    )


def receipt_sm(
    sm: Sm, message_id: str, at: datetime, *, state: str = "DELIVRD", in_tlvs: bool = False
) -> tuple[Sm, tuple[tuple[int, bytes], ...]]:  # fmt: skip
    """A delivery receipt for a submitted message (SMPP 3.4 appendix B), its id in the text or in TLVs."""
    when = f"{at:%y%m%d%H%M}"
    words = f"id:{message_id} sub:001 dlvrd:001 submit date:{when} done date:{when} stat:{state} err:000 text:"
    number = b"\x02" if state == "DELIVRD" else b"\x05"
    tlvs = ((Tag.RECEIPTED_MESSAGE_ID, message_id.encode() + b"\0"), (Tag.MESSAGE_STATE, number))
    receipt = Sm(
        source_addr_ton=sm.dest_addr_ton,
        source_addr_npi=sm.dest_addr_npi,
        source_addr=sm.destination_addr,
        dest_addr_ton=sm.source_addr_ton,
        dest_addr_npi=sm.source_addr_npi,
        destination_addr=sm.source_addr,
        esm_class=_RECEIPT,
        short_message=b"" if in_tlvs else words.encode(),
    )
    return receipt, tlvs if in_tlvs else ()
