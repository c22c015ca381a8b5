"""Compares what the carriers were told with what is on disk, what the sinks received, and what the record says."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Awaitable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.core.model import RawMessage
from gateway.secrets import Secrets
from gateway.store import Store, StoreKeys, messages
from gateway.store.tables import deliveries, incidents
from gateway_plugins.smpp import inbound
from tests.faults import broken
from tests.faults.stand import Stand


@dataclass
class Verdict:
    """The figures of a run. ``lost``, ``doubled`` and ``wrong`` name what they count."""

    machine: str
    rounds: int = 0
    acknowledged: int = 0
    signed: int = 0
    """Acknowledgements (签收) of persons that were answered."""
    lost: list[str] = field(default_factory=list)
    undelivered: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    repeated: int = 0
    """Deliveries that a sink got again, under the same id and number."""
    temporary: int = 0
    longest: float = 0.0
    wrong: list[str] = field(default_factory=list)
    kinds: dict[str, Any] = field(default_factory=dict)

    def add(self, other: Verdict) -> None:
        """Take the figures of another stand of the same machine in."""
        self.rounds += other.rounds
        self.acknowledged += other.acknowledged
        self.signed += other.signed
        self.repeated += other.repeated
        self.temporary += other.temporary
        self.longest = max(self.longest, other.longest)
        for name in ("lost", "undelivered", "doubled", "refused", "wrong"):
            getattr(self, name).extend(getattr(other, name))
        for name, figures in other.kinds.items():
            self.kinds[name] = _sum(self.kinds[name], figures) if name in self.kinds else figures

    async def take(self, batch: Awaitable[Verdict], rounds: int) -> None:
        """Add a batch's figures, and say how it stands. A batch that broke off is a fault of the whole."""
        try:
            self.add(await batch)
        except Exception as error:
            self.rounds += rounds
            self.wrong.append(f"broke off: {type(error).__name__}: {str(error)[-1500:]}")
        print(f"  … {self.line()}", file=sys.stderr, flush=True)

    @property
    def good(self) -> bool:
        return not (self.lost or self.undelivered or self.doubled or self.refused or self.wrong)

    def line(self) -> str:
        """The summary that a run prints."""
        return (
            f"{self.machine}: rounds {self.rounds}, acknowledged {self.acknowledged}, lost {len(self.lost)}, "
            f"undelivered {len(self.undelivered)}, doubled {len(self.doubled)}, delivered again {self.repeated}, "
            f"permanent refusals {len(self.refused)}, temporary answers {self.temporary}, "
            f"longest time to accept again {self.longest:.2f} s" + (f", WRONG {self.wrong[:3]}" if self.wrong else "")
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"good": self.good}


def _sum(first: Any, second: Any) -> Any:
    """The figures of one kind from two batches: counts are added, of times (floats) the longest stands."""
    if isinstance(first, dict):
        return {name: _sum(first[name], second[name]) for name in first}
    if isinstance(first, float):
        return max(first, second)
    return first + second if isinstance(first, int) else second


def judge(stand: Stand, machine: str, rounds: int, *, least: int) -> Verdict:
    """To be called when the daemon has stopped. ``least`` acknowledgements are needed for a run to count."""
    ledger = stand.ledger
    found = Verdict(
        machine, rounds, len(ledger.acknowledged), refused=list(ledger.refused), temporary=sum(ledger.temporary.values())
    )
    found.longest = max(stand.again, default=0.0)
    on_disk = _on_disk(stand)
    seen = _at_the_sinks(stand, found)
    for token, (letter, given) in ledger.acknowledged.items():
        rows = on_disk.get(token, [])
        name = f"{letter.channel} {token}" + (f" ({given})" if given else "")
        if not rows or (given not in (None, broken.NO_ID) and given not in {row["id"] for row in rows}):
            found.lost.append(name)
            continue
        if len({row["incident"] for row in rows if row["incident"]}) > 1 or sum(not row["duplicate_of"] for row in rows) > 1:
            found.doubled.append(name)
        if token not in seen and not all(row["nobody"] for row in rows):
            found.undelivered.append(name)
    if found.acknowledged < least:
        found.wrong.append(f"only {found.acknowledged} acknowledged, {least} are needed for a run to say anything")
    _the_record(stand, found, {row["id"] for rows in on_disk.values() for row in rows})
    return found


def _on_disk(stand: Stand) -> dict[str, list[dict[str, Any]]]:
    """Every stored message by the token in its unsealed text."""
    store = _opened(stand)
    by_token: dict[str, list[dict[str, Any]]] = defaultdict(list)
    wanted = set(stand.ledger.acknowledged)
    try:
        rows = store.read_now(lambda tx: messages.rows(tx, limit=1_000_000))
        below = store.read_now(
            lambda tx: {row.id for row in tx.all(sa.select(incidents.c.id).where(incidents.c.state == "below_threshold"))}
        )
        for row in rows:
            raw = store.read_now(lambda tx, id=row.id: messages.raw(tx, id))  # type: ignore[misc]
            for token in _tokens(_text(raw)) & wanted:
                made = {"id": row.id, "incident": row.incident, "duplicate_of": row.duplicate_of}
                # What reaches no threshold of the catalogue is kept and goes to nobody.
                by_token[token].append(made | {"nobody": row.incident in below or row.state in ("duplicate", "below_threshold")})
    finally:
        store.close()
    return by_token


def _opened(stand: Stand) -> Store:
    keys = StoreKeys.load(Secrets(stand.gate.conf / "secrets").path("store-key"))
    return Store.open(stand.store, keys, lambda: datetime.now(UTC))


def _text(raw: RawMessage) -> str:
    if raw.content_type == inbound.SMPP_TYPE:
        return inbound.read(raw, "gsm").text
    return raw.body.decode("utf-8", "replace")


def _tokens(text: str) -> set[str]:
    """The digits before each 号."""
    found = set()
    for piece in text.split("号")[:-1]:
        digits = piece[len(piece.rstrip("0123456789")) :]
        found.add(digits)
    return found


def _at_the_sinks(stand: Stand, found: Verdict) -> set[str]:
    """All tokens that arrived anywhere. A delivery that came again must be the same delivery about the same incident."""
    seen: set[str] = set()
    first: dict[str, tuple[str, str]] = {}
    for mail in stand.sink.mails:
        seen |= _tokens(_body(mail))
        delivery, about = str(mail["X-Gateway-Delivery"]), (str(mail["X-Gateway-Incident"]), str(mail["To"]))
        if delivery in first:
            found.repeated += 1
            if first[delivery] != about:
                found.wrong.append(f"delivery {delivery} came again as {about}, first {first[delivery]}")
        first[delivery] = about
    for text in stand.smsc.sent:
        seen |= _tokens(text.text)
    there = sa.select(deliveries).where(deliveries.c.state.in_(("delivered", "acknowledged")))
    store = _opened(stand)
    try:
        sent = store.read_now(lambda tx: tx.all(there))
    finally:
        store.close()
    missing = [row.id for row in sent if row.transport == "mail" and row.id not in first]
    parts = sum(len(msgspec.json.decode(row.refs)) for row in sent if row.transport == "sms")
    found.undelivered += [f"delivery {one} is said to be delivered and the sink has none" for one in missing]
    if parts > len(stand.smsc.submitted):
        found.undelivered.append(f"{parts} parts of texts are said to be delivered, the SMSC has {len(stand.smsc.submitted)}")
    return seen


def _body(mail: Any) -> str:
    parts = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_maintype() == "text"]
    return "\n".join(part.decode("utf-8", "replace") for part in parts if part)


def _the_record(stand: Stand, found: Verdict, ids: set[str]) -> None:
    """The chain holds, and each stored message was put on record once."""
    log = stand.state / "audit.jsonl"
    outside = Path(sys.modules["gateway"].__file__ or "").parent / "audit" / "outside.py"
    done = subprocess.run([sys.executable, str(outside), str(log)], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        found.wrong.append(f"the record does not verify: {(done.stdout + done.stderr).strip()[-300:]}")
    events: Counter[str] = Counter()
    signed = set()
    for line in log.read_bytes().splitlines():
        event = msgspec.json.decode(line)
        if event["event"] in ("accepted", "duplicate") and event.get("message"):
            events[event["message"]] += 1
        elif event["event"] == "acknowledged":
            signed.add(event["incident"])
    found.signed = len(stand.ledger.signed)
    found.lost += [
        f"acknowledgement (签收) of {number} by {office}" for number, office in stand.ledger.signed if number not in signed
    ]
    if absent := ids - set(events):
        found.wrong.append(f"not on record: {sorted(absent)[:5]}")
    if often := [one for one, count in events.items() if count > 1 and one in ids]:
        found.wrong.append(f"on record more than once: {often[:5]}")
