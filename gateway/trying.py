"""What the outcome of one try to send means: the next state, when to try again, whether the next way is due. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from gateway.core.model import DeliveryState
from gateway.core.outcomes import Delivered, Outcome, Refused, TryLater
from gateway.settings_model import DispatchSettings
from gateway.store import deliveries


class Backoff(Struct, frozen=True, kw_only=True):
    """When to try again. Seconds throughout; the jitter is seeded by delivery and attempt, so a run can be repeated."""

    first: float = 5.0
    factor: float = 2.0
    longest: float = 300.0
    jitter: float = 0.1

    @classmethod
    def of(cls, conf: DispatchSettings) -> Backoff:
        """As conf says."""
        return cls(first=conf.retry_min, factor=conf.factor, longest=conf.retry_max)

    def after(self, delivery: str, attempt: int, asked: float | None = None) -> timedelta:
        """The wait after attempt number ``attempt`` (from 1) failed; ``asked`` is the peer's own wish, if longer."""
        wait: float = min(self.longest, self.first * self.factor ** min(attempt - 1, 30))
        seed = int.from_bytes(hashlib.sha256(f"{delivery}:{attempt}".encode()).digest()[:4], "big") / 2**32
        wait *= 1 + self.jitter * (2 * seed - 1)
        return timedelta(seconds=max(wait, asked or 0.0))


class Rules(Struct, frozen=True, kw_only=True):
    """Limits of dispatch, seconds; from conf."""

    fallback_after: int = 3
    give_up_after: float = 86_400.0
    send_timeout: float = 60.0
    concurrency: int = 32

    @classmethod
    def of(cls, conf: DispatchSettings) -> Rules:
        """As conf says."""
        return cls(
            fallback_after=conf.fallback_after,
            give_up_after=conf.give_up_after,
            send_timeout=conf.send_timeout,
            concurrency=conf.concurrency,
        )

    @property
    def lease(self) -> timedelta:
        """How long an attempt is ours: its own time and a minute to note what came of it."""
        return timedelta(seconds=self.send_timeout + 60)


class Verdict(Struct, frozen=True, kw_only=True):
    """What one outcome means for its delivery."""

    state: DeliveryState
    next_try_at: datetime | None = None
    why: str = ""
    refs: tuple[str, ...] = ()
    progress: dict[str, Any] = {}
    fall_back: bool = False
    exhausted: bool = False
    turn: bool = False


def judge(outcome: Outcome, row: deliveries.DeliveryRow, now: datetime, backoff: Backoff, rules: Rules) -> Verdict:
    """Pure: outcome and row → next state, when to try again, whether the next way is to be tried beside it."""
    match outcome:
        case Delivered(refs):
            return Verdict(state="delivered", refs=refs)
        case Refused(why):
            return Verdict(state="refused", why=why, fall_back=bool(row.ways), exhausted=not row.ways)
        case TryLater(why, after, progress):
            if now - row.created_at >= timedelta(seconds=rules.give_up_after):
                why = f"{why} (given up)"
                return Verdict(state="refused", why=why, fall_back=bool(row.ways), exhausted=not row.ways)
            if outcome.turn and after is not None:
                return Verdict(state="waiting", next_try_at=now + timedelta(seconds=max(after, 0.2)), why=why,
                               progress=progress, turn=True)  # fmt: skip
            return Verdict(
                state="waiting",
                next_try_at=now + backoff.after(row.id, row.attempts, after),
                why=why,
                progress=progress,
                fall_back=bool(row.ways) and row.attempts >= rules.fallback_after,
            )
