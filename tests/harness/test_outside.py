"""The sample of a third party's plugins, docs/examples/weather-bureau: built as a wheel of its own, installed into an
environment of its own, and used there by a real daemon."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.system.gate import Gate

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "weather-bureau"
TEXT = "今日9时许，石桥县南关镇一民房遭雷击起火，造成1人死亡、2人受伤。报告人：李军"
KEY = "the-key-of-the-hook"
# One test builds, installs and starts a daemon; on a busy machine each takes its time.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache", "build", "*.egg-info"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment that has the wheel; this environment's packages, the gateway among them, stand
    behind it, as they would if the wheel had been installed into the gateway's own."""
    home = tmp_path_factory.mktemp("env")
    venv.create(home, with_pip=False)
    made = home / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    site.joinpath("gateway.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    pip = [sys.executable, "-m", "pip", "--python", str(made), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return str(made)


class Hook(ThreadingHTTPServer):
    """The web hook's other end."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Post)
        self.taken: list[tuple[dict[str, str], bytes]] = []


class Post(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"id": "h-1"}')

    def log_message(self, *_args: object) -> None:
        """Quiet."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def gate(tmp_path: Path, python: str, hook: Hook) -> Iterator[Gate]:
    """A demo configuration as the example's own, whose offices are reached by the hook first."""
    made = Gate(tmp_path, python=python)
    conf = (EXAMPLE / "conf" / "channels.d" / "weather.toml").read_text("utf-8")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        made.line = probe.getsockname()[1]  # type: ignore[attr-defined]
    conf = conf.replace("26100", str(made.line)).replace("26101", str(hook.server_port))  # type: ignore[attr-defined]
    (made.conf / "channels.d" / "weather.toml").write_text(conf, "utf-8")
    secret = made.conf / "secrets" / "hook-key"
    secret.touch(0o600)
    secret.write_text(KEY)
    book = made.conf / "directory.toml"
    way = re.compile(r'\{ transport = "mail", address = "([^"@]+)@[^"]+" \},')
    book.write_text(way.sub(lambda f: f'{{ transport = "hook", address = "{f[1]}" }}, {f[0]}', book.read_text("utf-8")), "utf-8")
    yield made
    made.stop()


def test_the_wheel_holds_the_plugins_and_their_entry_points(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    assert {"jibao_weather/line.py", "jibao_weather/webhook.py"} <= set(names)
    points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "[gateway.plugins]" in points
    assert not [name for name in names if name.startswith(("gateway", "tests"))]


def test_its_own_tests_pass_against_what_was_installed(python: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "tests"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"\b10 passed", done.stdout)


def test_a_daemon_uses_it(gate: Gate, hook: Hook) -> None:
    shown = [json.loads(line) for line in gate.run_command("plugins", "--json").splitlines()]
    found = {p["name"]: p for p in shown if p["source"] == "jibao-weather-bureau"}
    assert {name: (p["hooks"], p["kinds"]) for name, p in found.items()} == {
        "weather_line": (["channels"], ["weather_line"]),
        "weather_hook": (["transports"], ["weather_hook"]),
    }
    gate.run_command("check")
    gate.start()

    def up() -> bool:
        return any(row["name"] == "weather" and row["state"] == "up" for row in gate.ask("channels"))

    gate.until(up, "the weather channel is up")
    line = {"serial": "20260306-017", "station": "石桥县气象局", "kind": "雷电", "level": "红色", "text": TEXT}
    with socket.create_connection(("127.0.0.1", gate.line), timeout=20) as wire:  # type: ignore[attr-defined]
        wire.sendall(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        answer = wire.makefile("rb").readline()
    assert answer.startswith(b"TAKEN ")
    gate.until(lambda: hook.taken, "the hook has a delivery")
    headers, body = hook.taken[0]
    assert headers["X-Signature"] == f"sha256={hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()}"
    told = json.loads(body)
    assert headers["Idempotency-Key"] == told["id"]
    assert "雷电红色预警" in told["text"] or "遭雷击起火" in told["text"]

    def delivered() -> list[dict[str, object]]:
        return [row for row in gate.ask("deliveries") if row["id"] == told["id"] and row["state"] == "delivered"]

    assert gate.until(delivered, "the delivery is settled")[0]["transport"] == "hook"
    message = next(row for row in gate.ask("messages") if row["via"] == "weather")
    assert (message["state"], message["carrier_id"]) == ("read", "20260306-017")
    assert answer.split()[1].decode() == message["id"]


def test_a_missing_distribution_is_a_fault_of_the_configuration(gate: Gate) -> None:
    """The same configuration, checked where the wheel is not installed."""
    gate.python = sys.executable
    told = gate.run_command("check", code=1)
    for kind, line in (("weather_line", 2), ("weather_hook", 6)):
        assert re.search(rf"channels\.d/weather\.toml:{line}: \S+kind: unknown plugin kind '{kind}'", told), told


def test_its_readme_prints_the_configuration_that_is_tested() -> None:
    printed = re.findall(r"```toml\n(.*?)```", (EXAMPLE / "README.md").read_text("utf-8"), re.DOTALL)
    assert printed == [(EXAMPLE / "conf" / "channels.d" / "weather.toml").read_text("utf-8")]
    assert tomllib.loads(printed[0])
