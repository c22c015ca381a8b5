"""The comparison of two configurations: what a reload takes over, what it starts anew, what waits for a restart."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.conf_book import Book
from gateway.reload import LIVE, NAMES, RESTART, WAYS, Moves, Plan, Way, effective, plan
from gateway.settings import Config, Configured
from tests.toys import CONFIG, SHIPPED, conf, toy

FIELDS = {field.name for field in dataclasses.fields(Config)}


class Other:
    """Equal to nothing else: stands for a changed value of any field."""


def test_every_field_of_config_is_in_one_table() -> None:
    tables = [*LIVE, *RESTART, *WAYS, *NAMES]
    assert sorted(tables) == sorted(FIELDS), "say in gateway/reload.py what a reload does with each field of Config"


@pytest.mark.parametrize("name", sorted(FIELDS - {*WAYS, *NAMES, "limits"}))
def test_a_changed_field_is_in_the_plan(name: str) -> None:
    found = plan(CONFIG, dataclasses.replace(CONFIG, **{name: Other()}))
    assert (*found.parts, *found.restart) == ({**LIVE, **RESTART}[name],)
    assert found.channels.start == found.transports.start == ()


def test_a_limit_is_taken_over_and_the_one_that_carriers_are_told_starts_every_channel_anew() -> None:
    def limits(**keys: int) -> Config:
        return dataclasses.replace(CONFIG, limits=CONFIG.limits.model_copy(update=keys))

    assert plan(CONFIG, limits(parse_workers=3)) == Plan(
        parts=("limits",), channels=Moves(kept=plan(CONFIG, CONFIG).channels.kept), transports=plan(CONFIG, CONFIG).transports
    )
    moves = plan(CONFIG, limits(max_message_bytes=2048)).channels
    assert moves.changed == tuple(c.name for c in CONFIG.channels) and moves.kept == ()


def test_the_same_conf_read_twice_asks_for_nothing() -> None:
    again = plan(CONFIG, Book(SHIPPED).load())
    assert again.changed == again.restart == ()
    assert set(again.channels.kept) == {c.name for c in CONFIG.channels}


def test_what_waits_for_a_restart_stays_as_it_was() -> None:
    new = dataclasses.replace(CONFIG, state=Path("/elsewhere"), city="白水市", digest="d" * 64)
    kept = effective(CONFIG, new)
    assert (kept.state, kept.city, kept.digest) == (CONFIG.state, "白水市", "d" * 64)
    assert plan(kept, new).restart == ("gateway.state",), "the next reload says it again"


NAME = st.sampled_from("abcdef")
TOYS = st.dictionaries(NAME, st.integers(1, 3), max_size=5)


def toys(ports: dict[str, int]) -> tuple[Configured, ...]:
    return tuple(toy(name, where=f"{name}:{port}", port=port) for name, port in ports.items())


@settings(max_examples=80, deadline=None)
@given(TOYS, TOYS, st.randoms())
def test_each_way_is_in_exactly_one_list(before: dict[str, int], after: dict[str, int], random: Any) -> None:
    shuffled = list(toys(after))
    random.shuffle(shuffled)
    moves = plan(conf(*toys(before)), conf(*shuffled)).channels
    listed = [*moves.added, *moves.removed, *moves.changed, *moves.follow, *moves.kept]
    assert sorted(listed) == sorted({**before, **after})
    assert set(moves.kept) == {n for n, port in before.items() if after.get(n) == port}
    assert set(moves.changed) == {n for n, port in before.items() if n in after and after[n] != port}


@settings(max_examples=40, deadline=None)
@given(TOYS, st.randoms())
def test_order_and_place_do_not_count(ports: dict[str, int], random: Any) -> None:
    other = [dataclasses.replace(one, where="elsewhere:9") for one in toys(ports)]
    random.shuffle(other)
    found = plan(conf(*toys(ports)), conf(*other))
    assert found.changed == () and set(found.channels.kept) == set(ports)


def test_those_that_use_a_replaced_channel_follow_it_and_so_on() -> None:
    before = conf(toy("mail"), toy("fax"), toy("copy"), toy("sms"), transports=(toy("out"), toy("sms")))
    after = conf(toy("mail", port=2), toy("fax"), toy("copy"), toy("sms"), transports=(toy("out"), toy("sms")))
    uses = {Way("channel", "fax"): {"mail"}, Way("channel", "copy"): {"fax"}, Way("transport", "out"): {"copy"},
            Way("transport", "sms"): {"sms"}}  # fmt: skip
    found = plan(before, after, uses=uses)
    assert found.channels == Moves(changed=("mail",), follow=("fax", "copy"), kept=("sms",))
    assert found.transports == Moves(follow=("out",), kept=("sms",))


def test_a_changed_secret_counts_as_a_change_of_its_way_alone() -> None:
    same = conf(toy("a"), toy("b"), transports=(toy("a"),))
    found = plan(same, same, stale={Way("channel", "a")})
    assert found.channels == Moves(changed=("a",), kept=("b",)) and found.transports == Moves(kept=("a",))
