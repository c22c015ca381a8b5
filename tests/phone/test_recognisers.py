"""What recognisers of speech write, the clerk's form, and a transcript with its recording in one request."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import Malformed, RawMessage
from gateway_plugins.phone import formats, parcel
from gateway_plugins.phone_log import PhoneLog, PhoneLogSettings
from gateway_plugins.phone_transcript import PhoneSettings, PhoneTranscript
from tests.channel_fakes import NOW

FUNASR_MODEL = [{
    "key": "call-17", "text": "您好，值班室。河湾村塌方，两人被埋。", "timestamp": [[430, 670]],
    "sentence_info": [
        {"text": "您好，值班室。", "start": 430, "end": 1900, "spk": 0},
        {"sentence": "<|zh|><|NEUTRAL|><|Speech|>河湾村塌方，", "start": 2100, "end": 3600, "spk": 1},
        {"text": "两人被埋。", "start": 3700, "end": 5200, "spk": 1},
    ],
}]  # fmt: skip
FUNASR_RUNTIME = {
    "mode": "offline", "wav_name": "call-17.wav", "text": "河湾村塌方，两人被埋。", "is_final": False, "timestamp": "[[430,670]]",
    "stamp_sents": [
        {"text_seg": "河 湾 村 塌 方", "punc": "，", "start": 430, "end": 1130, "ts_list": [[430, 670]]},
        {"text_seg": "两 人 被 埋", "punc": "。", "start": 1200, "end": 2000, "ts_list": []},
    ],
}  # fmt: skip
WHISPER = {
    "text": " 河湾村塌方，两人被埋。", "language": "zh",
    "segments": [
        {"id": 0, "seek": 0, "start": 0.0, "end": 2.0, "text": " 河湾村塌方，", "tokens": [1], "avg_logprob": -0.2},
        {"id": 1, "seek": 0, "start": 2.0, "end": 4.0, "text": "两人被埋。", "tokens": [2], "avg_logprob": -0.1},
    ],
}  # fmt: skip
WHISPER_X = {"text": "", "segments": [
    {"start": 0.1, "end": 2.0, "text": "请讲。", "speaker": "SPEAKER_00", "words": []},
    {"start": 2.1, "end": 4.0, "text": "河湾村塌方，两人被埋。", "speaker": "SPEAKER_01"},
]}  # fmt: skip
WHISPER_CPP = {"systeminfo": "AVX = 1", "result": {"language": "zh"}, "transcription": [
    {"timestamps": {"from": "00:00:00,000", "to": "00:00:02,000"}, "offsets": {"from": 0, "to": 2000}, "text": "河湾村塌方，"},
    {"timestamps": {"from": "00:00:02,000", "to": "00:00:04,000"}, "offsets": {"from": 2000, "to": 4000}, "text": "两人被埋。"},
]}  # fmt: skip
SLIP = {
    "form": "phone-log", "call_id": "c-9", "caller": "0999-8811004", "unit": "石桥县政府办", "name": "周明远", "called": "0999110",
    "started_at": "2026-11-23T09:21:00+08:00", "text": "今日8时15分，石桥县河湾村一处民房倒塌，1人死亡。", "remark": "拟报市领导。",
    "clerk": "李值班",
}  # fmt: skip


def text(value: Any) -> str:
    return formats.read(json.dumps(value, ensure_ascii=False).encode(), formats.JSON).text


@pytest.mark.parametrize("value", [FUNASR_RUNTIME, [FUNASR_RUNTIME], WHISPER, WHISPER_CPP])
def test_without_speakers_it_is_one_text_however_it_was_cut(value: Any) -> None:
    assert text(value) == "河湾村塌方，两人被埋。"


def test_speakers_of_funasr_are_numbered_from_one_and_their_sentences_joined() -> None:
    assert text(FUNASR_MODEL) == "说话人1：您好，值班室。\n说话人2：河湾村塌方，两人被埋。"


def test_speakers_of_whisperx_keep_their_names() -> None:
    assert text(WHISPER_X) == "SPEAKER_00：请讲。\nSPEAKER_01：河湾村塌方，两人被埋。"


def test_of_a_stream_only_what_was_gone_over_a_second_time_counts() -> None:
    early = {"mode": "2pass-online", "wav_name": "x", "text": "河湾村塌", "is_final": False}
    late = {"mode": "2pass-offline", "wav_name": "x", "text": "河湾村塌方。", "is_final": False}
    assert text([early, early, late]) == "河湾村塌方。"


def test_english_words_are_not_run_together() -> None:
    assert text({"text": "x", "segments": [{"text": "landslide at"}, {"text": "Hewan village"}]}) == "landslide at Hewan village"


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"text": "x", "segments": 7}, "$.segments: "), ({"text": "x", "segments": [7]}, "$.segments[0]: "),
        ([{"text": "x", "sentence_info": [{"spk": 1}]}], "$[0].sentence_info[0].text: "), ({"wav_name": "x", "text": 5}, "$.text: "),
        ({"transcription": [{"text": None}]}, "$.transcription[0].text: "), ({**SLIP, "clerk": " "}, "$.clerk: is empty"),
        ({**SLIP, "started_at": "2026-11-23T09:21:00"}, "$.started_at: has no offset"), ({**SLIP, "text": "字" * 20_001}, "$.text: has"),
        ({**SLIP, "colour": "red"}, "$: "), ({"form": "phone-log"}, "$: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_and_what_and_nothing_is_quoted(value: Any, where: str) -> None:
    with pytest.raises(Malformed) as caught:
        formats.check(json.dumps(value).encode(), formats.JSON)
    assert str(caught.value).startswith(where)
    assert "河湾" not in str(caught.value)


_leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_keys = st.sampled_from(["text", "segments", "sentence_info", "stamp_sents", "transcription", "spk", "speaker", "punc", "mode", "form",
                         "text_seg", "caller", "clerk", "key", "wav_name"])  # fmt: skip


@given(st.recursive(_leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=5), max_leaves=15))
def test_any_json_is_read_or_malformed(value: object) -> None:
    with contextlib.suppress(Malformed):
        formats.read(json.dumps(value).encode(), formats.JSON).text.encode()


# The form.


def test_the_form_says_what_was_said_and_who_called() -> None:
    channel = PhoneLog("phone-log", PhoneLogSettings())
    raw = RawMessage(
        channel="phone", via="phone-log", received_at=NOW, sender="", body=json.dumps(SLIP).encode(), content_type=PhoneLog.content_type
    )
    message = channel.read(raw)
    assert message.text == f"{SLIP['text']}\n报告单位：石桥县政府办，报告人：周明远，电话：0999-8811004"
    assert message.quoted == "拟办意见：拟报市领导。\n记录人：李值班", "what the clerk thinks is no part of the report"
    assert (message.sender, message.unread) == ("0999-8811004", None)
    assert message.sent_at is not None


# A transcript with its recording.


def form(*parts: tuple[str, str, bytes]) -> tuple[bytes, str]:
    mark = b"----------------------------0f3a"
    body = b"".join(
        b"--" + mark + f'\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'.encode()
        + data + b"\r\n" for name, kind, data in parts
    )  # fmt: skip
    return body + b"--" + mark + b"--\r\n", f"multipart/form-data; boundary={mark.decode()}"


def test_the_recording_is_kept_octet_by_octet_beside_the_transcript() -> None:
    sound = b"RIFF\x00\r\n\n\r\x00WAVE" + bytes(range(256))
    body, kind = form(("call.json", "application/json", json.dumps(WHISPER).encode()), ("call.wav", "audio/wav", sound))
    channel = PhoneTranscript("phone", PhoneSettings())
    raw = RawMessage(channel="phone", via="phone", received_at=NOW, sender="110", body=body, content_type=kind)
    message = channel.read(raw)
    assert (message.text, message.unread) == ("河湾村塌方，两人被埋。", None)
    assert [(file.name, file.data) for file in message.attachments] == [("call.wav", sound)]


def test_a_recording_alone_needs_a_person() -> None:
    body, kind = form(("call.wav", "audio/wav", b"RIFF"))
    assert parcel.read(body, kind).unread == "recording not transcribed: 1"
    assert formats.read(b"RIFF", "audio/wav").unread == "recording not transcribed: 1"


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=other"])
def test_a_body_without_parts_is_malformed(kind: str) -> None:
    with pytest.raises(Malformed, match="no parts"):
        parcel.check(form(("a.txt", "text/plain", b"x"))[0], kind)


@given(st.binary(max_size=200), st.text(max_size=30))
def test_any_body_is_read_or_malformed(body: bytes, boundary: str) -> None:
    with contextlib.suppress(Malformed):
        parcel.read(body, f"multipart/form-data; boundary={boundary}")
