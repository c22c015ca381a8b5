"""Text of short messages: alphabets, headers, joining in any order, splitting without cutting a character."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.api import Malformed
from gateway_plugins.smpp import gsm, gsm0340, text
from gateway_plugins.smpp.text import Concat, Fragment, Outgoing

GSM_TEXT = st.text(st.sampled_from(gsm.BASIC.replace("\x1b", "") + "".join(gsm.EXTENSION.values())), max_size=600)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=400) | st.text("火灾12𠮷🚒", max_size=400)


def received(part: Outgoing) -> Fragment:
    place, used = text.split_header(part.udh + part.data) if part.udh else (None, 0)
    return Fragment(coding=part.encoding, data=(part.udh + part.data)[used:], concat=place)


@given(GSM_TEXT)
def test_gsm_text_comes_back(words: str) -> None:
    characters = gsm.characters(words)
    assert characters is not None
    assert gsm.decode(b"".join(characters)) == words


@given(st.binary(max_size=300).map(lambda data: bytes(octet & 0x7F for octet in data)), st.integers(0, 6))
def test_packed_septets_come_back(septets: bytes, fill: int) -> None:
    assert gsm.unpack(gsm.pack(septets, fill), len(septets), fill) == septets


def test_known_septets() -> None:
    assert gsm.pack(b"hellohello").hex() == "e8329bfd4697d9ec37"
    assert gsm.decode(b"\x1b\x65 \x1b\x41 \x1b") == "€ A  "
    assert gsm.characters("火") is None


@given(ANY_TEXT | GSM_TEXT, st.integers(0, 1 << 32), st.randoms())
def test_split_and_join_in_any_order(words: str, reference: int, random: Random) -> None:
    parts = [received(part) for part in text.split(words, reference)]
    random.shuffle(parts)
    joined = text.join(parts)
    # A byte order mark at the very start is a mark, not text.
    assert joined.text == (words.removeprefix("\ufeff") if parts[0].coding == "ucs2" else words)
    assert not joined.partial


@given(ANY_TEXT | GSM_TEXT)
def test_no_part_is_too_long_and_each_can_be_read_alone(words: str) -> None:
    parts = text.split(words, 7)
    for number, part in enumerate(parts, 1):
        gsm7 = part.encoding == "gsm"
        single, several = (160, 153) if gsm7 else (140, 134)
        assert len(part.data) <= (single if len(parts) == 1 else several)
        assert part.udh == (b"" if len(parts) == 1 else bytes((5, 0, 3, 7, len(parts), number)))
        if gsm7:
            assert not part.data.endswith(b"\x1b")
        else:
            part.data.decode("utf-16-be")  # raises where a surrogate pair is cut


def test_the_edges_of_70_67_and_160_153() -> None:
    def lengths(words: str) -> list[int]:
        return [len(part.data) for part in text.split(words, 1)]

    assert lengths("汛" * 70) == [140]
    assert lengths("汛" * 71) == [134, 8]
    assert lengths("汛" * 66 + "🚒" + "汛" * 5) == [132, 14]
    assert lengths("a" * 160) == [160]
    assert lengths("a" * 161) == [153, 8]
    assert lengths("a" * 152 + "€" + "a" * 10) == [152, 12]
    assert lengths("") == [0]
    with pytest.raises(ValueError, match="255"):
        text.split("汛" * (67 * 255 + 1), 1)


def test_a_missing_part_is_marked() -> None:
    parts = [received(part) for part in text.split("山" * 67 + "洪" * 67 + "预警", 1)]
    assert text.join([parts[2], None, parts[0]]).text == "山" * 67 + "〔缺第2/3条〕" + "预警"
    assert text.join([parts[0], parts[1]]).text == "山" * 67 + "洪" * 67 + "〔缺第3/3条〕"
    assert text.join([None, parts[1], None]).partial
    assert text.join([None, None]).text == "〔缺第1/2条〕〔缺第2/2条〕"


def test_a_surrogate_pair_cut_by_the_sender_is_mended() -> None:
    octets = "车🚌祸".encode("utf-16-be")
    halves = [
        Fragment(coding="ucs2", data=octets[:4], concat=Concat(1, 2, 1)),
        Fragment(coding="ucs2", data=octets[4:], concat=Concat(1, 2, 2)),
    ]
    assert text.join(halves[::-1]).text == "车🚌祸"
    alone = text.join(halves[:1])
    assert alone.partial
    assert alone.repaired


def test_parts_of_different_character_sets_and_a_part_that_came_twice() -> None:
    first = Fragment(coding="gsm", data=b"SOS ", concat=Concat(1, 2, 1))
    second = Fragment(coding="ucs2", data="塌方".encode("utf-16-be"), concat=Concat(1, 2, 2))
    assert text.join([second, first, first]).text == "SOS 塌方"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("050003c30201", (Concat(0xC3, 2, 1), 6)),
        ("06080412340302", (Concat(0x1234, 3, 2), 7)),
        ("0b05041582000000037f0302", (Concat(0x7F, 3, 2), 12)),
        ("050003c30203", (None, 6)),  # number above the total
        ("050003c30200", (None, 6)),  # number 0
        ("050003c30101", (None, 6)),  # one of one is whole
        ("0500", (None, 0)),  # longer than the data
        ("", (None, 0)),
        ("00", (None, 1)),
        ("0300ff01", (None, 4)),  # an element longer than the header
    ],
)
def test_headers(header: str, expected: tuple[Concat | None, int]) -> None:
    assert text.split_header(bytes.fromhex(header)) == expected


@given(st.binary(max_size=60))
def test_no_header_can_hurt(data: bytes) -> None:
    place, used = text.split_header(data)
    assert 0 <= used <= len(data)
    assert place is None or 1 <= place.number <= place.total


@given(st.integers(0, 255), st.binary(max_size=140), st.sampled_from(["gsm", "latin-1", "gb18030", "utf-8"]))
def test_any_bytes_under_any_label_give_text(data_coding: int, data: bytes, default: text.Coding) -> None:
    words, _ = text.decode(text.coding_of(data_coding, default), data)
    assert isinstance(words, str)


@pytest.mark.parametrize(
    ("data_coding", "data", "expected"),
    [
        (0, b"\x00 \x1be", ("@ €", False)),
        (1, b"fire", ("fire", False)),
        (3, b"caf\xe9", ("café", False)),
        (8, "燃气泄漏".encode("utf-16-be"), ("燃气泄漏", False)),
        (8, b"\xff\xfe" + "燃气".encode("utf-16-le"), ("燃气", False)),
        (8, "燃气".encode("utf-16-be") + b"\x6c", ("燃气\ufffd", True)),
        (0x18, "燃".encode("utf-16-be"), ("燃", False)),
        (15, "决堤".encode("gb18030"), ("决堤", False)),
        (0, "决堤".encode("gb18030"), ("决堤", True)),
        (0, "决堤".encode(), ("决堤", True)),
        (1, b"caf\xe9 1", ("café 1", True)),
        (4, b"\x00\x01", ("", False)),
        (0xF5, b"\x00\x01", ("", False)),
        (0xE0, "燃".encode("utf-16-be"), ("燃", False)),
    ],
)
def test_character_sets(data_coding: int, data: bytes, expected: tuple[str, bool]) -> None:
    assert text.decode(text.coding_of(data_coding), data) == expected


def sms_deliver(words: str, *, sender: str = "0B818310000000F0", stamp: str = "62113290300023", reference: int = 0) -> list[str]:
    """SMS-DELIVER PDUs of a text, put together here octet by octet."""
    pdus = []
    for part in text.split(words, reference):
        if part.encoding == "gsm":
            skipped = (len(part.udh) * 8 + 6) // 7
            data = part.udh + gsm.pack(part.data, skipped * 7 - len(part.udh) * 8)
            length, dcs = skipped + len(part.data), 0
        else:
            data, dcs = part.udh + part.data, 8
            length = len(data)
        first = 0x44 if part.udh else 0x04
        pdus.append(f"00{first:02X}{sender}00{dcs:02X}{stamp}{length:02X}{data.hex().upper()}")
    return pdus


@given(GSM_TEXT | ANY_TEXT, st.randoms())
@example("Bridge over Bai river closed {east bank} " * 8, Random(1))
def test_sms_deliver_comes_back(words: str, random: Random) -> None:
    pdus = sms_deliver(words)
    random.shuffle(pdus)
    parts = [gsm0340.decode(pdu).fragment for pdu in pdus]
    assert text.join(parts).text.removeprefix("\ufeff") == words.removeprefix("\ufeff")


def test_a_known_sms_deliver() -> None:
    read = gsm0340.decode("07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37")
    assert (read.sender, read.fragment.data, read.fragment.concat) == ("27838890001", b"hellohello", None)
    assert read.sent_at is not None
    assert read.sent_at.isoformat() == "2099-03-29T15:16:59+02:00"


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("0D91683108000000F1", "+8613800000001"),
        ("05810100F1", "10001"),
        ("09D0E8329BFD06", "hello"),
        ("0091", ""),
    ],
)
def test_senders(sender: str, expected: str) -> None:
    assert gsm0340.decode(sms_deliver("汛", sender=sender)[0]).sender == expected


def test_zones_west_of_greenwich_and_stamps_that_are_no_date() -> None:
    west = gsm0340.decode(sms_deliver("汛", stamp="6211329030002B")[0])
    assert west.sent_at is not None
    assert west.sent_at.isoformat() == "2026-11-23T09:03:00-08:00"
    assert gsm0340.decode(sms_deliver("汛", stamp="FFFFFFFFFFFFFF")[0]).sent_at is None


def test_a_cut_pdu_keeps_what_there_is() -> None:
    read = gsm0340.decode(sms_deliver("水库漫坝")[0][:-4])
    assert (text.join([read.fragment]).text, read.fragment.cut) == ("水库漫", True)


@pytest.mark.parametrize(
    "pdu",
    ["", "zz", "07", "0", "0004", "00040B", "00050B818310000000F0000862113290300023026C5B", "000400810020621132903000230141"],
)
def test_what_is_no_sms_deliver_is_malformed(pdu: str) -> None:
    with pytest.raises(Malformed):
        gsm0340.decode(pdu)


@given(st.binary(max_size=80))
def test_no_pdu_can_hurt(data: bytes) -> None:
    try:
        read = gsm0340.decode(data.hex())
    except Malformed:
        return
    assert isinstance(text.join([read.fragment]).text, str)
