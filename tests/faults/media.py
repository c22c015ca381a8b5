"""A disk that keeps only what was synced: what each file holds, what of it would survive a power cut, and what a cut leaves. Pure.

Stricter than ext4: a file's octets survive by fsync of the file alone, its name by fsync of its folder alone. What was not synced
survives by chance: not at all, up to some write with the last one torn, or any sectors of any writes in any order.
"""

from __future__ import annotations

import stat
import time
from dataclasses import dataclass, field
from random import Random

SECTOR = 512
FOLDER = stat.S_IFDIR | 0o755


@dataclass(eq=False)
class Node:
    """A file, folder or socket. ``data`` is what a reader sees, ``kept`` what is on the platter, ``loose`` what lies between:
    writes (offset, octets) and truncations (length, None) since the last sync."""

    mode: int
    name: str = ""
    data: bytearray = field(default_factory=bytearray)
    kept: bytearray = field(default_factory=bytearray)
    loose: list[tuple[int, bytes | None]] = field(default_factory=list)
    changed: float = field(default_factory=time.time)

    def write(self, octets: bytes, offset: int) -> None:
        """A write that nobody has synced yet."""
        put(self.data, offset, octets)
        self.loose.append((offset, octets))
        self.changed = time.time()

    def truncate(self, length: int) -> None:
        """The same for a change of length."""
        put(self.data, length, None)
        self.loose.append((length, None))
        self.changed = time.time()

    def sync(self) -> None:
        """All of it is on the platter now."""
        for offset, octets in self.loose:
            put(self.kept, offset, octets)
        self.loose.clear()

    def forget(self) -> None:
        """What an fsync that failed may do: the pages are clean now and were never written."""
        self.loose.clear()

    def cut(self, random: Random, how: str) -> None:
        """The power fails."""
        writes = self.loose
        if how == "nothing":
            writes = []
        elif how == "torn":
            writes = writes[: random.randint(0, len(writes))]
            if writes and (octets := writes[-1][1]):
                writes = [*writes[:-1], (writes[-1][0], octets[: random.randint(0, len(octets))])]
        else:
            writes = list(shaken(writes, random))
        for offset, octets in writes:
            put(self.kept, offset, octets)
        self.data, self.loose = bytearray(self.kept), []


def put(data: bytearray, offset: int, octets: bytes | None) -> None:
    """Write into ``data``, or with None cut or lengthen it to ``offset``."""
    if octets is None:
        del data[offset:]
        data.extend(bytes(offset - len(data)))
        return
    if offset > len(data):
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(octets)] = octets


def shaken(writes: list[tuple[int, bytes | None]], random: Random) -> list[tuple[int, bytes | None]]:
    """Any sectors of any writes, in any order; changes of length stay where they are, or are lost."""
    sectors: list[tuple[int, bytes | None]] = []
    for offset, octets in writes:
        if octets is None:
            if random.random() < 0.5:
                sectors.append((offset, None))
            continue
        cuts = range(0, len(octets), SECTOR)
        sectors += [(offset + at, octets[at : at + SECTOR]) for at in cuts if random.random() < 0.5]
    random.shuffle(sectors)
    return sectors


class Media:
    """The tree. Names are full paths; ``names`` is what is seen, ``kept_names`` what survives, ``loose_names`` the changes between
    as (folder, path, node or None), in order."""

    def __init__(self) -> None:
        root = Node(FOLDER)
        self.names: dict[str, Node] = {"/": root}
        self.kept_names: dict[str, Node] = {"/": root}
        self.loose_names: list[tuple[str, str, Node | None]] = []

    def used(self) -> int:
        """Octets in all files."""
        return sum(len(node.data) for node in self.names.values())

    def bind(self, path: str, node: Node | None) -> None:
        """Give ``path`` to a node, or take it away."""
        if node is None:
            del self.names[path]
        else:
            self.names[path] = node
            node.name = path
        self.loose_names.append((folder(path), path, node))

    def sync_folder(self, path: str) -> None:
        """The names in a folder are on the platter now."""
        for where, name, node in self.loose_names:
            if where == path:
                _bind(self.kept_names, name, node)
        self.loose_names = [one for one in self.loose_names if one[0] != path]

    def cut(self, random: Random) -> str:
        """The power fails; returns how what was loose was treated."""
        how = random.choice(("nothing", "torn", "any"))
        # Names are journaled: a beginning of what was done survives.
        survive = 0 if how == "nothing" else random.randint(0, len(self.loose_names))
        for _where, name, node in self.loose_names[:survive]:
            _bind(self.kept_names, name, node)
        self.loose_names = []
        for node in set(self.kept_names.values()):
            node.cut(random, how)
        self.kept_names = {name: node for name, node in self.kept_names.items() if not stat.S_ISSOCK(node.mode)}
        self.names = dict(self.kept_names)
        return how


def folder(path: str) -> str:
    """The folder that a path lies in."""
    return path.rpartition("/")[0] or "/"


def _bind(names: dict[str, Node], path: str, node: Node | None) -> None:
    if node is None:
        names.pop(path, None)
    else:
        names[path] = node
