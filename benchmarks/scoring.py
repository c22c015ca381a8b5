"""What reading gets right over files of messages with what is expected of them, beside a few plain expressions.

Three forms of line are understood: those of tests/reading/corpus (its test says what they assert); reports with
``expect.incident``, all of one file as one stream, in the order of receipt; and news texts with ``report_time``. A figure
that is expected to be null and is not stated counts as right; "stated wrongly" is what was stated and is not so.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway import explain
from gateway.core.model import FIGURES
from gateway.house import House

PEOPLE = ("deaths", "injured", "missing", "poisoned")
PEER = {
    "deaths": r"(\d+)(?:名|人|个)[^，。；\d]{0,6}(?:死亡|遇难|身亡|丧生)|(?:死亡|遇难|身亡|丧生)[^，。；\d]{0,4}(\d+)|(\d+)死",
    "injured": r"(\d+)(?:名|人|个)[^，。；\d]{0,6}(?:受伤|轻伤|负伤)|(?:受伤|负伤)[^，。；\d]{0,4}(\d+)|(\d+)伤",
    "missing": r"(\d+)(?:名|人|个)[^，。；\d]{0,6}(?:失踪|失联|下落不明)|(?:失踪|失联)[^，。；\d]{0,4}(\d+)",
    "poisoned": r"(\d+)(?:名|人|个)[^，。；\d]{0,6}中毒|中毒[^，。；\d]{0,4}(\d+)",
}
"""What one would write in an afternoon."""
GIVEN = ("id", "channel", "received_at", "sender", "subject", "text", "raw_b64", "pdus")
CLOCKS = {"half_hour": "initial", "phone_1h": "phone", "written_2h": "written", "province_4h": "province",
          "centre_6h": "centre", "missed_24h": "missed", "over_24h": "missed"}  # fmt: skip
"""The limits as files of reports name them → our clocks."""
JOINED = ("new", "attach", "merge")
Line = dict[str, Any]


class Score:
    """Right, asked and stated wrongly, by what was asked."""

    def __init__(self) -> None:
        self.asked, self.right, self.wrong = Counter[str](), Counter[str](), Counter[str]()
        self.missed: list[str] = []

    def mark(self, name: str, want: Any, have: Any, *, also: Iterable[Any] = (), of: str = "") -> None:
        fits = have == want or have in also
        self.asked[name] += 1
        self.right[name] += fits
        self.wrong[name] += not fits and have is not None
        if not fits:
            self.missed.append(f"{of} {name}: want {want!r}, have {have!r}")

    def told(self, *names: str) -> str:
        asked, right, wrong = (sum(count[name] for name in names) for count in (self.asked, self.right, self.wrong))
        return f"{right}/{asked} = {right / asked:.3f}, {wrong} stated wrongly" if asked else "nothing asked"


def files(folders: Iterable[Path]) -> Iterator[tuple[str, list[Line]]]:
    """Name and lines of every file in ``folders`` whose lines say what is expected."""
    for path in (path for folder in folders for path in sorted(folder.rglob("*.jsonl"))):
        lines = [json.loads(text) for text in path.read_text("utf-8").splitlines() if text.strip()]
        if lines and all("expect" in line for line in lines):
            yield path.stem, lines


def judged(house: House, lines: list[Line]) -> tuple[Score, Score]:
    """Ours and the peer's score over one file."""
    if "report_time" in lines[0]:
        return _apart(house, [_news(line) for line in lines])
    if "incident" in lines[0]["expect"] and "action" in lines[0]["expect"] and "group" not in lines[0]:
        return _reports(house, lines)
    return _apart(house, lines)


def _apart(house: House, lines: list[Line]) -> tuple[Score, Score]:
    """Every line for itself, but for those that name the same stream."""
    ours, peer, dry, stream = Score(), Score(), explain.Explainer(house), None
    for line in lines:
        if line.get("stream") is None or line["stream"] != stream:
            dry.close()
            dry = explain.Explainer(house)
        stream = line.get("stream")
        shown = dry.explain({key: line[key] for key in GIVEN if key in line})
        _compare(line, shown, ours)
        _peer(line["expect"], shown["text"], peer)
    dry.close()
    return ours, peer


def _news(line: Line) -> Line:
    """A news text as a mail that was sent at its report time; the four figures of people are always asked."""
    numbers = [*map(int, re.findall(r"\d+", line["report_time"])), 0, 0, 0, 0, 0][:5]
    at = datetime(*numbers[:3], numbers[3] or 12, numbers[4]).isoformat()  # type: ignore[misc]
    expect = {**dict.fromkeys(PEOPLE), **line["expect"]}
    return {"id": line["id"], "channel": "email", "received_at": f"{at}+08:00", "sender": "news@gateway.test",
            "subject": line["title"], "text": f"{line['title']}\n{line['text']}", "expect": expect}  # fmt: skip


def _plain(value: Any) -> Any:
    return value.get("value") if isinstance(value, dict) else value


def _moment(score: Score, want: str, have: str | None, *, also: Iterable[str] = (), minute: bool = True, of: str = "") -> None:
    for name, size in (("day", 10), ("minute", 16)):
        if name == "day" or (minute and len(want) >= size):
            score.mark(name, want[:size], have and have[:size], also=[one[:size] for one in also], of=of)


def _compare(line: Line, shown: Line, score: Score) -> None:
    """One line for itself."""
    report, expect, of = shown["report"] or {}, line["expect"], str(line["id"])
    also = expect.get("alt") or {}
    items = {match["item"] for match in shown["catalogue"]}
    doubts = {doubt["item"] for doubt in shown["review"]}
    for name, want in expect.items():
        if name in FIGURES:
            score.mark(name, _plain(want), _plain(report.get(name)), also=also.get(name, ()), of=of)
        elif name in ("kind", "unit", "reporter", "signed_by", "phone"):
            score.mark(name, want, report.get(name), of=of)
        elif name == "occurred" and want:
            exact = expect.get("precision", "minute") == "minute"
            _moment(score, want, _plain(report.get(name)), also=also.get(name, ()), minute=exact, of=of)
        elif name == "action":
            score.mark(name, want, shown["action"], of=of)
        elif name in ("items", "review"):
            missing = sorted(set(want) - (items if name == "items" else doubts))
            score.mark(name, [], missing, of=of)
        elif name == "not_items":
            score.mark("items", [], sorted(items & set(want)), of=of)
        elif name == "place" and want:
            for level in set(want) & {"province", "city", "county"}:
                score.mark(level, want[level], (report.get("place") or {}).get(level), of=of)
        elif name in ("province", "city", "county") and expect.get("country", "中国") == "中国":
            free = [None] if name in expect.get("inferred", ()) else []
            score.mark(name, want, (report.get("place") or {}).get(name), also=[*also.get(name, ()), *free], of=of)


def _reports(house: House, lines: list[Line]) -> tuple[Score, Score]:
    """A file of reports as one stream."""
    ours, peer, dry = Score(), Score(), explain.Explainer(house)
    opened: dict[str, set[str]] = {}
    for line in sorted(lines, key=lambda one: str(one["received_at"])):
        shown = dry.explain({key: line[key] for key in GIVEN if key in line})
        _compare_report(line, shown, ours)
        _peer(line["expect"].get("incident") or {}, shown["text"], peer)
        if line["expect"].get("incident_key") and shown["incident"]:
            opened.setdefault(line["expect"]["incident_key"], set()).add(shown["incident"])
    dry.close()
    for key, incidents in opened.items():
        ours.mark("incidents kept whole", 1, len(incidents), of=key)
    return ours, peer


def _compare_report(line: Line, shown: Line, score: Score) -> None:
    expect, report, of = line["expect"], shown["report"] or {}, str(line["id"])
    told, items = expect.get("incident") or {}, {match["item"] for match in shown["catalogue"]}
    score.mark("action", expect["action"], shown["action"], of=of)
    if expect["action"] in JOINED:
        wanted = set(expect["catalogue"])
        score.mark("one of its items", True, not wanted or bool(wanted & items), of=of)
        score.mark("told if it must be", True, not expect["reportable"] or bool(items or shown["review"]), of=of)
        score.mark("offices", [], sorted(set(expect.get("route") or ()) - set(shown["route"])), of=of)
        for name in ("deaths", "injured"):
            if name not in told and "injured_range" not in told:
                score.mark(f"no {name} of its own", True, _plain(report.get(name)) in (None, 0), of=of)
    else:
        score.mark("stays out", True, not items or shown["action"] == expect["action"] == "drill", of=of)
    if expect.get("kind"):
        score.mark("kind", expect["kind"], report.get("kind"), of=of)
    if expect.get("over") is not None and expect["action"] == "new":
        passed = {clock["clock"] for clock in shown["clocks"] if clock["state"] == "passed"}
        limits = sorted({CLOCKS.get(one, one) for one in expect["over"]})
        score.mark("limits passed", limits, sorted(passed & set(CLOCKS.values())), of=of)
    for name in FIGURES:
        if name in told:
            allowed = [told[name], told.get(f"{name}_alt", told[name])]
            flat = [value for one in allowed for value in (one if isinstance(one, list) else [one])]
            score.mark(name, flat[0], _plain(report.get(name)), also=flat, of=of)
    if told.get("occurred"):
        _moment(score, told["occurred"], _plain(report.get("occurred")), of=of)
    if told.get("county"):
        score.mark("county", told["county"], (report.get("place") or {}).get("county"), of=of)


def _peer(expect: Line, text: str, score: Score) -> None:
    for name, pattern in PEER.items():
        if name in expect and not isinstance(expect[name], list):
            found = re.search(pattern, text)
            have = int(next(group for group in found.groups() if group)) if found else None
            score.mark(name, _plain(expect[name]), have, also=(expect.get("alt") or {}).get(name, ()))
