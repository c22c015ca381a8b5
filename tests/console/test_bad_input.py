"""Every form with script, control characters and a megabyte of text; messages that hold the same."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from gateway.console.forms import tidy
from tests.console.room import Room

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7*7 }}"
STEERING = "a\x00b\x1b[31mc\u202ed\u2066e\x7ff\r\ng"
FORMS = {
    "/incident/2026-0001/ask": ("what", {}),
    "/incident/2026-0001/close": ("reason", {}),
    "/incident/2026-0001/correct": ("value", {"field": "cause", "reason": "核实"}),
    "/incident/2026-0001/notify": ("told", {"office": "government_duty_room"}),
    "/incident/2026-0001/acknowledge": ("office", {}),
    "/phone": ("text", {"caller": "0999-8811004"}),
    "/phone/draft": ("text", {"caller": "0999-8811004"}),
    "/sessions": ("session", {}),
    "/incident/2026-0001/undo": ("reason", {"entry": "last"}),
    "/incident/2026-0001/done": ("result", {"item": "1"}),
}


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("value", [SCRIPT, STEERING], ids=["script", "control characters"])
async def test_what_is_sent_never_becomes_part_of_a_page(room: Room, path: str, value: str) -> None:
    clerk = room.browser("clerk")
    name, rest = FORMS[path]
    draft = (await clerk.get("/phone")).field("id")
    answer = await clerk.post(path, {"mark": clerk.mark, "id": draft, "step": "look", **rest, name: value})
    assert answer.status < 500 and "<script>alert" not in answer.text and "<img" not in answer.text
    if answer.field("ticket"):
        answer = await clerk.confirm(path, answer, **rest, **{name: value})
        assert answer.status in (303, 409)
    for page in ("/", "/incident/1", "/review", "/phone", f"/phone?draft={draft}"):
        shown = await clerk.get(page)
        assert shown.status == 200 and "<script>alert" not in shown.text and "<img src=x" not in shown.text
        assert not {c for c in shown.text if c in "\x00\x1b\x7f\u202e\u2066"}, page


@pytest.mark.parametrize("path", ["/signin", *FORMS])
async def test_a_megabyte_is_refused_before_it_is_read_as_a_form(room: Room, path: str) -> None:
    clerk = room.browser("clerk")
    name, rest = FORMS.get(path, ("password", {}))
    body = urlencode({"mark": clerk.mark, **rest, name: "石" * 350_000}).encode()
    assert len(body) > 1_000_000
    answer = await clerk.call("POST", path, body)
    assert answer.status == 413 and "256 KB" in answer.words
    lying = await clerk.call("POST", path, body, {"content-length": "10"})
    assert lying.status == 413, "who says it is less is cut off all the same"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/json"}, b"{}", 415),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x--", 415),
        ({"content-type": ""}, b"a=b", 415),
        ({"content-length": "-1"}, b"a=b", 400),
        ({"content-length": "x"}, b"a=b", 400),
        ({}, b"a=%ff%fe", 400),
        ({}, b"a=\xff", 400),
        ({}, b"&".join(b"f%d=1" % n for n in range(200)), 400),
    ],
)
async def test_what_is_no_form_is_refused(room: Room, headers: dict[str, str], body: bytes, status: int) -> None:
    clerk = room.browser("clerk")
    assert (await clerk.call("POST", "/phone", body, headers)).status == status


@pytest.mark.parametrize("path", ["/incident/%00", "/incident/'; DROP TABLE incidents", "/incident/" + "9" * 5000, "/static/../app.py", "/static/console.js%00", "/nowhere"])
async def test_an_address_that_is_none_is_not_found(room: Room, path: str) -> None:
    assert (await room.browser("clerk").get(path)).status == 404
    assert (await room.browser().get(path)).status in (303, 404)


async def test_a_report_that_holds_script_and_control_characters_is_shown_as_text(room: Room) -> None:
    room.desk.take(f"青山区政府办报告：今日22时20分，青山区幸福路{SCRIPT}一居民楼起火{STEERING}，1人死亡。", "+8613800000001")
    clerk = room.browser("clerk")
    for page in ("/", "/incident/2", "/incident/2/acknowledge", "/review"):
        text = (await clerk.get(page)).text
        assert "<script>alert" not in text and "<img src=x" not in text and "\x1b" not in text and "\x00" not in text


def test_line_ends_are_one_kind_and_what_steers_a_screen_is_gone() -> None:
    assert tidy(STEERING) == "ab[31mcdef\ng" and tidy("一\t二\n三") == "一\t二\n三"
