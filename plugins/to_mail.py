"""Mail out (to_mail): one mail per delivery to the office's address, through the mail server of the house.

``X-Gateway-Incident`` and ``X-Gateway-Delivery`` and the Message-ID stay the same over retries, so that a second copy (our
commit fell between the server's yes and a crash) can be told. Sources: RFC 5321 section 4.2 (replies), RFC 3463 (status codes).
"""

from __future__ import annotations

import asyncio
import re
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import ClassVar, Literal

import aiosmtplib

from gateway.api import Delivered, Delivery, Field, Outcome, Refused, Services, Settings, TryLater, hookimpl

_ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]\\]{1,64}@[A-Za-z0-9\u0080-\uffff.-]{1,253}")
_QUEUED = re.compile(r"(?:queued as|accepted as|queue[d_ -]*id[=: ]+|\bid[=: ]+)\s*<?([\w.@-]+)", re.I)
_STATUS = re.compile(r"^[245]\.\d{1,3}\.\d{1,3}")
_HEADER = re.compile(r"X-[A-Za-z0-9-]{1,60}")
REF_CHARS = 200


class MailSettings(Settings):
    """``[transport.NAME]`` with ``kind = "to_mail"``."""

    host: str = Field("127.0.0.1", description="the mail server that takes our mail")
    port: int = Field(25, ge=1, le=65535, description="its port")
    security: Literal["none", "opportunistic", "starttls", "tls"] = Field(
        "opportunistic",
        description="STARTTLS if offered (opportunistic), always (starttls), TLS from the first octet (tls), or none",
    )
    verify: bool = Field(True, description="check the server's certificate where TLS is used")
    ca_file: str = Field("", description="PEM file of the authority that signed it, besides the system's")
    username: str = Field("", description="account at the mail server; empty: none is asked for")
    password: str = Field("", description="name of the secret that holds its password")
    from_address: str = Field(description="sender of our mail")
    hostname: str = Field("localhost", description="our name in EHLO")
    timeout_seconds: float = Field(30, gt=0, description="for the connection and for each reply")
    max_connections: int = Field(8, ge=1, description="mails on their way at one time")


class ToMail:
    """Sends; keeps no state of its own."""

    kind: ClassVar[str] = "to_mail"
    Settings = MailSettings

    def __init__(self, name: str, settings: MailSettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self._places = asyncio.Semaphore(settings.max_connections)

    async def start(self) -> None:
        """Nothing to open: each delivery has a connection of its own."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def probe(self) -> str | None:
        """Connect, EHLO, TLS and login as for a mail, then QUIT."""
        try:
            async with self._smtp():
                return None
        except aiosmtplib.SMTPResponseException as error:
            return f"the mail server answered {_code(error.code, error.message)}"
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return f"no mail server ({type(error).__name__})"

    async def send(self, delivery: Delivery) -> Outcome:
        """4xx and every trouble of the connection: later. 5xx for this mail or address: never by this way."""
        if _ADDRESS.fullmatch(delivery.address) is None:
            return Refused("the address is not a mail address")
        async with self._places:
            try:
                async with asyncio.timeout(4 * self.settings.timeout_seconds):
                    return await self._send(delivery)
            except aiosmtplib.SMTPAuthenticationError as error:
                return TryLater(f"the mail server does not accept our account ({_code(error.code, error.message)})")
            except aiosmtplib.SMTPRecipientsRefused as error:
                return _judged(error.recipients[0].code, error.recipients[0].message)
            except aiosmtplib.SMTPConnectResponseError as error:
                return TryLater(f"the mail server is not ready ({_code(error.code, error.message)})")
            except aiosmtplib.SMTPResponseException as error:
                return _judged(error.code, error.message)
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                return TryLater(f"no mail server ({type(error).__name__})")

    def _smtp(self) -> aiosmtplib.SMTP:
        s = self.settings
        password = self.services.secret(s.password) if s.username and s.password and self.services else None
        return aiosmtplib.SMTP(
            hostname=s.host,
            port=s.port,
            local_hostname=s.hostname,
            timeout=s.timeout_seconds,
            use_tls=s.security == "tls",
            start_tls={"none": False, "tls": False, "starttls": True, "opportunistic": None}[s.security],
            validate_certs=s.verify,
            cert_bundle=s.ca_file or None,
            username=s.username or None,
            password=password,
        )

    async def _send(self, delivery: Delivery) -> Delivered:
        sender = self.settings.from_address
        async with self._smtp() as smtp:
            _, text = await smtp.send_message(mail_of(delivery, sender), sender=sender, recipients=[delivery.address])
        found = _QUEUED.search(text)
        return Delivered((found[1] if found else text.strip()[:REF_CHARS],))


def mail_of(delivery: Delivery, sender: str) -> EmailMessage:
    """The mail of a delivery: the same octets at each attempt but for the date, which the server adds."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = sender
    mail["To"] = delivery.address
    mail["Subject"] = re.sub(r"\s+", " ", delivery.subject).strip()
    mail["Message-ID"] = f"<{re.sub(r'[^A-Za-z0-9._-]', '-', delivery.id)}@{sender.rpartition('@')[2] or 'localhost'}>"
    headers = {"X-Gateway-Delivery": delivery.id} | ({"X-Gateway-Incident": delivery.incident} if delivery.incident else {})
    for name, value in (headers | delivery.headers).items():
        if _HEADER.fullmatch(name):
            mail[name] = re.sub(r"\s+", " ", value).strip()
    mail.set_content(delivery.text, charset="utf-8", cte="base64")
    return mail


def _judged(code: int, text: str) -> Outcome:
    """A reply to this very mail. The server's words stay out: a filter may quote the mail in them."""
    why = f"the mail server answered {_code(code, text)}"
    return Refused(why) if 500 <= code < 600 else TryLater(why)


def _code(code: int, text: str) -> str:
    status = _STATUS.match(text.strip())
    return f"{code} {status[0]}" if status else str(code)


@hookimpl
def transports() -> list[type[ToMail]]:
    """The transport of this plugin."""
    return [ToMail]
