"""Kind, number, drill, noise, people, place and the elements in words."""

from __future__ import annotations

import pytest

from gateway.core.directory import Unit
from tests.core.example import read

NEWS = "两车相撞，1人死亡。"


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("白水县委办：今日8时" + NEWS, "初报", None),
        ("白水县委办续报：" + NEWS, "续报", None),
        ("白水县两车相撞事故（续报三）\n" + NEWS, "续报", 3),
        ("白水县委办第2次续报：" + NEWS, "续报", 2),
        ("白水县委办终报：事故善后结束。" + NEWS, "终报", None),
        ("更正：前报" + NEWS, "续报", None),
        ("白水县委办：" + NEWS + "详情续报。", "初报", None),
        ("白水县委办：" + NEWS + "续情后报。", "初报", None),
        ("白水县委办：" + NEWS + "后续情况将及时续报。", "初报", None),
        ("来电人：白水县委办，上午报的那个事，死了的一共两个。", "续报", None),
        ("来电人：石桥县应急局，补报个情况，前天大风刮倒十五间房。", "初报", None),
    ],
)
def test_kind(text: str, kind: str, number: int | None) -> None:
    report = read(text)
    assert (report.kind, report.number) == (kind, number)


def test_correction_and_withdrawal() -> None:
    assert read("更正：前报死亡人数应为2人。白水县委办").correction
    withdrawn = read("撤销前报：所报两车相撞系误报。白水县委办")
    assert withdrawn.withdrawal and not withdrawn.correction and withdrawn.kind == "续报"


@pytest.mark.parametrize(
    "text",
    [
        "白水县政府办：今日9时，一学校组织消防演练时发生踩踏，5人受伤。",
        "青山区应急局：这不是演练，化工厂爆炸，3人死亡。",
        "柳河县：参加演练的消防车返程途中与货车相撞，1人死亡。",
    ],
)
def test_real_incident_beside_a_drill(text: str) -> None:
    assert not read(text).drill


@pytest.mark.parametrize(
    "text",
    [
        "塔林旗教育局：今日上午，高三学生20人罢课，要求调整放假安排。",
        "云台区公安分局：今日查获网络贷款诈骗案，以领取额度为名骗走群众80万元。",
        "白水县委办：中秋节快乐歌会散场时发生拥挤，2人受伤。",
        "平安县政府办：今日召开的庙会上发生爆炸，1人死亡。",
        "石桥县委办：记者到场采访，今日9时矿井透水，3人被困。",
    ],
)
def test_report_with_words_of_noise_is_a_report(text: str) -> None:
    assert read(text).noise is None


def test_automatic_and_empty() -> None:
    assert read("我在出差，谢谢。", subject="自动回复: 收到").noise == "auto_reply"
    assert read("您好，邮件已阅。", automatic=True).noise == "auto_reply"
    assert read("").noise == "empty" and read(" \n。\u200b").noise == "empty"
    assert read("", unread="fax without text").noise is None


@pytest.mark.parametrize(
    ("text", "unit", "reporter"),
    [
        ("【白水县委办】" + NEWS + "李明", "白水县委办", "李明"),
        ("云台区政府办（续报二）：" + NEWS, "云台区政府办", None),
        ("云台区政府办报告：" + NEWS + "报告人：王小红 电话13800138000", "云台区政府办", "王小红"),
        (NEWS + "柳河县政府值班室", "柳河县政府值班室", None),
        ("FROM 柳河县应急局  2026-O5-21 O8:46\n市政府值班室：今日6时" + NEWS, "柳河县应急局", None),
        ("来电人：我是石桥县公安局指挥中心，" + NEWS, "石桥县公安局指挥中心", None),
        ("来电人：信息科你好，平安县委办老吴。" + NEWS, "平安县委办", "老吴"),
        ("来电人：开发区的，有人拉横幅。", None, None),
        (NEWS + "\n报送单位：平安县安监局\n报告人：陈刚", "平安县安监局", "陈刚"),
    ],
)
def test_who_reports(text: str, unit: str | None, reporter: str | None) -> None:
    report = read(text)
    assert (report.unit, report.reporter) == (unit, reporter)


def test_sign_off_and_number() -> None:
    report = read("白水县政府办：" + NEWS + "审签人：周国强，联系电话 0999-8812345。")
    assert report.signed_by == "周国强" and report.phone == "+869998812345"


@pytest.mark.parametrize(
    ("text", "county"),
    [
        ("白水县公安局：今日8时，柳河县境内" + NEWS, "柳河县"),
        ("来电人：我是柳河县委办，我县北山" + NEWS, "柳河县"),
        ("今日8时，三岔镇" + NEWS, "柳河县"),
        ("今日8时，江州经济技术开发区" + NEWS, "开发区"),
        ("来电人：柳河矿务局，鑫旺煤矿透水。", "柳河县"),
        ("今日8时，" + NEWS, None),
    ],
)
def test_county(text: str, county: str | None) -> None:
    place = read(text).place
    assert (place.county if place else None) == county


def test_county_of_a_registered_sender() -> None:
    place = read("今日8时，我县东山" + NEWS, unit=Unit(name="平安县委办", county="平安县")).place
    assert place and place.county == "平安县"


def test_elements_in_words() -> None:
    report = read(
        "白水县政府办：今日8时，因道路结冰，客车侧翻，1人死亡。伤者已送县医院救治，交警正在现场处置。县长批示全力抢救。下一步做好善后工作。"
    )
    assert report.cause == "道路结冰"
    assert "伤者已送县医院救治" in report.measures and "交警正在现场处置" in report.measures
    assert report.next_steps == ("做好善后工作",)
    assert report.attitude and "批示" in report.attitude


def test_cited_items_and_sensitive_way() -> None:
    report = read("云台区委办：按事件类第十项、灾情疫情类第3项报告，详细的走机要。")
    assert report.cites == ("事件类-10", "灾情疫情类-3") and report.sensitive


@pytest.mark.parametrize(
    "text",
    [
        "各单位：全市消防演练现在开始，模拟情景：青山区人民商场起火，4人死亡。",
        "桌面推演：假定三岔镇水库溃坝，5人死亡。柳河县应急局",
    ],
)
def test_a_supposition_is_a_drill(text: str) -> None:
    assert read(text).drill


@pytest.mark.parametrize(
    ("text", "noise"),
    [
        ("网传我市云台区商场爆炸死亡5人系谣言，请勿传播。", "news"),
        ("网传青山区爆炸，经核实确有其事，今日14时红旗街道化工厂爆炸，2人死亡。", None),
        ("各县区应急局：请于3月10日前报送安全生产事故统计表（死亡人数、受伤人数）。", "notice"),
        ("柳河县委办：今日9时，数十名群众堵路，要求召开听证会。", None),
    ],
)
def test_rumours_and_requests(text: str, noise: str | None) -> None:
    assert read(text).noise == noise


@pytest.mark.parametrize(
    "text",
    [
        "平安县防汛办：截至4月10日8时，红旗水库险情仍在处置，累计转移1860人。",
        "开发区管委会：经核实，本起事故死亡人数升至3人。",
    ],
)
def test_what_goes_on_is_a_follow_up(text: str) -> None:
    assert read(text).kind == "续报"


@pytest.mark.parametrize(
    ("text", "city", "county"),
    [
        ("武汉市青山区钢花街道一民房起火，1人死亡。", "武汉市", "青山区"),
        ("今日8时，陕西省白水县一煤矿透水。", "渭南市", "白水县"),
        ("今日8时，江州市白水县一煤矿透水。", "江州市", "白水县"),
    ],
)
def test_a_county_of_that_name_elsewhere(text: str, city: str, county: str) -> None:
    place = read(text).place
    assert place is not None and (place.city, place.county) == (city, county)


def test_a_sender_of_ours_may_tell_of_a_place_far_away() -> None:
    unit = Unit(name="平安县委办", county="平安县")
    place = read("今日8时，务工人员王某在浙江省义乌市坠楼身亡。", unit=unit).place
    assert place is not None and place.county == "义乌市"
    place = read("今日8时，平安镇一民房起火，主人在浙江省义乌市打工。", unit=unit).place
    assert place is not None and place.county == "平安县"
