"""The secrecy marking: found in every disguise of its form, never in an ordinary word."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import Attachment
from gateway.reading import find_marking
from tests.core.example import read

FORMS = [
    "{}★1年", "{}★", "【{}】关于某事的报告", "({})", "（{}）", "[{}]", "〔{}〕", "密级：{}", "密级 {}", "密级:{}级", "{}\n关于某事的报告",
    "　{}　\n正文", "特急 {}", "{} 特急", "{}·特急", "{}：关于某事", "{}关于某事的报告.pdf", "某事_{}.pdf", "某事({}).docx", "{}-某事.doc", "{}级",
    "{}★长期\n某县公安局", "本件为{}", "此文件属于{}级", "{} 3年", "正文在下\n{}\n内容", "NO.0012  {}  特急", "{}★十年",
]  # fmt: skip
ORDINARY = [
    "石桥县委机要局", "重大失泄密案", "组织秘密集会", "侵犯商业秘密", "警方秘密抓捕嫌疑人", "机密文件失窃", "个人秘密被公开", "县保密局检查", "丢失密码设备一台",
    "丢失机密级文件2份", "涉嫌泄露国家秘密", "主机密码被改", "秘密集会地点已查明", "发现有人秘密结社，20人", "绝密级文件柜被撬", "请走机要渠道，密件", "密级：无",
    "飞机密集起降", "投放秘密武器", "时机密不可分", "机密文件2份在运输途中丢失",
]  # fmt: skip


@pytest.mark.parametrize("level", ["绝密", "机密", "秘密"])
@pytest.mark.parametrize("form", FORMS)
def test_marking_is_found(form: str, level: str) -> None:
    assert find_marking([form.format(level)]) == level


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_word_is_no_marking(text: str) -> None:
    assert find_marking([text]) is None
    assert find_marking(["白水县公安局：今日8时，" + text + "，正在处置。"]) is None


@pytest.mark.parametrize("written", ["機密", "机 密", "机　密", "机\u200b密", "机\u2060密", "机  密", "机\ufeff密", "机．密"])
@pytest.mark.parametrize("form", ["{}★1年", "【{}】x", "密级：{}", "{}\n正文", "{}：关于某事"])
def test_disguises(form: str, written: str) -> None:
    assert find_marking([form.format(written)]) == "机密"


def test_highest_of_all_texts() -> None:
    assert find_marking(["【秘密】a", "b", "附件：绝密★.pdf"]) == "绝密"
    assert find_marking([]) is None and find_marking(["", "\n\n"]) is None


@pytest.mark.parametrize(
    "message",
    [
        {"text": "见附件", "attachments": (Attachment(name="机密★3年 某事.pdf", content_type="application/pdf", data=b""),)},
        {
            "text": "见附件",
            "attachments": (Attachment(name="a.txt", content_type="text/plain", data=b"", text="机密★3年\n某事"),),
        },
        {"text": "见附件", "subject": "【机密】某事"},
        {"text": "同意。", "quoted": "机密★3年\n某事"},
    ],
)
def test_read_says_nothing_but_the_marking(message: dict[str, object]) -> None:
    report = read(**message)  # type: ignore[arg-type]
    assert report.marking == "机密"
    assert report.deaths is None and report.place is None and report.kind is None


@given(st.text(alphabet="绝机秘密 ★\n:(【】)年1.·级件x", max_size=60))
def test_any_text_is_taken(text: str) -> None:
    assert find_marking([text]) in (None, "绝密", "机密", "秘密")


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_marked_line_is_found_wherever_it_stands(before: str, after: str) -> None:
    assert find_marking([f"{before}\n机密★10年\n{after}"]) in ("机密", "绝密")


@pytest.mark.parametrize("piece", ["机密", "机 ", "【机密\n", "机密★" * 2, "(" * 3 + "机密", "密级 "])
def test_linear(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    begun = time.process_time()
    find_marking([text])
    assert time.process_time() - begun < 15
