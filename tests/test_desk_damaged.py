"""Stored words that were changed or cannot be opened: they stop no report, and people are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.desk import SHORT_TRIES
from gateway.store import messages
from gateway.store.tables import vault
from tests.test_desk import CRASH, FIRE, Office, office
from tests.test_desk_short import SHORT, at_once, failing

__all__ = ["at_once", "office"]


def damage(office: Office, id_: str) -> None:
    """Change the sealed words of a row, and forget what memory has of it, as after a restart."""
    office.store.write_now(lambda tx: tx.run(sa.update(vault).where(vault.c.id == id_).values(sealed=b"\x01" * 60)))
    office.store._cache.clear()


async def test_reports_go_on_beside_an_incident_whose_words_were_changed(office: Office) -> None:
    (first,) = await office.taken(office.accept(CRASH))
    damage(office, str(first.incident))
    other, again = await office.taken(office.accept(FIRE), office.accept(FIRE.replace("已扑灭", "明火已灭"), sender="+8613800000009"))
    assert other.state == "read" and office.incident(other).number == "2026-0002"
    assert again.state == "read" and again.incident == other.incident
    (alarm,) = [event for event in office.events() if event.event == "alarm"]
    assert (alarm.incident, alarm.data["what"]) == ("2026-0001", "desk")


async def test_a_report_of_the_very_incident_becomes_one_for_a_person(office: Office) -> None:
    (first,) = await office.taken(office.accept(CRASH))
    damage(office, str(first.incident))
    (row,) = await office.taken(office.accept(CRASH.replace("3人受伤", "4人受伤"), sender="+8613800000009"))
    assert row.state == "needs_person" and row.incident != first.incident
    assert "2026-0001" in {event.incident for event in office.events() if event.event == "alarm"}, "said again after it was undone"


async def test_the_rest_of_a_long_message_whose_beginning_was_changed_becomes_one_for_a_person(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = await office.taken(office.accept(CRASH))
    damage(office, str(first.incident))
    real = office.desk._prepare

    async def prepare(*args: Any) -> Any:
        return replace(await real(*args), completes=first.id)

    monkeypatch.setattr(office.desk, "_prepare", prepare)
    later, other = await office.taken(office.accept(FIRE), office.accept("青山区政府办：今日9时青山区一民房起火，1人死亡。"))
    assert [later.state, other.state] == ["needs_person", "needs_person"]


@pytest.mark.parametrize("fault", SHORT, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("times", [1, SHORT_TRIES])
async def test_a_shortage_while_a_message_is_opened_is_not_the_messages(
    office: Office, monkeypatch: pytest.MonkeyPatch, fault: Exception, times: int
) -> None:
    monkeypatch.setattr(messages, "raw", failing(messages.raw, fault, times))
    first, second = await office.taken(office.accept(CRASH), office.accept(FIRE))
    assert [first.state, second.state] == ["read", "read"]


async def test_one_that_lasts_brings_the_message_to_a_person_and_those_behind_it_are_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, bad = messages.raw, office.accept(CRASH)

    def raw(tx: Any, row: str) -> Any:
        if row == bad:
            raise MemoryError
        return real(tx, row)

    monkeypatch.setattr(messages, "raw", raw)
    first, second = await office.taken(bad, office.accept(FIRE))
    assert [first.state, second.state] == ["needs_person", "read"]


