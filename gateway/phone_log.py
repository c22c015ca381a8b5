"""``gateway phone-log``: a clerk's telephone log form (电话记录单) becomes a message like any other, in one transaction with the
record of who wrote it."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from gateway.asked import OperationError
from gateway.core.errors import Malformed
from gateway.core.model import Event, RawMessage
from gateway.i18n import _
from gateway.intake import repeat_within, take_in
from gateway.store import Tx, journal

if TYPE_CHECKING:
    from gateway.operations import Live

VIA = "phone-log"
"""The name of the channel that reads the form."""


def take(live: Live, tx: Tx, by: str, form: dict[str, Any]) -> dict[str, Any]:
    """Store the form and say so; ``by`` is the login of whoever asks. The same ``call_id`` again is the same call. Raises
    ``OperationError`` with what is wrong with the form."""
    channel = next((one for one in live.config.channels if one.name == VIA), None)
    if channel is None:
        text = _('no channel {name} is configured; add to channels.d/phone.toml: [channel.{name}] with kind = "phone_log"')
        raise OperationError(text.format(name=VIA))
    now = live.now()
    whole = {"form": "phone-log", **form}
    whole["call_id"] = str(whole.get("call_id") or f"{now:%Y%m%d%H%M%S}-{secrets.token_hex(4)}")
    raw = RawMessage(
        channel="phone",
        via=VIA,
        received_at=now,
        sender=str(whole.get("caller", "")).strip(),
        recipient=str(whole.get("called", "")).strip(),
        carrier_id=whole["call_id"],
        body=json.dumps(whole, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace"),
        content_type=channel.cls.content_type,
        meta={"clerk": str(whole.get("clerk", "")), "login": by},
    )
    limit = live.config.limits.max_message_bytes
    if len(raw.body) > limit:
        raise OperationError(_("message has {size} bytes, the limit is {limit}").format(size=len(raw.body), limit=limit))
    try:
        channel.cls(VIA, channel.settings).read(raw)
    except Malformed as fault:
        raise OperationError(str(fault)) from None
    person = bool(live.config.directory.persons(raw.sender))
    accepted = take_in(tx, raw, now, repeat_within(live.config.repeat_seconds, person))
    data = {"clerk": raw.meta["clerk"], "via": VIA, "duplicate_of": accepted.duplicate_of}
    journal.emit(tx, Event(at=now, event="phone_logged", message=accepted.id, by=by, data={k: v for k, v in data.items() if v}))
    return {"id": accepted.id, "call_id": raw.carrier_id, "duplicate_of": accepted.duplicate_of}
