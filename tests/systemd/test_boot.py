"""The units under a real systemd, booted in a folder: what an operator relies on, seen from outside. Real time passes here."""

from __future__ import annotations

import http.client
import json
import os
import re
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.demo.messages import fax
from tests.systemd.container import Container, unfit

pytestmark = [pytest.mark.skipif(bool(unfit()), reason=unfit() or "fit"), pytest.mark.timeout(180)]

RESTARTS = int(os.environ.get("JIBAO_RESTARTS", "5"))
"""docs/install.md gives the figures of 20."""
SMTP, LMTP, HTTP, CONSOLE = 25, 24, 8080, 9464
STOP_LIMIT = 45
HANG = """
import asyncio, os, time
from gateway.api import Message, Settings, hookimpl

class Health:
    state, detail = "up", ""

class Hanger:
    '''A plugin with the worst of manners: where a file says so, it stops the whole loop.'''
    kind, channel, reads_in, Settings = "hanger", "sms", "inline", Settings
    def __init__(self, name, settings, services=None):
        self.name, self.settings, self.task = name, settings, None
    async def start(self, intake):
        self.task = asyncio.create_task(self.look())
    async def stop(self):
        self.task.cancel()
    def health(self):
        return Health()
    def read(self, raw):
        return Message(text=raw.body.decode())
    async def look(self):
        while True:
            await asyncio.sleep(0.2)
            if os.path.exists("/var/lib/jibao/hang"):
                os.unlink("/var/lib/jibao/hang")
                time.sleep(600)

@hookimpl
def channels():
    return [Hanger]
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    made = Container(tmp_path_factory.mktemp("boot"))
    try:
        made.make()
        made.boot()
        mail = made.path("/etc/jibao/channels.d/mail.toml")
        # Mail out goes to a port where nobody is: the port of the example is our own socket here.
        mail.write_text(mail.read_text().replace("\nport = 25\n", "\nport = 2626\n"))
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def running(box: Container) -> None:
    """Each test finds the gateway up, by whichever way it comes up."""
    box.systemctl("start", "gateway.socket", "gateway.service")


def greeting(box: Container, port: int = SMTP) -> bytes:
    with box.connect(port) as made:
        return made.recv(100)


def post(box: Container, token: str, number: str) -> tuple[int, dict[str, str]]:
    """A telephone transcript by HTTP."""
    body = json.dumps({
        "call_id": number, "caller": "+8613800000003", "called": "110", "started_at": datetime.now(UTC).isoformat(),
        "segments": [{"speaker": "来电人", "start": 0, "end": 3, "text": f"石桥县河湾村一处民房着火，无人员伤亡，编号{number}。"}],
    }).encode()  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", HTTP, timeout=20)
    connection.sock = box.connect(HTTP)
    connection.request("POST", "/phone", body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def send(box: Container, to: str, data: bytes) -> str:
    """A mail by SMTP; the answer to DATA."""
    with smtplib.SMTP(timeout=20) as client:
        client.sock = box.connect(SMTP)
        client.file = None
        client.getreply()
        client.ehlo("client")
        client.mail("zhb@yuntai.gateway.test")
        client.rcpt(to)
        code, answer = client.data(data)
    assert code == 250, answer
    return answer.decode()


def token(box: Container) -> str:
    return box.path("/etc/credstore/jibao.phone-token").read_text().strip()


def main_pid(box: Container) -> int:
    return int(box.show("MainPID"))


def test_it_is_ready_as_a_user_of_its_own(box: Container) -> None:
    assert box.systemctl("is-active", "gateway.service") == "active"
    assert "fax, mail, phone, phone-log, sms" in box.show("StatusText")
    status = box.path(f"/proc/{main_pid(box)}/status").read_text()
    (uid,) = re.findall(r"^Uid:\t(\d+)", status, re.MULTILINE)
    assert 61184 <= int(uid) <= 65519, "a user that exists only while it runs (systemd's own range)"
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
    assert greeting(box).startswith(b"220 ")
    assert greeting(box, LMTP).startswith(b"220 ")
    names = [line.split()[0] for line in box.gateway("channels", check=False).splitlines()[1:]]
    assert names[:5] == ["fax", "mail", "phone", "phone-log", "sms"]


def test_credentials_are_read_and_no_secret_lies_in_the_configuration(box: Container) -> None:
    assert post(box, token(box), "credential-1")[0] == 200
    assert post(box, "wrong", "credential-2")[0] == 401
    given = box.path(f"/proc/{main_pid(box)}/root/run/credentials/gateway.service")
    assert {"store-key", "bureau-public", "phone-token", "smpp-password"} <= {path.name for path in given.iterdir()}
    assert "mail-password" not in {path.name for path in given.iterdir()}, "what is not there is not asked for"
    for path in box.path("/etc/credstore").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        words = path.read_text().strip()
        assert box.run("grep", "-rlF", words, "/etc/jibao", check=False).stdout == ""
    environment = box.path(f"/proc/{main_pid(box)}/environ").read_bytes()
    assert token(box).encode() not in environment


def test_faxes_are_recognised_under_seccomp_and_without_writable_code(box: Container) -> None:
    send(box, "fax@gateway.test", fax(datetime.now(UTC)))

    def workers() -> list[Path]:
        group = box.systemctl("show", "--value", "-p", "ControlGroup", "gateway.service")
        inside = box.run("sh", "-c", f"cat /sys/fs/cgroup{group}/cgroup.procs /sys/fs/cgroup/*{group}/cgroup.procs", check=False)
        return [box.path(f"/proc/{pid}/status") for pid in inside.stdout.split() if int(pid) not in (0, main_pid(box))]  # 0: who was sent in from outside

    rows = box.until(
        lambda: [m for m in box.messages() if m["channel"] == "fax" and m["state"] != "accepted"], "the fax is read", 90
    )
    assert rows[0]["state"] == "read"
    assert rows[0]["incident"]
    shown = box.gateway("incident", str(rows[0]["incident"]), "--json")
    assert "柳河" in shown, "the county that stands on the scanned page alone"
    every = [box.path(f"/proc/{main_pid(box)}/status"), *workers()]
    assert len(every) > 1, "the workers that read are seen too"
    for status in every:
        text = status.read_text()
        assert status.stat().st_uid == 0, "not dumpable: what the kernel shows of it belongs to root, though it has another user"
        assert status.with_name("coredump_filter").read_text().strip() == "00000000"
        assert re.search(r"^Max core file size +0 +0 ", status.with_name("limits").read_text(), re.MULTILINE)
        assert re.search(r"^Seccomp:\t2$", text, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\t1$", text, re.MULTILINE)
    assert box.show("MemoryDenyWriteExecute") == "yes"
    niceness = [int(status.with_name("stat").read_text().rpartition(") ")[2].split()[16]) for status in every]
    assert niceness[0] == -5 and set(niceness[1:]) == {0}, "those who read stand back, though the filter lets nobody make himself nice"


def test_the_sandbox_holds(box: Container) -> None:
    """The same words of the unit, and a process that tries what they forbid."""
    unit = (box.path("/usr/local/lib/systemd/system/gateway.service")).read_text()
    wanted = (
        "MemoryDenyWriteExecute",
        "SystemCallFilter",
        "SystemCallErrorNumber",
        "ProtectSystem",
        "PrivateUsers",
        "DynamicUser",
    )
    properties = [word for line in unit.splitlines() if line.startswith(wanted) for word in ("-p", line)]
    tries = (
        "import mmap, os, ctypes\n"
        "def refused(what):\n"
        "    try: what()\n"
        "    except OSError: return 'refused'\n"
        "    return 'done'\n"
        "print(refused(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)))\n"
        "print(refused(lambda: open('/etc/x', 'w')))\n"
        "print(refused(lambda: os.chroot('/')))\n"
        "print(refused(lambda: os.listdir('/etc/credstore')))\n"
    )
    with_them = box.run("systemd-run", "--quiet", "--pipe", *properties, "python3", "-c", tries).stdout.split()
    assert with_them == ["refused"] * 4
    without = box.run("systemd-run", "--quiet", "--pipe", "python3", "-c", tries.replace("/etc/x", "/run/x")).stdout.split()
    assert without == ["done"] * 4, "the control"


def test_a_hang_is_ended_by_the_watchdog(box: Container) -> None:
    folder = box.path("/etc/jibao/plugins.d")
    folder.mkdir(mode=0o755)
    (folder / "hanger.py").write_text(HANG)
    channel = box.path("/etc/jibao/channels.d/hanger.toml")
    channel.write_text('[channel.hanger]\nkind = "hanger"\nenabled = true\n')
    box.run("chown", "-R", "root:jibao-conf", "/etc/jibao")
    drop_in = box.path("/run/systemd/system/gateway.service.d")
    drop_in.mkdir(parents=True)
    (drop_in / "quick.conf").write_text("[Service]\nWatchdogSec=10\nRestartSec=100ms\n")
    try:
        box.systemctl("daemon-reload")
        box.systemctl("restart", "gateway.service")
        before, restarts = main_pid(box), int(box.show("NRestarts"))
        time.sleep(11)
        assert main_pid(box) == before, "an idle gateway feeds its watchdog"
        box.path("/var/lib/private/jibao/hang").touch()
        begun = time.monotonic()
        box.until(lambda: int(box.show("NRestarts")) > restarts, "the watchdog restarts it", 60)
        assert time.monotonic() - begun < 10 + 10
        box.until(lambda: box.systemctl("is-active", "gateway.service", check=False) == "active", "it is back", 30)
        said = box.journal()
        assert "Watchdog timeout (limit 10s)!" in said
        assert 'hanger.py", line' in said, "where it hung, for whoever has to find out"
        assert greeting(box).startswith(b"220 ")
    finally:
        (drop_in / "quick.conf").unlink()
        channel.unlink()
        (folder / "hanger.py").unlink()
        folder.rmdir()
        box.systemctl("daemon-reload")
        box.systemctl("restart", "gateway.service")


def test_a_client_that_comes_while_it_is_down_waits_and_is_answered(box: Container) -> None:
    box.systemctl("stop", "gateway.service")
    assert box.systemctl("is-active", "gateway.socket") == "active"
    with box.connect(SMTP) as waiting, box.connect(HTTP) as caller:
        caller.sendall(b"GET /health HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n")
        assert waiting.recv(100).startswith(b"220 "), "its call started the gateway"
        assert b"200" in caller.recv(100)
    assert box.systemctl("is-active", "gateway.service") == "active"


def test_a_bad_file_is_refused_at_reload_with_its_faults_and_the_old_goes_on(box: Container) -> None:
    clocks = box.path("/etc/jibao/clocks.toml")
    good, before = clocks.read_text(), main_pid(box)
    try:
        clocks.write_text(good + "\nnonsense = 1\n")
        refused = box.run("systemctl", "reload", "gateway.service", check=False)
        assert refused.returncode != 0
        assert "clocks.toml:" in box.journal()
        assert "nonsense" in box.journal()
        assert main_pid(box) == before
        assert box.systemctl("is-active", "gateway.service") == "active"
        assert post(box, token(box), "reload-1")[0] == 200
    finally:
        clocks.write_text(good)
    calls = [line for line in box.gateway("channels", check=False).splitlines() if line.startswith("mail")]
    assert calls
    templates = box.path("/etc/jibao/templates/report.sms")
    templates.write_text(templates.read_text() + "\n")
    with box.connect(SMTP) as talking:
        assert talking.recv(100).startswith(b"220 ")
        box.systemctl("reload", "gateway.service")
        talking.sendall(b"NOOP\r\n")
        assert talking.recv(100).startswith(b"250"), "a session that did not change goes on"
    assert main_pid(box) == before


def test_state_is_kept_and_the_log_goes_on_over_restart_and_rotation(box: Container) -> None:
    assert post(box, token(box), "kept-1")[0] == 200
    before = {message["id"] for message in box.messages()}
    box.systemctl("restart", "gateway.service")
    assert before <= {message["id"] for message in box.messages()}
    box.run("logrotate", "--force", "/etc/logrotate.d/jibao")
    assert post(box, token(box), "kept-2")[0] == 200
    logs = box.path("/var/log/private/jibao")
    box.until((logs / "audit.jsonl").exists, "a new log is begun")
    assert len(list(logs.glob("audit.jsonl-*"))) == 1
    rotated = next(logs.glob("audit.jsonl-*")).name
    shown = box.gateway("audit", "verify", f"/var/log/private/jibao/{rotated}", "/var/log/private/jibao/audit.jsonl")
    assert shown


def test_it_stops_within_its_limit_with_work_in_flight_and_takes_it_up_again(box: Container) -> None:
    for number in range(3):
        send(box, "fax@gateway.test", fax(datetime.now(UTC)) + b"\r\n" * number)
    idle = [box.connect(SMTP) for _ in range(3)]
    half = box.connect(SMTP)
    for line in (
        b"",
        b"HELO x\r\n",
        b"MAIL FROM:<a@gateway.test>\r\n",
        b"RCPT TO:<report@gateway.test>\r\n",
        b"DATA\r\n",
        b"Subject: half",
    ):
        half.sendall(line)
        if line != b"Subject: half":
            half.recv(200)
    before = len(box.journal())
    begun = time.monotonic()
    box.systemctl("stop", "gateway.service")
    assert time.monotonic() - begun < STOP_LIMIT - 10
    assert box.show("Result") == "success"
    assert "SIGKILL" not in box.journal()[before:]
    for one in (*idle, half):
        assert b"421 4.3.2" in one.recv(1000), "told to come again"
        one.close()
    box.systemctl("start", "gateway.service")
    box.until(lambda: all(m["state"] != "accepted" for m in box.messages()), "what was left is read", 90)


@dataclass
class Load:
    """What the clients of a load saw. Seconds are monotonic."""

    accepted: list[float] = field(default_factory=list)
    refused: int = 0
    told: int = 0
    cut: int = 0
    ids: set[str] = field(default_factory=set)

    @property
    def gap(self) -> float:
        times = sorted(self.accepted)
        return max((b - a for a, b in pairwise(times)), default=0.0)


def one_mail(load: Load, number: str) -> None:
    try:
        made = socket.create_connection(("127.0.0.1", SMTP), 30)
    except OSError:
        load.refused += 1
        return
    try:
        with made, made.makefile("rwb") as talk:
            for line in ("", "HELO x", "MAIL FROM:<zhb@yuntai.gateway.test>", "RCPT TO:<report@gateway.test>", "DATA",
                         f"Subject: {number}\r\nMessage-ID: <{number}@load.test>\r\n\r\nsynthetic {number}\r\n."):  # fmt: skip
                talk.write(f"{line}\r\n".encode() if line else b"")
                talk.flush()
                answer = talk.readline()
                if not answer.startswith((b"2", b"3")):
                    load.told += answer.startswith(b"421")
                    load.cut += not answer.startswith(b"421")
                    return
            load.accepted.append(time.monotonic())
            load.ids.add(answer.split()[-1].decode())
    except OSError:
        load.cut += 1


def test_restarts_under_load_refuse_nobody_and_lose_nothing(box: Container, record_property: pytest.RecordProperty) -> None:
    load, over = Load(), threading.Event()

    def client(name: int) -> None:
        number = 0
        while not over.is_set():
            one_mail(load, f"c{name}-{number}-{os.getpid()}")
            number += 1
            time.sleep(0.02)

    taken = []
    with box.clients(4) as threads:
        clients = [threads.submit(client, name) for name in range(4)]
        try:
            box.until(lambda: len(load.accepted) > 4, "the load flows")
            for _ in range(RESTARTS):
                begun = time.monotonic()
                box.systemctl("restart", "gateway.service")
                taken.append(time.monotonic() - begun)
                seen = len(load.accepted)
                box.until(lambda seen=seen: len(load.accepted) > seen + 4, "it takes mail again")  # type: ignore[misc]
        finally:
            over.set()
        for one in clients:
            one.result(60)
    text = (
        f"{RESTARTS} restarts: {len(load.accepted)} mails accepted, {load.refused} connections refused, {load.told} sessions told to "
        f"come again, {load.cut} without a word, longest time without an answer {load.gap:.2f} s, restart {max(taken):.2f} s at most"
    )
    record_property("restarts", text)
    print(text)
    assert load.refused == 0
    assert load.gap < 15
    there = {message["id"] for message in map(json.loads, box.gateway("messages", "--json", "--limit", "1000").splitlines())}
    assert load.ids <= there, "what was answered 250 is there"


def test_without_a_credential_it_says_which_and_where(box: Container) -> None:
    for name in ("store-key", "bureau-public"):
        box.systemctl("stop", "gateway.service")
        box.run("mv", f"/etc/credstore/jibao.{name}", "/root/")
        try:
            box.systemctl("start", "--no-block", "gateway.service")
            box.until(lambda name=name: f"/etc/credstore/jibao.{name}" in box.journal(), f"it asks for {name}")  # type: ignore[misc]
            assert box.systemctl("is-active", "gateway.socket") == "active", "callers wait meanwhile"
        finally:
            box.run("mv", f"/root/jibao.{name}", "/etc/credstore/")
        box.until(lambda: box.systemctl("is-active", "gateway.service", check=False) == "active", "it comes up by itself")


def test_wrong_modes_are_named(box: Container) -> None:
    box.systemctl("stop", "gateway.service")
    box.run("chmod", "0700", "/etc/jibao")
    try:
        box.systemctl("start", "--no-block", "gateway.service")
        box.until(lambda: "/etc/jibao" in "".join(box.journal().splitlines(keepends=True)[-20:]), "it names the folder")
        assert "Traceback" not in "".join(box.journal().splitlines(keepends=True)[-20:])
    finally:
        box.run("chmod", "0750", "/etc/jibao")
    box.until(lambda: box.systemctl("is-active", "gateway.service", check=False) == "active", "it comes up by itself")


def test_the_nightly_backup(box: Container) -> None:
    box.systemctl("start", "gateway-backup.timer")
    assert box.show("NextElapseUSecRealtime", "gateway-backup.timer") != ""
    box.systemctl("start", "gateway-backup.service")
    assert box.show("Result", "gateway-backup.service") == "success"
    kept = box.path("/var/lib/private/jibao-backup")
    (made,) = kept.glob("*.tar*")
    assert made.stat().st_mode & 0o077 == 0
    assert token(box).encode() not in made.read_bytes(), "no secret is in it"
    assert "verified: " in box.journal("gateway-backup.service") or "核" in box.journal("gateway-backup.service")


def test_uninstalled_it_leaves_what_it_kept(box: Container) -> None:
    box.run("sh", "/root/bundle/uninstall.sh")
    assert box.systemctl("list-unit-files", "gateway*", check=False).splitlines()[-1] == "0 unit files listed."
    assert not box.path("/opt/jibao").exists()
    assert box.path("/var/lib/private/jibao/gateway.db").exists()
    assert box.path("/etc/jibao/gateway.toml").exists()
    assert box.path("/etc/credstore/jibao.store-key").exists()
