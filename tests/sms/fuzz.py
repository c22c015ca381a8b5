"""Mutated PDUs against the carriers' decoders: ``python -m tests.sms.fuzz [COUNT] [SEED]`` from the project's root.

COUNT mutants each of SMPP and CMPP 2.0 and 3.0. A mutant goes through framer, link and channel as from a wire, and after each tenth a
good message over another connection. What counts: nothing raises; a message whose frame and fields are whole is stored and said yes
to, whatever else is odd in it; the good one is always taken, with its text; no PDU keeps the loop longer than 50 ms of processor time.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

from msgspec import Struct

from gateway.api import Malformed
from gateway.testing import MemoryServices
from gateway_plugins import sms_cmpp, sms_smpp
from gateway_plugins.carrier.frames import Broken
from gateway_plugins.cmpp import pdu as cmpp
from gateway_plugins.cmpp import session as cmpp_session
from gateway_plugins.smpp import link as smpp_link
from gateway_plugins.smpp import pdu as smpp
from gateway_plugins.smpp import session as smpp_session

MOST_SECONDS = 0.05
WORDS = "石桥县山体滑坡，道路中断。"
NOW = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False

    def write(self, octets: bytes) -> None:
        self.written += octets

    def loseConnection(self) -> None:
        self.closed = True

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args: None


class Taken:
    """An intake that stores at once."""

    def __init__(self) -> None:
        self.raws: list[Any] = []
        self.receipts: list[Any] = []

    async def accept(self, raw: Any) -> Any:
        self.raws.append(raw)

    async def receipt(self, receipt: Any) -> None:
        self.receipts.append(receipt)


class Protocol(Struct, frozen=True):
    """One protocol: good PDUs to start from, one that is a plain report, a new link, and what reads a stored message."""

    name: str
    seeds: tuple[bytes, ...]
    good: bytes
    link: Callable[[Taken], Any]
    read: Callable[[Any], Any]
    decode: Callable[[bytes], Any]
    yes: Callable[[bytes], bool]


def _smpp() -> Protocol:
    def sm(command: int = smpp.Command.DELIVER_SM, tlvs: Any = (), **fields: Any) -> bytes:
        given = {"source_addr": "8613900000021", "destination_addr": "1069000000", "data_coding": 8, **fields}
        return smpp.encode(smpp.Pdu(command=command, sequence=7, body=smpp.Sm(**given), tlvs=tlvs))

    content = WORDS.encode("utf-16-be")
    receipt = b"id:0000000042 sub:001 dlvrd:001 submit date:2611230930 done date:2611230931 stat:DELIVRD err:000 text:"
    good = sm(short_message=content)
    sar = ((0x020C, b"\x12\x34"), (0x020E, b"\x02"), (0x020F, b"\x01"))
    seeds = (
        good, sm(esm_class=0x40, short_message=bytes((5, 0, 3, 9, 2, 1)) + content), sm(tlvs=((0x0424, content * 3),)),
        sm(esm_class=0x40, short_message=bytes((6, 8, 4, 1, 2, 2, 1)) + content), sm(short_message=content, tlvs=sar),
        sm(esm_class=4, data_coding=0, short_message=receipt), sm(esm_class=4, tlvs=((0x001E, b"0042\0"), (0x0427, b"\x02"))),
        sm(data_coding=0, short_message=b"Bridge closed \x1be"), sm(data_coding=15, short_message=WORDS.encode("gb18030")),
        smpp.encode(smpp.Pdu(command=smpp.Command.ENQUIRE_LINK, sequence=8)),
        smpp.encode(smpp.Pdu(command=smpp.Command.DATA_SM, sequence=9, body=smpp.Data(), tlvs=((0x0424, content),))),
    )  # fmt: skip
    channel = sms_smpp.SmsSmpp("fuzz", sms_smpp.SmppSettings(system_id="g", password="p"), MemoryServices(at=NOW))

    def link(taken: Taken) -> Any:
        channel._intake = taken
        settings = smpp_session.SessionSettings(endpoint="", name="g", password="p")
        session = smpp_session.Session(settings, channel._answer, random=Random(1))
        return smpp_link.Link(session._request, None)

    def yes(octets: bytes) -> bool:
        return any(
            pdu.command in (smpp.Command.DELIVER_SM_RESP, smpp.Command.DATA_SM_RESP) and pdu.status == 0
            for pdu in smpp.Framer().feed(octets)
        )

    return Protocol("SMPP", seeds, good, link, channel.read, lambda frame: next(iter(smpp.Framer().feed(frame)), None), yes)


def _cmpp(version: Any) -> Protocol:
    def deliver(**fields: Any) -> bytes:
        given = {"msg_id": 77, "dest_id": "1069000000", "src_terminal_id": "8613900000021", "msg_fmt": 8, **fields}
        return cmpp.encode(cmpp.Pdu(command=cmpp.Command.DELIVER, sequence=7, body=cmpp.Deliver(**given)), version)

    content = WORDS.encode("utf-16-be")
    report = (42).to_bytes(8, "big") + b"DELIVRD" + b"2611230930" * 2 + b"13800000009".ljust(21, b"\0") + bytes(4)
    good = deliver(msg_content=content)
    seeds = (
        good, deliver(tp_udhi=1, msg_content=bytes((5, 0, 3, 9, 2, 1)) + content), deliver(registered_delivery=1, msg_content=report),
        deliver(msg_fmt=15, msg_content=WORDS.encode("gb18030")), deliver(msg_fmt=0, msg_content=b"Bridge closed"),
        cmpp.encode(cmpp.Pdu(command=cmpp.Command.ACTIVE_TEST, sequence=8), version),
    )  # fmt: skip
    channel = sms_cmpp.SmsCmpp("fuzz", sms_cmpp.CmppSettings(sp_id="901234", secret="s"), MemoryServices(at=NOW))

    def link(taken: Taken) -> Any:
        channel._intake = taken
        settings = cmpp_session.SessionSettings(endpoint="", name="901234", password="s", version=version)
        session = cmpp_session.Session(settings, channel.take, now=lambda: NOW, random=Random(1))
        return cmpp_session.Link(version, 8, session._request, None)

    def yes(octets: bytes) -> bool:
        return any(isinstance(pdu.body, cmpp.DeliverResp) and pdu.body.result == 0 for pdu in cmpp.Framer(version).feed(octets))

    decode = lambda frame: next(iter(cmpp.Framer(version).feed(frame)), None)  # noqa: E731
    return Protocol(f"CMPP {version}", seeds, good, link, channel.read, decode, yes)


def mutant(random: Random, seeds: tuple[bytes, ...]) -> bytes:
    """A seed with a few octets changed, taken out, put in or doubled; its length is mostly put right again."""
    octets = bytearray(random.choice(seeds))
    for _change in range(random.choice((1, 1, 2, 3, 8))):
        place = random.randrange(len(octets)) if octets else 0
        match random.randrange(6):
            case 0 | 1:
                octets[place : place + 1] = bytes((random.choice((0, 1, 4, 0x7F, 0x80, 0xFF, random.randrange(256))),))
            case 2:
                del octets[place : place + random.randrange(1, 12)]
            case 3:
                octets[place:place] = random.randbytes(random.randrange(1, 12))
            case 4:
                octets[place:place] = octets[place : place + random.randrange(1, 40)]
            case _:
                octets[place : place + 4] = random.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
    if random.random() < 0.85 and len(octets) >= 4:
        octets[:4] = len(octets).to_bytes(4, "big")
    return bytes(octets)


async def feed(protocol: Protocol, octets: bytes) -> tuple[Taken, Wire, float]:
    """What a new connection makes of ``octets``, and the longest that it kept the loop, in seconds of processor time."""
    taken, wire = Taken(), Wire()
    link = protocol.link(taken)
    link.transport = wire
    began = time.thread_time()
    link.dataReceived(octets)
    took = time.thread_time() - began
    for task in list(link._in_hand):
        began = time.thread_time()
        await task
        took = max(took, time.thread_time() - began)
    return taken, wire, took


async def run(count: int, seed: int = 1) -> dict[str, Counter[str]]:
    """Try ``count`` mutants of each protocol. Raises AssertionError with the mutant in hexadecimal."""
    gc.disable()  # how long the collector walks over all that a process holds is not what is measured
    try:
        return {protocol.name: await _mutants_of(protocol, count, seed) for protocol in (_smpp(), _cmpp("2.0"), _cmpp("3.0"))}
    finally:
        gc.enable()


async def _mutants_of(protocol: Protocol, count: int, seed: int) -> Counter[str]:
    random, counted, longest = Random(f"{seed}/{protocol.name}"), Counter[str](), 0.0
    for _number in range(count):
        octets = mutant(random, protocol.seeds)
        where = f"{protocol.name} {octets.hex()}"
        try:
            taken, wire, took = await feed(protocol, octets)
            for raw in taken.raws:
                protocol.read(raw)
        except Malformed:
            raise AssertionError(f"{where}: a stored part cannot be read") from None
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
        longest = max(longest, took)
        assert took < MOST_SECONDS, f"{where}: kept the loop {took * 1000:.0f} ms"
        first = protocol.decode(octets)
        whole = first is not None and not isinstance(first, Broken)
        counted["whole" if whole else "broken" if first else "unfinished"] += 1
        if whole and type(first.body).__name__ in ("Sm", "Deliver", "Data") and first.command in (5, 0x103):
            counted["messages"] += 1
            assert protocol.yes(bytes(wire.written)), f"{where}: a message that can be read was not taken"
        counted["stored"] += len(taken.raws)
        counted["receipts"] += len(taken.receipts)
        if _number % 10 == 0:
            taken, wire, took = await feed(protocol, protocol.good)
            assert protocol.yes(bytes(wire.written)) and protocol.read(taken.raws[0]).text == WORDS, f"{where}: then a good one"
    counted["longest_us"] = int(longest * 1e6)
    return counted


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # a line for each mutant tells nobody anything
    told = asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, int(sys.argv[2]) if len(sys.argv) > 2 else 1))
    for name, counts in told.items():
        print(name, dict(counts))
