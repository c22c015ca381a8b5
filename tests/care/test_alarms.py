"""The table of alarms is closed: what the code raises is in it, and each kind has its page."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import alarms
from gateway.alarms import KINDS
from gateway.core import events
from gateway.core.model import Event
from gateway.store.maintenance import Window

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "runbook"
NOW = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
HEADS = ("## What it means · 含义", "## At risk · 风险", "## Now · 处置", "## It is over when · 恢复判据")


def raised() -> Iterator[tuple[str, str]]:
    """Every kind that stands in a call of ``raise_`` or ``alarms.fields``, in a ``Warn`` of the duty, and what is written down as
    an ``alarm`` without them."""
    for folder in ("gateway", "plugins"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                words = {word.arg: word.value for word in node.keywords}
                texts = [one.value for one in (*node.args, *words.values()) if isinstance(one, ast.Constant)]
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if (
                    name in ("Event", "emit", "_emit")
                    and "alarm" in texts
                    and not (path.name == "alarms.py" or made_of_fields(words))
                ):
                    yield f"an alarm that alarms.fields did not make ({where})", where
                if name == "Warn" and isinstance(words.get("what"), ast.Constant):
                    yield words["what"].value, where  # type: ignore[attr-defined]
                if not isinstance(node.func, ast.Attribute) or not node.args:
                    continue
                owner = node.func.value
                if node.func.attr == "raise_" or (
                    node.func.attr in ("fields", "covers") and isinstance(owner, ast.Name) and owner.id == "alarms"
                ):
                    first = node.args[1 if node.func.attr == "covers" else 0]
                    if isinstance(first, ast.Constant):
                        yield first.value, where


def made_of_fields(words: dict[str | None, ast.expr]) -> bool:
    """Whether the data of an event come from ``alarms.fields``, at once or by a variable of that name."""
    return any("fields(" in ast.unparse(value) or ast.unparse(value) == "data" for value in words.values())


def test_every_alarm_that_is_raised_is_in_the_table_and_has_its_page() -> None:
    found = dict(raised())
    assert {"storage", "delivery", "secrecy", "plugin", "start", "unacknowledged"} <= set(found), "the control: the search finds what is there"
    assert {kind: where for kind, where in found.items() if kind not in KINDS} == {}
    for kind in KINDS:
        text = (RUNBOOK / f"{kind}.md").read_text("utf-8")
        assert f"Alarm `{kind}`." in text
        assert [line for line in text.splitlines() if line.startswith("## ")] == list(HEADS), kind
        assert any("\u4e00" <= char <= "\u9fff" for char in text.splitlines()[0]), "a Chinese heading beside the English one"


def test_no_page_is_left_over_and_the_list_names_all() -> None:
    assert {path.stem for path in RUNBOOK.glob("*.md")} - {"README"} == set(KINDS)
    listed = (RUNBOOK / "README.md").read_text("utf-8")
    for kind, about in KINDS.items():
        covered = "yes" if about.covered else "never"
        assert f"| [`{kind}`]({kind}.md) | {about.en} · {about.zh} | {covered} |" in listed


def test_the_event_names_the_page() -> None:
    data = alarms.fields("delivery", "no way left", destination="x")
    assert data["page"] == "runbook/delivery.md"
    assert events.check(Event(at=NOW, event="alarm", data=data)).data["page"] == "runbook/delivery.md"
    assert alarms.page("something else") == "runbook/README.md"


def window(channel: str | None = None, minutes: int = 10) -> Window:
    return Window(id="w", start=NOW, until=NOW + timedelta(minutes=minutes), channel=channel, why="y", by="b", after=0)


@pytest.mark.parametrize("kind", KINDS)
def test_maintenance_covers_carriers_and_peers_and_nothing_that_keeps_reports(kind: str) -> None:
    assert alarms.covers((window(),), kind, {}, NOW) == (
        kind in {"delivery", "channel", "plugin", "start", "stuck", "transport", "canary", "witness"}
    )
    assert not alarms.covers((), kind, {}, NOW)
    assert not alarms.covers((window(),), kind, {}, NOW + timedelta(minutes=10)), "half open: its end is out of it"


def test_maintenance_of_one_channel_covers_that_channel_alone() -> None:
    only = (window("sms"),)
    assert alarms.covers(only, "plugin", {"plugin": "sms"}, NOW)
    assert alarms.covers(only, "delivery", {"transport": "sms", "destination": "d"}, NOW)
    assert not alarms.covers(only, "plugin", {"plugin": "mail"}, NOW)
    assert not alarms.covers(only, "plugin", {}, NOW)
