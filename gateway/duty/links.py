"""One-time links (签收链接): made from a delivery's id and a keyed digest of it, so that nothing need be kept to know one again.

GET shows what the link is for, POST acknowledges: mail scanners open links, and must not acknowledge by it. What becomes of a
link that is opened stands in ``gateway.duty.by_link``.
"""

from __future__ import annotations

import hmac
import re

from gateway.settings_web import LinksSection
from gateway.store import StoreKeys
from gateway.store.delivery_rows import DeliveryRow

PATH = "/a/"
SIZE = 32
"""Hexadecimal digits of the digest in a link: 128 bits."""
DUTIES = ("receive", "inform", "escalate")
"""What is acknowledged by link: the incident itself, not reminders and answers."""
_TOKEN = re.compile(rf"([0-9A-Z]{{26}})\.([0-9a-f]{{{SIZE}}})", re.ASCII)


def made(keys: StoreKeys, section: LinksSection, row: DeliveryRow) -> str:
    """The link of a delivery; empty where there is none."""
    if not section.public_url or row.incident is None or row.duty not in DUTIES:
        return ""
    return f"{section.public_url}{PATH}{row.id}.{_digest(keys, row.id)}"


def delivery_of(keys: StoreKeys, token: str) -> str | None:
    """The delivery that a token is for; None where it is not one of ours. Digests are compared in constant time."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    id_, digest = found.groups()
    return id_ if hmac.compare_digest(digest, _digest(keys, id_)) else None


def _digest(keys: StoreKeys, id_: str) -> str:
    return keys.digest("link", id_.encode())[:SIZE]
