"""Reports that carry canaries: each is a pure value, with all its canaries already made, ready to be sent by its way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.header import Header
from email.message import EmailMessage
from email.utils import formataddr
from random import Random
from typing import Any

from tests.canaries.words import Words

MARKS = ("机密★10年\n{0}", "【秘密】{0}", "密级：绝密\n{0}", "★机密★{0}", "机密★长期\n{0}")
PLACES = ("青山区红星路", "白水县清泉镇", "石桥县河东镇", "柳河县渡口村", "云台区文昌街")
HAPPENED = (
    "今日{hour}时，{place}{n}号仓库起火，造成{dead}人死亡",
    "今日{hour}时，{place}{n}号发生一起交通事故，{dead}人轻伤",
    "今日{hour}时许，{place}{n}号一家具厂发生爆炸，造成{dead}人死亡、2人受伤",
    "今日{hour}时，{place}{n}号发生食物中毒，{dead}人住院治疗",
)


@dataclass(frozen=True)
class Letter:
    """One report: ``way`` says how it is sent and ``parts`` what of; ``marked`` whether it bears a marking."""

    way: str
    marked: bool
    text: str
    parts: Mapping[str, Any] = field(default_factory=dict)


class Writer:
    """Writes letters in turn by all ways. ``words`` makes the canaries."""

    def __init__(self, words: Words, seed: int) -> None:
        self._words = words
        self._random = Random(seed)
        self._made = 0

    def next(self, way: str = "") -> Letter:
        """The next letter; ``way`` asks for one of mail, sms, phone, call, fax, cloud, spool, line."""
        names = ("mail", "sms", "phone", "call", "mail", "cloud", "spool", "sms", "fax", "line")
        way = way or names[self._made % len(names)]
        self._made += 1
        makers = {
            "mail": self._mail, "sms": self._sms, "phone": self._phone, "call": self._plain_call, "cloud": self._cloud,
            "spool": self._spool, "fax": self._fax, "line": self._line,
        }  # fmt: skip
        return makers[way](way, self._random.random() < 0.5)

    def _text(self, way: str, marked: bool) -> str:
        """A report with a canary in an aside that no fact is taken from."""
        said = self._random.choice(HAPPENED).format(
            hour=self._random.randint(1, 9), place=self._random.choice(PLACES), n=self._made, dead=self._random.randint(1, 3)
        )
        text = f"{said}。附记{self._words.new('text', way, marked)}。"
        return self._random.choice(MARKS).format(text) if marked else text

    def _mail(self, way: str, marked: bool) -> Letter:
        new = lambda place: self._words.new(place, way, marked)  # noqa: E731
        made, text = EmailMessage(), self._text(way, marked)
        sender = f"{new('sender mail address')}@unit.gateway.test" if self._made % 5 == 0 else "zhb@yuntai.gateway.test"
        made["From"] = formataddr((new("sender name"), sender))
        made["To"] = f"report@gateway.test, {formataddr((new('recipient name'), new('recipient in a header') + '@gateway.test'))}"
        made["Cc"] = f"{new('recipient in a header')}@else.gateway.test"
        charset = self._random.choice(("utf-8", "gb18030"))
        subject = f"{new('title')}情况报告"
        made["Subject"] = Header(subject, charset).encode() if charset == "gb18030" else subject
        made["Message-ID"] = f"<{new('carrier id')}@unit.gateway.test>"
        made["X-Remark"] = Header(new("header"), "utf-8").encode()
        made.set_content(text, charset=charset, cte=self._random.choice(("base64", "quoted-printable", "8bit")))
        which = self._made % 3
        if which == 0:
            made.add_attachment(
                f"附件说明{new('attachment text')}。".encode(), maintype="text", subtype="plain",
                filename=f"{new('attachment name')}.txt",
            )  # fmt: skip
        elif which == 1:
            data = b"PK\x03\x04 broken " + new("broken attachment").encode() * 3
            made.add_attachment(data, maintype="application", subtype="zip", filename=f"{new('attachment name')}.docx")
        else:
            made.add_alternative(f"<p>{text}</p><!-- {new('HTML')} --><p title='{new('HTML')}'></p>", subtype="html")
        return Letter(way, marked, text, {"data": made.as_bytes(), "sender": sender, "to": "report@gateway.test"})

    def _fax(self, way: str, marked: bool) -> Letter:
        """What a fax server sends, with a page that is none: nobody can read it, and a person must."""
        new = lambda place: self._words.new(place, way, marked)  # noqa: E731
        made, number = EmailMessage(), new("sender number")
        made["From"], made["To"] = "The HylaFAX Receive Agent <fax@hylafax.gateway.test>", "fax@gateway.test"
        made["Subject"] = f"facsimile received from {number}"
        made["Message-ID"] = f"<{new('carrier id')}@hylafax.gateway.test>"
        lines = {"Sender": new("text"), "Pages": "1", "CallID1": number, "CommID": "17", "ToModem": "ttyS0"}
        if marked:
            lines["Remark"] = "机密★10年"
        made.set_content("".join(f"{name:>18}: {value}\n" for name, value in lines.items()))
        page = b"II*\0\x08\0\0\0" + new("broken attachment").encode() * 4
        made.add_attachment(page, maintype="image", subtype="tiff", filename=f"fax{new('attachment name')}.tif")
        return Letter(way, marked, "", {"data": made.as_bytes(), "sender": "fax@hylafax.gateway.test", "to": "fax@gateway.test"})

    def _sms(self, way: str, marked: bool) -> Letter:
        sender = self._words.new("sender number", way, marked) if self._made % 3 == 0 else "13800000001"
        recipient = self._words.new("recipient number", way, marked) if self._made % 4 == 0 else "10690999"
        return Letter(way, marked, self._text(way, marked), {"sender": f"+86{sender}", "recipient": recipient})

    def _transcript(self, way: str, marked: bool) -> dict[str, Any]:
        new = lambda place: self._words.new(place, way, marked)  # noqa: E731
        return {
            "call_id": new("carrier id"), "caller": f"+86{new('sender number')}", "called": new("recipient number"),
            "started_at": "2026-11-30T09:00:00+08:00", "remark": new("HTTP field"),
            "segments": [
                {"speaker": f"来电人{new('speaker')}", "start": 0, "end": 3, "text": self._text(way, marked), "tag": new("HTTP field")},
                {"speaker": "值班员", "start": 3, "end": 4, "text": f"好的，{new('text')}。"},
            ],
        }  # fmt: skip

    def _phone(self, way: str, marked: bool) -> Letter:
        body = self._transcript(way, marked)
        headers = {"Content-Type": "application/json", "X-Request-Id": self._words.new("HTTP header", way, marked)}
        return Letter(way, marked, "", {"body": json.dumps(body, ensure_ascii=self._made % 2 == 0).encode(), "headers": headers})

    def _plain_call(self, way: str, marked: bool) -> Letter:
        new = lambda place: self._words.new(place, way, marked)  # noqa: E731
        text = self._text(way, marked)
        headers = {
            "Content-Type": "text/plain; charset=utf-8", "X-Call-Id": new("carrier id"), "X-Caller": f"+86{new('sender number')}",
            "X-Remark": new("HTTP header"), "User-Agent": new("HTTP header"), "Cookie": f"a={new('HTTP header')}",
        }  # fmt: skip
        return Letter(way, marked, text, {"body": text.encode(), "headers": headers})

    def _cloud(self, way: str, marked: bool) -> Letter:
        new = lambda place: self._words.new(place, way, marked)  # noqa: E731
        text = self._text(way, marked)
        body = [{
            "phone_number": new("sender number"), "send_time": "2026-11-30 09:30:00", "content": text, "sign_name": new("text"),
            "dest_code": new("recipient number"), "sequence_id": self._made, "extra": new("HTTP field"),
        }]  # fmt: skip
        headers = {"Content-Type": "application/json", "X-Trace": new("HTTP header")}
        return Letter(way, marked, text, {"body": json.dumps(body, ensure_ascii=False).encode(), "headers": headers})

    def _spool(self, way: str, marked: bool) -> Letter:
        """A transcript as a file; every other one cannot be read."""
        name = self._words.new("file name", way, marked)
        if self._made % 4 < 2:
            return Letter(way, marked, "", {"name": f"{name}.json", "data": json.dumps(self._transcript(way, marked)).encode()})
        return Letter(way, marked, "", {"name": f"{name}.json", "data": b'{"broken": ' + self._text(way, marked).encode()})

    def _line(self, way: str, marked: bool) -> Letter:
        """To the plugin that quotes what it reads in its errors."""
        return Letter(way, marked, self._text(way, marked).replace("\n", " "))
