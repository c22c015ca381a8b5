"""A mailbox by POP3, spoken by poplib in a thread. Sources: RFC 1939, RFC 2595 (STLS), RFC 2449 (extensions).

POP3 knows no flags: what is stored is deleted, at the QUIT that ends the session. A session that breaks off deletes nothing; what
it had stored comes again and is linked by its UIDL and its octets.
"""

from __future__ import annotations

import contextlib
import poplib
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from gateway.api import _
from gateway_plugins.mailbox.box import BoxError, Fetched, Item, LoginRefused, MailError, tls_context
from gateway_plugins.mailbox.settings import Pop3Settings

LINE_BYTES = 1 << 20
"""The longest line that is taken; poplib's own limit of 2048 octets is under what real mails hold."""
LIST_LINES = 100_000
_PASSING = re.compile(rb"-ERR \[(?:IN-USE|LOGIN-DELAY|SYS/TEMP)", re.I)
"""Refusals of a login that say nothing of the account (RFC 2449, RFC 3206)."""
TROUBLE = (poplib.error_proto, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, MemoryError)


class _Long:
    """poplib with lines as long as mails have them, and an end that only CR LF . CR LF is. Mixed in before its classes."""

    file: Any

    def _getline(self) -> tuple[bytes, int]:
        line = self.file.readline(LINE_BYTES + 1)
        if len(line) > LINE_BYTES:
            raise poplib.error_proto("line too long")
        if not line.endswith(b"\n"):
            raise EOFError
        return line.rstrip(b"\r\n"), len(line)

    def _getlongresp(self) -> tuple[bytes, list[bytes], int]:
        response: bytes = self._getresp()  # type: ignore[attr-defined]
        lines: list[bytes] = []
        while (line := self._getline()[0]) != b".":
            if len(lines) >= LIST_LINES:
                raise poplib.error_proto("list too long")
            lines.append(line[1:] if line.startswith(b"..") else line)
        return response, lines, 0

    def mail(self, number: int, limit: int) -> bytes:
        """RETR, octet for octet. Raises ``poplib.error_proto`` beyond ``limit`` octets."""
        self._shortcmd(f"RETR {number}")  # type: ignore[attr-defined]
        octets, whole = bytearray(), True
        while True:
            line = self.file.readline(LINE_BYTES + 1)
            if not line.endswith(b"\n") and len(line) <= LINE_BYTES:
                raise EOFError
            if whole and line == b".\r\n":
                return bytes(octets)
            octets += line[1:] if whole and line.startswith(b".") else line
            if len(octets) > limit:
                raise poplib.error_proto("mail too long")
            whole = line.endswith(b"\r\n")


class _Plain(_Long, poplib.POP3):
    """A plain line."""


class _Tls(_Long, poplib.POP3_SSL):
    """TLS from the first octet."""


class Pop3Box:
    """One mailbox; ``open`` may be called again after ``close``."""

    protocol: ClassVar[str] = "POP3"

    def __init__(self, settings: Pop3Settings, password: Callable[[], str], max_bytes: int) -> None:
        self.settings = settings
        self._password = password
        self._line: _Plain | _Tls | None = None
        self._socket: socket.socket | None = None

    def open(self) -> str | None:
        s = self.settings
        with _told(_("no POP3 server at {host}").format(host=s.host)):
            if s.security == "tls":
                self._line = _Tls(s.host, s.port or 995, context=tls_context(s), timeout=s.timeout_seconds)
            else:
                self._line = _Plain(s.host, s.port or 110, timeout=s.timeout_seconds)
        line = self._line
        self._socket = line.sock
        if s.security == "starttls":
            with _told(_("the server does not offer TLS")):
                line.stls(tls_context(s))
                self._socket = line.sock
        try:
            line.user(s.username)
            line.pass_(self._password())
        except TROUBLE as error:
            said = error.args[0] if isinstance(error, poplib.error_proto) and error.args else b""
            if isinstance(said, bytes) and said.startswith(b"-ERR") and not _PASSING.match(said):
                raise LoginRefused(_("the server does not accept the account {name}").format(name=s.username)) from None
            raise _failed(_("the login failed"), error) from error
        return None

    def new(self, most: int) -> list[Item]:
        line = self._open()
        with _told(_("the mailbox cannot be listed")):
            sizes = [(int(one.split()[0]), int(one.split()[1])) for one in line.list()[1]]
            uidls: dict[int, str] = {}
            with contextlib.suppress(poplib.error_proto):  # UIDL is optional: without it a copy is known by its octets alone
                uidls = {int(one.split()[0]): one.split()[1].decode("ascii", "replace") for one in line.uidl()[1]}
            return [Item(number, size, uidls.get(number, "")) for number, size in sizes[:most]]

    def get(self, item: Item, limit: int) -> Fetched | None:
        line = self._open()
        try:
            with _told(_("a mail cannot be fetched")):
                body = line.mail(item.key, limit)
        except BoxError as error:
            raise MailError(error.what, error.fault) from error.__cause__
        return Fetched(body, f"pop3:{item.uidl}" if item.uidl else None)

    def done(self, item: Item) -> None:
        with _told(_("a mail cannot be marked")):
            self._open().dele(item.key)

    def settle(self) -> None:
        line, self._line = self._open(), None
        with _told(_("the mails of this session could not be deleted; they are fetched again and linked")):
            line.quit()

    def wait(self) -> bool:
        return False

    def cut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Without QUIT: what was marked and not settled must stay."""
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(*TROUBLE, ssl.SSLError):
                line.close()
        self._socket = None

    def _open(self) -> _Plain | _Tls:
        if self._line is None:
            raise BoxError(_("the connection was lost"))
        return self._line


@contextlib.contextmanager
def _told(why: str) -> Iterator[None]:
    try:
        yield
    except TROUBLE as error:
        raise _failed(why, error) from error


def _failed(why: str, error: Exception) -> BoxError:
    """``why`` with the kind of the fault: its text may quote the server."""
    return BoxError(why, _("no answer in time") if isinstance(error, TimeoutError) else type(error).__name__)
