"""Keeps the board on paper (备用看板) up to date: a file that is replaced whole, every few minutes, and pages from the printer.

It must be there when the machine is not, so it is written beside everything else and never waits for it; what stands in the way
is the alarm ``standby``, and is tried again within a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from gateway import reading
from gateway.alarms import Alarms
from gateway.house import House
from gateway.i18n import _
from gateway.paper_rules import StandbySection
from gateway.papers import blocks, standby
from gateway.papers.making import wording
from gateway.papers.press import NotPrinted, Press
from gateway.papers.templates import TemplateFault
from gateway.settings import Config
from gateway.store import Store, Tx, deliveries, notes, purge, vault

AGAIN = timedelta(minutes=1)
"""After a failure it is tried again so soon."""
NAME = "board"
MODE, FOLDER_MODE = 0o640, 0o750
CHORE = "standby-print"
NOTE = "standby:deliveries"


class Standby:
    """One sheet. ``house`` is asked anew each time: after a reload it is made at once."""

    def __init__(self, store: Store, alarms: Alarms, house: Callable[[], House]) -> None:
        self._store = store
        self._alarms = alarms
        self._house = house
        self._last: datetime | None = None
        self._next: datetime | None = None
        self._conf = ""

    async def tend(self, now: datetime) -> bool:
        """Make it anew where that is due; True where something was queued for the printer. Raises ``StorageTrouble``."""
        house = self._house()
        rules = house.config.papers.standby
        if not rules.enabled or (self._conf == house.config.digest and not self._is_due(now)):
            return False
        self._conf = house.config.digest
        # Whatever happens now, not before a minute has passed: also when the store takes nothing.
        self._last, self._next = now, now + AGAIN
        sheet = await self._store.read(lambda tx: standby.gather(tx, house, now))
        html = await asyncio.to_thread(standby.html, sheet, house, self._fault)
        text = blocks.text(html)
        if reading.find_marking([text]):
            self._alarm(_("a text on it bears a marking"))
            return False
        if await self._write(html, house.config):
            self._next = now + timedelta(minutes=rules.minutes)
        if not rules.transport:
            return False
        return await self._store.write(lambda tx: queue(tx, rules, html, text, now))

    def _is_due(self, now: datetime) -> bool:
        """Also where the clock was set back."""
        return self._next is None or self._last is None or not self._last <= now < self._next

    async def _write(self, html: str, config: Config) -> bool:
        """The file or files; what is not written is an alarm, and does not keep the others from being written."""
        rules, whole = config.papers.standby, True
        folder = config.state / rules.folder
        for form in dict.fromkeys(rules.forms):
            data = html.encode()
            try:
                if form == "pdf":
                    press = Press(config.papers.press.seconds, config.papers.press.memory_mb)
                    data = (await press.make(html, "pdf", rules.most_pages)).data
                await asyncio.to_thread(replace, folder / f"{NAME}.{form}", data)
            except (OSError, NotPrinted) as error:
                whole = False
                why = getattr(error, "strerror", None) or str(error)
                self._alarm(_("{file} could not be written: {why}").format(file=folder / f"{NAME}.{form}", why=why))
        return whole

    def _fault(self, fault: TemplateFault) -> None:
        self._alarm(wording(fault))

    def _alarm(self, why: str) -> None:
        self._alarms.raise_("standby", why=why)


def replace(path: Path, data: bytes) -> None:
    """Write ``path`` whole or not at all: readable by the gateway's group, no link followed. Raises ``OSError``."""
    if not path.parent.is_dir():
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        path.parent.chmod(FOLDER_MODE)  # whatever the umask says: the group is to read it
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE), "wb") as file:
            os.fchmod(file.fileno(), MODE)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    there = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(there)
    finally:
        os.close(there)


def queue(tx: Tx, rules: StandbySection, html: str, text: str, now: datetime) -> bool:
    """Queue the sheet for the printer where that is due. One that still waits is taken back: a printer that comes back prints the
    newest alone. What earlier sheets said is destroyed: it must not outlive what retention destroys of an incident."""
    due = purge.next_at(tx, CHORE)
    if due is not None and now < due <= now + timedelta(minutes=rules.print_minutes):
        return False
    printing = [one for one in notes.get(tx, NOTE, list[str]) or () if not _settled(tx, one)]
    made = deliveries.DeliveryRow(
        id=tx.new_id(), incident=None, message=None, destination=rules.office, duty="inform", transport=rules.transport,
        address=rules.address, created_at=now, next_try_at=now,
    )  # fmt: skip
    deliveries.insert(tx, made, deliveries.Content(subject=rules.title, text=text, paper={standby.WHOLE: html}))
    notes.put(tx, NOTE, [*printing, made.id])
    purge.note_next(tx, CHORE, now + timedelta(minutes=rules.print_minutes), now)
    return True


def _settled(tx: Tx, delivery: str) -> bool:
    """End an earlier sheet; False while one is just being sent."""
    row = deliveries.known(tx, delivery)
    if row is not None and row.state == "waiting":
        deliveries.stop(tx, delivery=delivery, why="a newer sheet is printed")
    if row is not None and row.state == "sending":
        return False
    vault.destroy(tx, [delivery])
    return True
