"""A scenario on a virtual clock through the whole pipeline: the desk's, the duty's and the dispatcher's own steps over a store in
memory, transports in memory. Writes nothing, sends nothing.

Between two lines of the scenario the clock goes from one thing that is due to the next. What happens is read from the journal.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar

from gateway import joining, preparing, register
from gateway.core import events as vocabulary
from gateway.core.errors import Malformed
from gateway.core.model import Event, Incident, Message
from gateway.core.outcomes import Delivered, Outcome, TryLater
from gateway.core.outcomes import Refused as RefusedBy
from gateway.duty import acts, by_name, work
from gateway.duty.acts import Act, Actor, Refused
from gateway.explain import PLAIN, raw_message
from gateway.house import House
from gateway.i18n import _
from gateway.intake import repeat_within, take_in
from gateway.settling import Attempt, settle
from gateway.store import NotFound, Store, StoreKeys, Tx, deliveries, incidents, journal, matters, messages, vault
from gateway.trying import Backoff, Rules, judge

T = TypeVar("T")
LONGEST = timedelta(hours=48)
"""How long a scenario goes on after its last line, where it does not say when it ends."""
BATCH = 64
MANY = 1000
"""So many events are read, and forgotten, at once."""
OWNER = "simulate"
IN_MEMORY = "sqlite://"
ACTS = ("approve", "instruct", "close", "reopen", "merge", "split", "correct", "judge", "waive", "release", "ask")
OF_OFFICES = ("acknowledge", "notify")
DO = ("receive", "acknowledge", "notify", "transport", "restart", "end", *ACTS)
OFFICES = frozenset(("destination", "destinations", "office", "from", "to", "of", "responsible"))
"""Fields of events that may hold an office's id; outputs show its display name."""


class Simulator:
    """Runs one scenario. ``step`` takes a line, ``events`` gives what happened since it was last asked."""

    def __init__(self, house: House, *, url: str = IN_MEMORY) -> None:
        self.house = house
        self._url, self._keys = url, StoreKeys(os.urandom(32))
        self.now = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
        # Ids, and with them the jitter of every retry, are the same each time a scenario is played.
        self._random = random.Random(1).randbytes  # noqa: S311 - repeatable, and no secret
        self._store = self._open()
        self._channels: dict[str, Any] = {}
        for configured in house.config.channels:
            self._channels.setdefault(configured.cls.channel, configured.cls(configured.name, configured.settings, None))
        self._states: dict[tuple[str, str], str] = {}
        self._backoff, self._rules = Backoff.of(house.config.dispatch), Rules.of(house.config.dispatch)
        self._numbers: dict[str, str] = {}
        self._told: list[str] = []
        self._seen = self._forgotten = 0
        self._begun = False
        self._due: datetime | None = self.now

    def _open(self) -> Store:
        return Store.open(self._url, self._keys, clock=lambda: self.now, random=self._random)

    def close(self) -> None:
        """Forget everything."""
        self._store.close()

    def read(self, fn: Any) -> Any:
        """What is in the store at this instant, for tests."""
        return self._store.read_now(fn)

    def events(self) -> Iterator[Event]:
        """What was put on record since the last call, in order."""
        while True:
            entries = self._store.read_now(lambda tx: journal.entries(tx, after=self._seen, limit=MANY))
            for entry in entries:
                self._seen = entry.id
                yield entry.event
            if len(entries) < MANY:
                break
        if self._url == IN_MEMORY and self._seen - self._forgotten > MANY:
            # A long scenario's record is handed on as it is made; memory keeps what is still to be done.
            self._store.write_now(lambda tx: journal.forget(tx, self._seen))
            self._forgotten = self._seen

    def step(self, line: dict[str, Any]) -> None:
        """One line of a scenario. Raises ``Malformed``."""
        at, do = _at(line), line.get("do")
        if do not in DO:
            raise Malformed(_("field 'do' is {value!r}, allowed are {allowed}").format(value=do, allowed=", ".join(DO)))
        if self._begun and at < self.now:
            raise Malformed(_("the lines are not in order of 'at'"))
        if not self._begun:
            self.now, self._begun = at, True
        self.go_on(at)
        if do == "receive":
            self._receive(line)
        elif do == "transport":
            self._transport(line)
        elif do == "restart":
            self.now += timedelta(minutes=_minutes(line.get("down_minutes", 0)))
            self._restart()
        elif do != "end":
            self._act(str(do), line)

    def go_on(self, until: datetime) -> None:
        """Let time pass: everything that is due by then happens at its instant."""
        if self._due is not None and self._due <= until:
            self._store.write_now(lambda tx: self._pass(tx, until))
        self.now = max(self.now, until)

    def _pass(self, tx: Tx, until: datetime) -> None:
        while True:
            send, act = deliveries.next_of_all(tx)
            self._due = min((at for at in (send, act) if at is not None), default=None)
            if self._due is None or self._due > until:
                break
            self.now = max(self.now, self._due)
            self._work(tx, sends=send is not None and send <= self.now, acts=act is not None and act <= self.now)

    def _write(self, fn: Callable[[Tx], T]) -> T:
        """Change something; what is due by it at this instant follows at once."""

        def both(tx: Tx) -> T:
            made = fn(tx)
            self._pass(tx, self.now)
            return made

        return self._store.write_now(both)

    def _work(self, tx: Tx, *, sends: bool, acts: bool) -> None:
        """One round at this instant: deliveries that are due, then matters; one that went up may make its matter due."""
        claimed = deliveries.claim_all(tx, OWNER, self.now + self._rules.lease, self.now) if sends else []
        self._told += [row.id for row in claimed if self._deliver(tx, row)]
        if len(self._told) > MANY:
            vault.drop(tx, self._told)
            self._told.clear()
        if acts or any(row.duty == "upward" for row in claimed):
            for id_ in matters.due(tx, self.now, BATCH):
                work.tick(tx, self.house, id_, self.now)

    def _deliver(self, tx: Tx, row: deliveries.DeliveryRow) -> bool:
        """One attempt; True where it is there, and its text will not be asked for again."""
        leased = Attempt(row=row, number=self._number(tx, row.incident))
        verdict = judge(self._outcome(leased.row), leased.row, self.now, self._backoff, self._rules)
        settle(tx, leased, verdict, self.now, None, self._backoff, self._rules)
        if verdict.state == "delivered" and row.duty == "upward" and row.incident:
            work.went_up(tx, self.house, row.incident, self.now)
        return verdict.state == "delivered"

    def _number(self, tx: Tx, incident: str | None) -> str | None:
        if incident is not None and incident not in self._numbers:
            self._numbers[incident] = incidents.get(tx, incident).number
        return self._numbers[incident] if incident is not None else None

    def _outcome(self, row: deliveries.DeliveryRow) -> Outcome:
        state = self._states.get((row.destination, row.transport)) or self._states.get((row.destination, ""), "up")
        if state == "down":
            return TryLater("transport is down")
        if state == "hangs":
            return TryLater(f"no answer within {self._rules.send_timeout:g} s", after=self._rules.send_timeout)
        if state == "refuses":
            return RefusedBy("refused")
        return Delivered()

    def _receive(self, line: dict[str, Any]) -> None:
        raw = raw_message({**line, "received_at": self.house.local(self.now).isoformat()})
        person = bool(self.house.config.directory.persons(raw.sender))
        repeat = repeat_within(self.house.config.repeat_seconds, person)
        accepted = self._store.write_now(lambda tx: take_in(tx, raw, self.now, repeat))
        if accepted.duplicate_of:
            return
        message = Message(text=line.get("text") or "", subject=line.get("subject") or "")
        failed = None
        if raw.content_type != PLAIN:
            channel = self._channels.get(raw.channel)
            if channel is None:
                raise Malformed(_("no channel of kind {kind} is configured").format(kind=raw.channel))
            try:
                message = channel.read(raw)
            except Malformed as fault:
                message, failed = Message(text=""), str(fault)
        row = self._store.read_now(lambda tx: messages.get(tx, accepted.id))
        prepared = preparing.prepare(self.house, row, message, failed, raw.meta)
        self._write(lambda tx: register.take(tx, self.house, row, prepared, self.now))

    def _transport(self, line: dict[str, Any]) -> None:
        state = line.get("state")
        if state not in ("down", "up", "refuses", "hangs"):
            raise Malformed(_("field 'state' is {value!r}, allowed are {allowed}").format(
                value=state, allowed="down, up, refuses, hangs"))  # fmt: skip
        office = self._office(line, "destination")
        self._states[office, str(line.get("transport") or "")] = state

    def _restart(self) -> None:
        """What is in memory is lost; what is in the store is all there is."""
        if self._url != IN_MEMORY:
            self._store.close()
            self._store = self._open()
        self._write(lambda tx: deliveries.release_stale(tx, OWNER, self.now))

    def _act(self, do: str, line: dict[str, Any]) -> None:
        actor = Actor(person=str(line.get("by") or ""), how="simulate", strict=False)
        office = self._office(line, {"acknowledge": "destination", "notify": "office"}[do]) if do in OF_OFFICES else None
        meant: list[str] = []

        def carry_out(tx: Tx) -> None:
            incident = self._incident(tx, line, office)
            meant.append(incident.number)
            act = Act(tx, self.house, self.now)
            if do == "acknowledge" and office is not None:
                act.acknowledge(incident, office, actor)
            elif do == "notify" and office is not None:
                act.notify(incident, office, str(line.get("person") or ""), actor)
            else:
                by_name.carry_out(act, do, incident, actor, line)

        try:
            self._write(carry_out)
        except (Refused, joining.CannotJoin) as refused:
            tried = {"who": actor.person, "what": do, "why": str(refused), "how": "simulate", "incident": meant[0]}
            self._store.write_now(lambda tx: acts.refused(tx, self.now, **tried))

    def _office(self, line: dict[str, Any], key: str) -> str:
        office = self.house.config.directory.office(str(line.get(key) or ""))
        if office is None:
            known = "、".join(o.name for o in self.house.config.directory.offices)
            raise Malformed(_("field '{key}' is {value!r}, allowed are {allowed}").format(
                key=key, value=line.get(key), allowed=known))  # fmt: skip
        return office.id

    def _incident(self, tx: Tx, line: dict[str, Any], offered_to: str | None = None) -> Incident:
        """The incident that a line names; ``last`` or none: the newest, of those offered to the office where one is named."""
        named = line.get("incident")
        if named not in (None, "last"):
            try:
                return incidents.get(tx, str(named))
            except NotFound:
                raise Malformed(_("no incident {number}").format(number=named)) from None
        newest = incidents.rows(tx, limit=1000)
        if not newest:
            raise Malformed(_("there is no incident yet"))
        if named == "last" or offered_to is None:
            return newest[0]
        open_ones = (one for one in newest if one.state in ("open", "followed_up"))
        offered = (one for one in open_ones if deliveries.offered(tx, one.id, offered_to))
        return next(offered, newest[0])


def _at(line: dict[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(line["at"])
    except KeyError:
        raise Malformed(_("field '{key}' is missing").format(key="at")) from None
    except (TypeError, ValueError):
        raise Malformed(_("field 'at' is not ISO 8601: {value!r}").format(value=line["at"])) from None
    if at.tzinfo is None:
        raise Malformed(_("field 'at' has no offset: {value!r}").format(value=line["at"]))
    return at


def _minutes(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10_000_000:
        raise Malformed(_("field 'down_minutes' is {value!r}, allowed is a number of minutes").format(value=value))
    return float(value)


def run(house: House, lines: Iterable[str], *, url: str = IN_MEMORY) -> Iterator[dict[str, Any]]:
    """A scenario's lines → its events as the contract shows them, in order. Raises ``Malformed`` with the line's number."""
    simulator = Simulator(house, url=url)
    try:
        ended = False
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise Malformed(_("not a JSON object"))
                simulator.step(line)
            except (json.JSONDecodeError, Malformed) as fault:
                raise Malformed(_("line {number}: {fault}").format(number=number, fault=fault)) from None
            yield from (shown(house, event) for event in simulator.events())
            ended = line["do"] == "end"
            if ended:
                break
        if not ended:
            simulator.go_on(simulator.now + LONGEST)
            yield from (shown(house, event) for event in simulator.events())
    finally:
        simulator.close()


def shown(house: House, event: Event) -> dict[str, Any]:
    """One event for people and scripts: offices by their display names, instants with the city's offset."""
    name = house.config.directory.name
    data = vocabulary.shown(event)
    for key in OFFICES & data.keys():
        if isinstance(data[key], str):
            data[key] = name(data[key])
        elif isinstance(data[key], list):
            data[key] = [name(one) for one in data[key]]
    named = {"incident": event.incident, "message": event.message, "delivery": event.delivery, "by": event.by}
    at = house.local(event.at).isoformat(timespec="milliseconds")
    return {"at": at, "event": event.event, **{k: v for k, v in named.items() if v}, **data}
