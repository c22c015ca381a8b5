"""Dry run: what would a message become, where would it go and why. The desk's own steps over a store in memory."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway import preparing, register
from gateway.core.errors import Malformed
from gateway.core.model import FIGURES, Message, RawMessage, Report
from gateway.house import House
from gateway.i18n import _
from gateway.intake import take_in
from gateway.store import Store, StoreKeys, matters, messages

KINDS = ("sms", "email", "fax", "phone")
PLAIN = "text/plain; charset=utf-8"


def throwaway_key() -> bytes:
    """A public key whose private half nobody keeps: a dry run seals, and forgets."""
    return X25519PrivateKey.generate().public_key().public_bytes_raw()


class Explainer:
    """Takes messages one after another as one stream; follow-ups, duplicates and merges refer back. Writes nothing."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._store = Store.open("sqlite://", StoreKeys(os.urandom(32)), clock=lambda: self._now)
        self._channels: dict[str, Any] = {}
        for configured in house.config.channels:
            self._channels.setdefault(configured.cls.channel, configured.cls(configured.name, configured.settings, None))
        self._now = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

    def close(self) -> None:
        """Forget everything."""
        self._store.close()

    def explain(self, line: dict[str, Any]) -> dict[str, Any]:
        """One input object of the batch format → one output object."""
        raw = raw_message(line)
        self._now = raw.received_at
        accepted = self._store.write_now(lambda tx: take_in(tx, raw, raw.received_at, self.house.config.repeat_seconds))
        row = self._store.read_now(lambda tx: messages.get(tx, accepted.id))
        message, failed = self._read(raw, line)
        prepared = preparing.prepare(self.house, row, message, failed, raw.meta)
        message = prepared.message
        if of := accepted.duplicate_of:
            first = self._store.read_now(lambda tx: messages.get(tx, of))
            action = "quarantine" if prepared.marking else "duplicate"
            taken = register.Taken(action=action, report=prepared.report, found=prepared.found, duplicate_of=first.id)
            return self._output(line, raw, message, taken, first.incident)
        taken = self._store.write_now(lambda tx: register.take(tx, self.house, row, prepared, raw.received_at))
        return self._output(line, raw, message, taken, taken.incident.id if taken.incident else None)

    def _read(self, raw: RawMessage, line: dict[str, Any]) -> tuple[Message, str | None]:
        if raw.content_type == PLAIN:
            return Message(text=line.get("text") or "", subject=line.get("subject") or ""), None
        channel = self._channels.get(raw.channel)
        if channel is None:
            return Message(text=""), _("no channel of kind {kind} is configured").format(kind=raw.channel)
        try:
            return channel.read(raw), None
        except Malformed as fault:
            return Message(text=""), str(fault)

    def _output(
        self, line: dict[str, Any], raw: RawMessage, message: Message, taken: register.Taken, incident: str | None
    ) -> dict[str, Any]:
        directory = self.house.config.directory
        return {
            "id": line.get("id"),
            "action": taken.action,
            "incident": incident,
            "number": taken.incident.number if taken.incident else None,
            "text": message.text,
            "report": None if taken.action == "quarantine" else report_json(taken.report),
            "catalogue": [{"item": m.item, "why": list(m.why)} for m in taken.found.items] if taken.action != "drill" else [],
            "review": _review(taken),
            "severity": msgspec.to_builtins(taken.found.severity),
            "event_class": msgspec.to_builtins(taken.found.event_class),
            "missing": list(taken.found.missing),
            "route": [directory.name(d.office) for d in taken.route],
            "route_because": {directory.name(d.office): d.because for d in taken.route},
            "moment": taken.moment.why if taken.moment else None,
            "because": taken.because,
            "needs_person": taken.incident.needs_person if taken.incident else None,
            "clocks": self._clocks(taken),
        }

    def _clocks(self, taken: register.Taken) -> list[dict[str, Any]]:
        """The clocks as the duty keeps them, as of this message."""
        if taken.incident is None or taken.action in ("below_threshold", "drill", "duplicate", "ignore"):
            return []
        incident = taken.incident.id
        kept = self._store.read_now(lambda tx: matters.get(tx, incident))
        if kept is None:
            return []
        return [
            {
                "clock": one.clock,
                "due": self.house.local(one.due).isoformat(),
                "state": one.state,
                "stopped_at": self.house.local(one.stopped_at).isoformat() if one.stopped_at else None,
                "estimated": kept.matter.estimated,
            }
            for one in kept.matter.clocks
        ]


def _review(taken: register.Taken) -> list[dict[str, Any]]:
    """What a person decides: the items in doubt, or what was not understood at all."""
    doubts = [{"item": doubt.item, "because": doubt.because} for doubt in taken.found.review]
    open_ = taken.incident.needs_person if taken.incident and taken.action == "new" else None
    return doubts or ([{"item": None, "because": open_}] if open_ and not taken.found.items else [])


def raw_message(line: dict[str, Any]) -> RawMessage:
    """The raw message behind one line of the batch format; raw forms win over text. Raises ``Malformed``."""
    for key in ("channel", "received_at"):
        if not line.get(key):
            raise Malformed(_("field '{key}' is missing").format(key=key))
    channel = line["channel"]
    if channel not in KINDS:
        raise Malformed(_("field 'channel' is {value!r}, allowed are {allowed}").format(value=channel, allowed=", ".join(KINDS)))
    try:
        received_at = datetime.fromisoformat(line["received_at"])
    except (TypeError, ValueError):
        raise Malformed(_("field 'received_at' is not ISO 8601: {value!r}").format(value=line["received_at"])) from None
    if received_at.tzinfo is None:
        raise Malformed(_("field 'received_at' has no offset: {value!r}").format(value=line["received_at"]))
    body, content_type = (line.get("text") or "").encode(), PLAIN
    if line.get("subject"):
        body = line["subject"].encode() + b"\n" + body
    try:
        if line.get("raw_b64"):
            body, content_type = base64.b64decode(line["raw_b64"], validate=True), "message/rfc822"
        elif line.get("pdus"):
            parts = [base64.b64encode(pdu.encode()).decode() for pdu in line["pdus"]]
            body, content_type = msgspec.json.encode(parts), "application/vnd.3gpp.sms+hex"
    except (ValueError, AttributeError):
        raise Malformed(_("the raw form cannot be decoded")) from None
    return RawMessage(
        channel=channel,
        via=f"explain-{channel}",
        received_at=received_at,
        sender=str(line.get("sender") or ""),
        body=body,
        content_type=content_type,
    )


def report_json(report: Report | None) -> dict[str, Any] | None:
    """A report as the contract shows it: figures that the text does not state are null."""
    if report is None:
        return None
    plain: dict[str, Any] = msgspec.to_builtins(report)
    plain.pop("text")
    for name in FIGURES:
        plain.setdefault(name, None)
    return plain


def batch(house: House, lines: Iterable[str]) -> Iterator[str]:
    """JSON lines in, JSON lines out, same order. Raises ``Malformed`` with the line's number."""
    explainer = Explainer(house)
    try:
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise Malformed(_("not a JSON object"))
                yield json.dumps(explainer.explain(line), ensure_ascii=False)
            except (json.JSONDecodeError, Malformed) as fault:
                raise Malformed(_("line {number}: {fault}").format(number=number, fault=fault)) from None
    finally:
        explainer.close()
