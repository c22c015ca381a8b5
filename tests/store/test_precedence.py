"""Whose messages are read first and whose deliveries go out first, in both data bases."""

from __future__ import annotations

from gateway.core.model import RawMessage
from gateway.store import Store, deliveries, messages, precedence
from gateway.store.delivery_rows import Content, DeliveryRow
from tests.store.conftest import Clock


def accepted(store: Store, clock: Clock, sender: str, body: bytes = b"") -> str:
    """A message of a sender; one alone is known."""
    raw = RawMessage(channel="email", via="mail", received_at=clock(), sender=sender, body=body, content_type="text/plain")
    return store.write_now(lambda tx: messages.accept(tx, raw, clock(), known=lambda one: one == "unit@x")).id


def test_known_senders_are_read_first_and_each_class_in_order(store: Store, clock: Clock) -> None:
    ids = [accepted(store, clock, sender, b"%d" % n) for n, sender in enumerate(("a@b", "unit@x", "c@d", "unit@x"))]
    found = [[row.id for row in store.read_now(lambda tx, of=of: messages.pending(tx, "email", 9, of))] for of in precedence.CLASSES]  # type: ignore[misc]
    assert found == [[ids[1], ids[3]], [ids[0], ids[2]]]
    assert [row.id for row in store.read_now(lambda tx: messages.pending(tx, "email", 9))] == ids


def queued(store: Store, clock: Clock, name: str, of: int, incident: str) -> None:
    row = DeliveryRow(id=name, incident=incident, destination=f"office-{name}", transport="mail", address="x@y", created_at=clock(),
                      next_try_at=clock(), precedence=of)  # fmt: skip
    store.write_now(lambda tx: deliveries.insert(tx, row, Content(subject="", text="")))


def due(store: Store, clock: Clock, limit: int, later: int | None = None) -> list[str]:
    return [row.id for row in store.read_now(lambda tx: deliveries.due(tx, clock(), limit, later))]


def test_what_registered_senders_told_goes_out_first_and_the_rest_is_not_forgotten(store: Store, clock: Clock) -> None:
    for number in range(6):
        queued(store, clock, f"L{number}", precedence.LATER, f"I{number}")
        clock.on(seconds=1)
    for number in range(6):
        queued(store, clock, f"F{number}", precedence.FIRST, f"J{number}")
    clock.on(seconds=1)
    assert due(store, clock, 4) == ["F0", "F1", "F2", "L0"]
    assert due(store, clock, 1) == ["F0"]
    assert due(store, clock, 4, later=0) == ["F0", "F1", "F2", "F3"], "no place is left for the others"
    stranger, unit = (accepted(store, clock, sender) for sender in ("a@b", "unit@x"))
    store.write_now(lambda tx: precedence.lift(tx, "I5", stranger))
    assert "L5" not in due(store, clock, 8, later=0), "one more stranger"
    store.write_now(lambda tx: precedence.lift(tx, "I5", unit))
    assert "L5" in due(store, clock, 8, later=0), "a registered sender has told of it, too"
