"""Mutated mails by the thousand, to the addresses for reports and for faxes, through the daemon as it is.

The mutations are those of ``tests/mail/fuzz_mail.py``, which compares octets and words; here it is the daemon that is looked at.
"""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from hashlib import sha256
from typing import Any

from tests.hostile.stand import UNKNOWN, Setting, Stand, since, stand
from tests.hostile.verdict import Verdict
from tests.mail import fuzz_mail

TRIVIAL = "云台区文昌街发生一起交通事故，1人轻伤，已送医，伤者情况稳定。"
"""Below every threshold: the mails are to be read, not sent on to a dozen offices each."""
AHEAD = 400
"""So many may wait to be read; the daemon is watched, not measured by its queue."""
FAXES = 50
"""One mail in so many goes to the address for faxes."""
SETTINGS: tuple[Setting, ...] = (
    ("gateway.toml", ("limits", "parse_workers"), 2),
    ("channels.d/fax.toml", ("channel", "fax", "ocr"), False),
    ("routes.d/offices.toml", ("router", "offices", "working"), ["government_office"]),
    ("routes.d/offices.toml", ("router", "offices", "out_of_hours"), ["government_office"]),
    ("routes.d/offices.toml", ("router", "offices", "always"), []),
    ("routes.d/offices.toml", ("router", "offices", "inform"), []),
)
"""One office has it all: what needs a person would else be sent to five."""


def run(count: int = 100_000, seed: int = 1, seconds: float = 86_400.0) -> Verdict:
    """``count`` mails of ``seed``, or as many as are taken in so many seconds; over one connection for each 60 of them."""
    verdict, began = Verdict("mails"), time.monotonic()
    with stand(*SETTINGS) as made:
        pelt(made, count, seed, verdict, began + seconds)
        made.settled(600)
        verdict.counts.update(_states(made))
        verdict.stands(made)
    verdict.seconds = since(began)
    return verdict


def pelt(made: Stand, count: int, seed: int, verdict: Verdict, until: float) -> None:
    """Send them, until that instant (monotonic) at most."""
    chance, seeds = random.Random(seed), fuzz_mail.seeds(TRIVIAL)
    line = _Line(made)
    for number in range(count):
        mail = chance.choice(seeds)
        mail = fuzz_mail.gentle(chance, mail) if chance.random() < 0.3 else fuzz_mail.wild(chance, mail, seeds)
        mail = mail if mail.endswith(b"\r\n") else mail + b"\r\n"
        to = "fax@gateway.test" if number % FAXES == 7 else "report@gateway.test"
        answer = line.send(mail, to, null=number % 17 == 0)
        verdict.count("sent")
        if not answer.startswith("250 2."):
            verdict.wrong.append(f"mail {number} of seed {seed}: {answer}")
        elif "accepted as" in answer:
            made.kept[answer.rpartition(" ")[2]] = sha256(mail).digest()
        if number % 100 == 99:
            _wait(made, AHEAD)
            if not made.alive or time.monotonic() > until:
                break


def _wait(made: Stand, most: int) -> None:
    while made.alive and len(made.gate.ask("messages", state="accepted", limit=most)) >= most:
        time.sleep(0.2)


def _states(made: Stand) -> Counter[str]:
    told = made.figures()
    return Counter({f"became {key[1]}": int(value) for key, value in told.items() if key[0] == "gateway_messages" and value})


class _Line:
    """One carrier."""

    def __init__(self, made: Stand) -> None:
        self.made = made
        self.left = 0
        self.socket: Any = None

    def send(self, mail: bytes, to: str, *, null: bool) -> str:
        """The answer to its data."""
        if not self.left:
            if self.socket is not None:
                self.socket.close()
            self.socket = socket.create_connection(("127.0.0.1", self.made.gate.base), 120)
            self.file = self.socket.makefile("rb")
            self._reply()
            self._say(b"EHLO hostile")
            self.left = 60
        self.left -= 1
        self._say(b"MAIL FROM:<" + (b"" if null else UNKNOWN.encode()) + b">")
        self._say(b"RCPT TO:<" + to.encode() + b">")
        self._say(b"DATA")
        stuffed = (b"." if mail.startswith(b".") else b"") + mail.replace(b"\r\n.", b"\r\n..")
        self.socket.sendall(stuffed + b".\r\n")
        return self._reply()

    def _say(self, line: bytes) -> str:
        self.socket.sendall(line + b"\r\n")
        return self._reply()

    def _reply(self) -> str:
        while (line := bytes(self.file.readline()))[3:4] == b"-":
            pass
        return line.decode("utf-8", "replace").strip()
