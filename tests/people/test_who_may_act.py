"""Who may act, by command and by reply: the person and the means are on record; what anybody else tries is refused and told."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from gateway import house as houses
from gateway.asked import OperationError
from gateway.core.directory import Directory, Person
from gateway.core.model import Message
from tests.people.desk import CRASH, INFORMANT, Desk

CLERK, SECOND, LEADER = "李值班", "马值班", "蔡主任"
CLERK_PHONE, SECOND_PHONE, BUREAU_PHONE = "+8613900000401", "+8613900000402", "+8613900000301"
CLERK_MAIL = "government-duty-room-1@gateway.test"
STRANGER = "+8613712345678"
FIRE = "白水县委办报告：今日22时20分，白水县城关镇一居民楼起火，1人死亡。报告人：张明"


@pytest.fixture
def desk() -> Any:
    made = Desk()
    made.take(CRASH)
    yield made
    made.store.close()


def acknowledged(desk: Desk) -> list[tuple[str, str, str]]:
    return [(e.by, e.data["destination"], e.data["how"]) for e in desk.events("acknowledged")]


def told(desk: Desk, address: str) -> list[str]:
    """What was answered to an address, oldest first."""
    rows = [row for row in desk.rows() if row.address == address and row.duty == "answer"]
    return [desk.text_of(row).text for row in reversed(rows)]


def refusals(desk: Desk) -> list[dict[str, Any]]:
    return [{"incident": e.incident, **e.data} for e in desk.events("refused")]


# by command


def with_login(desk: Desk, login: str, name: str) -> None:
    def known(person: Person) -> Person:
        return msgspec.structs.replace(person, login=login) if person.name == name else person

    offices = [msgspec.structs.replace(o, persons=tuple(map(known, o.persons))) for o in desk.config.directory.offices]
    desk.config = dataclasses.replace(desk.config, directory=Directory.of(offices, desk.config.directory.units))
    desk.house = houses.build(desk.config, bureau_public=desk.house.bureau_public)
    desk.live.config = desk.config


def test_the_person_is_the_one_whose_login_asks(desk: Desk) -> None:
    with_login(desk, "li", CLERK)
    done = desk.do("acknowledge", by="li", number="1", office="government_duty_room")
    assert done["person"] == CLERK
    assert acknowledged(desk) == [(CLERK, "government_duty_room", "command line, li")]


def test_by_names_another_and_the_login_stays_on_record(desk: Desk) -> None:
    with_login(desk, "li", CLERK)
    desk.do("acknowledge", by="li", number="1", office="government_duty_room", person=SECOND)
    assert acknowledged(desk) == [(SECOND, "government_duty_room", "command line, li")]


@pytest.mark.parametrize(
    ("args", "who"),
    [
        ({}, "root"),
        ({"person": "张三"}, "张三"),
        ({"person": "何值班"}, "何值班"),
        ({"person": CLERK, "number": "777"}, CLERK),
        ({"person": CLERK, "office": "城管局"}, CLERK),
        ({"person": "曾值班", "office": "province_government"}, "曾值班"),
    ],
)
def test_what_may_not_be_is_refused_told_and_on_record(desk: Desk, args: dict[str, str], who: str) -> None:
    whole = {"number": "1", "office": "government_duty_room", **args}
    with pytest.raises(OperationError) as refused:
        desk.do("acknowledge", **whole)
    [event] = refusals(desk)
    assert (event["who"], event["what"], event["how"]) == (who, "acknowledge", "command line, root")
    assert event["why"] == str(refused.value) and event["incident"] == f"2026-{int(whole['number']):04d}"
    assert acknowledged(desk) == []


@pytest.mark.parametrize(
    ("act", "args", "person"),
    [
        ("approve", {}, "金书记"),
        ("approve", {"level": "principal"}, "秦副市长"),
        ("approve", {}, CLERK),
        ("instruct", {"wording": "从速处置", "to": "police"}, CLERK),
        ("instruct", {"done": "9", "result": "x"}, CLERK),
        ("judge", {"kind": "瞒报", "reason": " "}, CLERK),
        ("judge", {"kind": "误报", "reason": "核实", "lift": True}, CLERK),
        ("waive", {"reason": ""}, CLERK),
        ("waive", {"reason": "轻微", "clock": "nothing"}, CLERK),
        ("close", {"reason": "办结"}, "张三"),
        ("correct", {"changes": {"deaths": "3"}, "reason": "核实"}, ""),
        ("release", {}, CLERK),
        ("reopen", {"reason": "再查"}, CLERK),
        ("merge", {"into": "888", "reason": "同一起"}, CLERK),
    ],
)
def test_every_act_asks_who_and_refuses_on_record(desk: Desk, act: str, args: dict[str, Any], person: str) -> None:
    before, matter = len(desk.events()), desk.matter("1")
    with pytest.raises(OperationError):
        desk.do("do", number="1", act=act, person=person or None, **args)
    [event] = refusals(desk)
    assert (event["what"], event["incident"]) == (act, "2026-0001") and event["why"]
    assert len(desk.events()) == before + 1 and desk.matter("1") == matter, "nothing else has changed"


def test_what_a_person_does_is_on_record_with_the_means(desk: Desk) -> None:
    desk.do("do", number="1", act="approve", person="秦副市长", wording="同意上报省政府")
    desk.do("do", number="1", act="instruct", person="金书记", wording="全力救治", to="health", due=12)
    desk.do("do", number="1", act="instruct", person=CLERK, done="last", result="已脱离危险")
    desk.do("do", number="1", act="waive", person=CLERK, reason="已电话请示")
    desk.do("do", number="1", act="judge", person=CLERK, kind="误报", reason="核实")
    desk.do("do", number="1", act="close", person=CLERK, reason="办结")
    desk.do("do", number="1", act="reopen", person=CLERK, reason="再报")
    names = ("approved", "instructed", "supervision_done", "clock_waived", "judged", "closed", "reopened")
    found = {e.event: e for e in desk.events(*names)}
    assert set(found) == set(names)
    assert all(e.by and e.data["means"] == "command line, root" for e in found.values()), found


# by reply


@pytest.mark.parametrize("text", ["收到 0001", "收到", "收到0001", "已收到〔2026〕0001", "签收 2026-0001。", "0001 收到", "收到！\n李值班"])
def test_a_reply_by_a_registered_number_acknowledges(desk: Desk, text: str) -> None:
    desk.take(text, sender=CLERK_PHONE)
    assert acknowledged(desk) == [(CLERK, "government_duty_room", "sms sms")] and refusals(desk) == []
    assert len(desk.do("incidents")) == 1, "no new incident"


def test_a_plain_word_holds_where_only_one_waits_for_that_office(desk: Desk) -> None:
    desk.take(FIRE, sender="+8613800000001", minutes=1)
    desk.take("收到", sender=CLERK_PHONE)
    assert acknowledged(desk) == [] and "〔" not in refusals(desk)[0]["why"]
    [answer] = told(desk, CLERK_PHONE)
    assert "2026-0001" in answer and "2026-0002" in answer
    desk.take("收到 2", sender=CLERK_PHONE)
    desk.take("收到", sender=CLERK_PHONE, minutes=2)
    assert [e.incident for e in desk.events("acknowledged")] == ["2026-0002", "2026-0001"]
    desk.take("收到", sender=CLERK_PHONE, minutes=2)
    assert len(acknowledged(desk)) == 2 and len(refusals(desk)) == 2, "nothing waits any more: told, not taken for a report"


@pytest.mark.parametrize(
    ("sender", "text", "word"),
    [
        (STRANGER, "收到 0001", "登记"),
        (INFORMANT, "收到 0001", "登记"),
        (STRANGER, "同意 0001", "登记"),
        (STRANGER, "已告知王科长 0001", "登记"),
        (CLERK_PHONE, "收到 0777", "0777"),
        (CLERK_PHONE, "同意 0001", "登记"),
        ("+8613900000101", "收到 0001", ""),
        ("+8613900002901", "已告知王科长 0001", ""),
        (CLERK_PHONE, "已告知赵钱孙 0001", "赵钱孙"),
    ],
)
def test_a_reply_that_may_not_be_is_refused_told_and_on_record(desk: Desk, sender: str, text: str, word: str) -> None:
    taken = desk.take(text, sender=sender)
    assert taken.action != "new"
    [event] = refusals(desk)
    assert event["how"] == "sms sms" and sender[-4:] in event["who"] and "****" in event["who"]
    answers = [one for one in told(desk, sender) if "未予办理" in one]
    assert len(answers) == 1 and word in answers[0]
    assert acknowledged(desk) == [] and desk.events("approved", "notified") == []


def test_a_strangers_courtesy_without_a_number_is_no_attempt(desk: Desk) -> None:
    desk.take("收到", sender=STRANGER)
    assert refusals(desk) == [] and acknowledged(desk) == []


def test_the_signers_plain_word_means_what_waits_for_them(desk: Desk) -> None:
    desk.take(FIRE, sender="+8613800000001", minutes=1)
    desk.take("同意 1", sender="+8613900000901")
    desk.take("同意", sender="+8613900000921")
    assert [(e.by, e.incident, e.data["level"]) for e in desk.events("approved")] == [
        ("秦副市长", "2026-0001", "deputy"), ("金书记", "2026-0001", "principal"),
    ]  # fmt: skip
    desk.take("同意上报", sender="+8613900000901")
    assert desk.events("approved")[-1].incident == "2026-0002" and refusals(desk) == []
    assert desk.events("approved")[-1].data["wording"] == "同意上报"


def test_a_reply_names_whom_they_told(desk: Desk) -> None:
    desk.take("已告知王科长", sender=BUREAU_PHONE)
    [event] = desk.events("notified")
    assert (event.by, event.data["office"], event.data["person"], event.data["how"]) == (
        "何值班", "confidential_bureau", "王科长", "sms sms",
    )  # fmt: skip


def mail(text: str, **more: Any) -> Message:
    return Message(text=text, subject="答复：【紧急信息】〔2026〕0001", message_id="<r1@office.test>", **more)


def sent_to(desk: Desk, office: str) -> str:
    row = next(r for r in desk.rows(destination=office) if r.duty == "receive")
    return f"<{row.id}@gateway.test>"


def test_a_mail_in_the_thread_needs_no_number(desk: Desk) -> None:
    thread = sent_to(desk, "government_duty_room")
    desk.take(FIRE, sender="+8613800000001", minutes=1)
    desk.take("收到", sender=CLERK_MAIL, channel="email", message=mail("收到", in_reply_to=thread))
    assert [(e.incident, e.data["how"]) for e in desk.events("acknowledged")] == [("2026-0001", "email email")]


def test_a_mail_in_the_thread_of_another_offices_copy_is_refused(desk: Desk) -> None:
    thread = sent_to(desk, "government_duty_room")
    desk.take("收到", sender="police-1@gateway.test", channel="email", message=mail("收到", in_reply_to=thread))
    desk.take("收到", sender="committee-office-1@gateway.test", channel="email", message=mail("收到", in_reply_to=thread))
    assert [(by, office) for by, office, _how in acknowledged(desk)] == [("曾值班", "police")], "police had a copy of its own"
    assert [e["incident"] for e in refusals(desk)] == ["2026-0001"], "the committee's office was offered nothing at night"
    assert any("未予办理" in one for one in told(desk, "committee-office-1@gateway.test"))


@pytest.mark.parametrize("flag", ["automatic", "bulk"])
def test_machines_are_not_answered(desk: Desk, flag: str) -> None:
    desk.take("收到 0777", sender=CLERK_MAIL, channel="email", message=mail("收到 0777", **{flag: True}))
    assert told(desk, CLERK_MAIL) == [] and acknowledged(desk) == []
    if flag == "bulk":
        assert len(refusals(desk)) == 1, "a person may write through a list: on record, and no answer"
    desk.take("收到 0777", sender=CLERK_MAIL, channel="email", message=mail("收到 0777"))
    answers = [row for row in desk.rows() if row.address == CLERK_MAIL and row.duty == "answer"]
    assert len(answers) == 1, "the control: a person is answered"
    headers = desk.text_of(answers[0]).headers
    assert headers["Auto-Submitted"] == "auto-replied" and headers["In-Reply-To"] == "<r1@office.test>"


def test_refusals_to_one_address_are_answered_so_often_and_no_more(desk: Desk) -> None:
    most = desk.config.duty.answers.most_per_hour
    for count in range(most + 5):
        desk.take(f"收到 {700 + count}", sender=STRANGER, minutes=0.1)
    assert len(refusals(desk)) == most + 5 and len(told(desk, STRANGER)) == most
    desk.take("收到 0799", sender=STRANGER, minutes=61)
    assert len(told(desk, STRANGER)) == most + 1


def test_what_was_merged_is_acknowledged_under_the_number_that_stays(desk: Desk) -> None:
    desk.take("青山区委办报告：今日22时15分，青山区滨河路一货车侧翻，3人死亡。报告人：钱进", sender="+8613800000008", minutes=1)
    desk.do("do", number="2", act="merge", into="1", reason="同一起", person=CLERK)
    [merged] = [e for e in desk.events("merged") if e.incident == "2026-0002"]
    assert merged.data["means"] == "command line, root"
    desk.take("收到 0002", sender=CLERK_PHONE)
    assert acknowledged(desk) == [] and "〔2026〕0001" in told(desk, CLERK_PHONE)[-1]
    desk.take("收到 0001", sender=CLERK_PHONE)
    assert acknowledged(desk) == [(CLERK, "government_duty_room", "sms sms")]


def test_a_longer_text_that_begins_like_a_reply_is_a_report(desk: Desk) -> None:
    desk.take("收到，另报：今日22时40分，白水县城关镇发生火灾，造成2人死亡。报告人：张明", sender=CLERK_PHONE)
    assert acknowledged(desk) == [] and refusals(desk) == []
    assert desk.incident("2").title


def test_an_acknowledgement_by_whom_it_was_escalated_to_covers_the_office(desk: Desk) -> None:
    desk.pass_time(21)
    desk.take("收到", sender="+8613900000701")
    assert ("方秘书长", "government_duty_room", "sms sms") in acknowledged(desk)
    assert not desk.matter("1").offer("government_duty_room").waits


@pytest.mark.parametrize("sender", ["+8613900000901", "+8613900000401"])
def test_what_tells_of_an_incident_is_a_report_whatever_word_it_begins_with(desk: Desk, sender: str) -> None:
    """同意 begins names of villages too: neither a signature nor a refusal, and the fire is not lost."""
    desk.take("同意村发生火灾，2人死亡、4人受伤。白水县", sender=sender, minutes=1)
    assert desk.events("approved") == [] and refusals(desk) == []
    numbers = {event.incident for event in desk.events("registered")}
    assert "2026-0002" in numbers, "it is an incident of its own"


def test_a_numbered_signature_that_repeats_figures_is_a_signature(desk: Desk) -> None:
    desk.take("同意上报，死亡1人、受伤2人属实 0001", sender="+8613900000901", minutes=1)
    assert [(e.by, e.data["level"]) for e in desk.events("approved")] == [("秦副市长", "deputy")]
    assert refusals(desk) == []
