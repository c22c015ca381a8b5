"""Upsets beside storage: clocks that jump, a process that is stopped for longer than the watchdog, carriers that vanish in mid-PDU."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from gateway.conf_edit import set_key
from gateway.demo.smsc import deliver_sm
from gateway_plugins.smpp import pdu as smpp
from tests.faults import ledger
from tests.faults.carriers import SENDERS, call, mail
from tests.faults.judge import Verdict, judge
from tests.faults.ledger import CHANNELS, Letter
from tests.faults.stand import Stand, stand

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
JUMPS = {
    "an hour forward": "+1h", "a day forward": "+1d", "a year forward": "+400d", "an hour back": "-1h", "a day back": "-1d",
    "ten years back": "-3650d",
}  # fmt: skip
SUMMER = {
    "summer time begins": "@2026-03-29 00:59:50",  # UTC; 01:59:50 → 03:00:00 in Berlin
    "summer time ends": "@2026-10-25 00:59:50",
}
LOOKS = 1.2
"""libfaketime looks at the file once a second."""
WATCHDOG = 3.0


async def run(rounds: int, seed: int, sample: int | None = None) -> Verdict:
    """Every kind of upset so many times; with ``sample`` so many jumps of the clock, and each carrier vanishes once."""
    total = Verdict("upsets")
    random = Random(seed)
    if sample is not None:
        await total.take(_clocks(seed, random, sample), sample)
        await total.take(_vanishing(seed, random, 1), len(CHANNELS))
        return total
    for number in range(rounds):
        at = seed + 1000 * number
        await total.take(_clocks(at, random), len(JUMPS))
        for name, start in SUMMER.items():
            await total.take(_summer(name, start, at), 1)
        await total.take(_stopped(at, random), 2)
        await total.take(_vanishing(at, random), 3 * len(CHANNELS))
    return total


async def _end(one: Stand, rounds: int, kinds: dict[str, float], least: int = 8) -> Verdict:
    await one.settled()
    await one.kill(signal.SIGTERM)
    found = await asyncio.to_thread(judge, one, "upsets", rounds, least=least)
    found.kinds = {name: round(took, 2) for name, took in kinds.items()}
    found.wrong += [f"{name}: accepting again took {took:.2f} s" for name, took in kinds.items() if took > ledger.AGAIN_WITHIN]
    return found


# clocks


@asynccontextmanager
async def _faked(one: Stand, start: str) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """The wall clock of the daemon is what a file says; CLOCK_MONOTONIC and CLOCK_BOOTTIME are true."""
    file = one.folder / "wall-clock"
    file.write_text(start)
    faked = [
        f"LD_PRELOAD={FAKETIME}",
        f"FAKETIME_TIMESTAMP_FILE={file}",
        "FAKETIME_CACHE_DURATION=1",
        "DONT_FAKE_MONOTONIC=1",
        "FAKETIME_DONT_RESET=1",
    ]
    assert Path(FAKETIME).exists(), "libfaketime is missing: sh .ci/peers/faults.sh"
    await one.launch(before=("env", "TZ=UTC", *faked))

    async def set_to(words: str) -> None:
        new = file.with_suffix(".new")
        new.write_text(words)
        new.replace(file)
        await asyncio.sleep(LOOKS)

    yield set_to


async def _clocks(seed: int, random: Random, jumps: int = len(JUMPS)) -> Verdict:
    took: dict[str, float] = {}
    async with stand(seed) as one, _faked(one, "+0") as set_to:
        await one.up(note=False)
        for name, jump in random.sample(list(JUMPS.items()), jumps):
            one.mark(name)
            await set_to(jump)
            took[name] = await one.up()
            one.carriers.allow(3)
            await asyncio.sleep(random.uniform(0.5, 1.5))
            await set_to("+0")
            await one.up()
        return await _end(one, jumps, took)


async def _summer(name: str, start: str, seed: int) -> Verdict:
    """A city with summer time, whose clock comes to the change while reports come in."""
    async with stand(seed) as one:
        file = one.gate.conf / "gateway.toml"
        file.write_text(set_key(file.read_text(encoding="utf-8"), ("gateway", "timezone"), "Europe/Berlin"), encoding="utf-8")
        async with _faked(one, start):
            await one.up(note=False)
            until = time.monotonic() + 12
            while time.monotonic() < until:
                one.carriers.allow(1)
                await asyncio.sleep(0.5)
            took = await one.up()
            return await _end(one, 1, {name: took})


# a process that does not turn


async def _stopped(seed: int, random: Random) -> Verdict:
    """SIGSTOP for longer than the watchdog: once SIGCONT comes in time to go on, once systemd ends it and starts it anew."""
    took: dict[str, float] = {}
    async with stand(seed, environ={"WATCHDOG_USEC": str(int(WATCHDOG * 1e6))}) as one:
        await one.launch()
        await one.up(note=False)
        assert one.process is not None
        for name, ends in (("stopped and continued", False), ("stopped, ended by the watchdog", True)):
            one.carriers.allow(3)
            await asyncio.sleep(random.uniform(0, 0.3))
            one.process.signal(signal.SIGSTOP)
            await asyncio.sleep(WATCHDOG * 1.7)
            since = time.monotonic()
            if ends:
                await one.kill()  # a stopped process takes no SIGABRT; systemd follows it with SIGKILL
                await one.launch()
            else:
                one.process.signal(signal.SIGCONT)
            took[name] = await one.up(since)
        return await _end(one, 2, took)


# carriers that vanish


async def _vanishing(seed: int, random: Random, times: int = 3) -> Verdict:
    """Each carrier breaks off in the middle of a message, and brings it again later."""
    took: dict[str, float] = {}
    async with stand(seed) as one:
        await one.launch()
        await one.up(note=False)
        for name in CHANNELS * times:
            letter = one.carriers.write(name)
            await _break_off(one, letter, random)
            one.carriers.resend(letter)
            took[f"{name} broke off"] = max(took.get(f"{name} broke off", 0.0), await one.up())
        return await _end(one, times * len(CHANNELS), took)


async def _break_off(one: Stand, letter: Letter, random: Random) -> None:
    """Send a beginning of the message and reset the connection."""
    if letter.channel == "smpp":
        octets = smpp.encode(
            smpp.Pdu(
                command=smpp.Command.DELIVER_SM, sequence=900_000, body=deliver_sm(SENDERS["smpp"], "1069000000", letter.parts[0])
            )
        )
        one.smsc.link.send_bytes(octets[: random.randint(1, len(octets))])
        await asyncio.sleep(random.uniform(0, 0.05))
        await one.smsc.cut()
        return
    if letter.channel == "mail":
        port, head, body = (
            one.gate.base,
            b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<report@gateway.test>\r\nDATA\r\n",
            mail(letter) + b"\r\n",
        )
    else:
        port, path, content, headers = call(letter, one.gate.base, one.gate.secret)
        lines = [
            f"POST {path} HTTP/1.1",
            "Host: gateway",
            "Content-Type: application/json",
            *headers,
            f"Content-Length: {len(content)}",
        ]
        head, body = "\r\n".join([*lines, "", ""]).encode(), content
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        for line in head.splitlines(keepends=True) if letter.channel == "mail" else [head]:
            sock.sendall(line)
            if letter.channel == "mail":
                await asyncio.to_thread(sock.recv, 4096)
        with contextlib.suppress(OSError):
            sock.sendall(body[: random.randint(0, len(body))])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
