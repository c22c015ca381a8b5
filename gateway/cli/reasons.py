"""Why the gateway did what it did, in English. The rules speak Chinese, for leaders read them; so do the store and JSON.

What a rule of conf says (the why of a catalogue item, names of offices and kinds) stays as the city wrote it.
"""

from __future__ import annotations

import re
from functools import cache

from gateway.i18n import lang

ENGLISH = {
    "载有密级标志": "bears a marking",
    "与 {of} 内容相同": "says the same as {of}",
    "演练、测试信息": "a drill or test",
    "非突发信息（{noise}）": "no urgent matter ({noise})",
    "撤回，但未找到所指的原报": "withdrawn, but the report it means was not found",
    "更正，但未找到所指的原报": "corrected, but the report it means was not found",
    "未找到原报": "the first report was not found",
    "符合{items}": "meets {items}",
    "是否达到报送标准待定：{why}": "whether it must be reported is open: {why}",
    "可能与已有事件有关": "may belong to a known incident",
    "可能与已有事件为同一事件": "may be a known incident",
    "或与 {number} 为同一事件": "or the same incident as {number}",
    "更正后未达报送标准，请核定": "below the threshold after the correction: a person decides",
    "来报撤回前报，请核定": "the report was withdrawn: a person decides",
    "{number} 已拆出，请核对数字": "{number} was split off: check the figures",
    "已收本事件前报": "has an earlier report of it",
    "未达到报送标准": "below the threshold",
    "未能识别出事件内容": "no incident could be made out",
    "续报、更正所指：{number}": "follow-up or correction of {number}",
    "续报所指不唯一": "a follow-up that may mean several incidents",
    "同类、同地（{place}）、同时：{number}": "same kind, place ({place}) and time as {number}",
    "引用编号 {number}": "cites {number}",
    "回复原邮件": "answers the first mail",
    "工作时间": "working hours",
    "工作时间（{day}调休上班）": "working hours (worked in exchange for {day})",
    "上班前": "before working hours",
    "下班后": "after working hours",
    "午休": "lunch break",
    "周末": "weekend",
    "{year}年放假安排未录入": "the holidays of {year} are not known",
    "非工作时间（{why}）": "out of hours ({why})",
    "全天接收": "receives at all hours",
    "内容敏感": "sensitive content",
    "第一时间报告": "told at once",
    "领导小组直收：{kinds}": "leading group, directly: {kinds}",
    "上级职能部门：{kind}（不代替单位双重上报）": "department above: {kind} (the unit still reports there itself)",
    "协同部门：{kind}": "co-operates: {kind}",
    "{what}不详": "{what} not known",
    "未报{what}": "{what} not told",
    "死亡": "dead",
    "受伤": "injured",
    "死伤": "dead and injured",
    "重伤": "seriously injured",
    "失踪": "missing",
    "失联被困": "missing or trapped",
    "中毒": "poisoned",
    "发病": "ill",
    "参与人数": "participants",
    "损失（元）": "loss in yuan",
    "初报": "first report",
    "续报": "follow-up",
    "终报": "final report",
    "由人识读原件": "a person reads the original",
    "等待签收": "waits for acknowledgement",
}
"""The fixed sentences of matching, triage, calendar and routing, with their English."""
_HOLE = re.compile(r"\\\{([a-z]+)\\\}")


def reason(text: str | None) -> str:
    """A reason in the operator's language; one that is not known stays as it is."""
    if not text or lang() == "zh":
        return text or ""
    if exact := ENGLISH.get(text):
        return exact
    for pattern, english in _templates():
        if found := pattern.fullmatch(text):
            return english.format(**{name: reason(value) for name, value in found.groupdict().items()})
    return text


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(_HOLE.sub(r"(?P<\1>.+)", re.escape(chinese)), re.DOTALL), english)
        for chinese, english in ENGLISH.items()
        if "{" in chinese
    ]
