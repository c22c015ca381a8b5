"""Every page × every role × every attack. What each page allows is written down here a second time: a page that is not in the
table, or is in it otherwise, fails."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from starlette.routing import Route

from gateway.accounts import ROLES as ACCOUNT_ROLES
from gateway.console import roles
from tests.console.room import PEOPLE, Answer, Room, hashed

READERS = {"clerk", "leader", "bureau", "readonly"}
DUTY = {"clerk", "leader", "bureau"}
EVERYBODY = set(PEOPLE)
ANYBODY = EVERYBODY | {"nobody"}
INCIDENT = "/incident/{number}"
ALLOWED: dict[tuple[str, str], set[str]] = {
    ("GET", "/signin"): ANYBODY,
    ("POST", "/signin"): ANYBODY,
    ("GET", "/static/{name}"): ANYBODY,
    ("POST", "/signout"): EVERYBODY,
    ("GET", "/"): READERS,
    ("GET", "/board/lines"): READERS,
    ("GET", "/stream"): READERS,
    ("GET", "/shift"): DUTY,
    ("POST", "/shift"): {"clerk", "bureau"},
    ("GET", "/shift/{number}"): DUTY,
    ("GET", "/calls"): DUTY,
    ("GET", "/standby"): DUTY,
    ("GET", f"{INCIDENT}/calls"): DUTY,
    ("GET", "/figures"): READERS,
    ("GET", "/figures/incidents"): READERS,
    ("GET", "/sessions"): EVERYBODY,
    ("POST", "/sessions"): EVERYBODY,
    ("GET", INCIDENT): READERS,
    ("GET", f"{INCIDENT}/message/{{message}}"): DUTY,
    ("GET", f"{INCIDENT}/message/{{message}}/pages"): DUTY,
    ("GET", f"{INCIDENT}/message/{{message}}/pages/{{page}}"): DUTY,
    **{(method, f"{INCIDENT}/{act}"): DUTY for method in ("GET", "POST")
       for act in ("acknowledge", "notify", "ask", "correct", "judge", "merge", "split", "waive", "release", "close", "reopen", "done",
                   "undo")},
    **{(method, f"{INCIDENT}/{act}"): {"leader"} for method in ("GET", "POST") for act in ("approve", "instruct")},
    ("GET", "/phone"): {"clerk", "bureau"},
    ("POST", "/phone"): {"clerk", "bureau"},
    ("POST", "/phone/draft"): {"clerk", "bureau"},
    ("POST", "/phone/drop"): {"clerk", "bureau"},
    ("GET", "/review"): DUTY,
    ("GET", "/review/sealed"): DUTY,
    ("GET", "/conf/{room}"): EVERYBODY,
    ("POST", "/conf/check"): EVERYBODY,
    ("GET", "/conf/{room}/edit"): {"operator"},
    ("POST", "/conf/{room}/edit"): {"operator"},
    ("GET", "/conf/proposal/{id}"): EVERYBODY,
    ("POST", "/conf/proposal/{id}"): {"leader"},
    ("POST", "/conf/proposal/{id}/drop"): {"operator"},
    ("GET", "/audit"): {"operator", "bureau"},
    ("POST", "/audit"): {"operator", "bureau"},
}  # fmt: skip
ATTACKS = ("stale", "revoked", "disabled", "no mark", "another's mark", "another site", "origin", "tampered cookie")


def served(room: Room) -> list[tuple[str, str]]:
    """What the application itself answers, whatever any table says."""
    found = []
    for route in room.console.app.routes:
        assert isinstance(route, Route), f"not a page: {route}"
        found += [(method, route.path) for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


def there(path: str) -> str:
    return path.format(number="2026-0001", name="console.css", message="01M8N5P2QMTK6PBFBDCZCM1KQY", page=1, room="roster",
                       id="01M8N5P2QMTK6PBFBDCZCM1KQY")


def test_every_page_is_in_the_table_and_every_role_too(room: Room) -> None:
    assert sorted(served(room)) == sorted(ALLOWED)
    assert set(roles.ROLES) == set(ACCOUNT_ROLES) == EVERYBODY


@pytest.mark.parametrize("role", ["nobody", *PEOPLE])
async def test_each_role_gets_what_it_may_and_nothing_else(room: Room, role: str) -> None:
    for method, path in served(room):
        if path == "/stream":
            continue  # never ends for those who may; see test_feed
        browser = room.browser(None if role == "nobody" else role)
        fields = {} if role == "nobody" else {"mark": browser.mark}
        answer = await browser.call(method, there(path), urlencode(fields).encode() if method == "POST" else b"")
        what = f"{role} {method} {path}: {answer.status}"
        if role in ALLOWED[method, path]:
            assert answer.status not in (401, 405, 500) and not (answer.status == 403 and path != "/signin"), what
        elif role == "nobody":
            assert answer.status == (303 if method == "GET" else 401), what
            assert "两车相撞" not in answer.text
        else:
            assert answer.status == 403, what
            assert "两车相撞" not in answer.text and "不会" not in answer.text
    assert bool(room.events("refused")) == (role != "nobody"), "what a role may not do is on record"


@pytest.mark.parametrize("attack", ATTACKS)
async def test_no_attack_changes_anything(room: Room, attack: str) -> None:
    before = len(room.events())
    for method, path in served(room):
        if method != "POST" or path == "/signin":
            continue
        role = "bureau" if "bureau" in ALLOWED[method, path] else min(ALLOWED[method, path])
        answer = await attacked(room, attack, role, there(path))
        assert answer.status in (401, 403), f"{attack} {path}: {answer.status}"
    after = [e.event for e in room.events()[before:]]
    assert set(after) <= {"refused", "account_changed"}, after
    assert room.desk.matter("2026-0001").offer("confidential_bureau").waits


async def attacked(room: Room, attack: str, role: str, path: str) -> Answer:
    """A POST that would be good but for one thing."""
    browser = room.browser(role)
    fields = {"mark": browser.mark, "office": "confidential_bureau", "step": "do", "reason": "x", "wording": "x"}
    if attack == "stale":
        room.desk.at += timedelta(hours=room.section.session_hours)
    elif attack == "revoked":
        room.desk.do("account_passwd", account=role, password=hashed())
    elif attack == "disabled":
        room.desk.do("account_change", account=role, disabled=True)
    elif attack == "no mark":
        del fields["mark"]
    elif attack == "another's mark":
        fields["mark"] = room.browser(role).mark
    elif attack == "tampered cookie":
        name, value = next(iter(browser.cookies.items()))
        browser.cookies[name] = value[:-1] + ("A" if value[-1] != "A" else "B")
    headers = {
        "another site": {"sec-fetch-site": "cross-site"},
        "origin": {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
    }.get(attack, {})
    answer = await browser.post(path, fields, **headers)
    if attack == "disabled":
        room.desk.do("account_change", account=role, disabled=False)
    return answer


async def test_a_null_origin_and_a_foreign_one_are_refused_a_missing_one_is_not(room: Room) -> None:
    browser = room.browser("clerk")
    for origin, status in (("null", 403), ("http://duty.test:81", 403), ("http://duty.test", 303)):
        answer = await browser.post("/phone/drop", {"mark": browser.mark, "id": "x"}, origin=origin)
        assert answer.status == status, origin


async def test_every_answer_carries_the_same_headers(room: Room) -> None:
    for browser in (room.browser(), room.browser("clerk"), room.browser("readonly")):
        for method, path in [*served(room), ("GET", "/nowhere"), ("PUT", "/")]:
            if path == "/stream":
                continue
            answer = await browser.call(method, there(path))
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'") and "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy and "base-uri 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["x-frame-options"] == "DENY"
            if not path.startswith("/static"):
                assert answer.headers["cache-control"] == "no-store", path


async def test_no_page_holds_a_script_a_style_or_an_address_of_elsewhere(room: Room) -> None:
    import re

    browser = room.browser("bureau")
    for path in ("/signin", "/", "/incident/1", "/incident/1/acknowledge", "/phone", "/review", "/review/sealed", "/audit", "/sessions", "/incident/1/undo",
                 "/conf/roster", "/conf/directory", "/conf/calendar", "/conf/catalogue"):
        page = (await (room.browser() if path == "/signin" else browser).get(path)).text
        assert re.findall(r"<script(?![^>]*\bsrc=)", page) == [] and "<style" not in page, path
        assert re.findall(r"\son[a-z]+\s*=|\sstyle\s*=|javascript:", page) == [], path
        assert re.findall(r"(?:src|href|action)=\"(?!/|#)[^\"]*\"", page) == [], path


async def test_nor_do_the_sheets_and_the_figures(room: Room) -> None:
    import re

    browser = room.browser("bureau")
    for path in ("/shift", "/calls", "/incident/1/calls", "/figures", "/figures/incidents?of=kinds.0.0"):
        answer = await browser.get(path)
        assert answer.status == 200 and "<script" not in answer.text.partition("</head>")[2] and "<style" not in answer.text, path
        assert re.findall(r"\son[a-z]+\s*=|\sstyle\s*=|javascript:", answer.text) == [], path
        assert re.findall(r"(?:src|href|action)=\"(?!/|#)[^\"]*\"", answer.text) == [], path
