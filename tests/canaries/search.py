"""Looks for thousands of words in all their forms at once, in files, archives and whatever else was caught."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tests.canaries.words import forms

KEY = 8
"""Octets by which a form is found before it is compared as a whole."""
CHUNK = 4 * 1024 * 1024
_SOFT = re.compile(rb"=?\r?\n[ \t]?")


class Search:
    """Made once for all words; ``words_in`` says which of them are in some octets."""

    def __init__(self, words: Iterable[str]) -> None:
        self._forms: dict[bytes, list[tuple[bytes, str]]] = {}
        for word in words:
            for form in forms(word):
                self._forms.setdefault(form[:KEY], []).append((form, word))
        self._keys = np.sort(np.frombuffer(b"".join(self._forms), dtype="<u8"))
        # Most places in a file begin no form: a table of all triples of octets says so at once.
        self._begins = np.zeros(1 << 24, dtype=bool)
        self._begins[(self._keys & 0xFFFFFF).astype(np.int64)] = True
        self._longest = max((len(form) for some in self._forms.values() for form, _word in some), default=KEY)

    def words_in(self, data: bytes) -> set[str]:
        """The words that stand in ``data`` in any form; lines that an encoding has folded are read as one."""
        found = self._scan(data)
        if b"\n" in data:
            found |= self._scan(_SOFT.sub(b"", data))
        return found

    def _scan(self, data: bytes) -> set[str]:
        found: set[str] = set()
        if not self._forms:
            return found
        for begin in range(0, len(data), CHUNK):
            piece = data[begin : begin + CHUNK + self._longest]
            if len(piece) < KEY:
                continue
            octets = np.frombuffer(piece, dtype=np.uint8)
            last = len(piece) - KEY + 1
            triples = octets[:last].astype(np.uint32)
            triples |= octets[1 : last + 1].astype(np.uint32) << 8
            triples |= octets[2 : last + 2].astype(np.uint32) << 16
            places = np.flatnonzero(self._begins[triples])
            windows = np.lib.stride_tricks.sliding_window_view(octets, KEY)[places]
            keys = np.ascontiguousarray(windows).view("<u8").ravel()
            at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            for place in places[self._keys[at] == keys]:
                head = piece[place : place + KEY]
                found |= {word for form, word in self._forms[head] if piece[place : place + len(form)] == form}
        return found


def opened(name: str, data: bytes, depth: int = 3) -> Iterator[tuple[str, bytes]]:
    """``data``, and what is packed in it: gzip, tar, zip. Of a tar, which packs nothing, the members and their names alone."""
    if data[257:262] == b"ustar" and depth:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            yield name, "\n".join(tar.getnames()).encode("utf-8", "surrogateescape")
            for member in tar:
                if (file := tar.extractfile(member)) is not None:
                    yield from opened(f"{name}/{member.name}", file.read(), depth - 1)
        return
    yield name, data
    if depth == 0:
        return
    if data[:2] == b"\x1f\x8b":
        try:
            yield from opened(name, gzip.decompress(data), depth - 1)
        except (OSError, EOFError, zlib.error):
            return
    elif data[:4] == b"PK\x03\x04" and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for inner in packed.namelist():
                yield from opened(f"{name}/{inner}", packed.read(inner), depth - 1)


def files(folder: Path) -> Iterator[Path]:
    """Every file under ``folder`` that can be read."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path
