"""The classes of a plugin that runs in a process of its own, as the rest of the house sees them: the same kinds, the same
methods, the same settings. Nothing else in the code knows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, Union

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, create_model
from pydantic_core import InitErrorDetails, PydanticCustomError

from gateway.api import Settings
from gateway.core.calendar import Moment
from gateway.core.directory import Directory
from gateway.core.errors import Malformed
from gateway.core.model import Classification, Delivery, Destination, Doubt, Incident, Match, Message, RawMessage, Report
from gateway.core.outcomes import Outcome, TryLater
from gateway.i18n import _
from gateway.plughost.child import PluginDown, PluginFailed
from gateway.plughost.describe import secrets
from gateway.plughost.hub import Guard, Placed, hub
from gateway.plughost.wire import (
    About,
    Answered,
    Checked,
    FieldAbout,
    Look,
    Opinions,
    Route,
    Said,
    Submit,
    Table,
    WireFault,
    pack,
    unpack,
)
from gateway.telling import told_without, unquoted
from gateway.workers import WorkerFailed

READ_SECONDS = 20.0
GRACE_SECONDS = 1.0
MOST_TABLES = 100
"""Tables of one plugin whose last good check is kept."""


class Isolated:
    """What all proxies have in common. ``source_file`` is for the workers that read a bundled channel's messages."""

    about: ClassVar[About]
    guard: ClassVar[Guard]
    bundled: ClassVar[bool]
    kind: ClassVar[str]
    Settings: ClassVar[type[BaseModel]]
    source_file: ClassVar[str]
    apart: ClassVar[bool] = True

    def __init__(self, name: str, settings: Any, services: Any = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        lent = settings._secrets if isinstance(settings, RemoteSettings) else tuple(secrets(settings))
        self.placed = Placed(self.about.hook, self.kind, name, settings.model_dump_json(by_alias=True).encode(), lent, services)

    async def _ask(self, do: str, data: bytes, seconds: float) -> bytes:
        answer: bytes = await hub.wait(self.guard.ask(do, self.placed, data, seconds))
        return answer

    def _failed(self, do: str, error: Exception, *sent: str | bytes) -> str:
        """An alarm for what the plugin did, and the words for whoever asked. Nothing of what was ``sent`` to it is in them: the
        name of what it raised is the plugin's own, too."""
        if isinstance(error, PluginDown):
            return str(error)
        nonsense = isinstance(error, WireFault) or (isinstance(error, PluginFailed) and error.kind == "WireFault")
        what = _("answered nonsense to {call} ({error})") if nonsense else _("{call} raised {error}")
        why = what.format(call=do, error=unquoted(str(error), *sent))
        hub.submit(_alarm(self.guard, why))
        return _("plugin {plugin}: {why}").format(plugin=self.guard.plugin, why=why)


async def _alarm(guard: Guard, why: str) -> None:
    guard.alarm(why)


class Running(Isolated):
    """A channel or a transport: started and stopped."""

    async def stop(self) -> None:
        await hub.wait(self.guard.stop(self.placed))

    async def _start(self, intake: Any = None) -> None:
        self.placed.intake, self.placed.loop = intake, asyncio.get_running_loop()
        await hub.wait(self.guard.start(self.placed))

    async def _outcome(self, do: str, data: bytes, *sent: str | bytes) -> Outcome:
        try:
            outcome = unpack(await self._ask(do, data, hub.limits.call_seconds), Answered).outcome()
        except (PluginDown, PluginFailed, WireFault) as error:
            return TryLater(self._failed(do, error, *sent))
        # These words are the plugin's.
        return told_without(outcome, *sent)


class Besides:
    """What only some classes have; put on a proxy whose class has it."""

    async def probe(self: Any) -> str | None:
        return unpack(await self._ask("probe", b"", hub.limits.call_seconds), Said).why

    async def refresh(self: Any) -> None:
        await self._ask("refresh", b"", hub.limits.start_seconds)

    def listens(self: Any) -> Sequence[tuple[str, int]]:
        seconds = hub.limits.start_seconds
        return unpack(hub.now(self.guard.ask("listens", self.placed, b"", seconds), seconds * 2), Said).doors


class IsolatedChannel(Running):
    """A way in."""

    async def start(self, intake: Any) -> None:
        await self._start(intake)

    def health(self) -> Any:
        state, detail = self.guard.health(self.placed)
        return SimpleNamespace(state=state, detail=detail)

    def read(self, raw: RawMessage) -> Message:
        """As a dry run asks. Raises ``Malformed`` for whatever goes wrong."""
        asking = self.guard.ask("read", self.placed, pack(raw), READ_SECONDS)
        try:
            return unpack(hub.now(asking, READ_SECONDS * 2), Message)
        except (PluginDown, PluginFailed, WireFault) as error:
            raise Malformed(str(error)) from None

    async def _read_apart(self, raw: RawMessage, seconds: float) -> Message:
        """In the plugin's own process. Raises ``WorkerFailed``."""
        try:
            return unpack(await self._ask("read", pack(raw), seconds), Message)
        except PluginFailed as error:
            malformed = error.kind == "Malformed"
            raise WorkerFailed(unquoted(str(error), raw.body) if malformed else self._failed("read", error, raw.body)) from None
        except (PluginDown, WireFault) as error:
            raise WorkerFailed(self._failed("read", error, raw.body)) from None


class IsolatedCarrier(IsolatedChannel):
    """A way in that can also send."""

    async def submit(self, to: str, part: bytes, *, encoding: str, udh: bytes, receipt: bool) -> Outcome:
        asked = Submit(carrier=self.name, to=to, part=part, encoding=encoding, udh=udh, receipt=receipt)
        return await self._outcome("submit", pack(asked), part)


class IsolatedTransport(Running):
    """A way out."""

    async def start(self) -> None:
        await self._start()

    async def send(self, delivery: Delivery) -> Outcome:
        return await self._outcome("send", pack(delivery), delivery.subject, delivery.text, delivery.short_text)


class IsolatedReceipted(IsolatedTransport):
    """A way out whose deliveries are receipted later."""

    @property
    def receipts_from(self) -> str:
        return self.placed.receipts_from


class Pure(Isolated):
    """A router, reader or classifier: asked from code that is not async, with a short deadline. While its process is down it
    raises at once, and the house does what it does for any plugin that fails."""

    def __init__(self, name: str, settings: Any) -> None:
        super().__init__(name, settings)
        self.guard.users.add(self)

    def _opinions(self, asking: Any) -> Opinions:
        seconds = hub.limits.pure_seconds + (GRACE_SECONDS if hub.running else hub.limits.start_seconds * 2)
        try:
            return unpack(hub.now(asking, seconds), Opinions)
        except (PluginFailed, WireFault) as error:
            raise RuntimeError(self._failed("route" if isinstance(self, IsolatedRouter) else "read", error)) from None


class IsolatedRouter(Pure):
    """Decides which offices must have an incident."""

    def route(self, incident: Incident, moment: Moment, directory: Directory) -> Sequence[Destination]:

        def packed(told: bool) -> bytes:
            return pack(Route(incident, moment, directory if told else None))

        asking = self.guard.route(self.placed, packed, directory, hub.limits.pure_seconds, at_once=hub.running)
        return self._opinions(asking).destinations


class _Looking(Pure):
    def _look(self, asked: Look) -> Sequence[Match | Doubt]:
        found = self._opinions(self.guard.ask("look", self.placed, pack(asked), hub.limits.pure_seconds, at_once=hub.running))
        return (*found.matches, *found.doubts)


class IsolatedReader(_Looking):
    """Raises doubts about a report."""

    def read(self, message: Message, report: Report) -> Sequence[Match | Doubt]:
        return self._look(Look(report=report, message=message))


class IsolatedClassifier(_Looking):
    """Adds items or doubts."""

    def classify(self, report: Report, found: Classification) -> Sequence[Match | Doubt]:
        return self._look(Look(report=report, found=found))


BASES: dict[str, type[Isolated]] = {
    "channels": IsolatedChannel,
    "transports": IsolatedTransport,
    "routers": IsolatedRouter,
    "readers": IsolatedReader,
    "classifiers": IsolatedClassifier,
}


def proxy(guard: Guard, about: About, *, settings: type[BaseModel] | None = None, bundled: bool = False) -> type[Any]:
    """The class that stands for ``about``; ``settings`` is its own Settings class where that may be imported here."""
    known = guard.classes.get((about.hook, about.kind))
    if known is not None:
        return known
    base = IsolatedCarrier if about.carrier else IsolatedReceipted if about.receipted else BASES[about.hook]
    members: dict[str, Any] = {
        "about": about, "guard": guard, "kind": about.kind, "bundled": bundled, "source_file": about.file,
        "Settings": settings or remote_settings(guard, about),
    }  # fmt: skip
    if about.hook == "channels":
        # Never read on the daemon's loop: a bundled one in the worker processes, another one in its own.
        members |= {"channel": about.channel, "reads_in": "parse" if about.reads_in == "inline" else about.reads_in}
        if not bundled:
            members["read_apart"] = IsolatedChannel._read_apart
    members |= {name: vars(Besides)[name] for name in about.besides if issubclass(base, Running)}
    made = type(about.name.rpartition(".")[2], (base,), members)
    made.__module__, made.__qualname__ = about.module, about.name
    guard.classes[about.hook, about.kind] = made
    return made


class RemoteSettings(Settings):
    """Settings whose class lives in the plugin's process, where they are validated."""

    _secrets: tuple[str, ...] = PrivateAttr(default=())


def remote_settings(guard: Guard, about: About) -> type[RemoteSettings]:
    """A class with the same keys; ``model_validate_json`` asks the plugin and raises what pydantic raised there."""

    def validate(cls: type[RemoteSettings], data: Any, /, *, context: Any = None, **_options: Any) -> RemoteSettings:
        table = Table(about.hook, about.kind, data.encode() if isinstance(data, str) else data, context)
        seconds, asked = hub.limits.start_seconds, pack(table)
        try:
            answer = hub.now(guard.ask("check", None, asked, seconds), seconds * 2)
            checked = unpack(answer, Checked)
        except PluginDown as error:
            # A table that it has found good before is no worse because it rests.
            if asked not in guard.checked:
                text = _("{why}; this table is new or changed, and only the plugin can check it")
                raise _unchecked(about, text.format(why=error)) from None
            answer = guard.checked[asked]
            checked = unpack(answer, Checked)
        except (PluginFailed, WireFault) as error:
            raise _unchecked(about, str(error)) from None
        guard.checked.pop(asked, None)
        if not checked.errors:
            guard.checked[asked] = answer
            if len(guard.checked) > MOST_TABLES:
                del guard.checked[next(iter(guard.checked))]
        if checked.errors:
            raise ValidationError.from_exception_data(about.kind, [_error(one) for one in checked.errors])
        made = cls.model_construct(**json.loads(checked.settings))
        made._secrets = checked.secrets
        return made

    base = _model("Settings", about.settings, RemoteSettings)
    return type("Settings", (base,), {"model_validate_json": classmethod(validate), "__module__": about.module})


def _unchecked(about: About, what: str) -> ValidationError:
    facts = {"what": what, "allowed": _("a plugin that answers")}
    told = InitErrorDetails(type=PydanticCustomError("wrong", "{what}", facts), loc=(), input=None)
    return ValidationError.from_exception_data(about.kind, [told])


def _model(name: str, fields: Sequence[FieldAbout], base: type[Any] = Settings) -> type[Any]:
    given: dict[str, Any] = {}
    for number, about in enumerate(fields):
        inner: Any = Union[_model(about.name, about.inner), Any] if about.inner else Any  # noqa: UP007 - X | Any is no type
        default = ... if about.required else about.default
        given[f"field{number}"] = (inner, Field(default=default, alias=about.name, description=about.description or None))
    made: type[Any] = create_model(name, __base__=base, **given)
    return made


def _error(told: dict[str, Any]) -> InitErrorDetails:
    kind = PydanticCustomError(told["type"], str(told.get("msg", "")), told.get("ctx") or {})
    return InitErrorDetails(type=kind, loc=tuple(told.get("loc", ())), input=told.get("input"))
