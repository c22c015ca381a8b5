"""The HTTP door on a real socket: what each caller is answered, and what intake is given."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway_plugins.phone_transcript import PhoneSettings, PhoneTranscript
from tests.channel_fakes import CALL, NOW, TOKEN, FakeIntake, FakeServices, free_port

LIMIT = 5000
WRONG_TYPE = "Content-Type: is not one of application/json, text/vtt, text/plain, application/x-subrip, multipart/form-data"


class House:
    def __init__(self, channel: PhoneTranscript, intake: FakeIntake) -> None:
        self.channel, self.intake = channel, intake

    async def send(
        self, body: bytes, content_type: str = "application/json", *, token: str | None = TOKEN, method: str = "POST",
        path: str = "/phone", headers: tuple[str, ...] = (), length: str | None = None,
    ) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        reader, writer = await asyncio.open_connection("127.0.0.1", self.channel.port)
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: gateway.test",
            "Connection: close",
            f"Content-Type: {content_type}",
            *headers,
        ]
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        if "Transfer-Encoding: chunked" in headers:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            lines.append(f"Content-Length: {length or len(body)}")
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        head, _, rest = answer.partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        found = dict(line.lower().split(": ", 1) for line in fields)
        return int(status.split()[1]), found, rest

    async def call(self, **changed: object) -> tuple[int, dict[str, str], dict[str, str]]:
        status, headers, body = await self.send(json.dumps(CALL | changed).encode())
        return status, headers, json.loads(body)


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    services = FakeServices(max_bytes=LIMIT, secrets={"phone-token": TOKEN})
    channel, intake = PhoneTranscript("phone", PhoneSettings(port=0), services), FakeIntake()
    await channel.start(intake)
    yield House(channel, intake)
    await channel.stop()


async def test_accepted_with_its_id(house: House) -> None:
    status, _, answer = await house.call()
    assert (status, answer) == (200, {"id": "m1"})
    (raw,) = house.intake.messages
    assert (raw.channel, raw.via, raw.sender, raw.recipient, raw.carrier_id) == (
        "phone",
        "phone",
        "+8613800000003",
        "09990000110",
        "c-17",
    )
    assert raw.body == json.dumps(CALL).encode(), "the octets as posted"
    assert raw.received_at == NOW
    assert house.channel.read(raw).text == "值班员：您好，市政府值班室。\n来电人：石桥县河湾村有房子塌了，压着两个人。"


async def test_no_answer_before_the_commit(house: House) -> None:
    house.intake.gate = asyncio.Event()
    call = asyncio.create_task(house.call())
    done, _ = await asyncio.wait([call], timeout=0.2)
    assert not done
    house.intake.gate.set()
    assert (await call)[0] == 200


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", TOKEN[:-1], "令牌"])
async def test_without_the_token_nothing_is_taken(house: House, token: str | None) -> None:
    status, headers, _ = await house.send(json.dumps(CALL).encode(), token=token)
    assert status == 401
    assert headers["www-authenticate"] == "bearer"
    assert house.intake.messages == []


async def test_another_scheme_is_no_token(house: House) -> None:
    status, _, _ = await house.send(b"{}", token=None, headers=(f"Authorization: Basic {TOKEN}",))
    assert status == 401


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "body: is empty"),
        (b"not json", "body: not JSON"),
        (b"\xff\xfe\x00", "body: not JSON"),
        (b"[]", "$: "),
        (b"{}", "$: "),
        (b'{"call_id": "1", "caller": "2", "segments": [{"speaker": "a"}]}', "$.segments[0]: "),
        (b'{"call_id": "1", "caller": "2", "segments": [{"text": 7}]}', "$.segments[0].text: "),
        (b'{"call_id": 1, "caller": "2", "segments": []}', "$.call_id: "),
        (b'{"call_id": "", "caller": "2", "segments": []}', "$.call_id: is empty"),
        (b'{"call_id": "1", "caller": "2", "segments": [], "started_at": "yesterday"}', "$.started_at: "),
        (b'{"a":' * 900, "body: "),
    ],
)
async def test_wrong_json_is_told_where_and_what(house: House, body: bytes, where: str) -> None:
    status, _, answer = await house.send(body)
    assert status == 400
    assert json.loads(answer)["error"].startswith(where)
    assert house.intake.messages == []


async def test_a_fault_quotes_no_content(house: House) -> None:
    status, _, answer = await house.send(b'{"call_id": "1", "caller": "2", "segments": [{"text": ["canary words"]}]}')
    assert status == 400
    assert b"canary" not in answer


@pytest.mark.parametrize("chunked", [False, True])
async def test_over_size_names_the_limit(house: House, chunked: bool) -> None:
    headers = ("Transfer-Encoding: chunked",) if chunked else ()
    status, _, answer = await house.send(b"x" * (LIMIT + 1), headers=headers)
    assert status == 413
    assert str(LIMIT) in json.loads(answer)["error"]


async def test_who_announces_far_too_much_is_told_at_once(house: House) -> None:
    status, _, answer = await house.send(b"", length=str(5 * LIMIT))
    assert status == 413
    assert str(LIMIT) in json.loads(answer)["error"]


async def test_who_writes_all_before_reading_gets_to_see_the_answer() -> None:
    """Also where a body over the limit no longer fits into the buffers of the connection."""
    services = FakeServices(max_bytes=5_000_000, secrets={"phone-token": TOKEN})
    channel = PhoneTranscript("phone", PhoneSettings(port=0), services)
    await channel.start(FakeIntake())

    def post() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", channel.port, timeout=20)
        connection.request("POST", "/phone", b"x" * 19_000_000, {"Authorization": f"Bearer {TOKEN}"})
        return connection.getresponse().status

    assert await asyncio.to_thread(post) == 413
    await channel.stop()


async def test_storage_trouble_asks_to_come_again(house: House) -> None:
    house.intake.trouble = True
    status, headers, _ = await house.call()
    assert status == 503
    assert int(headers["retry-after"]) > 0
    house.intake.trouble = False
    assert (await house.call())[0] == 200


async def test_plain_text_and_webvtt_with_their_headers(house: House) -> None:
    known = ("X-Call-Id: c-18", "X-Caller: 110")
    vtt = "WEBVTT\n\n00:00.000 --> 00:02.000\n<v 来电人>河湾村塌方。\n".encode()
    assert (await house.send("河湾村塌方。".encode(), "text/plain; charset=utf-8", headers=known))[0] == 200
    assert (await house.send(vtt, "text/vtt", headers=known))[0] == 200
    plain, captions = house.intake.messages
    assert (plain.sender, plain.carrier_id, plain.content_type) == ("110", "c-18", "text/plain")
    assert house.channel.read(plain).text == "河湾村塌方。"
    assert house.channel.read(captions).text == "来电人：河湾村塌方。"


@pytest.mark.parametrize(
    ("content_type", "headers", "error"),
    [
        ("text/plain", ("X-Caller: 110",), "X-Call-Id: header is missing"),
        ("text/plain", ("X-Call-Id: 1",), "X-Caller: header is missing"),
        ("text/vtt", ("X-Call-Id: 1", "X-Caller: 110"), "line 1: does not begin with WEBVTT"),
        ("application/xml", (), WRONG_TYPE),
    ],
)
async def test_what_else_is_wrong(house: House, content_type: str, headers: tuple[str, ...], error: str) -> None:
    status, _, answer = await house.send("河湾村塌方。".encode(), content_type, headers=headers)
    assert (status, json.loads(answer)["error"]) == (400, error)


async def test_a_call_without_speech_is_taken_and_needs_a_person(house: House) -> None:
    assert (await house.call(segments=[]))[0] == 200
    assert house.channel.read(house.intake.messages[0]).unread == "no speech in the transcript"


async def test_health_needs_no_token_and_other_paths_are_not_there(house: House) -> None:
    status, _, body = await house.send(b"", method="GET", path="/health", token=None)
    assert (status, json.loads(body)) == (200, {"status": "up"})
    assert (await house.send(b"", method="GET", path="/phone"))[0] == 405
    assert (await house.send(b"", path="/"))[0] == 404


async def test_stop_frees_the_port_and_lets_a_request_finish(house: House) -> None:
    port = house.channel.port
    house.intake.gate = asyncio.Event()
    call = asyncio.create_task(house.call())
    await asyncio.sleep(0.1)
    stopping = asyncio.create_task(house.channel.stop())
    await asyncio.sleep(0.1)
    house.intake.gate.set()
    assert (await call)[0] == 200
    await stopping
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)
    assert house.channel.health().state == "down"


async def test_a_taken_port_is_an_error_at_start(house: House) -> None:
    second = PhoneTranscript("second", PhoneSettings(port=house.channel.port), FakeServices(secrets={"phone-token": TOKEN}))
    with pytest.raises(OSError):
        await second.start(FakeIntake())
    await second.stop()


async def test_an_empty_secret_opens_no_door() -> None:
    channel = PhoneTranscript("phone", PhoneSettings(port=free_port()), FakeServices(secrets={"phone-token": ""}))
    house = House(channel, FakeIntake())
    await channel.start(house.intake)
    assert (await house.send(json.dumps(CALL).encode(), token=""))[0] == 401
    await channel.stop()


async def test_no_log_line_holds_text_or_token(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await house.call()
    house.intake.trouble = True
    await house.call()
    await house.send("河湾村 {".encode())
    assert "河湾村" not in caplog.text
    assert TOKEN not in caplog.text


async def test_what_a_recogniser_wrote_is_taken_with_the_headers_of_a_text(house: House) -> None:
    body = json.dumps([{"key": "x", "text": "河湾村塌方。"}]).encode()
    known = ("X-Call-Id: c-20", "X-Caller: 110")
    assert json.loads((await house.send(body))[2])["error"] == "X-Call-Id: header is missing"
    assert (await house.send(body, headers=known))[0] == 200
    (raw,) = house.intake.messages
    assert (raw.sender, raw.carrier_id) == ("110", "c-20")
    assert house.channel.read(raw).text == "河湾村塌方。"


async def test_the_clerks_form_is_taken_and_names_its_clerk(house: House) -> None:
    slip = {"form": "phone-log", "call_id": "c-21", "caller": "09998811004", "text": "河湾村塌方。", "clerk": "李值班"}
    assert json.loads((await house.send(json.dumps(slip | {"call_id": ""}).encode()))[2])["error"] == "$.call_id: is empty"
    assert json.loads((await house.send(json.dumps(slip | {"clerk": ""}).encode()))[2])["error"] == "$.clerk: is empty"
    assert (await house.send(json.dumps(slip).encode()))[0] == 200
    (raw,) = house.intake.messages
    assert (raw.sender, raw.carrier_id, raw.meta["clerk"]) == ("09998811004", "c-21", "李值班")
    message = house.channel.read(raw)
    assert message.text == "河湾村塌方。"
    assert message.quoted == "记录人：李值班"


async def test_a_transcript_with_its_recording_comes_in_one_request(house: House) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="t"; filename="t.txt"\r\n\r\n' + "河湾村塌方。".encode()
        + b'\r\n--b\r\nContent-Disposition: form-data; name="a"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\x00\r\n--b--\r\n'
    )  # fmt: skip
    known = ("X-Call-Id: c-22", "X-Caller: 110")
    assert (await house.send(body, "multipart/form-data; boundary=b", headers=known))[0] == 200
    assert (await house.send(body, "multipart/form-data; boundary=c", headers=known))[0] == 400
    message = house.channel.read(house.intake.messages[0])
    assert (message.text, message.attachments[0].data) == ("河湾村塌方。", b"RIFF\x00")


# Faults: a recogniser that keeps what was not answered 200 and comes again, as any carrier does.


async def test_an_hour_without_storage_loses_no_call_and_doubles_none(house: House) -> None:
    waiting = [f"c-{n}" for n in range(12)]
    house.intake.trouble = True
    for _quarter in range(4):
        assert {(await house.call(call_id=call))[0] for call in waiting} == {503}
    assert house.intake.messages == []
    house.intake.trouble = False
    for call in waiting:
        assert (await house.call(call_id=call))[0] == 200
    assert sorted(raw.carrier_id for raw in house.intake.messages) == sorted(waiting)


async def test_who_hangs_up_in_the_middle_of_a_body_has_left_nothing_and_may_come_again(house: House) -> None:
    body = json.dumps(CALL).encode()
    for cut in (1, len(body) // 2, len(body) - 1):
        _reader, writer = await asyncio.open_connection("127.0.0.1", house.channel.port)
        head = f"POST /phone HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        writer.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:cut])
        await writer.drain()
        writer.close()
        await asyncio.sleep(0.05)
    assert house.intake.messages == []
    assert (await house.call())[0] == 200
    assert len(house.intake.messages) == 1


async def test_a_slow_caller_holds_up_nobody(house: House) -> None:
    body = json.dumps(CALL).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", house.channel.port)
    head = f"POST /phone HTTP/1.1\r\nHost: g\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n"
    writer.write((head + f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode())
    for at, octet in enumerate(body):
        writer.write(bytes([octet]))
        await writer.drain()
        if at == len(body) // 2:
            assert (await house.call(call_id="other"))[0] == 200
    assert b"200" in (await asyncio.wait_for(reader.read(), 5)).split(b"\r\n")[0]
    assert [raw.carrier_id for raw in house.intake.messages] == ["other", "c-17"]


@pytest.mark.parametrize("rubbish", [b"\x00" * 400, b"\x16\x03\x01\x02\x00\x01", b"HELO there\r\n\r\n", b"POST /phone HTTP/9\r\n\r\n"])
async def test_rubbish_at_the_door_harms_nobody(house: House, rubbish: bytes) -> None:
    _reader, writer = await asyncio.open_connection("127.0.0.1", house.channel.port)
    writer.write(rubbish)
    writer.close()
    assert (await house.call())[0] == 200
