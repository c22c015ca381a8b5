"""值班信息 and 紧急信息专报: one incident as a paper, at its first report or a further one.

What a paper says is fixed with the delivery, in the transaction that decided it (``said``); how it looks is made when it is
sent (``html``), by the conf of that hour.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from types import SimpleNamespace

from gateway.papers import compose, templates
from gateway.papers.making import said as to_the_log
from gateway.papers.templates import TemplateFault
from gateway.settings import Config

NAMES = (
    "number", "title", "kind", "items", "why", "review", "missing", "occurred", "place", "figures", "cause", "measures",
    "next_steps", "attitude", "unit", "reporter", "phone", "signed_by", "text", "received_at", "channel", "sender", "stage",
    "level", "signer",
)  # fmt: skip
"""What the template may name of ``p``; all texts, empty where nothing is known. ``signed_by`` is who signed at the unit,
``signer`` who signed here for the level above."""
_ISO = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2})(?:[ T](\d{2})(?::(\d{2}))?)?)?")
_TIGHT = re.compile(r"(?<=[^\x00-\x7f]) (?=[\dA-Za-z])|(?<=[\dA-Za-z]) (?=[^\x00-\x7f])")
_SIGNS = re.compile(r"[。；，、\s]+$")


def html(
    said: Mapping[str, str], config: Config, day: datetime, *, mark: str = "",
    on_fault: Callable[[TemplateFault], None] = to_the_log,
) -> str:  # fmt: skip
    """The paper. ``said`` is what the delivery says; ``mark`` stands small at the foot of each page."""
    rules = config.papers
    paper = rules.paper
    p = {name: _printable(said.get(name, "")) for name in NAMES}
    grave = p["level"] in paper.urgent_levels
    urgency = next((one.word for one in paper.urgency if not one.levels or p["level"] in one.levels), "")
    document = compose.doc(
        rules, config.city, day,
        title=_title(p), marking=paper.marking, urgency=urgency, head=paper.urgent_head if grave else paper.head,
        number=f"{p['number']}号", signer=p["signer"] or p["signed_by"], to=paper.to, copies=paper.copies,
        printed_by=paper.issuer or f"{config.city}值班室", mark=mark,
    )  # fmt: skip
    for name in ("occurred", "received_at"):
        p[name] = _ISO.sub(_date, p[name])
    for name in ("figures", "why"):
        p[name] = _TIGHT.sub("", p[name])
    for name in ("cause", "measures", "next_steps", "attitude", "figures"):
        p[name] = _SIGNS.sub("", p[name])
    if len(p["text"]) > paper.most_characters:
        p["text"] = p["text"][: paper.most_characters] + "\n（以下略，全文见系统登记）"
    values = {"doc": document, "conf": compose.conf(rules), "p": SimpleNamespace(**p)}
    return templates.fill("paper.html", config.paper_templates, values, on_fault)


def _title(p: Mapping[str, str]) -> str:
    """关于…的情况报告, 关于…的续报（二）, 关于…的终报."""
    kind, _mark, which = p["kind"].partition("续报")
    name = f"续报（{which.strip('（）')}）" if _mark and which else "续报" if _mark else "终报" if kind == "终报" else "情况报告"
    subject = p["title"].removeprefix("关于")
    return f"关于{subject}的{name}" if subject else f"紧急信息{name}"


def _date(found: re.Match[str]) -> str:
    """2026-03-05 22:30 → 2026年3月5日22时30分."""
    year, month, day, hour, minute = found.groups()
    text = f"{year}年{int(month)}月"
    for part, unit in ((day, "日"), (hour, "时"), (minute, "分")):
        text += f"{int(part)}{unit}" if part is not None and unit != "分" else f"{part}分" if part is not None else ""
    return text


def _printable(text: str) -> str:
    kept = (
        char
        for char in text.replace("\r\n", "\n")
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co")
    )
    return "".join(kept)
