"""The CMPP codec: every message comes back as it was, and no bytes can hurt it."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ismg import deliver_body, report_content
from sms_bench import NOW

from gateway.api import Malformed, RawMessage
from gateway_plugins.carrier.frames import Broken
from gateway_plugins.cmpp import inbound
from gateway_plugins.cmpp import pdu as cmpp
from gateway_plugins.cmpp.pdu import (
    ActiveTestResp,
    Command,
    Connect,
    ConnectResp,
    Deliver,
    DeliverResp,
    Empty,
    Framer,
    Opaque,
    Pdu,
    Submit,
    SubmitResp,
)
from gateway_plugins.cmpp.session import gateway_digest, source_digest
from gateway_plugins.sms_cmpp import CmppSettings, SmsCmpp

OCTET = st.integers(0, 255)
VERSIONS = st.sampled_from(["2.0", "3.0"])
SMS = SmsCmpp("cmpp", CmppSettings(sp_id="901234", secret="cmpp-secret"))


def words(longest: int) -> st.SearchStrategy[str]:
    # What is padded with NULs comes back without the blanks at its end.
    return st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=longest)


U64 = st.integers(0, 2**64 - 1)
DELIVERS = st.builds(
    Deliver, msg_id=U64, dest_id=words(21), service_id=words(10), tp_pid=OCTET, tp_udhi=OCTET, msg_fmt=OCTET,
    src_terminal_id=words(21), registered_delivery=OCTET, msg_content=st.binary(max_size=255), link_id=words(8),
)  # fmt: skip
SUBMITS = st.builds(
    Submit, msg_id=U64, pk_total=OCTET, pk_number=OCTET, registered_delivery=OCTET, msg_level=OCTET, service_id=words(10),
    fee_user_type=OCTET, fee_terminal_id=words(21), tp_pid=OCTET, tp_udhi=OCTET, msg_fmt=OCTET, msg_src=words(6),
    fee_type=words(2), fee_code=words(6), valid_time=words(17), at_time=words(17), src_id=words(21),
    dest_terminal_ids=st.lists(words(21), min_size=1, max_size=5).map(tuple), msg_content=st.binary(max_size=255), link_id=words(8),
)  # fmt: skip
BODIES: st.SearchStrategy[Any] = st.one_of(
    st.tuples(st.just(Command.DELIVER), DELIVERS),
    st.tuples(st.just(Command.SUBMIT), SUBMITS),
    st.tuples(st.just(Command.SUBMIT_RESP), st.builds(SubmitResp, msg_id=U64, result=OCTET)),
    st.tuples(st.just(Command.DELIVER_RESP), st.builds(DeliverResp, msg_id=U64, result=OCTET)),
    st.tuples(st.just(Command.CONNECT), st.builds(
        Connect, source_addr=words(6), authenticator=st.binary(min_size=16, max_size=16), version=OCTET,
        timestamp=st.integers(0, 2**32 - 1),
    )),
    st.tuples(st.just(Command.CONNECT_RESP), st.builds(
        ConnectResp, status=OCTET, authenticator=st.binary(min_size=16, max_size=16), version=OCTET,
    )),
    st.tuples(st.just(Command.ACTIVE_TEST_RESP), st.builds(ActiveTestResp, reserved=OCTET)),
    st.tuples(st.sampled_from([Command.ACTIVE_TEST, Command.TERMINATE, Command.TERMINATE_RESP]), st.just(Empty())),
)  # fmt: skip
PDUS = st.builds(lambda body, sequence: Pdu(command=body[0], body=body[1], sequence=sequence), BODIES, st.integers(0, 2**32 - 1))


@given(PDUS, VERSIONS)
def test_what_is_written_is_read_back(pdu: Pdu, version: Any) -> None:
    assert cmpp.decode(cmpp.encode(pdu, version), version) == pdu


@given(st.lists(PDUS, max_size=5), VERSIONS, st.lists(st.integers(1, 50), min_size=1))
def test_a_stream_is_cut_the_same_whatever_its_chunks(pdus: list[Pdu], version: Any, sizes: list[int]) -> None:
    stream = b"".join(cmpp.encode(pdu, version) for pdu in pdus)
    framer, found, position = Framer(version), [], 0
    while position < len(stream):
        size = sizes[position % len(sizes)]
        found += framer.feed(stream[position : position + size])
        position += size
    assert found == pdus
    assert framer.pending == 0


@given(st.lists(st.binary(max_size=200), max_size=5), VERSIONS)
def test_rubbish_never_raises_and_is_never_hoarded(chunks: list[bytes], version: Any) -> None:
    framer = Framer(version, limit=100)
    for chunk in chunks:
        list(framer.feed(chunk))
        assert framer.pending <= 100


@given(st.sampled_from(list(Command)), st.binary(max_size=200), VERSIONS)
def test_any_body_is_read_or_answered(command: Command, body: bytes, version: Any) -> None:
    (item,) = Framer(version).feed(struct.pack(">III", 12 + len(body), command, 77) + body)
    if isinstance(item, Broken):
        assert not item.fatal
        assert item.answer is None or (item.answer.command, item.answer.sequence) == (Command.DELIVER_RESP, 77)
        assert (item.answer is not None) == (command == Command.DELIVER)
    else:
        assert item.command == command


def test_the_digests_are_those_of_the_protocol() -> None:
    import hashlib

    wanted = hashlib.md5(b"901234" + b"\0" * 9 + b"secret" + b"0101080000").digest()
    assert source_digest("901234", "secret", 101080000) == wanted
    assert gateway_digest(b"\0", wanted, "secret") == hashlib.md5(b"\0" + wanted + b"secret").digest()


@pytest.mark.parametrize(("version", "length"), [("2.0", 85), ("3.0", 109)])
def test_a_deliver_has_the_length_of_the_table(version: Any, length: int) -> None:
    assert len(cmpp.encode(Pdu(command=Command.DELIVER, sequence=1, body=Deliver()), version)) == length


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize("cut", [0, 3, 8])
def test_a_report_is_not_refused_for_a_closing_field_that_is_short_or_long(version: Any, cut: int) -> None:
    body = deliver_body(version, "决堤".encode("utf-16-be"))
    for octets in (body[: len(body) - cut], body + bytes(cut)):
        (item,) = Framer(version).feed(struct.pack(">III", 12 + len(octets), 5, 1) + octets)
        if isinstance(item, Broken):
            # A closing field that is cut in the middle makes the text no less readable.
            raise AssertionError(item.why)
        assert isinstance(item.body, Deliver)
        assert item.body.msg_content == "决堤".encode("utf-16-be")


@pytest.mark.parametrize(
    "body",
    [
        Submit(dest_terminal_ids=()), Submit(dest_terminal_ids=("1",), msg_content=bytes(256)), Deliver(dest_id="1" * 22),
        Deliver(msg_id=2**64), Deliver(dest_id="市"), Deliver(dest_id="1\0"), ConnectResp(authenticator=b""),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_not_written(body: Any) -> None:
    command = {Submit: Command.SUBMIT, Deliver: Command.DELIVER, ConnectResp: Command.CONNECT_RESP}[type(body)]
    with pytest.raises(cmpp.PduError):
        cmpp.encode(Pdu(command=command, sequence=1, body=body), "2.0")


def test_unknown_commands_are_kept_and_nothing_shows_in_a_repr() -> None:
    unknown = Pdu(command=0x42, sequence=5, body=Opaque(b"vendor"))
    assert cmpp.decode(cmpp.encode(unknown, "2.0"), "2.0") == unknown
    assert "secret" not in repr(Pdu(command=5, sequence=1, body=Deliver(msg_content=b"secret")))


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize(
    ("stat", "state"),
    [("DELIVRD", "delivered"), ("ACCEPTD", "delivered"), ("REJECTD", "failed"), ("CB:0007", "failed"), ("UNKNOWN", "failed")],
)
def test_states_of_a_status_report(version: str, stat: str, state: str) -> None:
    receipt = inbound.receipt(Deliver(msg_content=report_content(version, 0x0A, stat)), via="cmpp")
    assert receipt is not None
    assert (receipt.ref, receipt.state, receipt.detail) == ("000000000000000a", state, stat)


def test_a_report_that_is_not_final_and_one_that_is_none() -> None:
    assert inbound.receipt(Deliver(msg_content=report_content("2.0", 1, "ENROUTE")), via="cmpp") is None
    for content in (b"", bytes(60), report_content("2.0", 1, "")):
        with pytest.raises(Malformed):
            inbound.receipt(Deliver(msg_content=content), via="cmpp")


@given(DELIVERS)
def test_no_deliver_can_hurt(deliver: Deliver) -> None:
    raw = inbound.raw_message(deliver, via="cmpp", received_at=NOW)
    assert isinstance(SMS.read(raw).text, str)
    try:
        inbound.receipt(deliver, via="cmpp")
    except Malformed:
        return


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda data: b"[" + data))
def test_no_stored_body_can_hurt(body: bytes) -> None:
    raw = RawMessage(channel="sms", via="cmpp", received_at=NOW, sender="1", body=body, content_type=inbound.CMPP_TYPE)
    try:
        SMS.read(raw)
    except Malformed:
        return
