"""What aiosmtpd does anew for each connection and each address, done once or in one step. Whatever is unusual goes to aiosmtpd.

aiosmtpd looks through all members of every new session for its commands, parses an address as a header is parsed, and
makes a new timer for each command: with small mails and a connection for each, half of the processor time.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable
from types import MethodType
from typing import Any, Generic, TypeVar

from aiosmtpd.smtp import SMTP

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
ADDRESS = rf"(?!{_ATOM}=\?|=\?){_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
"""A plain address: what nobody reads otherwise than it is written."""
_PLAIN = re.compile(rf"<({ADDRESS})>(?: ([A-Za-z][!-'*-~ ]*))?")

S = TypeVar("S", bound=SMTP)


class Mould(Generic[S]):
    """Gives new sessions like the one that ``make`` gives, which is made once, by aiosmtpd's own constructor."""

    def __init__(self, make: Callable[[], S]) -> None:
        self._first = make()

    def session(self) -> S:
        """A session with nobody in it."""
        first = self._first
        made = object.__new__(type(first))
        made.__dict__.update(first.__dict__)
        asyncio.StreamReaderProtocol.__init__(
            made,
            asyncio.StreamReader(loop=first.loop, limit=first.line_length_limit),
            client_connected_cb=made._cb_client_connected,
            loop=first.loop,
        )
        made._smtp_methods = {name: _moved(method, made) for name, method in first._smtp_methods.items()}
        made._auth_methods = {name: one._replace(method=_moved(one.method, made)) for name, one in first._auth_methods.items()}
        # Its own: EHLO widens it, and aiosmtpd shares one among all sessions.
        made.command_size_limits = defaultdict(lambda: SMTP.command_size_limit)
        return made


def _moved(method: Any, session: SMTP) -> Any:
    """A method of a session as one of another; what belongs to anybody else stays."""
    if isinstance(getattr(method, "__self__", None), SMTP):
        return MethodType(method.__func__, session)
    return method


class Quick:
    """Mixed in before aiosmtpd's class."""

    _timeout_handle: asyncio.TimerHandle | None
    _timeout_duration: float
    loop: asyncio.AbstractEventLoop
    _silent_until = 0.0

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """A plain address in angles, and the parameters behind it."""
        found = _PLAIN.fullmatch(arg) if arg else None
        if found is None:
            return super()._getaddr(arg)  # type: ignore[misc,no-any-return]
        return found[1], found[2] or ""

    def _reset_timeout(self, duration: float | None = None) -> None:
        """The session may be silent for so long from now on. The timer that runs is left to run, and looks again when it ends."""
        self._silent_until = self.loop.time() + (duration or self._timeout_duration)
        if self._timeout_handle is None or self._timeout_handle.cancelled() or self._timeout_handle.when() > self._silent_until:
            if self._timeout_handle is not None:
                self._timeout_handle.cancel()
            self._timeout_handle = self.loop.call_at(self._silent_until, self._timeout_cb)

    def _timeout_cb(self) -> None:
        if self.loop.time() < self._silent_until:
            self._timeout_handle = self.loop.call_at(self._silent_until, self._timeout_cb)
        else:
            super()._timeout_cb()  # type: ignore[misc]
