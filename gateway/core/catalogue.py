"""The catalogue of what is urgent (紧急信息报送范围): which items a report meets, which a person must decide, and why."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gateway.core.conditions import NO, Condition, parse_concepts, parse_condition
from gateway.core.model import Classification, Doubt, Match, Report
from gateway.core.parsing import ParseFault, ParseFaults, Table
from gateway.core.severity import Classed, Scale, event_class, parse_classes, parse_scale
from gateway.core.terms import Text, Words

CatalogueFault = ParseFault

ELEMENTS = ("occurred", "place", "cause", "casualties", "loss_yuan", "measures", "next_steps", "unit", "reporter", "signed_by")
"""What [report].elements may ask for."""


class Item(Struct, frozen=True, kw_only=True):
    """One rule: its wording, where it stands, and the condition that stands for it."""

    id: str
    title: str
    text: str
    source: str
    condition: Condition
    sensitive: bool = False
    kinds: tuple[str, ...] = ()
    needs: frozenset[str] | None = None
    """What ``condition.needs()`` says: most texts name none of the concepts of most items."""


class Catalogue(Struct, frozen=True, kw_only=True):
    """All items in the order of the file, which is the order in which they are shown; ``digest`` names this version."""

    items: tuple[Item, ...]
    concepts: dict[str, Words]
    kinds: dict[str, tuple[str, ...]]
    elements: tuple[str, ...]
    digest: str
    severity: Scale | None = None
    classes: tuple[Classed, ...] = ()

    @classmethod
    def parse(cls, data: object) -> Catalogue:
        """The catalogue of a parsed TOML file. Raises ``ParseFaults`` whose ``faults`` are all that is wrong."""
        faults: list[CatalogueFault] = []
        root = Table(data, (), faults)
        root.only("concepts", "kinds", "report", "item", "severity", "class")
        concepts = parse_concepts(root)
        kinds = _kinds(root, concepts)
        items = _items(root, concepts, kinds)
        elements = _elements(root)
        severity = parse_scale(root, concepts)
        classes = parse_classes(root, (*(item.id for item in items), *kinds))
        if faults:
            raise ParseFaults(faults)
        canonical = json.dumps(data, ensure_ascii=False, sort_keys=True, default=str)
        digest = hashlib.sha256(canonical.encode()).hexdigest()[:16]
        return cls(
            items=items, concepts=concepts, kinds=kinds, elements=elements, digest=digest, severity=severity, classes=classes
        )

    def item(self, name: str) -> Item | None:
        """The item of that id."""
        return next((item for item in self.items if item.id == name), None)


def _kinds(root: Table, concepts: Mapping[str, Words]) -> dict[str, tuple[str, ...]]:
    table = Table(root.data.get("kinds", {}), ("kinds",), root.faults)
    made = {}
    for name in table.data:
        words = table.texts(name, required=True)
        for word in words:
            if word not in concepts:
                table.fault((name,), f"unknown concept {word!r}", ", ".join(sorted(concepts)))
        made[name] = words
    return made


def _items(root: Table, concepts: Mapping[str, Words], kinds: Mapping[str, Any]) -> tuple[Item, ...]:
    made: list[Item] = []
    seen: set[str] = set()
    for table in root.tables("item"):
        table.only("id", "title", "text", "source", "sensitive", "kinds", "condition")
        name = table.text("id")
        if name in seen:
            table.fault(("id",), f"{name!r} is used twice", "each id once")
        seen.add(name)
        for kind in table.texts("kinds"):
            if kind not in kinds:
                table.fault(("kinds",), f"unknown kind {kind!r}", ", ".join(sorted(kinds)))
        if "condition" not in table.data:
            table.fault(("condition",), "is missing", "a condition")
        below = Table(table.data.get("condition", {}), (*table.path, "condition"), root.faults)
        condition = parse_condition(below, concepts) if "condition" in table.data else Condition(form="any")
        made.append(
            Item(
                id=name,
                title=table.text("title"),
                text=table.text("text"),
                source=table.text("source"),
                condition=condition,
                sensitive=table.flag("sensitive"),
                kinds=table.texts("kinds"),
                needs=condition.needs(),
            )
        )
    if not made:
        root.fault(("item",), "is missing", "[[item]]")
    return tuple(made)


def _elements(root: Table) -> tuple[str, ...]:
    table = Table(root.data.get("report", {}), ("report",), root.faults)
    table.only("elements")
    names = table.texts("elements") if "elements" in table.data else ELEMENTS
    for name in names:
        if name not in ELEMENTS:
            table.fault(("elements",), f"unknown element {name!r}", ", ".join(ELEMENTS))
    return names


def classify(catalogue: Catalogue, report: Report, *, subject: str = "") -> Classification:
    """What ``catalogue`` says of ``report``. Noise, drills and marked texts meet nothing."""
    if report.noise or report.drill or report.marking:
        return Classification(rules=catalogue.digest, sensitive=report.sensitive)
    text = Text(catalogue.concepts, subject, report.text)
    met: list[Match] = []
    doubts: list[Doubt] = []
    sensitive = report.sensitive
    kinds = [kind for kind, words in catalogue.kinds.items() if any(text.hits(word) for word in words)]
    for item in catalogue.items:
        named = item.needs is None or not item.needs.isdisjoint(text.may_name)
        answer = item.condition.judge(report, text) if named else NO
        if item.id in report.cites:
            met.append(Match(item=item.id, why=_why(item, answer.why, f"来报引用{item.id}")))
        elif answer.met:
            met.append(Match(item=item.id, why=_why(item, answer.why)))
        elif answer.met is None:
            doubts.append(Doubt(item=item.id, because="；".join(dict.fromkeys(answer.open))))
        else:
            continue
        sensitive = sensitive or item.sensitive
        kinds.extend(item.kinds if met and met[-1].item == item.id else ())
    kinds = list(dict.fromkeys(kinds))
    keys = (*(match.item for match in met), *(doubt.item for doubt in doubts if doubt.item), *kinds)
    return Classification(
        items=tuple(met),
        review=tuple(doubts),
        missing=_missing(catalogue.elements, report),
        sensitive=sensitive,
        kinds=tuple(kinds),
        rules=catalogue.digest,
        severity=catalogue.severity.judge(report, text) if catalogue.severity else None,
        event_class=event_class(catalogue.classes, keys, text),
    )


def _why(item: Item, reasons: tuple[str, ...], cited: str = "") -> tuple[str, ...]:
    """First a sentence for a leader: the item and the figures that reach it, else the words; then the words it was known by."""
    reasons = tuple(dict.fromkeys(reasons))
    words = tuple(reason for reason in reasons if reason.startswith("“"))
    figures = tuple(reason for reason in reasons if reason not in words)
    grounds = (*((cited,) if cited else ()), *figures) or (f"来报写有{'、'.join(words[:2])}",)
    return ("，".join((item.title, *grounds)), *words)


def _missing(elements: tuple[str, ...], report: Report) -> tuple[str, ...]:
    missing = []
    for name in elements:
        if name == "casualties":
            known = any(f is not None and f.value is not None for f in (report.deaths, report.injured, report.casualties))
        else:
            value = getattr(report, name)
            known = bool(value) if name in ("measures", "next_steps") else value is not None
        if not known:
            missing.append(name)
    return tuple(missing)
