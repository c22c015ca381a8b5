"""What a browser sends: a form of bounded size, read within bounded time, free of characters that steer a screen."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

TYPE = "application/x-www-form-urlencoded"
SECONDS = 15.0
"""Time for a form to arrive."""
FIELDS = 60
_STEERING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]")
"""Control characters, and those that turn the direction of writing around."""


class BadForm(Exception):
    """The form is refused; ``status`` says how."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form; one that comes twice counts as the last."""

    fields: dict[str, str] = field(default_factory=dict)

    def text(self, name: str, most: int = 4000) -> str:
        """One line or more, cut to ``most`` characters; empty where it was not sent."""
        return tidy(self.fields.get(name, ""))[:most].strip()

    def line(self, name: str, most: int = 200) -> str:
        """One line."""
        return " ".join(self.text(name, most).split())

    def raw(self, name: str, most: int = 1000) -> str:
        """As it was sent: a password."""
        return self.fields.get(name, "")[:most]


def tidy(text: str) -> str:
    """``text`` with plain line ends and without what steers a screen."""
    return _STEERING.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


async def read(request: Request, most: int) -> Form:
    """The form of a POST. Raises ``BadForm``: 415 another type, 413 too much, 408 too slow, 400 cannot be read."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != TYPE:
        raise BadForm(415)
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit():
        raise BadForm(400)
    if int(length) > most:
        raise BadForm(413)
    body = b""
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise BadForm(413)
    except TimeoutError:
        raise BadForm(408) from None
    except ClientDisconnect:
        raise BadForm(400) from None
    try:
        found = parse_qs(body.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=FIELDS)
    except ValueError:
        raise BadForm(400) from None
    return Form({name: values[-1] for name, values in found.items()})
