"""What came of a machine's run: counts, figures, and everything that is wrong."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.hostile.stand import Stand


class Verdict:
    """Of one machine. ``wrong`` is empty where all is well."""

    def __init__(self, machine: str) -> None:
        self.machine = machine
        self.counts: Counter[str] = Counter()
        self.figures: dict[str, str] = {}
        self.wrong: list[str] = []
        self.seconds = 0.0

    @property
    def good(self) -> bool:
        return not self.wrong

    def count(self, what: str, many: int = 1) -> None:
        self.counts[what] += many

    def stands(self, made: Stand) -> None:
        """Note how the daemon stands at the end."""
        everything, own = made.lag()
        self.figures["longest turn of the loop"] = f"{everything * 1000:.0f} ms, {own * 1000:.0f} ms its own"
        self.figures["main process"] = f"{made.memory():.0f} MiB at most"
        self.wrong += made.calm()
        self.wrong += made.stop()

    def line(self) -> str:
        """Everything in one line."""
        counts = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        figures = "; ".join(f"{name}: {value}" for name, value in self.figures.items())
        return f"{self.machine}: {'good' if self.good else 'WRONG'}; {counts}; {figures} ({self.seconds:.0f} s)"

    def as_dict(self) -> dict[str, Any]:
        return {"machine": self.machine, "good": self.good, "counts": self.counts, "figures": self.figures, "wrong": self.wrong,
                "seconds": round(self.seconds, 1)}  # fmt: skip
