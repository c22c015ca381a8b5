"""Mail out (to_mail): one mail per delivery to the office's address, through the mail server of the house.

``X-Gateway-Incident`` and ``X-Gateway-Delivery`` and the Message-ID stay the same over retries, so that a second copy (our
commit fell between the server's yes and a crash) can be told. Sources: RFC 5321 section 4.2 (replies), RFC 3463 (status codes),
RFC 3461 (DSN), RFC 5322 section 3.6.4 (threading).
"""

from __future__ import annotations

import asyncio
import re
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Any, ClassVar, Literal

import aiosmtplib

from gateway.api import ChannelName, Delivered, Delivery, Field, Outcome, Refused, Services, Settings, TryLater, _, hookimpl
from gateway_plugins.mailtext.dsn import envelope_id
from gateway_plugins.smtpout.lines import Lines

_ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]\\]{1,64}@[A-Za-z0-9\u0080-\uffff.-]{1,253}")
_QUEUED = re.compile(r"(?:queued as|accepted as|queue[d_ -]*id[=: ]+|\bid[=: ]+)\s*<?([\w.@-]+)", re.I)
_STATUS = re.compile(r"^[245]\.\d{1,3}\.\d{1,3}")
_HEADER = re.compile(r"X-[A-Za-z0-9-]{1,60}|Auto-Submitted|In-Reply-To|References")
"""What a delivery may add: its own marks, that it is an answer by a machine (RFC 3834), and what it answers to."""
REF_CHARS = 200


class MailSettings(Settings):
    """``[transport.NAME]`` with ``kind = "to_mail"``."""

    host: str = Field("127.0.0.1", description="the mail server that takes our mail")
    port: int = Field(25, ge=1, le=65535, description="its port")
    security: Literal["none", "opportunistic", "starttls", "tls"] = Field(
        "opportunistic",
        description="STARTTLS if offered (opportunistic), always (starttls), TLS from the first octet (tls), or none",
    )
    verify: bool = Field(True, description="check the server's certificate where TLS is demanded")
    ca_file: str = Field("", description="PEM file of the authority that signed it, besides the system's")
    username: str = Field("", description="account at the mail server; empty: none is asked for")
    password: str = Field("", description="name of the secret that holds its password")
    from_address: str = Field(description="sender of our mail")
    reply_to: str = Field("", description="where answers are to go, if not to the sender")
    dsn: Literal["off", "failure", "all"] = Field(
        "failure", description="what the server is asked to report later where it can (DSN): nothing, failures, or arrivals too"
    )
    dsn_channel: ChannelName = Field(
        "", description="the mail channel by which such reports come to from_address; empty: they are mails like others"
    )
    hostname: str = Field("localhost", description="our name in EHLO")
    timeout_seconds: float = Field(30, gt=0, description="for the connection and for each reply")
    max_connections: int = Field(8, ge=1, description="mails on their way at one time")
    keep_seconds: float = Field(5, ge=0, description="how long a connection stands by for the next mail; 0: not at all")


class _StoodBy(Exception):
    """A connection that stood by took neither sender nor any address."""


class ToMail:
    """Sends; what it keeps is connections that stand by."""

    kind: ClassVar[str] = "to_mail"
    Settings = MailSettings

    def __init__(self, name: str, settings: MailSettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self._places = asyncio.Semaphore(settings.max_connections)
        self._lines = Lines(self._smtp, settings.keep_seconds)

    async def start(self) -> None:
        """Nothing to open: the first mail does."""

    async def stop(self) -> None:
        """Leave the connections that stand by."""
        await self._lines.close()

    async def probe(self) -> str | None:
        """Connect, EHLO, TLS and login as for a mail, then QUIT."""
        try:
            async with self._smtp():
                return None
        except aiosmtplib.SMTPResponseException as error:
            return _answered(error.code, error.message)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return _("no mail server ({error})").format(error=type(error).__name__)

    async def send(self, delivery: Delivery) -> Outcome:
        """4xx and every trouble of the connection: later. 5xx for this mail or address: never by this way."""
        addresses = addresses_of(delivery.address)
        if not addresses:
            return Refused(_("the address is not a mail address"))
        taken = [one for one in delivery.progress.get("taken", []) if one in addresses]
        todo = [one for one in addresses if one not in taken] or list(addresses)
        async with self._places:
            try:
                async with asyncio.timeout(4 * self.settings.timeout_seconds):
                    return await self._send(delivery, todo, taken)
            except aiosmtplib.SMTPAuthenticationError as error:
                return TryLater(
                    _("the mail server does not accept our account ({code})").format(code=_code(error.code, error.message))
                )
            except aiosmtplib.SMTPRecipientsRefused as error:
                refused = {one.recipient: (one.code, one.message) for one in error.recipients}
                return self._some_refused(delivery, refused, taken, ())
            except aiosmtplib.SMTPConnectResponseError as error:
                return TryLater(_("the mail server is not ready ({code})").format(code=_code(error.code, error.message)))
            except aiosmtplib.SMTPResponseException as error:
                return _judged(error.code, error.message)
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                return TryLater(_("no mail server ({error})").format(error=type(error).__name__))

    @property
    def receipts_from(self) -> str:
        """The channel that reports of mail servers come by."""
        return self.settings.dsn_channel

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
            # Opportunistic is encryption without knowing with whom: who can forge the server can also hide that it offers TLS.
            validate_certs=s.verify and s.security != "opportunistic",
            cert_bundle=s.ca_file or None,
            username=s.username or None,
            password=password,
        )

    async def _send(self, delivery: Delivery, todo: list[str], taken: list[str]) -> Outcome:
        s = self.settings
        mail, named = mail_of(delivery, s.from_address, s.reply_to), envelope_id(delivery.id, delivery.attempt, len(todo))
        try:
            refused, text = await self._hand_over(mail, todo, named)
        except _StoodBy:
            # It may have had its share of mails: what it says to one more is no word on this mail, of which it has nothing yet.
            refused, text = await self._hand_over(mail, todo, named, new=True)
        found = _QUEUED.search(text)
        refs: tuple[str, ...] = (found[1] if found else text.strip()[:REF_CHARS],)
        if s.dsn_channel:
            refs = (*refs, named, named.partition(".")[0])
        if refused:
            said = {one: (answer.code, answer.message) for one, answer in refused.items()}
            return self._some_refused(delivery, said, taken, refs, todo)
        return Delivered(refs)

    async def _hand_over(
        self, mail: EmailMessage, to: list[str], named: str, *, new: bool = False
    ) -> tuple[dict[str, aiosmtplib.SMTPResponse], str]:
        """Which addresses were refused, and the server's last words. Raises ``_StoodBy`` where a connection that stood by would
        have none of it, what aiosmtplib raises otherwise."""
        s = self.settings
        asked: dict[str, Any] = {}
        async with self._lines.line(new=new) as line:
            if s.dsn != "off" and line.smtp.supports_extension("dsn"):
                when = "FAILURE,DELAY" if s.dsn == "failure" else "SUCCESS,FAILURE,DELAY"
                asked = {"mail_options": ["RET=HDRS", f"ENVID={named}"], "rcpt_options": [f"NOTIFY={when}"]}
            try:
                return await line.smtp.send_message(mail, sender=s.from_address, recipients=to, **asked)
            except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientsRefused):
                if line.mails:
                    raise _StoodBy from None
                raise

    def _some_refused(
        self,
        delivery: Delivery,
        refused: dict[str, tuple[int, str]],
        taken: list[str],
        refs: tuple[str, ...],
        todo: list[str] | None = None,
    ) -> Outcome:
        """Some addresses of one way were refused, maybe all: those that may pass are tried again alone, and the office has the
        mail as soon as one address of its has it; which it has not is an alarm."""
        have = [*taken, *(one for one in todo or () if one not in refused)]
        passing = {one: said for one, said in refused.items() if not 500 <= said[0] < 600}
        code, text = next(iter((passing or refused).values()))
        if not have:
            return _judged(code, text)
        if passing:
            why = _("the mail server answered {code} for {count} of {all} addresses")
            told = why.format(code=_code(code, text), count=len(passing), all=len(have) + len(refused))
            return TryLater(told, progress={"taken": have})
        if self.services is not None:
            why = _("{addresses} of {office} refused ({code}); its other addresses have the mail")
            told = why.format(addresses=", ".join(refused), office=delivery.destination, code=_code(code, text))
            self.services.alarm(told, delivery=delivery.id)
        return Delivered(refs)


def addresses_of(text: str) -> tuple[str, ...]:
    """The addresses of a way: one, or several with commas between them; none where any of them is no address."""
    found = tuple(dict.fromkeys(one.strip() for one in text.split(",")))
    return found if all(_ADDRESS.fullmatch(one) for one in found) else ()


def mail_of(delivery: Delivery, sender: str, reply_to: str = "") -> EmailMessage:
    """The mail of a delivery: the same octets at each attempt but for the date, which the server adds.

    All mails of an incident answer one that was never sent, so that a mail program shows them as one thread; an answer to any
    of them names our Message-ID, which holds the delivery's id.
    """
    domain = sender.rpartition("@")[2] or "localhost"
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = sender
    mail["To"] = ", ".join(addresses_of(delivery.address)) or delivery.address
    if reply_to:
        mail["Reply-To"] = reply_to
    mail["Subject"] = re.sub(r"\s+", " ", delivery.subject).strip()
    mail["Message-ID"] = f"<{_word(delivery.id)}@{domain}>"
    if delivery.incident:
        mail["In-Reply-To"] = mail["References"] = f"<incident-{_word(delivery.incident)}@{domain}>"
    headers = {"X-Gateway-Delivery": delivery.id} | ({"X-Gateway-Incident": delivery.incident} if delivery.incident else {})
    for name, value in (headers | delivery.headers).items():
        if _HEADER.fullmatch(name):
            del mail[name]
            mail[name] = re.sub(r"\s+", " ", value).strip()
    mail.set_content(delivery.text, charset="utf-8", cte="base64")
    return mail


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)


def _judged(code: int, text: str) -> Outcome:
    """A reply to this very mail. The server's words stay out: a filter may quote the mail in them."""
    why = _answered(code, text)
    return Refused(why) if 500 <= code < 600 else TryLater(why)


def _answered(code: int, text: str) -> str:
    return _("the mail server answered {code}").format(code=_code(code, text))


def _code(code: int, text: str) -> str:
    status = _STATUS.match(text.strip())
    return f"{code} {status[0]}" if status else str(code)


@hookimpl
def transports() -> list[type[ToMail]]:
    """The transport of this plugin."""
    return [ToMail]
