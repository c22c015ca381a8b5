"""What a provider is: its callbacks, its proof, its yes, and the request by which it sends. Pure: bytes in, values out.

A variant of ``JsonProvider`` is about 15 lines (``providers.Tencent``): the names of its fields, its yes.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from gateway.api import Malformed, Outcome, TryLater, _


class Call(Struct, frozen=True, kw_only=True):
    """One callback: ``url`` as the provider knows it, header names in small letters."""

    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Incoming(Struct, frozen=True, kw_only=True):
    """A message in a callback; ``element`` is what is stored."""

    sender: str
    recipient: str
    carrier_id: str | None
    element: bytes


class Status(Struct, frozen=True, kw_only=True):
    """What a callback says of a message of ours."""

    ref: str
    state: Literal["delivered", "failed"]
    detail: str


class Sending(Struct, frozen=True, kw_only=True):
    """What is needed to send: ``account`` and ``secret`` at the provider, ``source`` the number or signature we send under."""

    api_url: str
    account: str
    secret: str
    source: str
    template: str
    callback: str
    to: str
    text: str
    key: str
    now: datetime
    nonce: str


class Asked(Struct, frozen=True, kw_only=True):
    """The request that sends a message."""

    url: str
    headers: dict[str, str]
    body: bytes


class Provider(ABC):
    """One cloud carrier. Whatever a callback holds, ``taken`` gives it back: as messages, or as reports on ours."""

    name: ClassVar[str]
    yes: ClassVar[tuple[str, bytes]] = ("application/json", b'{"code":0,"msg":"OK"}')

    def proven(self, call: Call, secret: str) -> bool:
        """Whether the callback is the provider's own: here by a token in its URL (``?token=``) or as a bearer."""
        scheme, _blank, bearer = call.headers.get("authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else call.query.get("token", "")
        return bool(secret) and same(given, secret)

    @abstractmethod
    def taken(self, call: Call) -> tuple[list[Incoming], list[Status]]:
        """What the callback says. Raises ``Malformed``."""

    @abstractmethod
    def text(self, element: bytes) -> tuple[str, str | None]:
        """The text of a stored element, and why some of the message could not be read. Raises ``Malformed``."""


class Sends(ABC):
    """What a provider is beside that by which we can send, too."""

    @abstractmethod
    def ask(self, sending: Sending) -> Asked:
        """The request that sends."""

    @abstractmethod
    def sent(self, body: bytes) -> Outcome:
        """What the body of an answer with status 2xx means."""


class JsonProvider(Provider):
    """Callbacks as a JSON array of objects, or one object; the field names are the subclass's."""

    sender: ClassVar[str]
    recipient: ClassVar[str]
    words: ClassVar[str]
    id: ClassVar[str]
    ref: ClassVar[str]
    good: ClassVar[tuple[str, Any]]
    why: ClassVar[str]

    def taken(self, call: Call) -> tuple[list[Incoming], list[Status]]:
        messages: list[Incoming] = []
        reports: list[Status] = []
        for one in self._elements(call.body):
            if self.words in one:
                messages.append(
                    Incoming(
                        sender=_said(one, self.sender), recipient=_said(one, self.recipient),
                        carrier_id=_said(one, self.id) or None, element=msgspec.json.encode(one),
                    )
                )  # fmt: skip
            elif _said(one, self.ref):
                field, value = self.good
                state: Literal["delivered", "failed"] = "delivered" if one.get(field) == value else "failed"
                reports.append(Status(ref=_said(one, self.ref), state=state, detail=_said(one, self.why)[:40]))
            else:
                raise Malformed(f"an element has neither {self.words} nor {self.ref}")
        return messages, reports

    def text(self, element: bytes) -> tuple[str, str | None]:
        (one,) = self._elements(element)[:1] or [{}]
        if not isinstance(one.get(self.words), str):
            raise Malformed(f"field {self.words!r} is missing or no text")
        return one[self.words], None

    def _elements(self, body: bytes) -> list[dict[str, Any]]:
        try:
            found = msgspec.json.decode(body, type=list[dict[str, Any]] | dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("the body is not a JSON array of objects") from None
        return found if isinstance(found, list) else [found]


class FormProvider(Provider):
    """Callbacks as form posts, one message or report each."""

    def form(self, body: bytes) -> dict[str, str]:
        """The fields of a form, UTF-8. Raises ``Malformed``."""
        try:
            return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200))
        except (UnicodeDecodeError, ValueError):
            raise Malformed("the body is not a form in UTF-8") from None


def _said(element: Mapping[str, Any], field: str) -> str:
    value = element.get(field)
    return "" if value is None else str(value)[:200]


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


def not_understood() -> Outcome:
    """An answer that says neither yes nor no."""
    return TryLater(_("the service answered what is not understood"))
