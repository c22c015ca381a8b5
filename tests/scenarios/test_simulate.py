"""The command: the page's example, its lines and its refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.audit.text import render
from gateway.cli import cli
from gateway.house import House
from gateway.simulate import DO, run
from tests.scenarios import playing

PAGE = (playing.HERE.parents[1] / "docs" / "simulate.md").read_text("utf-8")
LINE = {"at": "2026-03-05T22:40:00+08:00", "do": "receive", "channel": "sms", "sender": "+8613800000001", "text": "今日22时30分，白水县一中巴车与货车相撞，2人死亡。"}


def example(language: str) -> list[str]:
    found = re.search(rf"```{language}\n(.*?)\n```", PAGE[PAGE.index("## An example") :], re.DOTALL)
    assert found is not None
    return found[1].splitlines()


@pytest.fixture(scope="module")
def made() -> House:
    return playing.house_of("")


def test_the_example_of_the_page_comes_out_as_it_says(made: House) -> None:
    names = {office.id: office.name for office in made.config.directory.offices}
    said = []
    for event in run(made, example("json")):
        outer = {key: event[key] for key in ("at", "event", "incident", "by") if key in event}
        said.append(render(json.dumps({**outer, "data": event}), "zh", names=names))
    shown = example("text")
    assert [line for line in said if line in shown] == shown


def test_the_page_names_every_line(made: House) -> None:
    table = PAGE[PAGE.index("## Lines") : PAGE.index("## Events")]
    assert set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines() if row.startswith("| `")))) == {"do", *DO}


def asked(tmp_path: Path, *lines: object, options: tuple[str, ...] = ()) -> Result:
    file = tmp_path / "scenario.jsonl"
    file.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines), "utf-8")
    conf = str(playing.CONF)
    return CliRunner().invoke(cli, ["--conf", conf, "simulate", *options, str(file)])


def test_what_happened_before_a_wrong_line_is_told(tmp_path: Path) -> None:
    result = asked(tmp_path, LINE, "{", options=("--json",))
    assert result.exit_code == 1
    events = [json.loads(line)["event"] for line in result.stdout.splitlines() if line.startswith("{")]
    assert events[0] == "accepted" and "routed" in events


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("{", "2"),
        ("[]", "2"),
        ({"do": "end"}, "at"),
        ({"at": "gestern", "do": "end"}, "at"),
        ({"at": "2026-03-05T23:00:00", "do": "end"}, "at"),
        ({"at": "2026-03-05T22:39:00+08:00", "do": "end"}, "at"),
        ({"at": "2026-03-05T23:00:00+08:00", "do": "sleep"}, "receive, acknowledge"),
        ({"at": "2026-03-05T23:00:00+08:00", "do": "transport", "destination": "市委机要局", "state": "off"}, "down, up, refuses, hangs"),
        ({"at": "2026-03-05T23:00:00+08:00", "do": "acknowledge", "destination": "市委", "by": "何值班"}, "市委机要局"),
        ({"at": "2026-03-05T23:00:00+08:00", "do": "close", "incident": "0099", "by": "何值班"}, "0099"),
        ({"at": "2026-03-05T23:00:00+08:00", "do": "restart", "down_minutes": "long"}, "down_minutes"),
        ({"at": "2026-03-05T23:00:00+08:00", "do": "receive", "channel": "telex", "text": "x"}, "sms"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_allowed(tmp_path: Path, wrong: object, told: str) -> None:
    result = asked(tmp_path, LINE, wrong)
    assert result.exit_code == 1 and "2" in result.output.splitlines()[-1] and told in result.output.splitlines()[-1]


def test_a_file_that_is_not_there_is_bad_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["--conf", str(playing.CONF), "simulate", str(tmp_path / "no.jsonl")])
    assert result.exit_code == 2


def test_json_has_one_event_a_line_in_order_of_time(tmp_path: Path) -> None:
    result = asked(tmp_path, LINE, options=("--json",))
    events = [json.loads(line) for line in result.output.splitlines()]
    assert result.exit_code == 0 and {"accepted", "registered", "routed", "clock_started", "delivered"} <= {e["event"] for e in events}
    assert [e["at"] for e in events] == sorted(e["at"] for e in events)


def test_it_ends_by_itself_48_hours_after_the_last_line(made: House) -> None:
    last = list(run(made, [json.dumps(LINE)]))[-1]
    assert "2026-03-07T22:00:00" <= last["at"][:19] <= "2026-03-07T22:40:00"


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked(tmp_path, LINE, {"at": "2026-03-05T22:41:00+08:00", "do": "end"})
    assert [path.name for path in tmp_path.iterdir()] == ["scenario.jsonl"]
