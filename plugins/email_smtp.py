"""E-mail (电子邮件) over SMTP and LMTP: ``250 2.0.0 accepted as ID`` once the mail is on stable storage.

Sources: RFC 5321, RFC 2033, RFC 5322. The bytes are kept as they came; ``read`` undoes MIME later, in a worker.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from gateway.api import Channel, Field, Intake, Message, RawMessage, SecretName, Services, Settings, _, hookimpl, inherited
from gateway_plugins.mailproof.channel import asked, with_evidence
from gateway_plugins.mailproof.settings import AUTHSERV_IDS, DNS_SECONDS, DNS_SERVERS, RELAYS
from gateway_plugins.mailtext import read_mail
from gateway_plugins.smtpin.accounts import Accounts
from gateway_plugins.smtpin.listener import Door, Listeners, Owner, quiet_library
from gateway_plugins.smtpin.room import Room
from gateway_plugins.smtpin.session import Guests, LmtpSession, SmtpSession


class EmailSettings(Settings):
    """``[channel.NAME]`` with ``kind = "email_smtp"``."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(25, ge=0, le=65535, description="SMTP port; 0 takes any free one")
    lmtp_port: int = Field(0, ge=0, le=65535, description="LMTP port; 0 opens none")
    socket: str = Field("smtp", description="systemd socket taken instead of host and port where it was passed; empty: never")
    lmtp_socket: str = Field("lmtp", description="the same for LMTP, whatever lmtp_port says")
    hostname: str = Field("localhost", description="our name in the greeting")
    addresses: tuple[str, ...] = Field(description="the recipients whose mail is taken as reports")
    max_connections: int = Field(100, ge=1, description="sessions at one time")
    max_connections_each: int = Field(20, ge=1, description="sessions at one time from one address")
    max_octets: int = Field(
        67_108_864, ge=1_048_576, description="octets of all large mails on their way in at one time, beyond 256 KiB of each; "
        "never less than the largest mail"
    )  # fmt: skip
    max_recipients: int = Field(20, ge=1, description="recipients of one mail")
    max_commands: int = Field(1000, ge=20, description="how often each command may come in one session")
    timeout_seconds: float = Field(300, gt=0, description="a session ends after so long without an octet")
    session_seconds: float = Field(3600, gt=0, description="a session ends after so long in all, but for a mail being stored")
    tls_certificate: str = Field("", description="PEM file; with tls_key, STARTTLS is offered")
    tls_key: str = Field("", description="PEM file, 0600")
    accounts: Mapping[str, SecretName] = Field(
        {}, description="who may log in (AUTH), over TLS alone: account = name of the secret with its password"
    )
    login_required: bool = Field(False, description="take mail from these accounts only")
    authserv_ids: tuple[str, ...] = AUTHSERV_IDS
    dns_servers: tuple[str, ...] = DNS_SERVERS
    dns_seconds: float = DNS_SECONDS
    relays: tuple[str, ...] = RELAYS


class State(Struct, frozen=True):
    """How the channel is, for ``gateway channels``."""

    state: Literal["up", "connecting", "down"]
    detail: str = ""


class EmailSmtp:
    """Mail for our addresses. Other channels may take addresses of their own on the same listener: ``register``."""

    kind: ClassVar[str] = "email_smtp"
    channel: ClassVar[Channel] = "email"
    reads_in: ClassVar[Literal["parse"]] = "parse"
    Settings = EmailSettings

    def __init__(self, name: str, settings: EmailSettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self.ports: tuple[int, ...] = ()
        self._door: Door | None = None
        self._listeners: Listeners | None = None
        self._others: dict[str, tuple[tuple[str, ...], Owner]] = {}
        self._context: ssl.SSLContext | None = None

    async def start(self, intake: Intake) -> None:
        """Listen. Raises ``OSError`` when a port is taken or a TLS file cannot be read."""
        assert self.services is not None
        s = self.settings
        quiet_library()
        guests = Guests(s.max_connections, s.max_connections_each)
        self._door = Door(
            hostname=s.hostname,
            max_bytes=self.services.max_bytes,
            max_recipients=s.max_recipients,
            guests=guests,
            room=Room(max(s.max_octets, self.services.max_bytes)),
            now=self.services.now,
        )
        for addresses, owner in self._others.values():
            self._door.register(addresses, owner)
        self._door.register(s.addresses, Owner("email", self.name, intake))
        self._context = self._tls()
        accounts = Accounts({name: self.services.secret(secret) for name, secret in s.accounts.items()})
        listeners = Listeners(
            self._door,
            seconds=s.timeout_seconds,
            session_seconds=s.session_seconds,
            commands=s.max_commands,
            tls=self._context,
            accounts=accounts,
            login_required=s.login_required,
        )
        self._listeners = listeners
        try:
            ports = [await listeners.open(s.host, s.port, SmtpSession, inherited(s.socket))]
            lmtp = inherited(s.lmtp_socket)
            if s.lmtp_port or lmtp is not None:
                ports.append(await listeners.open(s.host, s.lmtp_port, LmtpSession, lmtp))
        except OSError:
            await self.stop()
            raise
        self.ports = tuple(ports)

    async def stop(self) -> None:
        """Close the listeners and every session."""
        self.ports = ()
        if self._listeners is not None:
            await self._listeners.close()
            self._listeners = None

    async def refresh(self) -> None:
        """A renewed certificate serves from the next session on; those that stand keep theirs. Raises ``OSError``."""
        if self._context is not None:
            self._load(self._context)

    def register(self, addresses: tuple[str, ...], *, channel: Channel, via: str, intake: Intake) -> None:
        """Let another channel take mail for its own ``addresses`` here, whether or not this one has started yet."""
        owner = Owner(channel, via, intake)
        self._others[via] = (addresses, owner)
        if self._door is not None:
            self._door.register(addresses, owner)

    def forget(self, via: str) -> None:
        """The other channel ``via`` has stopped."""
        self._others.pop(via, None)
        if self._door is not None:
            self._door.forget(via)

    def listens(self) -> list[tuple[str, int]]:
        """SMTP and, where it is asked for, LMTP."""
        ports = [self.settings.port, self.settings.lmtp_port]
        return [(self.settings.host, port) for port in ports if port]

    def health(self) -> State:
        if not self.ports:
            return State("down", _("not listening"))
        assert self._door is not None
        ports = ", ".join(str(port) for port in self.ports)
        return State("up", _("{host} port {port}; sessions {count}").format(
            host=self.settings.host, port=ports, count=len(self._door.guests.sessions)))  # fmt: skip

    def read(self, raw: RawMessage) -> Message:
        """MIME undone; a mail without a sender address (a bounce) is automatic."""
        message = with_evidence(read_mail(raw.body), raw, self.settings)
        if "null_sender" not in raw.meta:
            return message
        return replace(message, automatic=True, flags=(*message.flags, "null_sender"))

    @property
    def vouches(self) -> bool:
        """Whether there is a resolver to be asked."""
        return bool(self.settings.dns_servers)

    def vouch(self, raw: RawMessage) -> tuple[str, ...]:
        """SPF, DKIM and DMARC of a mail."""
        return asked(raw, self.settings, relays=self.settings.relays)

    def _tls(self) -> ssl.SSLContext | None:
        if not self.settings.tls_certificate:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self.settings.tls_certificate, self.settings.tls_key or None)


@hookimpl
def channels() -> list[type[EmailSmtp]]:
    """The channel of this plugin."""
    return [EmailSmtp]
