"""The desk's, the duty's and people's own steps over a store in memory, at instants that the test chooses."""

from __future__ import annotations

import dataclasses
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from gateway import house as houses
from gateway import preparing, register
from gateway.conf_load import load
from gateway.core.model import Address, Incident, Message, RawMessage
from gateway.duty import work
from gateway.explain import throwaway_key
from gateway.host import Host
from gateway.intake import take_in
from gateway.operations import Live, perform_now
from gateway.settings_web import LinksSection
from gateway.store import Store, StoreKeys, deliveries, incidents, journal, matters, messages

ROOT = Path(__file__).parents[2]
CONFIG = load(ROOT / "conf", Host.load(ROOT / "conf"))
ZONE = timezone(timedelta(hours=8))
NIGHT = datetime(2026, 11, 26, 22, 30, tzinfo=ZONE)
"""A Thursday night within the example's roster: bureau and duty room receive."""
CRASH = "云台区政府办报告：今日22时10分，云台区清水湾路口两车相撞，造成2人死亡、3人受伤。报告人：李军"
INFORMANT = "+8613800000002"
URL = "https://work.gateway.test"


class Timed(Live):
    """Operations at the test's instant."""

    clock: Any

    def now(self) -> datetime:
        return self.clock()


class Desk:
    """One gateway. ``at`` is its clock."""

    def __init__(self, at: datetime = NIGHT, **links: Any) -> None:
        self.at = at
        self.config = dataclasses.replace(CONFIG, links=LinksSection(public_url=URL, **links))
        self.house = houses.build(self.config, bureau_public=throwaway_key())
        self.store = Store.open("sqlite://", StoreKeys(os.urandom(32)), clock=lambda: self.at)
        self.live = Timed(config=self.config, store=self.store, house=lambda: self.house)
        self.live.clock = lambda: self.at

    def take(
        self, text: str, sender: str = INFORMANT, *, channel: str = "sms", minutes: float = 0, message: Message | None = None
    ) -> register.Taken:
        """A message comes in and is taken."""
        self.pass_time(minutes)
        raw = RawMessage(
            channel=channel, via=channel, received_at=self.at, sender=sender, body=os.urandom(8) + text.encode(),
            content_type="text/plain",
        )  # type: ignore[arg-type]  # fmt: skip
        accepted = self.store.write_now(lambda tx: take_in(tx, raw, self.at, 60))
        row = self.store.read_now(lambda tx: messages.get(tx, accepted.id))
        prepared = preparing.prepare(self.house, row, message or Message(text=text))
        taken = self.store.write_now(lambda tx: register.take(tx, self.house, row, prepared, self.at))
        self.deliver()
        return taken

    def pass_time(self, minutes: float) -> None:
        """Time goes by: what falls due is carried out at its instant, what is queued is delivered."""
        until = self.at + timedelta(minutes=minutes)
        while (due := self.store.read_now(matters.next_at)) is not None and due <= until:
            self.at = max(self.at, due.astimezone(ZONE))
            for id_ in self.store.read_now(lambda tx: matters.due(tx, self.at)):
                self.store.write_now(lambda tx, i=id_: work.tick(tx, self.house, i, self.at))
            self.deliver()
        self.at = until

    def deliver(self) -> None:
        """Every delivery that waits gets through."""

        def sent(tx: Any) -> None:
            for row in deliveries.due(tx, self.at, 1000):
                leased = deliveries.lease(tx, row.id, "test", self.at + timedelta(minutes=2), self.at)
                assert leased is not None
                deliveries.settle(tx, row.id, leased.attempt, "delivered", delivered_at=self.at)

        self.store.write_now(sent)

    def do(self, name: str, by: str = "root", **args: Any) -> Any:
        """An operation as the command line asks for it."""
        return perform_now(self.live, name, args, by)

    def incident(self, number: str) -> Incident:
        return self.store.read_now(lambda tx: incidents.get(tx, number))

    def rows(self, **asked: Any) -> list[deliveries.DeliveryRow]:
        return self.store.read_now(lambda tx: deliveries.rows(tx, limit=1000, **asked))

    def text_of(self, row: deliveries.DeliveryRow) -> deliveries.Content:
        return self.store.read_now(lambda tx: deliveries.content(tx, row.id))

    def events(self, *names: str) -> list[Any]:
        """What is on record, of these names."""
        every = self.store.read_now(lambda tx: journal.entries(tx, limit=100_000))
        return [one.event for one in every if not names or one.event.event in names]

    def matter(self, number: str) -> Any:
        kept = self.store.read_now(lambda tx: matters.get(tx, incidents.get(tx, number).id))
        assert kept is not None
        return kept.matter


def way(transport: str, address: str) -> Address:
    return Address(transport=transport, address=address)
