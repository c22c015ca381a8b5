"""One POST: TLS checked, no redirect followed, no cookie kept, no proxy taken from the environment, little of the answer read.

The name is resolved once, what it resolves to is judged (``addresses``), and the connection goes to an address that was judged:
a name that means another host a moment later (DNS rebinding) changes nothing. Every call has a connection of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import field_validator

from gateway.api import Field, Outcome, Refused, Settings, TryLater, _
from gateway_plugins.httpout.addresses import Network, network, permitted

MOST_BYTES = 64 * 1024
"""Of an answer; the rest is not read."""
LONGEST_WAIT = 3600.0
"""Seconds that a peer's Retry-After is heeded at most: an urgent report is not put off for days by a header."""
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Unreachable(Exception):
    """No answer. The text says why, without a word of what was sent."""


class Closed(Exception):
    """The URL leads to addresses that may not be spoken to, or is none."""


class HttpSettings(Settings):
    """What every transport that posts has."""

    timeout_seconds: float = Field(10, gt=0, le=25, description="for one request from the connection to the end of the answer")
    ca_file: str = Field("", description="PEM file of the authority that signed the peer's certificate, besides the system's")
    allow_networks: tuple[str, ...] = Field(
        (), description="private networks that may be spoken to, such as 10.20.0.0/16; all others of their kind are closed"
    )
    allow_http: bool = Field(False, description="speak without TLS as well; only inside a network of the house's own")

    @field_validator("allow_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                network(one)
            except ValueError:
                raise ValueError(_("{value} is no network; allowed: such as 10.20.0.0/16").format(value=one)) from None
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """What the peer said: ``after`` is its Retry-After in seconds, where it gave one."""

    status: int
    body: bytes
    after: float | None


async def looked_up(host: str, port: int) -> Sequence[str]:
    """The system's own resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


async def addresses(url: str, settings: HttpSettings, resolve: Resolve = looked_up) -> list[str]:
    """The addresses that ``url`` leads to and that may be spoken to. Raises ``Closed`` or ``Unreachable``."""
    host, port = _target(url, settings)
    try:
        found = await resolve(host, port)
    except (OSError, UnicodeError):
        raise Unreachable(_("the name {host} is not known").format(host=host)) from None
    opened: list[Network] = [network(one) for one in settings.allow_networks]
    allowed = permitted(dict.fromkeys(found), opened)
    if not allowed:
        raise Closed(_("{host} is in a network that allow_networks does not open").format(host=host))
    return allowed


def _target(url: str, settings: HttpSettings) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Closed(_("the URL is none")) from None
    if parts.scheme not in ("https", "http") or not host:
        raise Closed(_("the URL is none"))
    if parts.scheme == "http" and not settings.allow_http:
        raise Closed(_("the URL has no TLS; allowed: https, or allow_http"))
    return host, port or (443 if parts.scheme == "https" else 80)


async def prepare(settings: HttpSettings) -> None:
    """Load what the first post needs, which takes longer than the loop may stand still. A ``ca_file`` that cannot be read is
    told at the first post and by `gateway doctor`."""
    await asyncio.to_thread(importlib.import_module, "aiohttp")
    with contextlib.suppress(OSError):
        await trust(settings)


async def trust(settings: HttpSettings) -> ssl.SSLContext:
    """Whom a certificate may come from: the system's authorities and ``ca_file``. Raises ``OSError``."""
    changed = os.stat(settings.ca_file).st_mtime_ns if settings.ca_file else 0
    return await asyncio.to_thread(_context, settings.ca_file, changed)


@functools.lru_cache(maxsize=16)
def _context(ca_file: str, changed: int) -> ssl.SSLContext:
    """Kept for as long as the file is as it was: reading the system's authorities takes tens of milliseconds."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


async def post(
    url: str, body: bytes, headers: Mapping[str, str], settings: HttpSettings, resolve: Resolve = looked_up, method: str = "POST"
) -> Answer:
    """Send ``body``; returns whatever was answered. Raises ``Unreachable`` or ``Closed``."""
    import aiohttp

    try:
        async with asyncio.timeout(settings.timeout_seconds):
            allowed = await addresses(url, settings, resolve)
            tls: Any = await trust(settings) if urlsplit(url).scheme == "https" else False
            connector = aiohttp.TCPConnector(resolver=_pinned(allowed), ssl=tls, use_dns_cache=False, force_close=True)
            jar = aiohttp.DummyCookieJar()
            async with (
                aiohttp.ClientSession(connector=connector, cookie_jar=jar, auto_decompress=False, trust_env=False) as session,
                session.request(method, url, data=body, headers=dict(headers), allow_redirects=False) as answer,
            ):
                return Answer(answer.status, await _read(answer.content), _after(answer.headers.get("Retry-After", "")))
    except TimeoutError:
        raise Unreachable(_("no answer within {seconds:g} s").format(seconds=settings.timeout_seconds)) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # The words of the error may name the whole URL, and a chat robot's key is in it.
        raise Unreachable(_("no answer ({error})").format(error=type(error).__name__)) from None


def _pinned(allowed: Sequence[str]) -> Any:
    """A resolver that knows nothing but the addresses that were judged."""
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Pinned(AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> list[ResolveResult]:
            return [
                ResolveResult(
                    hostname=host, host=one, port=port, family=socket.AF_INET6 if ":" in one else socket.AF_INET, proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
                for one in allowed
            ]  # fmt: skip

        async def close(self) -> None:
            """Nothing is open."""

    return Pinned()


async def _read(content: Any) -> bytes:
    read = bytearray()
    while len(read) < MOST_BYTES and (chunk := await content.read(MOST_BYTES - len(read))):
        read += chunk
    return bytes(read)


def _after(text: str) -> float | None:
    """Retry-After in seconds; the form with a date is left to our own backoff."""
    return min(float(text), LONGEST_WAIT) if re.fullmatch(r"\d{1,9}", text.strip()) else None


LATER = frozenset({401, 402, 403, 404, 405, 407, 408, 409, 421, 423, 425, 426, 429})
"""4xx that speak of our key, our URL or the moment, not of this message: an operator puts it right and it goes through."""


def judged(answer: Answer, who: str) -> Outcome | None:
    """What an HTTP status means for a delivery; None for 2xx, where the body may have the last word."""
    if 200 <= answer.status < 300:
        return None
    why = _("{who} answered {status}").format(who=who, status=answer.status)
    if 300 <= answer.status < 400:
        return TryLater(_("{why}: a redirect, which is not followed").format(why=why))
    if answer.status < 400 or answer.status >= 500 or answer.status in LATER:
        return TryLater(why, answer.after)
    return Refused(why)


async def probed(url: str, settings: HttpSettings) -> str | None:
    """For `gateway doctor`: the name, the address and, by TLS, the certificate. Nothing is sent over the connection."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(settings.timeout_seconds):
            allowed = await addresses(url, settings)
            tls = await trust(settings) if parts.scheme == "https" else None
            port = parts.port or (443 if tls else 80)
            name = parts.hostname if tls else None
            _reader, writer = await asyncio.open_connection(allowed[0], port, ssl=tls, server_hostname=name)
            writer.close()
    except (Closed, Unreachable) as error:
        return str(error)
    except ssl.SSLError as error:
        return _("its certificate is not accepted ({error}); see ca_file").format(error=error.reason or type(error).__name__)
    except TimeoutError:
        return _("no answer within {seconds:g} s").format(seconds=settings.timeout_seconds)
    except OSError as error:
        return _("no connection ({error})").format(error=error.strerror or type(error).__name__)
    return None
