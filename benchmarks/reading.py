"""What reading gets right, and how long it takes, beside its peers in the same run: ``python -m benchmarks.reading``.

Accuracy over the corpus of the tests, and with CORPUS=DIR over files of that folder whose lines hold the input of
``explain --batch`` with an ``expect``, or news with ``title``, ``text``, ``report_time`` and an ``expect``. The peer is what one
would write in an afternoon: a regular expression per figure. Speed over texts of 500 characters beside ``cn2an.transform`` with
that expression, over 1 MB of hostile input, and the import. Nothing here gates a test.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway import explain, house
from gateway.core.model import FIGURES, Message
from gateway.host import Host
from gateway.reading import read
from gateway.settings import load

ROOT = Path(__file__).parent.parent
OWN = ROOT / "tests" / "reading" / "corpus"
PEOPLE = ("deaths", "injured", "missing", "poisoned")
PEER = {
    "deaths": r"(\d+)(?:名|人|个)[^，。；\d]{0,6}(?:死亡|遇难|身亡|丧生)|(?:死亡|遇难|身亡|丧生)[^，。；\d]{0,4}(\d+)|(\d+)死",
    "injured": r"(\d+)(?:名|人|个)[^，。；\d]{0,6}(?:受伤|轻伤|负伤)|(?:受伤|负伤)[^，。；\d]{0,4}(\d+)|(\d+)伤",
    "missing": r"(\d+)(?:名|人|个)[^，。；\d]{0,6}(?:失踪|失联|下落不明)|(?:失踪|失联)[^，。；\d]{0,4}(\d+)",
    "poisoned": r"(\d+)(?:名|人|个)[^，。；\d]{0,6}中毒|中毒[^，。；\d]{0,4}(\d+)",
}
DENSE = (
    "石桥县政府办报告：今晨6时许，河东镇红星煤矿发生透水事故。截至9时，死亡人数由2人升至3人，另有5名矿工被困，十余人受伤，其中重伤4人，"
    "已疏散附近村民两百来人，直接经济损失约9万8千元。县长赶赴现场指挥，出动民警40人、消防车3辆。"
)
REPORT = (
    "3月5日21时40分许，石桥县河东镇一家具加工厂发生火灾，过火面积约300平方米，造成1人死亡、4人受伤，其中1人伤势较重。接报后，县委、县政府高度重视，"
    "县长立即赶赴现场指挥扑救，消防、公安、应急、卫健等部门迅速到场开展处置，附近居民已经有序转移。22时50分明火全部扑灭，伤者已送往县人民医院救治，"
    "生命体征平稳，死者家属的安抚工作正在进行，起火原因正在进一步调查之中，周边道路已恢复通行，环保部门正在对消防废水进行监测，后续情况将及时续报。"
    "石桥县政府办公室　联系人：周某某"
)
MEGABYTE = 1_000_000
HOSTILE = {
    "letters": "a", "digits": "7", "one character": "死", "死亡1人": "死亡1人", "年": "年", "brackets": "（", "1万": "1万",
    "numerals": "一二三四五六七八九十百千万亿", "bait": "死亡死亡死亡，，1、", "dates": "2026年3月6日9时",
}  # fmt: skip


def cases() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Name and lines of each file: the tests' own, then those of CORPUS."""
    folders = [OWN, *([Path(os.environ["CORPUS"])] if os.environ.get("CORPUS") else [])]
    for path in (path for folder in folders for path in sorted(folder.rglob("*.jsonl"))):
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        yield path.stem, [_news(line) if "report_time" in line else line for line in lines]


def _news(line: dict[str, Any]) -> dict[str, Any]:
    """A news text as a mail that was sent at its report time."""
    numbers = [*map(int, re.findall(r"\d+", line["report_time"])), 0, 0, 0, 0, 0][:5]
    at = datetime(*numbers[:3], numbers[3] or 12, numbers[4]).isoformat()  # type: ignore[misc]
    text = f"{line['title']}\n{line['text']}"
    expect = {**line["expect"], **dict.fromkeys(set(PEOPLE) - set(line["expect"]))}
    return {"id": line["id"], "channel": "email", "received_at": f"{at}+08:00", "sender": "news@gateway.test",
            "subject": line["title"], "text": text, "expect": expect, "stream": None}  # fmt: skip


class Score:
    """Right, asked and stated wrongly, by what was asked."""

    def __init__(self) -> None:
        self.asked, self.right, self.wrong = Counter[str](), Counter[str](), Counter[str]()

    def mark(self, name: str, want: Any, have: Any, alternatives: list[Any]) -> None:
        fits = have == want or have in alternatives
        self.asked[name] += 1
        self.right[name] += fits
        self.wrong[name] += not fits and have is not None

    def row(self, names: list[str]) -> str:
        asked, right, wrong = (sum(count[n] for n in names) for count in (self.asked, self.right, self.wrong))
        return f"{right}/{asked} = {right / asked:.3f}, {wrong} stated wrongly" if asked else "nothing asked"


def accuracy() -> None:
    """The table of files, ours beside the peer."""
    made = house.build(load(ROOT / "conf", Host.load()), bureau_public=explain.throwaway_key())
    print(
        "| file | messages | figures | figures, expression per figure | kind, time, place, items, action |\n|---|---|---|---|---|"
    )
    for name, lines in cases():
        ours, peer = Score(), Score()
        dry, stream = explain.Explainer(made), object()
        for line in sorted(lines, key=lambda one: one["received_at"]) if all("stream" not in one for one in lines) else lines:
            if "stream" in line or name in ("figures", "sorting", "items"):
                if line.get("stream") is None or line["stream"] != stream:
                    dry.close()
                    dry = explain.Explainer(made)
                stream = line.get("stream")
            given = {key: value for key, value in line.items() if key in ("id", "channel", "received_at", "sender", "subject",
                     "text", "raw_b64", "pdus")}  # fmt: skip
            shown = dry.explain(given)
            _compare(line["expect"], shown, ours)
            _peer(line["expect"], shown["text"], peer)
        dry.close()
        other = [one for one in ours.asked if one not in FIGURES]
        people = [one for one in PEOPLE if ours.asked[one]]
        print(f"| {name} | {len(lines)} | {ours.row([o for o in ours.asked if o in FIGURES])} | of deaths, injured, missing, "
              f"poisoned: {ours.row(people)}; peer {peer.row(people)} | {ours.row(other)} |")  # fmt: skip


def _plain(value: Any) -> Any:
    return value.get("value") if isinstance(value, dict) else value


def _compare(expect: dict[str, Any], shown: dict[str, Any], score: Score) -> None:
    report = shown["report"] or {}
    also = expect.get("alt") or {}
    for name, want in expect.items():
        if name in FIGURES:
            score.mark(name, _plain(want), _plain(report.get(name)), also.get(name, []))
        elif name == "kind":
            score.mark(name, want, report.get("kind"), [])
        elif name == "occurred" and want:
            have = _plain(report.get(name))
            size = min(len(str(_plain(want))), 16)
            score.mark(
                name, str(_plain(want))[:size], have[:size] if have else None, [str(one)[:size] for one in also.get(name, [])]
            )
        elif name == "action":
            score.mark(name, want, shown["action"], [])
        elif name in ("items", "catalogue"):
            have = {match["item"] for match in shown["catalogue"]} | {doubt["item"] for doubt in shown["review"]}
            wanted = set(want)
            score.mark("items", True, wanted <= have if name == "items" else not wanted or bool(wanted & have), [])
        elif name in ("province", "city", "county") and expect.get("country", "中国") == "中国":
            inferred = [None] if name in expect.get("inferred", []) else []
            score.mark(name, want, (report.get("place") or {}).get(name), [*also.get(name, []), *inferred])


def _peer(expect: dict[str, Any], text: str, score: Score) -> None:
    for name, pattern in PEER.items():
        if name in expect:
            found = re.search(pattern, text)
            have = int(next(group for group in found.groups() if group)) if found else None
            score.mark(name, _plain(expect[name]), have, (expect.get("alt") or {}).get(name, []))


def speed() -> None:
    """500 characters, beside the peer, and 1 MB."""
    config = load(ROOT / "conf", Host.load())
    moment = datetime.fromisoformat("2026-03-06T09:20:00+08:00")

    def one(text: str) -> None:
        read(
            Message(text=text),
            channel="sms",
            received_at=moment,
            sender_unit=None,
            gazetteer=config.gazetteer,
            words=config.words,
        )

    print("\n| figure | measured |\n|---|---|")
    for what, piece in (("a report of 500 characters", REPORT), ("500 characters dense with figures", DENSE)):
        text = (piece * 5)[:500]
        ours, ours99 = timed(lambda text=text: one(text), 2000)  # type: ignore[misc]
        print(f"| read() of {what}, 2000 times | p50 {ours:.2f} ms, p99 {ours99:.2f} ms |")
    try:
        import cn2an
    except ImportError:
        print("| peer: cn2an is not installed | — |")
    else:
        patterns = [re.compile(pattern) for pattern in PEER.values()]

        def peer() -> None:
            plain = cn2an.transform(text, "cn2an")
            for pattern in patterns:
                pattern.search(plain)

        theirs, theirs99 = timed(peer, 200)
        print(
            f"| peer: cn2an.transform and the four expressions | p50 {theirs:.2f} ms, p99 {theirs99:.2f} ms: ratio {ours / theirs:.2f} |"
        )
    for name, piece in HOSTILE.items():
        half, whole = (timed(lambda n=n, piece=piece: one((piece * n)[:n]), 1)[0] / 1000 for n in (MEGABYTE // 2, MEGABYTE))  # type: ignore[misc]
        print(f"| 1 MB of {name} | {whole:.2f} s (0.5 MB: {half:.2f} s) |")


def timed(work: Callable[[], Any], times: int) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken), sorted(taken)[min(len(taken) - 1, int(len(taken) * 0.99))]


def imports() -> None:
    """A fresh process each time, less the bare interpreter."""
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    for name in ("gateway.reading", "msgspec"):
        taken = [float(subprocess.check_output([sys.executable, "-c", code.format(name)])) * 1000 for _ in range(10)]
        print(f"| import {name}, median of 10 | {statistics.median(taken):.0f} ms |")


if __name__ == "__main__":
    accuracy()
    speed()
    imports()
