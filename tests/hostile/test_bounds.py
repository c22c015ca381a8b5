"""The decisions behind what the machines look at: whose place is given up, what of a text goes on."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway import gist
from gateway.api import Attachment, Message
from gateway.looplag import LoopLag
from gateway_plugins.fax import pages
from gateway_plugins.smtpin.room import SLOW_SECONDS, SMALL, Room, yields
from tests.hostile import bombs


class Session:
    def __init__(self, address: str = "", silence: float = 0.0) -> None:
        self.peer_address, self.silence = address, silence
        self.handing_over = False
        self.ended = 0

    def dismiss(self, _why: str) -> None:
        self.ended += 1


# Places.


def test_the_address_with_most_connections_gives_one_up() -> None:
    sessions = [Session("a", 1), Session("a", 9), Session("a", 2), Session("b", 99)]
    assert yields(sessions, Counter(one.peer_address for one in sessions), "c") is sessions[1]


def test_where_all_have_one_only_a_silent_one_gives_way() -> None:
    busy, silent = Session("a", 1), Session("b", 6)
    assert yields([busy, silent], {"a": 1, "b": 1}, "c") is silent
    assert yields([busy], {"a": 1}, "c") is None
    assert yields([silent], {"b": 1}, "b") is None, "not to itself"


def test_who_is_being_answered_gives_no_way() -> None:
    one = Session("a", 99)
    one.handing_over = True
    assert yields([one, one], {"a": 2}, "b") is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100)), max_size=12), st.sampled_from("abcd"))
def test_nobody_gives_way_to_an_address_that_has_as_many(there: list[tuple[str, float]], newcomer: str) -> None:
    sessions = [Session(address, silence) for address, silence in there]
    counts = Counter(one.peer_address for one in sessions)
    gone = yields(sessions, counts, newcomer)
    if gone is not None:
        assert counts[gone.peer_address] == max(counts.values()) > counts[newcomer]


def test_large_mails_share_the_room_and_small_ones_need_none() -> None:
    now = [0.0]
    room = Room(100, lambda: now[0])
    first, second, small = Session(), Session(), Session()
    assert room.take(small, SMALL) and room.take(first, SMALL + 60) and room.take(first, SMALL + 80)
    assert not room.take(second, SMALL + 21), "20 are left"
    assert room.take(second, SMALL + 20) and room.total == 100
    now[0] = SLOW_SECONDS + 1
    third = Session()
    assert room.take(third, SMALL + 50) and first.ended == 1, "the one that has been coming longest gives way"
    for one in (first, second, third, third):
        room.give_back(one)
    assert room.total == 0


# What goes on.


def test_a_long_text_is_cut_and_said_so_and_its_marking_is_found_all_the_same() -> None:
    long = Message(text="a" * 50, quoted="b", attachments=(Attachment(name="x", content_type="text/plain", data=b"1", text="c" * 9 + "\n★机密★\n"),))
    cut = gist.of(long, 10)
    assert cut.marking == "机密" and cut.message.text == "a" * 10 and gist.CUT in cut.message.flags and "over 10" in (cut.message.unread or "")
    (one,) = cut.message.attachments
    assert one.data == b"" and one.text == "c" * 9 + "\n" and one.digest == gist.digest(long.attachments[0])
    assert gist.of(cut.message, 10).message == cut.message


@given(st.text(max_size=30), st.text(max_size=30), st.lists(st.text(max_size=30) | st.none(), max_size=4), st.integers(1, 40))
def test_no_more_than_allowed_goes_on(text: str, quoted: str, files: list[str | None], chars: int) -> None:
    message = Message(text=text, quoted=quoted, attachments=tuple(Attachment(name="n", content_type="t", data=b"d", text=one) for one in files))
    made = gist.of(message, chars).message
    kept = [one.text or "" for one in made.attachments]
    assert len(made.text) <= chars and len(made.quoted) <= chars and sum(map(len, kept)) <= chars
    assert [one.text is None for one in made.attachments] == [one is None for one in files]
    whole = len(text) <= chars and len(quoted) <= chars and sum(len(one or "") for one in files) <= chars
    assert whole is (gist.CUT not in made.flags)


def test_directories_of_a_tiff_are_counted_once_and_not_without_end() -> None:
    page = bombs._page(8, 8, 8, 8)
    assert pages._directories(bombs._tiff([page] * 3)) == 3
    assert pages._directories(bombs._tiff([page], nexts=[8])) == 1, "it leads to itself"
    assert pages._directories(bombs._tiff([page] * 20_000)) == pages.MOST_FRAMES
    assert pages._directories(b"II*\0\xff\xff\xff\xff") == 0 and pages._directories(b"GIF89a..") == 0


@given(st.binary(max_size=200))
def test_any_octets_have_some_number_of_directories(octets: bytes) -> None:
    assert 0 <= pages._directories(b"II*\0" + octets) <= 100


# How late.


def test_a_late_turn_is_told_and_what_the_host_took_is_not_ours() -> None:
    now, spent, told = [0.0], [0.0], []
    lag = LoopLag(told.append, clock=lambda: now[0], spent=lambda: spent[0])
    now[0], spent[0] = 0.4, 0.1
    lag.look()
    assert (lag.longest, lag.longest_own, told) == (0.4, 0.1, [0.4])
