"""``gateway plugins new`` and ``gateway plugins test``, as they are called."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result

from gateway import i18n
from gateway.cli import cli
from gateway.testing import scaffold

KINDS = ("channel", "transport", "router", "reader", "classifier")


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("GATEWAY_LANG", "en")
    yield
    i18n.use("zh")


def call(*args: object) -> Result:
    return CliRunner().invoke(cli, ["plugins", *map(str, args)])


def results(output: str) -> dict[str, str]:
    """kind and check → result, of the printed lines."""
    lines = re.findall(r"^(ok|failed|skipped) +(\S+)  ([^:\n]+)", output, re.M)
    return {f"{kind} {check}": result for result, kind, check in lines}


# new


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_project_passes_at_once(kind: str, tmp_path: Path) -> None:
    done = call("new", f"river-{kind}", "--kind", kind, "--dir", tmp_path)
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    project = tmp_path / f"river-{kind}"
    assert str(project) in done.stdout
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tried = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=90)
    assert tried.returncode == 0, tried.stdout[-3000:]
    assert re.search(r"\b[23] passed", tried.stdout)
    module = project / "src" / f"river_{kind}" / "__init__.py"
    tested = call("test", module, "--settings", next((project / "conf").rglob("*.toml")))
    assert tested.exit_code == 0, tested.output
    assert tested.stdout.splitlines()[-1].endswith("0 failed, 0 skipped")
    assert set(results(tested.stdout).values()) == {"ok"}


def test_what_is_written_is_tidy_and_complete(tmp_path: Path) -> None:
    for kind in KINDS:
        project = scaffold.write(f"river-{kind}", kind, tmp_path)
        for path in project.rglob("*"):
            assert path.is_dir() or not re.search(r"@[A-Z]+@", path.read_text("utf-8")), path
        readme, conf = (project / "README.md").read_text("utf-8"), next((project / "conf").rglob("*.toml"))
        assert conf.read_text("utf-8") in readme
        assert f"`{conf.relative_to(project / 'conf')}`" in readme
        points = (project / "pyproject.toml").read_text("utf-8")
        assert f'[project.entry-points."gateway.plugins"]\nriver_{kind} = "river_{kind}"' in points
    ruff = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length", "130", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ruff.returncode == 0, ruff.stdout


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("River", "is no name for a plugin; allowed: small letters"),
        ("1river", "a letter first"),
        ("river--gauge", "is no name for a plugin"),
        ("river-", "is no name for a plugin"),
        ("../river", "is no name for a plugin"),
        ("河", "is no name for a plugin"),
        ("r" * 41, "at most 40 characters"),
        ("", "is no name for a plugin"),
        ("import", "is the name of a module that exists"),
        ("json", "is the name of a module that exists"),
        ("to-mail", "is a plugin that is installed"),
    ],
)
def test_bad_names_are_refused_and_nothing_is_written(name: str, why: str, tmp_path: Path) -> None:
    done = call("new", "--dir", tmp_path, "--", name)
    assert done.exit_code == 2
    assert repr(name) in done.stderr
    assert why in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "river").mkdir()
    (tmp_path / "river" / "mine.txt").write_text("mine")
    done = call("new", "river", "--dir", tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path / 'river'} is there already and not empty" in done.stderr
    assert [path.name for path in (tmp_path / "river").iterdir()] == ["mine.txt"]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = call("new", "river", "--dir", tmp_path / "file" / "below")
    assert done.exit_code == 2
    assert "Not a directory" in done.stderr


def test_the_list_is_as_it_was(tmp_path: Path) -> None:
    listed = [json.loads(line) for line in call("--json").stdout.splitlines()]
    assert {"name", "source", "hooks", "kinds"} <= set(listed[0])
    assert "to_mail" in {one["name"] for one in listed}


# test

BASE = '''
from types import SimpleNamespace
from gateway.api import Field, Malformed, Message, Settings, hookimpl, TryLater, Destination

class Quiet:
    """A channel without a wire."""
    kind, channel, reads_in, Settings = "quiet", "sms", "inline", Settings
    def __init__(self, name, settings, services=None):
        self.settings = settings
    async def start(self, intake): ...
    async def stop(self): ...
    def health(self):
        return SimpleNamespace(state="up", detail="")
    def read(self, raw):
        try:
            return Message(text=raw.body.decode())
        except UnicodeDecodeError:
            raise Malformed("not UTF-8") from None

@hookimpl
def channels():
    return [Quiet]
'''


@pytest.fixture
def plugin(tmp_path: Path) -> object:
    def write(more: str, base: str = BASE) -> Path:
        path = tmp_path / "mine.py"
        path.write_text(base + dedent(more), "utf-8")
        return path

    return write


def test_what_is_missing_is_told_and_does_not_fail(plugin: object) -> None:
    done = call("test", plugin(""))  # type: ignore[operator]
    assert done.exit_code == 0, done.output
    assert results(done.stdout) == {
        "mine load": "ok", "quiet settings": "ok", "quiet read": "ok", "quiet start and stop": "ok", "quiet wire": "skipped",
    }  # fmt: skip
    assert "EXAMPLE has no body for this kind" in done.stdout
    assert done.stdout.splitlines()[-1] == "6 checks: 4 ok, 0 failed, 2 skipped"


BAD = {
    "leaks": ("def read(self, raw):\n    raise Malformed(raw.body.decode('utf-8', 'replace'))\nQuiet.read = read",
              "quiet read", "Malformed repeats the content"),
    "raises": ("def read(self, raw):\n    return Message(text=raw.body.decode())\nQuiet.read = read",
               "quiet read", "raised UnicodeDecodeError, not Malformed"),
    "exits": ("import os\ndef read(self, raw):\n    os._exit(7)\nQuiet.read = read", "quiet read", "the process ended with 7"),
    "spins": ("def read(self, raw):\n    while True: pass\nQuiet.read = read", "quiet read", "took longer than 2 s"),
    "hangs": ("import time\nasync def start(self, intake):\n    time.sleep(60)\nQuiet.start = start",
              "quiet start and stop", "took longer than 2 s"),
    "chokes": ("async def start(self, intake):\n    raise OSError('平安县')\nQuiet.start = start",
               "quiet start and stop", "raised OSError"),
    "wants": ("class Wants(Settings):\n    who: str = Field(description='who')\nQuiet.Settings = Wants",
              "quiet settings", "who: Field required"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plugin_fails_where_it_is_bad_and_the_rest_goes_on(name: str, plugin: object) -> None:
    more, check, why = BAD[name]
    done = call("test", plugin(more), "--seconds", "2")  # type: ignore[operator]
    assert done.exit_code == 1, done.output
    assert why in done.stdout
    found = results(done.stdout)
    assert found[check] == "failed"
    assert "平安县" not in done.stdout
    assert set(found) == {"mine load", "quiet settings", "quiet read", "quiet start and stop", "quiet wire"}


REFUSED = {
    "syntax": ("def (:\n", "mine.py:{last}: mine: does not load: SyntaxError"),
    "import": ("import no_such_module\n", "mine.py:{last}: mine: does not load: ModuleNotFoundError"),
    "hook": ("@hookimpl\ndef channel():\n    return []\n", "mine.channel: unknown hook 'channel', did you mean 'channels'?"),
    "async": ("del Quiet.start\n", "mine.channels.Quiet.start: is missing"),
    "future": ("REQUIRES_API = 2\n", "mine.REQUIRES_API: needs plugin API 2; this gateway has 1"),
    "example": ("EXAMPLE = {'quiet': {'bodie': 1}}\n", "EXAMPLE: quiet: unknown entry 'bodie', did you mean 'body'?"),
    "leaves": ("raise SystemExit(0)\n", "mine: does not load: SystemExit"),
    "dies": ("import os\nos._exit(9)\n", "the process ended with 9"),
    "sleeps": ("import time\ntime.sleep(60)\n", "took longer than 2 s"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_plugin_that_does_not_load_is_told_in_the_hosts_words(name: str, plugin: object) -> None:
    more, why = REFUSED[name]
    path = plugin(more)  # type: ignore[operator]
    done = call("test", path, "--seconds", "2")
    last = len(path.read_text("utf-8").splitlines())
    assert done.exit_code == 1, done.output
    assert why.format(last=last) in done.stdout
    assert done.stdout.splitlines()[-1] == "1 checks: 0 ok, 1 failed, 0 skipped"
    if name in ("syntax", "hook"):
        assert f"{path}:" in done.stdout


def test_files_that_are_not_there_are_bad_usage(plugin: object, tmp_path: Path) -> None:
    path = plugin("")  # type: ignore[operator]
    for args in (["nowhere.py"], [path, "--settings", "nowhere.toml"], [path, "--replay", "nowhere.json"], [tmp_path]):
        done = call("test", *args)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "no file" in done.stderr


def test_settings_come_from_a_file_like_the_configuration(plugin: object, tmp_path: Path) -> None:
    path = plugin("class Wants(Settings):\n    who: str = Field(description='who')\nQuiet.Settings = Wants\n")  # type: ignore[operator]
    file = tmp_path / "settings.toml"
    for text, code in (
        ("[channel.a]\nkind = 'other'\n[channel.b]\nkind = 'quiet'\nwho = 'me'\n", 0),
        ("who = 'me'\n", 0),
        ("[channel.b]\nkind = 'quiet'\nwhom = 'me'\n", 1),
        ("[channel", 1),
    ):
        file.write_text(text, "utf-8")
        assert call("test", path, "--settings", file).exit_code == code, text


def test_the_bundled_router_with_the_example_citys_routes(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    path = tmp_path / "routes_copy.py"
    text = (root / "plugins" / "route_offices.py").read_text("utf-8")
    path.write_text(text.replace('kind: ClassVar[str] = "route_offices"', 'kind: ClassVar[str] = "routes_copy"'), "utf-8")
    settings = tmp_path / "conf" / "routes.d" / "offices.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        (root / "conf/routes.d/offices.toml").read_text("utf-8").replace('"route_offices"', '"routes_copy"'), "utf-8"
    )
    assert call("test", path, "--settings", settings).exit_code == 1, "the directory of the configuration is missing"
    (tmp_path / "conf" / "directory.toml").write_text((root / "conf/directory.toml").read_text("utf-8"), "utf-8")
    done = call("test", path, "--settings", settings)
    assert done.exit_code == 0, done.output


def test_json_has_a_line_for_each_check(plugin: object) -> None:
    done = call("test", plugin("print('chatter')\n"), "--json")  # type: ignore[operator]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"result", "kind", "check", "why"} == set(lines[0])
    assert [line["result"] for line in lines].count("ok") == 4
    assert done.stderr.endswith("6 checks: 4 ok, 0 failed, 2 skipped\n")


@pytest.mark.parametrize("then", ["while True: pass", "import os; os._exit(3)"])
def test_no_process_is_left(then: str, plugin: object) -> None:
    started = "[sys.executable, '-c', 'import time; time.sleep(60)'], env={'LEFT': 'BEHIND'}"
    path = plugin(f"import subprocess, sys\nsubprocess.Popen({started})\n{then}\n")  # type: ignore[operator]
    assert call("test", path, "--seconds", "1").exit_code == 1
    until = time.monotonic() + 5
    while left_behind() and time.monotonic() < until:
        # A kill is carried out a moment after it was sent.
        time.sleep(0.01)
    assert left_behind() == []


def left_behind() -> list[Path]:
    """The processes that were started with the mark of the test."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            found += [entry] if b"LEFT=BEHIND" in entry.read_bytes() else []
        except OSError:
            continue
    return found


def test_a_file_that_anybody_may_write_is_not_run(plugin: object, tmp_path: Path) -> None:
    path = plugin(f"open({str(tmp_path / 'ran')!r}, 'w')\n")  # type: ignore[operator]
    path.chmod(0o666)
    done = call("test", path)
    assert done.exit_code == 1
    assert f"{path}:1: mine: anybody may write it; run: chmod o-w {path}" in done.stdout
    assert not (tmp_path / "ran").exists()
