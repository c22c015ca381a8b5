"""A DNS server on loopback with the records of a test; it can also be silent or talk rubbish."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class DnsServer:
    """Answers over UDP from ``records``: (name, type) → texts as in a zone file. ``asked`` are the names in order."""

    def __init__(self, records: Mapping[tuple[str, str], Sequence[str]]) -> None:
        self.records = {(name.lower().rstrip("."), kind): list(texts) for (name, kind), texts in records.items()}
        self.asked: list[str] = []
        self.mode = "good"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                data, peer = self._socket.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            name, kind = question.name.to_text().lower().rstrip("."), dns.rdatatype.to_text(question.rdtype)
            self.asked.append(name)
            if self.mode == "silent":
                continue
            if self.mode == "rubbish":
                self._socket.sendto(b"\xff" * 40, peer)
                continue
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.RA
            texts = self.records.get((name, kind))
            if texts:
                answer.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, texts))
            elif not any(known == name for known, _kind in self.records):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(answer.to_wire(max_size=4000), peer)
