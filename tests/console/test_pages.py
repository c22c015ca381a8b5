"""The incident page with its originals, what waits for a person, the record."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gateway.audit.sealer import Sealer
from gateway.console.originals import compared, pieces
from gateway.core.model import Figure, Report
from tests.console.room import Room
from tests.people.desk import CRASH, Desk

MARKED = "机密★10年\n今日9时，青山区某军事单位发生事件。"


def test_a_text_is_cut_where_evidence_begins_and_ends() -> None:
    report = Report(text="", deaths=Figure(value=2, evidence=((2, 5),)), injured=Figure(value=3, evidence=((4, 7), (90, 99))))
    found = pieces("造成2人死亡", report)
    assert [(one.text, one.fact) for one in found] == [("造成", ""), ("2人死", "deaths"), ("亡", "injured")]
    assert "".join(one.text for one in found) == "造成2人死亡" and pieces("", report) == ()


def test_what_a_later_report_says_otherwise_is_marked() -> None:
    rows = compared([{"deaths": "死亡 2 人"}, {"cause": "大雾"}, {"deaths": "死亡 3 人", "cause": "大雾"}])
    assert [[(c["text"], c["changed"]) for c in row["cells"]] for row in rows] == [
        [("死亡 2 人", False), ("", False), ("死亡 3 人", True)], [("", False), ("大雾", False), ("大雾", False)],
    ]  # fmt: skip


async def test_originals_stand_side_by_side_with_their_evidence(room: Room) -> None:
    room.desk.take(CRASH.replace("2人死亡", "3人死亡").replace("报告：", "续报："), minutes=20)
    page = await room.browser("clerk").get("/incident/1")
    assert re.search(r'<mark title="死亡[^"]*">2人死亡</mark>', page.text) and re.search(r'<mark title="死亡[^"]*">3人死亡</mark>', page.text)
    assert "≠ 死亡 3 人" in page.words and page.text.count('<article class="report">') == 2


async def test_every_look_at_an_original_is_on_record_once_for_each_sign_in(room: Room) -> None:
    clerk, leader = room.browser("clerk"), room.browser("leader")
    for browser in (clerk, clerk, leader):
        await browser.get("/incident/1")
    assert [(e.by, e.data["how"]) for e in room.events("opened")] == [("李值班", "console"), ("秦副市长", "console")]


async def test_who_only_reads_sees_facts_and_no_original(room: Room) -> None:
    page = await room.browser("readonly").get("/incident/1")
    assert "死亡" in page.words and "两车相撞，造成" not in page.text and "您的角色不查看来文原文" in page.words
    assert room.events("opened") == [] and "/incident/2026-0001/" not in page.text


async def test_nothing_of_a_marked_message_is_shown_and_the_look_is_on_record(room: Room) -> None:
    room.desk.take(MARKED, "+8613800000001", minutes=1)
    for account in ("clerk", "leader", "bureau"):
        browser = room.browser(account)
        queue = await browser.get("/review")
        assert "涉密 · 1" in queue.words and "军事" not in queue.text
        before = len(room.events("looked"))
        page = await browser.get("/review/sealed")
        assert "138 0000 0001" in page.words and " B" in page.words and "军事" not in page.text and "青山区某" not in page.text
        [look] = room.events("looked")[before:]
        assert look.data["what"] == "marked messages" and look.data["count"] == 1 and look.data["account"] == account
    for path in ("/", "/incident/1", "/review", "/audit"):
        assert "军事" not in (await room.browser("bureau").get(path)).text


async def test_the_queue_holds_what_a_person_must_decide(room: Room) -> None:
    room.desk.take("石桥县河湾村民房倒塌，两人被压，正在救援", "+8613900009999", minutes=1)
    words = (await room.browser("clerk").get("/review")).words
    assert "〔2026〕0002" in words and "待核定 · 1" in words and "139 0000 9999" in words, "and its sender, whom nobody knows"


class Recorded:
    """A console whose record is sealed into a file."""

    def __init__(self, folder: Path) -> None:
        import dataclasses

        self.room = Room(Desk())
        self.log = folder / "audit.jsonl"
        self.room.desk.live.config = dataclasses.replace(self.room.desk.live.config, audit_log=self.log)
        self.room.desk.take(CRASH)
        self.sealer = Sealer(self.room.desk.store, self.log, now=lambda: self.room.desk.at, algorithm="sha256")

    def seal(self) -> None:
        while self.sealer.run_once():
            pass


async def test_the_record_is_shown_in_words_and_checked(tmp_path: Path) -> None:
    kept = Recorded(tmp_path)
    kept.seal()
    operator: Any = kept.room.browser("operator")
    page = await operator.get("/audit?all=1")
    assert "登记为 〔2026〕0001" in page.words and "尚未校验" in page.words and "两车" not in page.text and "人死亡" not in page.text
    assert (await operator.post("/audit", {"mark": operator.mark})).status == 303
    page = await operator.get("/audit")
    assert "✓ 完整" in page.words and "审计日志完整" in page.words
    kept.sealer.close()
    lines = kept.log.read_bytes().replace(b"2026-0001", b"2026-0007", 1)
    kept.log.write_bytes(lines)
    await operator.post("/audit", {"mark": operator.mark})
    page = await operator.get("/audit")
    assert "✕ 不完整" in page.words and "audit.jsonl:" in page.words
    kept.room.desk.store.close()


async def test_what_people_did_is_shown_first_everything_on_request(tmp_path: Path) -> None:
    kept = Recorded(tmp_path)
    operator = kept.room.browser("operator")
    await kept.room.browser().sign_in("clerk")
    page = await operator.get("/audit")
    assert "李值班 登录值班台" in page.words and "登记为" not in page.words
    assert "登记为" in (await operator.get("/audit?all=1")).words
    kept.room.desk.store.close()
