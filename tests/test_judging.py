"""What a worker judges is what would be judged here: every field survives the way back, whatever a message holds."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import house as houses
from gateway.conf_load import load
from gateway.core.model import Attachment, Message, RawMessage
from gateway.host import Host
from gateway.judging import Judged, Packed, Rules, judge
from gateway.workers import NotJudged, WorkerFailed, WorkerPool
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from tests.reading.test_boundaries import MESSAGES
from tests.worker_channels import Odd

ROOT = Path(__file__).parent.parent
CONFIG = load(ROOT / "conf", Host.load(ROOT / "conf"))
RULES = houses.build(CONFIG, bureau_public=bytes(32)).rules
CHANNEL = EmailSmtp("mail", EmailSettings(addresses=("report@gateway.test",)))
AT = datetime(2026, 4, 10, 9, 0, tzinfo=UTC)
SENDERS = ("baishui-office@gateway.test", "a@elsewhere.test", "+8613800000002", "")
META = ({}, {"completes": "0001"}, {"sealed_parts": "1"})

Run = Callable[[Coroutine[Any, Any, Any]], Any]

sentences = st.one_of(
    st.sampled_from([text.format(n=7) for _item, _fields, _limit, text in MESSAGES]),
    st.sampled_from([
        "【演练】", "演练演练演练，", "机密★10年\n", "密级：秘密\n", "更正：", "续报〔2026〕0001：", "祝您新年快乐！", "依据事故类-2报告。",
        "死亡人数由2人上升至三四人，", "数十人受伤，", "伤亡情况不详。", "疑似3.5亿元损失，", "死亡" + "9" * 40 + "人。", "请查收附件", "\x00\x7f",
    ]),
    st.text(max_size=60),
)  # fmt: skip
texts = st.lists(sentences, max_size=5).map("".join)
files = st.lists(st.tuples(st.sampled_from(["情况.txt", "绝密.txt", "a.txt"]), texts), max_size=2)


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module")
def pool(run: Run) -> Iterator[WorkerPool]:
    made = WorkerPool("parse", 1, 128, 20.0)
    yield made
    run(made.stop())


def raw(body: bytes = b"", sender: str = "", meta: dict[str, str] | None = None) -> RawMessage:
    return RawMessage(
        channel="email", via="mail", received_at=AT, sender=sender, body=body, content_type="message/rfc822", meta=meta or {}
    )


def mail(subject: str, text: str, attached: list[tuple[str, str]], charset: str) -> bytes:
    made = EmailMessage()
    made["From"], made["Date"] = "clerk@gateway.test", "Fri, 10 Apr 2026 16:59:00 +0800"
    made["Subject"] = " ".join(subject.split())
    made.set_content(text, charset=charset, cte="base64")
    for name, content in attached:
        made.add_attachment(content, charset=charset, cte="base64", filename=name)
    return made.as_bytes()


bodies = st.tuples(texts, texts, files, st.sampled_from(["gb18030", "utf-8"]))
flags = st.sampled_from([(), ("sender_doubtful",), ("sender_confirmed", "spf_pass")])


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies, st.sampled_from(SENDERS), st.sampled_from(META), flags)
def test_a_mail_judged_in_a_worker_is_as_if_judged_here(
    run: Run, pool: WorkerPool, body: tuple[Any, ...], sender: str, meta: dict[str, str], flags: tuple[str, ...]
) -> None:
    given = raw(mail(*body), sender, meta)
    assert run(pool.judged(RULES, given, channel=CHANNEL, flags=flags)) == judge(RULES, given, CHANNEL.read(given), meta, flags)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts, st.booleans())
def test_so_is_one_that_was_undone_elsewhere(run: Run, pool: WorkerPool, text: str, filed: bool) -> None:
    file = Attachment(name="情况.txt", content_type="text/plain", data=text.encode(), text=text)
    message = Message(text="见附件" if filed else text, attachments=(file,) if filed else (), unread=None, pages=1, page_ends=(3,))
    assert run(pool.judged(RULES, raw(), message=message)) == judge(RULES, raw(), message, {})


def test_a_drill_a_marking_and_a_figure_come_back_as_what_they_are(run: Run, pool: WorkerPool) -> None:
    """The properties above would hold for an empty answer, too."""

    def judged(text: str) -> Judged:
        answer: Judged = run(pool.judged(RULES, raw(mail("", text, [], "gb18030")), channel=CHANNEL))
        return answer

    assert judged("机密★10年\n白水县政府办：今日8时货车与客车相撞，1人死亡。").marking == "机密"
    drill = judged("【演练】白水县政府办：今日8时货车与客车相撞，1人死亡。").report
    assert drill is not None and drill.drill
    real = judged("白水县政府办：今日8时货车与客车相撞，7人死亡，伤者人数不详。")
    assert real.report is not None and real.report.deaths is not None and real.report.deaths.value == 7
    assert real.found.items and real.found.rules == CONFIG.catalogue.digest


def test_a_worker_is_told_rules_once_and_again_when_they_change(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of two configurations one after another, as during a reload: each is judged by its own."""
    other = msgspec.structs.replace(RULES, chars=10)
    sent: list[int] = []

    def counted(job: Any) -> bytes:
        frame = msgspec.msgpack.encode(job)
        sent.append(len(frame))
        return frame

    monkeypatch.setattr("gateway.workers._encode", counted)
    pool = WorkerPool("parse", 1, 512, 20.0)
    text = "白水县政府办：今日8时货车与客车相撞，7人死亡。"
    try:
        cut = [
            "text_cut" in run(pool.judged(rules, raw(), message=Message(text=text))).message.flags
            for rules in (RULES, RULES, other, RULES, other, other)
        ]
    finally:
        run(pool.stop())
    assert cut == [False, False, True, False, True, True]
    size = len(RULES.packed().data)
    assert [one > size for one in sent] == [True, False, True, True, True, False]


def test_a_new_process_is_told_the_rules(run: Run) -> None:
    pool = WorkerPool("parse", 1, 512, 20.0, calls=1)
    try:
        for _ in range(3):
            assert run(pool.judged(RULES, raw(), message=Message(text="起火"))).report is not None
    finally:
        run(pool.stop())


def test_a_process_that_cannot_read_its_rules_ends_and_the_next_message_is_judged(run: Run, pool: WorkerPool) -> None:
    broken = msgspec.structs.replace(RULES)
    broken.__dict__["_packed"] = Packed("broken", b"no pickle")
    with pytest.raises(WorkerFailed, match="ended"):
        run(pool.judged(broken, raw(), message=Message(text="起火")))
    assert run(pool.judged(RULES, raw(), message=Message(text="起火"))).report is not None


def test_what_judging_raises_is_told_by_its_kind_and_the_worker_lives(run: Run, pool: WorkerPool) -> None:
    run(pool.judged(RULES, raw(), message=Message(text="起火")))
    pids = pool.pids
    broken = msgspec.structs.replace(RULES, timezone="nowhere/secret words")
    with pytest.raises(NotJudged) as caught:
        run(pool.judged(broken, raw(), message=Message(text="起火")))
    assert str(caught.value) == "ZoneInfoNotFoundError"
    assert pool.pids == pids


@pytest.mark.parametrize("order", ["raise", "exit", "deep", "surrogate"])
def test_what_reading_does_wrong_is_told_as_ever(run: Run, pool: WorkerPool, order: str) -> None:
    from gateway.api import Settings

    with pytest.raises(WorkerFailed):
        run(pool.judged(RULES, raw(order.encode()), channel=Odd("odd", Settings())))


def test_a_worker_holds_nothing_of_the_directory_but_names_and_counties() -> None:
    held: Rules = pickle.loads(RULES.packed().data)
    assert held.units and all(unit == type(unit)(name=unit.name, county=unit.county) for unit in held.units.values())
    phones = [p.phone for office in CONFIG.directory.offices for p in office.persons if p.phone]
    assert phones and not any(phone.encode() in RULES.packed().data for phone in phones)


def test_a_job_that_cannot_be_understood_costs_no_other(run: Run) -> None:
    made = WorkerPool("parse", 1, 128, 20.0)
    told = Message(text="青山区一仓库起火，2人死亡。")
    try:
        with pytest.raises(WorkerFailed, match="ValidationError"):
            run(made.judged(RULES, raw(), message=Message(text="x", sender=7)))  # type: ignore[arg-type]
        assert run(made.judged(RULES, raw(), message=told)) == judge(RULES, raw(), told, {})
    finally:
        run(made.stop())
