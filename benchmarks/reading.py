"""What reading gets right, and how long it takes, beside its peers in the same run: ``python -m benchmarks.reading``.

Accuracy over the corpus of the tests, and with CORPUS=DIR over the files of that folder, beside a regular expression per
figure (``benchmarks.scoring``); with VERBOSE=1 every miss is named. Speed over texts of 500 characters beside
``cn2an.transform`` with those expressions, over 1 MB of hostile input, of the whole of ``explain``, and of the import.
Nothing here gates a test.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.scoring import GIVEN, PEER, PEOPLE, Score, files, judged
from gateway import explain, house
from gateway.conf_load import load
from gateway.core.model import FIGURES, Message
from gateway.host import Host
from gateway.house import House
from gateway.reading import read

ROOT = Path(__file__).parent.parent
OWN = ROOT / "tests" / "reading" / "corpus"
REPORT = (
    "3月5日21时40分许，石桥县河东镇一家具加工厂发生火灾，过火面积约300平方米，造成1人死亡、4人受伤，其中1人伤势较重。接报后，县委、县政府高度重视，"
    "县长立即赶赴现场指挥扑救，消防、公安、应急、卫健等部门迅速到场开展处置，附近居民已经有序转移。22时50分明火全部扑灭，伤者已送往县人民医院救治，"
    "生命体征平稳，死者家属的安抚工作正在进行，起火原因正在进一步调查之中，周边道路已恢复通行，环保部门正在对消防废水进行监测，后续情况将及时续报。"
    "石桥县政府办公室　联系人：周某某"
)
DENSE = (
    "石桥县政府办报告：今晨6时许，河东镇红星煤矿发生透水事故。截至9时，死亡人数由2人升至3人，另有5名矿工被困，十余人受伤，其中重伤4人，"
    "已疏散附近村民两百来人，直接经济损失约9万8千元。县长赶赴现场指挥，出动民警40人、消防车3辆。"
)
MEGABYTE = 1_000_000
HOSTILE = {
    "letters": "a", "digits": "7", "one character": "死", "死亡1人": "死亡1人", "年": "年", "brackets": "（", "1万": "1万",
    "numerals": "一二三四五六七八九十百千万亿", "bait: 死亡死亡死亡，，1、": "死亡死亡死亡，，1、", "bait: 由1人升至": "由1人升至",
    "bait: 名老人": "1名老人和", "bait: 约约至少": "约约至少近", "dates": "2026年3月6日9时", "blanks": " ",
}  # fmt: skip


def accuracy(made: House) -> None:
    """A table for the corpus of the tests and one for each file of CORPUS."""
    own = [(name, judged(made, lines), len(lines)) for name, lines in files([OWN])]
    print("| corpus of the tests | messages | figures | the rest | deaths, injured, missing, poisoned | expression per figure |")
    print("|---|---|---|---|---|---|")
    for name, (ours, peer), count in own:
        rest = [one for one in ours.asked if one not in FIGURES]
        people = [one for one in PEOPLE if ours.asked[one]]
        told = (ours.told(*FIGURES), ours.told(*rest), ours.told(*people), _beside(ours, peer, people))
        print(f"| {name} | {count} | {' | '.join(told)} |")
    _by_field("all of it, by field", own)
    if folder := os.environ.get("CORPUS"):
        for name, lines in files([Path(folder)]):
            _by_field(name, [(name, judged(made, lines), len(lines))])


def _by_field(title: str, scored: list[tuple[str, tuple[Score, Score], int]]) -> None:
    ours, peer = Score(), Score()
    for _name, pair, _count in scored:
        for whole, part in zip((ours, peer), pair, strict=True):
            whole.asked += part.asked
            whole.right += part.right
            whole.wrong += part.wrong
            whole.missed += part.missed
    print(f"\n| {title} | measured | expression per figure |\n|---|---|---|")
    for name in ours.asked:
        print(f"| {name} | {ours.told(name)} | {peer.told(name) if peer.asked[name] else ''} |")
    figures = [name for name in ours.asked if name in FIGURES]
    print(f"| all figures | {ours.told(*figures)} | {_beside(ours, peer, [name for name in PEOPLE if ours.asked[name]])} |")
    print(f"| all | {ours.told(*ours.asked)} | |")
    if os.environ.get("VERBOSE"):
        print("\n".join(ours.missed))


def _beside(ours: Score, peer: Score, names: list[str]) -> str:
    theirs = sum(peer.right[name] for name in names)
    return f"{peer.told(*names)}: ratio {sum(ours.right[name] for name in names) / theirs:.2f}" if theirs else ""


def speed(made: House) -> None:
    """500 characters, beside the peer; the whole of explain; 1 MB."""
    config = made.config
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

    print("\n| speed | measured |\n|---|---|")
    for what, piece in (("a report", REPORT), ("text dense with figures", DENSE)):
        text = (piece * 5)[:500]
        p50, p99 = timed(lambda text=text: one(text), 2000)  # type: ignore[misc]
        print(f"| read() of 500 characters of {what}, 2000 times | p50 {p50:.2f} ms, p99 {p99:.2f} ms |")
        _other(text, p50)
    dry, lines = explain.Explainer(made), [line for _name, lines in files([OWN]) for line in lines]
    given = iter([{key: line[key] for key in GIVEN if key in line} for line in lines])
    p50, p99 = timed(lambda: dry.explain(next(given)), len(lines))
    dry.close()
    print(
        f"| the whole of explain on the {len(lines)} messages of the tests, in one stream | p50 {p50:.1f} ms, p99 {p99:.1f} ms |"
    )
    print(
        "\n| 1 MB of | seconds | of 0.5 MB | growth | of 40,000 characters, all of which are read | of 20,000 |\n|---|---|---|---|---|---|"
    )
    for name, piece in HOSTILE.items():
        sizes = (MEGABYTE, MEGABYTE // 2, 40_000, 20_000)
        whole, half, most, part = (
            timed(lambda n=n, piece=piece: one((piece * (n // len(piece) + 1))[:n]), 3)[0] / 1000  # type: ignore[misc]
            for n in sizes
        )
        print(f"| {name} | {whole:.2f} | {half:.2f} | {whole / half:.1f} | {most:.2f} | {part:.2f} |")


def _other(text: str, ours: float) -> None:
    """The peer on the same text."""
    try:
        import cn2an
    except ImportError:
        print("| beside it, cn2an | not installed: pip install '.[bench]' |")
        return
    patterns = [re.compile(pattern) for pattern in PEER.values()]

    def peer() -> None:
        plain = cn2an.transform(text, "cn2an")
        for pattern in patterns:
            pattern.search(plain)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, theirs99 = timed(peer, 500)
    print(
        f"| beside it, cn2an.transform and four expressions | p50 {theirs:.2f} ms, p99 {theirs99:.2f} ms: ratio {ours / theirs:.2f} |"
    )


def timed(work: Callable[[], Any], times: int) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken), sorted(taken)[min(len(taken) - 1, int(len(taken) * 0.99))]


def imports() -> None:
    """Each in a fresh process, the bare interpreter not counted."""
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    print("\n| import, median of 10 fresh processes | measured |\n|---|---|")
    for name in ("gateway.reading", "msgspec"):
        taken = [float(subprocess.check_output([sys.executable, "-c", code.format(name)])) * 1000 for _ in range(10)]
        print(f"| {name} | {statistics.median(taken):.0f} ms |")


if __name__ == "__main__":
    everything = house.build(load(ROOT / "conf", Host.load()), bureau_public=explain.throwaway_key())
    accuracy(everything)
    speed(everything)
    imports()
