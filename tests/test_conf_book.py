"""A configuration that is read again: files that are still being written, what did not change, plugins whose code did."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gateway.conf_book import Book
from gateway.conf_files import SETTLE_SECONDS, Unsteady, steady
from gateway.faults import ConfError
from gateway.reload import plan
from tests.toys import CONFIG, SHIPPED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped conf that was written long ago."""
    made = Path(shutil.copytree(SHIPPED, tmp_path / "conf", ignore=shutil.ignore_patterns("__pycache__")))
    for path in made.rglob("*"):
        os.utime(path, (1, 1))
    return made


def test_a_file_that_changes_while_others_are_read_is_read_again(folder: Path) -> None:
    whole = (folder / "clocks.toml").read_bytes()
    (folder / "clocks.toml").write_bytes(whole[:100])
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds
        if len(slept) == 2:
            (folder / "clocks.toml").write_bytes(whole)
            os.utime(folder / "clocks.toml", (1, 2))

    os.utime(folder / "clocks.toml", (0, 0))
    assert steady(folder, clock=lambda: now[0], sleep=sleep)["clocks.toml"] == whole
    assert SETTLE_SECONDS <= sum(slept) < 1


def test_a_file_that_never_settles_is_named(folder: Path) -> None:
    now, count = [1e9], [0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        count[0] += 1
        os.utime(folder / "directory.toml", (now[0], now[0]))

    os.utime(folder / "directory.toml", (now[0], now[0]))
    with pytest.raises(Unsteady) as raised:
        steady(folder, clock=lambda: now[0], sleep=sleep)
    assert raised.value.names == ("directory.toml",) and 50 < count[0] < 500


def test_what_did_not_change_is_not_made_anew(folder: Path) -> None:
    book = Book(folder)
    first = book.load()
    (folder / "clocks.toml").write_text((folder / "clocks.toml").read_text() + "\n# a remark\n")
    os.utime(folder / "clocks.toml", (2, 2))
    second = book.load()
    assert second.catalogue is first.catalogue and second.words is first.words
    assert second.digest != first.digest and plan(first, second).changed == ()


def test_changed_code_of_a_plugin_waits_for_a_restart_and_new_code_is_loaded(folder: Path) -> None:
    source = (
        "from gateway.api import Settings, hookimpl\n\nclass {0}:\n    kind = '{0}'\n    Settings = Settings\n    mark = {1}\n"
        "    def __init__(self, name, settings): pass\n    def route(self, incident, moment, directory): return []\n\n"
        "@hookimpl\ndef routers(): return [{0}]\n"
    )
    (folder / "plugins.d").mkdir()
    (folder / "plugins.d" / "one.py").write_text(source.format("one", 1))
    (folder / "routes.d" / "zz.toml").write_text('[router.first]\nkind = "one"\n')
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    book = Book(folder)
    first = book.load()
    (folder / "plugins.d" / "one.py").write_text(source.format("one", 2))
    (folder / "plugins.d" / "two.py").write_text(source.format("two", 1))
    (folder / "routes.d" / "zz.toml").write_text('[router.first]\nkind = "one"\n[router.second]\nkind = "two"\n')
    for path in folder.rglob("*"):
        os.utime(path, (2, 2))
    second = book.load()
    assert book.waiting == ("plugins.d/one.py",)
    assert [c.cls.mark for c in second.routers if c.name in ("first", "second")] == [1, 1]
    assert plan(first, second).parts == ("routers",)


def test_a_refused_conf_leaves_the_book_as_it_was(folder: Path) -> None:
    book = Book(folder)
    first = book.load()
    (folder / "catalogue.toml").write_text("[[item]\n")
    (folder / "directory.toml").write_text("office = 3\n")
    for name in ("catalogue.toml", "directory.toml"):
        os.utime(folder / name, (2, 2))
    with pytest.raises(ConfError) as raised:
        book.load()
    assert {fault.file for fault in raised.value.faults} >= {"catalogue.toml", "directory.toml"}
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    assert plan(first, book.load()).changed == ()


def test_a_byte_order_mark_is_taken(folder: Path) -> None:
    for name in ("gateway.toml", "roster.csv", "templates/report.txt"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (SHIPPED / name).read_bytes())
    assert plan(CONFIG, Book(folder).load()).parts == ()


def test_a_broken_plugin_is_named_before_what_follows_from_it(folder: Path) -> None:
    (folder / "plugins.d").mkdir()
    (folder / "plugins.d" / "pager.py").write_text("import nothing_of_that_name\n")
    (folder / "channels.d" / "aa.toml").write_text('[transport.pager]\nkind = "to_pager"\n')
    with pytest.raises(ConfError) as raised:
        Book(folder).load()
    assert [fault.file for fault in raised.value.faults] == ["plugins.d/pager.py", "channels.d/aa.toml"]
