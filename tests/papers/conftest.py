"""The shipped configuration, and a paper with every element."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.conf_load import load
from gateway.host import Host
from gateway.settings import Config
from tests.papers.made import local

ROOT = Path(__file__).parents[2]
DAY = local("2026-03-06T00:10")
SAID = {
    "number": "〔2026〕0123", "title": "白水县新华路一仓库发生火灾", "kind": "初报", "items": "事故类-4",
    "why": "事故类-4：死亡 2 ≥ 1", "review": "标准-3 是否敏感部位待核", "missing": "范围、审签人", "level": "较大",
    "occurred": "2026-03-05 22:30（左右）", "place": "白水县新华路18号永丰仓储公司三号仓库",
    "figures": "死亡 2 人，受伤 4 人，直接经济损失约 120 万元", "cause": "初步判断为电气线路短路。",
    "measures": "出动12辆消防车、60名救援人员；疏散群众86人", "attitude": "县委书记要求全力救治伤员", "next_steps": "核查失联人员",
    "unit": "白水县委办", "reporter": "张明", "phone": "0999 812 3456", "signed_by": "刘副县长", "channel": "电子邮件",
    "sender": "baishui@gateway.test", "received_at": "2026-03-05 22:52",
    "text": "白水县委办报告：今晚十时半许，新华路一仓库起火，两人死亡、四人受伤。\n联系人：张明",
}  # fmt: skip


@pytest.fixture(scope="session")
def config() -> Config:
    return load(ROOT / "conf", Host.load())
