"""CAP 1.2: incidents of the real pipeline come out valid against OASIS's own schema; what may not leave is refused."""

from __future__ import annotations

import os
import re
import stat
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import cap, i18n, preparing, register
from gateway import house as houses
from gateway.asked import OperationError
from gateway.cap_rules import CapFile
from gateway.conf_load import load
from gateway.core.model import Event, Figure, Incident, Occurred, Place, RawMessage, Report
from gateway.explain import throwaway_key
from gateway.faults import ConfError
from gateway.host import Host
from gateway.intake import take_in
from gateway.operations import Live, perform_now
from gateway.settings_model import CapSection
from gateway.store import Store, StoreKeys, journal, messages

ROOT = Path(__file__).parents[2]
SCHEMA = xmlschema.XMLSchema(ROOT / "docs" / "cap" / "CAP-v1.2.xsd")
CONFIG = load(ROOT / "conf", Host.load(ROOT / "conf"))
NS = {"c": cap.NAMESPACE}
ZONE = timezone(timedelta(hours=8))
AT = datetime(2026, 3, 6, 9, 31, 7, 250_000, tzinfo=ZONE)
CRASH = "云台区政府办报告：今日9时10分，云台区清水湾路口两车相撞，造成2人死亡、3人受伤。报告人：李军"
MORE = "续报：云台区清水湾路口两车相撞事故死亡人数上升至4人，伤者已送医。"


class Desk:
    """The pipeline over a store in memory."""

    def __init__(self) -> None:
        self.at = AT
        self.house = houses.build(CONFIG, bureau_public=throwaway_key())
        self.store = Store.open("sqlite://", StoreKeys(os.urandom(32)), clock=lambda: self.at)
        self.live = Live(config=CONFIG, store=self.store)

    def take(self, text: str, minutes: float = 0, sender: str = "13800000003") -> register.Taken:
        from gateway.core.model import Message

        self.at += timedelta(minutes=minutes)
        raw = RawMessage(
            channel="sms", via="sms", received_at=self.at, sender=sender, body=text.encode(), content_type="text/plain"
        )
        accepted = self.store.write_now(lambda tx: take_in(tx, raw, self.at, 60))
        row = self.store.read_now(lambda tx: messages.get(tx, accepted.id))
        prepared = preparing.prepare(self.house, row, Message(text=text))
        return self.store.write_now(lambda tx: register.take(tx, self.house, row, prepared, self.at))

    def cap(self, number: str) -> ET.Element:
        made = perform_now(self.live, "cap", {"number": number}, "李值班")
        SCHEMA.validate(made["xml"])
        return ET.fromstring(made["xml"])


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.store.close()


def text(alert: ET.Element, path: str) -> str | None:
    return alert.findtext("/".join(f"c:{name}" for name in path.split("/")), namespaces=NS)


def pairs(alert: ET.Element, path: str) -> dict[str, str]:
    found = alert.findall("/".join(f"c:{name}" for name in path.split("/")), NS)
    return {text(one, "valueName") or "": text(one, "value") or "" for one in found}


def test_a_first_report_is_an_alert(desk: Desk) -> None:
    taken = desk.take(CRASH)
    assert taken.incident is not None
    alert = desk.cap(taken.incident.number)
    assert (text(alert, "status"), text(alert, "msgType"), text(alert, "scope")) == ("Actual", "Alert", "Restricted")
    assert text(alert, "sent") == "2026-03-06T09:31:07+08:00" and text(alert, "references") is None
    assert text(alert, "incidents") == taken.incident.number
    assert (text(alert, "info/language"), text(alert, "info/event"), text(alert, "info/category")) == (
        "zh-CN", "道路交通事故", "Transport",
    )  # fmt: skip
    assert (text(alert, "info/urgency"), text(alert, "info/severity"), text(alert, "info/certainty")) == (
        "Immediate", "Minor", "Observed",
    )  # fmt: skip
    assert pairs(alert, "info/eventCode") == {"GB/T 35561": "12H00"}
    assert text(alert, "info/onset") == "2026-03-06T09:10:00+08:00"
    assert "清水湾路口" in (text(alert, "info/description") or "") and "云台区" in (text(alert, "info/area/areaDesc") or "")
    told = pairs(alert, "info/parameter")
    assert told["deaths"] == "死亡 2 人" and told["incidentNumber"] == "〔2026〕0001" and "事故类-2" in told["catalogueItems"]
    assert not any(name.startswith("12379") for name in told), "no such fields without the unit's code in conf"


def test_follow_ups_are_updates_that_refer_to_all_before(desk: Desk) -> None:
    first = desk.take(CRASH)
    assert first.incident is not None
    sent = [desk.cap(first.incident.number)]
    for minutes, words in ((25, MORE), (30, "续报：云台区清水湾路口两车相撞事故，道路已恢复通行。")):
        again = desk.take(words, minutes)
        assert again.incident is not None and again.incident.id == first.incident.id
        sent.append(desk.cap(first.incident.number))
    assert [text(one, "msgType") for one in sent] == ["Alert", "Update", "Update"]
    assert len({text(one, "identifier") for one in sent}) == 3
    names = [f"{text(one, 'sender')},{text(one, 'identifier')},{text(one, 'sent')}" for one in sent]
    assert (text(sent[1], "references") or "").split() == names[:1]
    assert (text(sent[2], "references") or "").split() == names[:2]
    assert text(sent[1], "info/severity") == "Moderate", "four dead: 较大"
    again = desk.cap(first.incident.number)
    assert text(again, "identifier") == text(sent[2], "identifier"), "exported twice it is the same alert"
    perform_now(
        desk.live, "do", {"number": first.incident.number, "act": "close", "reason": "处置完毕", "person": "李值班"}, "root"
    )
    over = desk.cap(first.incident.number)
    assert (text(over, "msgType"), text(over, "info/urgency")) == ("Update", "Past")


def test_a_drill_is_an_exercise(desk: Desk) -> None:
    taken = desk.take("【演练】今日9时，青山区某化工厂模拟爆炸，模拟3人死亡，现开展应急演练。")
    assert taken.incident is not None and taken.action == "drill"
    assert text(desk.cap(taken.incident.number), "status") == "Exercise"


def test_who_exported_what_is_on_record(desk: Desk) -> None:
    taken = desk.take(CRASH)
    assert taken.incident is not None
    name = text(desk.cap(taken.incident.number), "identifier")
    found = desk.store.read_now(lambda tx: journal.entries(tx, names=["exported"]))
    assert [(e.event.by, e.event.incident, e.event.data["ref"]) for e in found] == [("李值班", taken.incident.number, name)]


def test_sensitive_marked_and_unread_content_has_no_cap(desk: Desk) -> None:
    plain = desk.take(CRASH)
    assert plain.incident is not None
    for changed, why in (
        ({"sensitive": True}, "sensitive"),
        ({"report": Report(text="x", marking="机密")}, "marked"),
        ({"report": Report(text="x", sensitive=True)}, "sensitive"),
        ({"report": Report(text=" \n")}, "not been read"),
    ):
        incident = msgspec.structs.replace(plain.incident, **changed)
        i18n.use("en")
        try:
            with pytest.raises(cap.NoCap, match=why):
                cap.allowed(incident, False)
        finally:
            i18n.use("zh")
    with pytest.raises(cap.NoCap):
        cap.allowed(plain.incident, True)
    cap.allowed(plain.incident, False)
    secret = desk.take("今日9时，敌对势力在青山区组织非法集会，约30人参与。", 5)
    assert secret.incident is not None and secret.incident.sensitive
    with pytest.raises(OperationError):
        desk.cap(secret.incident.number)
    assert [e.event.incident for e in desk.store.read_now(lambda tx: journal.entries(tx, names=["exported"]))] == []


def made(
    report: Report, history: int = 1, section: CapSection | None = None, rules: CapFile | None = None, **fields: Any
) -> bytes:
    incident = Incident(**{
        "id": "1", "number": "2026-0001", "title": "某事故", "state": "open", "items": ("事故类-2",), "kinds": (),
        "report": report, "first_received_at": AT, **fields,
    })  # fmt: skip
    chain = tuple(cap.Version(number=n + 1, at=AT + timedelta(minutes=n), event="attached") for n in range(history))
    return cap.document(
        incident, chain, section or CONFIG.cap, rules or CONFIG.cap_rules, CONFIG.catalogue,
        city="江州市", local=lambda at: at.astimezone(ZONE),
    )  # fmt: skip


def parsed(data: bytes) -> ET.Element:
    SCHEMA.validate(data.decode())
    return ET.fromstring(data)


def test_a_false_or_withdrawn_report_is_cancelled() -> None:
    withdrawn = parsed(made(Report(text="撤回", withdrawal=True), history=2))
    assert (text(withdrawn, "msgType"), text(withdrawn, "info/certainty")) == ("Cancel", "Unlikely") and text(withdrawn, "note")
    events = [Event(at=AT, event="registered"), Event(at=AT, event="routed"), Event(at=AT, event="judged", data={"kind": "误报"})]
    assert [(v.number, v.cancels) for v in cap.versions(events)] == [(1, False), (2, True)]
    assert cap.versions([Event(at=AT, event="accepted"), Event(at=AT, event="delivered")]) == ()


@pytest.mark.parametrize(
    ("figures", "severity"),
    [
        ({"deaths": 29}, "Severe"), ({"deaths": 30}, "Extreme"), ({"deaths": 9}, "Moderate"), ({"deaths": 2}, "Minor"),
        ({"seriously_injured": 100}, "Extreme"), ({"seriously_injured": 49}, "Moderate"), ({"loss_yuan": 100_000_000}, "Extreme"),
        ({"loss_yuan": 49_999_999}, "Moderate"), ({"deaths": 0}, "Unknown"), ({"deaths": None}, "Unknown"), ({}, "Unknown"),
    ],
)  # fmt: skip
def test_severity_follows_the_degrees_of_the_rule(figures: dict[str, Any], severity: str) -> None:
    report = Report(text="x", **{name: Figure(value=value) for name, value in figures.items()})
    assert text(parsed(made(report)), "info/severity") == severity


def test_utc_is_written_as_the_standard_wants_it() -> None:
    assert cap.stamp(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00-00:00"
    assert cap.stamp(AT) == "2026-03-06T09:31:07+08:00"


def test_fields_of_the_12379_form_stand_where_conf_has_them() -> None:
    section = CONFIG.cap.model_copy(update={"unit_code": "99990000100101"})
    rules = CONFIG.cap_rules.model_copy(update={"geocode": {"云台区": "999901000000"}})
    report = Report(text="x", deaths=Figure(value=12), place=Place(text="云台区清水湾路口", county="云台区"))
    alert = parsed(made(report, section=section, rules=rules))
    told = pairs(alert, "info/parameter")
    assert re.fullmatch(r"\d{14}_\d{14}_\d", told["12379.identifier"]) and len(told["12379.identifier"]) == 31
    assert told["12379.sendTime"] == "2026-03-06 09:31:07+08:00"
    assert (told["12379.eventType"], told["12379.severity"], told["12379.secClassification"]) == ("12H00", "Orange", "None")
    assert pairs(alert, "info/area/geocode") == {"GB/T 2260": "999901000000"}


def test_a_conf_without_cap_toml_exports_as_well() -> None:
    alert = parsed(made(Report(text="x"), rules=CapFile()))
    assert (text(alert, "info/category"), text(alert, "info/severity")) == ("Other", "Unknown")
    assert pairs(alert, "info/eventCode") == {"GB/T 35561": "12H00"}, "codes of events stand in catalogue.toml"


any_text = st.text(st.characters(codec=None), max_size=60)


@settings(max_examples=150, deadline=None)
@given(title=any_text, body=any_text, where=any_text, cause=any_text, steps=st.lists(any_text, max_size=3), who=any_text)
def test_any_text_gives_a_valid_document_that_says_the_same(
    title: str, body: str, where: str, cause: str, steps: list[str], who: str
) -> None:
    report = Report(text=body, place=Place(text=where), cause=cause, next_steps=tuple(steps), unit=who,
                    occurred=Occurred(value="2026-03", precision="month"))  # fmt: skip
    alert = parsed(made(report, title=title, history=3))
    assert (text(alert, "info/description") or "") == cap.clean(body).strip()
    assert (text(alert, "info/headline") or "") == cap.clean(title)[: cap.HEADLINE].strip()
    assert len((text(alert, "references") or "").split()) == 2
    assert not re.search(r"[\s,<&]", text(alert, "identifier") or " ")


@pytest.mark.parametrize(
    ("file", "line", "fault"),
    [
        ("cap.toml", '[[item]]\nid = "事故类-99"\ncategory = ["Other"]', "unknown item '事故类-99'"),
        ("cap.toml", '[[item]]\nid = "事故类-2"\ncategory = ["Traffic"]', "is 'Traffic'; allowed: CBRNE, Env"),
        ("cap.toml", '[[level]]\nseverity = "Minor"\nat_least = { dead = 1 }', "unknown figure 'dead'; allowed: deaths"),
        ("cap.toml", '[geocode]\n"无名县" = "110000"', "unknown place '无名县'"),
        ("cap.toml", '[geocode]\n"云台区" = "11"', "has the wrong form"),
        ("gateway.toml", '[cap]\nsender = "a b"', "has the wrong form; allowed: who sends"),
        ("gateway.toml", '[cap]\nscope = "Public"', "is 'Public'; allowed: Private, Restricted"),
        ("gateway.toml", '[cap]\nscope = "Private"', "a private alert without addresses; allowed: at least one address"),
    ],
)
def test_a_wrong_conf_is_told_with_what_is_allowed(tmp_path: Path, file: str, line: str, fault: str) -> None:
    import shutil

    conf = tmp_path / "conf"
    shutil.copytree(ROOT / "conf", conf, ignore=shutil.ignore_patterns("state", "secrets"))
    (conf / file).write_text(line + "\n", encoding="utf-8")
    i18n.use("en")
    try:
        with pytest.raises(ConfError) as caught:
            load(conf, Host.load(conf))
    finally:
        i18n.use("zh")
    assert [f for f in caught.value.faults if f.file == file and fault in f.text], [str(f) for f in caught.value.faults]


def test_the_command_writes_a_file_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from gateway.cli import register as commands

    monkeypatch.setattr(commands, "do", lambda conf, name, **args: {"identifier": "a-1", "xml": f"<{name}/>", **args})
    target = tmp_path / "out.xml"
    for words in (["123", "--cap", "--output", str(target)], ["--cap", f"--output={target}", "123"]):
        done = CliRunner().invoke(commands.incident, words, obj=tmp_path)
        assert done.exit_code == 0 and target.read_text() == "<cap/>" and stat.S_IMODE(target.stat().st_mode) == 0o600
    assert CliRunner().invoke(commands.incident, ["123", "--output", "x"], obj=tmp_path).exit_code == 2
    target.unlink()
    target.symlink_to(tmp_path / "elsewhere")
    assert CliRunner().invoke(commands.incident, ["123", "--cap", "--output", str(target)], obj=tmp_path).exit_code == 2
