"""docs/catalogue.md, made from the shipped conf/catalogue.toml: every item with its wording, source and condition in words."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.core.catalogue import Catalogue
from gateway.core.conditions import NAMES, UNITS, Condition, amount

CONF = Path(__file__).parent / "example_conf" / "catalogue.toml"
SHOWN = 8
"""Words of a concept that are shown; the file holds the rest."""

HEAD = """\
# The catalogue (重要紧急信息报送范围)

Made from `conf/catalogue.toml`; a test compares it with that file. What a report must hold so that an item applies stands here in
the words of the duty room (中文). Of each list of words only the first few are shown; the file holds them all, and a word that is
denied (未发生爆炸) does not count. A figure stated as unknown, or asked for by the rule and left out by the report, sends the
report to a person (待核); it never rests below the threshold by silence. “以上”含本数。

Try a change before it is in force: `gateway catalogue test`, see [operations](operations.md#trying-a-changed-catalogue).
"""
BELOW_DEGREES = """\
A range counts with its lower bound. What is unknown, people not found, and injured of whom nobody said how badly leave the
degree open upwards (“至少较大”), with the reason. Only the numbers of this rule were confirmed; disasters, cases, pollution and
epidemics have rules of their own and get no degree here. It applies to reports that meet:
"""
ABOVE_CLASSES = """\
The codes are those of a public copy that was **not compared with the standard itself**; compare them before other systems rely
on them. CAP's `eventCode` is the same code. A class with words applies where the text holds one of them.
"""


def page() -> str:
    """The whole page."""
    data = tomllib.loads(CONF.read_text("utf-8"))
    catalogue = Catalogue.parse(data)
    concepts: Mapping[str, list[str]] = data["concepts"]
    lines = [HEAD]
    for item in catalogue.items:
        lines += [f"## {item.id} {item.title}", "", f"> {item.text}", "", f"来源：{item.source}", ""]
        if item.sensitive:
            lines += ["内容敏感：只经受保护的渠道发送。", ""]
        lines += [*_condition(item.condition, concepts, 0), ""]
    lines += [*_severity(catalogue, concepts), *_classes(catalogue)]
    return "\n".join(lines).rstrip() + "\n"


def _condition(condition: Condition, concepts: Mapping[str, list[str]], depth: int) -> Iterator[str]:
    """A condition as a nested list, one requirement a line."""
    indent = "  " * depth
    heads = {"all": "同时满足：", "any": "满足其一：", "none": "不得有："}
    if head := heads.get(condition.form):
        yield f"{indent}- {head}"
        for part in condition.parts:
            yield from _condition(part, concepts, depth + 1)
    else:
        yield f"{indent}- {_plain(condition, concepts)}"


def _plain(condition: Condition, concepts: Mapping[str, list[str]]) -> str:
    if condition.form == "threshold":
        silent = "" if condition.unstated == "no" else "（来报未说明的，待核）"
        return f"{limit(condition)}{silent}"
    if condition.form == "stated":
        return f"来报写明{NAMES[condition.fields[0]]}数量"
    words = "，并写有".join(_words(concepts[name]) for name in condition.concepts)
    where = {"term": "来报", "near": "同一句话里", "clause": "两个逗号之间"}[condition.form]
    return f"{where}写有{words}"


def limit(condition: Condition) -> str:
    """A threshold in words: 死亡 1 人以上, 死伤、失联被困合计 5 人以上."""
    label = condition.name or "、".join(NAMES[name] for name in condition.fields)
    total = "合计" if len(condition.fields) > 1 and not condition.name else ""
    return f"{label}{total} {amount(condition.at_least, UNITS.get(condition.fields[0], '人'))}以上"


def _words(words: list[str]) -> str:
    shown = "、".join(words[:SHOWN])
    return f"“{shown}”" + (f"等 {len(words)} 个词之一" if len(words) > SHOWN else "之一" if len(words) > 1 else "")


def _severity(catalogue: Catalogue, concepts: Mapping[str, list[str]]) -> Iterator[str]:
    scale = catalogue.severity
    if scale is None:
        return
    yield from ("## Severity (事故等级)", "", f"来源：{scale.source}。以上包括本数，以下不包括本数；各项中就高。", "")
    yield "| 等级 | 满足其一 |"
    yield "|---|---|"
    for degree in scale.degrees:
        yield f"| {degree.name} | {'；'.join(map(limit, degree.limits))} |"
    yield from ("", BELOW_DEGREES)
    yield from _condition(scale.scope, concepts, 0)
    yield ""


def _classes(catalogue: Catalogue) -> Iterator[str]:
    if not catalogue.classes:
        return
    yield from ("## Classes of events (GB/T 35561)", "")
    yield ABOVE_CLASSES
    yield "| code | class | covers |"
    yield "|---|---|---|"
    for one in catalogue.classes:
        words = f"（{'、'.join(one.words.plain)}）" if one.words and one.words.plain else ""
        yield f"| {one.code} | {one.name}{words} | {'、'.join(one.covers)} |"
