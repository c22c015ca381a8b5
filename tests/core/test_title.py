"""What an incident is called: what happened, not when."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core import render
from gateway.core.model import Report


@pytest.mark.parametrize(
    ("text", "subject", "title"),
    [
        ("石桥县政府办：今日凌晨1时，石桥县河东镇一客车侧翻，3人死亡。", "", "石桥县河东镇一客车侧翻"),
        ("3月5日8时50分左右，白水县一辆中巴车坠崖。", "", "白水县一辆中巴车坠崖"),
        ("今日三时许发生火灾", "", "今日三时许发生火灾"),
        ("昨天晚上十点半", "", "昨天晚上十点半"),
        ("今日9时，某厂起火", "关于某厂火灾的情况报告", "某厂火灾"),
        ("文昌街一工地3人被困。报告人：王强", "", "文昌街一工地3人被困"),
        ("云台区政府办：今日9：30，文昌街一工地塔吊倒塌，2人受伤。联系人：王强", "", "文昌街一工地塔吊倒塌"),
        ("", "", "（无标题）"),
    ],
)
def test_a_title_says_what_happened(text: str, subject: str, title: str) -> None:
    assert render.title(Report(text=text), subject) == title


@pytest.mark.parametrize("name", ["unread.txt", "unread.sms"])
@pytest.mark.parametrize(("pages", "said"), [("", False), ("3", True)])
def test_only_what_has_pages_is_said_to_have_some(name: str, pages: str, said: bool) -> None:
    template = (Path(__file__).parents[2] / "conf" / "templates" / name).read_text(encoding="utf-8")
    told = render.fill(template, {"sender": "值班员", "channel": "短信", "pages": pages})
    assert "收到来自 值班员 的短信，" in told and ("共 3 页" in told) is said and ("页" in told) is said
