"""When a plugin's process that failed is started again: backoff with seeded jitter, and a breaker. Pure; seconds throughout."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """How a plugin is started again. After ``most`` failures within ``window`` it rests for ``rest``."""

    first: float = 1.0
    longest: float = 60.0
    most: int = 5
    window: float = 300.0
    rest: float = 300.0
    jitter: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a plugin's process has done so far: the instants of its failures, and when it may be started again.

    ``resting`` is true while the breaker is open and during the one try that follows (half open).
    """

    failures: tuple[float, ...] = ()
    total: int = 0
    not_before: float = 0.0
    resting: bool = False


def failed(record: Record, now: float, plugin: str, rules: Restarts) -> Record:
    """The process failed at ``now``. A failure of the one try after a rest opens the breaker again at once."""
    recent = (*(at for at in record.failures if now - at < rules.window), now)
    trying = record.resting and now - record.not_before < rules.window
    total = record.total + 1
    if trying or len(recent) >= rules.most:
        return Record(failures=recent, total=total, not_before=now + rules.rest, resting=True)
    wait = min(rules.longest, rules.first * 2 ** (len(recent) - 1))
    seed = int.from_bytes(hashlib.sha256(f"{plugin}:{total}".encode()).digest()[:4], "big") / 2**32
    wait *= 1 + rules.jitter * (2 * seed - 1)
    return Record(failures=recent, total=total, not_before=now + wait, resting=False)


def wait(record: Record, now: float) -> float:
    """Seconds until the process may be started; 0 where it may now."""
    return max(0.0, record.not_before - now)


def settled(record: Record, now: float, rules: Restarts) -> Record:
    """A process that has lived through a whole window has no past."""
    if record.failures and now - record.failures[-1] >= rules.window and now >= record.not_before + rules.window:
        return replace(record, failures=(), resting=False)
    return record


def together(now: float, wait: float) -> float:
    """Seconds to wait instead of ``wait``: until the next full second of the clock, so that what floods goes in as few commits
    as there are seconds."""
    return math.ceil(now + wait) - now


@dataclass(slots=True)
class Bucket:
    """So many a second on the long run, ``burst`` at once. ``take`` says how long to wait."""

    rate: float
    burst: float
    level: float = 0.0
    at: float = 0.0

    def take(self, now: float) -> float:
        """Take one; the seconds after which it is ours."""
        self.level = max(0.0, self.level - (now - self.at) * self.rate)
        self.at = now
        self.level += 1
        return max(0.0, (self.level - self.burst) / self.rate)
