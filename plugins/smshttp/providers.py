"""The providers: Alibaba Cloud SMS (阿里云短信), Tencent Cloud SMS (腾讯云短信), and form posts as Twilio sends them. Pure.

Sources: Alibaba Cloud, Short Message Service, "SmsUp" and "SmsReport" by HTTP batch push, API SendSms (2017-05-25) with signature
ACS3-HMAC-SHA256; Tencent Cloud, SMS, callbacks for status and replies; Twilio, Messaging webhooks, Messages resource, "Validating
requests".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, ClassVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from gateway.api import Delivered, Malformed, Outcome, Refused, TryLater, _
from gateway_plugins.smshttp.provider import (
    Asked,
    Call,
    FormProvider,
    Incoming,
    JsonProvider,
    Provider,
    Sending,
    Sends,
    Status,
    not_understood,
    same,
)


class Aliyun(JsonProvider, Sends):
    """JSON arrays; a token in the URL, as the service signs nothing. Sends by template: the whole text is its ``content``."""

    name = "aliyun"
    sender, recipient, words, id = "phone_number", "dest_code", "content", "sequence_id"
    ref, good, why = "biz_id", ("success", True), "err_code"
    yes: ClassVar[tuple[str, bytes]] = ("application/json", '{"code":0,"msg":"成功"}'.encode())

    def ask(self, sending: Sending) -> Asked:
        """SendSms, its parameters in the query, signed with ACS3-HMAC-SHA256."""
        number = sending.to.removeprefix("+86").removeprefix("+")
        asked = {
            "OutId": sending.key, "PhoneNumbers": number, "SignName": sending.source, "TemplateCode": sending.template,
            "TemplateParam": msgspec.json.encode({"content": sending.text}).decode(),
        }  # fmt: skip
        query = urlencode(sorted(asked.items()), quote_via=quote, safe="-_.~")
        headers = {
            "host": urlsplit(sending.api_url).netloc, "x-acs-action": "SendSms",
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(), "x-acs-date": f"{sending.now:%Y-%m-%dT%H:%M:%SZ}",
            "x-acs-signature-nonce": sending.nonce, "x-acs-version": "2017-05-25",
        }  # fmt: skip
        signed = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        canonical = f"POST\n/\n{query}\n{lines}\n{signed}\n{headers['x-acs-content-sha256']}"
        wanted = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(sending.secret.encode(), wanted.encode(), "sha256").hexdigest()
        credential = f"Credential={sending.account},SignedHeaders={signed},Signature={signature}"
        headers["authorization"] = f"ACS3-HMAC-SHA256 {credential}"
        return Asked(url=f"{sending.api_url.rstrip('/')}/?{query}", headers=headers, body=b"")

    def sent(self, body: bytes) -> Outcome:
        """``Code`` decides; a number that cannot be is the one thing that another attempt does not put right."""
        told = _object(body)
        code = str(told.get("Code", ""))[:60]
        if code == "OK":
            return Delivered((str(told["BizId"]),) if told.get("BizId") else ())
        if not code:
            return not_understood()
        why = _("the service answered {code}").format(code=code)
        return Refused(why) if code == "isv.MOBILE_NUMBER_ILLEGAL" else TryLater(why)


class Tencent(JsonProvider):
    """JSON arrays; a token in the URL. It only receives."""

    name = "tencent"
    sender, recipient, words, id = "mobile", "extend", "text", "sid"
    ref, good, why = "sid", ("report_status", "SUCCESS"), "errmsg"
    yes: ClassVar[tuple[str, bytes]] = ("application/json", b'{"result":0,"errmsg":"OK"}')


class Twilio(FormProvider, Sends):
    """Form posts signed with HMAC-SHA1 over the URL and the fields in order."""

    name = "twilio"
    yes: ClassVar[tuple[str, bytes]] = ("text/xml", b"<Response/>")

    def proven(self, call: Call, secret: str) -> bool:
        """X-Twilio-Signature; the URL is the one that the provider was given."""
        try:
            fields = self.form(call.body)
        except Malformed:
            fields = {}
        signed = call.url + "".join(name + fields[name] for name in sorted(fields))
        digest = hmac.new(secret.encode(), signed.encode("utf-8", "surrogatepass"), "sha1").digest()
        return bool(secret) and same(call.headers.get("x-twilio-signature", ""), base64.b64encode(digest).decode())

    def taken(self, call: Call) -> tuple[list[Incoming], list[Status]]:
        fields = self.form(call.body)
        sid = fields.get("MessageSid") or fields.get("SmsSid") or ""
        if "Body" in fields:
            kept = msgspec.json.encode(fields)
            sender, to = fields.get("From", ""), fields.get("To", "")
            return [Incoming(sender=sender[:200], recipient=to[:200], carrier_id=sid[:200] or None, element=kept)], []
        state = fields.get("MessageStatus") or fields.get("SmsStatus") or ""
        if not sid or not state:
            raise Malformed("the form has neither Body nor MessageSid and MessageStatus")
        if state in ("delivered", "read"):
            return [], [Status(ref=sid, state="delivered", detail=state)]
        if state in ("undelivered", "failed"):
            return [], [Status(ref=sid, state="failed", detail=f"{state} {fields.get('ErrorCode', '')}".strip()[:40])]
        return [], []  # queued, sending, sent: not final

    def text(self, element: bytes) -> tuple[str, str | None]:
        fields = _object(element)
        if not isinstance(fields.get("Body"), str):
            raise Malformed("field 'Body' is missing or no text")
        pictures = str(fields.get("NumMedia", "0"))
        return fields["Body"], None if pictures in ("", "0") else _("pictures came along that were not fetched")

    def ask(self, sending: Sending) -> Asked:
        """POST to the account's Messages, as that account."""
        form = {"To": sending.to, "From": sending.source, "Body": sending.text}
        if sending.callback:
            form["StatusCallback"] = sending.callback
        known = base64.b64encode(f"{sending.account}:{sending.secret}".encode()).decode()
        url = f"{sending.api_url.rstrip('/')}/2010-04-01/Accounts/{quote(sending.account, safe='')}/Messages.json"
        headers = {"authorization": f"Basic {known}", "content-type": "application/x-www-form-urlencoded"}
        return Asked(url=url, headers=headers, body=urlencode(form).encode())

    def sent(self, body: bytes) -> Outcome:
        """201 with the message's sid."""
        sid = _object(body).get("sid")
        return Delivered((sid,)) if isinstance(sid, str) and sid else not_understood()


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


PROVIDERS: dict[str, Provider] = {one.name: one() for one in (Aliyun, Tencent, Twilio)}
