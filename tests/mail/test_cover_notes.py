"""Which text of a mail with a document is the report: the body, or what came with it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.mail.test_mailtext_documents import DOCX, REPORT, docx, mail, p
from tests.reading.test_corpus import Streams

NOTE = (
    "市委办公室信息科、市政府办公室值班室的各位同志：现将我单位《关于县化工园区有关情况的报告》随信报上，纸质件随后以机要交换"
    "方式送达，请予查收，如有不清楚的地方请随时与我单位联系。石桥县委办公室，2026年3月6日"
)
SMALL = (
    "石桥县今晨发生一起火灾，未造成人员伤亡，起火面积约10平方米，明火已经扑灭，现场秩序稳定，详情请见所附报告，谢谢各位领导同志。"
)


@pytest.fixture(scope="module")
def dry() -> Iterator[Streams]:
    made = Streams()
    yield made
    made.explainer.close()


def explained(dry: Streams, body: str, attached: str, name: str = "report.docx") -> dict[str, Any]:
    raw = base64.b64encode(mail(docx(p(attached)), f'filename="{name}"', DOCX, body)).decode()
    line = {"id": "m", "channel": "email", "received_at": "2026-03-06T09:30:00+08:00", "sender": "a@b.example", "raw_b64": raw}
    return dry.begin().explain(line)


@pytest.mark.parametrize("body", ["请查收附件。", NOTE, REPORT], ids=["short", "long", "the same report"])
def test_figures_come_from_the_report_once(dry: Streams, body: str) -> None:
    got = explained(dry, body, REPORT)
    assert (got["report"]["deaths"]["value"], got["report"]["injured"]["value"]) == (2, 3)
    start, end = got["report"]["deaths"]["evidence"][0]
    assert got["action"] == "new" and REPORT in got["text"] and 0 <= start < end <= len(got["text"])


def test_a_body_below_the_threshold_does_not_hide_the_report(dry: Streams) -> None:
    assert explained(dry, SMALL, REPORT)["needs_person"] is not None


def test_a_marking_in_the_document_or_its_name_seals(dry: Streams) -> None:
    assert explained(dry, "请查收附件。", f"机密★1年 {REPORT}")["action"] == "quarantine"
    assert explained(dry, "请查收附件。", REPORT, "机密-report.docx")["action"] == "quarantine"
