"""``gateway catalogue test``: past messages against a changed catalogue; and a correction that changes the degree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway import i18n
from gateway.cli import cli
from gateway.conf_load import load
from gateway.explain import Explainer, throwaway_key
from gateway.host import Host
from gateway.house import build

CONF = Path(__file__).parents[2] / "conf"
CRASH = "白水县政府办：今日8时，白水县国道货车与客车相撞，造成1人死亡、1人受伤。"
FIRE = "青山区消防大队：今日14时民房起火，无人员伤亡，损失3000元，已扑灭。"


def line(name: str, text: str, at: str = "2026-04-10T17:00:00+08:00") -> dict[str, Any]:
    return {"id": name, "channel": "sms", "received_at": at, "sender": "+8613800000001", "text": text}


@pytest.fixture
def past(tmp_path: Path) -> Path:
    path = tmp_path / "past.jsonl"
    path.write_text("\n".join(json.dumps(line(n, t), ensure_ascii=False) for n, t in (("a", CRASH), ("b", FIRE))) + "\n")
    return path


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A catalogue in which road accidents and deaths count from three dead on."""
    path = tmp_path / "draft.toml"
    text = (CONF / "catalogue.toml").read_text("utf-8")
    path.write_text(text.replace('{ field = "deaths", at_least = 1', '{ field = "deaths", at_least = 3'), "utf-8")
    return path


def run(*args: object) -> tuple[int, str]:
    try:
        done = CliRunner(env={"GATEWAY_LANG": "en"}).invoke(cli, ["--conf", str(CONF), "catalogue", "test", *map(str, args)])
    finally:
        i18n.use("zh")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_what_would_be_decided_otherwise(past: Path, changed: Path) -> None:
    code, told = run(past, "--with", changed)
    assert code == 1
    assert "message a (line 1):" in told and "message b" not in told
    assert "  - item 事故类-2 (道路交通事故，死亡 1 人 ≥ 1 人)" in told
    assert "1 of 2 messages would be decided otherwise" in told


def test_as_json(past: Path, changed: Path) -> None:
    code, told = run(past, "--with", changed, "--json")
    first, summary = map(json.loads, told.splitlines())
    assert code == 1 and summary["messages"] == 2 and summary["different"] == 1 and summary["from"] != summary["to"]
    assert (
        first["id"] == "a"
        and "事故类-2" in first["items"]["lost"]
        and first["action"] == {"from": "new", "to": "below_threshold"}
    )
    assert first["route"]["lost"] and not first["route"]["gained"]


def test_the_same_catalogue_decides_nothing_otherwise(past: Path) -> None:
    code, told = run(past, "--with", CONF)
    assert code == 0 and "0 of 2" in told


def test_without_a_changed_catalogue_it_is_bad_usage(past: Path, tmp_path: Path) -> None:
    code, told = run(past)
    assert code == 2 and "catalogue.toml.new" in told
    assert run(past, "--with", tmp_path / "nothing.toml")[0] == 2
    assert run(tmp_path / "nothing.jsonl", "--with", CONF)[0] == 2


def test_faults_of_the_changed_catalogue_stand_with_file_and_line(past: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.toml"
    text = (CONF / "catalogue.toml").read_text("utf-8")
    draft.write_text(text.replace('{ term = "drugs" }', '{ term = "nosuch" }').replace('fire = ["fire"]\n', ""), "utf-8")
    code, told = run(past, "--with", draft)
    number = draft.read_text("utf-8").splitlines().index('condition = { term = "nosuch" }') + 1
    assert code == 2 and f"{draft}:{number}: " in told
    assert "routes.d/" in told or "unknown kind" in told, "what refers to a kind that is gone is told as well"


def test_a_message_that_is_none_is_bad_usage(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text("[]\n")
    code, told = run(broken, "--with", CONF)
    assert code == 2 and "line 1" in told


def test_a_further_report_decides_the_degree_anew() -> None:
    explainer = Explainer(build(load(CONF, Host.load(CONF)), bureau_public=throwaway_key()))
    try:
        first = explainer.explain(line("a", CRASH))
        more = explainer.explain(line("b", "续报：白水县国道货车与客车相撞事故，死亡人数升至4人。", "2026-04-10T18:00:00+08:00"))
        less = explainer.explain(
            line("c", "更正：白水县国道货车与客车相撞事故，经核实死亡2人，原报4人有误。", "2026-04-10T18:30:00+08:00")
        )
    finally:
        explainer.close()
    assert first["incident"] == more["incident"] == less["incident"]
    assert [one["severity"]["level"] for one in (first, more, less)] == ["一般", "较大", "一般"]
    assert {one["event_class"]["code"] for one in (first, more, less)} == {"12H00"}
    assert "493" in first["severity"]["source"]
