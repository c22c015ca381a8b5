"""Witnesses get the signed head: a file at once, a transport as often as conf says, and an alarm where one does not take it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.audit import outside
from gateway.audit.heads import Signer, generate
from gateway.core.model import Delivery
from gateway.core.outcomes import Delivered, TryLater
from gateway.settings_care import WitnessEntry
from gateway.witness import Witnesses, keep

START = datetime(2026, 3, 5, 8, 0, tzinfo=UTC)


class World:
    """A record that grows by hand, a clock that goes by hand, alarms and a transport that remember."""

    def __init__(self, *entries: WitnessEntry, signer: Signer | None) -> None:
        self.size, self.now, self.said, self.sent = 1, START, [], []  # type: ignore[var-annotated]
        self.outcome: Any = Delivered(("1",))
        self.signer = signer
        self.witnesses = Witnesses(
            self,  # type: ignore[arg-type]
            lambda: self.signer,
            lambda: entries,
            {"mail": self},
            clock=lambda: self.now,
            alarms=self,  # type: ignore[arg-type]
        )

    def head(self) -> tuple[int, bytes, str]:
        return self.size, bytes([self.size]) * 32, "sha256"

    def raise_(self, what: str, *, why: str, **data: Any) -> None:
        self.said.append((what, why))

    async def send(self, delivery: Delivery) -> Any:
        self.sent.append(delivery)
        return self.outcome

    async def after(self, *, lines: int = 0, minutes: float = 0) -> None:
        self.size += lines
        self.now += timedelta(minutes=minutes)
        await self.witnesses.look()


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer("city.test/audit", generate())


async def test_a_file_has_every_new_head_and_one_an_hour_is_kept(tmp_path: Path, signer: Signer) -> None:
    file = tmp_path / "head"
    world = World(WitnessEntry(name="mount", file=str(file)), signer=signer)
    name, public = outside.parse_key(signer.verifier_key)

    def held(path: Path) -> list[int]:
        return [head.size for head in outside.read_witness([path], name, public)]

    await world.after()
    assert held(file) == [1]
    await world.after(lines=4, minutes=0.1)
    assert held(file) == [5] and file.stat().st_mode & 0o777 == 0o644
    assert held(file.with_name("head.history")) == [1]
    keep(file, signer.note(9, bytes(32)), datetime.now(UTC) + timedelta(hours=2))
    assert held(file.with_name("head.history")) == [1, 9]
    assert not world.said and {path.name for path in tmp_path.iterdir()} == {"head", "head.history"}


async def test_a_transport_gets_it_as_often_as_conf_says_and_only_where_it_changed(signer: Signer) -> None:
    world = World(WitnessEntry(name="post", transport="mail", address="a@b.test", every_minutes=60), signer=signer)
    await world.after()
    await world.after(lines=1, minutes=59)
    assert len(world.sent) == 1
    await world.after(minutes=1)
    assert len(world.sent) == 2 and world.sent[1].text == signer.note(2, bytes([2]) * 32)
    await world.after(minutes=600)
    assert len(world.sent) == 2, "nothing new, nothing sent"


async def test_what_is_not_taken_is_an_alarm_and_tried_again(signer: Signer, tmp_path: Path) -> None:
    lost = WitnessEntry(name="mount", file=str(tmp_path / "gone" / "head"))
    world = World(WitnessEntry(name="post", transport="mail", address="a@b.test"), lost, signer=signer)
    world.outcome = TryLater("relay down")
    await world.after()
    assert [what for what, _why in world.said] == ["witness", "witness"] and "relay down" in world.said[0][1]
    world.outcome = Delivered(())
    (tmp_path / "gone").mkdir()
    await world.after(minutes=1)
    assert len(world.sent) == 2 and len(world.said) == 2 and (tmp_path / "gone" / "head").exists()


async def test_without_a_key_there_is_an_alarm_and_nothing_unsigned_leaves(tmp_path: Path) -> None:
    world = World(WitnessEntry(name="mount", file=str(tmp_path / "head")), signer=None)
    await world.after()
    assert [what for what, _why in world.said] == ["witness"] and not (tmp_path / "head").exists()


@pytest.mark.parametrize(
    "fields", [{}, {"file": "/a", "transport": "mail", "address": "x"}, {"transport": "mail"}, {"file": "relative"}]
)
def test_one_way_is_asked_for(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"name|one way|absolute|Value error|asked"):
        WitnessEntry(name="x", **fields)  # type: ignore[arg-type]
