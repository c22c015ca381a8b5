"""Dispatch over the real store: retries, fall-back, order, receipts, restart; time is injected."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from gateway import i18n
from gateway.alarms import Alarms
from gateway.core.model import Address, Incident, Report
from gateway.core.outcomes import Delivered, Receipt, Refused, TryLater
from gateway.dispatch import Dispatcher
from gateway.settling import take_receipt
from gateway.store import Store, StoreKeys, deliveries, incidents, journal
from gateway.trying import Backoff, Rules, judge

START = datetime(2026, 3, 6, 1, 0, tzinfo=UTC)
BACKOFF = Backoff(first=10, longest=100)
RULES = Rules(fallback_after=2, give_up_after=3600, send_timeout=1)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.use("en")
    yield
    i18n.use("zh")


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def on(self, **by: float) -> None:
        self.at += timedelta(**by)


class Carrier:
    """A transport that answers from a list, then says yes."""

    receipts_from = "sms"

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[Any] = []

    async def send(self, delivery: Any) -> Any:
        self.sent.append(delivery)
        answer = self.answers.pop(0) if self.answers else Delivered((f"ref-{len(self.sent)}",))
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            return await answer()
        return answer


class Desk:
    """A store with one incident, a dispatcher and its clock."""

    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.path = path
        self.keys = StoreKeys(os.urandom(32))
        self.open()

    def open(self) -> None:
        self.store = Store.open(f"sqlite:///{self.path}", self.keys, clock=self.clock)
        self.alarms = Alarms(self.store, self.clock)

    def dispatcher(self, **carriers: Carrier) -> Dispatcher:
        return Dispatcher(self.store, carriers, backoff=BACKOFF, rules=RULES, owner="here", clock=self.clock, alarms=self.alarms)

    def incident(self) -> Incident:
        def make(tx: Any) -> Incident:
            made = Incident(
                id=tx.new_id(), number=incidents.next_number(tx, 2026), title="t", state="open", items=(), kinds=(),
                report=Report(text=""), first_received_at=self.clock(),
            )  # fmt: skip
            incidents.insert(tx, made)
            return made

        return self.store.write_now(make)

    def queue(self, incident: Incident, *ways: str, destination: str = "duty_room") -> str:
        def put(tx: Any) -> str:
            row = deliveries.DeliveryRow(
                id=tx.new_id(), incident=incident.id, destination=destination, transport=ways[0], address="a",
                created_at=self.clock(), next_try_at=self.clock(),
                ways=tuple(Address(transport=way, address="b") for way in ways[1:]),
            )  # fmt: skip
            deliveries.insert(tx, row, deliveries.Content(subject="s", text="t", short_text="t"))
            return row.id

        return self.store.write_now(put)

    def row(self, id: str) -> deliveries.DeliveryRow:
        return self.store.read_now(lambda tx: deliveries.get(tx, id))

    def all(self) -> list[deliveries.DeliveryRow]:
        return self.store.read_now(deliveries.rows)

    def events(self) -> list[str]:
        return [e.event.event for e in self.store.read_now(journal.entries)]


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "gateway.db")
    yield made
    made.store.close()


async def rounds(dispatcher: Dispatcher, count: int = 1) -> None:
    """So many rounds, each until nothing is being sent."""
    for _ in range(count):
        await dispatcher.step(dispatcher._clock())
        while dispatcher._sending:
            await asyncio.wait(dispatcher._sending)


async def test_an_acknowledgement_from_above_covers_what_was_offered_there_so_far(desk: Desk) -> None:
    incident = desk.incident()
    ids = [desk.queue(incident, "mail") for _ in range(3)]
    dispatcher = desk.dispatcher(mail=Carrier())
    for _ in range(2):
        await rounds(dispatcher)
    assert [desk.row(id).state for id in ids] == ["delivered", "delivered", "waiting"]
    receipt = Receipt(via="sms", ref="ref-2", state="acknowledged", detail="张三（省政府值班室）")
    for _ in range(2):
        desk.store.write_now(lambda tx: take_receipt(tx, receipt, desk.clock(), BACKOFF, RULES))
    assert [desk.row(id).state for id in ids] == ["acknowledged", "acknowledged", "waiting"], "the last one was offered later"
    assert desk.row(ids[0]).acknowledged_by == "张三（省政府值班室）"
    assert desk.events().count("acknowledged") == 1
    await rounds(dispatcher)
    assert desk.row(ids[2]).state == "delivered"


async def test_an_acknowledgement_that_is_quicker_than_our_own_note_is_kept(desk: Desk) -> None:
    """The answer was lost: up there a person has it before we know that it arrived."""
    id = desk.queue(desk.incident(), "mail")
    dispatcher = desk.dispatcher(mail=Carrier(TryLater("no answer"), Delivered(("up/1",))))
    await rounds(dispatcher)
    receipt = Receipt(via="sms", ref="up/1", state="acknowledged", detail="李四")
    desk.store.write_now(lambda tx: take_receipt(tx, receipt, desk.clock(), BACKOFF, RULES))
    assert desk.row(id).state == "waiting"
    desk.clock.on(seconds=60)
    await rounds(dispatcher)
    assert (desk.row(id).state, desk.row(id).acknowledged_by) == ("acknowledged", "李四")


async def test_waiting_its_turn_is_no_failure(desk: Desk) -> None:
    """A peer that takes only so many a minute: tried at the very second, no other way beside it, nothing in the record."""
    mail = Carrier(*[TryLater("its turn", 3.0, {"sent": 1}, turn=True)] * 4)
    dispatcher = desk.dispatcher(mail=mail, sms=Carrier())
    id = desk.queue(desk.incident(), "mail", "sms")
    for _ in range(4):
        await rounds(dispatcher)
        assert desk.row(id).next_try_at == desk.clock() + timedelta(seconds=3)
        desk.clock.on(seconds=3)
    await rounds(dispatcher)
    assert [(row.transport, row.state) for row in desk.all()] == [("mail", "delivered")]
    assert mail.sent[-1].progress == {"sent": 1}
    assert "delivery_failed" not in desk.events()


async def test_a_delivery_is_sent_and_settled(desk: Desk) -> None:
    carrier = Carrier()
    incident = desk.incident()
    id = desk.queue(incident, "sms")
    await rounds(desk.dispatcher(sms=carrier))
    row = desk.row(id)
    assert (row.state, row.attempts, row.refs, row.delivered_at) == ("delivered", 1, ("ref-1",), START)
    assert carrier.sent[0].id == id
    assert carrier.sent[0].incident == incident.number
    assert desk.events() == ["delivered"]


async def test_later_waits_its_backoff_and_comes_again_under_the_same_id(desk: Desk) -> None:
    carrier = Carrier(TryLater("busy", progress={"parts": 1}))
    id = desk.queue(desk.incident(), "sms")
    dispatcher = desk.dispatcher(sms=carrier)
    await rounds(dispatcher, 2)
    assert len(carrier.sent) == 1
    assert desk.row(id).state == "waiting"
    desk.clock.on(seconds=11.1)
    await rounds(dispatcher)
    assert [d.id for d in carrier.sent] == [id, id]
    assert carrier.sent[1].progress == {"parts": 1}
    assert desk.row(id).state == "delivered"


async def test_the_peers_own_wish_is_kept(desk: Desk) -> None:
    carrier = Carrier(TryLater("throttled", after=50))
    id = desk.queue(desk.incident(), "sms")
    dispatcher = desk.dispatcher(sms=carrier)
    await rounds(dispatcher)
    assert desk.row(id).next_try_at >= START + timedelta(seconds=50)


async def test_refused_takes_the_next_way_at_once(desk: Desk) -> None:
    mail, sms = Carrier(Refused("no such user")), Carrier()
    id = desk.queue(desk.incident(), "mail", "sms")
    await rounds(desk.dispatcher(mail=mail, sms=sms), 2)
    assert desk.row(id).state == "refused"
    assert [row.state for row in desk.all() if row.fallback_of == id] == ["delivered"]
    assert "alarm" not in desk.events()


async def test_a_way_that_keeps_failing_gets_the_next_one_beside_it_and_is_stopped_by_its_success(desk: Desk) -> None:
    mail, sms = Carrier(TryLater("down"), TryLater("down"), TryLater("down")), Carrier()
    id = desk.queue(desk.incident(), "mail", "sms")
    dispatcher = desk.dispatcher(mail=mail, sms=sms)
    await rounds(dispatcher)
    assert len(desk.all()) == 1
    desk.clock.on(seconds=12)
    await rounds(dispatcher, 2)
    assert len(sms.sent) == 1
    assert desk.row(id).state == "stopped"
    desk.clock.on(hours=1)
    await rounds(dispatcher, 2)
    assert len(mail.sent) == 2


async def test_no_way_left_is_an_alarm(desk: Desk) -> None:
    desk.queue(desk.incident(), "mail")
    await rounds(desk.dispatcher(mail=Carrier(Refused("never"))))
    assert "alarm" in desk.events()


async def test_given_up_after_its_time(desk: Desk) -> None:
    id = desk.queue(desk.incident(), "mail")
    dispatcher = desk.dispatcher(mail=Carrier(*(TryLater("down") for _ in range(100))))
    for _ in range(80):
        await rounds(dispatcher)
        desk.clock.on(seconds=111)
    assert desk.row(id).state == "refused"
    assert desk.row(id).attempts > 20
    assert desk.events().count("alarm") == 1


@pytest.mark.parametrize("answer", [RuntimeError("secret words"), "rubbish", None])
async def test_a_transport_that_misbehaves_is_tried_later(desk: Desk, answer: Any) -> None:
    id = desk.queue(desk.incident(), "sms")
    await rounds(desk.dispatcher(sms=Carrier(answer) if answer is not None else Carrier(lambda: asyncio.sleep(0))))
    assert desk.row(id).state == "waiting"
    assert "secret words" not in (desk.row(id).why or "")


async def test_a_transport_that_hangs_is_stopped(desk: Desk) -> None:
    id = desk.queue(desk.incident(), "sms")
    await rounds(desk.dispatcher(sms=Carrier(lambda: asyncio.sleep(60))))
    assert "no answer within 1 s" in (desk.row(id).why or "")


async def test_an_unknown_transport_waits(desk: Desk) -> None:
    id = desk.queue(desk.incident(), "pigeon")
    await rounds(desk.dispatcher())
    assert desk.row(id).state == "waiting"


async def test_order_holds_per_office_and_incident_only(desk: Desk) -> None:
    first, other = desk.incident(), desk.incident()
    held = desk.queue(first, "mail")
    behind = desk.queue(first, "sms")
    elsewhere = desk.queue(first, "sms", destination="another_office")
    apart = desk.queue(other, "sms")
    sms = Carrier()
    dispatcher = desk.dispatcher(mail=Carrier(TryLater("down")), sms=sms)
    await rounds(dispatcher, 2)
    assert {d.id for d in sms.sent} == {elsewhere, apart}
    assert desk.row(behind).attempts == 0
    desk.clock.on(seconds=20)
    await rounds(dispatcher, 2)
    assert desk.row(held).state == desk.row(behind).state == "delivered"


async def test_an_acknowledgement_stops_what_is_queued(desk: Desk) -> None:
    incident = desk.incident()
    id = desk.queue(incident, "sms")
    desk.store.write_now(lambda tx: deliveries.acknowledge(tx, incident.id, "duty_room", "李值班", desk.clock()))
    carrier = Carrier()
    await rounds(desk.dispatcher(sms=carrier))
    assert not carrier.sent
    assert desk.row(id).state == "stopped"


@pytest.mark.parametrize("early", [False, True])
async def test_a_failed_receipt_brings_it_back_by_the_next_way(desk: Desk, early: bool) -> None:
    id = desk.queue(desk.incident(), "sms", "mail")
    failed = Receipt(via="sms", ref="ref-1", state="failed")
    if early:
        desk.store.write_now(lambda tx: take_receipt(tx, failed, desk.clock(), BACKOFF, RULES))
    sms, mail = Carrier(), Carrier()
    dispatcher = desk.dispatcher(sms=sms, mail=mail)
    await rounds(dispatcher)
    if not early:
        assert desk.row(id).state == "delivered"
        desk.store.write_now(lambda tx: take_receipt(tx, failed, desk.clock(), BACKOFF, RULES))
    assert desk.row(id).state == "waiting"
    await rounds(dispatcher, 2)
    assert any(row.state == "delivered" and row.fallback_of == id for row in desk.all())


async def test_a_delivered_receipt_changes_no_state_and_is_on_record(desk: Desk) -> None:
    id = desk.queue(desk.incident(), "sms")
    await rounds(desk.dispatcher(sms=Carrier()))
    for _ in range(2):
        desk.store.write_now(
            lambda tx: take_receipt(tx, Receipt(via="sms", ref="ref-1", state="delivered"), desk.clock(), BACKOFF, RULES)
        )
    assert desk.row(id).state == "delivered"
    assert desk.events() == ["delivered", "receipt"]


async def test_what_was_in_the_air_at_a_crash_is_sent_again(desk: Desk) -> None:
    id = desk.queue(desk.incident(), "sms")
    desk.store.write_now(lambda tx: deliveries.lease(tx, id, "here", START + timedelta(minutes=2), START))
    desk.store.close()
    desk.open()
    carrier = Carrier()
    dispatcher = desk.dispatcher(sms=carrier)
    await dispatcher.start()
    while desk.row(id).state != "delivered":
        await asyncio.sleep(0.01)
    await dispatcher.stop(1)
    assert [(d.id, d.attempt) for d in carrier.sent] == [(id, 2)]


async def test_an_sms_that_never_arrives_waits_its_backoff_and_is_given_up_with_an_alarm(desk: Desk) -> None:
    """A number that is dead takes every SMS and receipts each with a failure."""
    id, carrier = desk.queue(desk.incident(), "sms"), Carrier()
    dispatcher = desk.dispatcher(sms=carrier)
    for _ in range(200):
        await rounds(dispatcher)
        failed = Receipt(via="sms", ref=f"ref-{len(carrier.sent)}", state="failed")
        desk.store.write_now(lambda tx, r=failed: take_receipt(tx, r, desk.clock(), BACKOFF, RULES))
        desk.clock.on(seconds=30)
    assert desk.row(id).state == "refused"
    assert 10 < len(carrier.sent) < 100
    assert desk.events().count("alarm") == 1


async def test_after_a_failed_receipt_the_first_part_is_sent_again(desk: Desk) -> None:
    carrier = Carrier(TryLater("busy", progress={"parts": 3, "refs": ["a", "b"]}), Delivered(("a", "b", "c")))
    desk.queue(desk.incident(), "sms")
    dispatcher = desk.dispatcher(sms=carrier)
    await rounds(dispatcher)
    desk.clock.on(seconds=12)
    await rounds(dispatcher)
    assert carrier.sent[1].progress
    desk.store.write_now(lambda tx: take_receipt(tx, Receipt(via="sms", ref="a", state="failed"), desk.clock(), BACKOFF, RULES))
    desk.clock.on(seconds=120)
    await rounds(dispatcher)
    assert carrier.sent[2].progress == {}


async def test_a_lease_whose_holder_is_gone_is_taken_back_while_running(desk: Desk) -> None:
    id, carrier = desk.queue(desk.incident(), "sms"), Carrier()
    desk.store.write_now(lambda tx: deliveries.lease(tx, id, "another host", START + timedelta(seconds=50), START))
    dispatcher = desk.dispatcher(sms=carrier)
    await rounds(dispatcher)
    assert not carrier.sent
    desk.clock.on(seconds=51)
    await dispatcher._until_next()
    await rounds(dispatcher)
    assert desk.row(id).state == "delivered"


@pytest.mark.parametrize(
    "answer", [TryLater("x", after="5"), Delivered(7), Refused(ValueError("x")), TryLater("x", progress={"a": object()})]
)  # type: ignore[arg-type]
async def test_an_answer_that_cannot_be_kept_is_tried_again_with_an_alarm(desk: Desk, answer: Any) -> None:
    id = desk.queue(desk.incident(), "sms")
    dispatcher = desk.dispatcher(sms=Carrier(answer))
    await rounds(dispatcher)
    assert desk.row(id).state in ("waiting", "refused", "delivered")
    desk.clock.on(seconds=30)
    await rounds(dispatcher)
    assert desk.row(id).state in ("delivered", "refused")


async def test_a_crash_at_the_attempt_that_falls_back_does_not_skip_the_next_way(desk: Desk) -> None:
    id, sms = desk.queue(desk.incident(), "mail", "sms"), Carrier()
    dispatcher = desk.dispatcher(mail=Carrier(*(TryLater("down") for _ in range(9))), sms=sms)
    await rounds(dispatcher)
    desk.clock.on(seconds=12)
    desk.store.write_now(lambda tx: deliveries.lease(tx, id, "here", desk.clock() + timedelta(seconds=1), desk.clock()))
    desk.clock.on(seconds=2)
    desk.store.write_now(lambda tx: deliveries.release_stale(tx, "here", desk.clock()))
    await rounds(dispatcher, 2)
    assert sms.sent


@given(st.integers(1, 60), st.text(max_size=10), st.one_of(st.none(), st.floats(0, 1000)))
def test_backoff_grows_to_its_limit_and_is_repeatable(attempt: int, id: str, asked: float | None) -> None:
    backoff = Backoff(first=5, factor=2, longest=300, jitter=0.1)
    wait = backoff.after(id, attempt, asked)
    assert wait == backoff.after(id, attempt, asked)
    assert timedelta(seconds=4.5) <= wait <= timedelta(seconds=max(330, asked or 0))
    if asked:
        assert wait >= timedelta(seconds=asked)


def _row(attempts: int, ways: int) -> deliveries.DeliveryRow:
    return deliveries.DeliveryRow(
        id="D", destination="o", transport="t", address="a", attempts=attempts, created_at=START, next_try_at=START,
        ways=tuple(Address(transport="x", address=str(n)) for n in range(ways)),
    )  # fmt: skip


@given(st.integers(1, 50), st.integers(0, 3), st.integers(0, 7200), st.sampled_from(["yes", "later", "never"]))
def test_every_outcome_has_a_next_step(attempts: int, ways: int, age: int, kind: str) -> None:
    """Delivered, tried again at a known time, or handed to the next way or to a person: never nothing."""
    outcome = {"yes": Delivered(("r",)), "later": TryLater("w"), "never": Refused("w")}[kind]
    verdict = judge(outcome, _row(attempts, ways), START + timedelta(seconds=age), Backoff(), Rules(give_up_after=3600))
    if kind == "yes":
        assert verdict.state == "delivered"
    elif verdict.state == "waiting":
        assert verdict.next_try_at is not None
        assert verdict.next_try_at > START + timedelta(seconds=age)
    else:
        assert verdict.state == "refused"
        assert verdict.fall_back is bool(ways)
        assert verdict.exhausted is not bool(ways)


async def test_a_transport_that_was_taken_out_of_conf_leaves_nothing_stuck_in_silence(desk: Desk) -> None:
    carrier, incident = Carrier(), desk.incident()
    by_another_way, alone = desk.queue(incident, "fax", "mail"), desk.queue(incident, "fax", destination="bureau")
    dispatcher = desk.dispatcher(mail=carrier)
    await rounds(dispatcher, 3)
    assert desk.row(by_another_way).state == "stopped" and len(carrier.sent) == 1
    assert desk.row(alone).state == "waiting"
    desk.clock.on(seconds=30)
    await rounds(dispatcher, 2)
    alarms = [e.event.data for e in desk.store.read_now(journal.entries) if e.event.event == "alarm"]
    assert [a["destination"] for a in alarms] == ["bureau"] and "fax is not configured" in alarms[0]["why"], "it is said once"
    dispatcher.transports = {"fax": carrier}
    desk.clock.on(seconds=60)
    await rounds(dispatcher, 2)
    assert desk.row(alone).state == "delivered", "conf named it again"
