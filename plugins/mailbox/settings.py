"""The settings of a mailbox: what IMAP and POP3 have in common, and each its own. Apart from what speaks with a server, so that a
command that only reads conf/ loads no library for it."""

from __future__ import annotations

from typing import Literal

from gateway.api import Field, SecretName, Settings
from gateway_plugins.mailproof.settings import AUTHSERV_IDS, DNS_SECONDS, DNS_SERVERS


class BoxSettings(Settings):
    """Where the mailbox is and how often it is looked at."""

    host: str = Field(description="the mail server")
    port: int = Field(0, ge=0, le=65535, description="its port; 0: the usual one for this security")
    security: Literal["tls", "starttls", "none"] = Field(
        "tls", description="TLS from the first octet (tls), demanded of a plain line (starttls), or none (all in the clear)"
    )
    verify: bool = Field(True, description="check the server's certificate")
    ca_file: str = Field("", description="PEM file of the authority that signed it, besides the system's")
    username: str = Field(description="the account")
    password: SecretName = Field(description="name of the secret that holds its password")
    poll_seconds: float = Field(30, gt=0, description="how often the mailbox is looked at where the server tells of nothing")
    timeout_seconds: float = Field(60, gt=0, description="for the connection, and for each answer to be whole")
    reconnect_min: float = Field(1, gt=0, description="seconds before the first new attempt after a loss")
    reconnect_max: float = Field(60, gt=0, description="the longest wait between two attempts, and the one after a refused login")
    authserv_ids: tuple[str, ...] = AUTHSERV_IDS
    dns_servers: tuple[str, ...] = DNS_SERVERS
    dns_seconds: float = DNS_SECONDS


class ImapSettings(BoxSettings):
    """``[channel.NAME]`` with ``kind = "email_imap"``."""

    folder: str = Field("INBOX", description="the folder whose mails are reports")
    after: Literal["move", "seen", "delete"] = Field(
        "move", description="what becomes of a mail once it is stored: moved to move_to, marked as seen, or deleted"
    )
    move_to: str = Field("Gateway", description="where stored mails go; made where it is not there")
    idle_seconds: float = Field(30, gt=0, description="the longest wait for the server to tell of new mail (IDLE) before a look")


class Pop3Settings(BoxSettings):
    """``[channel.NAME]`` with ``kind = "email_pop3"``."""
