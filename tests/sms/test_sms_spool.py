"""Folders of smstools and gammu-smsd: stored before a file leaves, texts whatever their labels say, one sending for one delivery."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sms_bench import NOW, Intake, until

from gateway.api import Delivered, Delivery, Malformed, RawMessage, Refused, TryLater
from gateway.testing import MemoryServices
from gateway_plugins.sms_spool import SmsSpool, SpoolSettings
from gateway_plugins.smsspool import files, guess
from gateway_plugins.to_sms import ToSms, ToSmsSettings

WORDS = "青山区供水管爆裂，三个小区停水，抢修人员已到场。"
LABELS = ["", "UCS2", "UTF-8", "ISO", "GSM", "binary8"]
COMMON = st.text(
    st.sampled_from("区市县一二三人死亡受伤起火滑坡桥路停水电气今日时分报告值班室，。、（）0123456789"), min_size=6, max_size=200
)


def smstools(words: bytes, *, sender: str = "8613900000021", label: str = "UCS2", udh: bytes = b"") -> bytes:
    head = (
        f"From: {sender}\nFrom_TOA: 91 international, ISDN/telephone\nSent: 26-11-23 09:30:00\nModem: GSM1\nAlphabet: {label}\n"
    )
    if udh:
        head += f"UDH-DATA: {udh.hex(' ')} \n"
    return head.encode() + b"Length: 16\n\n" + words


def backup(*parts: tuple[bytes, bytes], number: str = "+8613900000021") -> bytes:
    """A file of gammu-smsd with inboxformat detail."""
    sections = [b"; Saved 20261129T201836\n\n"]
    for count, (content, udh) in enumerate(parts):
        lines = [f"[SMSBackup{count:03}]", "PDU = Deliver", f'Number = "{number}"', *([f"UDH = {udh.hex()}"] if udh else [])]
        digits = content.hex().upper()
        lines += [f"Text{n:02} = {digits[start : start + 200]}" for n, start in enumerate(range(0, len(digits), 200))]
        sections.append(
            "\n".join([*lines, "Coding = Unicode_No_Compression", f"Length = {len(content) // 2}"]).encode() + b"\n\n"
        )
    return b"".join(sections)


class Spool:
    def __init__(self, root: Path, form: Any, **settings: Any) -> None:
        self.root = root
        for name in ("incoming", "reports", "outgoing", "checked", "sent", "failed"):
            (root / name).mkdir(exist_ok=True)
        folders = {name: str(root / name) for name in ("incoming", "outgoing", "checked", "sent", "failed")}
        if form == "smstools":
            folders["reports"] = str(root / "reports")
        quick = {"spool_seconds": 0.02, "settle_seconds": 0.0, "send_wait": 1.0, **settings}
        self.services = MemoryServices(at=NOW)
        self.sms = SmsSpool("modem", SpoolSettings(form=form, **folders, **quick), self.services)
        self.services.channels["modem"] = self.sms
        self.intake = Intake()

    def drop(self, name: str, body: bytes, folder: str = "incoming") -> Path:
        path = self.root / folder / name
        hidden = path.with_name(f".{name}")
        hidden.write_bytes(body)
        os.replace(hidden, path)
        return path

    def text(self, *raws: RawMessage) -> Any:
        if len(raws) == 1 and raws[0].part is None:
            return self.sms.read(raws[0])
        listed = [base64.b64encode(raw.body).decode() for raw in raws]
        return self.sms.read(msgspec.structs.replace(raws[0], body=msgspec.json.encode(listed), part=None))


@asynccontextmanager
async def spool(root: Path, form: Any = "smstools", **settings: Any) -> AsyncIterator[Spool]:
    made = Spool(root, form, **settings)
    await made.sms.start(made.intake)
    try:
        yield made
    finally:
        await made.sms.stop()


def delivery(words: str = WORDS) -> Delivery:
    return Delivery(
        id="d-0123-1", incident="2026-0123", destination="o", transport="sms", address="138 0000 0009", subject="", text="",
        short_text=words,
    )  # fmt: skip


async def test_a_file_leaves_the_folder_only_when_it_is_stored(tmp_path: Path) -> None:
    async with spool(tmp_path) as s:
        s.intake.gate = asyncio.Event()
        path = s.drop("GSM1.a", smstools(WORDS.encode("utf-16-be")))
        await until(lambda: s.intake.in_hand == 1)
        assert path.exists()
        s.intake.gate.set()
        await until(lambda: not path.exists())
        (raw,) = s.intake.messages
        assert (raw.sender, raw.carrier_id, s.text(raw).text) == ("+8613900000021", "GSM1.a", WORDS)
        done = tmp_path / "incoming" / "done" / "GSM1.a"
        await until(lambda: done.exists() and WORDS.encode("utf-16-be") not in done.read_bytes())


async def test_storage_trouble_leaves_the_file_and_a_crash_after_storing_only_repeats_it(tmp_path: Path) -> None:
    async with spool(tmp_path) as s:
        s.intake.trouble = True
        path = s.drop("GSM1.a", smstools(WORDS.encode("utf-16-be")))
        await asyncio.sleep(0.1)
        assert path.exists()
        s.intake.trouble = False
        await until(lambda: not path.exists())
        s.drop("GSM1.a", smstools(WORDS.encode("utf-16-be")))  # as if the crash had come before the file was moved
        await until(lambda: len(s.intake.messages) == 2)
        assert len({(raw.carrier_id, raw.sender, raw.body) for raw in s.intake.messages}) == 1


@pytest.mark.parametrize(
    ("label", "codec", "repaired"),
    [
        ("UCS2", "utf-16-be", False),
        ("UTF-8", "utf-16-be", True),
        ("UTF-8", "utf-8", False),
        ("ISO", "gb18030", True),
        ("UCS2", "utf-8", True),
    ],
)
async def test_labels_are_not_believed(tmp_path: Path, label: str, codec: str, repaired: bool) -> None:
    async with spool(tmp_path) as s:
        s.drop("GSM1.a", smstools(WORDS.encode(codec), label=label))
        await until(lambda: len(s.intake.messages) == 1)
        message = s.text(s.intake.messages[0])
        assert (message.text, message.flags) == (WORDS, ("charset_repaired",) if repaired else ())


async def test_a_text_that_the_daemon_lost_and_a_binary_one_need_a_person(tmp_path: Path) -> None:
    async with spool(tmp_path) as s:
        s.drop("GSM1.a", smstools(b"", label="ISO"))
        s.drop("GSM1.b", smstools(b"\x01\x02\xff", label="binary"))
        await until(lambda: len(s.intake.messages) == 2)
        assert all(s.text(raw).unread for raw in s.intake.messages)


@pytest.mark.parametrize("form", ["smstools", "gammu"])
async def test_five_parts_in_any_order_are_joined_right(tmp_path: Path, form: str) -> None:
    words = [f"第{n}段" + WORDS for n in range(5)]
    async with spool(tmp_path, form) as s:
        for n in (3, 0, 4, 1, 2):
            udh = bytes((5, 0, 3, 9, 5, n + 1))
            content = words[n].encode("utf-16-be")
            if form == "smstools":
                s.drop(f"GSM1.{n}", smstools(content, udh=udh))
            else:
                s.drop(f"IN20261123_093000_0{n}_+8613900000021_00.txt", backup((content, udh)))
        await until(lambda: len(s.intake.messages) == 5)
        assert {(raw.part.ref, raw.part.total) for raw in s.intake.messages if raw.part} == {("+8613900000021/9", 5)}
        for order in itertools.permutations(s.intake.messages):
            assert s.text(*order).text == "".join(words)


async def test_gammus_files_of_one_message_are_parts_of_it(tmp_path: Path) -> None:
    async with spool(tmp_path, "gammu", settle_seconds=0.6) as s:
        for number, words in enumerate(("第一段", "第二段", "第三段")):
            content = b"\xfe\xff" + words.encode("utf-16-be") + bytes(8)
            s.drop(f"IN20261123_093000_00_+8613900000021_{number:02}.txt", content)
        s.drop("IN20261123_093000_00_10086_00.txt", "另一条".encode())
        await until(lambda: len(s.intake.messages) == 4)
        parts = [raw for raw in s.intake.messages if raw.part]
        assert [(raw.part.number, raw.part.total) for raw in parts if raw.part] == [(1, 3), (2, 3), (3, 3)]
        assert s.text(*parts).text == "第一段第二段第三段"
        assert [s.text(raw).text for raw in s.intake.messages if not raw.part] == ["另一条"]


async def test_a_part_that_is_still_being_written_holds_up_its_companions(tmp_path: Path) -> None:
    async with spool(tmp_path, "gammu", settle_seconds=30) as s:
        first, second = (f"IN20261123_093000_00_+8613900000021_{number:02}.txt" for number in range(2))
        s.drop(second, "第二段".encode())
        long_ago = s.drop(first, "第一段".encode())
        os.utime(long_ago, (1, 1))
        await asyncio.sleep(0.2)
        assert s.intake.messages == []
        os.utime(tmp_path / "incoming" / second, (1, 1))
        await until(lambda: len(s.intake.messages) == 2)
        assert s.text(*s.intake.messages).text == "第一段第二段"


async def test_a_file_with_all_parts_gives_all_of_them(tmp_path: Path) -> None:
    async with spool(tmp_path, "gammu") as s:
        parts = [(w.encode("utf-16-be"), bytes((5, 0, 3, 9, 2, n))) for n, w in ((2, "第二段"), (1, "第一段"))]
        s.drop("IN20261123_093000_00_+8613900000021_00.txt", backup(*parts))
        await until(lambda: len(s.intake.messages) == 2)
        assert s.text(*s.intake.messages).text == "第一段第二段"


async def test_a_file_that_is_none_is_taken_for_a_person_and_told(tmp_path: Path) -> None:
    async with spool(tmp_path) as s:
        path = s.drop("odd", WORDS.encode())
        await until(lambda: not path.exists())
        assert s.text(s.intake.messages[0]).text == WORDS
        assert len(s.services.alarms) == 1


async def test_too_large_is_put_aside_whole(tmp_path: Path) -> None:
    async with spool(tmp_path) as s:
        s.intake.max_bytes = 10
        s.drop("GSM1.a", smstools(WORDS.encode("utf-16-be")))
        await until((tmp_path / "incoming" / "too_large" / "GSM1.a").exists)
        assert len(s.services.alarms) == 1


async def test_no_folder_is_told_once_and_its_coming_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    async with spool(tmp_path) as s:
        (tmp_path / "incoming").rmdir()
        await until(lambda: s.sms.health().state == "connecting")
        assert "incoming" in str(await s.sms.probe())
        await asyncio.sleep(0.1)
        assert len(s.services.alarms) == 1
        (tmp_path / "incoming").mkdir()
        await until(lambda: s.sms.health().state == "up")
        assert await s.sms.probe() is None


async def test_status_reports_are_receipts(tmp_path: Path) -> None:
    def report(number: int, status: int) -> bytes:
        told = f"SMS STATUS REPORT\nMessage_id: {number}\nDischarge_timestamp: 26-11-23 09:30:00\nStatus: {status},Ok"
        return smstools(told.encode(), sender="8613800000009", label="ISO")

    async with spool(tmp_path) as s:
        for number, status in ((7, 0), (8, 0x30), (9, 0x46)):
            s.drop(f"GSM1.r{number}", report(number, status), "reports")
        s.drop("GSM1.odd", smstools(b"SMS STATUS REPORT\nnothing", label="ISO"), "reports")
        await until(
            lambda: (
                len(list((tmp_path / "reports" / "done").glob("GSM1*"))) == 4
                if (tmp_path / "reports" / "done").exists()
                else False
            )
        )
        assert sorted((r.ref, r.state) for r in s.intake.receipts) == [
            ("8613800000009/7", "delivered"),
            ("8613800000009/9", "failed"),
        ]
        assert len(s.services.alarms) == 1


class Daemon:
    """Moves files as a daemon does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bodies: list[bytes] = []

    async def take(self, goal: str | None, add: str = "") -> None:
        await until(lambda: bool(self.waiting()))
        path = self.waiting()[0]
        body = path.read_bytes()
        self.bodies.append(body)
        head, _found, text = body.partition(b"\n\n")
        if goal is None:
            path.unlink()
            return
        (self.root / goal / path.name).write_bytes(head + add.encode() + b"\n\n" + text)
        path.unlink()

    def waiting(self) -> list[Path]:
        return [path for path in (self.root / "outgoing").iterdir() if not path.name.startswith(".")]


def send(s: Spool, words: str = WORDS) -> asyncio.Task[Any]:
    return asyncio.create_task(ToSms("sms", ToSmsSettings(carrier="modem"), s.services).send(delivery(words)))


async def test_a_text_is_sent_and_its_reference_comes_back_and_its_text_does_not_stay(tmp_path: Path) -> None:
    s, daemon = Spool(tmp_path, "smstools"), Daemon(tmp_path)
    sending = send(s)
    await daemon.take("sent", "\nMessage_id: 7")
    assert await sending == Delivered(("8613800000009/7",))
    assert daemon.bodies == [b"To: 8613800000009\nAlphabet: UCS\nReport: yes\n\n" + WORDS.encode("utf-16-be")]
    kept = (tmp_path / "sent" / "gw-d-0123-1").read_bytes()
    assert b"Message_id: 7" in kept and WORDS.encode("utf-16-be") not in kept
    assert await send(s) == Delivered(("8613800000009/7",))  # a crash before the commit: nothing is sent again
    assert daemon.waiting() == []


async def test_a_slow_modem_is_waited_for_over_attempts_and_gets_one_file(tmp_path: Path) -> None:
    s, daemon = Spool(tmp_path, "smstools", send_wait=0.1), Daemon(tmp_path)
    for _attempt in range(3):
        assert isinstance(await send(s), TryLater)
    assert len(daemon.waiting()) == 1
    os.replace(daemon.waiting()[0], tmp_path / "checked" / "gw-d-0123-1")
    assert isinstance(await send(s), TryLater)
    assert daemon.waiting() == []
    os.replace(tmp_path / "checked" / "gw-d-0123-1", tmp_path / "sent" / "gw-d-0123-1")
    assert await send(s) == Delivered(())


async def test_a_failure_is_tried_again_from_the_start(tmp_path: Path) -> None:
    s, daemon = Spool(tmp_path, "smstools"), Daemon(tmp_path)
    sending = send(s)
    await daemon.take("failed", "\nFail_reason: +CMS ERROR: 38")
    outcome = await sending
    assert isinstance(outcome, TryLater) and "+CMS ERROR: 38" in outcome.why
    again = send(s)
    await daemon.take("sent", "\nMessage_id: 8")
    assert await again == Delivered(("8613800000009/8",))
    assert not [path for path in (tmp_path / "failed").iterdir() if WORDS.encode("utf-16-be") in path.read_bytes()]


async def test_a_daemon_that_leaves_no_trace_is_not_fed_twice(tmp_path: Path) -> None:
    s, daemon = Spool(tmp_path, "smstools"), Daemon(tmp_path)
    sending = send(s)
    await daemon.take(None)
    assert isinstance(await sending, Refused)
    assert len(daemon.bodies) == 1
    assert len(s.services.alarms) == 1


async def test_gammu_gets_its_own_form_and_without_folders_nothing_is_sent(tmp_path: Path) -> None:
    s, daemon = Spool(tmp_path, "gammu"), Daemon(tmp_path)
    sending = send(s)
    await until(lambda: bool(daemon.waiting()))
    assert [path.name for path in daemon.waiting()] == ["OUTA20000101_000000_00_+8613800000009_d-0123-1.txtd"]
    await daemon.take("sent")
    assert await sending == Delivered(())
    only_in = SmsSpool("in", SpoolSettings(form="gammu", incoming=str(tmp_path)), s.services)
    assert isinstance(await only_in.send_text("+8613800000009", WORDS, key="1", receipt=True), Refused)


@given(COMMON, st.sampled_from(["utf-16-be", "utf-8", "gb18030"]), st.sampled_from(LABELS))
def test_a_chinese_text_is_read_under_any_label(words: str, codec: str, label: str) -> None:
    assert guess.decode(words.encode(codec), label)[0] == words


@pytest.mark.parametrize("label", LABELS)
def test_plain_letters_are_read_under_any_label(label: str) -> None:
    for words in ("OK fire 3 dead", "Bridge closed at Bai river", "OK", "yes", "119"):
        for codec in ("ascii", "utf-16-be"):
            if (codec, label) != ("ascii", "UCS2"):
                assert guess.decode(words.encode(codec), label)[0] == words


def test_one_character_is_read_as_its_label_says() -> None:
    assert guess.decode("中".encode("utf-16-be"), "UCS2") == ("中", False)
    assert guess.decode(b"N-", "ISO") == ("N-", False)


@given(st.binary(max_size=200), st.sampled_from(LABELS))
def test_no_bytes_can_hurt(data: bytes, label: str) -> None:
    assert isinstance(guess.decode(data, label)[0], str)
    for body in (
        data,
        b"From: 1\n\n" + data,
        b"[SMSBackup000]\nText00 = " + data.hex().encode(),
        b"From: 1\nUDH-DATA: " + data + b"\n\nx",
    ):
        for parse in (files.smstools, files.report, files.read, partial(files.gammu, "x")):
            with contextlib.suppress(Malformed):
                parse(body)
