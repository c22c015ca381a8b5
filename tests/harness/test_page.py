"""docs/plugins.md: its commands and its code do what the page says, as they are printed there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway import i18n, testing
from gateway.api import RawMessage
from gateway.cli import cli
from gateway.testing import MemoryServices, capture, examples

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8")


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("GATEWAY_LANG", "en")
    yield
    i18n.use("zh")


def blocks(section: str, sort: str) -> list[str]:
    """The code of one section."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{sort}\n(.*?)```", text, re.DOTALL)


def run(command: str, **names: object) -> Result:
    """A printed ``gateway`` command with its capital words replaced."""
    for name, value in names.items():
        command = command.replace(name, str(value))
    return CliRunner().invoke(cli, shlex.split(command)[1:])


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """CONF with the printed channel and, below it, the printed EXAMPLE."""
    path = tmp_path / "plugins.d" / "line.py"
    path.parent.mkdir()
    path.write_text(blocks("A channel", "python")[0] + "\n\n" + blocks("The harness on a single file", "python")[0], "utf-8")
    return path


def test_the_single_file(line: Path) -> None:
    (command,), (printed,) = blocks("The harness on a single file", "sh"), blocks("The harness on a single file", "text")
    done = run(command.strip(), CONF=line.parent.parent)
    assert done.exit_code == 0, done.output
    assert done.stdout == printed


def test_a_new_plugin(tmp_path: Path) -> None:
    new, pytest_, test = blocks("A new plugin", "sh")[0].strip().splitlines()
    assert run(new, DIR=tmp_path).exit_code == 0
    assert pytest_ == "cd DIR/river-gauge && python -m pytest"
    assert run(test, DIR=tmp_path).exit_code == 0


def test_the_printed_test_of_a_transport(tmp_path: Path) -> None:
    run("gateway plugins new river-gauge --kind transport --dir DIR", DIR=tmp_path)
    project = tmp_path / "river-gauge"
    (project / "tests" / "test_river_gauge.py").write_text(blocks("A new plugin", "python")[0], "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout


def test_a_captured_message(line: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _capture, replay = blocks("A captured message", "sh")[0].strip().splitlines()
    monkeypatch.chdir(line.parent)
    raw = RawMessage(
        channel="sms",
        via="line",
        received_at=MemoryServices().now(),
        sender="x",
        body="平安县".encode(),
        content_type="text/plain",
    )
    capture.write(Path("report.json"), raw)
    done = run(replay)
    assert done.exit_code == 0, done.output
    assert "    text: 平安县\n" in done.stdout
    kept = json.loads(Path("report.json").read_text("utf-8"))
    assert (kept["format"], kept["version"]) == ("gateway-capture", 1)
    monkeypatch.syspath_prepend(str(line.parent))
    names: dict[str, object] = {"CAPTURE": Path("report.json")}
    exec(blocks("A captured message", "python")[0], names)
    assert names["message"].text == "平安县"  # type: ignore[attr-defined]
    sys.modules.pop("line")


def test_what_is_in_memory() -> None:
    code = blocks("In memory", "python")[0]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_name_of_the_harness_is_on_the_page() -> None:
    minor = {
        "Answer",
        "Capture",
        "ChannelCase",
        "HTTP_MODES",
        "Kept",
        "PeerMode",
        "Submitted",
        "SunkMail",
        "check_faults",
        "silent_about",
    }
    assert [name for name in testing.__all__ if name not in minor and not re.search(rf"\b{name}\b", PAGE)] == []
    assert [name for name in examples.ALLOWED if f"`{name}`" not in PAGE] == []
