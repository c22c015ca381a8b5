"""The daemon with everything around it that could be told too much: carriers, Sentry, a siren, a service that is posted to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import os
import re
import resource
import shutil
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

from gateway.asked import OperationError
from gateway.conf_edit import set_key
from gateway.demo.smsc import DemoSmsc
from tests.system.gate import Gate

PLUGIN = Path(__file__).with_name("quoting_plugin.py")
KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BOARD_SECONDS = 60.0
SAMPLE_SECONDS = 0.05
STORE_ROOM = 4096
"""To so few octets no file of the daemon may grow while its store is in trouble."""


class Peer:
    """An HTTP server for Sentry's envelopes and for what is posted to services: bodies of the one, addresses and headers of both."""

    def __init__(self) -> None:
        self.envelopes: list[bytes] = []
        self.urls: list[bytes] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                peer.urls.append(self.path.encode() + b"\n" + str(self.headers).encode())
                if self.path.startswith("/api/"):
                    if self.headers.get("Content-Encoding") == "gzip":
                        data = gzip.decompress(data)
                    elif self.headers.get("Content-Encoding") == "br":
                        import brotli

                        data = bytes(brotli.decompress(data))
                    peer.envelopes.append(data)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Mails:
    """A mail server. While it ``refuses`` it quotes in its answer what it was given, as some do."""

    def __init__(self, port: int) -> None:
        from aiosmtpd.controller import Controller

        self.told: list[bytes] = []
        self.alarms: list[bytes] = []
        self.refuses = 0
        self.controller = Controller(self, hostname="127.0.0.1", port=port)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        body = mail.get_body(("plain",))
        text = body.get_content() if body is not None else ""
        whole = f"{mail['Subject']}\n{text}".encode("utf-8", "replace") + envelope.content
        (self.alarms if "ops@gateway.test" in envelope.rcpt_tos else self.told).append(whole)
        if self.refuses:
            words = re.sub(r"[^\x20-\x7e]+", lambda m: m[0].encode().hex(), f"{mail['Subject']} {text[:200]}")
            return f"{self.refuses} 5.7.1 rejected by content: {words}"[:450]
        return "250 2.0.0 taken"


class House:
    """One run: made by ``house``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = Gate(folder)
        self.peer = Peer()
        self.mails = Mails(self.gate.base + 5)
        self.smsc = DemoSmsc("gateway", self.gate.secret("smpp-password"))
        self.spool = folder / "spool"
        self.siren = folder / "alarms.txt"
        self.processes: set[bytes] = set()
        self.names: set[str] = set()
        self.snapshots = 0
        self.kills = 0
        self._ended = threading.Event()
        self.line_ports = (self.gate.base + 8, self.gate.base + 9)
        self._configure()

    def _configure(self) -> None:
        conf, base = self.gate.conf, self.gate.base
        self.spool.mkdir()
        (self.folder / "tmp").mkdir()
        self.gate.env["TMPDIR"] = str(self.folder / "tmp")
        self._set("gateway.toml", ("alarms", "command"), ["/bin/sh", "-c", f"cat >> {self.siren}"])
        self._set("gateway.toml", ("limits", "parts_seconds"), 5.0)
        self._set("gateway.toml", ("watchdog", "every_seconds"), 1.0)
        self._set("gateway.toml", ("plugins", "failures"), 100)
        self._set("channels.d/phone.toml", ("channel", "phone", "spool"), str(self.spool))
        self._set("channels.d/phone.toml", ("channel", "phone", "spool_seconds"), 1)
        self._set("channels.d/phone.toml", ("channel", "phone", "settle_seconds"), 1)
        self._set("channels.d/cloud.toml", ("channel", "cloud", "enabled"), True)
        self._set("channels.d/cloud.toml", ("channel", "cloud", "port"), base + 6)
        for key, value in (
            ("enabled", True), ("allow_http", True), ("allow_networks", ["127.0.0.0/8"]),
            ("url", f"http://127.0.0.1:{self.peer.port}/reports"), ("keys", ["webhook-key"]),
        ):  # fmt: skip
            self._set("channels.d/webhook.toml", ("transport", "webhook", key), value)
        for name, value in (
            ("sentry-dsn", f"http://public@127.0.0.1:{self.peer.port}/1"),
            ("cloud-sms-token", "token-of-the-cloud"),
            ("webhook-key", KEY),
        ):
            secret = conf / "secrets" / name
            secret.write_text(f"{value}\n")
            secret.chmod(0o600)
        plugins = conf / "plugins.d"
        plugins.mkdir()
        shutil.copy(PLUGIN, plugins / "quoting.py")
        (plugins / "apart.py").write_text(PLUGIN.read_text().replace('"quoting', '"apart'))
        tables = []
        for name, port in zip(("quoting", "apart"), self.line_ports, strict=True):
            way = "process" if name == "apart" else "inline"
            tables.append(
                f"[channel.{name}]\nkind = '{name}'\nisolation = '{way}'\nport = {port}\n[transport.{name}]\nkind = '{name}_out'\n"
            )
        (conf / "channels.d" / "quoting.toml").write_text("".join(tables))
        routes = "".join(
            f"[{sort}.{name}]\nkind = '{name}_{kind}'\n"
            for name in ("quoting", "apart")
            for sort, kind in (("router", "route"), ("reader", "read"), ("classifier", "read"))
        )
        (conf / "routes.d" / "quoting.toml").write_text(routes)
        directory = conf / "directory.toml"
        ways = iter(("quoting", "webhook", "apart") * 100)
        directory.write_text(
            re.sub(
                r'^( +)(\{ transport = "mail")',
                lambda m: f'{m[1]}{{ transport = "{next(ways)}", address = "x" }},\n{m[0]}',
                directory.read_text(),
                count=6,
                flags=re.M,
            )
        )

    def _set(self, name: str, path: tuple[str, ...], value: Any) -> None:
        file = self.gate.conf / name
        file.write_text(set_key(file.read_text(encoding="utf-8"), path, value), encoding="utf-8")

    # the daemon

    @property
    def pid(self) -> int:
        assert self.gate.process is not None
        return self.gate.process.pid

    def start(self) -> None:
        self.gate.start()
        threading.Thread(target=self._sample, daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        self.gate.stop()

    def ask(self, do: str, **args: Any) -> Any:
        """Ask the daemon; None where it does not answer just now."""
        with contextlib.suppress(ConnectionError, OSError, ValueError, OperationError):
            return self.gate.ask(do, **args)
        return None

    def tree(self) -> list[int]:
        """The daemon and everything below it."""
        found = [self.pid]
        for one in found:
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found += [int(child) for child in children.read_text().split()]
        return found

    def workers(self) -> list[int]:
        """The processes that read."""
        found = []
        for pid in self.tree():
            with contextlib.suppress(OSError):
                if b"gateway.worker_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def _sample(self) -> None:
        """What anybody may see of the processes and files while it runs."""
        while not self._ended.wait(SAMPLE_SECONDS):
            with contextlib.suppress(OSError, AssertionError):
                for pid in self.tree():
                    for name in ("cmdline", "environ", "comm"):
                        with contextlib.suppress(OSError):
                            self.processes.add(Path(f"/proc/{pid}/{name}").read_bytes())
                    with contextlib.suppress(OSError):
                        self.names |= {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
                self.names |= {str(path) for path in (self.folder / "tmp").rglob("*")}

    def snapshot(self) -> None:
        """The data base's files as they lie on the disk at this moment."""
        self.snapshots += 1
        into = self.folder / "snapshots" / str(self.snapshots)
        into.mkdir(parents=True)
        for path in self.gate.state.glob("gateway.db*"):
            shutil.copy(path, into / path.name)

    def board_made_anew(self) -> None:
        """The board on paper is written once more, when everything is there that can stand on it."""
        title = f"备用看板{time.monotonic_ns()}"
        self._set("papers.toml", ("standby", "title"), title)
        self.gate.run_command("reload")
        file = self.gate.state / "standby" / "board.html"
        until = time.monotonic() + BOARD_SECONDS
        while title not in file.read_text(encoding="utf-8"):
            assert time.monotonic() < until, "the board on paper was not made anew"
            time.sleep(0.2)

    # trouble

    @contextmanager
    def workers_die(self) -> Iterator[None]:
        """Whoever reads is killed now and then: by a fault of memory, by force, by an abort."""
        over, pauses = threading.Event(), Random(1)

        def kill() -> None:
            for number in [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT] * 10_000:
                if over.wait(pauses.uniform(0.02, 0.4)):
                    return
                for pid in self.workers():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                        self.kills += 1

        thread = threading.Thread(target=kill, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @contextmanager
    def carriers_refuse(self) -> Iterator[None]:
        """Mail and short messages are refused, for now and for good in turn."""
        self.mails.refuses, self.smsc.submit_status = 550, 0x45
        try:
            yield
        finally:
            self.mails.refuses, self.smsc.submit_status = 0, 0

    @contextmanager
    def store_fails(self) -> Iterator[None]:
        """No file of the daemon grows any further, as on a full disk."""
        kept = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (STORE_ROOM, kept[1]))
        try:
            yield
        finally:
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, kept)

    async def settled(self, seconds: float) -> None:
        """Wait until nothing that was sent waits to be taken or read."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            spooled = any(self.spool.glob("*.json"))
            if not spooled and await asyncio.to_thread(self.ask, "messages", state="accepted", limit=1) == []:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"not read within {seconds} s\n{self.gate.log.read_text()[-3000:]}")


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """A daemon with all its peers, up and bound; all of it is ended in the end."""
    made = House(folder)
    made.mails.controller.start()
    await made.smsc.start(f"tcp:{made.gate.base + 4}:interface=127.0.0.1")
    try:
        await asyncio.to_thread(made.start)
        await made.smsc.wait_bound(30)
        yield made
    finally:
        await asyncio.to_thread(made.stop)
        await made.smsc.stop()
        await asyncio.to_thread(made.mails.controller.stop)
        made.peer.server.shutdown()
