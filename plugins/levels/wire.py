"""The documents that pass between two gateways, and how they are written. Pure.

Our own format, published in docs/transports/to_gateway.md: JSON over HTTPS, signed as Standard Webhooks says. ``X-Gateway-From``
names the sender, by which the receiver finds the key to check with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.api import Delivery, Malformed

FROM = "x-gateway-from"
NAME = r"^[a-z][a-z0-9_-]{0,39}$"
ACKNOWLEDGES, BY, OFFICE = "X-Gateway-Acknowledges", "X-Gateway-Acknowledged-By", "X-Gateway-Acknowledged-Office"
MOST_TEXT = 200
_CITED = re.compile(r"[〔\[【](20\d\d)[〕\]】]\s*第?(\d{1,5})号?|(?<![\d-])(20\d\d)-(\d{4,5})(?![\d-])|〔(\d{3,5})〕")


@dataclass(frozen=True, slots=True)
class Report:
    """A report from another gateway: ``delivery`` is its id there, ``incident`` its incident's number there."""

    delivery: str
    incident: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A person there has what we sent as ``delivery``."""

    delivery: str
    by: str


def document(delivery: Delivery) -> bytes:
    """A delivery as it is posted: the same bytes at each attempt."""
    data: dict[str, Any]
    if acknowledged := delivery.headers.get(ACKNOWLEDGES):
        kind = "acknowledged"
        data = {"delivery": acknowledged, "by": delivery.headers.get(BY, ""), "office": delivery.headers.get(OFFICE, "")}
    else:
        kind = "report"
        data = {"delivery": delivery.id, "incident": delivery.incident, "office": delivery.destination}
        data |= {"subject": delivery.subject, "text": delivery.text}
    return json.dumps({"type": kind, "data": data}, ensure_ascii=False).encode("utf-8", "replace")


def parsed(body: bytes) -> Report | Acknowledged:
    """What was posted. Raises ``Malformed`` with the field that is wrong; never with its content."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
        raise Malformed("field 'data' is missing")
    data = document["data"]
    if document.get("type") == "report":
        return Report(
            delivery=_text(data, "delivery", MOST_TEXT, required=True), incident=_text(data, "incident", MOST_TEXT),
            subject=_text(data, "subject"), text=_text(data, "text"),
        )  # fmt: skip
    if document.get("type") == "acknowledged":
        by, office = _text(data, "by", MOST_TEXT, required=True), _text(data, "office", MOST_TEXT)
        return Acknowledged(delivery=_text(data, "delivery", MOST_TEXT, required=True), by=f"{by}（{office}）" if office else by)
    raise Malformed("field 'type' is neither 'report' nor 'acknowledged'")


def _text(data: Mapping[str, Any], name: str, most: int | None = None, *, required: bool = False) -> str:
    value = data.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise Malformed(f"field '{name}' is missing or no text")
    if most is not None and len(value) > most:
        raise Malformed(f"field '{name}' has over {most} characters")
    # Half a surrogate pair is JSON's to write and no text's to hold.
    return value.encode("utf-8", "replace").decode()


def elsewhere(text: str, name: str) -> str:
    """``text`` with the incident numbers in it marked as the other gateway's: here the same number is another matter."""

    def marked(found: re.Match[str]) -> str:
        return f"（{name} No.{found[2] or found[4] or found[5]}）"

    return _CITED.sub(marked, text)
