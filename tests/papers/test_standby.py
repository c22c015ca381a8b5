"""The board on paper: a real file, replaced whole, that says what the register holds and until when; an alarm where it cannot be."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import house as houses
from gateway.api import Delivered
from gateway.papers import blocks
from gateway.papers.outgoing import Papers
from gateway.papers.standby import WHOLE
from gateway.standby import Standby
from gateway.store import KeyGone, deliveries
from gateway.testing import HttpPeer, MemoryClock, MemoryServices
from gateway_plugins.to_print import PrintSettings, ToPrint
from tests.harness.peers import ipp
from tests.people.desk import CRASH, Desk

MARKED = "机密★10年\n续报〔2026〕0001：清水湾路口事故涉及某军事单位。"
CROWD = "白水县委办报告：今日22时，敌对势力在白水县组织非法集会，约30人参与。"


class Raised:
    """Alarms as they were raised."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def raise_(self, what: str, *, why: str, **data: Any) -> None:
        self.texts.append((what, why))


class Board:
    """A desk with a board on paper in a folder."""

    def __init__(self, folder: Path, **rules: Any) -> None:
        self.desk, self.alarms = Desk(), Raised()
        self.conf(folder, **rules)
        self.standby = Standby(self.desk.store, self.alarms, lambda: self.desk.house)  # type: ignore[arg-type]

    def conf(self, folder: Path, **rules: Any) -> None:
        config = self.desk.config
        section = type(config.papers.standby)(**rules)
        config = dataclasses.replace(config, state=folder, digest=hashlib.sha256(str(rules).encode()).hexdigest(), papers=config.papers.model_copy(update={"standby": section}))
        self.desk.house = houses.build(config, bureau_public=self.desk.house.bureau_public)
        self.file = folder / section.folder / "board.html"

    def tend(self, minutes: float = 0) -> bool:
        self.desk.at += timedelta(minutes=minutes)
        return asyncio.run(self.standby.tend(self.desk.at))

    @property
    def text(self) -> str:
        return blocks.text(self.file.read_text("utf-8"))


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    made = Board(tmp_path)
    made.desk.take(CRASH)
    yield made
    made.desk.store.close()


def test_it_is_there_at_the_first_look_and_made_anew_every_ten_minutes(board: Board) -> None:
    board.tend()
    first = board.file.read_text()
    assert "制表时间：2026年11月26日 22:30" in board.text and "有效至：2026年11月26日 23:00" in board.text
    board.tend(9.9)
    assert board.file.read_text() == first
    board.tend(0.1)
    assert "制表时间：2026年11月26日 22:40" in board.text and "有效至：2026年11月26日 23:10" in board.text
    assert board.alarms.texts == []


def test_it_says_what_is_open_who_has_it_whom_to_ring_up_and_who_is_on_duty(board: Board) -> None:
    board.desk.do("acknowledge", number="1", office="government_duty_room", person="李值班")
    board.tend()
    text = board.text
    assert "在办事件（1）" in text and "〔2026〕0001" in text and "云台区清水湾路口两车相撞" in text
    assert "死亡 2 人，受伤 3 人" in text and "事故类-2" in text
    assert "✓ 市政府值班室 李值班 22:30" in text and "✕ 市委机要局" in text
    for clock in board.desk.do("incident", number="1")["duty"]["clocks"]:
        if clock["state"] == "running":
            assert f"{clock['title']} {clock['due'][5:16].replace('T', ' ')} 尚余{clock['minutes_left']}分" in text
    for one in board.desk.do("calls", number="1"):
        assert one["office"] in text and one["person"] in text
        assert re.sub(r"\D", "", one["phone"]).removeprefix("86") in re.sub(r"\D", "", text)
    for name in board.desk.config.roster.on_duty("government_duty_room", board.desk.at):
        assert re.search(rf"市政府值班室  {name}  值班员  139 0000 \d+", text)


def test_of_what_is_marked_or_sensitive_the_number_alone_stands_on_it(board: Board) -> None:
    board.desk.take(CROWD, "+8613800000001", minutes=1)
    assert board.desk.incident("2026-0002").sensitive
    taken = board.desk.take(MARKED, minutes=1)
    assert taken.action == "quarantine"
    told_of = "UPDATE messages SET incident = (SELECT id FROM incidents WHERE number = '2026-0001') WHERE state = 'quarantined'"
    board.desk.store.write_now(lambda tx: tx.conn.exec_driver_sql(told_of))
    board.tend()
    text = board.text
    assert "〔2026〕0001  （涉密，内容见市委机要局）" in text and "〔2026〕0002  （内容敏感）" in text and "电话通知单" not in text
    for word in ("两车相撞", "军事", "死亡", "李军", "敌对", "集会"):
        assert word not in board.file.read_text(), word
    assert "✕ 市委机要局" in text, "clocks and who has it are no secret"


def test_the_file_is_for_the_group_and_whoever_reads_it_never_sees_half_of_it(board: Board) -> None:
    mask = os.umask(0o077)
    try:
        board.tend()
        before = board.file.open()
        board.tend(10)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(board.file.stat().st_mode) == 0o640 and stat.S_IMODE(board.file.parent.stat().st_mode) == 0o750
    assert before.read().rstrip().endswith("</html>") and [one.name for one in board.file.parent.iterdir()] == ["board.html"]
    before.close()


def test_a_link_in_its_place_is_replaced_and_not_followed(board: Board, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    board.file.parent.mkdir()
    board.file.symlink_to(other)
    board.tend()
    assert other.read_text() == "mine" and not board.file.is_symlink() and "〔2026〕0001" in board.text


def test_what_cannot_be_written_is_an_alarm_and_is_tried_again_within_a_minute(board: Board, tmp_path: Path) -> None:
    (tmp_path / "standby").write_text("a file where the folder should be")
    board.tend()
    [(what, why)] = board.alarms.texts
    assert what == "standby" and "board.html" in why
    board.tend(0.5)
    assert len(board.alarms.texts) == 1, "not at each look"
    (tmp_path / "standby").unlink()
    board.tend(0.5)
    assert "〔2026〕0001" in board.text and len(board.alarms.texts) == 1


def test_a_clock_that_is_set_back_and_another_conf_are_followed_at_once(board: Board, tmp_path: Path) -> None:
    board.tend()
    board.tend(-120)
    assert "制表时间：2026年11月26日 20:30" in board.text
    board.conf(tmp_path, minutes=2)
    board.tend(0.5)
    assert "有效至：2026年11月26日 21:00" in board.text
    board.tend(1.5)
    board.tend(0.5)
    assert "制表时间：2026年11月26日 20:32" in board.text
    board.conf(tmp_path, enabled=False)
    board.tend(60)
    assert "制表时间：2026年11月26日 20:32" in board.text


def test_without_anything_open_it_says_so(tmp_path: Path) -> None:
    made = Board(tmp_path)
    made.tend()
    assert "当前无在办事件" in made.text and "今日值班" in made.text
    made.desk.store.close()


def test_more_than_it_takes_is_counted(tmp_path: Path) -> None:
    made = Board(tmp_path, most=1, call_lists=0)
    made.desk.take(CRASH)
    made.desk.take("石桥县政府办报告：今日22时，石桥县河湾村民房倒塌，3人被困，正在救援。", "+8613800000003", minutes=1)
    made.tend()
    assert "在办事件（2）" in made.text and "另有 1 起未列出" in made.text and "电话通知单" not in made.text
    made.desk.store.close()


def words_of(pdf: bytes) -> str:
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    wide = document[0].get_width() > document[0].get_height()
    words = "".join(page.get_textpage().get_text_range() for page in document)
    document.close()
    assert wide, "across the page"
    return words


def test_pages_are_made_as_well_where_conf_asks_for_them(tmp_path: Path) -> None:
    made = Board(tmp_path, forms=("pdf", "html"))
    made.desk.take(CRASH)
    made.tend()
    assert made.alarms.texts == []
    words = words_of(made.file.with_suffix(".pdf").read_bytes())
    assert "〔2026〕0001" in words and "有效至" in words
    made.desk.store.close()


class Lent(MemoryServices):
    """What the gateway lends to a transport, with its papers."""

    board: Any = None

    async def paper(self, delivery: Any, form: Any) -> bytes | None:
        return await Papers(self.board.alarms, lambda: self.board.desk.at).make(delivery, form, self.board.desk.house.config)


async def printed(made: Board, delivery: Any) -> tuple[Any, bytes]:
    """What the transport says, and what came over the wire to a printer that speaks IPP."""
    printer = HttpPeer(ipp())
    await printer.start()
    services = Lent(clock=MemoryClock())
    services.board = made
    transport = ToPrint("print", PrintSettings(printers={"duty": f"ipp://127.0.0.1:{printer.port}/p"}), services)
    try:
        outcome = await transport.send(delivery)
    finally:
        await printer.stop()
    return outcome, b"".join(body for _head, body in printer.requests)


PRINTER = {"transport": "print", "address": "duty", "office": "government_duty_room"}


def test_it_goes_to_the_printer_as_the_page_it_is_and_only_the_newest_waits(tmp_path: Path) -> None:
    made = Board(tmp_path, **PRINTER)
    made.desk.take(CRASH)
    assert made.tend() and not made.tend(10), "queued once an hour"
    [row] = [row for row in made.desk.rows() if row.transport == "print"]
    assert (row.destination, row.address, row.duty, row.incident) == ("government_duty_room", "duty", "inform", None)
    assert not made.tend(40) and made.tend(10)
    old, new = sorted((row for row in made.desk.rows() if row.transport == "print"), key=lambda row: row.id)
    assert (old.state, new.state) == ("stopped", "waiting"), "a printer that comes back prints one"
    with pytest.raises(KeyGone):
        made.desk.text_of(old)
    what = made.desk.text_of(new)
    assert "〔2026〕0001" in what.text and "<!doctype html>" in what.paper[WHOLE]
    leased = made.desk.store.write_now(
        lambda tx: deliveries.lease(tx, new.id, "test", made.desk.at + timedelta(minutes=2), made.desk.at)
    )
    assert leased is not None
    outcome, sent = asyncio.run(printed(made, leased))
    assert isinstance(outcome, Delivered) and made.alarms.texts == []
    words = words_of(sent[sent.index(b"%PDF") :])
    assert "〔2026〕0001" in words and "有效至" in words and "今日值班" in words
    made.desk.store.close()


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"transport": "print"}, "address"), ({"minutes": 60, "valid_minutes": 30}, "valid_minutes"), ({"minutes": 0}, "minutes"),
        ({"forms": ()}, "forms"), ({"forms": ("docx",)}, "forms"), ({"folder": ""}, "folder"),
    ],
)  # fmt: skip
def test_a_conf_that_cannot_be_is_refused(board: Board, rules: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        type(board.desk.config.papers.standby)(**rules)
