"""Content whose time is over cannot be read any more, from any file; the record stays whole and says so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import operations, retention
from gateway.asked import OperationError
from gateway.audit.sealer import Sealer
from gateway.audit.verify import rotated, verify_files
from gateway.conf_load import load
from gateway.core.model import RawMessage
from gateway.host import Host
from gateway.operations import Live
from gateway.settings_care import RetentionSection
from gateway.store import KeyGone, Store, StoreKeys, Tx, deliveries, journal, messages, purge, tables, vault

ROOT = Path(__file__).parents[2]
FORMER = Path(__file__).parent / "former"
NOW = datetime(2026, 12, 30, 2, 0, tzinfo=UTC)
CLOSED, OPEN, NEEDS, SEALED = (
    "01M85BS56JY3A6T53PC5RPTJRR",
    "01M85BS546K4A6GQPV2JVD1TBQ",
    "01M85BS55WNY9YM1QF02FTQ2JZ",
    "01M85BS55FPYT3NWP0K9E75F0X",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The former version's files: one incident closed by a person, others open."""
    for name in ("gateway.db", "audit.jsonl"):
        shutil.copyfile(FORMER / name, tmp_path / name)
    keys = StoreKeys.from_text((FORMER / "test-store-key").read_text())
    made = Store.open(f"sqlite:///{tmp_path}/gateway.db", keys, lambda: NOW)
    # No carrier was there: what was still to go out by SMS is taken as stopped, or nothing of it would be over.
    stopped = sa.update(tables.deliveries).where(tables.deliveries.c.state == "waiting").values(state="stopped")
    made.write_now(lambda tx: tx.run(stopped))
    yield made
    made.close()


def close(store: Store, number: str) -> None:
    """Close an incident that has deliveries."""
    over = sa.update(tables.incidents).where(tables.incidents.c.number == number).values(state="closed")
    store.write_now(lambda tx: tx.run(over))


def opened(store: Store, row: str) -> bytes | None:
    try:
        return store.read_now(lambda tx: messages.raw(tx, row)).body
    except KeyGone:
        return None


def test_only_what_is_over_goes_and_the_chain_stays(store: Store, tmp_path: Path) -> None:
    asked = RetentionSection(closed_days=30)
    wrapped = store.read_now(lambda tx: tx.scalar(sa.select(tables.vault.c.wrapped).where(tables.vault.c.id == CLOSED)))
    assert wrapped in everything(tmp_path), "the control: the key lies in the files"
    early = NOW - timedelta(days=10)
    assert retention.destroy(store, asked, early) == {"closed": 0}, "not before its time"
    assert retention.destroy(store, asked, NOW, dry_run=True) == {"closed": 1}
    assert opened(store, CLOSED) is not None, "a dry run destroys nothing"
    assert retention.destroy(store, asked, NOW) == {"closed": 1}
    assert opened(store, CLOSED) is None
    assert opened(store, OPEN) is not None
    assert opened(store, NEEDS) is not None
    assert retention.destroy(store, asked, NOW) == {"closed": 0}, "done once"
    assert store.scrub()
    assert wrapped not in everything(tmp_path), "nor does the key lie in the -wal or in a free page"
    log = tmp_path / "audit.jsonl"
    sealer = Sealer(store, log, lambda: NOW)
    assert sealer.run_once() == 2
    sealer.close()
    assert verify_files(rotated(log), store).broken is None
    trail = [one.event for one in store.read_now(lambda tx: journal.entries(tx, names=["purged"]))]
    assert [(e.message, e.data["rule"]) for e in trail if e.message] == [(CLOSED, "closed")]
    assert [e.incident for e in trail if e.incident] == ["2026-0001"]


def everything(folder: Path) -> bytes:
    # The copy that was kept before the migration holds the keys still, as any backup does: docs/care.md says so.
    return b"".join(path.read_bytes() for path in sorted(folder.glob("gateway.db*")) if "before" not in path.name)


def test_the_incident_and_what_went_out_lose_their_texts_too(store: Store) -> None:
    from gateway.store import deliveries, incidents

    close(store, "2026-0002")
    before = store.read_now(lambda tx: incidents.get(tx, "2026-0002"))
    assert before.report.text
    sent = store.read_now(lambda tx: [d.id for d in deliveries.rows(tx, incident=before.id)])
    assert sent
    retention.destroy(store, RetentionSection(closed_days=30), NOW)
    after = store.read_now(lambda tx: incidents.get(tx, "2026-0002"))
    assert (after.report.text, after.number, after.items) == ("", before.number, before.items), "facts stay in the register"
    assert store.read_now(lambda tx: vault.many(tx, [before.id, *sent])) == {}


def live(store: Store, **days: int) -> Live:
    from dataclasses import replace

    import msgspec  # noqa: F401

    config = load(ROOT / "conf", Host.load())
    return Live(config=replace(config, retention=RetentionSection(**days)), store=store, running=False)


def test_who_asks_for_destroyed_content_is_told_when_and_by_which_rule(store: Store) -> None:
    retention.destroy(store, RetentionSection(closed_days=30), NOW)
    with pytest.raises(OperationError, match=r"2026-12-30T10:00:00\.000\+08:00.*closed"):
        operations.perform_now(live(store), "open", {"id": CLOSED}, "root")


def test_the_command_does_it_in_small_steps_and_counts_alike(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    here = live(store, closed_days=30)
    monkeypatch.setattr(Live, "now", lambda self: NOW)
    due: Any = operations.perform_now(here, "retention_due", {"rule": "closed"}, "root")
    done: Any = operations.perform_now(here, "retain", {"rule": "closed"}, "root")
    assert due["messages"] == done["messages"] == 1
    assert operations.perform_now(here, "retain", {"rule": "closed", "after": done["last"]}, "root")["last"] is None
    assert [e.event.by for e in store.read_now(lambda tx: journal.entries(tx, names=["purged"]))] == ["root", "root"]
    with pytest.raises(OperationError, match="closed"):
        operations.perform_now(here, "retain", {"rule": "everything"}, "root")


def test_what_is_on_its_way_out_keeps_its_incident(store: Store) -> None:
    close(store, "2026-0002")
    one = sa.select(tables.incidents.c.id).where(tables.incidents.c.number == "2026-0002").scalar_subquery()
    waits = sa.update(tables.deliveries).where(tables.deliveries.c.incident == one).values(state="waiting")
    store.write_now(lambda tx: tx.run(waits))
    assert retention.destroy(store, RetentionSection(closed_days=1), NOW) == {"closed": 1}, "the other one goes"
    assert opened(store, OPEN) is not None


def sms(body: str, at: datetime, sender: str = "13800000001") -> RawMessage:
    return RawMessage(channel="sms", via="sms", received_at=at, sender=sender, body=body.encode(), content_type="text/plain")


def test_a_copy_that_somebody_works_with_keeps_the_bytes_it_stands_on(store: Store) -> None:
    first = store.write_now(lambda tx: messages.accept(tx, sms("节日好", NOW), NOW)).id
    store.write_now(lambda tx: messages.set_state(tx, first, "ignored"))
    copy = store.write_now(lambda tx: messages.accept(tx, sms("节日好", NOW), NOW)).id
    store.write_now(lambda tx: messages.set_state(tx, copy, "read"))
    later, asked = NOW + timedelta(days=400), RetentionSection(ignored_days=30)
    assert retention.destroy(store, asked, later) == {"ignored": 0}
    assert opened(store, copy) is not None
    store.write_now(lambda tx: messages.set_state(tx, copy, "duplicate"))
    assert retention.destroy(store, asked, later) == {"ignored": 1}
    assert opened(store, copy) is None
    assert store.read_now(lambda tx: purge.purged(tx, copy)) == (later, "ignored"), "the copy says what became of its bytes"


def test_many_go_in_several_transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MOST", 3)
    for n in range(8):
        row = store.write_now(lambda tx, n=n: messages.accept(tx, sms(f"广告{n}", NOW), NOW)).id
        store.write_now(lambda tx, row=row: messages.set_state(tx, row, "ignored"))
    before = store.commits
    assert retention.destroy(store, RetentionSection(ignored_days=1), NOW + timedelta(days=2)) == {"ignored": 8}
    assert store.commits - before == 4


@pytest.mark.parametrize(
    ("now", "hour", "due"),
    [
        ("2026-03-05T02:59:59+08:00", 3, "2026-03-05T03:00:00+08:00"),
        ("2026-03-05T03:00:00+08:00", 3, "2026-03-06T03:00:00+08:00"),
        ("2026-03-05T20:00:00+00:00", 3, "2026-03-07T03:00:00+08:00"),
        ("2026-12-31T23:00:00+08:00", 0, "2027-01-01T00:00:00+08:00"),
    ],
)
def test_the_next_pass(now: str, hour: int, due: str) -> None:
    found = retention.next_pass(datetime.fromisoformat(now), hour, "Asia/Shanghai")
    assert found == datetime.fromisoformat(due)
    assert found > datetime.fromisoformat(now)


def test_nothing_is_destroyed_unless_conf_says_so(store: Store) -> None:
    assert retention.rules(RetentionSection()) == ()
    assert retention.destroy(store, RetentionSection(), NOW + timedelta(days=3650)) == {}


def test_what_was_sent_about_no_incident_goes_once_it_is_out(store: Store) -> None:
    def paper(tx: Tx, state: str, days: int) -> str:
        at = NOW - timedelta(days=days)
        row = deliveries.DeliveryRow(
            id=tx.new_id(), incident=None, message=None, destination="committee_office", duty="inform", transport="mail",
            address="a@gateway.test", created_at=at, next_try_at=at,
        )  # fmt: skip
        deliveries.insert(tx, row, deliveries.Content(subject="值班快报", text="昨日登记事件3起"))
        tx.run(sa.update(tables.deliveries).where(tables.deliveries.c.id == row.id).values(state=state))
        return row.id

    def held(row: str) -> bool:
        asked = sa.select(tables.vault.c.wrapped).where(tables.vault.c.id == row)
        return store.read_now(lambda tx: tx.scalar(asked)) is not None

    cases = (("delivered", 40), ("delivered", 10), ("waiting", 40))
    old, young, waiting = (store.write_now(lambda tx, one=one: paper(tx, *one)) for one in cases)
    assert retention.destroy(store, RetentionSection(paper_days=30), NOW, dry_run=True) == {"paper": 1}
    assert retention.destroy(store, RetentionSection(paper_days=30), NOW) == {"paper": 1}
    assert [held(row) for row in (old, young, waiting)] == [False, True, True]
    purged = [entry.event.data for entry in store.read_now(journal.entries) if entry.event.event == "purged"]
    assert purged[-1] == {"rule": "paper", "days": 30, "deliveries": 1}
    assert retention.destroy(store, RetentionSection(paper_days=30), NOW) == {"paper": 0}, "once"
