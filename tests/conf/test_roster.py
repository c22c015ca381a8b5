"""The roster itself: clerks and leaders, holes by hours and calendar, what stays at an import, and what contradicts itself."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import i18n
from gateway.conf_load import load
from gateway.core import roster_csv, roster_table
from gateway.core.calendar import Calendar
from gateway.core.directory import Directory, Office, Person
from gateway.core.roster import Duty, Roster, holes, needing, outside
from gateway.core.roster_time import Wrong, moment
from gateway.host import Host
from gateway.roster_text import _words, faults_of, letters

ROOT = Path(__file__).parents[2]
ZONE = ZoneInfo("Asia/Shanghai")
DAY = datetime(2026, 3, 2, tzinfo=ZONE)
"""A Monday."""


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.use("en")
    yield
    i18n.use("zh")


def person(name: str, phone: str = "") -> Person:
    return Person(name=name, phone=phone)


DESK = Office(id="desk", name="信息科", hours="working", persons=(person("王科长"), person("冯科长", "1"), person("李四", "7")))
NIGHT = Office(
    id="night", name="值班室", hours="out", persons=(person("何值班"), person("邓值班"), person("卢局长"), person("冯科长", "2"))
)
ROUND = Office(id="round", name="政务值班室", persons=(person("何值班"), person("罗值班"), person("李四", "7")))
POLICE = Office(id="police", name="公安局", role="department", persons=(person("曾值班"),))
OFFICES = (DESK, NIGHT, ROUND)
DIRECTORY = Directory.of([*OFFICES, POLICE, Office(id="empty", name="空")])
CALENDAR = Calendar(
    timezone="Asia/Shanghai",
    hours=((510, 720), (870, 1080)),
    years=frozenset({2026}),
    holidays={date(2026, 3, 6): "节"},
    workdays={date(2026, 3, 7): "节"},
)


def hours(after: float) -> datetime:
    return DAY + timedelta(hours=after)


def turn(start: float, end: float, who: str = "何值班", office: str = "night", **more: object) -> Duty:
    return Duty(**{"start": hours(start), "end": hours(end), "person": who, "office": office, "order": 1, **more})  # type: ignore[arg-type]


def csv(*lines: str, head: str = "office,person,from,to,order,role,shift") -> str:
    return "\n".join((head, *lines))


def read(text: str) -> tuple[Roster, list[tuple[int, str, str]]]:
    found, faults = roster_csv.parse(text, DIRECTORY, ZONE)
    return found, [(f.line, f.column, f.what) for f in faults]


# --- who is on duty


def test_clerks_are_called_in_order_and_leaders_are_apart() -> None:
    found = Roster((turn(0, 8, "邓值班", order=2), turn(0, 8, "卢局长", role="leader"), turn(0, 8), turn(8, 16, "邓值班")))
    assert found.on_duty("night", hours(0)) == ("何值班", "邓值班")
    assert found.leaders("night", hours(0)) == ("卢局长",)
    assert (found.on_duty("night", hours(8)), found.leaders("night", hours(8))) == (("邓值班",), ())
    assert found.on_duty("night", hours(16)) == found.leaders("desk", hours(0)) == ()


TURNS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, 90), st.integers(1, 3), st.sampled_from(["clerk", "leader"])), max_size=12
)


@given(TURNS, st.integers(-10, 300))
def test_a_look_up_finds_what_a_look_through_all_turns_finds(drawn: list[tuple[int, int, int, str]], when: int) -> None:
    duties = [turn(s, s + length, f"p{n}", order=o, role=r) for n, (s, length, o, r) in enumerate(drawn)]
    found, at = Roster(tuple(sorted(duties))), hours(when)
    slow = sorted((d for d in duties if d.start <= at < d.end), key=lambda d: (d.order, d.start))
    for role, asked in (("clerk", found.on_duty), ("leader", found.leaders)):
        expected = [(d.order, d.start) for d in slow if d.role == role]
        names = asked("night", at)
        assert [(duties[int(n[1:])].order, duties[int(n[1:])].start) for n in names] == expected


# --- holes


def found_holes(*duties: Duty, offices: tuple[Office, ...] = OFFICES, days: float = 1) -> list[tuple[str, float, float]]:
    found = holes(Roster(tuple(sorted(duties))), offices, CALENDAR, DAY, DAY + timedelta(days=days))
    return [(h.office, (h.start - DAY) / timedelta(hours=1), (h.end - DAY) / timedelta(hours=1)) for h in found]


def test_an_office_needs_a_clerk_in_its_own_hours() -> None:
    assert found_holes(offices=(DESK,)) == [("desk", 8.5, 12), ("desk", 14.5, 18)]
    assert found_holes(offices=(NIGHT,)) == [("night", 0, 8.5), ("night", 12, 14.5), ("night", 18, 24)]
    assert found_holes(offices=(ROUND,)) == [("round", 0, 24)]
    friday = [h for h in found_holes(offices=(DESK,), days=7) if h[1] >= 96]
    assert friday == [("desk", 128.5, 132), ("desk", 134.5, 138)], "the holiday has none, the Saturday worked in exchange has"


def test_a_turn_fills_a_hole_to_the_minute_and_a_leader_none() -> None:
    assert found_holes(turn(0, 8), turn(8, 20, "邓值班"), turn(20, 24), offices=(NIGHT,)) == []
    assert found_holes(turn(0, 8.25), turn(20, 23), offices=(NIGHT,)) == [
        ("night", 8.25, 8.5), ("night", 12, 14.5), ("night", 18, 20), ("night", 23, 24),
    ]  # fmt: skip
    assert found_holes(turn(0, 24, role="leader"), offices=(ROUND,)) == [("round", 0, 24)]


def test_an_unknown_year_counts_as_out_of_hours() -> None:
    start = datetime(2026, 12, 31, 12, tzinfo=ZONE)
    found = holes(Roster(), (DESK,), CALENDAR, start, start + timedelta(days=7))
    assert [(h.start.hour, h.end.hour, h.end.day) for h in found] == [(14, 18, 31)]


def test_offices_that_receive_or_are_in_the_roster_need_somebody() -> None:
    assert [o.id for o in needing(Roster(), DIRECTORY)] == ["desk", "night", "round"]
    assert [o.id for o in needing(Roster((turn(0, 8, "曾值班", "police"),)), DIRECTORY)] == ["desk", "night", "round", "police"]


@given(TURNS, st.integers(0, 9 * 24 * 60 - 1))
def test_holes_are_just_the_instants_that_are_not_covered(drawn: list[tuple[int, int, int, str]], minute: int) -> None:
    duties = [turn(s, s + n, f"p{i}", OFFICES[(s + n) % 3].id, order=o, role=r) for i, (s, n, o, r) in enumerate(drawn)]
    found, at = Roster(tuple(sorted(duties))), DAY + timedelta(minutes=minute)
    empty = holes(found, OFFICES, CALENDAR, DAY, DAY + timedelta(days=9))
    assert all(h.start < h.end for h in empty)
    for office in OFFICES:
        working = CALENDAR.moment(at).working
        staffed = office.hours == "always" or (office.hours == "working") == working
        inside = [h for h in empty if h.office == office.id and h.start <= at < h.end]
        assert len(inside) == (staffed and not found.on_duty(office.id, at)), (office.id, at, empty)


# --- what stays when a part is imported


def test_what_lies_outside_the_imported_span_stays_and_is_cut_at_its_edges() -> None:
    old = [
        (turn(0, 100), "a"),
        (turn(0, 100, "卢局长", role="leader"), "b"),
        (turn(20, 30, "罗值班", "round"), "c"),
        (turn(22, 26, "邓值班"), "d"),
    ]
    new = [turn(20, 24), turn(26, 40, "邓值班")]
    stays = outside(old, new)
    assert stays == [(turn(0, 20), "a"), (turn(40, 100), "a"), old[1], old[2]]
    assert outside(old, []) == old


@given(TURNS, TURNS)
def test_an_import_changes_nothing_outside_its_span(
    before: list[tuple[int, int, int, str]], after: list[tuple[int, int, int, str]]
) -> None:
    old = [turn(s, s + n, f"o{i}", order=o, role=r) for i, (s, n, o, r) in enumerate(before)]
    new = [turn(s, s + n, f"n{i}", order=o, role=r) for i, (s, n, o, r) in enumerate(after)]
    was, now = Roster(tuple(sorted(old))), Roster(tuple(sorted([*(d for d, _ in outside([(d, 0) for d in old], new)), *new])))
    for half in range(-1, 600):
        at = hours(half / 2)
        for role, asked in (("clerk", Roster.on_duty), ("leader", Roster.leaders)):
            inside = tuple(d for d in new if d.role == role)
            covered = inside and min(d.start for d in inside) <= at < max(d.end for d in inside)
            # Turns that hold one place of the order may be called either way; a valid roster has none.
            assert set(asked(now, "night", at)) == set(asked(Roster(inside) if covered else was, "night", at))


# --- the table


def test_the_header_may_be_chinese_and_in_any_order() -> None:
    text = "江州市值班表,,,,,,\n,,,,,,\n# 班次,姓名,起\n 班次 ,止,起,姓 名,单位,顺序,角色\n夜班,2026/3/3 8:30,2026年3月2日18时,何　值班,值 班 室,1,带班领导"
    found, faults = read(text)
    assert faults == []
    assert found.duties == (turn(18, 32.5, role="leader", shift="夜班"),)


def test_a_file_of_five_columns_is_read_as_before() -> None:
    found, faults = read(csv("night,何值班,2026-03-02,2026-03-02T08:30,1", head="office,person,from,to,order"))
    assert (found.duties, faults) == ((turn(0, 8.5),), [])


@pytest.mark.parametrize(
    ("line", "column", "what"),
    [
        ("nigth,何值班,2026-03-02 18:00,2026-03-03 08:30,1", "office", "office"),
        ("night,张三,2026-03-02 18:00,2026-03-03 08:30,1", "person", "person"),
        ("night,王科长,2026-03-02 18:00,2026-03-03 08:30,1", "person", "elsewhere"),
        ("night,何值班,2026-02-27 18:00,2026-02-30 08:30,1", "to", "day"),
        ("night,何值班,2026-13-01 18:00,2026-12-31 08:30,1", "from", "month"),
        ("night,何值班,2026-00-01 18:00,2026-12-31 08:30,1", "from", "month"),
        ("night,何值班,2026-03-02 18:00,2026-03-02 24:00,1", "to", "midnight"),
        ("night,何值班,2026-03-02 25:00,2026-03-03 08:30,1", "from", "clock"),
        ("night,何值班,2026-03-02 18:60,2026-03-03 08:30,1", "from", "clock"),
        ("night,何值班,2026-03-02 18:00,2026-03-02 08:30,1", "to", "reversed"),
        ("night,何值班,2026-03-02 18:00,2026-03-02 18:00,1", "to", "reversed"),
        ("night,何值班,2026-03-02 18:00Z,2026-03-03 08:30,1", "from", "offset"),
        ("night,何值班,20260302T1800+0800,2026-03-03 08:30,1", "from", "offset"),
        ("night,何值班,0026-03-02 18:00,2026-03-03 08:30,1", "from", "year"),
        ("night,何值班,今晚,2026-03-03 08:30,1", "from", "form"),
        ("night,何值班,18:00,2026-03-03 08:30,1", "from", "form"),
        ("night,何值班,46083.75,2026-03-03 08:30,1", "from", "form"),
        ("night,何值班,2026-03-02 18:00,2026-03-03 08:30,first", "order", "order"),
        ("night,何值班,2026-03-02 18:00,2026-03-03 08:30,-1", "order", "order"),
        ("night,何值班,2026-03-02 18:00,2026-03-03 08:30," + "9" * 5000, "order", "order"),
        ("night,何值班,2026-03-02 18:00,2026-03-03 08:30,1,chief", "role", "role"),
        ("night,何值班,2026-03-02 18:00,2026-03-03 08:30,1,,夜\x07班", "shift", "shift"),
        ("night,何值班,2026-03-02 18:00,2026-03-03 08:30,1,,夜班,电话", "", "surplus"),
        ("night,,2026-03-02 18:00,2026-03-03 08:30,1", "person", "empty"),
        ("#REF!,何值班,2026-03-02 18:00,2026-03-03 08:30,1", "office", "office"),
    ],
)
def test_each_fault_is_named_with_its_line_and_column(line: str, column: str, what: str) -> None:
    found, faults = read(csv("# a remark", line, "night,邓值班,2026-03-02 18:00,2026-03-03 08:30,1"))
    assert faults == [(3, column, what)]
    assert [duty.person for duty in found.duties] == ["邓值班"], "the line beside it stays"


@pytest.mark.parametrize(
    ("head", "faults"),
    [
        ("office,person,from,to", [(1, "order", "missing")]),
        ("office,person,from,to,order,姓名", [(1, "person", "again")]),
        ("office,person,from,to,order,phone", [(1, "", "unknown")]),
        ("a,b,c,d,e", [(1, "", "header")]),
        ("", [(1, "", "header")]),
    ],
)
def test_faults_of_the_header(head: str, faults: list[tuple[int, str, str]]) -> None:
    assert read(csv("night,何值班,2026-03-02 18:00,2026-03-03 08:30,1", head=head)) == (Roster(), faults)


CLASHES = {
    "place": (("night", "何值班", 0, 8, "1,"), ("night", "邓值班", 7, 9, "1,"), "place"),
    "person twice": (("night", "何值班", 0, 8, "1,"), ("night", "何值班", 7, 9, "2,"), "double"),
    "line twice": (("night", "何值班", 0, 8, "1,"), ("night", "何值班", 0, 8, "1,"), "place"),
    "two offices": (("night", "何值班", 0, 8, "1,"), ("round", "何值班", 7, 9, "1,"), "offices"),
    "two offices, one number": (("desk", "李四", 0, 8, "1,"), ("round", "李四", 7, 9, "1,"), "offices"),
    "one name, two numbers": (("desk", "冯科长", 0, 8, "1,"), ("night", "冯科长", 7, 9, "1,"), None),
    "one after the other": (("night", "何值班", 0, 8, "1,"), ("round", "何值班", 8, 9, "1,"), None),
    "clerk and leader": (("night", "何值班", 0, 8, "1,"), ("night", "何值班", 0, 8, "1,leader"), None),
}


@pytest.mark.parametrize("name", CLASHES)
def test_lines_that_contradict_each_other_are_named_with_both(name: str) -> None:
    *rows, what = CLASHES[name]
    lines = [f"{o},{p},2026-03-02 {s:02}:00,2026-03-02 {e:02}:00,{rest}" for o, p, s, e, rest in rows]
    for order in (lines, lines[::-1]):
        found, faults = roster_csv.parse(
            csv(order[0], "desk,王科长,2026-03-02 00:00,2026-03-03 00:00,9", order[1]), DIRECTORY, ZONE
        )
        assert [(f.line, f.what, f.where.line if f.where else 0) for f in faults] == ([(4, what, 2)] if what else [])
        assert len(found.duties) == (2 if what else 3)
        for _at, _head, text in faults_of(faults, DIRECTORY):
            assert "roster.csv:2 (2026-03-02 0" in text


def test_a_long_turn_contradicts_one_that_is_not_its_neighbour() -> None:
    _found, faults = read(csv(*(f"night,{p},2026-03-02 {s:02}:00,2026-03-02 {e:02}:00,{n}" for p, s, e, n in [
        ("何值班", 0, 20, 1), ("邓值班", 1, 2, 2), ("邓值班", 3, 4, 2), ("邓值班", 19, 21, 1)])))  # fmt: skip
    assert faults == [(5, "order", "place")]


def test_every_word_of_the_table_has_its_text() -> None:
    assert set(_words()) == set(roster_table.WHATS)


def test_columns_of_a_sheet_have_their_letters() -> None:
    assert [letters(n) for n in (0, 6, 25, 26, 701, 702)] == ["A", "G", "Z", "AA", "ZZ", "AAA"]


# --- times


@pytest.mark.parametrize("text", [
    "2026-03-02 08:05", "2026-3-2 8:05", "2026/03/02 08:05", "2026.3.2 8:05", "2026年3月2日8时5分", "2026年3月2日 8点05分", "2026年3月2日08:05",
    "2026-03-02T08:05", "２０２６-０３-０２　０８：０５", "20260302T0805", "2026-03-02 08:05:00",
])  # fmt: skip
def test_forms_of_one_time(text: str) -> None:
    assert moment(text) == datetime(2026, 3, 2, 8, 5)


@given(
    st.text(max_size=30) | st.from_regex(r"[0-9]{4}[-/年][0-9]{1,2}[-/月][0-9]{1,2}日?[ T]?[0-9]{1,2}:[0-9]{2}", fullmatch=True)
)
def test_any_cell_is_a_time_or_says_why_not(text: str) -> None:
    found = moment(text)
    assert (isinstance(found, Wrong) and found.what in roster_table.WHATS) or (
        isinstance(found, datetime) and found.tzinfo is None
    )


# --- written and read again

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
LABELS = (
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=20)
    .map(str.strip)
    .filter(str.isprintable)
)


@st.composite
def rosters(draw: st.DrawFn) -> tuple[Directory, Roster]:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=roster_table.plain))
    offices = [Office(id=f"office{n}", name=f"单位{n}", persons=tuple(person(f"{name}{n}") for name in names)) for n in range(2)]
    duties = []
    for office in offices:
        for who in office.persons:
            at = draw(st.datetimes(datetime(2000, 1, 1), datetime(2190, 1, 1)))
            for _turn in range(draw(st.integers(0, 3))):
                end = at + draw(st.timedeltas(timedelta(microseconds=1), timedelta(days=60)))
                span = {"start": at.replace(tzinfo=ZONE), "end": end.replace(tzinfo=ZONE)}
                role, shift = draw(st.sampled_from(["clerk", "leader"])), draw(LABELS)
                duties.append(Duty(office=office.id, person=who.name, order=len(duties), role=role, shift=shift, **span))
                at = end
    return Directory.of(offices), Roster(tuple(sorted(duties)))


@given(rosters())
def test_what_is_written_is_read_again(drawn: tuple[Directory, Roster]) -> None:
    directory, made = drawn
    assert roster_csv.parse(roster_csv.render(made, ['# 备注, "x"']), directory, ZONE) == (made, [])


# --- the example


def test_the_example_has_two_clerks_and_a_leader_at_every_instant_of_two_years() -> None:
    config = load(ROOT / "conf", Host.load(), today=date(2026, 3, 5))
    start, end = datetime(2026, 1, 1, tzinfo=ZONE), datetime(2028, 1, 1, tzinfo=ZONE)
    named = ("committee_office", "government_office", "confidential_bureau", "government_duty_room", "committee_duty_room",
             "secretary_general_committee", "secretary_general_government", "leading_group")  # fmt: skip
    offices = [Office(id=name, name=name) for name in named]
    assert holes(config.roster, offices, config.calendar, start, end) == ()
    assert holes(config.roster, offices, config.calendar, start, end + timedelta(minutes=1)) != ()
    for name in named:
        for at in (start, start + timedelta(days=399, minutes=7), end - timedelta(seconds=1)):
            assert len(config.roster.on_duty(name, at)) >= 2
            assert config.roster.leaders(name, at)


def test_the_persons_of_the_example_have_numbers_of_their_own() -> None:
    book = tomllib.loads((ROOT / "conf" / "directory.toml").read_text("utf-8"))
    people = [p for o in book["office"] for p in o.get("persons", ())] + [
        p for u in book["unit"] for p in u.get("informants", ())
    ]
    for key in ("name", "phone"):
        assert len({p[key] for p in people}) == len(people)
