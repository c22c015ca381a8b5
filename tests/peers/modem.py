"""A GSM modem at a pseudo-terminal, for daemons that expect one (TS 27.005, TS 27.007): a card with messages on it, and a radio
that takes what is sent, refuses it or is busy. It speaks PDU mode; PDUs are put together here octet by octet."""

from __future__ import annotations

import os
import re
import select
import threading
import tty

STAMP = "62113290030023"  # 26-11-23 09:30:00 +08


def number(digits: str) -> str:
    """An address's digits, semi-octets swapped."""
    padded = digits + "F" * (len(digits) % 2)
    return "".join(padded[n + 1] + padded[n] for n in range(0, len(padded), 2))


def deliver(words: str, sender: str = "8613900000021", *, udh: bytes = b"", dcs: int = 8, data: bytes | None = None) -> str:
    """One SMS-DELIVER in hexadecimal, with an empty service centre in front."""
    content = udh + (words.encode("utf-16-be") if data is None else data)
    first = 0x44 if udh else 0x04
    return (
        f"00{first:02X}{len(sender):02X}91{number(sender)}00{dcs:02X}{STAMP}{len(content):02X}{content.hex().upper()}"
    )  # fmt: skip


def status_report(reference: int, to: str, status: int = 0) -> str:
    """One SMS-STATUS-REPORT."""
    return f"0006{reference:02X}{len(to):02X}91{number(to)}{STAMP}{STAMP}{status:02X}"


class Modem:
    def __init__(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self._slave = slave
        self.device = os.ttyname(slave)
        self.card: dict[int, str] = {}
        self.sent: list[str] = []
        self.commands: list[str] = []
        self.error: str | None = None
        self.report: int | None = None
        self._reference = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, *pdus: str) -> None:
        """Messages arrive on the card."""
        for pdu in pdus:
            self.card[next(n for n in range(1, 200) if n not in self.card)] = pdu

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)
        os.close(self.master)
        os.close(self._slave)

    def _run(self) -> None:
        buffer, waiting = b"", False
        while not self._stop.is_set():
            if not select.select([self.master], [], [], 0.05)[0]:
                continue
            try:
                buffer += os.read(self.master, 4096)
            except OSError:
                return
            while True:
                end = b"\x1a" if waiting else b"\r"
                if waiting and b"\x1b" in buffer:
                    buffer, waiting = b"", False
                    break
                line, found, rest = buffer.partition(end)
                if not found:
                    break
                buffer = rest
                said = line.decode("latin-1").strip()
                if waiting:
                    waiting = False
                    self._say(self._send(said))
                elif said:
                    waiting = self._command(said)

    def _say(self, words: str) -> None:
        os.write(self.master, words.encode())

    def _send(self, pdu: str) -> str:
        if self.error is not None:
            return f"\r\n{self.error}\r\n"
        self._reference += 1
        self.sent.append(pdu)
        if self.report is not None and int(pdu[2:4], 16) & 0x20:
            digits = int(pdu[6:8], 16)
            octets = pdu[10 : 10 + digits + digits % 2]
            to = "".join(octets[n + 1] + octets[n] for n in range(0, len(octets), 2)).rstrip("F")
            self.put(status_report(self._reference, to, self.report))
        return f"\r\n+CMGS: {self._reference}\r\n\r\nOK\r\n"

    def _command(self, said: str) -> bool:
        self.commands.append(said)
        upper = said.upper()
        if upper.startswith("AT+CMGS="):
            self._say("\r\n> ")
            return True
        self._say(self._answer(upper))
        return False

    def _answer(self, upper: str) -> str:
        if upper.startswith("AT+CMGR=") and (index := int(upper[8:])) in self.card:
            pdu = self.card[index]
            return f"\r\n+CMGR: 0,,{(len(pdu) - 2) // 2}\r\n{pdu}\r\n\r\nOK\r\n"
        if upper.startswith("AT+CMGR="):
            return "\r\n+CMS ERROR: 321\r\n"
        if upper.startswith("AT+CMGL"):
            listed = "".join(f"\r\n+CMGL: {n},0,,{(len(pdu) - 2) // 2}\r\n{pdu}" for n, pdu in sorted(self.card.items()))
            return f"{listed}\r\n\r\nOK\r\n"
        if found := re.match(r"AT\+CMGD=(\d+)", upper):
            self.card.pop(int(found[1]), None)
        used = f"{len(self.card)},50"
        told = {
            "AT+CPIN?": "+CPIN: READY", "AT+CSQ": "+CSQ: 25,0", "AT+CREG?": "+CREG: 0,1", "AT+CIMI": "460001234567890",
            "AT+CGSN": "356000000000000", "AT+CPMS?": f'+CPMS: "SM",{used},"SM",{used},"SM",{used}', "AT+CGMI": "TEST", "AT+CGMM": "TEST",
        }.get(upper)  # fmt: skip
        if upper.startswith('AT+CPMS="'):
            told = f"+CPMS: {used},{used},{used}"
        return f"\r\n{told}\r\n\r\nOK\r\n" if told else "\r\nOK\r\n"
