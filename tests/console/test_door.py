"""The door: who gets in, what the browser holds, when it ends, what goes on record."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pyotp
import pytest

from gateway.asked import OperationError
from gateway.core import events
from gateway.store import accounts
from tests.console.room import PASSWORD, Room, hashed

KEY = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


async def test_signing_in_gives_a_cookie_that_scripts_and_other_sites_cannot_use(room: Room) -> None:
    browser = room.browser()
    answer = await browser.sign_in("clerk")
    assert answer.status == 303 and answer.headers["location"] == "/"
    [cookie] = [one for one in answer.cookies if one.startswith("gateway-session=")]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie and "Secure" not in cookie
    assert (await browser.get("/")).status == 200
    [event] = room.events("signed_in")
    assert event.by == "李值班" and event.data["account"] == "clerk" and event.data["role"] == "clerk"
    assert event.data["peer"] == "192.0.2.7"


@pytest.mark.parametrize("section", [{"certificate": "x.pem"}, {"public_url": "https://duty.test"}])
async def test_with_tls_the_cookie_is_bound_to_the_host(section: dict[str, str]) -> None:
    room = Room(**section)
    answer = await room.browser().sign_in("clerk")
    [cookie] = [one for one in answer.cookies if one.startswith("__Host-gateway=")]
    assert "Secure" in cookie and "Path=/" in cookie and "Domain" not in cookie
    room.desk.store.close()


@pytest.mark.parametrize("name", ["clerk", "nobody-there", "root' OR '1'='1"])
async def test_a_wrong_password_and_an_unknown_account_are_told_alike(room: Room, name: str) -> None:
    answer = await room.browser().sign_in(name, "wrong-password-x")
    assert answer.status == 403 and "账号或密码不正确" in answer.words
    [event] = room.events("sign_in_refused")
    assert event.data["account"] == ("clerk" if name == "clerk" else "?"), "what was typed may have been a password"
    assert not room.events("signed_in")


async def test_no_password_and_no_cookie_is_in_the_record_or_the_store_in_the_clear(room: Room) -> None:
    browser = room.browser()
    await browser.sign_in("clerk")
    await room.browser().sign_in("clerk", "mistyped-password")
    whole = json.dumps([msgspec.to_builtins(one) for one in room.events()], default=str)
    token = browser.cookies["gateway-session"]
    kept = room.desk.store.read_now(lambda tx: repr(accounts.every(tx)) + repr(accounts.sessions(tx)))
    for secret in (PASSWORD, "mistyped-password", token):
        assert secret not in whole and secret not in kept


async def test_too_many_tries_of_one_address_wait_others_do_not(room: Room) -> None:
    browser = room.browser()
    for _ in range(room.section.sign_in_per_minute):
        assert (await browser.sign_in("clerk", "wrong-password-x")).status == 403
    assert (await browser.sign_in("clerk")).status == 429, "also with the right password"
    assert (await room.browser(peer="192.0.2.8").sign_in("clerk")).status == 303
    room.desk.at += timedelta(minutes=1, seconds=1)
    assert (await browser.sign_in("clerk")).status == 303
    assert len(room.events("sign_in_refused")) == room.section.sign_in_per_minute + 1


async def test_without_the_page_before_nobody_gets_in(room: Room) -> None:
    fields = {"account": "clerk", "password": PASSWORD, "before": ""}
    assert (await room.browser().post("/signin", fields)).status == 403
    other = room.browser()
    page = await other.get("/signin")
    assert (await room.browser().post("/signin", {**fields, "before": page.field("before")})).status == 403
    assert (await other.post("/signin", {**fields, "before": page.field("before")}, **{"sec-fetch-site": "cross-site"})).status == 403
    assert not room.events("signed_in")


async def test_a_second_factor_is_asked_for_and_each_code_counts_once(room: Room) -> None:
    room.desk.do("account_totp", account="clerk", key=KEY)
    assert KEY not in json.dumps([msgspec.to_builtins(one) for one in room.events()], default=str)
    code = pyotp.TOTP(KEY).at(room.desk.at)
    assert (await room.browser().sign_in("clerk")).status == 403
    assert (await room.browser().sign_in("clerk", code="000000" if code != "000000" else "111111")).status == 403
    assert (await room.browser().sign_in("clerk", "wrong-password-x", code)).status == 403
    assert (await room.browser().sign_in("clerk", code="一二三四五六")).status == 403
    assert (await room.browser().sign_in("clerk", code=code)).status == 303
    assert (await room.browser().sign_in("clerk", code=code)).status == 403, "somebody who looked over a shoulder"
    room.desk.at += timedelta(seconds=30)
    assert (await room.browser().sign_in("clerk", code=pyotp.TOTP(KEY).at(room.desk.at))).status == 303
    assert [e.data["factor"] for e in room.events("signed_in")] == [True, True]


@pytest.mark.parametrize("what", ["password", "role", "disabled", "time"])
async def test_a_sign_in_ends_with_what_it_rests_on(room: Room, what: str) -> None:
    browser = room.browser("clerk")
    assert (await browser.get("/")).status == 200
    if what == "password":
        room.desk.do("account_passwd", account="clerk", password=hashed())
    elif what == "role":
        room.desk.do("account_change", account="clerk", role="readonly")
    elif what == "disabled":
        room.desk.do("account_change", account="clerk", disabled=True)
    else:
        room.desk.at += timedelta(hours=12)
    answer = await browser.get("/")
    assert answer.status == 303 and answer.headers["location"] == "/signin"
    part = await browser.get("/board/lines", **{"hx-request": "true"})
    assert part.headers["hx-redirect"] == "/signin"


async def test_a_disabled_account_does_not_get_in_and_is_told_nothing_of_it(room: Room) -> None:
    room.desk.do("account_change", account="clerk", disabled=True)
    answer = await room.browser().sign_in("clerk")
    assert answer.status == 403 and "账号或密码不正确" in answer.words and "停用" not in answer.words
    assert room.events("sign_in_refused")[-1].data["why"] == "disabled"
    room.desk.do("account_change", account="clerk", disabled=False)
    assert (await room.browser().sign_in("clerk")).status == 303


async def test_signing_out_ends_it_here_and_nowhere_else(room: Room) -> None:
    here, there = room.browser("clerk"), room.browser("clerk")
    held = dict(here.cookies)
    assert (await here.post("/signout", {"mark": here.mark})).headers["location"] == "/signin"
    assert here.cookies == {}
    here.cookies = held
    assert (await here.get("/")).status == 303, "whoever kept the cookie has nothing of it"
    assert (await there.get("/")).status == 200
    assert [(e.by, e.data["why"]) for e in room.events("signed_out")] == [("李值班", "asked")]


async def test_everybody_ends_his_own_sign_ins_an_operator_those_of_all(room: Room) -> None:
    clerk, bureau, operator = (room.browser(one) for one in ("clerk", "bureau", "operator"))
    assert (await clerk.get("/sessions")).words.count("何值班") == 0
    held = await operator.get("/sessions")
    assert "何值班" in held.words and "李值班" in held.words
    ids = {s.account: s.id for s in room.desk.store.read_now(accounts.sessions)}
    assert (await clerk.post("/sessions", {"mark": clerk.mark, "session": ids["bureau"]})).status == 404
    assert (await bureau.get("/")).status == 200
    assert (await operator.post("/sessions", {"mark": operator.mark, "session": ids["bureau"]})).status == 303
    assert (await bureau.get("/")).status == 303 and (await clerk.get("/")).status == 200
    assert (await clerk.post("/sessions", {"mark": clerk.mark, "session": ids["clerk"]})).headers["location"] == "/signin"


async def test_a_proxy_is_believed_only_where_conf_names_it(room: Room) -> None:
    for proxies, peer in (((), "192.0.2.7"), (("192.0.2.7",), "198.51.100.9")):
        room = Room(proxies=proxies)
        page = await room.browser().get("/signin")
        browser = room.browser()
        page = await browser.get("/signin")
        fields = {"account": "clerk", "password": PASSWORD, "before": page.field("before")}
        await browser.post("/signin", fields, **{"x-forwarded-for": "10.0.0.1, 198.51.100.9"})
        assert room.events("signed_in")[0].data["peer"] == peer
        room.desk.store.close()


async def test_too_many_calls_are_turned_away(room: Room) -> None:
    room = Room(calls_per_minute=10)
    browser = room.browser("clerk")
    assert [(await browser.get("/board/lines")).status for _ in range(11)] == [200] * 10 + [429]
    stranger = room.browser(peer="198.51.100.1")
    assert [(await stranger.get("/nowhere")).status for _ in range(200)][-1] == 429
    room.desk.store.close()


def test_accounts_are_made_by_rules_and_every_change_is_on_record(room: Room) -> None:
    for args, told in (
        ({"account": "Li"}, "账号名不合规"), ({"account": "clerk"}, "已存在"), ({"role": "king"}, "没有角色"),
        ({"person": "张三"}, "不在其中"), ({"person": ""}, "不在其中"), ({"password": "plain-text-password"}, "Argon2id"),
    ):  # fmt: skip
        whole = {"account": "new", "role": "clerk", "person": "马值班", "password": hashed(), **args}
        with pytest.raises(OperationError, match=told):
            room.desk.do("account_add", **whole)
    with pytest.raises(OperationError, match="没有账号"):
        room.desk.do("account_passwd", account="new", password=hashed())
    before = len(room.events("account_changed"))
    room.desk.do("account_add", account="new", role="clerk", person="马值班", password=hashed())
    room.desk.do("account_change", account="new", role="leader")
    room.desk.do("account_totp", account="new", key=KEY)
    room.desk.do("account_totp", account="new", key="")
    changed = room.events("account_changed")[before:]
    assert [e.data["what"] for e in changed] == ["added", "changed", "second factor", "no second factor"]
    assert all("password" not in e.data and events.EVENTS[e.event] for e in changed)
    shown = {one["name"]: one for one in room.desk.do("accounts")}
    assert shown["new"]["role"] == "leader" and not shown["new"]["second_factor"] and "password" not in shown["new"]
