"""A real daemon in a process of its own, on loopback, with a configuration that ``gateway init --demo`` wrote."""

from __future__ import annotations

import http.client
import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from gateway.control import ask

RUNNER = Path(__file__).with_name("runner.py")


def free_base() -> int:
    """A port with the five after it free as well."""
    for base in range(27000 + os.getpid() % 500 * 12, 60000, 12):
        try:
            for port in range(base, base + 6):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise RuntimeError("no free ports")


class Gate:
    """One configuration and, while it runs, its daemon."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.conf = folder / "conf"
        self.python = python
        self.base = free_base()
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "daemon.log"
        self.env = {**os.environ, "GATEWAY_LANG": "en", "PYTHONFAULTHANDLER": "1"}
        self.run_command("init", str(self.conf), "--demo", "--base-port", str(self.base), conf=False)

    @property
    def state(self) -> Path:
        return self.conf / "state"

    @property
    def socket(self) -> Path:
        return self.state / "control.sock"

    def secret(self, name: str) -> str:
        return (self.conf / "secrets" / name).read_text().strip()

    def run_command(self, *args: str, conf: bool = True, data: bytes | None = None, code: int = 0) -> str:
        """Run the ``gateway`` command; AssertionError where it does not end with ``code``."""
        command = [self.python, "-m", "gateway", *(["--conf", str(self.conf)] if conf else []), *args]
        done = subprocess.run(command, input=data, capture_output=True, env=self.env, timeout=60, check=False)
        assert done.returncode == code, f"{args}: exit {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        return done.stdout.decode() + (done.stderr.decode() if code else "")

    def start(self, *, kill_at: str | None = None) -> None:
        """Start the daemon and wait until it answers; with ``kill_at`` it kills itself (SIGKILL) at that step."""
        command = [self.python, "-m", "gateway", "--conf", str(self.conf), "run"]
        if kill_at is not None:
            command = [sys.executable, str(RUNNER), str(self.conf), kill_at]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.env)
        self.until(self.answers, "the daemon answers")

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"daemon ended: {self.log.read_text()}"
        try:
            return bool(self.ask("status"))
        except ConnectionError:
            return False

    def wait_dead(self, seconds: float = 30) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self.process = None

    def ask(self, do: str, **args: Any) -> Any:
        return ask(self.socket, do, args)

    def until(self, look: Callable[[], Any], what: str, seconds: float = 30) -> Any:
        """Look again and again until ``look`` gives something true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.03)
        raise AssertionError(f"not within {seconds} s: {what}\n{self.log.read_text()[-4000:]}")


class Sink:
    """A mail server in a thread that keeps what it is given."""

    def __init__(self, port: int) -> None:
        from aiosmtpd.controller import Controller

        self.mails: list[Any] = []
        self.controller = Controller(self, hostname="127.0.0.1", port=port)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content))
        return "250 2.0.0 taken"

    def start(self) -> None:
        self.controller.start()

    def stop(self) -> None:
        self.controller.stop()


def send_mail(port: int, data: bytes, to: str = "report@gateway.test", sender: str = "zhiban@yuntai.gateway.test") -> bytes:
    """Hand a mail to the daemon; returns its answer to DATA."""
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as smtp:
        smtp.ehlo()
        smtp.mail(sender)
        smtp.rcpt(to)
        code, answer = smtp.data(data)
        assert code == 250, answer
        return answer


def mail(text: str, subject: str = "紧急信息", charset: str = "utf-8") -> bytes:
    """A plain mail with ``text``."""
    made = EmailMessage()
    made["Subject"], made["From"], made["Message-ID"] = subject, "zhiban@yuntai.gateway.test", f"<{time.monotonic_ns()}@test>"
    made.set_content(text, charset=charset)
    return made.as_bytes()


def post_phone(port: int, token: str, body: Any, content_type: str = "application/json") -> tuple[int, dict[str, Any]]:
    """POST a transcript; returns status and answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    connection.request("POST", "/phone", data, {"Authorization": f"Bearer {token}", "Content-Type": content_type})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"{}")
