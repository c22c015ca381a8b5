"""Mails that a machine writes: each kind is a form in conf, that says how it is known and where in it things stand. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import field_validator

from gateway.api import Field, Message, Settings, _

LOOKED_AT = 20_000
"""Octets of the header and characters of the text that are looked at."""
_NUMBER = re.compile(r"\+?\(?\d[\d ().-]{1,22}\d")


class Form(Settings):
    """One kind of mail. Expressions are Python's, over the lines of the header, ``Subject:`` and the text; ``^`` and ``$``
    stand for a line's ends, case does not matter, the first group is what is wanted."""

    when: str = Field(description="an expression that is found in mails of this form and in no others")

    @field_validator("*")
    @classmethod
    def _readable(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for text in (value,) if isinstance(value, str) else value:
            try:
                groups = re.compile(text, re.M | re.I).groups
            except re.error as error:
                raise ValueError(_("{text} is no expression: {why}").format(text=text, why=error)) from None
            if not isinstance(value, str) and not groups:
                raise ValueError(_("{text} has no group (…) for what is wanted").format(text=text))
        return value


def lines(raw: bytes, mail: Message) -> str:
    """What expressions look at: the header as it came, the subject decoded, the text with what seemed quoted."""
    head = re.split(rb"\r?\n\r?\n", raw[:LOOKED_AT], maxsplit=1)[0].decode("utf-8", "replace")
    unfolded = re.sub(r"\r?\n[ \t]+", " ", head).replace("\r\n", "\n")
    subject = " ".join(mail.subject.split())
    text = f"{mail.text}\n{mail.quoted}"[:LOOKED_AT]
    return f"{unfolded}\nSubject: {subject}\n\n{text}"


def found(expression: str, whole: str) -> re.Match[str] | None:
    """Where ``expression`` is found."""
    return re.search(expression, whole, re.M | re.I)


def first(expressions: Iterable[str], whole: str) -> str:
    """What the first of ``expressions`` that finds something says; empty where none does."""
    for one in expressions:
        match = found(one, whole)
        if match and match[1] and match[1].strip():
            return match[1].strip()
    return ""


def number(text: str, least: int = 5) -> str:
    """The telephone number in a text, signs and blanks out; empty where there is none of ``least`` digits."""
    for match in _NUMBER.finditer(text):
        digits = re.sub(r"[^\d+]", "", match[0])
        if len(digits) >= least:
            return digits
    return ""
