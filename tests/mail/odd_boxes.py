"""IMAP and POP3 servers that misbehave on demand: what no real one does when it is asked to."""

from __future__ import annotations

import asyncio
import contextlib
import re
from abc import ABC, abstractmethod

BODY = "Return-Path: <clerk@example.test>\r\nSubject: report\r\n\r\n云台区化工厂起火\r\n".encode()


class OddServer(ABC):
    """One mailbox. ``mode`` is how it behaves: good, rubbish, hang, slow, cut, huge, flood, refuse, poison."""

    def __init__(self) -> None:
        self.mails: dict[int, bytes] = {1: BODY}
        self.mode = "good"
        self.poison: set[int] = set()
        self.validity = 7
        self.commands: list[str] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self.mode == "hang":
                await reader.read()
                return
            await self._say(writer, b"\x00\xff\xfe nonsense\r\n" if self.mode == "rubbish" else self.greeting)
            while line := await reader.readline():
                await self._command(line.decode("utf-8", "replace").strip(), writer)
        except ConnectionError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _say(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        if self.mode == "slow":
            for octet in octets:
                writer.write(bytes([octet]))
                await asyncio.sleep(0.05)
        else:
            writer.write(octets)
        await writer.drain()

    greeting = b""

    @abstractmethod
    async def _command(self, line: str, writer: asyncio.StreamWriter) -> None:
        """By the subclass."""

    async def _mail(self, number: int, head: bytes, body: bytes, tail: bytes, writer: asyncio.StreamWriter) -> None:
        """A mail as ``mode`` has it."""
        if self.mode == "cut" or number in self.poison:
            writer.write(head + body[: len(body) // 2])
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()
            raise ConnectionResetError
        if self.mode == "flood":
            writer.write(head)
            for _ in range(400):
                writer.write(b"x" * 65536)
                await writer.drain()
        await self._say(writer, head + body + tail)


class OddImap(OddServer):
    """``late`` is when it tells of a mail that comes behind a search: in the answer to a move (moved), before that to IDLE (before)
    or in one piece with it (idling). ``chatters``: it tells of a mail that is not there, whatever it is asked."""

    late = ""
    chatters = False

    @property
    def greeting(self) -> bytes:  # type: ignore[override]
        return b"* OK [CAPABILITY IMAP4rev1 MOVE%s] ready\r\n" % self._idle

    @property
    def _idle(self) -> bytes:
        return b" IDLE" if self.late or self.chatters else b""

    def _comes(self) -> bytes:
        """The late mail is there from now on."""
        self.late, self.mails[2] = "told", BODY
        return b"* %d EXISTS\r\n" % len(self.mails)

    async def _command(self, line: str, writer: asyncio.StreamWriter) -> None:
        tag, _, said = line.partition(" ")
        self.commands.append(said)
        verb = said.upper()
        out = b""
        if verb.startswith("LOGIN") and self.mode == "refuse":
            await self._say(writer, f"{tag} NO [AUTHENTICATIONFAILED] go away\r\n".encode())
            return
        if verb.startswith("LOGIN") and self.mode == "cut-login":
            writer.close()
            raise ConnectionResetError
        if verb.startswith("CAPABILITY"):
            out = b"* CAPABILITY IMAP4rev1 MOVE%s\r\n" % self._idle
        elif verb.startswith("LIST"):
            out = b'* LIST () "/" "Gateway"\r\n'
        elif verb.startswith("SELECT"):
            out = f"* {len(self.mails)} EXISTS\r\n* OK [UIDVALIDITY {self.validity}] x\r\n".encode()
            if self.mode == "no-validity":
                out = b"* 1 EXISTS\r\n"
        elif verb.startswith("UID SEARCH"):
            out = b"* SEARCH " + " ".join(map(str, self.mails)).encode() + b"\r\n"
            if self.mode == "rubbish-search":
                out = b"* SEARCH one two (((\r\n"
            if self.chatters:
                out += b"* 9 EXISTS\r\n"
        elif verb.startswith("IDLE"):
            self.tag, now = tag, not self.mails
            before = self._comes() if self.late == "before" and now else b""
            behind = self._comes() if self.late == "idling" and now else b"* 9 EXISTS\r\n" if self.chatters else b""
            await self._say(writer, before + b"+ idling\r\n" + behind)
            return
        elif verb == "" and tag == "DONE":
            tag = self.tag
        elif verb.startswith("UID FETCH") and "RFC822.SIZE" in verb:
            for uid in self.mails:
                out += f"* {uid} FETCH (UID {uid} RFC822.SIZE {len(self.mails[uid])})\r\n".encode()
            if self.mode == "rubbish-fetch":
                out = b'* 1 FETCH (UID 1 RFC822.SIZE {{{ "\r\n'
        elif verb.startswith("UID FETCH"):
            uid = int(said.split()[2])
            if uid in self.mails:
                size = 10**15 if self.mode == "huge" else len(self.mails[uid])
                head = f'* {uid} FETCH (UID {uid} INTERNALDATE "23-Nov-2026 09:30:00 +0800" BODY[] {{{size}}}\r\n'.encode()
                await self._mail(uid, head, self.mails[uid], b")\r\n", writer)
        elif verb.startswith(("UID MOVE", "UID STORE")):
            self.mails.pop(int(said.split()[2]), None)
            if self.late == "moved" and not self.mails:
                out = self._comes()
        await self._say(writer, out + f"{tag} OK done\r\n".encode())


class OddPop3(OddServer):
    greeting = b"+OK ready\r\n"
    uidl = True

    def __init__(self) -> None:
        super().__init__()
        self.deleted: set[int] = set()

    async def _command(self, line: str, writer: asyncio.StreamWriter) -> None:
        self.commands.append(line)
        verb = line.upper()
        found = re.search(r"\d+", line)
        number = int(found[0]) if found else 0
        if verb.startswith("PASS"):
            self.deleted.clear()
            if self.mode == "refuse":
                await self._say(writer, b"-ERR [AUTH] go away\r\n")
                return
            if self.mode == "in-use":
                await self._say(writer, b"-ERR [IN-USE] locked\r\n")
                return
            if self.mode == "cut-login":
                writer.close()
                raise ConnectionResetError
        if verb.startswith("LIST"):
            rows = "".join(f"{n} {len(body)}\r\n" for n, body in self.mails.items())
            if self.mode == "rubbish-fetch":
                rows = "one two\r\n\x00\xff\r\n"
            await self._say(writer, f"+OK\r\n{rows}.\r\n".encode())
        elif verb.startswith("UIDL"):
            rows = "".join(f"{n} u{n}\r\n" for n in self.mails)
            await self._say(writer, f"+OK\r\n{rows}.\r\n".encode() if self.uidl else b"-ERR unknown\r\n")
        elif verb.startswith("RETR"):
            lines = self.mails[number].replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")
            stuffed = b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines)
            await self._mail(number, b"+OK\r\n", stuffed, b".\r\n", writer)
        elif verb.startswith("DELE"):
            self.deleted.add(number)
            await self._say(writer, b"+OK\r\n")
        elif verb.startswith("QUIT"):
            if self.mode == "cut-quit":
                writer.close()
                raise ConnectionResetError
            for gone in self.deleted:
                self.mails.pop(gone, None)
            await self._say(writer, b"+OK bye\r\n")
            writer.close()
            raise ConnectionResetError
        else:
            await self._say(writer, b"+OK\r\n")
