"""The checks of a plugin that is one file, with what ``examples`` knows of it. What is missing is told, not passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from gateway.api import RawMessage, Refused, TryLater
from gateway.i18n import _
from gateway.testing import channels, examples, pure, samples, transports, wire
from gateway.testing.examples import Subject
from gateway.testing.memory import MemoryCarrier, MemoryServices
from gateway.testing.peers import HTTP_MODES, TCP_MODES, HttpPeer, PeerMode, TcpPeer

MAX_BYTES = 20_000
"""What intake takes here: small, so that an oversize message is soon made."""
SHORT_SECONDS = 0.3
"""Every time-out of a transport: a peer that hangs is part of the checks."""
HEADS = ("subject", "message_id", "sender", "pages", "unread")
Checks = Iterator[tuple[str, Callable[[], Any]]]


def checks(one: Subject) -> Checks:
    """The checks of a class, each with a name."""
    yield "settings", lambda: one.settings() and None
    yield from {"channels": _channel, "transports": _transport}.get(one.hook, _pure)(one)


def fails(why: str) -> None:
    """A check that has failed before it began."""
    raise AssertionError(why)


def shown(one: Subject, raw: RawMessage) -> list[str]:
    """What a channel makes of a captured message, as lines for the operator. Raises like ``check_read``."""
    message = channels.check_read(one.cls, one.settings(), raw)
    lines = [
        f"{name}: {value}" for name in ("subject", "message_id", "sender", "pages", "unread") if (value := getattr(message, name))
    ]
    lines += [f"flags: {', '.join(message.flags)}"] if message.flags else []
    lines += [f"attachment: {one.name} ({one.content_type}, {len(one.data)} bytes)" for one in message.attachments]
    return [*lines, *(f"text: {line}" for line in message.text.splitlines())]


# Ways in.


def _channel(one: Subject) -> Checks:
    yield "read: the example", partial(_read_example, one)
    yield "read: rubbish", partial(_read_rubbish, one)
    yield "start and stop", partial(_life, one)
    yield "wire: order, repeat, trouble, oversize, cancel", partial(_wire, one)


def _raw(one: Subject, body: bytes) -> RawMessage:
    content_type = one.example.get("content_type", "text/plain; charset=utf-8")
    at = MemoryServices().now()
    return RawMessage(channel=one.cls.channel, via="under-test", received_at=at, sender="", body=body, content_type=content_type)


def _read_example(one: Subject) -> None:
    if "body" not in one.example:
        raise examples.Skipped(_("EXAMPLE has no body for this kind"))
    case = channels.ChannelCase(_raw(one, one.example["body"]), one.example.get("contains", ""))
    channels.check_case(one.cls, one.settings(), case)


def _read_rubbish(one: Subject) -> None:
    for body in wire.RUBBISH:
        channels.check_rubbish(one.cls, one.settings(), _raw(one, body))


async def _life(one: Subject) -> None:
    await channels.check_channel(one.cls, one.settings(port=0), [], services=MemoryServices(max_bytes=MAX_BYTES))


async def _wire(one: Subject) -> None:
    send, body, port = one.example.get("send"), one.example.get("body"), one.example.get("port")
    if send is None or body is None:
        raise examples.Skipped(_("EXAMPLE has no body and send for this kind"))
    oversize = one.example.get("oversize")
    started: list[Any] = []

    class Started(one.cls):  # type: ignore[misc, name-defined]
        async def start(self, intake: Any) -> None:
            started.append(self)
            await super().start(intake)

    async def ask(data: bytes) -> Any:
        return await send(started[0], data)

    Started.__name__ = one.cls.__name__
    await channels.check_channel(
        Started,
        one.settings(port=0),
        [channels.ChannelCase(_raw(one, body), one.example.get("contains", ""))],
        services=MemoryServices(max_bytes=MAX_BYTES),
        send=ask,
        bodies=[body],
        oversize=body * (MAX_BYTES // max(1, len(body)) + 2) if oversize is True else oversize,
        port=(lambda: port(started[0])) if port is not None else None,
    )


# Ways out.


def _transport(one: Subject) -> Checks:
    fields = one.fields()
    if "url" in fields:
        yield "peer: 200, 429, 5xx, 4xx and faults of the line", partial(_http, one)
    elif "carrier" in fields:
        yield "carrier: takes, later, refuses", partial(_carried, one)
    elif "port" in fields and "talk" in one.example:
        yield "peer: takes, and faults of the line", partial(_tcp, one)
    elif "port" in fields:
        yield "peer: faults of the line", partial(_faults, one)
    else:
        yield "odd deliveries", partial(_alone, one)


def _short(one: Subject, **wanted: Any) -> Any:
    return one.settings(**wanted, **{name: SHORT_SECONDS for name in one.fields() if "timeout" in name})


def _address(one: Subject) -> str:
    return str(one.example.get("address", "duty@gateway.test"))


async def _http(one: Subject) -> None:
    peer = HttpPeer(one.example.get("answers"))
    await peer.start()

    def seen() -> str:
        return "\n".join(head + body.decode("utf-8", "replace") for head, body in peer.requests)

    try:
        await transports.check_transport(
            one.cls,
            _short(one, url=peer.url),
            peer=peer.be,
            received=peer.received,
            modes=HTTP_MODES,
            address=_address(one),
            seen=seen,
        )
    finally:
        await peer.stop()


async def _tcp(one: Subject) -> None:
    peer = TcpPeer(one.example["talk"])
    await peer.start()
    try:
        settings = _short(one, host="127.0.0.1", port=peer.port)
        await transports.check_transport(
            one.cls, settings, peer=peer.be, received=peer.received, modes=TCP_MODES, address=_address(one)
        )
    finally:
        await peer.stop()


async def _faults(one: Subject) -> None:
    async def nothing(*_given: Any) -> bool:
        return False

    peer = TcpPeer(nothing)
    await peer.start()
    try:
        settings = _short(one, host="127.0.0.1", port=peer.port)
        await transports.check_faults(one.cls, settings, peer=peer.be, address=_address(one))
    finally:
        await peer.stop()


async def _carried(one: Subject) -> None:
    carrier = MemoryCarrier()
    answers: dict[PeerMode, Any] = {"later": TryLater("busy"), "refuse": Refused("no such number")}

    async def be(mode: PeerMode) -> None:
        carrier.answers = [answers[mode]] if mode in answers else []

    settings = one.settings(carrier="sms")
    services = MemoryServices(channels={settings.carrier: carrier})
    address = str(one.example.get("address", "+8613900000021"))
    await transports.check_transport(
        one.cls, settings, peer=be, received=lambda: len(carrier.parts), services=services, address=address,
        modes=("ok", "later", "refuse"),
    )  # fmt: skip


async def _alone(one: Subject) -> None:
    await transports.check_faults(one.cls, _short(one), address=_address(one))


# What only decides.


def _pure(one: Subject) -> Checks:
    if one.hook == "routers":
        yield "route: odd incidents at every moment", partial(_route, one)
    elif one.hook == "readers":
        yield "read: odd messages and reports", lambda: pure.check_reader(one.cls, one.settings())
    else:
        yield "classify: odd reports and findings", lambda: pure.check_classifier(one.cls, one.settings())


def _route(one: Subject) -> None:
    directory = samples.memory_directory(dict.fromkeys([*samples.EXAMPLE_OFFICES, *examples.offices(one)]))
    pure.check_router(one.cls, one.settings(), directory=directory)
