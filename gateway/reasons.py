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
    "来报没有可据以判断的数字": "the report states no figure by which it could be judged",
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
    "死亡": "deaths",
    "受伤": "injured",
    "死伤": "deaths and injured together",
    "重伤": "seriously injured",
    "失踪": "missing",
    "失联被困": "missing and trapped together",
    "中毒": "poisoned",
    "发病": "ill",
    "被困": "trapped",
    "参与人数": "participants",
    "转移": "evacuated",
    "受灾人口": "affected",
    "损失": "loss",
    "倒塌房屋": "houses destroyed",
    "森林受害": "forest burnt",
    "农作物受灾": "crops hit",
    "农作物绝收": "crops lost",
    "未报死亡、重伤和直接经济损失": "deaths, serious injuries and direct loss not told",
    "另有 {number} 人失联被困": "{number} more missing or trapped",
    "受伤 {number} 人，未报重伤人数": "{number} injured, not told how many seriously",
    "死亡 {number} 人 ≥ {least} 人": "deaths {number} ≥ {least}",
    "受伤 {number} 人 ≥ {least} 人": "injured {number} ≥ {least}",
    "重伤 {number} 人 ≥ {least} 人": "seriously injured {number} ≥ {least}",
    "损失 {number} ≥ {least}": "loss {number} ≥ {least}",
    "{what}至少 {number} 人，标准为 {least} 人": "{what} at least {number}, the limit is {least}",
    "{what}至少 {number} 人": "{what} at least {number}",
    "spam": "advertisement",
    "greeting": "greeting",
    "notice": "notice",
    "auto_reply": "automatic answer",
    "empty": "nothing written",
    "news": "news from elsewhere",
    "初报": "first report",
    "续报": "follow-up",
    "终报": "final report",
    "由人识读原件": "a person reads the original",
    "等待签收": "waits for acknowledgement",
}
"""The fixed sentences of matching, triage, calendar and routing, with their English."""
NOISE = {"spam": "广告", "greeting": "问候", "notice": "通知", "auto_reply": "自动回复", "empty": "无内容", "news": "外地新闻"}
"""What is no urgent matter, by the names that the store keeps."""
NOISE_SHOWN = re.compile(rf"（({'|'.join(NOISE)})）$")
_AMOUNT = re.compile(r"([\d.]+) (亿|万|)元")
_HOLE = re.compile(r"\\\{([a-z]+)\\\}")


def reason(text: str | None) -> str:
    """A reason in the operator's language; one that is not known stays as it is."""
    if not text:
        return ""
    if lang() == "zh":
        return NOISE_SHOWN.sub(lambda found: f"（{NOISE[found[1]]}）", text)
    if exact := ENGLISH.get(text):
        return exact
    if amount := _AMOUNT.fullmatch(text):
        return f"{float(amount[1]) * {'亿': 100_000_000, '万': 10_000, '': 1}[amount[2]]:,.0f} yuan"
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
