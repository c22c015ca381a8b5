"""Places that the city's own gazetteer does not know: by the table of the country, with the names of the time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reading.countries import countries
from gateway.reading.divisions import _SIGNS, above, in_force, mentions, names, short_name
from gateway.reading.elsewhere import elsewhere
from gateway.reading.normalise import normalise


def told(text: str, year: int = 2014) -> tuple[str | None, str | None, str | None] | None:
    place = elsewhere(normalise(text), year)
    return None if place is None else (place.province, place.city, place.county)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("四川绵竹一化工厂爆炸\n3日上午，绵竹市一家化工厂发生爆炸。", ("四川省", "德阳市", "绵竹市")),
        ("湖南省怀化市鹤城区昨晚发生火灾", ("湖南省", "怀化市", "鹤城区")),
        ("大理州漾濞县发生4.2级地震", ("云南省", "大理白族自治州", "漾濞彝族自治县")),
        ("北京海淀一小区起火", ("北京市", "北京市", "海淀区")),
        ("重庆万州发生山体滑坡", ("重庆市", "重庆市", "万州区")),
        ("合肥市区发生一起交通事故", ("安徽省", "合肥市", None)),
        ("湖北仙桃一工厂爆炸", ("湖北省", None, "仙桃市")),
        ("新疆和田地区皮山县发生地震", ("新疆维吾尔自治区", "和田地区", "皮山县")),
        ("内蒙古锡林郭勒盟正蓝旗发生草原火灾", ("内蒙古自治区", "锡林郭勒盟", "正蓝旗")),
        ("内蒙古大兴安岭林区发生雷击火，火场位于呼伦贝尔市根河市", ("内蒙古自治区", "呼伦贝尔市", "根河市")),
        ("昨晚，昆山市花桥镇一工地塔吊倒塌", ("江苏省", "苏州市", "昆山市")),
        ("沪昆高速江西上饶段三车相撞", ("江西省", "上饶市", None)),
        ("东莞市长安镇一鞋厂起火", ("广东省", "东莞市", None)),
        ("上海浦东一楼房倒塌", ("上海市", "上海市", "浦东新区")),
        ("山东境内一列客车脱轨", ("山东省", None, None)),
        ("长春市绿园区两所小学学生中毒", ("吉林省", "长春市", "绿园区")),
    ],
)
def test_levels_are_completed_upwards(text: str, expected: tuple[str | None, str | None, str | None]) -> None:
    assert told(text) == expected


@pytest.mark.parametrize(
    ("year", "text", "county"),
    [
        (2009, "福建长乐一歌厅起火", "长乐市"),
        (2019, "福建长乐一歌厅起火", "长乐区"),
        (2009, "江苏吴江一工厂爆炸", "吴江市"),
        (2015, "江苏吴江一工厂爆炸", "吴江区"),
    ],
)
def test_a_place_has_its_name_of_the_time(year: int, text: str, county: str) -> None:
    found = told(text, year)
    assert found is not None and found[2] == county


def test_a_renamed_city_keeps_the_name_of_its_time() -> None:
    assert told("湖北襄樊发生车祸", 2008) == ("湖北省", "襄樊市", None)
    assert told("湖北襄阳市发生车祸", 2013) == ("湖北省", "襄阳市", None)


@pytest.mark.parametrize(
    "text",
    [
        "北京时间今晨5时，一艘货船沉没",
        "新华社广州3月5日电 一艘货船在公海沉没",
        "南京路一家商店起火",
        "一辆西安牌照的客车翻车",
        "救援队从成都飞抵灾区",
        "烟台至徐州的列车晚点",
        "伤者在朝阳医院救治",
        "长江口两船相撞",
        "大家平安，社会和平",
        "",
    ],
)
def test_what_is_no_place_of_an_event(text: str) -> None:
    assert told(text) is None


def test_the_same_name_in_two_provinces_is_not_guessed() -> None:
    assert told("鼓楼区发生火灾") is None
    assert told("江苏徐州鼓楼区发生火灾") == ("江苏省", "徐州市", "鼓楼区")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("广州日报讯 昨晚，白云区一砖厂7人中毒", ("广东省", "广州市", "白云区")),
        ("齐鲁晚报讯 昨晚，历下区一居民楼失火", ("山东省", "济南市", "历下区")),
        ("成都商报讯 昨日凌晨，青羊区一茶楼起火", ("四川省", "成都市", "青羊区")),
        ("西安一学校食堂\n长安区一中学学生中毒", ("陕西省", "西安市", "长安区")),
    ],
)
def test_the_paper_or_the_heading_tells_which_is_meant(text: str, expected: tuple[str | None, str | None, str | None]) -> None:
    assert told(text) == expected


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("印度孟买发生列车爆炸，20人死亡", "印度"),
        ("新华社开罗4月9日电 埃及首都一教堂发生爆炸", "埃及"),
        ("当地时间5日，哥伦比亚一架客机坠毁", "哥伦比亚"),
        ("美国总统奥巴马说，波士顿爆炸造成3人死亡", "美国"),
        ("菲律宾南部发生爆炸", "菲律宾"),
    ],
)
def test_another_country_is_all_that_is_told(text: str, country: str) -> None:
    place = elsewhere(normalise(text), 2014)
    assert place is not None
    assert (place.country, place.province, place.city, place.county) == (country, None, None, None)


@pytest.mark.parametrize("text", ["一名美国游客在云南省大理市受伤", "新华社武汉电 湖北省仙桃市发生车祸，伤者中有韩国人"])
def test_a_foreigner_is_no_place(text: str) -> None:
    place = elsewhere(normalise(text), 2014)
    assert place is not None and place.country == "中国"


def test_the_year_of_a_renaming_keeps_the_old_name_for_a_short_one() -> None:
    assert told("云南香格里拉发生火灾", 2014) == ("云南省", "迪庆藏族自治州", "香格里拉县")
    assert told("云南香格里拉市发生火灾", 2014) == ("云南省", "迪庆藏族自治州", "香格里拉市")


def test_a_datelined_city_loses_to_the_place_of_the_event() -> None:
    assert told("新华网昆明6月2日电 云南省鲁甸县2日发生塌方，正从昆明派出专家。") == ("云南省", "昭通市", "鲁甸县")


def test_short_names() -> None:
    assert short_name("德宏傣族景颇族自治州") == "德宏"
    assert short_name("盈江县") == "盈江"
    assert short_name("任县") == ""
    assert short_name("广西壮族自治区") == "广西"
    assert short_name("延边朝鲜族自治州") == "延边"


def test_the_table_is_whole() -> None:
    table = names()
    provinces = [d for of in table.whole.values() for d in of if d.level == 1]
    assert len({d.code for d in provinces}) == 34
    for of in table.whole.values():
        for one in of:
            assert one.first <= one.last
            province, _city = above(one, 2014)
            assert province


@given(st.text(alphabet="北京市朝阳区云南盈江县发生地震的在，。\n", max_size=80), st.integers(2000, 2030))
def test_mentions_are_in_order_and_never_overlap(text: str, year: int) -> None:
    last = 0
    for mention in mentions(text, 0, len(text), year):
        assert last <= mention.start < mention.end <= len(text)
        assert mention.of and all(
            one.first - 1 <= year <= one.last + 1 or mention.of == in_force(mention.of, year) for one in mention.of
        )
        last = mention.end


def test_every_name_begins_with_signs_that_a_text_is_looked_through_for() -> None:
    begun = [head for table in (names().heads, countries()[1]) for head in table if len(head) == 2]
    assert len(begun) > 3000 and all(_SIGNS.fullmatch(head) for head in begun)
