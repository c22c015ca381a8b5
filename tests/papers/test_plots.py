"""The plots: what is drawn is what the table says, to scale; no name breaks them; whatever is empty is left out."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.parsing import ParseFaults
from gateway.papers import plots
from gateway.papers.plots import Bar, Line, Place
from gateway.reading.gazetteer import Gazetteer

SVG = "{http://www.w3.org/2000/svg}"
NAMES = st.text(min_size=0, max_size=60).filter(lambda text: not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", text))
COUNTS = st.integers(0, 10**6).map(float)


def parts(svg: str, tag: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(SVG + tag))


def test_bars_are_as_long_as_their_numbers() -> None:
    svg = plots.bars("x", "标题", [Bar(label="甲", parts=(50.0,), shown="50"), Bar(label="乙", parts=(100.0,), shown="100")])
    short, long = (float(one.get("width") or 0) for one in parts(svg, "rect"))
    assert long == pytest.approx(2 * short, rel=0.001)
    assert [one.text for one in parts(svg, "text")] == ["甲", "50", "乙", "100"]


def test_stacks_tell_their_parts_by_pattern_and_name_them() -> None:
    svg = plots.bars("x", "标题", [Bar(label="甲", parts=(1.0, 2.0, 3.0), shown="3/6")], ["按时", "超时", "未报"])
    fills = [one.get("fill") for one in parts(svg, "rect") if one.get("height") == "16"]
    assert fills == ["#0b4a8f", "url(#x-1)", "url(#x-2)"] and {one.get("id") for one in parts(svg, "pattern")} == {"x-1", "x-2"}
    assert {"按时", "超时", "未报"} <= {one.text for one in parts(svg, "text")}


def test_a_month_of_which_nothing_is_known_is_a_gap() -> None:
    line = Line(name="率", values=(90.0, None, 80.0))
    svg = plots.trend("x", "标题", ["1", "2", "3"], [line], top=100)
    assert len(parts(svg, "circle")) == 3, "two points and the one of the legend"
    assert "None" not in svg and {"90", "80"} <= {one.text for one in parts(svg, "text")}


def test_places_lie_as_on_the_map_and_areas_are_as_the_counts() -> None:
    svg = plots.bubbles("x", "标题", [Place(name="北", lon=110, lat=41, count=4), Place(name="南", lon=110, lat=40, count=1),
                                    Place(name="无", lon=111, lat=40, count=0)])  # fmt: skip
    north, south = parts(svg, "circle")
    assert float(north.get("cy") or 0) < float(south.get("cy") or 0)
    assert float(north.get("r") or 0) == pytest.approx(2 * float(south.get("r") or 0), rel=0.01)
    assert {"北 4", "南 1", "无 0"} <= {one.text for one in parts(svg, "text")}


@given(rows=st.lists(st.tuples(NAMES, COUNTS), max_size=70), title=NAMES)
def test_no_name_and_no_number_breaks_a_plot(rows: list[tuple[str, float]], title: str) -> None:
    made = [
        plots.bars("x", title, [Bar(label=name, parts=(value, value / 3), shown=name) for name, value in rows], ["a", title]),
        plots.trend("x", title, [name for name, _value in rows], [Line(name=title, values=tuple(value for _name, value in rows))]),
        plots.grid("x", title, [(name, [value % 101, None]) for name, value in rows], [title, ""]),
        plots.bubbles("x", title, [Place(name=name, lon=value % 360 - 180, lat=value % 180 - 90, count=int(value)) for name, value in rows]),
    ]
    for svg in made:
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img" and not [one for one in root.iter() if one.tag not in {
            SVG + name for name in ("svg", "text", "rect", "line", "circle", "polygon", "defs", "pattern")}]  # fmt: skip
        numbers = [float(v) for one in root.iter() for k, v in one.attrib.items() if k in ("x", "y", "width", "height", "cx", "cy", "r")]
        assert all(abs(number) < 10_000 for number in numbers)


def gazetteer(position: object) -> Gazetteer:
    return Gazetteer.parse({"city": {"name": "江州市"}, "county": [{"name": "青山区", "position": position}]})


@pytest.mark.parametrize("position", [[181, 40], [110, 91], [110], "110,40", [110, "40"], [True, 40], [110, 40, 1], {}])
def test_a_position_that_is_none_is_refused(position: object) -> None:
    with pytest.raises(ParseFaults) as told:
        gazetteer(position)
    assert "position" in str(told.value.faults[0].path)


def test_a_position_is_taken() -> None:
    assert gazetteer([110, 40.5]).counties[0].position == (110.0, 40.5)
