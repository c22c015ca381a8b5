"""Settings of what the gateway serves over HTTP: links to acknowledge by, metrics and health, the duty desk's pages."""

from __future__ import annotations

from pydantic import Field, model_validator

from gateway.i18n import _
from gateway.reference import SecretName
from gateway.settings_base import Section, wrong

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class LinksSection(Section):
    """One-time links to acknowledge by (签收链接), in what goes to offices. They are served by the [http] server under /a/."""

    public_url: str = Field(
        default="",
        pattern=r"^$|^https?://[^\s?#]+[^\s?#/]$",
        description="how offices reach it, such as https://duty.example; empty: no links",
    )
    hours: float = Field(default=24.0, gt=0, le=720, description="how long a link may be used")
    per_minute: int = Field(default=30, ge=1, le=10_000, description="calls of one address within a minute; more are turned away")
    proxies: tuple[str, ...] = Field(
        default=("127.0.0.1", "::1"), description="addresses of proxies whose X-Forwarded-For says who calls"
    )


class HttpSection(Section):
    """The operators' HTTP server: metrics and health."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=64, description="address to listen on")
    port: int = Field(default=9464, ge=0, le=65_535, description="its port; 0: no server, unless systemd hands over a socket")
    scrape_seconds: float = Field(default=1.0, ge=0.1, le=60, description="the store is asked at most once in this time")


class ConsoleSection(Section):
    """The duty desk in a browser. Off until it is set up; accounts: gateway user add."""

    enabled: bool = Field(default=False, description="true: the console is served")
    host: str = Field(default="127.0.0.1", min_length=1, max_length=64, description="address to listen on")
    port: int = Field(
        default=8443,
        ge=1,
        le=65_535,
        description="its port; that of [http]: one server for both. A socket of systemd's named console goes before",
    )
    public_url: str = Field(
        default="",
        pattern=r"^$|^https?://[^\s?#/]+$",
        description="how a browser reaches it, such as https://console.duty.example; empty: as it listens",
    )
    certificate: str = Field(default="", description="PEM file with the certificate and its chain: then it speaks TLS alone")
    private_key: SecretName = Field(default="console-key", description="name of the secret with the certificate's key (PEM)")
    session_hours: float = Field(default=12.0, gt=0, le=72, description="how long a sign-in holds")
    sign_in_per_minute: int = Field(default=10, ge=1, le=1000, description="tries to sign in of one address within a minute")
    calls_per_minute: int = Field(default=600, ge=10, le=100_000, description="calls of one sign-in within a minute")
    form_kb: int = Field(default=256, ge=16, le=10_240, description="most that a form may send, in KiB; more is refused")
    streams: int = Field(default=64, ge=1, le=1000, description="boards that may stay open at once")
    board_rows: int = Field(default=100, ge=10, le=1000, description="incidents on one page of the board, the most urgent first")
    refresh_seconds: float = Field(default=1.0, ge=0.1, le=60, description="the board is made anew at most once in this time")
    stale_seconds: float = Field(default=25.0, ge=5, le=600, description="a board that hears nothing for so long says so")
    soon_minutes: int = Field(default=10, ge=1, le=240, description="a clock with less left than this counts as urgent")
    sound_seconds: int = Field(default=20, ge=5, le=600, description="pause between two sounds while somebody must acknowledge")
    draft_hours: float = Field(default=24.0, gt=0, le=720, description="how long an unfinished telephone form is kept")
    proxies: tuple[str, ...] = Field(default=(), description="addresses of proxies whose X-Forwarded-For says who calls")
    conf_needs_two: bool = Field(
        default=False, description="true: what an operator changes of conf here waits for a leader's yes (roster, directory …)"
    )
    client_ca: str = Field(
        default="", description="PEM file with the authorities whose client certificates sign in; empty: none is asked for"
    )
    passwords: bool = Field(default=True, description="false: only a client certificate signs in, and TLS refuses who has none")

    @model_validator(mode="after")
    def _certified(self) -> ConsoleSection:
        if self.client_ca and not self.certificate:
            raise wrong(_("client certificates need TLS of our own"), _("client_ca together with certificate"))
        if not self.passwords and not self.client_ca:
            raise wrong(_("without passwords nobody could sign in"), _("passwords = false together with client_ca"))
        return self

    @model_validator(mode="after")
    def _guarded(self) -> ConsoleSection:
        near = self.host in LOOPBACK or self.public_url.startswith("https://")
        if self.enabled and not self.certificate and not near:
            raise wrong(
                _("passwords would cross the network in the clear"),
                _("a certificate, or a loopback host, or the public_url with https of a proxy in front"),
            )
        return self

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by TLS: then cookies are bound to it."""
        return bool(self.certificate) or self.public_url.startswith("https://")
