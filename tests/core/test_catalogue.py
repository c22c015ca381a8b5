"""The example catalogue: every item is met by a message of its own, its thresholds are exact, what is small meets nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from gateway.core.catalogue import Catalogue, classify
from gateway.core.conditions import FIELDS, Condition
from gateway.core.matching import Verdict
from gateway.core.model import Figure, Report
from gateway.core.parsing import ParseFaults
from gateway.core.terms import Text
from gateway.core.triage import decide
from tests.core.example import catalogue, conf, judge
from tests.core.messages import BELOW, DRILLS, MEETS, NOTHING

ALONE = Verdict(action="new")


@pytest.mark.parametrize(("item", "text"), MEETS)
def test_message_meets_its_item(item: str, text: str) -> None:
    report, found = judge(text)
    assert item in [match.item for match in found.items]
    assert all(match.why for match in found.items)
    assert decide(report, found, ALONE, duplicate_of=None).action == "new"


def test_every_item_has_a_message() -> None:
    numbered = (("事件类", 12), ("案件类", 13), ("事故类", 8), ("灾情疫情类", 7))
    expected = [f"{group}-{n}" for group, last in numbered for n in range(1, last + 1)]
    expected += ["补充-1", *(f"标准-{n}" for n in range(1, 10))]
    assert sorted(item.id for item in catalogue().items) == sorted(expected)
    assert {item for item, _ in MEETS} == set(expected)


@pytest.mark.parametrize("text", [*(text for _item, text in MEETS), *BELOW, *DRILLS, *(text for _why, text in NOTHING)])
def test_an_item_none_of_whose_words_are_there_is_not_met(text: str) -> None:
    """Items are passed over by the words they need; judged one by one they say the same."""
    whole = replace(catalogue(), items=tuple(replace(item, needs=None) for item in catalogue().items))
    report, found = judge(text)
    assert found == classify(whole, report)


def test_what_a_condition_needs() -> None:
    def term(name: str) -> Condition:
        return Condition(form="term", concepts=(name,))

    figure = Condition(form="threshold", fields=("deaths",), at_least=1)
    near = Condition(form="near", concepts=("b", "c"))
    assert term("a").needs() == {"a"}
    assert near.needs() == {"b"}, "the others are looked for around it"
    assert figure.needs() is None
    assert Condition(form="any", parts=(term("a"), near)).needs() == {"a", "b"}
    assert Condition(form="any", parts=(term("a"), figure)).needs() is None
    assert Condition(form="all", parts=(Condition(form="any", parts=(term("a"), near)), term("d"), figure)).needs() == {"d"}
    assert Condition(form="none", parts=(term("a"),)).needs() is None


@pytest.mark.parametrize("text", BELOW)
def test_small_incident_meets_nothing(text: str) -> None:
    report, found = judge(text)
    assert [match.item for match in found.items] == []
    assert decide(report, found, ALONE, duplicate_of=None).action == "below_threshold"


@pytest.mark.parametrize(("noise", "text"), NOTHING)
def test_noise_is_ignored(noise: str, text: str) -> None:
    report, found = judge(text)
    assert (report.noise, found.items, found.review) == (noise, (), ())
    assert decide(report, found, ALONE, duplicate_of=None).action == "ignore"


@pytest.mark.parametrize("text", DRILLS)
def test_drill_never_enters_the_chain(text: str) -> None:
    report, found = judge(text)
    assert report.drill and not found.items
    assert decide(report, found, ALONE, duplicate_of=None).action == "drill"


def _thresholds(condition: Condition) -> Iterator[Condition]:
    if condition.form == "threshold":
        yield condition
    for part in condition.parts:
        yield from _thresholds(part)


THRESHOLDS = [
    pytest.param(threshold, id=f"{item.id}-{'+'.join(threshold.fields)}-{threshold.at_least:g}")
    for item in catalogue().items
    for threshold in _thresholds(item.condition)
]


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_threshold_is_inclusive(threshold: Condition) -> None:
    field = {"casualties": "injured", "unaccounted": "missing"}.get(threshold.fields[0], threshold.fields[0])
    nothing = Text({}, "")

    def met(value: float) -> bool | None:
        report = replace(Report(text="", deaths=Figure(value=0)), **{field: Figure(value=value)})
        return threshold.judge(report, nothing).met

    assert [met(threshold.at_least - 1), met(threshold.at_least), met(threshold.at_least + 1)] == [False, True, True]


@pytest.mark.parametrize(
    ("text", "item", "expected"),
    [
        ("白水县政府办：今日8时货车与客车相撞，{}人受伤，无死亡。", "事故类-2", {4: False, 5: True, 6: True}),
        ("青山区公安分局：今日8时一男子被抢现金{}万元，未受伤。", "案件类-2", {9: False, 10: True, 11: True}),
        ("石桥县公安局：某会计携款{}万元潜逃，今日8时报案。", "案件类-3", {99: False, 100: True, 101: True}),
        ("柳河县政府办：今日8时{}名村民在桥头集会，无人员伤亡。", "事件类-9", {9: False, 10: True, 11: True}),
        ("平安县应急局：昨日大风，倒塌房屋{}间，无人员伤亡。", "灾情疫情类-2", {9: False, 10: True, 11: True}),
        ("柳河县林业局：今日山林起火，过火面积{}亩，无人员伤亡。", "灾情疫情类-2", {4: False, 5: True, 6: True}),
        ("白水县政府办：今日8时某户被投毒，{}人中毒，无死亡。", "案件类-5", {2: False, 3: True, 4: True}),
    ],
)  # fmt: skip
def test_threshold_in_a_message(text: str, item: str, expected: dict[int, bool]) -> None:
    for number, met in expected.items():
        _, found = judge(text.format(number))
        assert (item in [m.item for m in found.items]) is met, number


def test_reason_is_in_a_leaders_words() -> None:
    _, found = judge("白水县委办：今日5时客车侧翻，死亡两人，伤三人。")
    match = next(m for m in found.items if m.item == "事故类-2")
    assert match.why[0] == "道路交通事故，死亡 2 人 ≥ 1 人，死伤 5 人 ≥ 5 人"
    assert "“侧翻”" in match.why[1:]


@pytest.mark.parametrize(
    ("text", "item", "because"),
    [
        ("来电人：柳河县应急局，鸿运煤矿今早七点透水，死了几个还不清楚，死亡人数不详。", "事故类-3", "死亡不详"),
        ("云台区消防大队：今日14时，五金厂起火，正在扑救。", "事故类-4", "未报死亡"),
        ("石桥县信访局：有人明天要到自治区上访，人数正在核实。", "事件类-8", "未报参与人数"),
        ("白水县交警大队：今日3时两车相撞，造成三五人受伤，无人死亡。", "事故类-2", "在 3 至 5 人之间，标准为 5 人"),
    ],
)  # fmt: skip
def test_unknown_figure_is_left_to_a_person(text: str, item: str, because: str) -> None:
    report, found = judge(text)
    doubt = next(d for d in found.review if d.item == item)
    assert because in doubt.because
    decided = decide(report, found, ALONE, duplicate_of=None)
    assert decided.action == "new" and (found.items or decided.needs_person)


def test_denied_word_does_not_count() -> None:
    _, found = judge("云台区应急局：今日9时锅炉房冒烟，未发生爆炸，也没有起火，无人员伤亡。")
    assert not found.items


def test_cited_item_is_met_and_censored_items_are_sensitive() -> None:
    _, found = judge("云台区委办：按事件类第十项报告，昨晚8时在城东，涉及3人。")
    assert "事件类-10" in [m.item for m in found.items]
    assert found.sensitive


def test_stated_sum_of_dead_and_injured() -> None:
    _, found = judge("白水县政府办：今日5时大客车翻车，死伤5人。")
    assert "事故类-2" in [m.item for m in found.items]
    _, small = judge("白水县政府办：今日5时大客车翻车，死伤4人。")
    assert "事故类-2" in [d.item for d in small.review], "who of the four died is not known"


def test_missing_elements_are_named() -> None:
    _, found = judge("白水县委办：今日5时客车侧翻，死亡1人。")
    assert "cause" in found.missing and "occurred" not in found.missing and "casualties" not in found.missing


def test_marked_text_is_not_classified() -> None:
    report = Report(text="", marking="机密")
    found = classify(catalogue(), report)
    assert not found.items and decide(report, found, ALONE, duplicate_of="x").action == "quarantine"


@pytest.mark.parametrize(
    ("change", "path", "word"),
    [
        (lambda d: d["item"][0].update(condition={"term": "nosuch"}), ("item", 0, "condition", "term"), "nosuch"),
        (lambda d: d["item"][1].update(condition={"field": "dead", "at_least": 1}), ("item", 1, "condition", "field"), "dead"),
        (lambda d: d["item"][2].update(condition={"field": "deaths"}), ("item", 2, "condition", "at_least"), "missing"),
        (lambda d: d["item"][3].update(condition={}), ("item", 3, "condition"), "no condition"),
        (lambda d: d["item"][4].update(condition={"any": []}), ("item", 4, "condition", "any"), "empty"),
        (lambda d: d["item"][5].update(kinds=["nosuch"]), ("item", 5, "kinds"), "nosuch"),
        (lambda d: d["item"][6].update(id=d["item"][0]["id"]), ("item", 6, "id"), "twice"),
        (lambda d: d["item"][7].pop("text"), ("item", 7, "text"), "missing"),
        (lambda d: d["concepts"].update(fire=[]), ("concepts", "fire"), "list of texts"),
        (lambda d: d["kinds"].update(fire=["nosuch"]), ("kinds", "fire"), "nosuch"),
        (lambda d: d["report"].update(elements=["colour"]), ("report", "elements"), "colour"),
        (lambda d: d.update(rule=1), ("rule",), "unknown key"),
        (lambda d: d["item"][8]["condition"].update(term="fire"), ("item", 8, "condition"), "no condition"),
    ],
)  # fmt: skip
def test_fault_is_named_with_its_path(change: object, path: tuple[str | int, ...], word: str) -> None:
    data = copy.deepcopy(conf("catalogue"))
    change(data)  # type: ignore[operator]
    with pytest.raises(ParseFaults) as caught:
        Catalogue.parse(data)
    assert any(f.path == path and (word in f.what or word in f.allowed) for f in caught.value.faults), caught.value


def test_all_faults_at_once_and_no_crash_on_anything() -> None:
    data = copy.deepcopy(conf("catalogue"))
    data["item"][0]["condition"] = {"term": "nosuch"}
    data["item"][1]["condition"] = {"sum": ["x", "y"], "at_least": -1, "unstated": "perhaps"}
    with pytest.raises(ParseFaults) as caught:
        Catalogue.parse(data)
    assert len(caught.value.faults) >= 4
    for wrong in (None, 3, [], {"item": 3}, {"item": [3]}, {"concepts": 1, "kinds": [], "item": []}):
        with pytest.raises(ParseFaults):
            Catalogue.parse(wrong)


def test_digest_names_the_version() -> None:
    data = copy.deepcopy(conf("catalogue"))
    assert Catalogue.parse(data).digest == catalogue().digest
    data["concepts"]["fire"].append("走水")
    assert Catalogue.parse(data).digest != catalogue().digest
    assert set(FIELDS) >= {"deaths", "casualties"}
