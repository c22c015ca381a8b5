"""Which incident a report belongs to, and what its facts are after a further report."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from gateway.core.catalogue import classify
from gateway.core.combining import combine
from gateway.core.matching import Candidate, MatchRules, MessageFacts, Verdict, match
from gateway.core.model import Figure, Incident, Place, Report
from gateway.core.parsing import ParseFaults
from gateway.core.triage import decide
from tests.core.example import catalogue, read

RULES = MatchRules()
FIRST = "白水县委办：3月5日22时30分，省道S207青石镇路段货车与面包车相撞，致2死5伤。"
AT = "2026-03-06T08:00:00+08:00"


def candidate(
    text: str = FIRST, at: str = AT, *, number: str = "2026-0001", sender: str = "+8613811110001", **more: object
) -> Candidate:
    report = read(text, at)
    found = classify(catalogue(), report)
    received = datetime.fromisoformat(at)
    incident = Incident(
        id=f"id-{number}", number=number, title="货车与面包车相撞", state="open", items=tuple(m.item for m in found.items),
        kinds=found.kinds, report=report, first_received_at=received,
    )  # fmt: skip
    given = {"message_ids": frozenset({f"<{number}@x>"}), "senders": frozenset({sender}), "last_report_at": received}
    return Candidate(incident=incident, **{**given, **more})  # type: ignore[arg-type]


def verdict(text: str, *others: Candidate, at: str = "2026-03-06T09:00:00+08:00", **facts: object) -> Verdict:
    report = read(text, at)
    found = classify(catalogue(), report)
    known = {"channel": "sms", "sender": "+8613899990000", "received_at": datetime.fromisoformat(at)}
    known |= {"kinds": found.kinds, "unit": report.unit}
    return match(report, MessageFacts(**{**known, **facts}), others, RULES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "cited", ["〔2026〕0001", "〔2026〕1号", "2026-0001", "【2026】0001", "〔0001〕", "编号0001", "信息第0001号"]
)
def test_by_number(cited: str) -> None:
    found = verdict(f"{cited} 续报：又有一人经抢救无效死亡，共3人死亡。", candidate(), candidate(number="2026-0002"))
    assert (found.action, found.incident) == ("attach", "id-2026-0001")


def test_a_number_nobody_has_is_no_match() -> None:
    assert verdict("〔2026〕0777 续报：青山区另一件事。", candidate()).action == "new"


def test_by_reply_and_by_references_with_the_same_subject() -> None:
    reply = verdict("情况已核实。", candidate(), in_reply_to="<2026-0001@x>")
    assert reply.incident == "id-2026-0001"
    same = verdict("情况已核实。", candidate(), references=("<2026-0001@x>",), subject="回复：货车与面包车相撞情况续报")
    assert same.incident == "id-2026-0001"
    other = verdict("另有一事。", candidate(), references=("<2026-0001@x>",), subject="关于会议")
    assert other.incident is None


@pytest.mark.parametrize(
    "text",
    [
        "更正：前报S207省道青石镇路段相撞事故，死亡人数由2人升至3人。白水县委办",
        "续报：白水县青石镇路段车辆相撞事故，1名重伤员经抢救无效死亡，共死亡3人。白水县委办",
        "来电人：白水县委办，早上报的那个相撞的事故，死的一共三个了。",
        "白水县委办终报：3月5日22时30分相撞事故善后已结束。",
    ],
)
def test_follow_up_by_the_senders_words(text: str) -> None:
    elsewhere = candidate("柳河县政府办：3月6日6时，城关镇一民房起火，死亡1人。", number="2026-0002", sender="+8613800000077")
    found = verdict(text, candidate(), elsewhere)
    assert (found.action, found.incident, found.certain) == ("attach", "id-2026-0001", True)


def test_other_unit_same_kind_place_time_is_merged() -> None:
    found = verdict("白水县公安局：3月5日22时40分，青石镇路段货车与面包车相撞，2人死亡、5人受伤。", candidate())
    assert (found.action, found.incident) == ("merge", "id-2026-0001")
    assert "青石镇" in found.why


def test_same_unit_again_is_attached() -> None:
    found = verdict("白水县委办：3月5日22时30分，青石镇路段货车与面包车相撞，致3死4伤。", candidate())
    assert found.action == "attach"


@pytest.mark.parametrize(
    "text",
    [
        "石桥县公安局：3月5日22时30分，石桥县青石镇路段货车与面包车相撞，2人死亡。",
        "白水县公安局：3月5日22时30分，青石镇路段一民房起火，2人死亡。",
        "白水县公安局：3月4日22时30分，青石镇路段货车与面包车相撞，2人死亡。",
    ],
)
def test_other_county_kind_or_day_is_another_incident(text: str) -> None:
    assert verdict(text, candidate()).incident is None


def test_uncertain_is_proposed_and_opens_its_own() -> None:
    found = verdict("白水县公安局：3月5日23时50分，东山镇两车追尾，1人死亡。", candidate())
    assert (found.action, found.certain, found.proposed) == ("new", False, ("2026-0001",))


def test_two_that_fit_equally_are_proposed_not_guessed() -> None:
    first = candidate("白水县委办：3月5日8时，东山镇两车相撞，1人死亡。", number="2026-0001")
    second = candidate("白水县委办：3月5日18时，西河镇两车追尾，1人死亡。", number="2026-0002")
    found = verdict("续报：前报的交通事故伤者已出院。白水县委办", first, second)
    assert found.incident is None and set(found.proposed) == {"2026-0001", "2026-0002"}


def test_too_old_takes_no_follow_up() -> None:
    old = candidate(last_report_at=datetime.fromisoformat(AT) - timedelta(hours=RULES.follow_hours + 2))
    assert verdict("续报：青石镇路段相撞事故。白水县委办", old).incident is None


def test_drill_joins_nothing() -> None:
    assert verdict("【演练】白水县委办：3月5日22时30分，青石镇路段货车与面包车相撞，2人死亡。", candidate()).incident is None


def test_correction_with_nothing_to_correct_needs_a_person() -> None:
    report = read("更正：前报死亡人数应为3人。青山区委办")
    decided = decide(report, classify(catalogue(), report), Verdict(action="new"), duplicate_of=None)
    assert decided.action == "new" and decided.needs_person


def test_what_nobody_understands_needs_a_person() -> None:
    report = read("石桥县委办：那个那个，请速来人。")
    decided = decide(report, classify(catalogue(), report), Verdict(action="new"), duplicate_of=None)
    assert decided.action == "new" and decided.needs_person


def test_latest_stated_wins_and_nothing_is_added() -> None:
    old, new = read(FIRST, AT), read("白水县公安局：死亡3人，受伤人数为4人。", AT)
    facts, revisions = combine(old, new)
    assert (facts.deaths and facts.deaths.value, facts.injured and facts.injured.value) == (3, 4)
    assert [(r.field, r.old, r.new) for r in revisions] == [("deaths", 2, 3), ("injured", 5, 4)]
    assert facts.occurred and facts.occurred.value == "2026-03-05T22:30" and facts.unit == "白水县委办"


def test_combine_keeps_what_the_later_report_does_not_know() -> None:
    old = Report(text="a", deaths=Figure(value=2, evidence=((0, 1),)), cause="疲劳驾驶")
    facts, revisions = combine(old, Report(text="b", deaths=Figure(value=None, qualifier="unknown")))
    assert facts.deaths == Figure(value=2) and facts.cause == "疲劳驾驶" and not revisions
    assert facts.text == "b", "evidence counts in the text that is shown"


def test_combine_does_not_take_an_increment_for_a_total() -> None:
    old = Report(text="a", deaths=Figure(value=5))
    more = Report(text="b", deaths=Figure(value=1, qualifier="at_least"))
    assert combine(old, more)[0].deaths == Figure(value=5)
    corrected = replace(more, correction=True)
    assert combine(old, corrected)[0].deaths == more.deaths


def test_rules_are_checked() -> None:
    assert MatchRules.parse({}) == RULES
    for wrong in ({"same_minutes": 0}, {"likely_minutes": 5}, {"x": 1}, {"follow_hours": "7"}, 3):
        with pytest.raises(ParseFaults):
            MatchRules.parse(wrong)


def test_places_numbered_apart_are_not_one_incident() -> None:
    """The same kind, street and hour, another number: a person is asked, nothing is merged."""
    import re

    from gateway.core import whereabouts as room

    assert re.findall(room._NUMBERED, "解放路12号第七号仓库") == ["12", "七"]
    first = Report(text="解放路12号着火", place=Place(text="青山区解放路12号", county="青山区"))
    other = Report(text="解放路86号着火", place=Place(text="青山区解放路86号", county="青山区"))
    assert room.numbers_differ(first, other)
    assert not room.numbers_differ(first, first)
    assert (
        room.shared_name(
            Report(text="三号仓库", place=Place(text="三号仓库")), Report(text="七号仓库", place=Place(text="七号仓库"))
        )
        == ""
    )


def test_what_the_message_calls_the_matter_tells_two_of_one_sender_apart() -> None:
    knife = candidate("塔林旗委办：3月6日7时10分，旗医院门前发生持刀伤人事件，2人死亡。", number="2026-0002")
    fire = candidate("塔林旗委办：3月6日6时20分，宝力格苏木草场着火，过火面积约2000亩。", number="2026-0001")
    both = {"sender": "+8613811110001", "unit": None}
    found = verdict("刚才报的伤人那个事，又有1人死亡，现在死亡3人。", knife, fire, **both)
    assert (found.action, found.incident) == ("attach", "id-2026-0002")
    unclear = verdict("续报：又有1人死亡，现在死亡3人。", knife, fire, **both)
    assert unclear.action == "new" and not unclear.certain and set(unclear.proposed) == {"2026-0001", "2026-0002"}


def test_a_bare_follow_up_from_the_same_phone_is_attached_and_from_another_is_not() -> None:
    bare = "续报二：伤员全部转至市医院。"
    assert verdict(bare, candidate(), sender="+8613811110001", unit=None).action == "attach"
    assert verdict(bare, candidate(), sender="+8613899990000", unit=None).action == "new"
    old = "2026-03-08T09:00:00+08:00"
    assert verdict(bare, candidate(), sender="+8613811110001", unit=None, at=old).action == "new"


def test_a_new_event_in_an_answer_does_not_vanish_in_the_old_one() -> None:
    text = "白水县委办：3月6日6时，白水镇冷库氨气泄漏，6人中毒。"
    found = verdict(text, candidate(), in_reply_to="<2026-0001@x>")
    assert (found.action, found.certain, found.proposed) == ("new", False, ("2026-0001",))
    assert verdict(f"续报：{text}", candidate(), in_reply_to="<2026-0001@x>").action == "attach"


def killed(value: float | None, qualifier: str = "exact", **more: object) -> Report:
    return Report(text="x", deaths=Figure(value=value, qualifier=qualifier), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "value", "others"),
    [
        (killed(3), killed(2), 3, [2]),
        (killed(2), killed(3), 3, [2]),
        (killed(2), killed(0, "zero"), 2, [0]),
        (killed(3), killed(3), 3, []),
        (killed(3), killed(1, "at_least"), 3, []),
        (killed(3, "at_least"), killed(5), 5, []),
        (killed(5, "at_least"), killed(3), 5, [3]),
        (killed(2), killed(None, "unknown"), 2, []),
        (killed(None, "unknown"), killed(2), 2, []),
    ],
)
def test_two_units_differ_and_both_figures_stay(old: Report, new: Report, value: int, others: list[int]) -> None:
    deaths = combine(old, new, another=True)[0].deaths
    assert deaths and (deaths.value, [o.value for o in deaths.others]) == (value, others)
    assert deaths.why.startswith("两单位所报不一致，取较大者") == bool(others)


def test_who_stated_the_higher_figure_or_a_correction_settles_it() -> None:
    old = combine(killed(3, unit="白水县公安局"), killed(2, unit="白水县卫健委"), another=True)[0]
    assert old.deaths and old.deaths.why.endswith("（白水县公安局）")
    third = combine(old, killed(1, unit="白水县应急局"), another=True)[0].deaths
    assert third and (third.value, [o.value for o in third.others]) == (3, [2, 1])
    for follow in (killed(2, unit="白水县卫健委"), killed(2)):
        still = combine(old, follow)[0].deaths
        assert still and (still.value, [o.value for o in still.others]) == (3, [2]), follow
    for settles in (killed(2, unit="白水县公安局"), killed(2, unit="白水县卫健委", correction=True)):
        settled = combine(old, settles)[0].deaths
        assert settled and (settled.value, settled.others, settled.why) == (2, (), ""), settles


def test_a_city_sets_its_own_limits() -> None:
    made = MatchRules.parse({"soon_hours": 12, "long_name": 5, "brawl_kinds": []})
    assert (made.soon_hours, made.long_name, made.brawl_kinds) == (12, 5, ())
    for wrong in ({"soon_hours": 0}, {"long_name": 2}, {"brawl_kinds": ["mass"]}, {"brawl_kinds": "mass"}):
        with pytest.raises(ParseFaults):
            MatchRules.parse(wrong)
    short = "续报二：伤员全部转院。"
    first, at = candidate(), "2026-03-06T20:30:00+08:00"
    report = read(short, at)
    facts = MessageFacts(channel="sms", sender="+8613811110001", received_at=datetime.fromisoformat(at), unit=report.unit)
    assert match(report, facts, [first], RULES).action == "attach"
    assert match(report, facts, [first], made).action == "new"
