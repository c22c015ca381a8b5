"""What a transport may answer. A closed set: only an unexpected exception is anything else."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class Delivered(Struct, frozen=True):
    """The peer said yes. ``refs`` are the peer's ids, one per part, by which later receipts are matched."""

    refs: tuple[str, ...] = ()


class TryLater(Struct, frozen=True):
    """Not now. ``why`` is for the operator; ``after`` asks for at least so many seconds; ``progress`` comes back next time.

    ``turn`` says that nothing failed: it waits its turn before a peer that takes only so many a minute. It is tried after
    ``after`` seconds exactly, so that those who wait come in their order, and no other way is tried beside it for that."""

    why: str
    after: float | None = None
    progress: dict[str, Any] = {}
    turn: bool = False


class Refused(Struct, frozen=True):
    """Never by this way. The next way to the same office is tried at once."""

    why: str


Outcome = Delivered | TryLater | Refused


class Receipt(Struct, frozen=True, kw_only=True):
    """A carrier's later word on one part: ``ref`` as the carrier wrote it, leading zeros kept. Delivered is not read.

    ``acknowledged`` is the word of another gateway: a person there has it, and ``detail`` names that person and the office.
    """

    via: str
    ref: str
    state: Literal["delivered", "failed", "acknowledged"]
    detail: str = ""
