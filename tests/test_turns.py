"""Turn and turn about: those who wait for a receipt go first, and nobody gives way for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.core.model import Delivery
from gateway.core.outcomes import Delivered
from gateway.dispatch import ROUND
from gateway.turns import MOST_SECONDS, SHARE, Turns
from tests.test_dispatch import Carrier, rounds
from tests.test_dispatch import Desk as Office


class Rest:
    """Rests at once, and counts."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("waiting", "worked", "rested"),
    [(0, 5.0, []), (1, 0.01, [SHARE * 0.01]), (40, MOST_SECONDS / SHARE, [MOST_SECONDS]), (1, 60.0, [MOST_SECONDS])],
)
async def test_whoever_has_worked_rests_in_proportion_and_not_for_ever(waiting: int, worked: float, rested: list[float]) -> None:
    rest = Rest()
    await Turns(lambda: waiting, rest).give(worked)
    assert rest.seconds == rested


@pytest.mark.parametrize("waiting", [0, 1])
async def test_deliveries_begin_few_at_a_time_while_carriers_wait(tmp_path: Path, waiting: int) -> None:
    office, rest = Office(tmp_path / "gateway.db"), Rest()
    incident = office.incident()
    for number in range(40):
        office.queue(incident, "mail", destination=f"office{number}")
    carrier = Carrier()
    dispatcher = office.dispatcher(mail=carrier)
    dispatcher.turns = Turns(lambda: waiting, rest)
    begun = []
    while (before := len(carrier.sent)) < 40:
        await rounds(dispatcher)
        begun.append(len(carrier.sent) - before)
    if waiting:
        assert begun == [ROUND] * 10 and len(rest.seconds) == 10, "each round is followed by the carriers' turn"
    else:
        assert begun[:3] == [ROUND, 2 * ROUND, 4 * ROUND] and rest.seconds == []
    office.store.close()


async def test_after_a_pause_the_first_are_few_again(tmp_path: Path) -> None:
    """The first of many does not wait for a large round to be leased."""
    office, carrier = Office(tmp_path / "gateway.db"), Carrier()
    incident, dispatcher = office.incident(), office.dispatcher(mail=carrier)
    for number in range(3 * ROUND):
        office.queue(incident, "mail", destination=f"office{number}")
    await rounds(dispatcher, 3)
    assert len(carrier.sent) == 3 * ROUND
    for number in range(3 * ROUND):
        office.queue(incident, "mail", destination=f"later{number}")
    await rounds(dispatcher)
    assert len(carrier.sent) == 4 * ROUND
    office.store.close()


async def test_one_is_on_its_way_while_the_next_is_made(tmp_path: Path) -> None:
    office, said = Office(tmp_path / "gateway.db"), []

    class Slow:
        async def send(self, delivery: Delivery) -> Delivered:
            said.append(f"made {delivery.destination}")
            await asyncio.sleep(0)
            said.append(f"sent {delivery.destination}")
            return Delivered(("ref",))

    incident = office.incident()
    for number in range(3):
        office.queue(incident, "mail", destination=f"office{number}")
    await rounds(office.dispatcher(mail=Slow()))
    assert said.index("sent office0") < said.index("made office2")
    office.store.close()
