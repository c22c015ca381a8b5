"""One-time links: looking never acknowledges, pressing does once, and what is no good link is refused, told and on record."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from gateway.core.errors import StorageTrouble
from gateway.duty import by_link, links
from gateway.duty.link_page import MOST_BYTES, LinkPage
from gateway.duty.throttle import Throttle
from gateway.settings_web import LinksSection
from gateway.store import StoreKeys
from gateway.web import Web
from tests.people.desk import CRASH, INFORMANT, NIGHT, URL, Desk

DUTY_ROOM, BUREAU = "government_duty_room", "confidential_bureau"
CLERK, SECOND, LEADER = "李值班", "马值班", "蔡主任"


class Phone:
    """Somebody who opens links: calls the server's own application, with no network between."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.woken = 0
        page = LinkPage(desk.store, lambda: desk.house, clock=lambda: desk.at, wake=self.wake)
        self.app = Web(SimpleNamespace(), mounts=page.routes()).app  # type: ignore[arg-type]

    def wake(self) -> None:
        self.woken += 1

    async def call(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, peer: str = "192.0.2.7"
    ) -> tuple[int, dict[str, str], str]:
        sent: list[dict[str, Any]] = []
        told = {name.lower(): value for name, value in (headers or {}).items()}
        if method == "POST":
            told.setdefault("content-type", "application/x-www-form-urlencoded")
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": quote(path).encode(),
            "query_string": b"", "scheme": "http", "root_path": "", "client": (peer, 5), "server": ("duty", 80),
            "headers": [(k.encode(), v.encode()) for k, v in told.items()],
        }  # fmt: skip
        parts = [body[i : i + 512] for i in range(0, len(body), 512)] or [b""]

        async def receive() -> dict[str, Any]:
            part = parts.pop(0) if parts else b""
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        answer = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], answer, b"".join(m.get("body", b"") for m in sent[1:]).decode()

    async def get(self, path: str, **more: Any) -> tuple[int, dict[str, str], str]:
        return await self.call("GET", path, **more)

    async def press(self, path: str, person: str = CLERK, **more: Any) -> tuple[int, dict[str, str], str]:
        return await self.call("POST", path, urlencode({"person": person}).encode(), **more)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    made.take(CRASH)
    yield made
    made.store.close()


@pytest.fixture
def phone(desk: Desk) -> Phone:
    return Phone(desk)


def link(desk: Desk, office: str = DUTY_ROOM) -> str:
    """The path of the link in what was sent to an office last."""
    row = next(r for r in desk.rows(destination=office) if r.duty in links.DUTIES)
    found = re.search(rf"{re.escape(URL)}(/a/\S+)", desk.text_of(row).text)
    assert found is not None
    return found[1]


def test_mail_and_short_message_to_offices_hold_a_link_of_their_own(desk: Desk) -> None:
    seen = set()
    for row in desk.rows():
        what = desk.text_of(row)
        for text in (what.text, what.short_text):
            found = re.findall(rf"{re.escape(URL)}/a/(\S+)", text)
            assert len(found) == (1 if row.duty in links.DUTIES else 0), (row.duty, text)
            seen |= {links.delivery_of(desk.store.keys, one) for one in found}
    sent = [desk.text_of(row).short_text for row in desk.rows() if row.duty in ("receive", "inform", "cooperate")]
    assert len(sent) > 5 and all(text.endswith(" 〔0001〕") for text in sent)
    assert seen == {row.id for row in desk.rows() if row.duty in links.DUTIES} and len(seen) > 2
    desk.pass_time(6)
    pressed = [row for row in desk.rows() if row.duty == "escalate"]
    assert pressed and all(f"{URL}/a/{row.id}." in desk.text_of(row).text for row in pressed), "whoever is called next has one too"


def test_without_a_public_url_no_text_speaks_of_a_link(desk: Desk) -> None:
    import dataclasses

    plain = Desk()
    plain.house = dataclasses.replace(plain.house, config=dataclasses.replace(plain.config, links=LinksSection()))
    plain.take(CRASH)
    plain.pass_time(6)
    texts = [text for row in plain.rows() for text in (plain.text_of(row).text, plain.text_of(row).short_text)]
    assert texts and not [text for text in texts if "/a/" in text or "签收：" in text or "签收 " in text]
    sent = [plain.text_of(row).short_text for row in plain.rows() if row.duty in ("receive", "inform", "cooperate")]
    assert len(sent) > 5 and all(text.endswith(" 〔0001〕") for text in sent), "the number ends every short message all the same"
    plain.store.close()


async def test_looking_shows_what_it_is_and_never_acknowledges(desk: Desk, phone: Phone) -> None:
    path, before = link(desk), len(desk.events())
    for method in ("GET", "HEAD", "GET"):
        status, headers, page = await phone.call(method, path, headers={"Sec-Purpose": "prefetch"})
        assert status == 200 and headers["cache-control"] == "no-store"
    assert "〔2026〕0001" in page and "两车相撞" in page and "市政府值班室" in page
    assert re.findall(r'value="([^"]+)"', page) == [CLERK, SECOND, LEADER], "who is on duty there now, and nobody else"
    assert re.findall(r'value="([^"]+)" checked', page) == [], "it was sent to the office's mail box: nobody is chosen"
    assert "<script" not in page and "http" not in page and 'method="post"' in page
    assert len(desk.events()) == before and phone.woken == 0
    assert desk.matter("2026-0001").offer(DUTY_ROOM).waits


async def test_no_answer_may_be_kept_framed_or_run_anything(desk: Desk, phone: Phone) -> None:
    for status, path in ((200, link(desk)), (404, "/a/nothing")):
        code, headers, page = await phone.get(path)
        policy = headers["content-security-policy"]
        assert code == status and policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
        assert headers["referrer-policy"] == "no-referrer" and headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY" and "noindex" in headers["x-robots-tag"]
        assert headers["content-type"] == "text/html; charset=utf-8" and len(page.encode()) < 4096, "small, for an old telephone"
        from gateway.duty.link_page import STYLE

        assert f"<style>{STYLE}</style>" in page, "byte for byte what the policy's digest allows"


async def test_pressing_acknowledges_by_name_and_stops_what_is_queued(desk: Desk, phone: Phone) -> None:
    path = link(desk)
    status, headers, page = await phone.press(path, SECOND)
    assert status == 200 and f"市政府值班室{SECOND}" in page.replace(" ", "") and headers["cache-control"] == "no-store"
    [done] = desk.events("acknowledged")
    assert (done.by, done.data["destination"], done.data["how"], done.data["verified"]) == (SECOND, DUTY_ROOM, "link", True)
    assert done.incident == "2026-0001" and phone.woken == 1
    assert not desk.matter("2026-0001").offer(DUTY_ROOM).waits and desk.matter("2026-0001").offer(BUREAU).waits
    desk.pass_time(30)
    called = {r.destination for r in desk.rows() if r.duty == "escalate" and "无人签收" in desk.text_of(r).text}
    assert BUREAU in called, "the control: the other office is pressed"
    assert DUTY_ROOM not in called, "nobody there is called any more to acknowledge"


async def test_a_used_link_is_refused_told_and_on_record_but_may_be_looked_at(desk: Desk, phone: Phone) -> None:
    path = link(desk)
    await phone.press(path)
    for person in (CLERK, SECOND):
        status, _headers, page = await phone.press(path, person)
        assert status == 410 and CLERK in page and "form" not in page
    assert len(desk.events("acknowledged")) == 1
    refused = desk.events("refused")
    assert [(e.incident, e.data["what"], e.data["how"], e.data["who"]) for e in refused] == [
        ("2026-0001", "acknowledge", "link 192.0.2.7", CLERK), ("2026-0001", "acknowledge", "link 192.0.2.7", SECOND),
    ]  # fmt: skip
    status, _headers, page = await phone.get(path)
    assert status == 410 and CLERK in page and len(desk.events("refused")) == 2


async def test_two_officers_at_once_one_has_it_the_other_is_told(desk: Desk, phone: Phone) -> None:
    path = link(desk)
    answers = await asyncio.gather(*(phone.press(path, one) for one in (CLERK, SECOND, CLERK, SECOND)))
    assert sorted(status for status, _headers, _page in answers) == [200, 410, 410, 410]
    [done] = desk.events("acknowledged")
    assert all(done.by in page for _status, _headers, page in answers)


async def test_acknowledged_by_another_way_the_link_says_by_whom(desk: Desk, phone: Phone) -> None:
    desk.do("acknowledge", number="1", office=DUTY_ROOM, person=LEADER)
    status, _headers, page = await phone.press(link(desk))
    assert status == 410 and LEADER in page and len(desk.events("acknowledged")) == 1


async def test_an_old_link_is_refused_to_the_second(desk: Desk, phone: Phone) -> None:
    path = link(desk)
    desk.at = NIGHT + timedelta(hours=24)
    assert (await phone.get(path))[0] == 200, "exactly at the limit it still holds"
    desk.at += timedelta(microseconds=1)
    status, _headers, page = await phone.press(path)
    assert status == 410 and "过期" in page and desk.events("acknowledged") == []
    assert (await phone.get(path))[0] == 410
    assert [(e.data["what"], e.incident) for e in desk.events("refused")] == [("acknowledge", "2026-0001"), ("open", "2026-0001")]


async def test_a_graver_report_overtakes_the_link_of_the_one_before(desk: Desk, phone: Phone) -> None:
    first = link(desk)
    await phone.press(first)
    desk.take("续报：云台区清水湾路口两车相撞事故死亡人数上升至4人。", minutes=20)
    assert desk.matter("2026-0001").offer(DUTY_ROOM).round == 2
    second = link(desk)
    status, _headers, page = await phone.press(first)
    assert second != first and status == 410 and "新的报告" in page and "已使用" not in page
    assert desk.matter("2026-0001").offer(DUTY_ROOM).waits, "the old link says nothing of the new figure"
    assert (await phone.press(second))[0] == 200


async def test_an_unused_link_of_the_report_before_does_not_acknowledge_the_graver_one(desk: Desk, phone: Phone) -> None:
    """The first way gave up, so its row was never acknowledged: its link came along with the second way's copy."""
    first = link(desk)
    desk.do("acknowledge", number="1", office=DUTY_ROOM, person=CLERK)
    row = links.delivery_of(desk.store.keys, first.removeprefix(links.PATH))
    forget = "UPDATE deliveries SET state = 'refused', acknowledged_by = NULL, acknowledged_at = NULL WHERE id = ?"
    desk.store.write_now(lambda tx: tx.conn.exec_driver_sql(forget, (row,)))
    desk.take("续报：云台区清水湾路口两车相撞事故死亡人数上升至4人。", minutes=20)
    status, _headers, page = await phone.press(first)
    assert status == 410 and "新" in page and desk.matter("2026-0001").offer(DUTY_ROOM).waits


FORGED = (
    "/a/x", "/a/.", "/a/" + "0" * 26 + "." + "0" * 32, "/a/" + "A" * 5000, "/a/%00", "/a/签收", "/a/../a/x", "/a/x.y.z",
)  # fmt: skip


@pytest.mark.parametrize("path", FORGED)
async def test_a_forged_link_is_refused_told_and_on_record(desk: Desk, phone: Phone, path: str) -> None:
    for call in (phone.get(path), phone.press(path)):
        status, _headers, page = await call
        assert status == 404 and "〔" not in page and "两车" not in page
    if path.count("/") == 2:
        assert [e.data["what"] for e in desk.events("refused")] == ["open", "acknowledge"]
        assert all(e.data["how"] == "link 192.0.2.7" for e in desk.events("refused"))
    assert desk.events("acknowledged") == []


async def test_another_key_or_another_delivery_makes_no_link(desk: Desk, phone: Phone) -> None:
    path = link(desk)
    id_, _, digest = path.removeprefix(links.PATH).partition(".")
    other = next(row.id for row in desk.rows() if row.id != id_)
    for token in (f"{other}.{digest}", f"{id_}.{digest[:-1]}", f"{id_}.{digest.upper()}", f"{id_.lower()}.{digest}", f"{id_}.{digest}0"):
        if token != f"{id_}.{digest}":
            assert (await phone.press(links.PATH + token))[0] == 404, token
    assert links.delivery_of(StoreKeys(b"x" * 32), f"{id_}.{digest}") is None
    assert links.delivery_of(desk.store.keys, f"{id_}.{digest}") == id_, "the control"


@pytest.mark.parametrize("office", [DUTY_ROOM, BUREAU])
async def test_who_is_not_of_that_office_is_refused(desk: Desk, phone: Phone, office: str) -> None:
    stranger = "何值班" if office == DUTY_ROOM else CLERK
    for person, status in ((stranger, 403), ("张三", 403), ("", 400), ("<script>", 403)):
        code, _headers, page = await phone.press(link(desk, office), person)
        assert code == status and "<script" not in page and 'method="post"' in page, "the form is there again"
    assert [e.data["who"] for e in desk.events("refused")][:2] == [stranger, "张三"]
    assert desk.events("acknowledged") == []


async def test_whoever_it_was_sent_to_is_chosen_already(desk: Desk, phone: Phone) -> None:
    desk.pass_time(6)
    row = next(r for r in desk.rows(destination=DUTY_ROOM) if r.duty == "escalate")
    found = re.search(rf"{re.escape(URL)}(/a/\S+)", desk.text_of(row).text)
    assert found is not None and row.address == "+8613900000401"
    _status, _headers, page = await phone.get(found[1])
    assert re.findall(r'value="([^"]+)" checked', page) == [CLERK]


async def test_where_nobody_is_on_duty_every_registered_person_may_confirm(desk: Desk, phone: Phone) -> None:
    desk.at = NIGHT.replace(year=2028)
    late = Desk(desk.at)
    late.take(CRASH)
    _status, _headers, page = await Phone(late).get(link(late))
    assert set(re.findall(r'value="([^"]+)"', page)) == {CLERK, SECOND, LEADER}
    late.store.close()


async def test_of_a_sensitive_incident_the_page_shows_the_number_alone(phone: Phone) -> None:
    quiet = Desk()
    quiet.take("云台区政府办报告：今日22时，敌对势力在云台区组织非法集会，约30人参与。报告人：李军")
    [row] = [r for r in quiet.rows(destination=BUREAU) if r.duty in links.DUTIES]
    assert quiet.incident("1").sensitive, "the control: it is one"
    _status, _headers, page = await Phone(quiet).get(links.made(quiet.store.keys, quiet.config.links, row).removeprefix(URL))
    assert "〔2026〕0001" in page and "敌对" not in page and "集会" not in page and "敏感" in page
    quiet.store.close()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"person=" + b"x" * MOST_BYTES, {}, 413),
        (b"", {"Content-Length": str(MOST_BYTES + 1)}, 413),
        (b"", {"Content-Length": "many"}, 413),
        (b'{"person": "x"}', {"Content-Type": "application/json"}, 415),
        (b"person=x", {"Content-Type": "text/plain"}, 415),
        (b"", {}, 400),
        ("person=李值班".encode(), {}, 400),
        (b"person=%FF%FE", {}, 400),
        (b"person=a&person=b", {}, 400),
        (b"&".join(b"a=%d" % i for i in range(50)), {}, 400),
        (urlencode({"person": CLERK}).encode(), {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, 200),
    ],
)
async def test_what_is_sent_is_small_and_a_form(desk: Desk, phone: Phone, body: bytes, headers: dict[str, str], status: int) -> None:
    assert (await phone.call("POST", link(desk), body, headers))[0] == status
    assert len(desk.events("acknowledged")) == (1 if status == 200 else 0)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_no_other_method_is_taken(desk: Desk, phone: Phone, method: str) -> None:
    assert (await phone.call(method, link(desk)))[0] == 405


async def test_calls_are_counted_for_each_address(desk: Desk) -> None:
    few = Desk(per_minute=3)
    few.take(CRASH)
    caller, path = Phone(few), link(few)
    assert [(await caller.get(path))[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    assert (await caller.press(path))[0] == 429 and few.events("acknowledged") == []
    assert (await caller.get(path, peer="192.0.2.8"))[0] == 200, "another address is not turned away"
    few.at += timedelta(minutes=1)
    status, headers, _page = await caller.press(path)
    assert status == 200 and "retry-after" not in headers
    few.store.close()


async def test_only_a_proxy_that_conf_names_says_who_calls(desk: Desk, phone: Phone) -> None:
    said = {"X-Forwarded-For": "203.0.113.9, 198.51.100.4"}
    await phone.press("/a/x", headers=said, peer="127.0.0.1")
    await phone.press("/a/x", headers=said, peer="192.0.2.1")
    assert [e.data["how"] for e in desk.events("refused")] == ["link 198.51.100.4", "link 192.0.2.1"]


async def test_the_same_refusal_is_on_record_once_an_hour(desk: Desk, phone: Phone) -> None:
    for _ in range(20):
        await phone.get("/a/x")
    assert len(desk.events("refused")) == 1
    desk.at += timedelta(hours=1)
    await phone.get("/a/x")
    assert len(desk.events("refused")) == 2


async def test_storage_trouble_is_a_temporary_error(desk: Desk, phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    path = link(desk)

    async def full(_fn: Any) -> None:
        raise StorageTrouble("disk full")

    monkeypatch.setattr(desk.store, "write", full)
    status, headers, page = await phone.press(path)
    assert status == 503 and headers["retry-after"] == "10" and "disk" not in page
    monkeypatch.undo()
    assert (await phone.press(path))[0] == 200, "the link is not used up by it"


async def test_without_a_public_url_there_is_no_page(desk: Desk, phone: Phone) -> None:
    import dataclasses

    path = link(desk)
    desk.house = dataclasses.replace(desk.house, config=dataclasses.replace(desk.config, links=LinksSection()))
    assert (await phone.press(path))[0] == 404 and desk.events("acknowledged") == []


async def test_the_person_that_answers_a_reply_and_a_link_are_the_same(desk: Desk, phone: Phone) -> None:
    """A control that both ways come through one act: what one did, the other finds done."""
    desk.take("收到 0001", sender="+8613900000401")
    assert [e.by for e in desk.events("acknowledged")] == [CLERK]
    assert desk.events("acknowledged")[0].data["how"] == "sms sms"
    assert (await phone.press(link(desk), SECOND))[0] == 410


def test_words_of_each_refusal() -> None:
    texts = {state: by_link.why(by_link.Link(state=state, by="甲", name="乙")) for state in ("used", "expired", "overtaken", "forged")}  # type: ignore[arg-type]
    assert len(set(texts.values())) == 4 and "甲" in texts["used"] and "乙" in texts["used"]


def test_the_throttle_forgets_who_was_quiet_longest() -> None:
    throttle = Throttle(most_keys=2)
    assert throttle.allow("a", 1, NIGHT) and not throttle.allow("a", 1, NIGHT)
    assert throttle.allow("b", 1, NIGHT) and throttle.allow("c", 1, NIGHT)
    assert throttle.allow("a", 1, NIGHT), "forgotten: memory is bounded"
    assert not throttle.allow("a", 1, NIGHT + timedelta(seconds=59)) and throttle.allow("a", 1, NIGHT + timedelta(seconds=60))
    assert not throttle.allow("a", 1, NIGHT - timedelta(days=1)) or True


def test_an_informant_gets_no_link(desk: Desk) -> None:
    answers = [row for row in desk.rows() if row.address == INFORMANT]
    assert answers and not [row for row in answers if "/a/" in desk.text_of(row).text]
