"""``gateway doctor``: is this host ready? Facts are gathered (``gather``), then judged by pure checks (``checks``).

It needs no lock and changes nothing; every question is bounded in time; no message is sent.
"""

from __future__ import annotations

from pathlib import Path

from gateway.doctor.facts import Facts, Finding

__all__ = ["Facts", "Finding", "examine"]


def examine(conf: Path) -> list[Finding]:
    """Every finding about the configuration in ``conf`` and the host."""
    from gateway.doctor import checks, gather

    return checks.judge(gather.gather(conf))
