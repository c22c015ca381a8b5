"""What ``explain`` prints for people: verdict, reasons, questions, clocks and the text with its evidence, on any terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.explained import highlighted
from gateway.cli.explaining import _is_mail
from gateway.cli.show import width

ROOT = Path(__file__).parents[2]
CRASH = "【白水县委办】昨晚22时30分左右，省道S207青石镇路段一辆货车与面包车相撞，致2死5伤，其中3人重伤。"


def explain(text: bytes, *args: str, **environment: str) -> str:
    command = [sys.executable, "-m", "gateway", "--conf", str(ROOT / "conf"), "explain", "--at", "2026-03-06T07:52+08:00", *args]
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "COVERAGE_PROCESS_START") if name in os.environ}
    done = subprocess.run(command, input=text, capture_output=True, env={**clean, **environment}, cwd=ROOT, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_a_crash_on_a_dumb_terminal(columns: str) -> None:
    shown = explain(CRASH.encode(), TERM="dumb", COLUMNS=columns)
    assert "\x1b" not in shown
    flat = re.sub(r"\s+", "", shown)
    assert flat.startswith("结果:新事件")
    for said in ("道路交通事故，死亡 2 人 ≥ 1 人", "等级: 一般", "市委机要局", "起因是什么", "超时 8 小时 52 分", "死亡 2 人"):
        assert said.replace(" ", "") in flat
    assert "⟦2死|死亡⟧" in shown and "⟦昨晚22时30分左右|时间⟧" in shown
    verdict = shown.split("原文:")[0].splitlines()
    assert max(map(width, verdict)) <= max(40, int(columns)), "nothing but the text itself is wider than the terminal"


def test_in_english_and_with_a_character_set_that_has_no_chinese() -> None:
    shown = explain(CRASH.encode(), GATEWAY_LANG="en", PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert shown.startswith("becomes: new") and "8 h 52 min late" in shown and "What caused it" in shown
    assert "\\u6b7b" in shown


def test_unknown_figures_are_asked_for_and_each_reason_is_said_once() -> None:
    shown = re.sub(r"\n +", "", explain("平安县红星煤矿发生冒顶，伤亡不详。".encode(), COLUMNS="80"))
    assert "死亡、受伤、失踪各多少人？" in shown and "时限自收到时起算" in shown
    verdict = shown.splitlines()[0]
    assert verdict.count("死亡不详") == 1


def test_each_item_of_a_decision_is_said_in_full_but_once() -> None:
    shown = explain("开发区一工地塔吊倒塌，伤亡情况正在核实。".encode(), COLUMNS="200")
    assert "需人工处理: 是否达到报送标准待定：死亡不详；死伤不详\n" in shown
    shown = explain("青山区第三中学李某（男，14岁）今晨7时许坠落，经抢救无效死亡。".encode(), COLUMNS="200")
    assert "等级: 至少一般（死亡 1 人 ≥ 1 人、死亡至少 1 人）\n" in shown
    review, asked = re.search(r"待核 (\S+): (.*)", shown), re.search(r"请补报: (.*)", shown)
    assert review and "死伤至少 1 人" in review[2] and asked and "死亡、受伤、失踪各多少人？" in asked[1], (
        "what would settle it is asked"
    )
    shown = explain("石桥县昨日发现一起高致病性禽流感疫情，死亡鸡3200只。".encode(), COLUMNS="200")
    assert "来报写有“禽流感”\n" in shown, "the word that is the reason is not repeated behind it"


def test_a_time_known_to_the_day_is_not_called_unknown() -> None:
    shown = explain("白水县“3·4”煤矿瓦斯事故造成11人遇难。".encode(), COLUMNS="200", GATEWAY_LANG="en")
    assert "counted from the earliest it can have been" in shown and "the time of the event is not known" not in shown
    assert "clock centre: passed, due 4 Mar 2026 06:00" in shown


def test_of_no_urgent_matter_it_says_what_it_is() -> None:
    assert explain("收到，谢谢！".encode()).startswith("结果: 不作处理（非突发信息（问候））")
    assert explain("收到，谢谢！".encode(), GATEWAY_LANG="en").startswith("becomes: ignore (no urgent matter (greeting))")


def test_figures_carry_their_units_and_numbers_are_dialled_as_shown() -> None:
    told = "云台区和平街道民房起火，2人受伤，损失约3.5万元，过火林地30亩。\n云台区委办公室\n联系人：孙丽，电话：0999-8123456"
    shown = explain(told.encode(), GATEWAY_LANG="en")
    assert "direct loss: about 35,000 yuan" in shown and "mu\n" in shown
    assert "phone: 0999 812 3456" in shown and "unit: 云台区委办公室" in shown


def test_what_came_from_outside_does_not_steer_the_terminal() -> None:
    shown = explain("石桥县仓库起火\x1b]0;owned\x07，1人死亡\x9b31m。".encode(), COLUMNS="80")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)


def test_a_marked_text_is_not_shown() -> None:
    shown = explain("机密★1年\n石桥县仓库起火，1人死亡。".encode())
    assert "仓库" not in shown and "密级" in shown


@pytest.mark.parametrize(
    ("head", "mail"),
    [
        (b"From: a@example.test\nSubject: x\n\ntext", True),
        (b"From: a@example.test\n\ntext", True),
        (b"Received: by x\r\n\tfor y\r\nSubject: x\r\n\r\ntext", True),
        (b"Subject: x\n\ntext", False),
        (b"Tel: 5551234\n\ntext", False),
        ("报告人: 李四\n起火".encode(), False),
        (b"Time: 9:20\nPlace: there\nFrom: me", False),
        (b"", False),
    ],
)
def test_a_mail_is_known_by_its_header_fields(head: bytes, mail: bool) -> None:
    assert _is_mail(head) is mail


def test_evidence_within_evidence_and_evidence_that_overlaps() -> None:
    assert highlighted("死伤7人，其中死亡2人", [(0, 4, "死伤"), (7, 11, "死亡"), (9, 11, "数")], colour=False) == (
        "⟦死伤7人|死伤⟧，其中⟦死亡⟦2人|数⟧|死亡⟧"
    )
    assert highlighted("abcdef", [(0, 4, "x"), (2, 6, "y")], colour=False) == "⟦abcd|x⟧⟦ef|y⟧"


@given(
    st.text("甲乙 a\n", max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6),
    st.booleans(),
)
def test_without_its_marks_it_is_the_text(text: str, pairs: list[tuple[int, int]], colour: bool) -> None:
    spans = [(min(a, len(text)), min(b, len(text)), "L") for a, b in pairs]
    shown = highlighted(text, spans, colour=colour)
    assert (
        re.sub(r"\x1b\[2m\[L\]\x1b\[0m|\x1b\[[0-9;]*m", "", shown) == text
        if colour
        else (shown.replace("⟦", "").replace("|L⟧", "") == text)
    )
