"""A mailbox by IMAP, spoken by IMAPClient in a thread. Sources: RFC 3501, RFC 2177 (IDLE), RFC 6851 (MOVE), RFC 4315 (UIDPLUS).

UIDs are good only as long as UIDVALIDITY stands, so that none is kept from one session to the next: each session looks anew, and
what was stored but not yet marked is fetched again and linked by its date of arrival and its octets.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from gateway.api import _
from gateway_plugins.mailbox.box import BoxError, Fetched, Item, LoginRefused, MailError, tls_context
from gateway_plugins.mailbox.settings import ImapSettings

IDLE_STEP = 1.0
OTHER_BYTES = 1 << 20
"""The longest literal that is no mail; what a server sends beside one is short."""
for _name in ("imapclient", "imapclient.imapclient", "imapclient.imaplib"):
    # At its lowest level the library logs the dialogue, mails and all.
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)
TROUBLE = (IMAPClientError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, MemoryError)
"""What a server that talks nonsense can make the library raise."""


class _Client(IMAPClient):  # type: ignore[misc]
    """IMAPClient, which takes news before the server's yes to IDLE for a refusal, and afterwards asks the socket alone: what came
    in one piece with that yes has left it. Both are otherwise here."""

    def idle(self) -> None:
        self._idle_tag = self._imap._command("IDLE")
        while self._imap._get_response() is not None:
            if self._imap.tagged_commands[self._idle_tag]:
                raise IMAPClientError("IDLE was refused")

    def _poll_socket(self, sock: socket.socket, timeout: float | None = None) -> Any:
        return self._kept(sock) or super()._poll_socket(sock, timeout)

    def _kept(self, sock: socket.socket) -> bool:
        """Whether there is something to be read that the socket does not know of; it does not block here."""
        parts = getattr(self._imap, "_readbuf", None)
        if parts is not None:  # since Python 3.14
            return any(parts) or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)
        with contextlib.suppress(ssl.SSLWantReadError):
            return bool(self._imap.file.peek(1))
        return False


class ImapBox:
    """One mailbox; ``open`` may be called again after ``close``."""

    protocol: ClassVar[str] = "IMAP"

    def __init__(self, settings: ImapSettings, password: Callable[[], str], max_bytes: int) -> None:
        self.settings = settings
        self._password = password
        self._max_bytes = max_bytes
        self._client: IMAPClient | None = None
        self._socket: socket.socket | None = None
        self._validity: int | None = None

    def open(self) -> str | None:
        s = self.settings
        with _told(_("no IMAP server at {host}").format(host=s.host)):
            tls = s.security == "tls"
            client = _Client(
                s.host, port=s.port or (993 if tls else 143), ssl=tls, ssl_context=tls_context(s) if tls else None,
                timeout=SocketTimeout(connect=s.timeout_seconds, read=s.timeout_seconds),
            )  # fmt: skip
            client.normalise_times = False
            self._client, self._socket = client, client.socket()
            _bounded(client, max(self._max_bytes, OTHER_BYTES))
        if s.security == "starttls":
            with _told(_("the server does not offer TLS")):
                client.starttls(tls_context(s))
                self._socket = client.socket()
        try:
            with _told(_("the login failed")):
                client.login(s.username, self._password())
        except BoxError as error:
            refused = error.__cause__
            if isinstance(refused, LoginError) and not isinstance(refused.__context__, IMAPClientAbortError):
                raise LoginRefused(_("the server does not accept the account {name}").format(name=s.username)) from None
            raise
        with _told(_("the folder {name} cannot be opened").format(name=s.folder)):
            if s.after == "move" and not client.folder_exists(s.move_to):
                client.create_folder(s.move_to)
            return self._selected(client.select_folder(s.folder))

    def _selected(self, told: dict[bytes, Any]) -> str | None:
        before, self._validity = self._validity, int(told[b"UIDVALIDITY"])
        if before in (None, self._validity):
            return None
        return _("the mailbox was made anew (UIDVALIDITY changed): mails that are not marked yet are fetched again and linked")

    def new(self, most: int) -> list[Item]:
        client = self._open()
        # The library keeps all that a session was ever told, which may be months; what it is told from here on is for ``wait``.
        _untagged(client).clear()
        with _told(_("the mailbox cannot be searched")):
            wanted = ["UNDELETED", "UNSEEN"] if self.settings.after == "seen" else ["UNDELETED"]
            uids = sorted(int(uid) for uid in client.search(wanted))[:most]
            if not uids:
                return []
            sizes = client.fetch(uids, ["RFC822.SIZE"])
            return [Item(uid, int(sizes.get(uid, {}).get(b"RFC822.SIZE", 0))) for uid in uids]

    def get(self, item: Item, limit: int) -> Fetched | None:
        client = self._open()
        try:
            with _told(_("a mail cannot be fetched")):
                found = client.fetch([item.key], ["INTERNALDATE", "BODY.PEEK[]"]).get(item.key)
        except BoxError as error:
            raise MailError(error.what, error.fault) from error.__cause__
        if found is None or not isinstance(body := found.get(b"BODY[]"), bytes):
            return None
        arrived = found.get(b"INTERNALDATE")
        known = arrived.astimezone(UTC).isoformat() if isinstance(arrived, datetime) else f"{self._validity}/{item.key}"
        return Fetched(body, f"imap:{known}")

    def done(self, item: Item) -> None:
        client, uids = self._open(), [item.key]
        with _told(_("a mail cannot be marked")):
            if self.settings.after == "seen":
                client.add_flags(uids, [rb"\Seen"], silent=True)
            elif self.settings.after == "move" and client.has_capability("MOVE"):
                client.move(uids, self.settings.move_to)
            else:
                if self.settings.after == "move":
                    client.copy(uids, self.settings.move_to)
                client.add_flags(uids, [rb"\Seen", rb"\Deleted"], silent=True)
                if client.has_capability("UIDPLUS"):
                    # A plain EXPUNGE would also remove what somebody else has marked.
                    client.uid_expunge(uids)

    def settle(self) -> None:
        """Marks last as they are made."""

    def wait(self) -> bool:
        client = self._open()
        with _told(_("the connection was lost")):
            if not client.has_capability("IDLE"):
                return False
            if "EXISTS" in _untagged(client):
                # A mail behind the last search was told of in the answer to some command: IDLE does not tell of it again.
                return True
            client.idle()
            left = 0.0 if "EXISTS" in _untagged(client) else self.settings.idle_seconds
            while left > 0:
                step = min(IDLE_STEP, left)
                if client.idle_check(timeout=step):
                    break
                left -= step
            client.idle_done()
            return True

    def cut(self) -> None:
        if self._socket is not None:
            # Not SSLSocket.shutdown, which takes the TLS layer away under the thread that reads.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(*TROUBLE):
            client.logout()
        with contextlib.suppress(*TROUBLE):
            client.shutdown()
        self._socket = None

    def _open(self) -> IMAPClient:
        if self._client is None:
            raise BoxError(_("the connection was lost"))
        return self._client


@contextlib.contextmanager
def _told(why: str) -> Iterator[None]:
    """Whatever the library raises as ``why`` and its kind: its text may quote the server, and the server a mail."""
    try:
        yield
    except TROUBLE as error:
        kind = _("no answer in time") if isinstance(error, TimeoutError) else type(error).__name__
        raise BoxError(why, kind) from error


def _untagged(client: IMAPClient) -> dict[str, list[Any]]:
    """What the server told besides what it was asked, by its name, for as long as the library has kept it."""
    kept: dict[str, list[Any]] = client._imap.untagged_responses
    return kept


def _bounded(client: IMAPClient, limit: int) -> None:
    """Literals are announced by the server: none is read, nor room made for it, that is over the limit."""
    line: Any = client._imap
    read = line.read

    def bounded(size: int) -> bytes:
        if size > limit:
            raise IMAPClientAbortError("a literal over the limit")
        octets: bytes = read(size)
        if len(octets) < size:
            raise IMAPClientAbortError("the connection ended within a literal")
        return octets

    line.read = bounded
