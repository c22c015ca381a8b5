"""The tables of states are closed: every state is reachable, every step ends in a state, docs say the same."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import lifecycle
from gateway.core.lifecycle import STARTS, TABLES, NotAllowed, Table
from gateway.core.model import DeliveryState, IncidentState, MessageState

WORDS = {"messages": MessageState, "deliveries": DeliveryState, "incidents": IncidentState}


@pytest.mark.parametrize("name", TABLES)
def test_states_are_those_of_the_model(name: str) -> None:
    assert set(TABLES[name]) == set(get_args(WORDS[name]))
    assert {new for _, _, new in lifecycle.steps(TABLES[name])} <= set(TABLES[name])
    assert STARTS[name] <= set(TABLES[name])


@pytest.mark.parametrize("name", TABLES)
def test_every_state_is_reachable(name: str) -> None:
    reached = set(STARTS[name])
    while True:
        further = {new for state, _, new in lifecycle.steps(TABLES[name]) if state in reached} - reached
        if not further:
            break
        reached |= further
    assert reached == set(TABLES[name])


@given(table=st.sampled_from(list(TABLES.values())), data=st.data())
def test_any_walk_stays_inside(table: Table, data: st.DataObject) -> None:
    events = sorted({event for _, event, _ in lifecycle.steps(table)})
    state = data.draw(st.sampled_from(sorted(table)))
    for event in data.draw(st.lists(st.sampled_from([*events, "nonsense"]), max_size=20)):
        if event in table[state]:
            new = lifecycle.step(table, state, event)
            lifecycle.check(table, state, new)
            state = new
        else:
            with pytest.raises(NotAllowed):
                lifecycle.step(table, state, event)
        assert state in table


def test_what_is_not_allowed_is_named() -> None:
    with pytest.raises(NotAllowed, match=r"acknowledged.*waiting"):
        lifecycle.check(lifecycle.DELIVERIES, "acknowledged", "waiting")
    with pytest.raises(NotAllowed, match="gone"):
        lifecycle.check(lifecycle.DELIVERIES, "gone", "waiting")
    lifecycle.check(lifecycle.DELIVERIES, "acknowledged", "acknowledged")


def test_published() -> None:
    docs = Path(__file__).parents[2] / "docs"
    assert lifecycle.markdown() in (docs / "states.md").read_text("utf-8")
