"""Roster, directory, calendar and catalogue in the console: seen by all, changed by an operator, agreed to where conf says so."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from gateway.conf_book import Book
from gateway.conf_change import MOST_PAIRS, content, counted, diff
from gateway.console.conf import WORDS
from gateway.core.directory import Hours, OfficeRole, UnitRole
from gateway.faults import ConfError
from tests.console.room import PEOPLE, Browser, Room
from tests.people.desk import ROOT, Desk

EDIT = "/conf/directory/edit"
OLD, NEW = 'name = "王科长", phone = "+8613900000101"', 'name = "王科长", phone = "+8613900000109"'


class Reloaded(Room):
    """A console whose conf lies in a folder of its own, with the part of a daemon that reads it again."""

    def __init__(self, **section: Any) -> None:
        desk = Desk()
        self.folder = Path(tempfile.mkdtemp(prefix="conf-"))
        shutil.copytree(ROOT / "conf", self.folder, dirs_exist_ok=True)
        self.book = Book(self.folder)
        # What was written just now would be waited for.
        for path in self.folder.rglob("*"):
            os.utime(path, (1, 1))
        desk.config = dataclasses.replace(self.book.load(), links=desk.config.links)
        desk.live.config = desk.config
        super().__init__(desk, **section)
        self.services.tried = self.book.tried
        self.reloads: list[str] = []
        desk.live.daemon["reload"] = self._reload

    async def _reload(self, by: str) -> dict[str, Any]:
        self.reloads.append(by)
        try:
            self.desk.live.config = self.book.load()
        except ConfError as error:
            return {"reloaded": False, "faults": [{"file": f.file, "line": f.line, "fault": f.text} for f in error.faults]}
        return {"reloaded": True, "faults": []}

    def file(self, name: str = "directory.toml") -> str:
        return (self.folder / name).read_text("utf-8")


@pytest.fixture
def room() -> Iterator[Reloaded]:
    yield from _room()


@pytest.fixture
def two() -> Iterator[Reloaded]:
    """Conf says that two persons are needed."""
    yield from _room(conf_needs_two=True)


def _room(**section: Any) -> Iterator[Reloaded]:
    made = Reloaded(**section)
    yield made
    assert made.errors == []
    made.desk.store.close()
    shutil.rmtree(made.folder)


async def look(browser: Browser, path: str = EDIT, *, text: str | None = None, why: str = "换号", **more: str) -> Any:
    """Change the file's text as a person would, and look."""
    page = await browser.get(path)
    fields = {"base": page.field("base"), "file": page.field("file"), "why": why, "text": text or "", **more}
    return await browser.post(path.partition("?")[0], {"mark": browser.mark, "step": "look", **fields}), fields


async def write(browser: Browser, shown: Any, fields: dict[str, str], path: str = EDIT) -> Any:
    return await browser.post(path, {"mark": browser.mark, **fields, "step": "do", "ticket": shown.field("ticket")})


@pytest.mark.parametrize("role", PEOPLE)
async def test_everybody_sees_what_is_decided_by(room: Reloaded, role: str) -> None:
    browser = room.browser(role)
    for name, words in {
        "roster": ("何值班", "市委机要局"), "directory": ("王科长", "云台区"), "calendar": ("国庆节", "调休上班"), "catalogue": ("事故类-2",),
    }.items():  # fmt: skip
        page = await browser.get(f"/conf/{name}")
        assert page.status == 200 and all(word in page.words for word in words), name
        assert ("提议修改" in page.words) == (role == "operator"), name
    assert (await browser.get("/conf/secrets")).status == 404
    assert (await browser.get("/conf/..%2fgateway.toml")).status == 404


async def test_the_check_names_each_fault_with_file_and_line(room: Reloaded) -> None:
    reader = room.browser("readonly")
    page = await reader.post("/conf/check", {"mark": reader.mark})
    assert "没有错误" in page.words and "现已生效" in page.words
    (room.folder / "directory.toml").write_text(room.file().replace('hours = "working"', 'hours = "never"', 1), "utf-8")
    (room.folder / "roster.csv").write_text(room.file("roster.csv") + "市委机要局,没有此人,2026-12-01,2026-12-02,1\n", "utf-8")
    page = await reader.post("/conf/check", {"mark": reader.mark})
    line = next(n for n, text in enumerate(room.file().splitlines(), 1) if "never" in text)
    assert f"directory.toml:{line}" in page.words and "never" not in (await reader.get("/conf/directory")).words


async def test_a_change_is_shown_as_a_diff_written_once_and_in_force(room: Reloaded) -> None:
    operator = room.browser("operator")
    shown, fields = await look(operator, text=room.file().replace(OLD, NEW))
    assert shown.status == 200 and "13900000109" in shown.words
    lines = [line for line in shown.text.splitlines() if '<span class="come">+ ' in line or '<span class="gone">- ' in line]
    assert len(lines) == 2, "only what changes"
    assert OLD in room.file() and room.events("conf_changed") == [], "looking changes nothing"
    mode = (room.folder / "directory.toml").stat().st_mode
    done = await write(operator, shown, fields)
    assert done.status == 303 and NEW in room.file() and room.reloads == ["operator"]
    assert (room.folder / "directory.toml").stat().st_mode == mode
    assert "139****0109" not in (await operator.get("/conf/directory")).words and "13900000109" in (await operator.get("/conf/directory")).words
    [event] = room.events("conf_changed")
    assert event.by == "operator" and (event.data["file"], event.data["added"], event.data["removed"]) == ("directory.toml", 1, 1)
    assert event.data["why"] == "换号" and "1390000" not in str(event.data)
    again = await write(operator, shown, fields)
    assert again.status == 409 and len(room.events("conf_changed")) == 1
    assert not [path for path in room.folder.iterdir() if path.name.startswith(".")], "nothing is left over"


async def test_a_file_with_faults_is_refused_with_all_of_them_and_the_old_goes_on(room: Reloaded) -> None:
    operator, before = room.browser("operator"), room.file()
    bad = before.replace('hours = "working"', 'hours = "never"', 1).replace('role = "department"', 'role = "none"', 1)
    shown, fields = await look(operator, text=bad)
    assert shown.status == 409 and not shown.field("ticket")
    for word in ("never", "none"):
        number = next(n for n, text in enumerate(bad.splitlines(), 1) if f'"{word}"' in text)
        assert f"directory.toml:{number}" in shown.words
    assert (await write(operator, shown, fields)).status == 409 and room.file() == before and room.reloads == []
    no_toml, _fields = await look(operator, text="[[[")
    assert no_toml.status == 409 and "directory.toml:1" in no_toml.words


async def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(room: Reloaded) -> None:
    operator = room.browser("operator")
    shown, fields = await look(operator, text=room.file().replace(OLD, NEW))
    other = room.file() + "\n# by an editor\n"
    (room.folder / "directory.toml").write_text(other, "utf-8")
    late = await write(operator, shown, fields)
    assert late.status == 409 and "其间已被他人修改" in late.words and room.file() == other
    assert room.events("conf_changed") == []
    (room.folder / "directory.toml").unlink()
    assert (await write(operator, shown, fields)).status == 409 and content(room.folder / "directory.toml") is None


async def test_an_editor_who_is_quicker_by_an_instant_wins_and_the_record_says_so(room: Reloaded) -> None:
    operator, other = room.browser("operator"), room.file() + "\n# by an editor\n"
    shown, fields = await look(operator, text=room.file().replace(OLD, NEW))
    written = room.desk.store.write

    async def and_then_somebody_else_writes(step: Any) -> Any:
        done = await written(step)
        if len(room.events("conf_changed")) == 1 and not room.events("conf_declined"):
            (room.folder / "directory.toml").write_text(other, "utf-8")
        return done

    room.desk.store.write = and_then_somebody_else_writes  # type: ignore[method-assign]
    assert (await write(operator, shown, fields)).status == 409 and room.file() == other
    assert [e.event for e in room.events("conf_changed", "conf_declined")] == ["conf_changed", "conf_declined"]
    assert not [path for path in room.folder.iterdir() if path.name.startswith(".")]


async def test_of_two_operators_at_once_one_writes_and_the_other_is_told(room: Reloaded) -> None:
    room.add("second", "operator")
    first, second = room.browser("operator"), room.browser("second")
    looked = [await look(first, text=room.file().replace(OLD, NEW)), await look(second, text=room.file() + "\n# 备注\n")]
    answers = await asyncio.gather(*(write(one, *two) for one, two in zip((first, second), looked, strict=True)))
    assert sorted(answer.status for answer in answers) == [303, 409]
    assert (NEW in room.file()) != ("# 备注" in room.file()) and len(room.events("conf_changed")) == 1


async def test_a_ticket_is_good_for_the_text_that_was_looked_at(room: Reloaded) -> None:
    operator = room.browser("operator")
    shown, fields = await look(operator, text=room.file().replace(OLD, NEW))
    other = {**fields, "text": fields["text"].replace("王科长", "黄科长")}
    assert (await write(operator, shown, other)).status == 409
    assert (await write(operator, shown, {**fields, "why": "别的"})).status == 409
    assert OLD in room.file()
    empty, _fields = await look(operator, text=room.file().replace(OLD, NEW), why=" ")
    assert empty.status == 400 and "请填写：理由" in empty.words and not empty.field("ticket")


async def test_where_two_are_needed_a_leader_looks_at_the_same_diff_and_agrees(two: Reloaded) -> None:
    operator, leader = two.browser("operator"), two.browser("leader")
    shown, fields = await look(operator, text=two.file().replace(OLD, NEW))
    done = await write(operator, shown, fields)
    where = done.headers["location"]
    assert where.startswith("/conf/proposal/") and OLD in two.file() and two.reloads == []
    [asked] = two.events("conf_proposed")
    assert asked.by == "operator" and "1390000" not in str(asked.data)
    mine = await operator.post(where, {"mark": operator.mark, "step": "agree", "ticket": "x"})
    assert mine.status == 403, "an operator agrees to nothing"
    assert "13900000109" in (await two.browser("readonly").get(where)).words
    for path in ("/conf/roster", "/review"):
        assert where in (await leader.get(path)).text, "a leader is told where he looks"
    assert where not in (await two.browser("clerk").get("/review")).text
    page = await leader.get(where)
    agreed = await leader.post(where, {"mark": leader.mark, "step": "agree", "ticket": page.field("ticket")})
    assert agreed.status == 303 and NEW in two.file() and two.reloads == ["秦副市长"]
    [event] = two.events("conf_changed")
    assert (event.by, event.data["agreed"], event.data["proposal"]) == ("operator", "秦副市长", where.rpartition("/")[2])
    assert (await leader.get(where)).status == 404
    assert (await leader.post(where, {"mark": leader.mark, "step": "agree", "ticket": page.field("ticket")})).status == 404


async def test_a_proposal_is_declined_with_a_reason_or_taken_back_or_overtaken(two: Reloaded) -> None:
    operator, leader = two.browser("operator"), two.browser("leader")
    places = []
    for number in range(3):
        shown, fields = await look(operator, text=two.file() + f"\n# {number}\n")
        places.append((await write(operator, shown, fields)).headers["location"])
    assert (await leader.post(places[0], {"mark": leader.mark, "step": "decline"})).status == 400
    assert (await leader.post(places[0], {"mark": leader.mark, "step": "decline", "why": "无必要"})).status == 303
    assert (await operator.post(f"{places[1]}/drop", {"mark": operator.mark})).status == 303
    assert [e.data["why"] for e in two.events("conf_declined")] == ["无必要", "撤回"]
    page = await leader.get(places[2])
    (two.folder / "directory.toml").write_text(two.file() + "\n# by an editor\n", "utf-8")
    assert "提议之后文件已被修改" in (await leader.get(places[2])).words
    late = await leader.post(places[2], {"mark": leader.mark, "step": "agree", "ticket": page.field("ticket")})
    assert late.status == 409 and "# 2" not in two.file() and two.reloads == []


async def test_the_roster_is_taken_in_as_a_table_with_its_faults_by_line(room: Reloaded) -> None:
    operator, path = room.browser("operator"), "/conf/roster/edit"
    page = await operator.get(path)
    fields = {"mark": operator.mark, "step": "import", "file": "roster.csv", "base": page.field("base"), "why": "12月值班表"}
    table = "单位,姓名,起,止,顺序\n市委机要局,何值班,2026-12-24 18:00,2026-12-25 08:30,1\n"
    wrong = await operator.post(path, {**fields, "table": table + "市委机要局,张三,2026-13-40 18:00,2026-12-25 08:30,1\n"})
    assert wrong.status == 409 and "表格:3" in wrong.words and "张三" in wrong.words and "2026-13-40" in wrong.text
    shown = await operator.post(path, {**fields, "table": table})
    assert shown.status == 200 and "2026-12-24 18:00" in shown.words and shown.field("ticket")
    from html import unescape

    text = unescape(shown.text.partition('class="file">')[2].partition("</textarea>")[0]).lstrip("\n")
    done = await write(operator, shown, {**fields, "text": text, "how": "import"}, path)
    assert done.status == 303 and "2026-12-24 18:00" in room.file("roster.csv")
    [event] = room.events("conf_changed")
    assert event.data["how"] == "import" and event.data["file"] == "roster.csv"
    assert "何值班" in (await operator.get("/conf/roster?from=2026-12-24&days=1")).words


@pytest.mark.parametrize("value", ["2026-13-40", "9999-12-31", "<script>alert(1)</script>", "0001-01-01", "\x1b[31m", "2026-3-5", "一月"])
async def test_a_wrong_day_is_said_so(room: Reloaded, value: str) -> None:
    from urllib.parse import quote

    page = await room.browser("clerk").get(f"/conf/roster?from={quote(value)}&days=<7")
    assert page.status == 200 and "<script>alert" not in page.text and "\x1b" not in page.text
    assert ("不是日期" in page.words) == (value != "0001-01-01")


@pytest.mark.parametrize("value", ["<script>alert(1)</script></textarea>\"'{{ 7*7 }}", "a\x00b\x1b[31m\u202ec"], ids=["script", "control"])
async def test_what_is_typed_never_becomes_part_of_a_page(two: Reloaded, value: str) -> None:
    operator = two.browser("operator")
    shown, fields = await look(operator, text=two.file() + f"\n# {value}\n", why=value)
    assert shown.status == 200 and "<script>alert" not in shown.text and "\x1b" not in shown.text and "\u202e" not in shown.text
    done = await write(operator, shown, fields)
    for path in (done.headers["location"], "/conf/directory", "/audit"):
        page = await two.browser("leader" if path != "/audit" else "operator").get(path)
        assert "<script>alert" not in page.text and "\x1b" not in page.text, path
    bad, _fields = await look(operator, text=f'area_code = "{value}"\n')
    assert bad.status == 409 and "<script>alert" not in bad.text and "\x1b" not in bad.text


async def test_a_megabyte_is_refused(room: Reloaded) -> None:
    operator = room.browser("operator")
    plain, _fields = await look(operator, text="x" * 1_000_000)
    assert plain.status == 413 and "512 KB" in plain.words
    chinese, _fields = await look(operator, text="石" * 350_000)
    assert chinese.status == 413 and "2048 KB" in chinese.words
    page = await operator.get("/conf/roster/edit")
    table = {"mark": operator.mark, "step": "import", "file": "roster.csv", "base": page.field("base"), "table": "x" * 1_000_000}
    assert (await operator.post("/conf/roster/edit", table)).status == 413


@pytest.mark.parametrize(
    "name", ["gateway.toml", "../secrets/store-key", "calendar.d/../gateway.toml", "calendar.d/x.py", "/etc/passwd", "roster.csv\x00", "calendar.d/.x.toml"]
)
async def test_only_the_files_of_the_view_can_be_changed(room: Reloaded, name: str) -> None:
    operator = room.browser("operator")
    for path in ("/conf/calendar/edit", "/conf/directory/edit"):
        assert (await operator.get(f"{path}?file={name}")).status == 404, path
        fields = {"mark": operator.mark, "step": "look", "file": name, "base": "none", "text": "x", "why": "x"}
        answer = await operator.post(path, fields)
        assert answer.status == 404 or (name == "roster.csv\x00" and answer.status == 404), path
    assert (await operator.get("/conf/gateway/edit")).status == 404


async def test_a_year_that_is_not_known_yet_is_written_as_a_new_file(room: Reloaded) -> None:
    operator = room.browser("operator")
    page = await operator.get("/conf/calendar")
    assert "2027 年放假安排尚未录入" in page.words and "/conf/calendar/edit?file=calendar.d/2027.toml" in page.text
    text = 'year = 2027\ncomplete = true\n\n[[holiday]]\nname = "元旦"\nfrom = 2027-01-01\nto = 2027-01-03\n'
    shown, fields = await look(operator, "/conf/calendar/edit?file=calendar.d/2027.toml", text=text)
    assert shown.status == 200, shown.words
    assert (await write(operator, shown, fields, "/conf/calendar/edit")).status == 303
    assert room.file("calendar.d/2027.toml") == text and "2027" in (await operator.get("/conf/calendar")).words


async def test_line_ends_and_byte_order_mark_of_a_file_stay(room: Reloaded) -> None:
    path = room.folder / "roster.csv"
    path.write_bytes(b"\xef\xbb\xbf" + room.file("roster.csv").replace("\n", "\r\n").encode())
    os.utime(path, (1, 1))
    operator = room.browser("operator")
    shown, fields = await look(operator, "/conf/roster/edit", text=room.file("roster.csv").lstrip("\ufeff").replace("\r\n", "\n") + "# 备注\n")
    assert shown.status == 200 and "+1" not in shown.text
    assert (await write(operator, shown, fields, "/conf/roster/edit")).status == 303
    kept = path.read_bytes()
    assert kept.startswith(b"\xef\xbb\xbf") and kept.endswith("# 备注\r\n".encode()) and b"\n\n" not in kept.replace(b"\r\n", b"")
    [event] = room.events("conf_changed")
    assert (event.data["added"], event.data["removed"]) == (1, 0)


async def test_a_conf_that_may_not_be_written_says_so_and_hands_out_the_diff(room: Reloaded) -> None:
    operator = room.browser("operator")
    text = room.file().replace(OLD, NEW)
    before, root = os.stat(room.folder).st_mode, os.geteuid() == 0
    room.folder.chmod(0o555)
    for path in room.folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if root:
        os.seteuid(65534)
    try:
        shown, fields = await look(operator, text=text)
        assert "本机上网关不能写入配置" in shown.words and not shown.field("ticket")
        handed = await operator.post(EDIT, {"mark": operator.mark, **fields, "step": "diff"})
        forced = await write(operator, shown, fields)
    finally:
        if root:
            os.seteuid(0)
        room.folder.chmod(before)
        for path in room.folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert forced.status == 409 and OLD in room.file()
    assert handed.headers["content-disposition"] == 'attachment; filename="directory.toml.diff"'
    import subprocess

    subprocess.run(["patch", "-p1", "-s"], input=handed.body, cwd=room.folder, check=True)
    assert room.file() == text


def test_each_word_of_the_directory_has_a_text() -> None:
    sorts = {"office": OfficeRole, "unit": UnitRole, "staffed": Hours}
    assert set(WORDS) == {f"{name}: {one}" for name, sort in sorts.items() for one in get_args(sort)}


def test_a_diff_of_two_texts_that_share_nothing_takes_no_time() -> None:
    old, new = "\n".join(f"a{n % 7}" for n in range(9000)), "\n".join(f"b{n % 5}" for n in range(9000))
    assert MOST_PAIRS < 9000 * 9000
    lines = diff("x.toml", f"head\n{old}\ntail\n", f"head\n{new}\ntail\n")
    assert counted(lines) == (9000, 9000) and lines[3] == " head" and lines[-1] == " tail"
