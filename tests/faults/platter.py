"""``platter.py MOUNT SOCKET``: a file system in memory, mounted by FUSE, that can lose its power and fail on command.

A process of its own; ``disk.Disk`` is its other end. Commands are JSON lines on SOCKET: ``rules`` sets the faults, ``cut`` cuts the power.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import sys
import threading
import time
from random import Random
from typing import Any

import mfusepy

from tests.faults.media import FOLDER, Media, Node, folder

MUTATING = {"write", "create", "mknod", "mkdir", "unlink", "rename", "truncate", "rmdir", "open-write"}


class Platter(mfusepy.Operations):
    """The operations. Every one of them asks the rules first, by its name and the end of the file's.

    A rule: ``ops``; ``match``, the end of a file's name; ``chance``; ``error``, an errno by name; ``seconds`` that the disk takes first.
    For fsync ``forget``: what was to be synced never will be, as Linux does it. For write ``short``: half of it is taken; ``torn``: half
    is written and an error told; ``room``: octets left until the disk is full.
    """

    use_ns = True

    def __init__(self) -> None:
        self.media = Media()
        self.rules: list[dict[str, Any]] = []
        self.random = Random(0)
        self.hits = 0
        self.full_at = 0
        self.handles: dict[int, Node] = {}
        self.guard = threading.RLock()
        self.syncs = 0

    # faults

    def _fault(self, op: str, name: str) -> dict[str, Any]:
        """The rule that strikes; raises its error, if it has one. ``seconds`` is how long the disk takes first."""
        if name.endswith("-shm"):
            return {}  # shared memory of SQLite's connections: on a disk it lives in the page cache, and no fault reaches it
        for rule in self.rules:
            ops = rule["ops"]
            if not (op in ops or ("mutating" in ops and op in MUTATING) or "all" in ops) or not name.endswith(
                rule.get("match", "")
            ):
                continue
            if self.random.random() >= rule.get("chance", 1.0):
                continue
            self.hits += 1
            if rule.get("seconds"):
                time.sleep(rule["seconds"])
            if "error" in rule and not (rule.get("forget") or rule.get("torn")):
                raise mfusepy.FuseOSError(getattr(errno, rule["error"]))
            return rule
        return {}

    def _node(self, path: str) -> Node:
        try:
            return self.media.names[path]
        except KeyError:
            raise mfusepy.FuseOSError(errno.ENOENT) from None

    # reading

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        with self.guard:
            node = self.handles.get(fh) if fh is not None else None
            node = node or self._node(path)
            at = int(node.changed * 1e9)
            return {
                "st_mode": node.mode, "st_nlink": 2 if stat.S_ISDIR(node.mode) else 1, "st_size": len(node.data), "st_uid": os.getuid(),
                "st_gid": os.getgid(), "st_mtime": at, "st_ctime": at, "st_atime": at, "st_blocks": (len(node.data) + 511) // 512,
            }  # fmt: skip

    def readdir(self, path: str, fh: int) -> Any:
        with self.guard:
            inside = [name.rpartition("/")[2] for name in self.media.names if name != "/" and folder(name) == path]
        return [".", "..", *inside]

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 1 << 20, "f_bfree": 1 << 19, "f_bavail": 1 << 19, "f_namemax": 255}

    def open(self, path: str, flags: int) -> int:
        with self.guard:
            self._fault("open-write" if flags & (os.O_WRONLY | os.O_RDWR) else "open", path)
            return self._handle(self._node(path))

    def _handle(self, node: Node) -> int:
        number = id(node)
        self.handles[number] = node
        return number

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        with self.guard:
            node = self.handles[fh]
            self._fault("read", node.name)
            return bytes(node.data[offset : offset + size])

    # changing

    def create(self, path: str, mode: int, flags: int = 0) -> int:
        with self.guard:
            self._fault("create", path)
            node = Node(stat.S_IFREG | stat.S_IMODE(mode))
            self.media.bind(path, node)
            return self._handle(node)

    def mknod(self, path: str, mode: int, dev: int) -> int:
        with self.guard:
            self._fault("mknod", path)
            self.media.bind(path, Node(mode))
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        with self.guard:
            self._fault("mkdir", path)
            self.media.bind(path, Node(FOLDER & ~0o777 | stat.S_IMODE(mode)))
        return 0

    def unlink(self, path: str) -> int:
        with self.guard:
            self._fault("unlink", path)
            self._node(path)
            self.media.bind(path, None)
        return 0

    rmdir = unlink

    def rename(self, old: str, new: str) -> int:
        with self.guard:
            self._fault("rename", old)
            node = self._node(old)
            self.media.bind(old, None)
            self.media.bind(new, node)
        return 0

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        with self.guard:
            node = self.handles[fh]
            rule = self._fault("write", node.name)
            if "room" in rule and self.media.used() + max(0, offset + len(data) - len(node.data)) > self.full_at + rule["room"]:
                raise mfusepy.FuseOSError(errno.ENOSPC)
            if (rule.get("short") or rule.get("torn")) and len(data) > 1:
                data = data[: len(data) // 2]
            node.write(data, offset)
            if rule.get("torn"):
                raise mfusepy.FuseOSError(getattr(errno, rule["error"]))
            return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        with self.guard:
            node = self.handles.get(fh or 0) or self._node(path)
            self._fault("truncate", node.name)
            node.truncate(length)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        with self.guard:
            node = self._node(path)
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        return 0

    # keeping

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        with self.guard:
            node = self.handles[fh]
            rule = self._fault("fsync", node.name)
            if rule.get("forget"):
                node.forget()
                raise mfusepy.FuseOSError(getattr(errno, rule["error"]))
            node.sync()
            self.syncs += 1
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        with self.guard:
            self._fault("fsyncdir", path)
            self.media.sync_folder(path)
        return 0

    # commands

    def command(self, asked: dict[str, Any]) -> Any:
        with self.guard:
            if asked["do"] == "rules":
                self.rules, self.random, self.hits = asked["rules"], Random(asked.get("seed", 0)), 0
                self.full_at = self.media.used()
            elif asked["do"] == "cut":
                self.rules = []
                return self.media.cut(Random(asked["seed"]))
            return {"hits": self.hits, "used": self.media.used(), "syncs": self.syncs}


def _serve(platter: Platter, listener: socket.socket) -> None:
    while True:
        peer, _address = listener.accept()
        with peer, peer.makefile("rwb") as lines:
            for line in lines:
                lines.write(json.dumps(platter.command(json.loads(line))).encode() + b"\n")
                lines.flush()


def main() -> None:
    mount, path = sys.argv[1:]
    platter = Platter()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    threading.Thread(target=_serve, args=(platter, listener), daemon=True).start()
    mfusepy.FUSE(
        platter, mount, foreground=True, nothreads=True, attr_timeout=0, entry_timeout=0, negative_timeout=0, fsname="faults",
    )  # fmt: skip


if __name__ == "__main__":
    main()
