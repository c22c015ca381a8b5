"""The closed vocabulary of the journal and the audit log: every event, its data fields, and how a person reads it.

An event or field that is not here is refused. What may stand in a field follows from its kind; ``withheld`` fields are
kept in the journal and never written to the audit log, which holds no text, no figures of casualties and no whole
telephone number. Published in docs/audit.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from gateway.core.model import Event

FieldKind = Literal["id", "name", "names", "phone", "time", "count", "word", "why", "flag", "withheld", "kept"]

KINDS: Mapping[FieldKind, str] = {
    "id": "an id or reference, up to 200 characters without spaces",
    "name": "an office, person, unit, plugin or configured name, up to 120 characters",
    "names": "a list of names",
    "phone": "a telephone number or mail address; the middle of a number is masked",
    "time": "an instant, ISO 8601 with offset",
    "count": "a whole number, never of casualties",
    "word": "a word of a closed set, up to 64 characters without line ends",
    "why": "a short remark, up to 300 characters, telephone numbers masked",
    "flag": "true or false",
    "withheld": "kept in the journal, left out of the audit log",
    "kept": "as withheld, and shown by no command: what stood before, so that the act can be taken back",
}


class NotInVocabulary(ValueError):
    """An event or a field that the vocabulary does not know, or a value that its field may not hold."""


class Kind(msgspec.Struct, frozen=True):
    """One event: its fields beside ``COMMON``, and its phrase in English and Chinese."""

    name: str
    fields: Mapping[str, FieldKind]
    en: str
    zh: str


COMMON: Mapping[str, FieldKind] = {
    "via": "name",
    "channel": "word",
    "why": "why",
    "late": "flag",
    "verified": "flag",
    "evidence": "names",
    "rules": "id",
    "number": "id",
    "unit": "name",
    "means": "word",
    "demo": "flag",
    "undoes": "id",
}
"""Fields that any event may carry."""


def _kind(name: str, en: str, zh: str, /, **fields: FieldKind) -> tuple[str, Kind]:
    # "from" is a field's name and a word of Python.
    return name, Kind(name, {key.rstrip("_"): kind for key, kind in fields.items()}, en, zh)


EVENTS: Mapping[str, Kind] = dict(
    (
        # the daemon
        _kind("started", "gateway {version} started", "网关 {version} 已启动", version="word", node="name", conf="id",
              schema="word", plugins="names"),
        _kind("stopped", "gateway stopped: {why}", "网关已停止：{why}", node="name"),
        _kind("reloaded", "configuration read again by {by}: {changed}", "{by} 重新载入配置：{changed}", conf="id", from_="id",
              changed="names", started="names", stopped="names", needs_restart="names"),
        _kind("reload_refused", "new configuration refused, faults: {faults}", "新配置未采用：{faults} 处错误", faults="count",
              files="names"),
        _kind("roster_imported", "{by} imported the duty roster {file}: {turns} turns from {from} to {to}",
              "{by} 导入值班表 {file}：{turns} 个班次，{from} 至 {to}", file="name", turns="count", from_="time", to="time",
              offices="names", gained="count", lost="count", ref="id", how="word"),
        _kind("conf_proposed", "{by} proposed a change of {file}: {added} lines added, {removed} taken away",
              "{by} 提议修改 {file}：增 {added} 行，删 {removed} 行", file="name", from_="id", ref="id", added="count",
              removed="count", how="word", proposal="id"),
        _kind("conf_declined", "{by} declined the change of {file} that {of} proposed: {why}",
              "{by} 不同意 {of} 对 {file} 的修改：{why}", file="name", ref="id", of="name", proposal="id"),
        _kind("conf_changed", "{by} changed {file}: {added} lines added, {removed} taken away; agreed by {agreed}",
              "{by} 修改 {file}：增 {added} 行，删 {removed} 行；同意：{agreed}", file="name", from_="id", ref="id",
              added="count", removed="count", how="word", agreed="name", proposal="id"),
        _kind("channel_up", "channel {via} is up", "渠道 {via} 已连通"),
        _kind("channel_down", "channel {via} is down: {why}", "渠道 {via} 中断：{why}"),
        _kind("commanded", "{by} gave the command {command}", "{by} 执行命令 {command}", command="word", target="id"),
        _kind("opened", "{by} opened the original", "{by} 查看原文", how="word"),
        _kind("signed_in", "{by} signed in as {account}", "{by} 登录值班台（账号 {account}）", account="name", role="word",
              peer="word", session="id", factor="flag", how="word"),
        _kind("signed_out", "{account} signed out: {why}", "账号 {account} 退出值班台：{why}", account="name", session="id"),
        _kind("sign_in_refused", "sign-in as {account} from {peer} refused: {why}",
              "拒绝账号 {account} 自 {peer} 登录：{why}", account="name", peer="word"),
        _kind("account_changed", "{by} changed account {account}: {what}", "{by} 变更账号 {account}：{what}", account="name",
              what="word", role="word", person="name"),
        _kind("looked", "{by} looked at {what}", "{by} 查看{what}", what="word", account="name", count="count"),
        _kind("exported", "{by} exported it as {how}", "{by} 导出为 {how}", how="word", ref="id"),
        _kind("alarm", "ALARM: {why}", "告警：{why}", name="name", plugin="name", transport="name", destination="name",
              office="name", what="word", limit="count", peer="name", detail="why", count="count", page="id", maintenance="flag",
              minutes="count", direct="flag"),
        _kind("alarm_sent", "alarm {what} told by {to}", "告警 {what} 已通知：{to}", what="word", to="names", failed="names",
              count="count", page="id"),
        _kind("maintenance", "maintenance {state} by {by}: {why}", "{by} 维护{state}：{why}", state="word", until="time",
              window="id"),
        _kind("purged", "content destroyed by the rule {rule}", "按规则 {rule} 销毁内容", rule="word", days="count",
              deliveries="count"),
        _kind("restored", "restored from the backup of {made_at}", "由 {made_at} 的备份恢复", made_at="time", seq="count",
              version="word", schema="word"),
        _kind("canary_failed", "the test message over {via} did not come back", "经 {via} 的自检信息未返回", minutes="count",
              name="name", transport="name"),
        _kind("canary_returned", "the test message over {via} is back", "经 {via} 的自检信息已返回", minutes="count",
              name="name", transport="name"),
        # in
        _kind("accepted", "message accepted from {sender} over {via}", "收到 {sender} 经 {via} 来的信息", sender="phone",
              recipient="phone", size="count", carrier_id="withheld", duplicate_of="id", part="count", parts="count",
              received_at="time"),
        _kind("phone_logged", "{by} put down the call that {clerk} noted", "{by} 录入 {clerk} 记录的来电", clerk="name",
              duplicate_of="id"),
        _kind("part_accepted", "part {part} of {parts} accepted over {via}", "收到 {via} 长信息第 {part}/{parts} 条",
              sender="phone", part="count", parts="count", size="count", duplicate_of="id"),
        _kind("partial_released", "{have} of {parts} parts released for reading", "长信息仅到 {have}/{parts} 条，先行处理",
              have="count", parts="count", completes="id"),
        _kind("receipt", "carrier's receipt {state} for {destination}", "{destination} 的回执：{state}", ref="id",
              state="word", destination="name", transport="name", detail="why", parked="flag"),
        _kind("duplicate", "the same as {of}", "与 {of} 重复", of="id", how="word", sender="phone"),
        _kind("ignored", "ignored: {noise}", "不作处理：{noise}", noise="word", sender="phone"),
        _kind("quarantined", "marked {marking}: sealed for the confidential bureau", "带密级标志（{marking}），已封存转机要局",
              marking="word", where="word", to="name", sender="phone"),
        _kind("needs_person", "needs a person: {why}", "需人工处理：{why}", what="names", pages="count"),
        _kind("released", "released by {by}", "{by} 放行", how="word"),
        # the register
        _kind("registered", "incident {number} opened: {items}", "登记为 {number}：{items}", items="names", kinds="names",
              review="names", missing="names", sensitive="flag", kind="word", title="withheld", state="word",
              occurred="withheld", matched="withheld", reporter="withheld"),
        _kind("attached", "further report {kind} to incident {number}", "{kind}并入 {number}", kind="word", items="names",
              certain="flag", proposed="names", missing="names", revision="count", how="word"),
        _kind("merged", "incident merged into {into}", "并入 {into}", into="id", from_="id"),
        _kind("split", "incident split off from {from}", "自 {from} 拆出", from_="id", into="id"),
        _kind("below_threshold", "below the threshold of the catalogue", "未达报送标准", missing="names", review="names",
              items="names", kind="word", title="withheld", kinds="names"),
        _kind("drill", "marked as a drill", "演练信息", items="names", kind="word", title="withheld", kinds="names"),
        _kind("revised", "{field} revised", "更正：{field}", field="word", from_="withheld", to="withheld",
              items="names", fallen="names"),
        _kind("judged", "judged {kind} by {by}", "{by} 认定为{kind}", kind="word", wording="withheld", clock="word",
              responsible="names", state="word", former="kept"),
        _kind("breach", "breach: {what}", "违规：{what}", what="word", responsible="names"),
        _kind("asked", "{of} asked for {what}", "向{of}追问：{what}", of="name", what="names", how="word"),
        _kind("answered", "{of} answered", "{of}已答复", of="name", what="names"),
        _kind("approved", "approved by {by}", "{by} 审签", level="word", wording="withheld", chain="word"),
        _kind("instructed", "instruction by {by}", "{by} 批示", wording="withheld", to="names", due="time",
              instruction="id"),
        _kind("supervision_due", "supervision due", "督办到期", due="time", office="name", instruction="id"),
        _kind("supervision_done", "supervision done", "督办办结", office="name", instruction="id",
              wording="withheld"),
        _kind("supervision_resumed", "{by} took back that instruction {instruction} was done",
              "{by} 撤回办结：批示 {instruction} 继续督办", office="name", instruction="id"),
        _kind("approval_withdrawn", "{by} took back the signature", "{by} 撤回审签", level="word"),
        _kind("corrected", "{by} corrected {fields}", "{by} 更正：{fields}", fields="names", former="kept"),
        _kind("refused", "refused to {who}: {why}", "拒绝 {who}：{why}", who="phone", what="word", office="name", how="word"),
        _kind("unanswered", "the reporter got no answer: {why}", "未答复报送人：{why}", of="phone"),
        _kind("closed", "closed by {by}", "{by} 结案", state="word"),
        _kind("reopened", "reopened by {by}", "{by} 重新立案", state="word"),
        # out
        _kind("routed", "to {destinations}", "发往：{destinations}", destinations="names", because="names",
              working_hours="flag", duties="names"),
        _kind("delivered", "delivered to {destination} by {transport}", "已送达{destination}（{transport}）",
              destination="name", transport="name", address="phone", attempt="count", duty="word", refs="names",
              delivered_at="time", notice="flag"),
        _kind("delivery_failed", "not delivered to {destination}: {why}", "未送达{destination}：{why}", destination="name",
              transport="name", address="phone", attempt="count", next_try_at="time", final="flag", fallback="name",
              duty="word"),
        _kind("queued_stopped", "queued deliveries to {destination} stopped", "停发待发往{destination}的信息",
              destination="name", count="count", deliveries="names"),
        _kind("delivery_retried", "{by} had it sent again to {destination}", "{by} 重发至{destination}", destination="name"),
        _kind("delivery_held", "{by} held the delivery to {destination}", "{by} 暂停发往{destination}", destination="name"),
        _kind("briefed", "morning brief of {from} to {to} sent to {destinations}",
              "值班快报（{from} 至 {to}）发往：{destinations}",
              destinations="names", from_="time", to="time"),
        _kind("acknowledged", "{destination}: acknowledged by {by}", "{destination}：{by} 签收", destination="name",
              how="word", deliveries="names", office="name", at="time"),
        _kind("notified", "{by} of {office} told {person}", "{office}{by} 已告知{person}", office="name", person="name",
              how="word"),
        _kind("escalated", "{destination}: escalated to {to}", "{destination}：升级至{to}", destination="name", to="name",
              step="word", minutes="count", transport="name", person="name", office="name"),
        _kind("handed_over", "handed over from {from} to {to}", "{from} 移交 {to}", from_="name", to="name",
              destination="name"),
        _kind("shift_signed_off", "{office}: the shift's sheet {ref} signed by {by}, who goes",
              "{office}:{by} 交班签字,交接单 {ref}", office="name", ref="id", digest="id", open="count", alarms="count"),
        _kind("shift_handed_over", "{office}: shift handed over from {from} to {to}, sheet {ref}",
              "{office}:{from} 向 {to} 交接班,交接单 {ref}", office="name", from_="name", to="name", ref="id", digest="id",
              open="count", alarms="count"),
        # clocks
        _kind("clock_started", "clock {clock} runs until {due}", "时限 {clock} 起算，截止 {due}", clock="word", due="time",
              started_at="time", estimated="flag", responsible="names"),
        _kind("clock_moved", "clock {clock} moved from {from} to {to}", "时限 {clock} 由 {from} 改为 {to}", clock="word",
              from_="time", to="time", because="why", due="time", disputed="flag"),
        _kind("clock_stopped", "clock {clock} stopped", "时限 {clock} 已履行", clock="word", due="time", stopped_at="time"),
        _kind("clock_waived", "clock {clock} waived by {by}", "{by} 免除时限 {clock}", clock="word", due="time"),
        _kind("waiver_withdrawn", "{by} took back that clock {clock} was waived; due {due}",
              "{by} 撤回免除：时限 {clock} 恢复，截止 {due}", clock="word", due="time"),
        _kind("clock_due", "clock {clock} is due at {due}", "时限 {clock} 将于 {due} 到期", clock="word", due="time",
              minutes="count"),
        _kind("clock_passed", "clock {clock} passed: {judgement} ({responsible})",
              "时限 {clock} 已过：{judgement}（{responsible}）", clock="word", due="time", judgement="word",
              responsible="names"),
    )
)  # fmt: skip
"""Every event by name."""
_FIELDS: Mapping[str, Mapping[str, FieldKind]] = {name: {**COMMON, **kind.fields} for name, kind in EVENTS.items()}

_OPEN = frozenset(name for name, fields in _FIELDS.items() if not {"withheld", "kept"} & set(fields.values()))
"""Events of which nothing is withheld."""

_MOBILE = re.compile(r"(?<![0-9A-Za-z])(?:\+?0{0,2}86[ -]?)?(1[3-9]\d)[ -]?\d{4}[ -]?(\d{4})(?![0-9A-Za-z])")
_LANDLINE = re.compile(r"(?<![0-9A-Za-z])(?:\+?86[ -]?)?(0?\d{2,3})-?\d{3,4}(\d{4})(?![0-9A-Za-z-])")
_DIGITS = re.compile(r"\d{3}")
"""What every number to be masked has in it; most texts have not."""
_SPACE = re.compile(r"\s")
_LONG_ENOUGH = 7
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def mask(number: str) -> str:
    """A sender's number for the record: 138****0001. Short service numbers and mail addresses stay."""
    if "@" in number:
        return number
    digits = sum(char.isdigit() for char in number)
    if digits < _LONG_ENOUGH:
        return number
    masked = mask_in(number)
    if masked != number:
        return masked
    kept = 3 if digits > 9 else 2
    return f"{number[:kept]}****{number[-kept - 1 :]}"


def mask_in(text: str) -> str:
    """``text`` with the telephone numbers in it masked."""
    if _DIGITS.search(text) is None:
        return text
    return _LANDLINE.sub(r"\1****\2", _MOBILE.sub(r"\1****\2", text))


def check(event: Event) -> Event:
    """The event as it may be kept: fields known, values of their kinds, numbers masked. Raises ``NotInVocabulary``."""
    fields = _FIELDS.get(event.event)
    if fields is None:
        raise NotInVocabulary(f"no event {event.event!r} in the vocabulary")
    if event.at.tzinfo is None:
        raise NotInVocabulary(f"{event.event}: its instant has no offset")
    data = {}
    for name, value in event.data.items():
        field = fields.get(name)
        if field is None:
            raise NotInVocabulary(f"{event.event}: no field {name!r} in the vocabulary")
        if value is not None:
            data[name] = _CHECKED[field](event.event, name, value)
    by = None if event.by is None else mask_in(_text(event.by, 120))
    ids = {name: _id(event.event, name, value) for name in _IDS if (value := getattr(event, name)) is not None}
    return msgspec.structs.replace(event, data=data, by=by, **ids)


def parted(event: Event) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data of a checked event: what the audit log shows, and what only the journal keeps."""
    if event.event in _OPEN:
        return event.data, {}
    shown = public(event)
    return shown, {name: value for name, value in event.data.items() if name not in shown}


def public(event: Event) -> dict[str, Any]:
    """The event's data as it may stand in the audit log: without what is withheld or no longer in the vocabulary."""
    fields = _FIELDS.get(event.event, COMMON)
    return {name: value for name, value in event.data.items() if fields.get(name, "withheld") not in ("withheld", "kept")}


def shown(event: Event) -> dict[str, Any]:
    """The event's data as a command shows it: all but what is only kept."""
    if event.event in _OPEN:
        return dict(event.data)
    fields = _FIELDS.get(event.event, COMMON)
    return {name: value for name, value in event.data.items() if fields.get(name) != "kept"}


def known(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The part of ``data`` that the event may carry: for callers that pass on what a plugin gave them."""
    fields = _FIELDS.get(name, COMMON)
    return {key: value for key, value in data.items() if key in fields}


def markdown() -> str:
    """The vocabulary as the tables of docs/audit.md."""
    lines = ["| kind of field | holds |", "|---|---|", *(f"| {name} | {what} |" for name, what in KINDS.items())]
    lines += ["", "Any event may carry: " + ", ".join(f"`{name}` ({kind})" for name, kind in COMMON.items()) + "."]
    lines += ["", "| event | fields | English | 中文 |", "|---|---|---|---|"]
    for kind in EVENTS.values():
        fields = ", ".join(f"`{name}` ({what})" for name, what in kind.fields.items()) or "–"
        lines.append(f"| `{kind.name}` | {fields} | {kind.en} | {kind.zh} |")
    return "\n".join(lines) + "\n"


def _id(event: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > 200 or _SPACE.search(value):
        raise _wrong(event, name, "id")
    return _text(value, 200)


def _names(event: str, name: str, value: Any) -> list[str]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise _wrong(event, name, "names")
    names = sorted(value) if isinstance(value, set | frozenset) else value
    return [mask_in(_text(one, 200)) for one in names if isinstance(one, str)]


def _phone(event: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(event, name, "phone")
    return mask(_text(value, 120))


def _flag(event: str, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(event, name, "flag")
    return value


def _count(event: str, name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(event, name, "count")
    return value


def _words(kind: FieldKind, most: int) -> Callable[[str, str, Any], str]:
    def checked(event: str, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise _wrong(event, name, kind)
        return mask_in(_text(value, most))

    return checked


def _anything(_event: str, _name: str, value: Any) -> Any:
    return value if type(value) is str else msgspec.to_builtins(value)


def _wrong(event: str, name: str, kind: FieldKind) -> NotInVocabulary:
    return NotInVocabulary(f"{event}: field {name!r} is not {KINDS[kind]}")


def _time(event: str, name: str, value: Any) -> str:
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _wrong(event, name, "time") from None
    if at.tzinfo is None:
        raise _wrong(event, name, "time")
    return at.isoformat()


def _text(value: str, most: int) -> str:
    if len(value) <= most and value.isprintable():
        return value  # no control characters, no lone surrogates: nearly every text
    tidy = _CONTROL.sub(" ", value).encode("utf-8", "backslashreplace").decode()
    return tidy if len(tidy) <= most else tidy[: most - 1] + "…"


_IDS = ("incident", "message", "delivery")
_CHECKED: Mapping[FieldKind, Callable[[str, str, Any], Any]] = {
    "id": _id,
    "name": _words("name", 120),
    "names": _names,
    "phone": _phone,
    "time": _time,
    "count": _count,
    "word": _words("word", 64),
    "why": _words("why", 300),
    "flag": _flag,
    "withheld": _anything,
    "kept": _anything,
}
"""How a value of each kind is looked at: with the names of its event and field, which an error tells."""
