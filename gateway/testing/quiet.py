"""That nothing a plugin says to the log or to the operator repeats a report or a secret."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator

CANARY = "金丝雀报文七三一九"
"""Words of a report that the harness sends through everything."""


class Heard(logging.Handler):
    """What was said. ``lines`` and ``words`` may be added to until the end."""

    def __init__(self, words: Iterable[str]) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.words = list(words)
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        # Formatted whole: the text of an exception that is logged with its trace is a leak as well.
        self.lines.append(self.format(record))


@contextlib.contextmanager
def silent_about(*words: str) -> Iterator[Heard]:
    """Within, no log line of any logger, at any level, may hold one of ``words``; nor may a line that is added to what this
    yields. Raises AssertionError at the end, with the logger's name and never with the word."""
    heard, root = Heard(words), logging.getLogger()
    level = root.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    try:
        yield heard
    finally:
        root.removeHandler(heard)
        root.setLevel(level)
    for line in heard.lines:
        source = line.partition(":")[0]
        assert not says(line, *heard.words), f"a log line or an alarm of {source} holds a word of a report or a secret"


def says(text: str, *words: str) -> bool:
    """True if ``text`` holds one of ``words``, plain or as an escaped repr."""
    return any(form in text for word in words if word for form in (word, ascii(word)[1:-1]))
