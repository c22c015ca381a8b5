"""Canaries and where each may stand in the clear, and every form in which a word can lie in a file. Pure."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal
from urllib.parse import quote

Sort = Literal["han", "latin", "digits"]
Surface = Literal[
    "log", "alarms", "audit", "store", "backup", "metrics", "sentry", "processes", "names", "urls", "files", "told",
    "board",
]  # fmt: skip

NOWHERE: frozenset[Surface] = frozenset()
KEPT: frozenset[Surface] = frozenset({"store", "backup"})
"""In columns of the data base, and so in its backups."""
SENDER = KEPT | {"told", "board"}
"""The same, in the notice of a marked message, and among those to be rung up about one that nobody could read yet: whose it is, not
what it says."""
RECORDED = SENDER | {"audit"}

PLACES: Mapping[str, tuple[Sort, frozenset[Surface], frozenset[Surface]]] = {
    # what it is: how it is written, where it may stand of an unmarked report, and of a marked one
    "text": ("han", NOWHERE, NOWHERE),
    "title": ("han", KEPT | {"board"}, NOWHERE),
    "sender name": ("han", NOWHERE, NOWHERE),
    "sender number": ("digits", SENDER, SENDER),
    "sender mail address": ("latin", RECORDED, RECORDED),
    "recipient in a header": ("latin", NOWHERE, NOWHERE),
    "recipient name": ("han", NOWHERE, NOWHERE),
    "recipient number": ("digits", KEPT, KEPT),
    "refused recipient": ("latin", NOWHERE, NOWHERE),
    "carrier id": ("latin", KEPT, KEPT),
    "header": ("han", NOWHERE, NOWHERE),
    "attachment name": ("han", NOWHERE, NOWHERE),
    "attachment text": ("han", NOWHERE, NOWHERE),
    "broken attachment": ("han", NOWHERE, NOWHERE),
    "HTML": ("han", NOWHERE, NOWHERE),
    "speaker": ("han", NOWHERE, NOWHERE),
    "HTTP field": ("latin", NOWHERE, NOWHERE),
    "HTTP header": ("latin", NOWHERE, NOWHERE),
    "HTTP path": ("latin", NOWHERE, NOWHERE),
    "refused body": ("han", NOWHERE, NOWHERE),
    "password": ("latin", NOWHERE, NOWHERE),
    "account": ("latin", NOWHERE, NOWHERE),
    "SMTP command": ("latin", NOWHERE, NOWHERE),
    "no PDU": ("latin", NOWHERE, NOWHERE),
    "file name": ("latin", KEPT | {"names"}, KEPT | {"names"}),
}


@dataclass(frozen=True)
class Canary:
    """One word, where it was put, by which way, and whether the message bears a marking."""

    word: str
    place: str
    way: str
    marked: bool

    @property
    def allowed(self) -> frozenset[Surface]:
        """Where it may stand in the clear. What is not marked goes out to offices."""
        return PLACES[self.place][2] if self.marked else PLACES[self.place][1] | {"told"}


def _plain() -> str:
    """Han characters of GB 2312 that nothing reads: no numeral, no marking, nothing of two widths."""
    read = set(
        "〇零一二两三四五六七八九十百千万亿半几数余多近约绝机秘密密级件急死亡伤失踪人年月日时分秒省市县区镇乡村路街号楼厂矿"
    )
    found = []
    for high in range(0xD8, 0xF7):  # the second level of GB 2312: rare ones
        for low in range(0xA1, 0xFF):
            try:
                char = bytes((high, low)).decode("gb2312")
            except UnicodeDecodeError:
                continue
            if char not in read:
                found.append(char)
    return "".join(found)


PLAIN = _plain()


class Words:
    """Makes canaries, no word twice. ``made`` holds them all."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.made: dict[str, Canary] = {}

    def new(self, place: str, way: str, marked: bool) -> str:
        """A fresh word for ``place``."""
        sort = PLACES[place][0]
        while True:
            if sort == "han":
                word = "".join(self._random.choices(PLAIN, k=6))
            elif sort == "latin":
                word = "q" + "".join(self._random.choices(string.ascii_lowercase + string.digits, k=15))
            else:
                word = "19" + "".join(self._random.choices(string.digits, k=9))
            if word not in self.made:
                self.made[word] = Canary(word, place, way, marked)
                return word

    def taken_back(self, word: str, place: str) -> None:
        """``word`` stands in another place after all."""
        old = self.made[word]
        self.made[word] = Canary(word, place, old.way, old.marked)


def forms(word: str) -> set[bytes]:
    """Every way in which ``word`` may lie in a file, 8 octets long or longer."""
    found: set[bytes] = {word.encode("unicode_escape"), json.dumps(word)[1:-1].encode()}
    found |= {"".join(f"&#{ord(c)};" for c in word).encode(), "".join(f"&#x{ord(c):x};" for c in word).encode()}
    for encoding in ("utf-8", "gb18030", "utf-16-le", "utf-16-be"):
        raw = word.encode(encoding)
        found |= {raw, raw.hex().encode(), raw.hex().upper().encode(), *_in_base64(raw)}
        found.add("".join(f"={octet:02X}" for octet in raw).encode())
        percent = quote(raw, safe="")
        if "%" in percent:
            found |= {percent.encode(), percent.lower().encode()}
    # PostgreSQL and repr() of octets write them so; Python's repr of a string escapes nothing of these.
    found.add(repr(word.encode())[2:-1].encode())
    return {form for form in found if len(form) >= 8}


def _in_base64(raw: bytes) -> set[bytes]:
    """The inner characters of its base64 at each of the three places where it may begin, also of the URL's alphabet."""
    found = set()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw)
        begin = -(-shift * 8 // 6)
        end = (shift + len(raw)) * 8 // 6
        found |= {text[begin:end], text[begin:end].translate(bytes.maketrans(b"+/", b"-_"))}
    return found
