"""The figures in the browser: what the pages show is what is counted, every number leads to its incidents, a bad period is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from urllib.parse import quote

import pytest

from gateway import i18n
from gateway.core.figures.period import named
from gateway.papers import charts
from gateway.stats import Gathered, gather
from tests.console.room import Room
from tests.papers.made import case, local, put
from tests.people.desk import ZONE, Desk

UNITS = (("白水县委办", "白水县"), ("云台区政府办", "云台区"), ("石桥县政府办", "石桥县"))
YEAR = "2026"


@pytest.fixture(scope="module")
def year() -> Iterator[Room]:
    """A year of incidents: of three units, some late, one sensitive, one drill."""
    i18n.use("zh")
    made = Room(Desk(local("2026-11-20T12:00")))

    def write(tx: object) -> None:
        for n in range(1, 61):
            start = local("2026-01-03T09:00") + timedelta(days=5 * n)
            unit, county = UNITS[n % 3]
            late = 50 if n % 4 == 0 else 12
            more = {"sensitive": True, "title": "看不得的标题"} if n == 7 else {"title": f"{unit}第{n}号<b>事</b>"}
            item = ("事故类-4", "案件类-1")[n % 2]
            one, matter = case(f"2026-{n:04d}", start, start + timedelta(minutes=late), unit, county=county, items=(item,), **more)
            put(tx, one, matter, "", start + timedelta(minutes=late + 5) if n % 9 else None)  # type: ignore[arg-type]

    made.desk.store.write_now(write)
    yield made
    assert made.errors == []
    made.desk.store.close()


def counted(room: Room, period: str) -> Gathered:
    desk = room.desk
    return desk.store.read_now(lambda tx: gather(tx, desk.config, named(period, ZONE), desk.at, monthly=True))


def cells(page: str) -> list[str]:
    return [re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", one))).strip() for one in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", page, re.S)]


@pytest.mark.parametrize("period", ["2026", "2026Q2", "2026-03"])
async def test_the_tables_say_what_is_counted(year: Room, period: str) -> None:
    page = await year.browser("clerk").get(f"/figures?period={period}")
    found = counted(year, period)
    said = cells(page.text)
    made = charts.charts(found, charts.places(year.desk.config.gazetteer))
    assert said == [text for chart in made for text in (*chart.heads, *(cell.text for row in chart.rows for cell in row))]
    f = found.figures
    assert f"登记事件 {f.incidents.count} " in page.words and f"报送率 {f.rate:g}%" in page.words
    assert page.text.count('role="img"') == len(made) and all(f'aria-label="{chart.title}"' in page.text for chart in made)
    assert {chart.key for chart in made} >= {"rates", "times", "clocks", "kinds", "counties"}
    assert ("grid" in {chart.key for chart in made}) == (period != "2026-03"), "a month has no months"


async def test_every_number_leads_to_its_incidents(year: Room) -> None:
    clerk = year.browser("clerk")
    page = await clerk.get(f"/figures?period={YEAR}")
    links = [unescape(link) for link in re.findall(r'href="(/figures/incidents[^"]*)"', page.text)]
    made = charts.charts(counted(year, YEAR), charts.places(year.desk.config.gazetteer))
    behind = {key: tally for chart in made for key, (_label, tally) in chart.behind.items()}
    assert len(links) == len(behind) > 50
    for link in links[::7]:
        answer = await clerk.get(link)
        tally = behind[link.rpartition("of=")[2]]
        shown = re.findall(r'<th scope="row"><a class="tap" href="/incident/([0-9-]+)"', answer.text)
        assert tuple(shown) == tally.incidents, link


async def test_of_what_is_sensitive_the_number_alone_is_named(year: Room) -> None:
    for role, link in (("clerk", True), ("readonly", False)):
        page = await year.browser(role).get(f"/figures/incidents?period={YEAR}&of=kinds.1.0")
        assert "〔2026〕0007" in page.words and "看不得" not in page.text
        assert ("/incident/2026-0007" in page.text) is link
        assert "&lt;b&gt;事" in page.text and "<b>事" not in page.text


async def test_a_period_without_data_says_so(year: Room) -> None:
    page = await year.browser("clerk").get("/figures?period=2019Q1")
    assert page.status == 200 and "2019年第一季度" in page.words and "无数据" in page.words and "<svg" not in page.text


@pytest.mark.parametrize("given", ["2026-13", "2026Q5", "abc", "2026-09/2026-10", "<script>alert(1)</script>", "9999", "0000", "٢٠٢٦", "x" * 3000])
async def test_what_is_no_period_is_told_with_what_is_allowed(year: Room, given: str) -> None:
    for path in ("/figures", "/figures/incidents"):
        page = await year.browser("clerk").get(f"{path}?period={quote(given)}")
        assert page.status == 400 and "2026Q3" in page.words and "<script>alert" not in page.text


@pytest.mark.parametrize("key", ["", "kinds", "kinds.99.0", "../etc", "<b>"])
async def test_a_number_that_is_not_there_is_said_so(year: Room, key: str) -> None:
    page = await year.browser("clerk").get(f"/figures/incidents?period={YEAR}&of={quote(key)}")
    assert page.status == 404 and "没有这项数据" in page.words


async def test_the_choice_offers_what_has_begun_and_the_neighbours(year: Room) -> None:
    page = await year.browser("clerk").get("/figures?period=2026-03")
    offered = re.findall(r'<option value="([^"]+)"', page.text)
    assert offered[:5] == ["2026", "2026Q1", "2026Q2", "2026Q3", "2026Q4"] and offered[-1] == "2026-11" and "2026-12" not in offered
    assert 'href="/figures?period=2026-02"' in page.text and 'href="/figures?period=2026-04"' in page.text
    assert 'href="/figures?period=2026-12"' not in (await year.browser("clerk").get("/figures?period=2026-11")).text


async def test_what_was_counted_is_kept_for_a_minute(year: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.console import figures

    asked: list[str] = []

    def gathered(tx: object, config: object, whole: object, now: object, **more: object) -> Gathered:
        asked.append(str(whole))
        return gather(tx, config, whole, now, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(figures, "gather", gathered)
    for seconds, times in ((0, 1), (30, 1), (40, 2), (-120, 3)):
        year.desk.at += timedelta(seconds=seconds)
        await year.browser("clerk").get("/figures?period=2026Q1")
        assert len(asked) == times, seconds
