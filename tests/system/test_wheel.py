"""A wheel built from this tree, in an environment of its own, with no source tree in sight."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(out.glob("jibao_gateway-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``gateway`` command of the new environment. Its dependencies are those of this one, put on the path as plain files."""
    home = tmp_path_factory.mktemp("env")
    venv.create(home, with_pip=True)
    pip = [str(home / "bin" / "pip"), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    return home / "bin" / "gateway"


def run(command: Path, *args: str, cwd: Path, data: str = "") -> str:
    site = sysconfig.get_paths()["purelib"]
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd), "PYTHONPATH": site, "GATEWAY_LANG": "en", "LANG": "C.UTF-8"}
    done = subprocess.run([str(command), *args], input=data, capture_output=True, text=True, env=env, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_init_check_explain_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    run(installed, "init", "conf", cwd=tmp_path)
    assert "in order" in run(installed, "check", cwd=tmp_path)
    text = "今日9时许，石桥县南关镇一民房起火，造成1人死亡、2人受伤。石桥县政府办"
    shown = json.loads(run(installed, "explain", "--json", "--at", "2026-03-06T10:00:00+08:00", cwd=tmp_path, data=text))
    assert shown["action"] == "new"
    assert "事故类-4" in [c["item"] for c in shown["catalogue"]]
    assert {"市委办信息科", "市政府办秘书二科"} <= set(shown["route"])
    names = {json.loads(line)["name"] for line in run(installed, "plugins", "--json", cwd=tmp_path).splitlines()}
    assert {"email_smtp", "fax_mail", "phone_transcript", "route_offices", "sms_smpp", "to_mail", "to_sms"} <= names


def test_keys_are_for_their_owner_alone(installed: Path, tmp_path: Path) -> None:
    run(installed, "init", "conf", "--demo", cwd=tmp_path)
    secrets = tmp_path / "conf" / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in secrets.iterdir()} <= {0o600, 0o644}
    for name in ("store-key", "smpp-password", "phone-token", "bureau-private", "console-clerk", "console-bureau"):
        assert (secrets / name).stat().st_mode & 0o777 == 0o600


def test_the_wheel_holds_what_it_needs_and_no_more(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in ("gateway/py.typed", "gateway/locale/zh_CN.po", "gateway/example_conf/catalogue.toml", "gateway_plugins/to_mail.py",
                   "gateway/demo/assets/fax.tif", "gateway/testing/templates/channel.py.txt", "gateway/example_conf/templates/report.txt"):  # fmt: skip
        assert needed in names, needed
    assert not [n for n in names if n.startswith(("tests/", "benchmarks/", "docs/")) or "secrets" in n.split("/")[:-1]]
