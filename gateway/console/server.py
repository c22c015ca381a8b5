"""The console in the daemon: at a socket of its own or, where conf names the same one, on the operators' HTTP server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from starlette.routing import BaseRoute, Mount

from gateway import accounts, activation
from gateway.console.app import Console
from gateway.console.services import Services
from gateway.secrets import SecretError, Secrets
from gateway.store import Tx
from gateway.store import accounts as kept
from gateway.web import SOCKET, Listener, bind

log = logging.getLogger(__name__)

DEMO = {
    "clerk": ("clerk", "李值班"),
    "leader": ("leader", "秦副市长"),
    "bureau": ("bureau", "何值班"),
    "operator": ("operator", ""),
    "reader": ("readonly", ""),
}
"""The accounts of a demonstration, with role and person; the password of NAME is the secret console-NAME."""


class Server:
    """The console of one daemon; nothing where conf does not enable it."""

    def __init__(self, desk: Services, secrets: Secrets) -> None:
        self.config = desk.config
        self._section = desk.section
        self._secrets = secrets
        self._desk = desk
        self.console = Console(desk) if desk.section.enabled else None
        self._listener: Listener | None = None

    @property
    def on_error(self) -> Callable[[BaseException], None]:
        return self.console.on_error if self.console is not None else lambda error: None

    @on_error.setter
    def on_error(self, told: Callable[[BaseException], None]) -> None:
        if self.console is not None:
            self.console.on_error = told

    @property
    def shared(self) -> bool:
        """Whether one server answers for the console and the figures."""
        http, own = self.config.http, self._section
        return own.enabled and (http.host, http.port) == (own.host, own.port) and not own.certificate

    def routes(self) -> list[BaseRoute]:
        """What the operators' server mounts, behind everything of its own."""
        return [Mount("/", app=self.console.app)] if self.console is not None and self.shared else []

    @property
    def port(self) -> int:
        """Where it listens by itself; 0 where it does not."""
        return self._listener.port if self._listener is not None else 0

    async def start(self) -> None:
        """Serve. Raises ``OSError`` and ``SecretError``."""
        if self.console is None:
            return
        await self._demo_accounts()
        self.console.start()
        if self.shared:
            return
        certificate = self.config.path / self._section.certificate if self._section.certificate else None
        key = self._secrets.path(self._section.private_key) if certificate is not None else None
        bound = activation.inherited(SOCKET) or bind(self._section.host, self._section.port)
        authorities = self.config.path / self._section.client_ca if self._section.client_ca else None
        listener = Listener(
            certificate=certificate, key=key, authorities=authorities, needed=not self._section.passwords, reading=None
        )
        try:
            listener.start(self.console.app, bound)
        except OSError:
            bound.close()
            raise
        self._listener = listener

    async def stop(self) -> None:
        """End the open streams, finish what is being answered, close."""
        if self.console is not None:
            await self.console.stop()
        if self._listener is not None:
            await self._listener.stop()
            self._listener = None

    async def _demo_accounts(self) -> None:
        """A demonstration has its accounts from the first start on; everybody else makes them."""
        if not self.config.demo:
            return
        from argon2 import PasswordHasher

        known = {one.name for one in await self._desk.store.read(kept.every)}
        for name, (role, person) in DEMO.items():
            if name in known:
                continue
            try:
                password = self._secrets.text(f"console-{name}")
            except SecretError as missing:
                log.warning("%s", missing)
                continue
            hashed = await asyncio.to_thread(PasswordHasher().hash, password)

            def write(tx: Tx, name: str = name, role: str = role, person: str = person, hashed: str = hashed) -> None:
                accounts.add(self._desk.live, tx, "demo", name, role, hashed, person)

            await self._desk.store.write(write)
