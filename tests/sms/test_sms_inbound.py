"""What a deliver_sm becomes: a raw message, its text, or a receipt."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sms_bench import NOW

from gateway.api import Malformed, Part, RawMessage, Receipt
from gateway.demo.smsc import deliver_sm, receipt_sm
from gateway_plugins.smpp import inbound, text
from gateway_plugins.smpp.pdu import Command, Pdu, Sm, Tag
from gateway_plugins.sms_smpp import SmppSettings, SmsSmpp

SMS = SmsSmpp("sms", SmppSettings(system_id="gateway", password="smpp-password"))


def pdu(sm: Sm, *tlvs: tuple[int, bytes]) -> Pdu:
    return Pdu(command=Command.DELIVER_SM, sequence=1, body=sm, tlvs=tlvs)


def raw(sm: Sm, *tlvs: tuple[int, bytes]) -> RawMessage:
    return inbound.raw_message(pdu(sm, *tlvs), via="sms", received_at=NOW)


def whole(bodies: list[bytes | None], content_type: str = inbound.SMPP_TYPE) -> RawMessage:
    listed = [None if body is None else base64.b64encode(body).decode() for body in bodies]
    return RawMessage(
        channel="sms", via="sms", received_at=NOW, sender="+8613900000021", body=json.dumps(listed).encode(),
        content_type=content_type,
    )  # fmt: skip


def parts(words: str, reference: int = 5) -> list[Sm]:
    return [deliver_sm("+8613900000021", "1069000000", part) for part in text.split(words, reference)]


def test_a_single_message() -> None:
    (sm,) = parts("青山区供水管爆裂，三个小区停水。")
    message = raw(sm)
    assert (message.sender, message.recipient, message.part, message.carrier_id) == (
        "+8613900000021", "1069000000", None, None,
    )  # fmt: skip
    assert SMS.read(message).text == "青山区供水管爆裂，三个小区停水。"
    assert message.meta["data_coding"] == "8"


def test_equal_messages_have_equal_bodies() -> None:
    (sm,) = parts("停电")
    first = raw(sm)
    again = inbound.raw_message(
        Pdu(command=Command.DELIVER_SM, sequence=99, body=sm), via="sms", received_at=NOW.replace(hour=11)
    )  # fmt: skip
    assert first.body == again.body


@given(st.permutations(range(3)), st.sets(st.integers(0, 2), max_size=2))
def test_parts_in_any_order_some_missing(order: list[int], missing: set[int]) -> None:
    words = ["云" * 67, "台" * 67, "区🚒"]
    raws = [raw(sm) for sm in parts("".join(words))]
    bodies = [None if number in missing else raws[number].body for number in range(3)]
    message = SMS.read(whole(bodies))
    shuffled = SMS.read(whole([bodies[number] for number in order]))
    expected = "".join(f"〔缺第{number + 1}/3条〕" if number in missing else words[number] for number in range(3))
    assert message.text == shuffled.text == expected
    assert message.flags == shuffled.flags == (("partial",) if missing else ())


def test_where_a_part_stands_by_udh_and_by_sar() -> None:
    long = raw(parts("汛" * 80, reference=200)[1])
    assert long.part == Part(ref="+8613900000021/1069000000/200", number=2, total=2)
    tlvs = ((Tag.SAR_MSG_REF_NUM, b"\x12\x34"), (Tag.SAR_TOTAL_SEGMENTS, b"\x02"), (Tag.SAR_SEGMENT_SEQNUM, b"\x01"))
    first = raw(Sm(source_addr="1", data_coding=8, short_message="滑".encode("utf-16-be")), *tlvs)
    assert first.part == Part(ref="1//4660", number=1, total=2)
    second = raw(
        Sm(source_addr="1", data_coding=8, short_message="坡".encode("utf-16-be")), *tlvs[:2], (Tag.SAR_SEGMENT_SEQNUM, b"\x02")
    )
    assert SMS.read(whole([second.body, first.body])).text == "滑坡"
    assert raw(Sm(), *tlvs[:2]).part is None


def test_text_in_message_payload_and_an_id_of_the_carrier() -> None:
    octets = ("沙" * 300).encode("utf-16-be")
    message = raw(
        Sm(data_coding=8), (Tag.MESSAGE_PAYLOAD, octets), (Tag.RECEIPTED_MESSAGE_ID, b"00042\0"),
        (Tag.USER_MESSAGE_REFERENCE, b"\x00\x07"),
    )  # fmt: skip
    assert SMS.read(message).text == "沙" * 300
    assert message.carrier_id == "00042"
    assert message.meta["user_message_reference"] == "7"


def test_binary_content_is_unread_and_lies_are_flagged() -> None:
    assert SMS.read(raw(Sm(data_coding=4, short_message=b"\x01\x02"))).unread is not None
    repaired = SMS.read(raw(Sm(data_coding=0, short_message="泥石流".encode("gb18030"))))
    assert (repaired.text, repaired.flags) == ("泥石流", ("charset_repaired",))
    assert SMS.read(raw(Sm())).text == ""


def test_data_coding_0_is_what_the_conf_says() -> None:
    message = raw(Sm(short_message=b"\x00\xe9"))
    latin = SmsSmpp("sms", SmppSettings(system_id="gateway", password="smpp-password", default_alphabet="latin-1"))
    assert latin.read(message).text == "\x00é"


HEX = [
    "0044" "0B818310000000F0" "0008" "62113290300023" "0A" "050003090201" "6D2A6C34",
    "0044" "0B818310000000F0" "0008" "62113290400023" "0A" "050003090202" "6EA257CE",
]  # fmt: skip


def test_sms_deliver_in_hexadecimal() -> None:
    message = SMS.read(whole([HEX[1].encode(), HEX[0].encode()], inbound.HEX_TYPE))
    assert message.text == "洪水溢城"
    assert message.sent_at is not None
    assert message.sent_at.isoformat() == "2026-11-23T09:04:00+08:00"
    alone = SMS.read(whole([HEX[1].encode()], inbound.HEX_TYPE))
    assert (alone.text, alone.flags) == ("〔缺第1/2条〕溢城", ("partial",))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[1]", inbound.SMPP_TYPE), (b"[", inbound.SMPP_TYPE), (b'["?"]', inbound.SMPP_TYPE), (b"{}", inbound.SMPP_TYPE),
        (b'{"data_coding":8,"short_message":"6"}', inbound.SMPP_TYPE), (b"", inbound.SMPP_TYPE),
        (b"\xff\xfe", inbound.HEX_TYPE), (b"00", inbound.HEX_TYPE), (b'["AA=="]', inbound.HEX_TYPE),
    ],
)  # fmt: skip
def test_a_stored_body_that_is_none_is_malformed(body: bytes, content_type: str) -> None:
    with pytest.raises(Malformed):
        SMS.read(msgspec.structs.replace(whole([]), body=body, content_type=content_type))


@given(
    st.binary(max_size=80) | st.binary(max_size=60).map(lambda data: b"[" + data),
    st.sampled_from([inbound.SMPP_TYPE, inbound.HEX_TYPE]),
)
def test_no_stored_body_can_hurt(body: bytes, content_type: str) -> None:
    try:
        SMS.read(msgspec.structs.replace(whole([]), body=body, content_type=content_type))
    except Malformed:
        return


@pytest.mark.parametrize("in_tlvs", [True, False])
@pytest.mark.parametrize(("state", "expected"), [("DELIVRD", "delivered"), ("UNDELIV", "failed")])
def test_receipts_in_text_and_in_tlvs(in_tlvs: bool, state: str, expected: str) -> None:
    sent, tlvs = receipt_sm(Sm(destination_addr="138"), "0000000042", NOW, state=state, in_tlvs=in_tlvs)
    found = pdu(sent, *tlvs)
    assert inbound.is_receipt(found)
    detail = state if in_tlvs else f"{state} err:000"
    assert inbound.receipt(found, via="sms") == Receipt(via="sms", ref="0000000042", state=expected, detail=detail)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("id:00a7 stat:EXPIRED", "failed"),
        ("id: 00a7 sub:001 Stat: REJECTD", "failed"),
        ("id:00a7 stat:ACCEPTD", "delivered"),
        ("id:00a7 stat:DELIVERED", "delivered"),
        ("id:00a7 stat:LOST", None),
        ("id:00a7", None),
        ("stat:DELIVRD", None),
        ("id:00a7 stat:ENROUTE", "not final"),
    ],
)
def test_states_in_text(words: str, expected: str | None) -> None:
    found = pdu(Sm(esm_class=4, short_message=words.encode()))
    if expected is None:
        with pytest.raises(Malformed):
            inbound.receipt(found, via="sms")
        return
    receipt = inbound.receipt(found, via="sms")
    assert (receipt.state if receipt else "not final") == expected
    assert receipt is None or receipt.ref == "00a7"


def test_receipts_by_tlv_alone_and_reports_that_look_like_receipts() -> None:
    state = (Tag.MESSAGE_STATE, b"\x02")
    assert inbound.is_receipt(pdu(Sm(), (Tag.RECEIPTED_MESSAGE_ID, b"7\0"), state))
    assert not inbound.is_receipt(pdu(Sm(short_message=b"id:7 stat:DELIVRD")))
    assert not inbound.is_receipt(pdu(Sm(short_message=b"fire"), (Tag.RECEIPTED_MESSAGE_ID, b"7\0")))
    intermediate = pdu(Sm(esm_class=0x20, short_message=b"id:7 stat:UNDELIV"))
    assert inbound.is_receipt(intermediate)
    assert inbound.receipt(intermediate, via="sms") is None


@given(st.binary(max_size=120), st.integers(0, 255))
def test_no_receipt_can_hurt(data: bytes, data_coding: int) -> None:
    try:
        inbound.receipt(pdu(Sm(esm_class=4, data_coding=data_coding, short_message=data)), via="sms")
    except Malformed:
        return
