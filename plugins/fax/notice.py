"""What a fax server writes beside the pages: who sent, how many pages. Pure.

Sources: HylaFAX 6.0 ``faxrcvd`` and ``faxinfo`` (lines such as ``CallID1: 0999…``, ``Sender: …`` for the TSI, ``Pages: 3``);
network printers and fax gateways, whose mail names the number in the subject.
"""

from __future__ import annotations

import re

from msgspec import Struct

_LINE = re.compile(r"^[ \t]*([A-Za-z][A-Za-z0-9 /_-]{0,30}|[\u4e00-\u9fff]{2,8})[ \t]*[:：][ \t]*(.{0,200})$", re.M)
_NUMBER = re.compile(r"\+?\d[\d ()-]{3,22}\d")
_CALLER = (
    "callid1",
    "callid",
    "caller id",
    "cidnumber",
    "calling number",
    "主叫号码",
    "来电号码",
    "传真号码",
    "发送方号码",
    "发送号码",
    "发件人传真",
)
_STATION = ("sender", "tsi", "from", "remote id", "remote station", "发送者", "发送方", "发件人")
_PAGES = ("pages", "page count", "number of pages", "页数", "总页数")


class Notice(Struct, frozen=True):
    """``sender`` as the fax server wrote it, spaces and signs out; ``pages`` 0 where it says nothing."""

    sender: str = ""
    pages: int = 0


def read(text: str, subject: str) -> Notice:
    """The number of the caller, else that which the sending machine claims (TSI), else one in the subject."""
    found = {key.strip().lower(): value.strip() for key, value in reversed(_LINE.findall(text[:20_000]))}
    pages = next((re.match(r"\d{1,4}", found[key]) for key in _PAGES if key in found), None)
    return Notice(sender=_sender(found, subject), pages=int(pages[0]) if pages else 0)


def _sender(found: dict[str, str], subject: str) -> str:
    for source in (*(found.get(key, "") for key in (*_CALLER, *_STATION)), subject):
        number = _NUMBER.search(source)
        if number is not None:
            return re.sub(r"[^\d+]", "", number[0])
    return ""
