"""The corpus: short messages by group of trap and channel, each with what must be made of it.

Every line of corpus/*.jsonl goes through the same steps as ``explain --json --batch``. Lines that share ``stream`` are one
stream, in the order of the file; every other line stands alone. ``expect`` holds only what is asserted:

- a figure: a number, null (not stated, or stated as unknown), or {"value", "qualifier", "low", "max", "others", "why"};
- ``kind``, ``drill``, ``noise``, ``correction``, ``unit``, ``reporter``, ``signed_by``, ``phone``, ``cause``: as in the report;
- ``occurred``: the value; ``place``: an object, level by level; ``marking``: the marking that is found, or null;
- ``action``; ``incident``: "new", "same as ID" (the line of its stream) or null; ``items`` and ``review``: all of these are there; ``not_items`` and ``not_review``: none of these is;
- ``known``: figures as above, of the incident after this line: what all reports together say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import explain, house
from gateway.conf_load import load
from gateway.core.model import FIGURES
from gateway.host import Host
from gateway.reading.marking import find_marking
from gateway.reading.normalise import normalise
from gateway.store import incidents

CORPUS = Path(__file__).parent / "corpus"
CONF = Path(__file__).parents[2] / "conf"
NUMBERS = (*FIGURES, "casualties")
PLAIN = ("kind", "drill", "noise", "correction", "withdrawal", "unit", "reporter", "signed_by", "phone", "cause", "number")
KNOWN = {*NUMBERS, *PLAIN, "occurred", "place", "marking", "action", "incident", "known"}
KNOWN |= {"items", "not_items", "review", "not_review"}
KEYS = {"id", "group", "channel", "received_at", "sender", "subject", "text", "raw_b64", "pdus", "expect", "stream"}
_SAYS = re.compile(
    r"[0-9〇零一二两三四五六七八九十百千万亿俩仨廿卅几数幺]|[多若干部分大量]|[无没未不]|平安|安全|核实|统计|核查|确认|夫妻|夫妇|母[子女]|父[子女]|兄弟|姐妹|全|双|司机|驾驶|[死亡男女老某妻夫姐妹儿孩员住行骑乘租民工生个其lI]"
)


def lines() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every line of the corpus with the name of its file."""
    for path in sorted(CORPUS.glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            if text.strip():
                yield path.stem, json.loads(text)


def streams() -> list[Any]:
    """One parameter for every stream: its lines."""
    gathered: dict[str, list[dict[str, Any]]] = {}
    for name, line in lines():
        gathered.setdefault(f"{name}-{line.get('stream') or line.get('id')}", []).append(line)
    return [pytest.param(found, id=name) for name, found in gathered.items()]


class Streams:
    """One dry run whose store is set back to empty for each stream: making a new one takes longer than reading ten lines."""

    def __init__(self) -> None:
        made = house.build(load(CONF, Host.load(CONF)), bureau_public=explain.throwaway_key())
        self.explainer = explain.Explainer(made)
        self._empty = self._connection().serialize()

    def _connection(self) -> Any:
        return self.explainer._store._write_engine.raw_connection().driver_connection

    def begin(self) -> explain.Explainer:
        """The dry run, knowing nothing of earlier streams."""
        self._connection().deserialize(self._empty)
        self.explainer._store._cache.clear()
        return self.explainer


@pytest.fixture(scope="module")
def dry() -> Iterator[Streams]:
    made = Streams()
    yield made
    made.explainer.close()


@pytest.mark.parametrize("stream", streams())
def test_corpus(stream: list[dict[str, Any]], dry: Streams) -> None:
    explainer = dry.begin()
    faults: list[str] = []
    opened: dict[str, Any] = {}
    for line in stream:
        got = explainer.explain({k: v for k, v in line.items() if k != "expect"})
        wrong = [*_differences(line, got, opened), *_baseless(line, got), *_known(line, got, explainer)]
        opened[line["id"]] = got["incident"]
        faults += [f"{line['id']}: {fault}\n    {line['text']}" for fault in wrong]
    assert not faults, "\n".join(faults)


def _differences(line: dict[str, Any], got: dict[str, Any], opened: dict[str, Any]) -> Iterator[str]:
    report = got["report"] or {}
    for field, want in line["expect"].items():
        if field == "known":
            continue
        if field in NUMBERS:
            have = _figure(report.get(field), want)
        elif field == "place":
            place = report.get("place") or {}
            have = {level: place.get(level) for level in want}
        elif field == "occurred":
            have = (report.get("occurred") or {}).get("value")
        elif field == "marking":
            have = find_marking([line.get("subject", ""), line["text"]])
        elif field in ("items", "not_items", "review", "not_review"):
            found = {entry["item"] for entry in got["review" if "review" in field else "catalogue"]}
            if bool(found & set(want)) if field.startswith("not_") else bool(set(want) - found):
                yield f"{field}: want {want}, got {sorted(map(str, found))}"
            continue
        elif field == "incident":
            same = [f"same as {id_}" for id_, incident in opened.items() if incident and incident == got["incident"]]
            have = want if want in same else ", ".join(same) or (got["incident"] and "new")
        elif field == "action":
            have = got["action"]
        else:
            have = report.get(field) or (False if want is False else None)
        if have != want:
            yield f"{field}: want {want!r}, got {have!r}"


def _known(line: dict[str, Any], got: dict[str, Any], explainer: explain.Explainer) -> Iterator[str]:
    if wanted := line["expect"].get("known"):
        report = explainer._store.read_now(lambda tx: incidents.get(tx, got["incident"])).report
        for field, want in wanted.items():
            have = _figure(msgspec.to_builtins(getattr(report, field)), want)
            if have != want:
                yield f"known {field}: want {want!r}, got {have!r}"


def _figure(found: dict[str, Any] | None, want: Any) -> Any:
    """What was read, in the form that the expectation has."""
    if not isinstance(want, dict):
        return found and found["value"]
    full = {"value": None, "qualifier": "exact", "low": None, "max": None, "others": [], "why": "", **(found or {})}
    full["others"] = [other["value"] for other in full["others"]]
    return {key: full[key] for key in want}


def _baseless(line: dict[str, Any], got: dict[str, Any]) -> Iterator[str]:
    """Figures whose evidence does not point at a number, or at a word for none or for not knowing."""
    for field in NUMBERS:
        figure = (got["report"] or {}).get(field)
        for start, end in figure.get("evidence", ()) if figure else ():
            if not (0 <= start < end <= len(got["text"]) and _SAYS.search(normalise(got["text"][start:end]).text)):
                yield f"{field}: its evidence is {got['text'][start:end]!r}"


def test_every_line_asks_something_known() -> None:
    seen: set[tuple[str, str]] = set()
    for name, line in lines():
        assert set(line) <= KEYS, f"{name} {line.get('id')}: {set(line) - KEYS}"
        assert {"id", "group", "channel", "received_at", "text", "expect"} <= set(line), f"{name}: {line}"
        assert (line["expect"] or "stream" in line) and set(line["expect"]) <= KNOWN, (
            f"{name} {line['id']}: {set(line['expect']) - KNOWN}"
        )
        assert (name, line["id"]) not in seen, f"{name} {line['id']}: twice"
        seen.add((name, line["id"]))
