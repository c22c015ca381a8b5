"""The SMPP codec: every PDU comes back as it was, and no bytes can hurt it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_plugins.smpp import pdu as smpp
from gateway_plugins.smpp.pdu import Bind, BindResp, Broken, Command, Empty, Framer, Opaque, Pdu, Sm, SmResp, Status, Tag

OCTET = st.integers(0, 255)


def cstring(longest: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=longest)


SMS = st.builds(
    Sm, service_type=cstring(5), source_addr_ton=OCTET, source_addr_npi=OCTET, source_addr=cstring(20), dest_addr_ton=OCTET,
    dest_addr_npi=OCTET, destination_addr=cstring(20), esm_class=OCTET, protocol_id=OCTET, priority_flag=OCTET,
    schedule_delivery_time=cstring(16), validity_period=cstring(16), registered_delivery=OCTET,
    replace_if_present_flag=OCTET, data_coding=OCTET, sm_default_msg_id=OCTET, short_message=st.binary(max_size=254),
)  # fmt: skip
BINDS = st.builds(
    Bind, system_id=cstring(15), password=cstring(8), system_type=cstring(12), interface_version=OCTET, addr_ton=OCTET,
    addr_npi=OCTET, address_range=cstring(40),
)  # fmt: skip
BODIES = st.one_of(
    st.tuples(st.sampled_from([Command.SUBMIT_SM, Command.DELIVER_SM]), SMS),
    st.tuples(st.sampled_from([Command.BIND_TRANSCEIVER, Command.BIND_RECEIVER, Command.BIND_TRANSMITTER]), BINDS),
    st.tuples(st.just(Command.BIND_TRANSCEIVER_RESP), st.builds(BindResp, system_id=cstring(15))),
    st.tuples(
        st.sampled_from([Command.SUBMIT_SM_RESP, Command.DELIVER_SM_RESP]), st.builds(SmResp, message_id=cstring(64))
    ),
    st.tuples(
        st.sampled_from([
            Command.ENQUIRE_LINK, Command.ENQUIRE_LINK_RESP, Command.UNBIND, Command.UNBIND_RESP, Command.GENERIC_NACK
        ]),
        st.just(Empty()),
    ),
)  # fmt: skip
PDUS = st.builds(
    lambda body, sequence, status, tlvs: Pdu(command=body[0], body=body[1], sequence=sequence, status=status, tlvs=tuple(tlvs)),
    BODIES, st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF),
    st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=300)), max_size=4),
)  # fmt: skip


@given(PDUS)
def test_what_is_written_is_read_back(pdu: Pdu) -> None:
    assert smpp.decode(smpp.encode(pdu)) == pdu


@given(st.lists(PDUS, max_size=5), st.lists(st.integers(1, 50), min_size=1))
def test_a_stream_is_cut_the_same_whatever_its_chunks(pdus: list[Pdu], sizes: list[int]) -> None:
    stream = b"".join(map(smpp.encode, pdus))
    framer, found, position = Framer(), [], 0
    while position < len(stream):
        size = sizes[position % len(sizes)]
        found += framer.feed(stream[position : position + size])
        position += size
    assert found == pdus
    assert framer.pending == 0


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_rubbish_never_raises_and_is_never_hoarded(chunks: list[bytes]) -> None:
    framer = Framer(limit=100)
    for chunk in chunks:
        list(framer.feed(chunk))
        assert framer.pending <= 100


@given(st.sampled_from(list(Command)), st.binary(max_size=100))
def test_any_body_is_read_or_answered(command: Command, body: bytes) -> None:
    frame = struct.pack(">IIII", 16 + len(body), command, 0, 77) + body
    (item,) = Framer().feed(frame)
    if isinstance(item, Broken):
        assert (item.fatal, item.answer.command, item.answer.sequence) == (False, command | smpp.RESPONSE, 77)
        assert item.answer.status in {Status.ESME_RINVCMDLEN, Status.ESME_RINVMSGLEN}
    else:
        assert item.command == command


def test_the_octets_are_those_of_the_specification() -> None:
    bind = Pdu(command=Command.BIND_TRANSCEIVER, sequence=1, body=Bind(system_id="gw", password="pw", system_type="s"))
    assert smpp.encode(bind).hex() == "0000001c000000090000000000000001677700707700730034000000"
    enquire = Pdu(command=Command.ENQUIRE_LINK, sequence=0x7FFFFFFF)
    assert smpp.encode(enquire).hex() == "0000001000000015000000007fffffff"


@pytest.mark.parametrize("length", [0, 15, 101, 0xFFFF_FFFF])
def test_a_wrong_length_is_fatal_and_answered_with_generic_nack(length: int) -> None:
    framer = Framer(limit=100)
    good = smpp.encode(Pdu(command=Command.ENQUIRE_LINK, sequence=3))
    first, second = framer.feed(good + struct.pack(">I", length))
    assert first == Pdu(command=Command.ENQUIRE_LINK, sequence=3)
    assert isinstance(second, Broken)
    assert second.fatal
    assert (second.answer.command, second.answer.status) == (Command.GENERIC_NACK, Status.ESME_RINVCMDLEN)
    assert list(framer.feed(good)) == []


def test_the_largest_length_is_still_taken() -> None:
    pdu = Pdu(command=0x0121, sequence=1, body=Opaque(bytes(84)))
    assert list(Framer(limit=100).feed(smpp.encode(pdu))) == [pdu]


def test_unknown_commands_and_tags_are_kept() -> None:
    unknown = Pdu(command=0x0001_0203, sequence=5, body=Opaque(b"vendor"))
    assert smpp.decode(smpp.encode(unknown)) == unknown
    tagged = Pdu(command=Command.DELIVER_SM, sequence=5, body=Sm(), tlvs=((0x1401, b"x"), (Tag.MESSAGE_PAYLOAD, b"long")))
    read = smpp.decode(smpp.encode(tagged))
    assert (read.tlv(0x1401), read.tlv(Tag.MESSAGE_PAYLOAD), read.tlv(Tag.MESSAGE_STATE)) == (b"x", b"long", None)


def test_a_report_is_not_refused_for_a_broken_tlv_at_its_end() -> None:
    whole = smpp.encode(
        Pdu(command=Command.DELIVER_SM, sequence=5, body=Sm(short_message=b"fire"), trailing=b"\x04\x24\x00\x09ab")
    )
    read = smpp.decode(whole)
    assert isinstance(read.body, Sm)
    assert (read.body.short_message, read.tlvs, read.trailing) == (b"fire", (), b"\x04\x24\x00\x09ab")
    assert smpp.encode(read) == whole


def test_a_short_message_longer_than_its_pdu_is_invalid_message_length() -> None:
    frame = bytearray(smpp.encode(Pdu(command=Command.DELIVER_SM, sequence=5, body=Sm(short_message=b"fire"))))
    frame[-5] = 200
    (item,) = Framer().feed(bytes(frame))
    assert isinstance(item, Broken)
    assert (item.answer.command, item.answer.status) == (Command.DELIVER_SM_RESP, Status.ESME_RINVMSGLEN)


@pytest.mark.parametrize("body", [b"", b"0042\0", b"0042"])
def test_an_answer_is_read_with_and_without_its_body(body: bytes) -> None:
    frame = struct.pack(">IIII", 16 + len(body), Command.SUBMIT_SM_RESP, 0, 9) + body
    read = smpp.decode(frame)
    assert read.body == SmResp(message_id="0042" if body else "")


@pytest.mark.parametrize(
    "body",
    [
        Sm(short_message=bytes(255)), Sm(source_addr="1" * 21), Sm(esm_class=256), Sm(source_addr="\0"), Sm(source_addr="市"),
        Bind(password="ninechars"), Sm(data_coding=-1),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(body: Sm | Bind) -> None:
    with pytest.raises(smpp.PduError):
        smpp.encode(Pdu(command=Command.SUBMIT_SM, sequence=1, body=body))


@pytest.mark.parametrize("pdu", [
    Pdu(command=Command.BIND_TRANSCEIVER, sequence=1, body=Bind(password="hush")),
    Pdu(command=Command.DELIVER_SM, sequence=1, body=Sm(short_message=b"hush", source_addr="hush"), tlvs=((1, b"hush"),)),
])  # fmt: skip
def test_no_secret_and_no_text_is_in_a_repr(pdu: Pdu) -> None:
    assert "hush" not in f"{pdu!r} {pdu.body!r} {pdu}"


def test_the_answer_to_a_request_has_its_sequence() -> None:
    assert smpp.response(Pdu(command=Command.DELIVER_SM, sequence=8, body=Sm())) == Pdu(
        command=Command.DELIVER_SM_RESP, sequence=8, body=SmResp()
    )
