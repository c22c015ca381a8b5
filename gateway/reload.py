"""What a changed configuration asks for: a pure comparison of two ``Config``s. The effects are in ``gateway.reloader``.

Every field of ``Config`` is either taken over at once (``LIVE``), waits for a restart (``RESTART``), names the conf itself
(``NAMES``) or is a list of ways. A field that is in none of them waits for a restart, and a test says that it was forgotten.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from gateway.settings import Config, Configured

Sort = Literal["channel", "transport"]

LIVE: Mapping[str, str] = {
    "catalogue": "catalogue",
    "clocks": "clocks",
    "calendar": "calendar",
    "directory": "directory",
    "roster": "roster",
    "gazetteer": "gazetteer",
    "words": "words",
    "matching": "matching",
    "templates": "templates",
    "routers": "routers",
    "readers": "readers",
    "classifiers": "classifiers",
    "limits": "limits",
    "dispatch": "dispatch",
    "city": "city",
    "timezone": "timezone",
    "repeat_seconds": "repeat",
    "secrecy_office": "secrecy",
    "bureau_public_key": "secrecy",
    "reply_transports": "reply",
    "duty": "duty",
    "duty_rules": "duty",
    "links": "links",
    "cap": "cap",
    "cap_rules": "cap",
    "retention": "retention",
    "doctor": "doctor",
    "plugins": "plugins",
    "watchdog": "watchdog",
    "disk": "disk",
    "alarms": "alarms",
    "canaries": "canary",
    "witnesses": "witness",
    "obligations": "obligations",
    "papers": "papers",
    "paper_templates": "papers",
}
"""Field → the name of the part, as an operator knows it. The next message is decided with the new one."""
RESTART: Mapping[str, str] = {
    "state": "gateway.state",
    "audit_log": "gateway.audit_log",
    "secrets": "gateway.secrets",
    "store_url": "gateway.store",
    "lang": "gateway.lang",
    "demo": "gateway.demo",
    "sentry_dsn": "sentry.dsn",
    "sentry_environment": "sentry.environment",
    "http": "http",
    "console": "console",
    "log": "log",
    "audit": "audit",
}
"""Field → its key: what is open or was told to others at start. The old value stays in force until then."""
WAYS: Mapping[str, Sort] = {"channels": "channel", "transports": "transport"}
NAMES = ("path", "digest", "warnings")


class Way(NamedTuple):
    """A configured way in or out; a channel and a transport may have one name."""

    sort: Sort
    name: str


@dataclass(frozen=True, slots=True)
class Moves:
    """What happens to the channels, or to the transports. ``follow`` did not change themselves, but use one that did."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def start(self) -> tuple[str, ...]:
        """Those to start anew, those that others use first."""
        return (*self.added, *self.changed, *self.follow)

    @property
    def stop(self) -> tuple[str, ...]:
        """Those to stop; stopped from the last to the first, so that none loses what it uses."""
        return (*self.removed, *self.changed, *self.follow)


@dataclass(frozen=True, slots=True)
class Plan:
    """``parts`` are the rules and settings to take over, ``restart`` the keys that wait for a restart."""

    parts: tuple[str, ...] = ()
    channels: Moves = Moves()
    transports: Moves = Moves()
    restart: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        """Everything that is taken over, by name."""
        ways = {"channels": self.channels, "transports": self.transports}
        return (*self.parts, *(name for name, moves in ways.items() if moves.start or moves.stop))


def plan(old: Config, new: Config, *, stale: Collection[Way] = (), uses: Mapping[Way, Collection[str]] | None = None) -> Plan:
    """What has to be done so that ``new`` is in force where ``old`` was.

    ``stale`` are ways whose secrets have changed; ``uses`` says which channels a way has asked for. Order, comments and the
    place of a table do not count. A limit that carriers are told (``max_message_bytes``) starts every channel anew.
    """
    parts, restart = [], []
    for field in dataclasses.fields(Config):
        if field.name in WAYS or field.name in NAMES or _same(getattr(old, field.name), getattr(new, field.name)):
            continue
        if field.name in LIVE:
            parts.append(LIVE[field.name])
        else:
            restart.append(RESTART.get(field.name, field.name))
    told = old.limits.max_message_bytes != new.limits.max_message_bytes
    channels = _moves("channel", old.channels, new.channels, {w.name for w in stale if w.sort == "channel"}, told)
    transports = _moves("transport", old.transports, new.transports, {w.name for w in stale if w.sort == "transport"}, False)
    gone = {*channels.added, *channels.removed, *channels.changed}
    return Plan(
        parts=tuple(dict.fromkeys(parts)),
        channels=_following(channels, "channel", gone, uses or {}),
        transports=_following(transports, "transport", gone, uses or {}),
        restart=tuple(restart),
    )


def effective(old: Config, new: Config) -> Config:
    """``new`` as far as it can be in force now: what waits for a restart stays as it was."""
    waiting = [f.name for f in dataclasses.fields(Config) if f.name not in LIVE and f.name not in WAYS and f.name not in NAMES]
    return dataclasses.replace(new, **{name: getattr(old, name) for name in waiting})


def _moves(sort: Sort, old: Iterable[Configured], new: Iterable[Configured], stale: Collection[str], all_changed: bool) -> Moves:
    before, after = {c.name: c for c in old}, {c.name: c for c in new}
    both = [name for name in after if name in before]
    changed = [n for n in both if all_changed or n in stale or _facts(before[n]) != _facts(after[n])]
    return Moves(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(changed),
        kept=tuple(name for name in both if name not in changed),
    )


def _following(moves: Moves, sort: Sort, gone: set[str], uses: Mapping[Way, Collection[str]]) -> Moves:
    """With those that use a channel which was replaced, and those that use these in turn."""
    follow: list[str] = []
    found = True
    while found:
        found = False
        for name in moves.kept:
            used = set(uses.get(Way(sort, name), ()))
            if name not in follow and used & (gone | (set(follow) if sort == "channel" else set())):
                follow.append(name)
                found = True
    if sort == "channel":
        gone |= set(follow)
    kept = tuple(name for name in moves.kept if name not in follow)
    return dataclasses.replace(moves, follow=tuple(follow), kept=kept)


def _same(old: Any, new: Any) -> bool:
    if old is new:
        return True
    if isinstance(old, tuple) and isinstance(new, tuple) and all(isinstance(one, Configured) for one in (*old, *new)):
        return [_facts(one) for one in old] == [_facts(one) for one in new]
    return bool(old == new)


def _facts(configured: Configured) -> dict[str, Any]:
    """What makes a configured plugin what it is, wherever its table stands. Its class counts by name: one that was loaded a
    second time is still the same one. For a plugin in a process of its own that process counts: its code may be new."""
    facts = {f.name: getattr(configured, f.name) for f in dataclasses.fields(configured) if f.name != "where"}
    cls = configured.cls
    known = (cls.__module__, cls.__qualname__, id(getattr(cls, "guard", None)))
    return {**facts, "cls": known, "settings": configured.settings.model_dump()}
