"""The units as files: nothing that systemd would warn of, little exposed, and in step with the program."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from gateway.heartbeat import WORK
from gateway.init import PASSWORDS
from gateway.service import notify
from gateway_plugins.email_smtp import EmailSettings
from gateway_plugins.phone_transcript import PhoneSettings

ROOT = Path(__file__).parents[2]
UNITS = sorted(path for path in (ROOT / "systemd").iterdir() if path.suffix in (".service", ".socket", ".timer"))
SERVICE = ROOT / "systemd" / "gateway.service"
EXPOSURE = 1.1
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze; install systemd")


def values(path: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", path.read_text("utf-8"), re.MULTILINE)


@needs_systemd
def test_verify_has_nothing_to_say(tmp_path: Path) -> None:
    """With the program where the units look for it."""
    program = tmp_path / "opt/jibao/bin/gateway"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copies = []
    for path in UNITS:
        copy = tmp_path / path.name
        copy.write_text(path.read_text("utf-8").replace("/opt/jibao/bin/gateway", str(program)), "utf-8")
        copies.append(str(copy))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *copies], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "gateway" in line]
    assert (done.returncode, ours) == (0, [])


@needs_systemd
def test_verify_would_notice(tmp_path: Path) -> None:
    """The control of the test above."""
    copy = tmp_path / "gateway.service"
    copy.write_text(SERVICE.read_text("utf-8").replace("WatchdogSec=30", "WatchdogSecs=30"), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False)
    assert "WatchdogSecs" in done.stderr


@needs_systemd
@pytest.mark.parametrize("name", ["gateway.service", "gateway-backup.service"])
def test_little_is_exposed(name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(ROOT / "systemd" / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    (found,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert float(found) <= EXPOSURE


def test_sockets_have_the_names_that_channels_look_for() -> None:
    names = {values(path, "FileDescriptorName")[0]: path.name for path in UNITS if path.suffix == ".socket"}
    wanted = {EmailSettings.model_fields["socket"].default, EmailSettings.model_fields["lmtp_socket"].default,
              PhoneSettings.model_fields["socket"].default, "console"}  # fmt: skip
    assert set(names) == wanted
    assert set(values(SERVICE, "Sockets")[0].split()) == set(names.values())
    assert all(values(path, "Service") == ["gateway.service"] for path in UNITS if path.suffix == ".socket")


def test_every_secret_that_init_makes_is_asked_for() -> None:
    asked = dict(value.split(":") for value in values(SERVICE, "LoadCredential"))
    assert set(PASSWORDS) | {"store-key", "bureau-public", "smpp-password", "audit-key", "sentry-dsn"} <= set(asked)
    assert all(path == f"jibao.{name}" for name, path in asked.items())


def test_the_times_fit_together() -> None:
    (watchdog,) = values(SERVICE, "WatchdogSec")
    # An idle loop turns every 5 s; a loop that is silent for its promise and one interval more is a hang.
    assert 5 * 3 <= int(watchdog) <= WORK
    assert values(SERVICE, "Type") == ["notify"]
    assert values(SERVICE, "NotifyAccess") == ["main"]


def test_installing_and_uninstalling_know_every_unit() -> None:
    uninstall = (ROOT / "systemd" / "uninstall.sh").read_text("utf-8")
    install = (ROOT / "systemd" / "install.sh").read_text("utf-8")
    for path in UNITS:
        assert path.name in uninstall
        assert path.name in install or (path.suffix == ".socket" and "./*.socket" in install)
    for script in ("install.sh", "uninstall.sh"):
        subprocess.run(["sh", "-n", str(ROOT / "systemd" / script)], check=True)


def test_what_is_told_to_systemd_arrives_in_any_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1\nSTATUS=网关就绪")
        assert listener.recv(1000).decode() == "READY=1\nSTATUS=网关就绪"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("WATCHDOG=1")
