"""Texts folded at once are what they are character by character."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from gateway.core import render
from gateway.core.folding import fold, fold_char

ODD = st.text(st.one_of(st.characters(), st.sampled_from("，…－㎡①\u200b\ufeff\u3000 \x1f\u00ad縣ＡＢ\ud800")))


@given(ODD)
def test_folding(text: str) -> None:
    assert fold(text) == "".join(piece for char in text if not (piece := fold_char(char)).isspace())


@given(st.lists(ODD, max_size=3))
def test_two_copies_of_a_message_compare_without_what_cannot_be_seen(texts: list[str]) -> None:
    folded = unicodedata.normalize("NFKC", "\x1f".join(texts))
    assert render.canonical(*texts) == "".join(c for c in folded if not c.isspace() and unicodedata.category(c) != "Cf")
