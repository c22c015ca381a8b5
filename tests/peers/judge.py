"""tshark as a judge of octets: a stream is put into a capture file, and the dissector says what it sees."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PORT = 7890


def capture(path: Path, frames: list[tuple[bytes, bool]]) -> None:
    """A capture of one TCP connection to port 7890: each frame a packet; True, where the client sent it."""
    sequence = {True: 1, False: 1}
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))  # LINKTYPE_RAW
        for number, (payload, ours) in enumerate(frames):
            ports = (40000, PORT) if ours else (PORT, 40000)
            tcp = struct.pack(">HHIIBBHHH", *ports, sequence[ours], sequence[not ours], 5 << 4, 0x18, 65535, 0, 0)
            sequence[ours] += len(payload)
            addresses = (b"\x7f\0\0\1", b"\x7f\0\0\2") if ours else (b"\x7f\0\0\2", b"\x7f\0\0\1")
            size = 40 + len(payload)
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size, number, 0, 64, 6, 0, *addresses)
            file.write(struct.pack("<IIII", 1_795_000_000 + number, 0, size, size) + ip + tcp + payload)


def split(stream: bytes) -> Iterator[bytes]:
    """The messages of a stream, by their lengths."""
    while stream:
        length = int.from_bytes(stream[:4], "big")
        yield stream[:length]
        stream = stream[length:]


def dissect(path: Path) -> list[dict[str, Any]]:
    """What the dissector makes of each packet: its fields under ``cmpp``, and ``_ws.malformed`` where it finds fault."""
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-d", f"tcp.port=={PORT},cmpp", "-T", "json", "--no-duplicate-keys"],
        capture_output=True, check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(path.parent), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return [packet["_source"]["layers"] for packet in json.loads(done.stdout)]
