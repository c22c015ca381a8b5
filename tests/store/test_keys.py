"""Keys, seals and ids by themselves."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.errors import BadKey, Tampered
from gateway.store.ids import Ids, instant, micros
from gateway.store.keys import StoreKeys, generate_bureau, read_key, write_key
from gateway.store.seal import new_key, open_as_bureau, seal, seal_for_bureau, unseal


def test_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "store-key"
    made = StoreKeys.generate(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert StoreKeys.load(path).fingerprint() == made.fingerprint()
    assert StoreKeys.from_text(path.read_text()).fingerprint() == made.fingerprint()
    with pytest.raises(BadKey, match="already there"):
        StoreKeys.generate(path)
    path.chmod(0o640)
    with pytest.raises(BadKey, match="chmod 600"):
        StoreKeys.load(path)


def test_credentials_may_show_group_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store-key"
    StoreKeys.generate(path)
    path.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert StoreKeys.load(path)


@pytest.mark.parametrize("text", ["", "kein Schlüssel", "AAAA", "A" * 44, "A" * 43 + "*"])
def test_bad_key_files_are_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(BadKey) as caught:
        StoreKeys.load(path)
    assert str(path) in str(caught.value) and (not text or text not in str(caught.value))
    with pytest.raises(BadKey, match="cannot read"):
        StoreKeys.load(tmp_path / "absent")


def test_bureau_pair(tmp_path: Path) -> None:
    public = generate_bureau(tmp_path / "private", tmp_path / "public")
    assert read_key(tmp_path / "public", public=True) == public
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
    sealed = seal_for_bureau(public, "原文".encode())
    assert open_as_bureau(read_key(tmp_path / "private"), sealed).decode() == "原文"
    with pytest.raises(Tampered):
        open_as_bureau(os.urandom(32), sealed)
    with pytest.raises(BadKey):
        write_key(tmp_path / "public", public)


@given(plain=st.binary(max_size=300), at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_changed_bit_is_noticed(plain: bytes, at: int, bit: int) -> None:
    key = new_key()
    sealed = bytearray(seal(key, plain, "row"))
    assert unseal(key, bytes(sealed), "row") == plain
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(Tampered):
        unseal(key, bytes(sealed), "row")


def test_seals_belong_to_their_row_and_key() -> None:
    key = new_key()
    sealed = seal(key, b"x", "row")
    for wrong_key, row in ((key, "other"), (new_key(), "row")):
        with pytest.raises(Tampered):
            unseal(wrong_key, sealed, row)
    with pytest.raises(Tampered):
        unseal(key, b"", "row")


@given(st.lists(st.binary(max_size=8), max_size=4), st.lists(st.binary(max_size=8), max_size=4))
def test_digests_keep_parts_apart(one: list[bytes], other: list[bytes]) -> None:
    keys = StoreKeys(bytes(32))
    assert (keys.digest("a", *one) == keys.digest("a", *other)) == (one == other)
    assert keys.digest("a", *one) != keys.digest("b", *one)
    assert "\\x" not in repr(keys) and keys.fingerprint() not in repr(keys)


@given(st.lists(st.integers(-5_000, 5_000), min_size=2, max_size=60))
def test_ids_only_go_up(steps: list[int]) -> None:
    now = [datetime(2026, 3, 5, tzinfo=UTC)]
    ids = Ids(lambda: now[0])
    given_out = []
    for step in steps:
        now[0] += timedelta(milliseconds=step)
        given_out.append(ids())
    assert given_out == sorted(set(given_out)) and {len(one) for one in given_out} == {26}


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_instants_survive(at: datetime) -> None:
    assert instant(micros(at)) == at
    with pytest.raises(ValueError, match="offset"):
        micros(at.replace(tzinfo=None))
