"""What programs that recognise speech write as JSON: FunASR and the family of whisper. Pure.

None of them knows who called; that stands in the headers of the request or in the name of the file. Known are

- FunASR ``AutoModel.generate``: a list of ``{"key", "text", "timestamp", "sentence_info": [{"text" or "sentence", "start",
  "end", "spk"}]}``;
- FunASR runtime (websocket): ``{"mode", "wav_name", "text", "is_final", "timestamp", "stamp_sents": [{"text_seg", "punc",
  "start", "end"}]}``, one object or a list of them; ``is_final`` is false throughout in offline mode and says nothing;
- whisper, faster-whisper, whisperX, OpenAI ``verbose_json``: ``{"text", "segments": [{"start", "end", "text", "speaker"}],
  "language"}``;
- whisper.cpp: ``{"transcription": [{"timestamps", "offsets", "text", "speaker"}]}``.
"""

from __future__ import annotations

import re
from typing import Any

from gateway.api import Malformed

Turn = tuple[str, str]
"""Speaker, empty where none is told, and what was said."""
SPEAKER = "说话人"
"""What a speaker of whom only a number is known is called in the text of a message, in any language of the operator."""
_MARKS = ("sentence_info", "stamp_sents", "transcription", "wav_name")
_TAG = re.compile(r"<\|[^|<>]{0,40}\|>")
_BETWEEN = re.compile(r"(?<=[\u3400-\u9fff]) +(?=[\u3400-\u9fff])")


def known(value: Any) -> bool:
    """Whether this is of a recogniser and not the transcript form of our own, which always names the call."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, dict) and "text" in one for one in value)
    if not isinstance(value, dict) or "call_id" in value or "caller" in value or "form" in value:
        return False
    return any(mark in value for mark in _MARKS) or ("text" in value and ("segments" in value or "key" in value))


def turns(value: Any) -> list[Turn]:
    """What was said, in order; what one speaker says in several segments is joined. Raises ``Malformed`` with where and what."""
    said: list[Turn] = []
    whole = value if isinstance(value, list) else [value]
    final = [one for one in whole if not str(one.get("mode", "")).endswith("online")] or whole
    for number, one in enumerate(final):
        said += _one(one, f"$[{number}]" if isinstance(value, list) else "$")
    joined: list[Turn] = []
    for speaker, text in said:
        if speaker and joined and joined[-1][0] == speaker:
            joined[-1] = (speaker, joined[-1][1] + text)
        elif text:
            joined.append((speaker, text))
    return joined


def _one(value: dict[str, Any], where: str) -> list[Turn]:
    for key, text in (("sentence_info", ("text", "sentence")), ("stamp_sents", ("text_seg",)), ("segments", ("text",)),
                      ("transcription", ("text",))):  # fmt: skip
        found = value.get(key)
        if found:
            if not isinstance(found, list):
                raise Malformed(f"{where}.{key}: Expected `array`")
            pieces = [_piece(one, text, f"{where}.{key}[{n}]") for n, one in enumerate(found)]
            # A recogniser without speakers cuts where somebody breathes: that is one text.
            return pieces if any(speaker for speaker, _text in pieces) else [("", _run_on([text for _none, text in pieces]))]
    text_ = value.get("text", "")
    if not isinstance(text_, str):
        raise Malformed(f"{where}.text: Expected `str`")
    return [("", _plain(text_))]


def _piece(one: Any, keys: tuple[str, ...], where: str) -> Turn:
    if not isinstance(one, dict):
        raise Malformed(f"{where}: Expected `object`")
    text = next((one[key] for key in keys if key in one), None)
    if not isinstance(text, str):
        raise Malformed(f"{where}.{keys[0]}: Expected `str`")
    punctuation = one.get("punc", "")
    said = _plain(text) + (punctuation if isinstance(punctuation, str) else "")
    return _speaker(one.get("spk", one.get("speaker"))), said


def _speaker(who: Any) -> str:
    """``spk`` counts from 0; names are kept."""
    if isinstance(who, bool) or who is None or who == "":
        return ""
    if isinstance(who, int):
        return f"{SPEAKER}{who + 1}"
    return str(who)[:60]


def _plain(text: str) -> str:
    """Without the tags of SenseVoice, and without the blanks that FunASR's timed sentences have between characters."""
    return _BETWEEN.sub("", _TAG.sub("", text)).strip()


def _run_on(texts: list[str]) -> str:
    """Pieces as one text: a blank only between words of letters."""
    made = ""
    for text in texts:
        made += (" " if made[-1:].isascii() and made[-1:].isalnum() and text[:1].isascii() and text[:1].isalnum() else "") + text
    return made
