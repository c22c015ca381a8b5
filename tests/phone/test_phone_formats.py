"""Transcripts: any octets give a message or ``Malformed``."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Malformed, Message
from gateway_plugins.phone import formats

CUE = "00:00:01.000 --> 00:00:03.000\n"


def vtt(*texts: str) -> bytes:
    return ("WEBVTT\n\n" + "\n".join(f"{CUE}{text}\n" for text in texts)).encode()


def test_speakers_of_webvtt_and_of_several_voices_in_one_caption() -> None:
    message = formats.read(vtt("<v 值班员>请讲。", "<v.loud 来电人>着火了</v>\n<v 值班员><b>哪里</b>？"), formats.VTT)
    assert message.text == "值班员：请讲。\n来电人：着火了\n值班员：哪里？"


def test_srt_and_captions_without_a_speaker() -> None:
    body = "1\n00:00:01,000 --> 00:00:03,000\n河湾村着火了\n\n2\n00:00:03,000 --> 00:00:05,000\n快来人\n".encode()
    assert formats.read(body, formats.SRT).text == "河湾村着火了\n快来人"


def test_an_aware_start_is_kept_and_a_naive_one_is_not_guessed() -> None:
    call = {"call_id": "1", "caller": "2", "segments": [{"text": "x"}], "started_at": "2026-11-23T09:00:00+08:00"}
    assert formats.read(json.dumps(call).encode(), formats.JSON).sent_at is not None
    call["started_at"] = "2026-11-23T09:00:00"
    assert formats.read(json.dumps(call).encode(), formats.JSON).sent_at is None


def test_line_breaks_within_a_turn_are_one_line() -> None:
    call = {"call_id": "1", "caller": "2", "segments": [{"speaker": "来\n电", "text": "一\n二"}, {"text": " "}]}
    assert formats.read(json.dumps(call).encode(), formats.JSON).text == "来 电：一 二"


def test_gb18030_text_is_read_and_flagged() -> None:
    message = formats.read("河湾村着火了，快来人。".encode("gb18030"), formats.PLAIN)
    assert message.text == "河湾村着火了，快来人。"
    assert message.flags == ("charset_repaired",)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"WEBVTTX\n", formats.VTT),
        (b"\x00\x01\x02" * 100, formats.PLAIN),
        (b"WEBVTT\n\n00:00:01.000 --> 00:00\ntext\n\n", formats.VTT),
        (b"", formats.JSON),
    ],
)
def test_what_is_malformed(body: bytes, kind: str) -> None:
    with pytest.raises(Malformed):
        formats.read(body, kind)


_words = st.text(st.characters(codec="utf-8"), max_size=60)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _words,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["call_id", "caller", "segments", "text", "speaker"]), inner)
    ),
    max_leaves=12,
)


def _reads(body: bytes, kind: str) -> None:
    try:
        message = formats.read(body, kind)
    except Malformed:
        return
    assert isinstance(message, Message)
    message.text.encode()


@given(_values)
def test_any_json_is_read_or_malformed(value: object) -> None:
    _reads(json.dumps(value).encode(), formats.JSON)


@given(
    st.lists(
        st.sampled_from(
            ["WEBVTT", "", CUE.strip(), "<v 某>", "话", "NOTE x", "STYLE", "1", "00:01 --> 00:02", "-->", "<v", "\0", "&lt;"]
        )
    )
)
def test_any_lines_of_captions_are_read_or_malformed(lines: list[str]) -> None:
    _reads("\n".join(lines).encode(), formats.VTT)
    _reads("\n".join(["WEBVTT", *lines]).encode(), formats.VTT)
    _reads("\n".join(lines).encode(), formats.SRT)


@given(
    st.binary(max_size=300), st.sampled_from([formats.JSON, formats.VTT, formats.SRT, formats.PLAIN, "application/octet-stream"])
)
def test_any_octets_are_read_or_malformed(body: bytes, kind: str) -> None:
    _reads(body, kind)


@given(
    st.lists(
        st.tuples(st.text("甲乙丙", min_size=1, max_size=3), st.text("甲乙丙。，1", min_size=1, max_size=20)),
        min_size=1,
        max_size=10,
    )
)
def test_no_word_is_lost(turns: list[tuple[str, str]]) -> None:
    segments = [{"speaker": speaker, "text": text} for speaker, text in turns]
    body = json.dumps({"call_id": "1", "caller": "2", "segments": segments}).encode()
    assert formats.read(body, formats.JSON).text == "\n".join(f"{speaker}：{text}" for speaker, text in turns)
    captions = vtt(*(f"<v {speaker}>{text}" for speaker, text in turns))
    assert formats.read(captions, formats.VTT).text == "\n".join(f"{speaker}：{text}" for speaker, text in turns)
