"""The control socket: the command line asks the daemon, never the store beside it. One JSON object a line, each way."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import struct
from pathlib import Path
from typing import Any

import msgspec

from gateway.asked import OperationError
from gateway.operations import Live, perform

LINE = 16 * 1024 * 1024


class ControlServer:
    """Listens on ``path`` (0660); the peer's user name is recorded as ``by``."""

    def __init__(self, path: Path, live: Live) -> None:
        self._path = path
        self._live = live
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a socket file left by a dead process is taken over (the lock is already ours)."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LINE)
        os.chmod(self._path, 0o660)

    async def stop(self) -> None:
        """Stop listening and take the file away."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        by = peer(writer.get_extra_info("socket"))
        try:
            while line := await reader.readline():
                # A message of 25 MiB as it came is an answer too: json's own encoder takes longer over it than the loop may wait.
                writer.write(msgspec.json.encode(await self._answer(line, by)))
                writer.write(b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes, by: str) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            return {"ok": True, "result": await perform(self._live, str(asked["do"]), dict(asked.get("args") or {}), by)}
        except OperationError as error:
            return {"ok": False, "error": str(error)}
        except (ValueError, KeyError, TypeError) as error:
            return {"ok": False, "error": f"bad request: {type(error).__name__}"}
        except Exception as error:
            return {"ok": False, "error": f"{type(error).__name__}"}


def peer(sock: Any) -> str:
    """The user at the other end, by the kernel's word."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", data)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def ask(path: Path, do: str, args: dict[str, Any], seconds: float = 30.0) -> Any:
    """Ask the daemon behind ``path``. Raises ``ConnectionError`` where none listens, ``OperationError`` for its refusal."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(seconds)
        try:
            sock.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise ConnectionError(str(path)) from error
        sock.sendall(json.dumps({"do": do, "args": args}).encode() + b"\n")
        with sock.makefile("rb") as answers:
            answer = json.loads(answers.readline() or b'{"ok": false, "error": "the daemon closed the connection"}')
    if not answer["ok"]:
        raise OperationError(answer["error"])
    return answer["result"]
