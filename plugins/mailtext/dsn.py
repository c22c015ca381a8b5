"""What a mail server reports of a mail that we sent (delivery status notification): read into receipts.

Sources: RFC 3464 (message/delivery-status), RFC 3461 (ENVID). Only what names one of our own deliveries and says that it failed
or was delivered is a receipt; everything else is an ordinary mail. Linear, and within limits of its own: it is read before the
answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.api import Receipt
from gateway_plugins.mailtext import tree
from gateway_plugins.mailtext.limits import Limits

MOST_BYTES = 256 * 1024
"""A report with the headers alone is some thousand octets; a larger one is read as a mail, in a worker."""
LIMITS = Limits(parts=20, depth=4, header_bytes=32 * 1024, header_lines=500, decoded_bytes=2 * MOST_BYTES)
STATUS_KINDS = ("message/delivery-status", "message/global-delivery-status")
STATES = {"failed": "failed", "delivered": "delivered"}
_ENVID = re.compile(rb"^original-envelope-id[ \t]*:[ \t]*([A-Za-z0-9_-]{1,64}\.\d{1,6}\.\d{1,3})[ \t]*$", re.I | re.M)
_DELIVERY = re.compile(rb"^x-gateway-delivery[ \t]*:[ \t]*([A-Za-z0-9_-]{1,64})[ \t]*$", re.I | re.M)
_ACTION = re.compile(rb"^action[ \t]*:[ \t]*([a-z]{1,20})", re.I | re.M)
_STATUS = re.compile(rb"^status[ \t]*:[ \t]*(\d\.\d{1,3}\.\d{1,3})", re.I | re.M)


def envelope_id(delivery: str, attempt: int, addresses: int) -> str:
    """What we give a mail to be named by in a report: which attempt, and to how many addresses."""
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', delivery)[:64]}.{attempt}.{addresses}"


def receipts(body: bytes, via: str) -> list[Receipt]:
    """The receipts in a mail; none where it is not a report of a server on a mail of ours, or leaves anything open."""
    if len(body) > MOST_BYTES or b"delivery-status" not in body:
        return []
    root = tree.parse(body, tree.Budget(LIMITS))
    if root.kind != "multipart/report":
        return []
    parts = list(_parts(root))
    status = next((part.content for part in parts if part.kind in STATUS_KINDS), b"")
    name = _ENVID.search(status)
    # A server that knows no ENVID sends our own headers back.
    named = name or next((found for part in parts if (found := _DELIVERY.search(part.data, part.start, part.end))), None)
    if named is None:
        return []
    ref = named[1].decode("ascii")
    blocks = [block for block in re.split(rb"\n[ \t]*\n", status) if _ACTION.search(block)]
    told = [(_ACTION.search(block), _STATUS.search(block)) for block in blocks]
    actions = {action[1].decode("ascii").lower() for action, _status in told if action is not None}
    if len(actions) != 1 or not actions <= set(STATES):
        return []
    many = int(ref.rpartition(".")[2]) if name is not None else 1
    if many > len(blocks):
        return []  # the others may have it: no word on the delivery as a whole
    detail = " ".join(dict.fromkeys(found[1].decode("ascii") for _action, found in told if found is not None))
    return [Receipt(via=via, ref=ref, state=STATES[actions.pop()], detail=detail)]  # type: ignore[arg-type]


def _parts(part: tree.Part) -> Iterator[tree.Part]:
    for child in part.children:
        yield child
        yield from _parts(child)
