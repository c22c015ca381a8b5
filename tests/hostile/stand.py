"""A real daemon with a demo's configuration, and what is seen of it from outside: its figures, its memory, its answers."""

from __future__ import annotations

import contextlib
import smtplib
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from gateway.conf_edit import set_key
from gateway.secrets import Secrets
from gateway.store import Store, StoreKeys, messages
from tests.system.gate import Gate, Sink

STALL_SECONDS = 0.1
"""A turn of the loop that is longer by the gateway's own doing is a fault."""
MEMORY_MB = 400.0
"""What the main process may ever hold; workers have limits of their own."""
CLOUD = "token-of-the-cloud"
UNKNOWN = "stranger@nowhere.example"

Setting = tuple[str, tuple[str, ...], Any]
"""A file under conf/, the path of a key in it, its value."""


class Stand:
    """The daemon, started, with the mail server that its offices' mails go to. ``taken`` holds the ids it answered with."""

    def __init__(
        self, folder: Path, settings: tuple[Setting, ...] = (), before: Callable[[Gate], None] = lambda gate: None
    ) -> None:
        self.gate = Gate(folder)
        before(self.gate)
        for name, path, value in settings:
            file = self.gate.conf / name
            file.write_text(set_key(file.read_text("utf-8"), path, value), "utf-8")
        self.sink = Sink(self.gate.base + 5)
        self.sink.start()
        self.gate.start()
        assert self.gate.process is not None
        self.pid = self.gate.process.pid
        self.gate.until(lambda: self.figure("gateway_loop_lag_seconds_count") is not None, "it tells its figures")
        self.kept: dict[str, bytes] = {}
        """The digest of each mail that was taken, by the id it was accepted as."""

    def stop(self) -> list[str]:
        """End it; what is then wrong with what lies in its store."""
        self.gate.stop()
        self.sink.stop()
        keys = StoreKeys.load(Secrets(self.gate.conf / "secrets").path("store-key"))
        store = Store.open(f"sqlite:///{self.gate.state}/gateway.db", keys, lambda: datetime.now(UTC))
        try:
            lies = [
                id_
                for id_, digest in self.kept.items()
                if sha256(store.read_now(lambda tx, id_=id_: messages.raw(tx, id_)).body).digest() != digest  # type: ignore[misc]
            ]
        finally:
            store.close()
        return [f"{id_} is not kept as it came" for id_ in lies]

    # what is seen of it

    def figures(self) -> dict[tuple[str, ...], float]:
        """Every figure it tells, by its name and the values of its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.gate.base + 3}/metrics", timeout=30) as answer:
            told = answer.read().decode()
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(told)
            for sample in family.samples
        }

    def figure(self, *name: str) -> float | None:
        """One of them; None while it tells none."""
        with contextlib.suppress(OSError):
            return self.figures().get(name)
        return None

    def lag(self) -> tuple[float, float]:
        """The longest turn of the loop since the start in seconds: all of it, and what can be the gateway's own doing."""
        told = self.figures()
        return told["gateway_loop_lag_longest_seconds", "all"], told["gateway_loop_lag_longest_seconds", "own"]

    def memory(self) -> float:
        """The most that the main process ever held, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def waiting(self) -> int:
        """Messages that nobody has read yet; 1 stands for any number."""
        return len(self.gate.ask("messages", state="accepted", limit=1))

    def settled(self, seconds: float = 120.0) -> None:
        """Wait until everything that was taken has been read."""
        self.gate.until(lambda: self.waiting() == 0, "everything is read", seconds)

    @property
    def alive(self) -> bool:
        return self.gate.process is not None and self.gate.process.poll() is None

    def calm(self) -> list[str]:
        """What is wrong with how it stands: nothing, if all is well."""
        wrong = []
        _all, own = self.lag()
        if not self.alive:
            wrong.append("the daemon has ended")
        if own > STALL_SECONDS:
            wrong.append(f"the loop stood still for {own * 1000:.0f} ms")
        if (held := self.memory()) > MEMORY_MB:
            wrong.append(f"the main process held {held:.0f} MiB")
        log = self.gate.log.read_text(errors="replace")
        if "Traceback" in log:
            wrong.append(f"a traceback: {log[log.index('Traceback'):][:2000]}")
        return wrong

    # what it is sent

    def send(self, mail: bytes, to: str = "report@gateway.test", sender: str = UNKNOWN) -> str:
        """Hand a mail over; the id it was accepted as. Raises ``AssertionError`` for any other answer."""
        with smtplib.SMTP("127.0.0.1", self.gate.base, timeout=60) as smtp:
            smtp.ehlo()
            smtp.mail(sender)
            smtp.rcpt(to)
            code, answer = smtp.data(mail)
        assert code == 250, f"{code} {answer!r}"
        message = answer.decode().rpartition(" ")[2]
        self.kept[message] = sha256(mail if mail.endswith(b"\r\n") else mail + b"\r\n").digest()
        return message

    def became(self, message: str, seconds: float = 90.0) -> dict[str, Any]:
        """The message, once it has been read."""

        def read() -> Any:
            shown = self.gate.ask("message", id=message)
            return shown if shown["state"] != "accepted" else None

        return self.gate.until(read, f"{message} is read", seconds)  # type: ignore[no-any-return]


def cloud(gate: Gate) -> None:
    """Open the door for a cloud carrier's callbacks, at the seventh port."""
    file = gate.conf / "channels.d" / "cloud.toml"
    for path, value in ((("channel", "cloud", "enabled"), True), (("channel", "cloud", "port"), gate.base + 6)):
        file.write_text(set_key(file.read_text("utf-8"), path, value), "utf-8")
    secret = gate.conf / "secrets" / "cloud-sms-token"
    secret.write_text(f"{CLOUD}\n")
    secret.chmod(0o600)


@contextlib.contextmanager
def stand(*settings: Setting) -> Iterator[Stand]:
    """A fresh one; it is stopped and its folder gone at the end."""
    with tempfile.TemporaryDirectory(prefix="gateway-hostile-") as folder:
        made = Stand(Path(folder), settings)
        try:
            yield made
        finally:
            if made.alive:
                made.stop()


def since(began: float) -> float:
    """Seconds since ``began``."""
    return time.monotonic() - began
