"""Texts that leave the gateway: templates of conf/templates filled from an incident. Pure.

A template is text with ``$name`` placeholders. A line whose placeholders are all empty is left out, so that a report with
little known does not read like a form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from string import Template

from gateway.core.model import FIGURES, Figure, Incident, Occurred, Report

TEMPLATES = (
    "report.subject", "report.txt", "report.sms", "unread.txt", "unread.sms", "marked.subject", "marked.txt", "marked.sms",
    "marked_sender.txt", "marked_sender.sms", "withheld.txt", "withheld.sms", "obligation.subject", "obligation.txt",
    "obligation.sms",
    "answer.txt", "escalated.txt", "follow_up.txt", "refused.txt", "signing.txt", "supervision.txt", "telling.txt", "warning.txt",
)  # fmt: skip
"""The templates a configuration must hold."""

OBLIGATION = ("obligation.subject", "obligation.txt", "obligation.sms")
"""Those of them that only a configuration with obligations must hold."""

NAMES = (
    "number", "short_number", "title", "kind", "items", "why", "review", "missing", "occurred", "place", "figures", "cause",
    "measures", "next_steps", "attitude", "unit", "reporter", "phone", "signed_by", "text", "received_at", "channel", "sender",
    "pages", "office", "because", "stage", "city", "link", "signed",
)  # fmt: skip
"""The placeholders that a report fills."""

DUTY = (
    "person", "from_office", "of_office", "whom", "clock", "due", "minutes", "signer", "stage_asked", "leader", "wording",
    "instruction", "asked",
)  # fmt: skip
"""Those that questions, reminders and answers fill beside ``number``, ``title`` and ``figures``."""

OBLIGATION_NAMES = ("unit", "person", "city", "obligation", "period", "owed", "sent", "missing", "due")
"""The placeholders of the templates in ``OBLIGATION``."""

LABELS = {
    "deaths": ("死亡", "人"),
    "injured": ("受伤", "人"),
    "seriously_injured": ("重伤", "人"),
    "missing": ("失踪（失联）", "人"),
    "poisoned": ("中毒", "人"),
    "ill": ("发病", "人"),
    "trapped": ("被困", "人"),
    "participants": ("参与", "人"),
    "evacuated": ("转移疏散", "人"),
    "affected": ("受灾", "人"),
    "loss_yuan": ("直接经济损失", "元"),
    "houses": ("倒塌房屋", "间"),
    "forest_mu": ("森林受害", "亩"),
    "crop_mu": ("农作物受灾", "亩"),
    "crop_lost_mu": ("农作物绝收", "亩"),
}
ELEMENTS = {
    "occurred": "时间", "place": "地点", "cause": "起因", "casualties": "伤亡情况", "scope": "范围", "measures": "已采取措施",
    "next_steps": "下一步", "attitude": "领导态度", "unit": "报送单位", "reporter": "报告人", "phone": "联系电话",
    "signed_by": "审签人", "kind": "报告类别",
}  # fmt: skip
CHANNELS = {"sms": "短信", "email": "电子邮件", "fax": "传真", "phone": "电话"}
_BEFORE = {"at_least": "至少", "about": "约", "nearly": "近", "over": ""}
_PLACEHOLDER = re.compile(r"\$(?:\{([a-z_]+)\}|([a-z_]+))")


def names_of(template: str) -> tuple[str, ...]:
    """The placeholders that the template of that name may use."""
    return OBLIGATION_NAMES if template in OBLIGATION else (*NAMES, *DUTY)


_EMPTY = dict.fromkeys((*NAMES, *DUTY), "")


def unknown_names(template: str, names: Collection[str] = (*NAMES, *DUTY)) -> list[str]:
    """Placeholders of ``template`` that nothing will fill."""
    return sorted({a or b for a, b in _PLACEHOLDER.findall(template)} - set(names))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill ``template``; lines whose placeholders are all empty disappear."""
    lines = [
        "".join([values.get(name, written) for name, written in pieces])
        for pieces, names in _lines(template)
        if not names or any(map(values.get, names))
    ]
    return "\n".join(lines).strip()


@lru_cache(maxsize=256)
def _lines(template: str) -> tuple[tuple[tuple[tuple[str, str], ...], tuple[str, ...]], ...]:
    """The lines of a template: each in pieces (the name of a placeholder or "", what stands there where it has no value), and its
    placeholders."""
    lines = template.splitlines()
    return tuple((tuple(_pieces(line)), tuple(a or b for a, b in _PLACEHOLDER.findall(line))) for line in lines)


def _pieces(line: str) -> Iterator[tuple[str, str]]:
    """A line as ``string.Template`` reads it. What nothing will fill stays as it was written."""
    at = 0
    for found in Template.pattern.finditer(line):
        if at < found.start():
            yield "", line[at : found.start()]
        at = found.end()
        name = found["named"] or found["braced"] or ""
        yield name, "$" if found["escaped"] is not None else _EMPTY.get(name, found[0])
    if at < len(line):
        yield "", line[at:]


def figure(name: str, value: Figure) -> str:
    """One figure in words: 死亡 2 人, 受伤至少 10 人, 死亡人数不详."""
    label, unit = LABELS[name]
    if value.value is None and value.low is not None:
        return f"{label}至少 {_scaled(value.low, unit)[0]} {_scaled(value.low, unit)[1]}（未报确数）"
    if value.value is None:
        return f"{label}{'人数' if unit == '人' else '数'}不详"
    if value.value == 0:
        return f"无{label}"
    number, word = _scaled(value.value, unit)
    if value.qualifier == "range" and value.max is not None:
        number = f"{(value.least or 0) / (10_000 if word == '万元' else 1):g}至{number}"
    over = "余" if value.qualifier == "over" else ""
    return f"{label}{_BEFORE.get(value.qualifier, '')} {number} {over}{word}".replace("  ", " ")


def _scaled(value: float, unit: str) -> tuple[str, str]:
    if unit == "元" and value >= 10_000:
        return f"{value / 10_000:g}", "万元"
    return f"{value:g}" if isinstance(value, float) else str(value), unit


def figures(report: Report) -> str:
    """All figures that the report states, in the order of the schema."""
    stated = ((name, getattr(report, name)) for name in FIGURES)
    return "，".join(figure(name, value) for name, value in stated if value is not None)


def element(name: str) -> str:
    """An element of a report by its Chinese name."""
    return ELEMENTS.get(name) or LABELS.get(name, (name, ""))[0]


def occurred(when: Occurred | None) -> str:
    """The time of the event in words, with its qualifier."""
    if when is None:
        return ""
    text = when.value.replace("T", " ")
    return text + {"about": "（左右）", "exact": ""}.get(when.qualifier, f"（{when.qualifier}）")


def display_number(number: str) -> str:
    """2026-0123 → 〔2026〕0123."""
    year, _, rest = number.partition("-")
    return f"〔{year}〕{rest}"


def short_number(number: str) -> str:
    """2026-0123 → 〔0123〕, the tail of every SMS."""
    return f"〔{number.partition('-')[2]}〕"


def incident_values(incident: Incident, *, city: str, received_at: datetime, channel: str, sender: str) -> dict[str, str]:
    """The placeholders' values for an incident as it stands."""
    report = incident.report
    return {
        "number": display_number(incident.number),
        "short_number": short_number(incident.number),
        "title": incident.title,
        "kind": report.kind or "",
        "items": "、".join(incident.items),
        "why": "；".join(f"{item}：{'，'.join(incident.why[item])}" for item in incident.items if incident.why.get(item)),
        "review": "；".join(f"{d.item or ''} {d.because}".strip() for d in incident.review),
        "missing": "、".join(element(name) for name in incident.missing),
        "occurred": occurred(report.occurred),
        "place": report.place.text if report.place else "",
        "figures": figures(report),
        "cause": report.cause or "",
        "measures": "；".join(report.measures),
        "next_steps": "；".join(report.next_steps),
        "attitude": report.attitude or "",
        "unit": report.unit or "",
        "reporter": report.reporter or "",
        "phone": report.phone or "",
        "signed_by": report.signed_by or "",
        "text": report.text,
        "received_at": received_at.strftime("%Y-%m-%d %H:%M"),
        "channel": CHANNELS.get(channel, channel),
        "sender": sender,
        "stage": incident.needs_person or "",
        "city": city,
    }


_ONLY_WHEN = re.compile(r"[今昨前当本日天凌早上中下傍深晚晨午夜半年月时点分刻许左右约间于在至\d:：—~ 一二三四五六七八九十零两]+")
"""A clause that says when, and nothing else."""


def title(report: Report, subject: str) -> str:
    """A short name for an incident: the subject, else the first clause that tells what happened, 40 characters at most."""
    chosen = re.sub(r"^(关于|\[[^\]]*\]|【[^】]*】)+|(的)?(情况)?(的)?(报告|汇报|快报|专报)$", "", _one_line(subject))
    if len(chosen) < 4:
        body = re.sub(r"^(【[^】]{1,30}】|[^：:，。；！？]{1,30}[：:](?!\d))+", "", _one_line(report.text[:400]))
        clauses = [c for c in re.split(r"[，。；！？]", body) if len(c) > 5 and not _ONLY_WHEN.fullmatch(c)]
        start = next((i for i, c in enumerate(clauses) if re.search(r"(发生|起火|着火|爆炸|相撞|泄漏|倒塌|上访|聚集)", c)), 0)
        chosen = clauses[start] if clauses else body
    return chosen[:40] or "（无标题）"


def _one_line(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()


def canonical(*texts: str) -> str:
    """Texts with width, white space and invisible characters folded: equal for two copies of the same message."""
    folded = "".join(unicodedata.normalize("NFKC", "\x1f".join(texts)).split())
    if folded.isprintable():
        return folded  # nothing invisible: nearly every text
    return "".join(c for c in folded if unicodedata.category(c) != "Cf")
