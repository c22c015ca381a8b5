"""strace shows for each channel that the store is synced after a message came and before it is answered."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from tests.faults.carriers import TEXTS
from tests.faults.judge import Verdict, judge
from tests.faults.ledger import CHANNELS
from tests.faults.stand import stand

TRACED = "trace=fsync,fdatasync,sendto,sendmsg,write,writev,recvfrom,recvmsg,read"
LINE = re.compile(r"^(\d+) +(.*)$")
CALL = re.compile(r"^(\w+)\((\d+)<((?:->|[^>])*)>(.*)$")
RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
DELIVER_SM = re.compile(rb"\x00\x00\x00\x05\x00{4}(.{4})", re.DOTALL)
"""command_id, status and sequence_number."""
DELIVER_SM_RESP = re.compile(rb"\x80\x00\x00\x05\x00{4}(.{4})", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A finished call: ``what`` is in, out or sync."""

    what: str
    peer: str
    text: str


def steps(lines: Iterable[str]) -> list[Step]:
    """The calls of a trace. What is sent counts from where it begins, what is read or synced from where it has ended."""
    found: list[Step] = []
    begun: dict[tuple[str, str], tuple[str, str]] = {}
    for line in lines:
        if (whole := LINE.match(line)) is None:
            continue
        thread, rest = whole.groups()
        if (resumed := RESUMED.match(rest)) is not None:
            name, more = resumed.groups()
            target, text = begun.pop((thread, name), ("", ""))
            text += more
        elif (call := CALL.match(rest)) is not None:
            name, _descriptor, target, text = call.groups()
            if name in ("sendto", "sendmsg", "write", "writev"):
                found.append(Step("out", target, text))
                continue
            if text.endswith("<unfinished ...>"):
                begun[thread, name] = (target, text)
                continue
        else:
            continue
        if name in ("fsync", "fdatasync"):
            if target.endswith("gateway.db-wal") and text.endswith("= 0"):
                found.append(Step("sync", target, text))
        elif name in ("recvfrom", "recvmsg", "read") and not re.search(r"= (-1|0)\b", text):
            found.append(Step("in", target, text))
    return found


def answers(found: list[Step], base: int) -> dict[str, list[bool]]:
    """For each channel, whether each yes came after a sync that came after what it answers."""
    told: dict[str, list[bool]] = {name: [] for name in CHANNELS}
    last_in: dict[str, int] = {}
    asked: dict[bytes, int] = {}
    last_sync = -1
    for number, step in enumerate(found):
        if step.what == "sync":
            last_sync = number
        elif step.what == "in":
            last_in[step.peer] = number
            if f":{base + 4}]" in step.peer:
                asked |= dict.fromkeys(DELIVER_SM.findall(octets(step.text)), number)
        elif f":{base + 4}]" in step.peer:
            told["smpp"] += [asked.get(one, number) < last_sync for one in DELIVER_SM_RESP.findall(octets(step.text))]
        elif (channel := _yes(step, base)) is not None:
            told[channel].append(last_in.get(step.peer, number) < last_sync)
    return told


def _yes(step: Step, base: int) -> str | None:
    if "250 2.0.0 accepted" in step.text:
        return "mail"
    port = re.search(r":(\d+)->", step.peer)
    if "HTTP/1.1 200" in step.text and port is not None:
        return {base + 2: "phone", base + 6: "cloud"}.get(int(port[1]))
    return None


def octets(text: str) -> bytes:
    """What strace shows of a buffer."""
    shown = TEXT.search(text)
    return shown[1].encode("latin-1", "replace").decode("unicode_escape").encode("latin-1", "replace") if shown else b""


async def run(rounds: int, seed: int, how: tuple[str, ...] = ()) -> Verdict:
    """So many messages on each channel, one at a time."""
    async with stand(seed) as one:
        one.carriers.texts = TEXTS[:1]
        trace = one.folder / "trace"
        await one.launch(*how, before=("strace", "-D", "-f", "-yy", "-s", "2048", "-o", str(trace), "-e", TRACED))
        for _ in range(rounds):
            for channel in CHANNELS:
                before = len(one.ledger.acknowledged)
                one.carriers.room[channel] = 1
                async with asyncio.timeout(120):
                    while len(one.ledger.acknowledged) == before:
                        await asyncio.sleep(0.02)
        await one.kill(signal.SIGTERM)
        await one.launch()
        await one.up()
        await one.settled()
        await one.kill(signal.SIGTERM)
        found = await asyncio.to_thread(judge, one, "order of sync and reply", rounds, least=len(CHANNELS) * rounds)
        told = answers(steps(trace.read_text(errors="replace").splitlines()), one.gate.base)
    found.kinds = {name: f"{sum(good)} of {len(good)} answers after the sync" for name, good in told.items()}
    found.wrong += [f"{name}: only {len(good)} answers in the trace" for name, good in told.items() if len(good) < rounds]
    found.wrong += [f"{name}: {good.count(False)} answers before the sync" for name, good in told.items() if not all(good)]
    return found


async def control(rounds: int, seed: int) -> Verdict:
    """A gateway that replies before it stores: the trace must show it. What is shown counts as lost."""
    found = await run(rounds, seed, ("reply-before-store",))
    found.machine = "control: order of a gateway that replies before it stores"
    found.lost += [one for one in found.wrong if "before the sync" in one]
    return found
