"""Signing in with a client certificate, over real TLS with an authority of the test's own."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import h2.connection
import h2.events
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from gateway import certificates
from gateway.asked import OperationError
from gateway.settings_web import ConsoleSection
from gateway.web import Listener, bind
from tests.console.authority import SERVER, Authority
from tests.console.room import FORM, PASSWORD, Room

LI = "li@duty.gateway.test"


class House:
    """A console behind TLS; ``account`` of the clerk signs in with LI's certificate."""

    def __init__(self, room: Room, authority: Authority, port: int) -> None:
        self.room, self.authority, self.port = room, authority, port

    @asynccontextmanager
    async def browser(self, shown: Path | None) -> AsyncIterator[Browser]:
        jar = aiohttp.CookieJar(unsafe=True)
        connector = aiohttp.TCPConnector(ssl=self.authority.client(shown))
        async with aiohttp.ClientSession(f"https://localhost:{self.port}", cookie_jar=jar, connector=connector) as session:
            yield Browser(session)


class Browser:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(path, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def sign_in(self, **fields: str) -> tuple[int, str]:
        before = re.findall(r'name="before" value="([^"]*)"', (await self.get("/signin"))[1])
        headers = {"content-type": FORM, "sec-fetch-site": "same-origin"}
        sent = {"before": before[0] if before else "", **fields}
        async with self.session.post("/signin", data=sent, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def house(folder: Path, *, revoked: int | None = None, **section: Any) -> AsyncIterator[House]:
    authority = Authority(folder)
    server, _certificate = authority.issue("localhost", dns="localhost", usage=SERVER)
    room = Room(certificate="x.pem", client_ca="ca.pem", **section)
    room.desk.do("account_certificate", account="clerk", known_by=LI)
    listener = Listener(certificate=server, key=server, authorities=authority.pem, needed=not room.section.passwords, reading=None)
    listener.start(room.console.app, bind("127.0.0.1", 0))
    try:
        yield House(room, authority, listener.port)
    finally:
        await listener.stop()
        assert room.errors == []
        room.desk.store.close()


async def test_a_certificate_signs_in_as_its_account_and_the_cookie_is_good_with_it_alone(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        mine, _c = made.authority.issue("李值班", mail=LI)
        other, _c = made.authority.issue("马值班", mail="ma@duty.gateway.test")
        async with made.browser(mine) as browser:
            page = await browser.get("/signin")
            assert "用证书登录（账号 clerk）" in page[1] and 'name="password"' in page[1], "a password is still possible"
            assert (await browser.sign_in(by="certificate"))[0] == 303
            assert (await browser.get("/"))[0] == 200
            cookie = next(iter(browser.session.cookie_jar))
            assert cookie.key == "__Host-gateway" and cookie["secure"]
        for shown in (other, None):
            async with made.browser(shown) as thief:
                thief.session.cookie_jar.update_cookies({cookie.key: cookie.value})
                assert (await thief.get("/"))[0] == 303, "a stolen cookie opens nothing"
        async with made.browser(mine) as again:
            again.session.cookie_jar.update_cookies({cookie.key: cookie.value})
            assert (await again.get("/"))[0] == 200
        [event] = made.room.events("signed_in")
        assert (event.by, event.data["account"], event.data["how"]) == ("李值班", "clerk", "certificate")


async def test_who_shows_none_or_one_of_no_account_signs_in_by_password(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        stranger, _c = made.authority.issue("li@duty.gateway.test", mail="ma@duty.gateway.test")
        for shown in (None, stranger):
            async with made.browser(shown) as browser:
                page = (await browser.get("/signin"))[1]
                assert "用证书登录" not in page and ("未对应任何账号" in page) == (shown is not None)
                assert (await browser.sign_in(by="certificate"))[0] == 403
                assert (await browser.sign_in(account="clerk", password="wrong"))[0] == 403
                assert (await browser.sign_in(account="clerk", password=PASSWORD))[0] == 303
                assert (await browser.get("/"))[0] == 200
        assert [e.data["why"] for e in made.room.events("sign_in_refused")][::2] == ["no certificate", "certificate of no account"]


@pytest.mark.parametrize("what", ["another authority", "expired", "a server's", "revoked"])
async def test_a_certificate_that_is_not_good_does_not_get_as_far_as_a_page(tmp_path: Path, what: str) -> None:
    forged = Authority(tmp_path, "别家 CA")
    async with house(tmp_path) as made:
        if what == "another authority":
            shown, _c = forged.issue("李值班", mail=LI)
        elif what == "expired":
            shown, _c = made.authority.issue("李值班", mail=LI, days=-1)
        elif what == "a server's":
            shown, _c = made.authority.issue("李值班", mail=LI, usage=SERVER)
        else:
            shown, certificate = made.authority.issue("李值班", mail=LI)
            good, _c = made.authority.issue("李值班", mail=LI)
            made.authority.revoke(certificate)
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            certificates.ask(context, made.authority.pem, needed=False)
            assert context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF
            assert handshake(context, made.authority, good) and not handshake(context, made.authority, shown)
            return
        async with made.browser(shown) as browser:
            with pytest.raises(aiohttp.ClientError):
                await browser.get("/signin")
        assert made.room.events("signed_in", "sign_in_refused") == []


def handshake(context: ssl.SSLContext, authority: Authority, shown: Path) -> bool:
    """Whether the server's side takes a certificate; both sides in memory."""
    server, _certificate = authority.issue("localhost", dns="localhost", usage=SERVER)
    context.load_cert_chain(server)
    pipes = [ssl.MemoryBIO(), ssl.MemoryBIO()]
    client = authority.client(shown).wrap_bio(pipes[0], pipes[1], server_hostname="localhost")
    there = context.wrap_bio(pipes[1], pipes[0], server_side=True)
    for _turn in range(4):
        for side in (client, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return there.getpeercert(binary_form=True) is not None


async def test_where_passwords_are_off_nobody_comes_in_without_a_certificate(tmp_path: Path) -> None:
    async with house(tmp_path, passwords=False) as made:
        mine, _c = made.authority.issue("李值班", mail=LI)
        async with made.browser(None) as browser:
            with pytest.raises(aiohttp.ClientError):
                await browser.get("/signin")
        async with made.browser(mine) as browser:
            assert 'name="password"' not in (await browser.get("/signin"))[1]
            assert (await browser.sign_in(account="leader", password=PASSWORD))[0] == 403, "not by the right password either"
            assert (await browser.sign_in(by="certificate"))[0] == 303 and (await browser.get("/"))[0] == 200
        held = made.room.browser("leader")
        assert (await held.get("/")).status == 303, "a sign-in by password of before is over"


async def test_who_is_disabled_or_unmapped_is_out_and_of_two_accounts_neither_is_in(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        both, certificate = made.authority.issue("李值班", mail=LI, dns="pc7.duty.gateway.test")
        async with made.browser(both) as browser:
            assert (await browser.sign_in(by="certificate"))[0] == 303
            made.room.desk.do("account_certificate", account="bureau", known_by="pc7.duty.gateway.test")
            assert (await browser.get("/"))[0] == 200, "what stands is not touched by another's mapping"
            made.room.desk.do("account_certificate", account="clerk", known_by=LI.upper())
            assert (await browser.get("/"))[0] == 303, "another mapping ends what stood"
            assert (await browser.sign_in(by="certificate"))[0] == 403, "two accounts, so neither"
            exact = certificates.fingerprint(certificate.public_bytes(Encoding.DER))
            made.room.desk.do("account_certificate", account="bureau", known_by=exact)
            assert (await browser.sign_in(by="certificate"))[0] == 303 and made.room.events("signed_in")[-1].by == "何值班"
            made.room.desk.do("account_change", account="bureau", disabled=True)
            assert (await browser.get("/"))[0] == 303 and (await browser.sign_in(by="certificate"))[0] == 403


async def test_connections_side_by_side_do_not_mix_their_certificates(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        made.room.desk.do("account_certificate", account="bureau", known_by="he@duty.gateway.test")
        files = {"clerk": made.authority.issue("a", mail=LI)[0], "bureau": made.authority.issue("b", mail="he@duty.gateway.test")[0]}

        async def named(account: str | None) -> None:
            async with made.browser(files[account] if account else None) as browser:
                for _time in range(8):
                    page = (await browser.get("/signin"))[1]
                    assert re.findall(r"账号 (\w+)）", page) == ([account] if account else [])

        await asyncio.gather(*(named(one) for one in ("clerk", None, "bureau", "clerk", None, "bureau")))


async def test_by_http_2_as_browsers_come_it_is_known_as_well(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        shown, _c = made.authority.issue("李值班", mail=LI)
        context = made.authority.client(shown, ("h2",))
        reader, writer = await asyncio.open_connection("localhost", made.port, ssl=context)
        connection, body, over = h2.connection.H2Connection(), b"", False
        connection.initiate_connection()
        asked = {":method": "GET", ":path": "/signin", ":scheme": "https", ":authority": f"localhost:{made.port}"}
        connection.send_headers(1, list(asked.items()), end_stream=True)
        async with asyncio.timeout(20):
            while not over:
                writer.write(connection.data_to_send())
                await writer.drain()
                for event in connection.receive_data(await reader.read(65536)):
                    if isinstance(event, h2.events.DataReceived):
                        body += event.data
                        connection.acknowledge_received_data(event.flow_controlled_length or 0, 1)
                    over = over or isinstance(event, h2.events.StreamEnded)
        writer.close()
        assert "用证书登录（账号 clerk）" in body.decode()


def test_what_a_certificate_is_known_by(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    plain = authority.issue("李值班")[1].public_bytes(Encoding.DER)
    named = authority.issue("李值班", mail="Li@Duty.Gateway.Test", dns="PC7")[1].public_bytes(Encoding.DER)
    assert certificates.names(plain) == (certificates.fingerprint(plain), "李值班")
    assert certificates.names(named)[1:] == ("li@duty.gateway.test", "pc7"), "a common name counts where there is no other"


@given(st.binary(max_size=400))
def test_what_is_no_certificate_has_no_name(der: bytes) -> None:
    assert certificates.names(der) == (certificates.fingerprint(der),)


def test_a_name_is_one_accounts_and_a_fingerprint_is_whole(room: Room) -> None:
    room.desk.do("account_certificate", account="clerk", known_by=LI)
    for account, name in (("leader", LI.upper()), ("leader", "sha256:12"), ("leader", "a\x1bb"), ("leader", "x" * 300), ("nobody", LI)):
        with pytest.raises(OperationError):
            room.desk.do("account_certificate", account=account, known_by=name)
    room.desk.do("account_certificate", account="clerk", known_by="")
    room.desk.do("account_certificate", account="leader", known_by=LI)
    assert [e.data["what"] for e in room.events("account_changed")][-3:] == ["certificate", "no certificate", "certificate"]


def test_authorities_without_one_are_refused_at_start(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    for text in ("", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        path.write_text(text)
        with pytest.raises(OSError):
            certificates.ask(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), path, needed=True)


@pytest.mark.parametrize("section", [{"client_ca": "ca.pem"}, {"passwords": False}, {"passwords": False, "certificate": "c.pem"}])
def test_what_cannot_be_is_a_fault_of_conf(section: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ConsoleSection.model_validate({"enabled": True, **section})
