"""One run: letters are sent through all ways and all troubles, then every place where a word must not be is searched."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.canaries.house import House, house
from tests.canaries.letters import Writer
from tests.canaries.search import Search, files, opened
from tests.canaries.sending import send, stranger
from tests.canaries.words import Canary, Surface, Words

AT_ONCE = 8
STRANGERS = 6
"""Of so many letters one is followed by a stranger."""
PHASES = ("calm", "workers die", "carriers refuse", "store fails", "carriers cut", "calm again")
SHARES = (0.3, 0.15, 0.15, 0.1, 0.1, 0.2)


@dataclass(frozen=True)
class Leak:
    """A word that stands where it must not."""

    canary: Canary
    surface: Surface
    where: str

    def __str__(self) -> str:
        one = self.canary
        return f"{self.surface}: {one.place} ({one.way}, {'marked' if one.marked else 'unmarked'}) {one.word} in {self.where}"


@dataclass
class Outcome:
    """What a run found. ``seen`` counts the words that were found where they may be, by place and surface: the control."""

    canaries: Counter[tuple[str, bool]] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    octets: Counter[Surface] = field(default_factory=Counter)
    seen: Counter[tuple[str, Surface]] = field(default_factory=Counter)
    leaks: list[Leak] = field(default_factory=list)
    envelopes: int = 0
    posts: int = 0
    kills: int = 0
    """Workers that were killed while there was something to read."""


async def run(folder: Path, count: int, seed: int, told: Callable[[str], None] = lambda text: None) -> Outcome:
    """Plant ``count`` canaries or a few more. ``folder`` is empty; what it holds afterwards is what was searched."""
    words, outcome = Words(seed), Outcome()
    writer = Writer(words, seed)
    async with house(folder) as made:
        sent = 0
        until = 0.0
        for phase, share in zip(PHASES, SHARES, strict=True):
            until += share
            told(f"{phase}: {len(words.made)} canaries in {sent} letters")
            async with _trouble(made, phase):
                first = True
                while first or len(words.made) < count * until:
                    first = False
                    letters = [writer.next() for _ in range(AT_ONCE)]
                    outcome.letters.update(one.way for one in letters)
                    work = [send(made, one) for one in letters]
                    work += [stranger(made, words, sent + n) for n in range(AT_ONCE) if (sent + n) % STRANGERS == 0]
                    sent += len(letters)
                    await asyncio.gather(*work)
            await asyncio.to_thread(made.snapshot)
        await made.settled(60 + count / 20)
        told(f"all are read: {len(words.made)} canaries in {sent} letters")
        for state in ("read", "needs_person", "quarantined", "duplicate", "ignored"):
            outcome.states[state] = len(await asyncio.to_thread(made.ask, "messages", state=state, limit=100_000) or ())
        await asyncio.to_thread(made.board_made_anew)
        scraped = await asyncio.to_thread(_scrape, made)
        shown = [await asyncio.to_thread(made.gate.run_command, "backup", str(folder / "backup.tar"))]
        await asyncio.to_thread(made.snapshot)
    outcome.canaries.update((one.place, one.marked) for one in words.made.values())
    outcome.envelopes = len(made.peer.envelopes)
    outcome.kills = made.kills
    outcome.posts = sum(b"/reports" in one for one in made.peer.urls)
    told("searching")
    search = Search(words.made)
    caught = [("metrics", "/metrics, /health", scraped), ("log", "backup's output", "".join(shown).encode()), *_caught(made)]
    for surface, where, data in (*caught, *_on_disk(made)):
        outcome.octets[surface] += len(data)
        for word in search.words_in(data):
            canary = words.made[word]
            if surface in canary.allowed:
                outcome.seen[canary.place, surface] += 1
            else:
                outcome.leaks.append(Leak(canary, surface, where))
    return outcome


@asynccontextmanager
async def _trouble(made: House, phase: str) -> AsyncIterator[None]:
    """The trouble of a phase, for as long as it is sent in."""
    steady: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "workers die": made.workers_die, "carriers refuse": made.carriers_refuse,
    }  # fmt: skip
    waves = {"store fails": _store_waves, "carriers cut": _cuts}
    if phase in waves:
        task = asyncio.create_task(waves[phase](made))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    else:
        with steady[phase]() if phase in steady else contextlib.nullcontext():
            yield
            if phase == "workers die":
                await made.settled(120)
            if phase == "carriers refuse":
                await asyncio.sleep(1)  # what was queued is tried, and refused


async def _store_waves(made: House) -> None:
    """A second of trouble, a second without: carriers come again, and are taken in between."""
    while True:
        with made.store_fails():
            await asyncio.sleep(1)
        await asyncio.sleep(1)


async def _cuts(made: House) -> None:
    while True:
        await asyncio.sleep(0.7)
        await made.smsc.cut()


def _scrape(made: House) -> bytes:
    found = b""
    for path in ("/metrics", "/health"):
        connection = http.client.HTTPConnection("127.0.0.1", made.gate.base + 3, timeout=20)
        connection.request("GET", path)
        answer = connection.getresponse()
        found += str(answer.getheaders()).encode() + answer.read()
        connection.close()
    return found


def _caught(made: House) -> Iterator[tuple[Surface, str, bytes]]:
    """What was caught while it ran."""
    yield "sentry", "envelopes", b"\n".join(made.peer.envelopes)
    yield "urls", "addresses and headers", b"\n".join(made.peer.urls)
    yield "processes", "/proc", b"\n".join(made.processes)
    yield "names", "open files", "\n".join(made.names).encode("utf-8", "surrogateescape")
    yield "alarms", "mails to operators", b"\n".join(made.mails.alarms)
    yield "told", "mails", b"\n".join(made.mails.told)
    yield "told", "short messages", "\n".join(one.text for one in made.smsc.sent).encode()


def _on_disk(made: House) -> Iterator[tuple[Surface, str, bytes]]:
    """Every file under the run's folder, and all their names."""
    names = []
    for path in files(made.folder):
        short = str(path.relative_to(made.folder))
        names.append(short)
        for name, data in opened(short, path.read_bytes()):
            yield _surface(name, path, made), name, data
    yield "names", "files", "\n".join(names).encode("utf-8", "surrogateescape")


def _surface(name: str, path: Path, made: House) -> Surface:
    """What a file is: by its name, within a backup too."""
    if path == made.gate.log:
        return "log"
    if path == made.siren:
        return "alarms"
    last = name.rpartition("/")[2]
    if last.startswith("audit"):
        return "audit"
    if last.startswith("board."):
        return "board"
    if last.startswith("gateway.db"):
        return "backup" if name.startswith("backup") else "store"
    return "files"
