"""What a fax server, printer or fax service writes beside the pages: who sent, how many pages. Pure.

Each kind of such mail is a form in conf: how it is known, and where in it the caller's number, the name that the sending machine
gives itself (TSI or CSI, ITU-T T.30) and the count of pages stand. A mail of no form is read by lines ``KEY: value`` with the
usual keys, English and Chinese, and by a number in its subject.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from gateway.api import Field, Message
from gateway_plugins.mailtext import forms

_LINE = re.compile(r"^[ \t]*([A-Za-z][A-Za-z0-9 /_-]{0,30}|[\u4e00-\u9fff]{2,8})[ \t]*[:：][ \t]*(.{0,200})$", re.M)
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
_PAGES = ("pages", "page count", "number of pages", "total pages", "页数", "总页数")


class FaxForm(forms.Form):
    """``[channel.NAME.forms.FORM]`` of a fax channel."""

    sender: tuple[str, ...] = Field((), description="where the caller's number stands; the first that finds one counts")
    station: tuple[str, ...] = Field((), description="where the sending machine's own name or number stands (TSI, CSI)")
    pages: tuple[str, ...] = Field((), description="where the count of pages stands")
    broken: str = Field("", description="what says that the transmission broke off; empty: nothing does")


class Notice(Struct, frozen=True):
    """``sender`` as the fax server wrote it, spaces and signs out: the caller's number, or, where ``claimed``, what the sending
    machine says of itself, which anybody may set. ``pages`` 0 where nothing is said. ``broken``: the server says that pages are
    missing. ``form`` is the name of the form, empty for none."""

    sender: str = ""
    pages: int = 0
    claimed: bool = False
    broken: bool = False
    form: str = ""


def read(raw: bytes, mail: Message, known: Mapping[str, FaxForm]) -> Notice:
    """By the first form that is found in the mail, else by the usual keys."""
    whole = forms.lines(raw, mail)
    for name, form in known.items():
        if forms.found(form.when, whole):
            return _formed(name, form, whole)
    return usual(f"{mail.text}\n{mail.quoted}"[: forms.LOOKED_AT], mail.subject)


def _formed(name: str, form: FaxForm, whole: str) -> Notice:
    caller = forms.number(forms.first(form.sender, whole))
    station = forms.first(form.station, whole)
    counted = re.search(r"\d{1,4}", forms.first(form.pages, whole))
    sender = caller or forms.number(station) or re.sub(r"[\x00-\x1f]", "", station)[:60]
    return Notice(
        sender=sender,
        pages=int(counted[0]) if counted else 0,
        claimed=bool(sender) and not caller,
        broken=bool(form.broken) and forms.found(form.broken, whole) is not None,
        form=name,
    )


def usual(text: str, subject: str) -> Notice:
    """The number of the caller, else that which the sending machine claims (TSI), else one in the subject."""
    found = {key.strip().lower(): value.strip() for key, value in reversed(_LINE.findall(text))}
    pages = next((counted for key in _PAGES if (counted := re.match(r"\d{1,4}", found.get(key, "")))), None)
    count = int(pages[0]) if pages else 0
    for keys, claimed in ((_CALLER, False), (_STATION, True)):
        number = next((n for key in keys if (n := forms.number(found.get(key, "")))), "")
        if number:
            return Notice(sender=number, pages=count, claimed=claimed)
    number = forms.number(subject)
    return Notice(sender=number, pages=count, claimed=bool(number))
