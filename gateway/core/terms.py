"""Words of the catalogue's concepts in a text: found where they stand and are not denied, fast enough for every message.

A concept is a list of words; ``A…B`` in it means A, then B within a dozen characters of the same clause.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import add

from msgspec import Struct

from gateway.core.folding import fold, fold_char

_GAP = 12
_TEXT_LIMIT = 60_000
_DENIED = re.compile(
    r"(?:未|没有?|无|非|不是|并非|排除|防止|避免|预防|杜绝|防范|以免|谨防|严防|未发现|未造成|没发生|未发生|没造成"
    r"|不构成|未引发|不存在|否认)(?:有|任何|造成|发生|出现|人员|明显|较大|大的|引起|导致|被|人为|一起|一例){0,3}$"
    r"|(?:未发生|未发现|未出现|没有发生|没有发现|没发现|不存在)[^，。;:、\n]{1,6}(?:、[^，。;:、\n]{1,6})?[、或和及]被?$"
)
ENDS = re.compile(r"[。!?;\n]")
"""Where a sentence ends, in folded text."""
CLAUSE_ENDS = re.compile(r"[，,。!?;:\n]")
"""Where a clause ends."""


class Words(Struct, frozen=True):
    """A concept: plain words, found by search, and pairs of words that may have something between them (A…B)."""

    plain: tuple[str, ...]
    gapped: tuple[tuple[str, re.Pattern[str]], ...] = ()
    heads: frozenset[str] = frozenset()
    """How the words begin, two characters of each: a text that holds none of them holds none of the words."""


class Text:
    """A text prepared for looking words up; answers are remembered for as long as it is judged."""

    def __init__(self, concepts: Mapping[str, Words], *texts: str) -> None:
        self.text = "\n".join(folded_lines(text[:_TEXT_LIMIT]) for text in texts)
        self._pairs = {*self.text, *map(add, self.text, self.text[1:])}
        self.may_name = frozenset(name for name, words in concepts.items() if not words.heads.isdisjoint(self._pairs))
        """The concepts that the text may name; of all others it holds no word."""
        self._concepts = concepts
        self._found: dict[str, tuple[tuple[int, str], ...]] = {}

    def hits(self, concept: str) -> tuple[tuple[int, str], ...]:
        """The places and words of ``concept`` that are not denied, in order; the first few of each word."""
        found = self._found.get(concept)
        if found is None:
            found = self.find(self._concepts[concept]) if concept in self.may_name else ()
            self._found[concept] = found
        return found

    def find(self, words: Words) -> tuple[tuple[int, str], ...]:
        """The same for words that no concept names."""
        return tuple(sorted(self._search(words)))

    def _search(self, words: Words) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        if words.heads.isdisjoint(self._pairs):
            return found
        for word in words.plain:
            if word[:2] not in self._pairs:
                continue
            at, tries = self.text.find(word), 0
            while at >= 0 and tries < 50:
                if not self._denied(at):
                    found.append((at, word))
                at, tries = self.text.find(word, at + len(word)), tries + 1
        for head, pattern in words.gapped:
            if head not in self._pairs:
                continue
            for tries, match in enumerate(pattern.finditer(self.text)):
                if tries >= 50:
                    break
                if not self._denied(match.start()) and not self._denied(match.start(1)):
                    found.append((match.start(), match[0]))
        return found

    def _denied(self, at: int) -> bool:
        return _DENIED.search(self.text[max(0, at - 18) : at]) is not None

    def around(self, at: int, ends: re.Pattern[str]) -> tuple[int, int]:
        """The bounds of the sentence or clause around ``at``: from one of ``ends`` to the next, 200 characters at most."""
        left = max(0, at - 100)
        for end in ends.finditer(self.text, left, at):
            left = end.end()
        found = ends.search(self.text, at, at + 100)
        return left, found.start() if found else min(len(self.text), at + 100)


def folded_lines(text: str) -> str:
    """``text`` folded, white space dropped, a line end kept only after the end of a sentence or a short line."""
    lines = text.splitlines()
    made = []
    for line in lines:
        folded = fold(line)
        made.append(folded + ("" if len(folded) >= 20 and folded[-1:] not in "。!?;:" else "\n"))
    return "".join(made).rstrip("\n")


def parse_words(words: tuple[str, ...]) -> Words:
    """A list of words, folded as the texts are in which they are looked up."""
    folded = ["".join(map(fold_char, word)) for word in words]
    plain = tuple(word for word in folded if "…" not in word)
    heads = frozenset(word.partition("…")[0][:2] for word in folded)
    gapped = tuple((word.partition("…")[0][:2], _gapped(word.split("…"))) for word in folded if "…" in word)
    return Words(plain, gapped, heads)


def _gapped(pieces: list[str]) -> re.Pattern[str]:
    between = f"[^，。!?;\\n]{{0,{_GAP}}}?"
    *first, last = map(re.escape, pieces)
    return re.compile(between.join((*first, f"({last})")))
