"""What is to be done with one message that has been read, classified and matched. Pure; nothing is ever dropped unsaid."""

from __future__ import annotations

from msgspec import Struct

from gateway.core.matching import Verdict
from gateway.core.model import FIGURES, Action, Classification, Report


class Triage(Struct, frozen=True, kw_only=True):
    """The decision; ``needs_person`` says what a person must look at, ``because`` is for the operator."""

    action: Action
    needs_person: str | None = None
    because: str = ""


def decide(report: Report, found: Classification, verdict: Verdict, *, duplicate_of: str | None) -> Triage:
    """The action for a message. A marking decides before everything else; what nobody understands goes to a person."""
    if report.marking:
        return Triage(action="quarantine", because="载有密级标志")
    if duplicate_of:
        return Triage(action="duplicate", because=f"与 {duplicate_of} 内容相同")
    if report.drill:
        return Triage(action="drill", because="演练、测试信息")
    if report.noise:
        return Triage(action="ignore", because=f"非突发信息（{report.noise}）")
    if verdict.action in ("attach", "merge") and verdict.certain and verdict.incident:
        return Triage(action=verdict.action, because=verdict.why)
    if report.correction or report.withdrawal:
        word = "撤回" if report.withdrawal else "更正"
        return Triage(action="new", needs_person=f"{word}，但未找到所指的原报", because="未找到原报")
    if found.items:
        return Triage(action="new", because="符合" + "、".join(match.item for match in found.items))
    if found.review:
        reasons = "；".join(dict.fromkeys(doubt.because for doubt in found.review))
        return Triage(action="new", needs_person=f"是否达到报送标准待定：{reasons}", because=reasons)
    if verdict.proposed:
        return Triage(action="new", needs_person="可能与已有事件有关", because=verdict.why)
    if understood(report, found):
        return Triage(action="below_threshold", because="未达到报送标准")
    if found.kinds:
        return Triage(action="new", needs_person="来报没有可据以判断的数字", because="来报没有可据以判断的数字")
    return Triage(action="new", needs_person="未能识别出事件内容", because="未能识别出事件内容")


def understood(report: Report, found: Classification) -> bool:
    """True where the text tells of an incident of a known kind and states a figure: only a figure can lie below a threshold."""
    stated = (getattr(report, name) for name in FIGURES)
    return bool(found.kinds) and any(f is not None and (f.value, f.low) != (None, None) for f in stated)
