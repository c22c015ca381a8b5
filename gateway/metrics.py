"""The daemon's figures for Prometheus (docs/metrics.md).

Counters follow the journal from the moment of start on; gauges are read from the store when somebody asks, at most once in
``scrape_seconds``. Labels are configured names and words of closed sets; no number, no text and no id is ever one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.alarms import KINDS, Alarms
from gateway.core import clocks
from gateway.core.errors import StorageTrouble
from gateway.core.lifecycle import DELIVERIES, INCIDENTS, MESSAGES
from gateway.core.space import Space
from gateway.looplag import LoopLag
from gateway.settings import Config
from gateway.store import Store, Tx, gauges

OTHER = "other"
QUEUES = ("desk", "dispatch", "seal")
CLOCKS_FOR = timedelta(days=3)
"""Incidents without a report for so long have no clock left that a figure should show."""
BATCH = 5_000
BATCHES = 4
"""Journal events looked at in one scrape: what is more waits for the next."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COUNTED = ("accepted", "part_accepted", "duplicate", "delivered", "delivery_failed", "acknowledged", "escalated", "clock_started",
           "clock_passed", "alarm", "quarantined", "registered", "exported")  # fmt: skip
"""The events that counters are made of."""
Health = Callable[[], Mapping[str, str]]
Values = Mapping[Any, float]
"""A figure for each combination of labels, a tuple of texts."""


class Metrics(Collector):
    """The figures of one daemon. ``channels`` says how each channel is (up, connecting, down)."""

    def __init__(
        self,
        store: Store,
        *,
        config: Callable[[], Config],
        alarms: Alarms,
        channels: Health,
        clock: Callable[[], datetime],
        tick: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._config = config
        self._alarms = alarms
        self._channels = channels
        self._clock = clock
        self._tick = tick
        self._after = store.read_now(gauges.end_of_journal)
        self.spaces: Callable[[], Mapping[str, Space]] = lambda: {}
        """How the file systems are, by the name of a folder on each."""
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._depths: gauges.Depths | None = None
        self._clocks: Counter[tuple[str, str]] = Counter()
        self._readable = False
        self._asked: float | None = None
        self._at = clock()
        self._one_at_a_time = asyncio.Lock()
        self.registry = CollectorRegistry(auto_describe=False)
        self.accept_seconds = Histogram(
            "gateway_accept_seconds",
            "Time from a message at the door to its place on stable storage.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.loop_lag = LoopLag(
            Histogram(
                "gateway_loop_lag_seconds",
                "How late the loop came to a turn.",
                buckets=SECONDS,
                registry=self.registry,
            ).observe
        )
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    async def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The figures as text for a scraper that sends ``accept``, and their media type."""
        await self.refresh()
        encode, kind = choose_encoder(accept)
        return encode(self.registry), kind

    async def refresh(self) -> bool:
        """Ask the store unless that was done a moment ago. False where it could not be read: older figures stand."""
        async with self._one_at_a_time:
            if self._asked is None or self._tick() - self._asked >= self._config().http.scrape_seconds:
                self._asked = self._tick()
                try:
                    await self._store.read(self._read)
                    self._readable = True
                except StorageTrouble:
                    self._readable = False
            return self._readable

    def _read(self, tx: Tx) -> None:
        now, counts, after = self._clock(), self._counts.copy(), self._after
        for _turn in range(BATCHES):
            found, last = gauges.noted(tx, after, COUNTED, BATCH)
            counts.update(self._key(one) for one in found)
            if last == after:
                break
            after = last
        depths, states = gauges.depths(tx), self._states(gauges.clocked(tx, now, CLOCKS_FOR), now)
        # Put in place together at the end: whoever collects meanwhile, or a read that fails, sees none of it or all.
        self._at, self._counts, self._after, self._depths, self._clocks = now, counts, after, depths, states

    def _key(self, noted: gauges.Noted) -> tuple[str, ...]:
        """What an event counts for: its name and the labels of that counter."""
        data, config = noted.data, self._config()
        via = _one(data.get("via"), (c.name for c in config.channels))
        match noted.event:
            case "accepted":
                return "accepted", _one(data.get("channel"), ("sms", "email", "fax", "phone")), via
            case "part_accepted" | "duplicate":
                return noted.event, via
            case "delivered" | "delivery_failed":
                outcome = "delivered" if noted.event == "delivered" else "refused" if data.get("final") else "failed"
                return "attempt", _one(data.get("transport"), (t.name for t in config.transports)), outcome
            case "alarm":
                return "alarm", _one(data.get("what"), KINDS)
            case "clock_started" | "clock_passed":
                return noted.event, _one(data.get("clock"), (c.id for c in config.clocks))
        return (noted.event,)

    def _states(self, found: list[gauges.Clocked], now: datetime) -> Counter[tuple[str, str]]:
        """How the clocks of what is open stand, by the same functions that judge them."""
        config, states = self._config(), Counter[tuple[str, str]]()
        for one in found:
            start, estimated = clocks.anchor(one.occurred, one.first_received_at, config.timezone)
            for clock in config.clocks:
                states[clock.id, clocks.state_of(clock, start, estimated, one.received, now).state] += 1
        return states

    def collect(self) -> Iterator[Metric]:
        """Every figure but the histogram and the process's own."""
        config, depths = self._config(), self._depths
        yield _gauge("gateway_build_info", "The version that runs.", ("version",), {(__version__,): 1})
        yield _gauge("gateway_store_readable", "1 while the store answers reads.", (), {(): float(self._readable)})
        up = {(name,): float(state == "up") for name, state in self._channels().items()}
        yield _gauge("gateway_channel_up", "1 while a configured way in takes reports.", ("via",), up)
        yield from self._counters(config)
        spaces = self.spaces()
        free = {(name,): float(one.free) for name, one in spaces.items()}
        yield _gauge("gateway_disk_free_bytes", "Free bytes of the file system of a folder.", ("folder",), free)
        ends = {(name,): one.full_in.total_seconds() if one.full_in is not None else inf for name, one in spaces.items()}
        text = "Time until it is full at the present rate; +Inf: no such end is seen."
        yield _gauge("gateway_disk_full_seconds", text, ("folder",), ends)
        # Raised and written are two things: an alarm about the store itself waits until the store takes it.
        yield _counter("gateway_alarms_raised", "Alarms raised in this process, written or not.", (), {(): self._alarms.count})
        lags = {("all",): self.loop_lag.longest, ("own",): self.loop_lag.longest_own}
        yield _gauge("gateway_loop_lag_longest_seconds", "The longest since the start; own: so much can be the gateway's "
                     "doing, not the host's.", ("share",), lags)  # fmt: skip
        states = {(clock.id,): float(self._clocks[clock.id, "running"]) for clock in config.clocks}
        yield _gauge("gateway_clocks_open", "Clocks of open incidents that run.", ("clock",), states)
        states = {(clock.id,): float(self._clocks[clock.id, "passed"]) for clock in config.clocks}
        yield _gauge("gateway_clocks_overdue", "Clocks of open incidents that have passed.", ("clock",), states)
        if depths is None:
            return
        yield _states("gateway_messages", "Messages by state.", depths.messages, MESSAGES)
        yield _states("gateway_deliveries", "Deliveries by state.", depths.deliveries, DELIVERIES)
        yield _states("gateway_incidents", "Incidents by state.", depths.incidents, INCIDENTS)
        waiting = float(depths.messages.get("needs_person", 0))
        yield _gauge("gateway_messages_needs_person", "Messages that a person must look at.", (), {(): waiting})
        ages = {(queue,): _age(depths.oldest.get(queue), self._at) for queue in QUEUES}
        yield _gauge("gateway_queue_age_seconds", "Age of the oldest entry of a queue; 0: empty.", ("queue",), ages)
        yield _gauge("gateway_sealed_lag_events", "Events not yet in the audit log.", (), {(): float(depths.unsealed)})
        yield _gauge("gateway_sealed_lag_seconds", "Age of the oldest event not yet in the audit log.", (), {(): ages["seal",]})

    def _counters(self, config: Config) -> Iterator[Metric]:
        counts = self._counts
        ways = {(c.cls.channel, c.name): 0.0 for c in config.channels}
        yield _counter("gateway_messages_accepted", "Messages on stable storage.", ("channel", "via"),
                       {**ways, **_labelled(counts, "accepted")})  # fmt: skip
        vias = {(c.name,): 0.0 for c in config.channels}
        yield _counter("gateway_parts_accepted", "Parts of long messages that completed nothing yet.", ("via",),
                       {**vias, **_labelled(counts, "part_accepted")})  # fmt: skip
        yield _counter("gateway_messages_duplicate", "Second copies, linked and not read again.", ("via",),
                       {**vias, **_labelled(counts, "duplicate")})  # fmt: skip
        tries = {(t.name, outcome): 0.0 for t in config.transports for outcome in ("delivered", "failed", "refused")}
        yield _counter("gateway_delivery_attempts", "Attempts to deliver, by outcome.", ("transport", "outcome"),
                       {**tries, **_labelled(counts, "attempt")})  # fmt: skip
        yield _counter("gateway_alarms", "Alarms on record, by kind.", ("what",),
                       {**{(kind,): 0.0 for kind in KINDS}, **_labelled(counts, "alarm")})  # fmt: skip
        ids = {(clock.id,): 0.0 for clock in config.clocks}
        yield _counter("gateway_clocks_started", "Clocks on record that began to run.", ("clock",),
                       {**ids, **_labelled(counts, "clock_started")})  # fmt: skip
        yield _counter("gateway_clocks_passed", "Clocks on record that passed.", ("clock",),
                       {**ids, **_labelled(counts, "clock_passed")})  # fmt: skip
        for event, name, what in (
            ("registered", "gateway_incidents_registered", "Incidents opened."),
            ("quarantined", "gateway_messages_quarantined", "Marked messages sealed for the bureau."),
            ("acknowledged", "gateway_acknowledgements", "Acknowledgements by a named person."),
            ("escalated", "gateway_escalations", "Escalations."),
            ("exported", "gateway_exports", "Incidents exported."),
        ):
            yield _counter(name, what, (), {(): float(counts[event,])})


def _one(value: Any, known: Any) -> str:
    """``value`` where it is a known one; anything else is one label, so that labels stay few."""
    return value if isinstance(value, str) and value in tuple(known) else OTHER


def _labelled(counts: Mapping[tuple[str, ...], int], event: str) -> dict[Any, float]:
    return {key[1:]: float(count) for key, count in counts.items() if key[0] == event}


def _age(oldest: datetime | None, now: datetime) -> float:
    return 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())


def _states(name: str, what: str, counts: Mapping[str, int], table: Mapping[str, Any]) -> Metric:
    return _gauge(name, what, ("state",), {(state,): float(counts.get(state, 0)) for state in table})


def _gauge(name: str, what: str, labels: tuple[str, ...], values: Values) -> Metric:
    family = GaugeMetricFamily(name, what, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _counter(name: str, what: str, labels: tuple[str, ...], values: Values) -> Metric:
    family = CounterMetricFamily(name, what, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
