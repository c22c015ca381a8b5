"""The demo: starts the SMSC and the mail sink that the demo configuration points to, sends one real report through each of the
four channels of the running daemon and follows each until it has been seen at the SMSC or in the sink."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.control import ask
from gateway.core.directory import REPORTER
from gateway.core.render import CHANNELS, display_number, short_number
from gateway.demo import messages as reports
from gateway.demo.mailsink import DemoMailSink
from gateway.demo.smsc import DemoSmsc
from gateway.i18n import _
from gateway.secrets import Secrets
from gateway.settings import Config

Say = Callable[[str], Any]


async def main(config: Config, seconds: float, say: Say, stay: bool = False) -> int:
    """Run the demo; returns how many of the four channels delivered. The last line says it; with ``stay`` both servers then
    go on until the process is ended."""
    shown = _Demo(config, seconds, say)
    try:
        await shown.start()
        delivered = 0
        for kind in ("sms", "email", "fax", "phone"):
            delivered += await shown.one(kind)
        say("")
        say(f"{delivered}/4 channels delivered")
        if stay and delivered == 4:
            await asyncio.Event().wait()
    finally:
        await shown.stop()
    return delivered


class _Demo:
    def __init__(self, config: Config, seconds: float, say: Say) -> None:
        self.config = config
        self.say = say
        self.seconds = seconds
        self.settings: dict[str, Any] = {c.kind: c.settings for c in (*config.channels, *config.transports)}
        self.sms = self.settings["sms_smpp"]
        self.secrets = Secrets(config.secrets)
        self.smsc = DemoSmsc(self.sms.system_id, self.secrets.text(self.sms.password))
        self.sink = DemoMailSink()
        self.socket = config.state / "control.sock"
        self.now = datetime.now(ZoneInfo(config.timezone))

    async def start(self) -> None:
        """Start both servers and wait until the daemon answers and is bound to the SMSC."""
        out = self.settings["to_mail"]
        await self.smsc.start(f"tcp:{self.sms.port}:interface={self.sms.host}")
        await self.sink.start(out.host, out.port)
        self.say(_("demo SMSC on port {smsc}, mail sink on port {sink}").format(smsc=self.sms.port, sink=out.port))
        deadline = time.monotonic() + self.seconds
        while True:
            try:
                await self._ask("status")
                break
            except ConnectionError:
                if time.monotonic() > deadline:
                    raise SystemExit(_("no daemon answers; start it with: gateway --conf DIR run")) from None
                await asyncio.sleep(0.2)
        await self.smsc.wait_bound(self.seconds)
        self.say(_("daemon is bound to the SMSC"))

    async def stop(self) -> None:
        """Stop both servers."""
        await self.smsc.stop()
        await self.sink.stop()

    async def one(self, kind: str) -> int:
        """Send one report by ``kind`` and follow it; 1 if it was delivered."""
        self.say("")
        self.say(f"── {CHANNELS[kind]} ({kind})")
        before = {m["id"] for m in await self._ask("messages", limit=1000)}
        began = time.monotonic()
        await getattr(self, f"_send_{kind}")()
        self.say(_("  accepted by the gateway after {ms:.0f} ms").format(ms=(time.monotonic() - began) * 1000))
        message = await self._until(lambda: self._became(kind, before), _("became an incident"))
        if message is None:
            return 0
        incident = await self._ask("incident", number=message["incident"])
        self._tell(incident)
        seen = await self._until(lambda: self._seen(message["incident"]), _("was delivered"))
        if seen is None:
            return 0
        for line in seen:
            self.say(f"  ✓ {line}")
        return 1

    def _tell(self, incident: dict[str, Any]) -> None:
        self.say(_("  incident {number}: {title}").format(number=display_number(incident["number"]), title=incident["title"]))
        reasons = incident.get("why") or {}
        for item in incident["items"]:
            self.say(_("  catalogue {item}: {why}").format(item=item, why="，".join(reasons.get(item, []))))
        if incident["needs_person"]:
            self.say(_("  needs a person: {why}").format(why=incident["needs_person"]))
        sent = dict.fromkeys(d["destination"] for d in reversed(incident["deliveries"]))
        offices = "、".join(office for office in sent if office != REPORTER)
        moment = self.config.calendar.moment(self.now)
        self.say(_("  offices for this hour ({why}): {offices}").format(why=moment.why, offices=offices))

    async def _became(self, kind: str, before: set[str]) -> dict[str, Any] | None:
        rows = await self._ask("messages", limit=1000)
        fresh = [m for m in rows if m["id"] not in before and m["channel"] == kind]
        return next((m for m in fresh if m["state"] in ("read", "needs_person", "duplicate") and m["incident"]), None)

    async def _seen(self, number: str) -> list[str] | None:
        """What arrived outside; None until every office that was to be told has it, by mail or by SMS."""
        wanted = await self._ask("deliveries", incident=number, limit=1000)
        if not wanted or any(d["state"] not in ("delivered", "acknowledged") for d in wanted):
            return None
        mails = [m for m in self.sink.mails if m.header("X-Gateway-Incident") == number]
        tail = short_number(number)
        texts = [to for to, text, _at in self.smsc.sent if text.rstrip().endswith(tail)]
        if not mails and not texts:
            return None
        seen = [_("mail sink: {id} → {to}").format(id=m.header("X-Gateway-Delivery"), to=m.recipient) for m in mails]
        return seen + [_("SMSC: SMS {tail} → {to}").format(tail=tail, to=to) for to in texts]

    async def _until(self, look: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            if (found := await look()) is not None:
                return found
            await asyncio.sleep(0.1)
        self.say(_("  ✗ not within {seconds:g} s: {what}").format(seconds=self.seconds, what=what))
        return None

    async def _send_sms(self) -> None:
        statuses = await self.smsc.deliver(reports.SMS_SENDER, "10690999", reports.sms(self.now))
        self.say(_("  sent as {count} parts, deliver_sm_resp {statuses}").format(count=len(statuses), statuses=statuses))

    async def _send_email(self) -> None:
        await self._mail(reports.EMAIL_SENDER, "report@gateway.test", reports.email(self.now))

    async def _send_fax(self) -> None:
        await self._mail(reports.FAX_SENDER, "fax@gateway.test", reports.fax(self.now))

    async def _mail(self, sender: str, to: str, content: bytes) -> None:
        import aiosmtplib

        mail = self.settings["email_smtp"]
        _errors, answer = await aiosmtplib.send(
            content, sender=sender, recipients=[to], hostname=mail.host, port=mail.port, start_tls=False
        )
        self.say(f"  SMTP: {answer}")

    async def _send_phone(self) -> None:
        phone = self.settings["phone_transcript"]
        token = self.secrets.text(phone.token)
        answer = await asyncio.to_thread(_post, phone.host, phone.port, token, reports.phone(self.now))
        self.say(f"  HTTP: {answer}")

    async def _ask(self, do: str, **args: Any) -> Any:
        return await asyncio.to_thread(ask, self.socket, do, args)


def _post(host: str, port: int, token: str, call: dict[str, Any]) -> str:
    import http.client
    import json

    connection = http.client.HTTPConnection(host, port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/phone", json.dumps(call, ensure_ascii=False).encode(), headers)
    answer = connection.getresponse()
    return f"{answer.status} {answer.read().decode()}"
