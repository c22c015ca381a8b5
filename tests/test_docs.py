"""The pages in docs/ agree with the code, and no link in them is dead."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest

from gateway import docs
from gateway.cli import COMMANDS
from gateway.core import events, lifecycle, model, render
from gateway.store import journal

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("name", docs.pages())
def test_a_generated_page_is_as_the_code_makes_it(name: str) -> None:
    assert (ROOT / "docs" / name).read_text("utf-8") == docs.pages()[name](), "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_readmes_start_with_the_two_commands(readme: str) -> None:
    lines = (ROOT / readme).read_text("utf-8").splitlines()
    first = [line.split("#")[0].strip() for line in lines[:8] if line.startswith("make")]
    assert first == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert all(re.search(rf"^{c.removeprefix('make ')}:", makefile, re.M) for c in first)


def test_every_command_in_the_pages_exists() -> None:
    for page in PAGES:
        for name in re.findall(r"(?:^|[`/ ])gateway (?:--conf \S+ )?([a-z]+(?:-[a-z]+)*)\b", page.read_text("utf-8"), re.M):
            if f"`gateway {name}" in page.read_text("utf-8") or f"bin/gateway --conf run/demo {name}" in page.read_text("utf-8"):
                assert name in COMMANDS, f"{page.name}: gateway {name}"


def test_states_and_events_are_published() -> None:
    states, audit = (ROOT / "docs/states.md").read_text("utf-8"), (ROOT / "docs/audit.md").read_text("utf-8")
    assert lifecycle.markdown().strip() in states
    assert events.markdown().strip() in audit


def test_the_published_states_are_the_closed_sets_of_the_model() -> None:
    for table, states in (
        ("messages", model.MessageState),
        ("deliveries", model.DeliveryState),
        ("incidents", model.IncidentState),
    ):
        assert set(lifecycle.TABLES[table]) == set(states.__args__)  # type: ignore[attr-defined]


def test_every_event_that_the_code_emits_is_in_the_vocabulary() -> None:
    emitted = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        emitted |= set(re.findall(r'event="([a-z_]+)"', path.read_text("utf-8")))
    assert emitted
    assert emitted <= set(events.EVENTS)


def test_every_placeholder_of_a_template_is_filled(explained: model.Incident) -> None:
    from datetime import UTC, datetime

    values = render.incident_values(explained, city="江州市", received_at=datetime.now(UTC), channel="sms", sender="1")
    assert set(values) | {"pages", "office", "because", "link", "signed"} == set(render.NAMES)


@pytest.fixture(scope="module")
def explained() -> model.Incident:
    """An incident that the pipeline itself made."""
    from gateway import explain, house
    from gateway.conf_load import load
    from gateway.host import Host
    from gateway.store import incidents

    made = house.build(load(ROOT / "conf", Host.load(ROOT / "conf")), bureau_public=explain.throwaway_key())
    explainer = explain.Explainer(made)
    line = {
        "id": "1", "channel": "sms", "received_at": "2026-03-06T15:20:00+08:00", "sender": "+8613800000002",
        "text": "云台区政府办报告：今日14时50分许，云台区新华路一仓库发生火灾，造成1人死亡、4人受伤，直接损失约80万元。报告人：李军",
    }  # fmt: skip
    shown = explainer.explain(line)
    assert shown["action"] == "new"
    events_ = explainer._store.read_now(journal.entries)
    assert [e.event.event for e in events_][:2] == ["accepted", "registered"]
    return explainer._store.read_now(lambda tx: incidents.get(tx, shown["incident"]))


def test_real_output_validates_against_the_published_schema(explained: model.Incident) -> None:
    published = msgspec.json.decode((ROOT / "docs" / docs.SCHEMA).read_bytes())
    checker = jsonschema.Draft202012Validator({**published, "anyOf": [{"$ref": "#/$defs/Incident"}]})
    real = msgspec.json.decode(msgspec.json.encode(explained))
    checker.validate(real)
    assert real["report"]["deaths"]["evidence"]
    broken = {**real, "state": "somewhere"}
    assert list(checker.iter_errors(broken)), "the schema must be able to refuse"


def test_the_worked_example_of_reading_is_what_explain_prints() -> None:
    page = (ROOT / "docs" / "reading.md").read_text("utf-8")
    text, facts = re.findall(r"```text\n(.*?)\n```", page, re.DOTALL)
    command = [sys.executable, "-m", "gateway", "--conf", str(ROOT / "conf"), "explain", "--at", "2026-03-06T09:20+08:00"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True, env={**os.environ, "COLUMNS": "160"})
    assert f"\n{facts}\n" in done.stdout.decode()


def test_every_module_of_reading_that_the_page_names_exists() -> None:
    page = (ROOT / "docs" / "reading.md").read_text("utf-8")
    named = {name for group in re.findall(r"\((`[a-z`, ]+`)\)", page) for name in re.findall(r"`([a-z]+)`", group)}
    assert named > {"figures", "times"}
    assert not [name for name in named if not (ROOT / "gateway" / "reading" / f"{name}.py").is_file()]
