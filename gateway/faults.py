"""A fault of the configuration or of a plugin, as the operator sees it: where, which key, what, and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.i18n import _


@dataclass(frozen=True, order=True, slots=True)
class Fault:
    """One thing found wrong. ``file`` is relative to the configuration; ``grave`` is False for a mere warning."""

    file: str
    line: int
    key: str
    text: str
    grave: bool = True

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.text}"


class ConfError(Exception):
    """The configuration cannot be used. ``faults`` are all of them, sorted by file and line; ``causes`` stand first, because
    others may follow from them: a plugin that does not load leaves its kinds unknown."""

    def __init__(self, faults: Iterable[Fault], causes: Iterable[Fault] = ()) -> None:
        self.faults = [*sorted(causes), *sorted(faults)]
        super().__init__("\n".join(map(str, self.faults)))


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Names for "what is allowed", the first ``limit`` of them."""
    known = sorted(names)
    if not known:
        return _("none is configured")
    return ", ".join(known[:limit]) + (" …" if len(known) > limit else "")


def unknown_name(what: str, name: str, names: Iterable[str]) -> str:
    """``what`` is unknown: the nearest known name where there is one, and what is allowed."""
    known = list(names)
    near = difflib.get_close_matches(name, known, 1)
    text = _("unknown {what} {name!r}").format(what=what, name=name)
    if near:
        text += _(", did you mean {near!r}?").format(near=near[0])
    return text + _("; allowed: {allowed}").format(allowed=listed(known))
