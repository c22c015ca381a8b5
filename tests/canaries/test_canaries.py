"""Some hundreds of canaries through every way and every trouble: not one gets out. The long form: ``python -m tests.canaries``."""

from __future__ import annotations

import base64
import gzip
import io
import json
import quopri
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.telling import COMPARED, unquoted
from tests.canaries.run import run
from tests.canaries.search import Search, opened
from tests.canaries.words import PLACES, PLAIN, Words, forms

COUNT = 300
HAN = st.text(st.sampled_from(PLAIN), min_size=6, max_size=6)
AROUND = st.binary(max_size=20)
LIES = {
    "utf-8": lambda w: w.encode(),
    "gb18030": lambda w: w.encode("gb18030"),
    "utf-16": lambda w: w.encode("utf-16-be"),
    "base64": lambda w: base64.b64encode(w.encode()),
    "folded base64": lambda w: base64.encodebytes(b"x" * 50 + w.encode("gb18030")),
    "quoted-printable": lambda w: quopri.encodestring(b"x" * 60 + w.encode("gb18030")),
    "hex": lambda w: w.encode("utf-16-be").hex().encode(),
    "address": lambda w: quote(w).encode(),
    "JSON": lambda w: json.dumps(w).encode(),
}


async def test_no_canary_gets_out(tmp_path: Path, reactor: Any) -> None:
    outcome = await run(tmp_path, COUNT, 7)
    assert [str(leak) for leak in outcome.leaks] == []
    # The controls: what may stand somewhere was found there, and everything that could have told has had its turn.
    assert sum(outcome.canaries.values()) >= COUNT
    for place, surface in (("title", "store"), ("sender number", "backup"), ("sender mail address", "audit"), ("text", "told"),
                           ("title", "board")):  # fmt: skip
        assert outcome.seen[place, surface] > 0, f"{place} was not even found in {surface}"
    assert set(outcome.letters) == {"mail", "sms", "phone", "call", "cloud", "spool", "fax", "line"}
    assert outcome.states["quarantined"] > 10 and outcome.states["read"] > 10 and outcome.states["needs_person"] > 5
    assert outcome.envelopes > 10, "errors are told to Sentry"
    assert outcome.kills > 0, "workers are killed while they have something to read"
    assert outcome.posts > 0, "reports are posted to a service"
    assert all(outcome.octets[surface] > 0 for surface in ("log", "audit", "metrics", "processes", "names", "alarms", "told"))


@settings(max_examples=60)
@given(how=st.sampled_from(list(LIES)), word=HAN, before=AROUND, after=AROUND)
def test_the_search_finds_a_word_however_it_lies(how: str, word: str, before: bytes, after: bytes) -> None:
    around = b"\n" if "folded" in how or how == "quoted-printable" else b""
    assert Search([word]).words_in(before + around + LIES[how](word) + around + after) == {word}


@settings(max_examples=40)
@given(words=st.lists(HAN, min_size=1, max_size=20, unique=True), data=st.binary(max_size=500))
def test_the_search_finds_nothing_that_is_not_there(words: list[str], data: bytes) -> None:
    found = Search(words).words_in(data)
    assert all(any(form in data or form in data.replace(b"\n", b"") for form in forms(word)) for word in found)


def test_the_search_looks_into_archives() -> None:
    word, packed = "鸸蚍镫窈觊怙", io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("state/gateway.db")
        data = gzip.compress(word.encode())
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    search = Search([word])
    assert [name for name, data in opened("x.tar.gz", packed.getvalue()) if search.words_in(data)] == ["x.tar.gz/state/gateway.db"]


def test_no_word_is_made_twice_and_each_place_is_one_that_is_known() -> None:
    words = Words(1)
    for number in range(3000):
        words.new(list(PLACES)[number % len(PLACES)], "x", number % 2 == 0)
    assert len(words.made) == 3000


@settings(max_examples=60)
@given(how=st.sampled_from(sorted(set(LIES) - {"address"})), word=HAN)
def test_an_error_that_quotes_its_message_is_told_without_the_quotation(how: str, word: str) -> None:
    told = unquoted(f"field 'text' cannot be read: {word} (x.py:7)", b"head\n" + LIES[how](word))
    assert told == "field 'text' cannot be read: … (x.py:7)"


@settings(max_examples=40)
@given(st.binary(max_size=300))
def test_an_error_that_quotes_nothing_is_told_whole(body: bytes) -> None:
    assert unquoted("字段缺失", body) == "字段缺失" or any(form in body for form in forms("段缺失") | forms("字段缺"))


def test_of_a_message_too_large_to_be_compared_nothing_is_told() -> None:
    assert unquoted("field 'text' is missing", b" " * (COMPARED + 1)) == "…"


def test_a_line_end_within_a_sign_hides_no_quotation() -> None:
    """上 is 4E 0A in UTF-16, and 0A alone ends a line."""
    for words in ("今天上午", "三人上车", "上" * 4):
        assert not set(words) & set(unquoted(f"550 {words}", words.encode("utf-16-be"))), words
