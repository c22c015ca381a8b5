"""The desk over a real store, with the example configuration: what goes wrong beside a report never stops the report."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy.exc import InternalError

from gateway import house as houses
from gateway import i18n
from gateway.alarms import Alarms
from gateway.api import Settings
from gateway.conf_load import load
from gateway.core.directory import Directory
from gateway.core.model import Attachment, Match, Message, Part, RawMessage, Report
from gateway.desk import Desk
from gateway.host import Host
from gateway.intake import take_in
from gateway.judging import Judged, Rules, judge
from gateway.store import KeyGone, NotFound, Store, StoreKeys, Tx, deliveries, incidents, journal, messages, vault
from gateway.turns import MOST_SECONDS
from gateway.workers import NotJudged, WorkerFailed, WorkerPool
from tests.worker_channels import Odd

ROOT = Path(__file__).parent.parent
CONFIG = load(ROOT / "conf", Host.load(ROOT / "conf"))
NOW = datetime(2026, 3, 6, 2, 0, tzinfo=UTC)
CRASH = "云台区政府办报告：今日9时许，云台区清水湾路口两车相撞，造成2人死亡、3人受伤。报告人：李军"
FIRE = "石桥县政府办：今日8时40分，石桥县南关镇一民房起火，1人死亡，已扑灭。"


class Plain:
    """A channel whose bytes are a Message in JSON, or text."""

    reads_in = "inline"

    def read(self, raw: RawMessage) -> Message:
        if raw.content_type == "message":
            return msgspec.json.decode(raw.body, type=Message)
        if raw.body.startswith(b"["):
            parts = msgspec.json.decode(raw.body, type=list[bytes | None])
            return Message(text="".join("〔缺〕" if p is None else p.decode() for p in parts))
        return Message(text=raw.body.decode())


class Office:
    """A store, a desk and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gateway.db"
        self.at = NOW
        self.store = Store.open(f"sqlite:///{self.path}", StoreKeys(os.urandom(32)), clock=lambda: self.at)
        self.alarms = Alarms(self.store, lambda: self.at)
        self.private = X25519PrivateKey.generate()
        public = self.private.public_key().public_bytes_raw()
        self.desk = Desk(
            self.store, houses.build(CONFIG, bureau_public=public), {"sms": Plain(), "mail": Plain()}, {},
            clock=lambda: self.at, alarms=self.alarms, wake_dispatch=lambda: None,
        )  # fmt: skip

    def accept(self, text: str | Message, channel: str = "sms", sender: str = "+8613800000002", part: Part | None = None) -> str:
        body = text.encode() if isinstance(text, str) else msgspec.json.encode(text)
        raw = RawMessage(
            channel=channel, via="mail" if channel == "email" else "sms", received_at=self.at, sender=sender, body=body,
            content_type="text" if isinstance(text, str) else "message", part=part,
        )  # type: ignore[arg-type]  # fmt: skip
        accepted = self.store.write_now(lambda tx: take_in(tx, raw, self.at, 3600))
        self.desk.wake()
        return accepted.message or accepted.id

    async def taken(self, *ids: str) -> list[messages.MessageRow]:
        """Wait until the desk has taken these."""
        for _ in range(500):
            rows = [self.store.read_now(lambda tx, i=id: messages.get(tx, i)) for id in ids]
            if all(row.state != "accepted" for row in rows):
                return rows
            await asyncio.sleep(0.01)
        raise AssertionError(f"never taken: {[(r.id, r.state) for r in rows]}")

    def incident(self, row: messages.MessageRow) -> Any:
        assert row.incident is not None
        return self.store.read_now(lambda tx: incidents.get(tx, row.incident or ""))

    def out(self, incident: str | None = None) -> list[deliveries.DeliveryRow]:
        """What offices are sent: reports, not answers, questions or reminders."""
        rows = self.store.read_now(lambda tx: deliveries.rows(tx, incident=incident, limit=1000))
        return [row for row in rows if row.duty not in deliveries.UNORDERED or row.incident is None]

    def text_of(self, delivery: str) -> str:
        return self.store.read_now(lambda tx: deliveries.content(tx, delivery)).text

    def events(self) -> list[Any]:
        return [e.event for e in self.store.read_now(journal.entries)]

    def change(self, **changes: Any) -> None:
        self.desk.house = replace(self.desk.house, **changes)


@pytest_asyncio.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    made = Office(tmp_path)
    made.desk.start()
    yield made
    await made.desk.stop(5)
    made.store.close()


async def test_a_report_becomes_an_incident_with_deliveries_in_one_transaction(office: Office) -> None:
    (row,) = await office.taken(office.accept(CRASH))
    incident = office.incident(row)
    assert (row.state, incident.state, incident.number) == ("read", "open", "2026-0001")
    offices = {d.destination for d in office.out(incident.id)}
    assert {"committee_office", "government_office", "secretary_general_committee"} <= offices
    assert "confidential_bureau" not in offices


async def test_alarms_from_everywhere_never_end_a_lane(office: Office) -> None:
    for n in range(50):
        office.alarms.raise_("test", why=f"number {n}")
    office.alarms.raise_("test", why="ill-typed", plugin=7, unheard_of=object())
    await asyncio.gather(*(office.alarms.flush() for _ in range(8)))
    (row,) = await office.taken(office.accept(CRASH))
    assert row.state == "read"
    assert sum(e.event == "alarm" for e in office.events()) == 51


async def test_a_plugin_that_raises_is_a_doubt_and_holds_up_nothing(office: Office) -> None:
    class Bad:
        def read(self, *args: Any) -> Any:
            raise RuntimeError("words of the report")

        def classify(self, *args: Any) -> Any:
            return [Match(item="补充-1", why=("by a plugin",)), "rubbish"]

    office.change(readers={"bad": Bad()}, classifiers={"odd": Bad()})
    (row,) = await office.taken(office.accept(CRASH))
    incident = office.incident(row)
    assert any("bad" in doubt.because and "words" not in doubt.because for doubt in incident.review)
    assert "补充-1" in incident.items


async def test_a_router_that_raises_leaves_the_others_and_none_means_everybody(office: Office) -> None:
    class Bad:
        def route(self, *args: Any) -> Any:
            raise RuntimeError("x")

    good = dict(office.desk.house.routers)
    office.change(routers={"bad": Bad(), **good})
    (row,) = await office.taken(office.accept(CRASH))
    assert "committee_office" in {d.destination for d in office.out(row.incident)}
    office.change(routers={"bad": Bad()})
    (row,) = await office.taken(office.accept(FIRE))
    assert {"committee_office", "confidential_bureau", "government_duty_room"} <= {
        d.destination for d in office.out(row.incident)
    }
    alarms = [e.data for e in office.events() if e.event == "alarm"]
    assert [(data["what"], data["page"], data.get("plugin")) for data in alarms] == [
        ("routing", "runbook/routing.md", "bad"), ("routing", "runbook/routing.md", "bad"), ("routing", "runbook/routing.md", None),
    ]  # fmt: skip
    assert "RuntimeError" in alarms[0]["why"]


async def test_stored_bytes_that_cannot_be_opened_go_to_a_person_and_the_next_is_taken(office: Office) -> None:
    await office.desk.stop(5)
    damaged, good = office.accept(FIRE), office.accept(CRASH)
    with sqlite3.connect(office.path) as raw:
        raw.execute("update vault set sealed = zeroblob(60) where id = ?", (damaged,))
    again = Desk(
        office.store,
        office.desk.house,
        {"sms": Plain()},
        {},
        clock=lambda: office.at,
        alarms=office.alarms,
        wake_dispatch=lambda: None,
    )
    again.start()
    first, second = await office.taken(damaged, good)
    await again.stop(5)
    assert (first.state, second.state) == ("needs_person", "read")
    assert office.incident(first).needs_person
    assert office.out(first.incident), "the offices are told that something came"
    assert office.alarms.count


@pytest.mark.parametrize("fault", [RuntimeError("x"), KeyError("x")])
async def test_when_taking_itself_fails_a_person_is_told(
    office: Office, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def bad(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.undo()
        raise fault

    monkeypatch.setattr("gateway.register.catalogue.classify", bad)
    (row,) = await office.taken(office.accept(CRASH))
    assert row.state == "needs_person"
    monkeypatch.setattr("gateway.register.matching.match", bad)
    (row,) = await office.taken(office.accept(FIRE))
    assert row.state == "needs_person"
    assert office.out(row.incident)


async def test_a_body_that_only_points_to_its_attachment_is_read_with_it(office: Office) -> None:
    page = Attachment(
        name="情况.txt", content_type="text/plain", data=b"1", text="今日7时，平安县红旗煤矿发生透水事故，4人死亡。平安县安监局"
    )
    mail = Message(text="紧急信息见附件，请查收。", attachments=(page,))
    (row,) = await office.taken(office.accept(mail, "email", "a@gateway.test"))
    incident = office.incident(row)
    assert incident.report.deaths.value == 4
    start, end = incident.report.deaths.evidence[0]
    assert "4人" in incident.report.text[start:end]


async def test_a_body_of_its_own_names_the_attachment_for_a_person(office: Office) -> None:
    page = Attachment(name="补充.txt", content_type="text/plain", data=b"1", text="另有12人失踪")
    body = CRASH + "事故原因正在调查，伤者已送医院救治，后续情况续报，请指示。云台区政府办值班室联系电话见通讯录。"
    (row,) = await office.taken(office.accept(Message(text=body, attachments=(page,)), "email", "a@gateway.test"))
    assert office.incident(row).report.missing is None
    assert office.incident(row).review


@pytest.mark.parametrize("text", ["请查收附件", "见附件", ""])
async def test_attachments_nobody_could_read_are_never_ignored(office: Office, text: str) -> None:
    page = Attachment(name="报告.bin", content_type="application/octet-stream", data=b"\x00")
    mail = Message(text=text, attachments=(page,), unread="attachment not read: 1")
    (row,) = await office.taken(office.accept(mail, "email", "a@gateway.test"))
    assert row.state == "needs_person"
    assert office.out(row.incident)


async def test_a_further_report_on_a_closed_incident_goes_out(office: Office) -> None:
    (row,) = await office.taken(office.accept(CRASH))
    closed = msgspec.structs.replace(office.incident(row), state="closed")
    office.store.write_now(lambda tx: incidents.update(tx, closed))
    before = len(office.out())
    office.at += timedelta(hours=1)
    (more,) = await office.taken(office.accept("续报〔2026〕0001：死亡人数上升到5人。云台区政府办"))
    assert more.incident == row.incident
    assert office.incident(more).state == "followed_up"
    assert len(office.out()) > before


async def test_the_same_text_again_is_one_incident(office: Office) -> None:
    first, second = await office.taken(office.accept(CRASH), office.accept(CRASH + " "))
    assert (first.state, second.state) == ("read", "duplicate")
    assert first.incident == second.incident
    assert len(office.store.read_now(incidents.rows)) == 1


async def test_a_marking_in_a_late_part_stops_what_the_first_part_started(office: Office) -> None:
    words = "代号青崖"
    late, early = Part(ref="r", number=1, total=2), Part(ref="r", number=2, total=2)
    office.accept(f"今日9时，青山区北大街两车相撞，造成3人死亡，{words}。青山区委办", part=early)
    office.at += timedelta(seconds=CONFIG.limits.parts_seconds + 1)
    for _ in range(400):
        office.desk.wake()
        if rows := office.store.read_now(lambda tx: messages.rows(tx, states=["read", "needs_person"])):
            break
        await asyncio.sleep(0.02)
    incident = office.incident(rows[0])
    queued = [d.id for d in office.out(incident.id)]
    assert queued
    (row,) = await office.taken(office.accept("【机密★10年】", part=late))
    assert row.state == "quarantined"
    assert {d.state for d in office.out(incident.id)} == {"stopped"}
    emptied = office.incident(rows[0])
    assert (emptied.state, emptied.report.text, emptied.report.deaths) == ("closed", "", None)
    for id in queued:
        with pytest.raises((KeyGone, NotFound)):
            office.store.read_now(lambda tx, i=id: vault.get(tx, i))
    assert any(e.event == "alarm" and e.incident == incident.number for e in office.events())
    assert {d.destination for d in office.out() if d.incident is None} >= {"confidential_bureau"}
    office.store.scrub()
    assert words.encode() not in office.path.read_bytes()


async def test_a_marked_message_is_sealed_even_where_nobody_can_be_told(office: Office) -> None:
    bare = tuple(msgspec.structs.replace(o, ways=()) for o in CONFIG.directory.offices)
    config = replace(office.desk.house.config, directory=Directory.of(bare))
    office.change(config=config)
    (row,) = await office.taken(office.accept("密级：机密\n青山区发生事件", sender="unknown"))
    assert row.state == "quarantined"
    with pytest.raises(KeyGone):
        office.store.read_now(lambda tx: messages.raw(tx, row.id))
    assert sum(e.event == "alarm" for e in office.events()) >= 1


async def test_a_marked_message_stays_sealed_where_sealing_fails_at_first(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bad(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.undo()
        raise RuntimeError("x")

    monkeypatch.setattr("gateway.quarantine.put", bad)
    (row,) = await office.taken(office.accept("【绝密】青山区发生事件，3人死亡"))
    assert row.state == "quarantined"
    assert not office.store.read_now(incidents.rows)


async def test_no_word_of_a_report_stands_in_the_journals_public_fields(office: Office) -> None:
    office.accept(CRASH)
    office.accept("云台区交警大队：今天上午9点左右，清水湾路口两车相撞，死亡2人，伤3人。", sender="+8613800000077")
    ids = [m.id for m in office.store.read_now(messages.rows)]
    office.accept("青山区有群众聚集，人数不清楚，可能去自治区上访。", sender="+8613800000008")
    ids = [m.id for m in office.store.read_now(messages.rows)]
    await office.taken(*ids)
    from gateway.core.events import public

    for event in office.events():
        shown = str(public(event))
        for word in ("清水湾", "相撞", "李军", "两车", "上访", "死亡", "死伤", "13800000002"):
            assert word not in shown, (event.event, shown)


async def test_offices_that_were_told_nothing_get_the_whole_when_it_rises_over_the_threshold(office: Office) -> None:
    small = "白水县政府办：今日9时20分，白水县城关镇东街两车追尾，无人员伤亡，损失约2万元。"
    (row,) = await office.taken(office.accept(small))
    assert office.incident(row).state == "below_threshold"
    assert not office.out()
    office.at += timedelta(minutes=30)
    (more,) = await office.taken(office.accept("续报〔2026〕0001：一名伤者经抢救无效死亡，死亡1人。白水县政府办"))
    assert more.incident == row.incident
    texts = [office.text_of(d.id) for d in office.out(row.incident)]
    assert texts
    assert all("东街" in text or "城关镇" in text for text in texts)


async def test_a_statement_that_fails_costs_its_own_message_alone(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on PostgreSQL, where the first that fails takes the transaction and all behind it with it."""
    whole = messages.raw
    broken: list[str] = []
    spoilt: list[Tx] = []

    def raw(tx: Tx, id_: str) -> RawMessage:
        if id_ in broken or any(tx is one for one in spoilt):
            spoilt.append(tx)
            raise InternalError("", None, Exception("index corrupted"))
        return whole(tx, id_)

    monkeypatch.setattr(messages, "raw", raw)
    first = office.accept(CRASH)
    broken.append(first)
    bad, good = await office.taken(first, office.accept(FIRE))
    assert bad.state == "needs_person"
    assert good.state == "read"


async def test_behind_each_text_the_loop_is_the_carriers_as_long_as_one_waits(office: Office) -> None:
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    office.desk.turns.rest = rest
    await office.taken(office.accept(CRASH))
    assert not rests, "nobody waits"
    office.desk.turns.carriers = lambda: 1
    await office.taken(office.accept(FIRE), office.accept("云台区云台镇一仓库起火，2人受伤。"))
    assert 3 <= len(rests) <= 4, "behind each text, and behind what was in hand at once"
    assert all(0 < seconds <= MOST_SECONDS for seconds in rests)


LONG = CRASH + "以下为现场情况。" * 300


class Apart(Plain):
    """A channel of a process of its own."""

    reads_in = "parse"

    async def read_apart(self, raw: RawMessage, seconds: float) -> Message:
        return self.read(raw)


@pytest_asyncio.fixture
async def working(office: Office, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """An office with real workers, which cannot judge anything in its own process."""

    def bad(*args: Any) -> Any:
        raise RuntimeError("judged in the daemon")

    pool = WorkerPool("parse", 1, 512, 20.0)
    office.desk._pools = {"parse": pool, "parse-later": pool}
    office.desk._channels = {"sms": Plain(), "mail": Odd("mail", Settings())}
    monkeypatch.setattr("gateway.desk.judge", bad)
    yield office
    await pool.stop()


async def test_what_a_worker_undid_comes_back_judged_and_plugins_see_it_here(working: Office) -> None:
    seen = []

    class Reader:
        def read(self, message: Message, report: Report) -> Any:
            seen.append((int(message.subject), report.deaths.value if report.deaths else None))
            return []

    working.change(readers={"seeing": Reader()})
    first, second = await working.taken(working.accept(CRASH, "email"), working.accept(LONG, "email"))
    assert working.incident(first).items and second.state == "read"
    assert [deaths for _pid, deaths in seen] == [2, 2] and all(pid != os.getpid() for pid, _deaths in seen)


async def test_a_long_text_is_judged_in_a_worker_though_it_was_undone_here(working: Office) -> None:
    long, short = await working.taken(working.accept(LONG), working.accept(FIRE))
    assert working.incident(long).report.deaths.value == 2
    assert short.state == "needs_person", "it was to be judged here"


async def test_what_a_plugin_read_in_its_own_process_is_judged_in_a_worker_where_it_is_long(working: Office) -> None:
    working.desk._channels = {"mail": Apart()}
    file = Attachment(name="图.bin", content_type="image/png", data=bytes(100_000))
    filed = Message(text="青山区政府办：今日9时，青山区北大街一仓库起火，2人受伤。", attachments=(file,))
    ids = [working.accept(text, "email") for text in (LONG, filed, FIRE)]
    long, heavy, short = await working.taken(*ids)
    assert working.incident(long).report.deaths.value == working.incident(heavy).report.injured.value == 2
    assert short.why == i18n._("the text could not be read"), "it was to be judged here"


@pytest.mark.parametrize(
    ("fault", "why"), [(WorkerFailed("longer than 20 s"), "longer than 20 s"), (NotJudged("KeyError"), i18n._("the text could not be read"))]
)
async def test_what_a_worker_cannot_judge_is_kept_for_a_person(office: Office, fault: Exception, why: str) -> None:
    class Pool:
        size, seconds = 1, 20.0

        async def judged(self, *args: Any, **kwargs: Any) -> Any:
            raise fault

    errors: list[BaseException] = []
    office.desk.on_error = errors.append
    office.desk._pools = {"parse": Pool(), "parse-later": Pool()}  # type: ignore[dict-item]
    (row,) = await office.taken(office.accept(LONG))
    assert row.state == "needs_person" and why in office.incident(row).needs_person
    assert office.store.read_now(lambda tx: messages.raw(tx, row.id)).body == LONG.encode()
    assert bool(errors) is isinstance(fault, NotJudged), "what is ours to mend is told"


async def test_a_marking_is_found_also_where_no_worker_can_judge(office: Office) -> None:
    class Pool:
        size, seconds = 1, 20.0

        async def judged(self, *args: Any, **kwargs: Any) -> Any:
            raise WorkerFailed("no worker process could be started (OSError)")

    office.desk._pools = {"parse": Pool(), "parse-later": Pool()}  # type: ignore[dict-item]
    (row,) = await office.taken(office.accept("机密★10年\n" + LONG))
    assert row.state == "quarantined"
    with pytest.raises(KeyGone):
        office.store.read_now(lambda tx: messages.raw(tx, row.id))


async def test_messages_are_judged_by_the_rules_they_were_taken_with(office: Office) -> None:
    used = []

    class Pool:
        size, seconds = 1, 20.0

        async def judged(self, rules: Rules, raw: RawMessage, *, message: Message, flags: Any) -> Judged:
            office.change()  # a reload while messages are in hand
            used.append(rules)
            return judge(rules, raw, message, raw.meta, flags)

    before = office.desk.house.rules
    office.desk._pools = {"parse": Pool(), "parse-later": Pool()}  # type: ignore[dict-item]
    await office.taken(office.accept(LONG), office.accept(LONG + "其二"))
    assert office.desk.house.rules is not before and [rules is before for rules in used] == [True, True]


def test_the_desk_has_a_lane_for_every_kind_of_channel() -> None:
    from typing import get_args

    from gateway.core.model import Channel
    from gateway.desk import LANES

    assert set(LANES) == set(get_args(Channel))
