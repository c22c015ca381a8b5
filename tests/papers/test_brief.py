"""The morning brief: at its hour, once, over restarts and down time; what it says is what the register holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway import brief
from gateway.settings import Config
from gateway.store import Store, StoreKeys, Tx, deliveries, journal, purge
from tests.papers.made import case, local, put
from tests.watch.conftest import Clock

EIGHT = local("2026-03-06T08:00")


@pytest.fixture
def clock() -> Clock:
    return Clock(local("2026-03-05T20:00"))


@pytest.fixture
def store(url: str, clock: Clock) -> Any:
    opened = Store.open(url, StoreKeys(bytes(32)), clock)
    yield opened
    opened.close()


def look(store: Store, config: Config, at: Any) -> list[str]:
    sent, troubles = store.write_now(lambda tx: brief.send(tx, config, at))
    assert troubles == []
    return sent


def queued(store: Store) -> list[tuple[deliveries.DeliveryRow, deliveries.Content]]:
    def read(tx: Tx) -> list[tuple[deliveries.DeliveryRow, deliveries.Content]]:
        return [(row, deliveries.content(tx, row.id)) for row in deliveries.rows(tx)]

    return store.read_now(read)


def register(store: Store) -> None:
    def write(tx: Tx) -> None:
        night = local("2026-03-05T22:30")
        for n, more in ((1, {"title": "白水县新华路仓库火灾"}), (2, {"title": "看不得的标题", "sensitive": True})):
            made, matter = case(f"2026-{n:04d}", night, night + timedelta(minutes=20), "白水县委办", **more)
            put(tx, made, matter, "", night + timedelta(minutes=30) if n == 1 else None)
        early = local("2026-03-04T07:00")
        made, matter = case("2026-0003", early, early + timedelta(minutes=5), "白水县委办", title="前天的事")
        put(tx, made, matter)

    store.write_now(write)


def test_it_comes_at_its_hour_once_and_tells_of_the_24_hours_before(store: Store, config: Config) -> None:
    register(store)
    assert look(store, config, local("2026-03-05T23:00")) == [], "the first look notes the hour"
    assert look(store, config, EIGHT - timedelta(seconds=1)) == []
    assert look(store, config, EIGHT) == ["secretary_general_committee", "secretary_general_government"]
    assert look(store, config, EIGHT + timedelta(minutes=1)) == []
    rows = queued(store)
    assert {(row.destination, row.duty, row.incident) for row, _what in rows} == {
        ("secretary_general_committee", "inform", None), ("secretary_general_government", "inform", None)
    }  # fmt: skip
    assert "<!doctype html>" in rows[0][1].paper["page"], "by fax and printer it leaves as a paper"
    text, short = rows[0][1].text, rows[0][1].short_text
    assert "值班快报" in text and "3月5日8时至3月6日8时" in text and "2026年第65期" in text
    assert "〔2026〕0001（一般）白水县新华路仓库火灾" in text and "23时00分签收" in text
    assert "〔2026〕0002（内容敏感" in text and "未签收" in text and "看不得" not in text + short
    assert "前天的事" not in text and "登记事件2起（〔2026〕0001、〔2026〕0002），未签收1起" in short
    told = [one.event for one in store.read_now(lambda tx: journal.entries(tx, names=["briefed"]))]
    assert [one.data["destinations"] for one in told] == [["secretary_general_committee", "secretary_general_government"]]
    assert "看不得" not in str(told) and look(store, config, EIGHT + timedelta(days=1)) != []


def test_what_fell_due_while_down_goes_out_at_the_next_start_and_not_half_a_day_later(store: Store, config: Config) -> None:
    look(store, config, local("2026-03-05T23:00"))
    assert look(store, config, EIGHT + timedelta(hours=3)) != []
    assert "3月5日8时至3月6日8时" in queued(store)[0][1].text, "the hours before its own hour"
    assert look(store, config, EIGHT + timedelta(days=1, hours=13)) == []
    assert store.read_now(lambda tx: purge.next_at(tx, brief.CHORE)) == EIGHT + timedelta(days=2)


def test_an_empty_night_says_so(store: Store, config: Config) -> None:
    look(store, config, local("2026-03-05T23:00"))
    look(store, config, EIGHT)
    assert "没有达到报送标准的新情况" in queued(store)[0][1].text


def test_another_hour_counts_from_the_next_look_and_nobody_means_none(store: Store, config: Config) -> None:
    def with_(**changes: Any) -> Config:
        papers = config.papers.model_copy(update={"brief": config.papers.brief.model_copy(update=changes)})
        return replace(config, papers=papers)

    look(store, config, local("2026-03-05T23:00"))
    look(store, with_(hour=6), local("2026-03-05T23:01"))
    assert look(store, with_(hour=6), local("2026-03-06T06:00")) != []
    assert look(store, with_(hour=6, offices=()), local("2026-03-07T06:00")) == []


def test_a_template_that_fails_is_told_and_the_brief_goes_out(store: Store, config: Config) -> None:
    broken = replace(config, paper_templates={"brief.html": "{% extends 'layout.html' %}\n{% block body %}{{ f.nothing }}{% endblock %}"})
    look(store, broken, local("2026-03-05T23:00"))
    sent, troubles = store.write_now(lambda tx: brief.send(tx, broken, EIGHT))
    assert len(sent) == 2 and [(what, "templates/brief.html:2" in data["why"]) for what, data in troubles] == [("paper", True)]



def test_the_hour_is_the_city_s(config: Config) -> None:
    assert brief.next_hour(EIGHT, config) == EIGHT + timedelta(days=1)
    assert brief.next_hour(EIGHT - timedelta(microseconds=1), config) == EIGHT
    assert brief.next_hour(EIGHT, replace(config, timezone="Pacific/Auckland")).hour == 8
