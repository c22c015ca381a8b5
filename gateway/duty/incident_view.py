"""What the register shows of an incident beside its facts: how it stands, the chain of people, whom to ring up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway import house as houses
from gateway.core import clocks, trail
from gateway.core.duty.matter import Given
from gateway.core.model import Incident
from gateway.duty import calls, work
from gateway.duty.matter_view import view
from gateway.store import Tx, incidents, journal, matters, messages

if TYPE_CHECKING:
    from gateway.operations import Live

MOST = 100_000
WORDED = ("approved", "instructed", "supervision_done")


def _given(live: Live) -> Given:
    house = live.house() if live.house is not None else houses.build(live.config, bureau_public=b"")
    return work.given(house, live.now())


def stand(live: Live, tx: Tx, incident: Incident) -> dict[str, Any] | None:
    """Clocks, who has it, what is owed; None where nothing is to be done about it."""
    kept = matters.get(tx, incident.id)
    if kept is None:
        return None
    worded = journal.entries(tx, incident=incident.number, names=WORDED, limit=MOST)
    return view(kept.matter, _given(live), [entry.event for entry in worded])


def chain(live: Live, tx: Tx, incident: Incident) -> list[dict[str, Any]]:
    """The chain of people and times, ready for 责任倒查."""
    config, given, kept = live.config, _given(live), matters.get(tx, incident.id)
    start, _estimated = clocks.anchor(incident.report.occurred, incident.first_received_at, config.timezone)
    titles = {clock.id: clock.title for clock in given.clocks} | {signer.id: signer.title for signer in given.rules.signers}
    steps = trail.chain(
        kept.matter.start if kept else start,
        [_source(live, row) for row in _reports(tx, incident)],
        [entry.event for entry in journal.entries(tx, incident=incident.number, limit=MOST)],
        config.directory.name,
        lambda id_: titles.get(id_, id_),
    )
    return [{**msgspec.to_builtins(one), "at": live.shown(one.at)} for one in steps]


def _reports(tx: Tx, incident: Incident) -> list[messages.MessageRow]:
    """The messages that told of it, newest first; replies of duty persons are none."""
    told = set(incidents.messages_of(tx, incident.id))
    return [row for row in messages.rows(tx, incident=incident.id, limit=MOST) if row.id in told]


def _source(live: Live, row: messages.MessageRow) -> trail.Source:
    directory = live.config.directory
    unit, informant = directory.unit(row.sender), directory.informant(row.sender)
    return trail.Source(
        id=row.id, at=row.received_at, channel=row.channel, via=row.via, sender=row.sender,
        informant=informant.name if informant else "", unit=unit.name if unit else "", role=unit.role if unit else "",
    )  # fmt: skip


def call_list(live: Live, tx: Tx, incident: Incident) -> list[dict[str, Any]]:
    """Whom to ring up, with numbers."""
    kept = matters.get(tx, incident.id)
    senders = list(dict.fromkeys(row.sender for row in _reports(tx, incident) if row.sender))
    found = calls.calls(kept.matter if kept else None, incident, senders, _given(live))
    return [{**msgspec.to_builtins(one), "since": live.shown(one.since)} for one in found]
