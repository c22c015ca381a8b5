"""Whether each configured carrier and sink can be reached, and each door be opened. Sends no message; all at once, bounded."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.asked import OperationError
from gateway.control import ask
from gateway.doctor.facts import Door, Way
from gateway.i18n import _
from gateway.secrets import SecretError, Secrets
from gateway.settings import Config, Configured


class Lent:
    """What a plugin may use while it is probed: secrets and the time. Its alarms are findings already."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._secrets = Secrets(config.secrets)

    @property
    def now(self) -> Callable[[], datetime]:
        return lambda: datetime.now(ZoneInfo(self._config.timezone))

    @property
    def max_bytes(self) -> int:
        return self._config.limits.max_message_bytes

    def secret(self, name: str) -> str:
        return self._secrets.text(name)

    def channel(self, name: str) -> Any:
        return None

    def alarm(self, why: str, **data: str) -> None:
        """Nobody is woken by doctor."""

    async def paper(self, delivery: Any, form: str) -> bytes | None:
        """Nothing is sent by doctor."""
        return None


def daemon_channels(config: Config) -> dict[str, str] | None:
    """The running daemon's word for each channel's state; None where no daemon answers."""
    try:
        rows = ask(config.state / "control.sock", "channels", {}, seconds=5.0)
    except (OSError, OperationError, ValueError):
        return None
    return {str(row["name"]): str(row["state"]) for row in rows}


def look(config: Config, running: Mapping[str, str] | None) -> tuple[tuple[Way, ...], tuple[Door, ...]]:
    """Probe every way; what the daemon says is up is taken at its word. Doors are tried only where no daemon has them."""
    ways = [("channel", one) for one in config.channels] + [("transport", one) for one in config.transports]
    lent = Lent(config)
    found = asyncio.run(_probe_all(ways, lent, running or {}, config.doctor.probe_seconds))
    doors = [door for one in config.channels for door in _doors(one, lent)]
    if config.http.port:
        doors.append(Door(name="http", host=config.http.host, port=config.http.port))
    console = config.console
    if console.enabled and (console.host, console.port) != (config.http.host, config.http.port):
        doors.append(Door(name="console", host=console.host, port=console.port))
    if running is None:
        doors = [Door(name=d.name, host=d.host, port=d.port, free=_free(d.host, d.port)) for d in doors]
    return tuple(found), tuple(doors)


async def _probe_all(ways: list[tuple[str, Configured]], lent: Lent, running: Mapping[str, str], seconds: float) -> list[Way]:
    return list(await asyncio.gather(*(_probe(sort, one, lent, running.get(one.name), seconds) for sort, one in ways)))


async def _probe(sort: str, one: Configured, lent: Lent, running: str | None, seconds: float) -> Way:
    state = running if sort == "channel" else None
    way = {"sort": sort, "name": one.name, "kind": one.kind, "running": state}
    if state == "up" or getattr(one.cls, "probe", None) is None:
        return Way(**way, probed=False)  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(seconds):
            why = await one.cls(one.name, one.settings, lent).probe()
    except TimeoutError:
        why = _("no answer within {seconds:g} s").format(seconds=seconds)
    except SecretError as error:
        why = str(error)
    except Exception as error:
        why = _("could not be tried: {error}").format(error=type(error).__name__)
    return Way(**way, why=why)  # type: ignore[arg-type]


def _doors(one: Configured, lent: Lent) -> list[Door]:
    if getattr(one.cls, "listens", None) is None:
        return []
    with contextlib.suppress(Exception):
        return [Door(name=one.name, host=host, port=port) for host, port in one.cls(one.name, one.settings, lent).listens()]
    return []


def _free(host: str, port: int) -> bool:
    """Whether the port could be opened, as the daemon would at a restart."""
    try:
        family, kind, proto, _name, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError:
        return False
    return True
