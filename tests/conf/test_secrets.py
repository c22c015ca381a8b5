"""Secrets come from credentials or 0600 files, and a refusal names the fix, never the secret."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import i18n
from gateway.secrets import SecretError, Secrets


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    i18n.use("en")
    yield
    i18n.use("zh")


def put(folder: Path, name: str, content: bytes, mode: int = 0o600) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_file_without_its_line_end(tmp_path: Path) -> None:
    put(tmp_path, "token", "密钥 one\r\n".encode())
    assert Secrets(tmp_path, None).text("token") == "密钥 one"


def test_a_credential_comes_first(tmp_path: Path) -> None:
    put(tmp_path / "files", "token", b"from the file")
    put(tmp_path / "given", "token", b"from systemd", 0o440)
    secrets = Secrets(tmp_path / "files", tmp_path / "given")
    assert secrets.text("token") == "from systemd"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_what_others_may_read_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    path = put(tmp_path, "token", b"hush-hush", mode)
    for call in (Secrets(tmp_path, None).text, Secrets(tmp_path, None).optional):
        with pytest.raises(SecretError) as caught:
            call("token")
        assert f"chmod 600 {path}" in str(caught.value)
        assert "hush" not in str(caught.value)


def test_missing_and_empty(tmp_path: Path) -> None:
    put(tmp_path, "empty", b"\n")
    secrets = Secrets(tmp_path, None)
    with pytest.raises(SecretError, match=f"put it into {tmp_path}/token, mode 0600"):
        secrets.text("token")
    with pytest.raises(SecretError, match="is empty"):
        secrets.text("empty")
    assert secrets.optional("token") is None


@pytest.mark.parametrize("name", ["../store-key", "a/b", "", ".", "..", "a b"])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    put(tmp_path, "store-key", b"x")
    with pytest.raises(SecretError, match="letters"):
        Secrets(tmp_path / "secrets", None).path(name)


def test_the_environment_names_the_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "token", b"given")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Secrets(tmp_path / "nowhere").text("token") == "given"


def test_the_bureaus_public_key(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, None)
    assert secrets.bureau_public() is None
    put(tmp_path, "bureau-public", base64.b64encode(b"k" * 32) + b"\n", 0o644)
    assert secrets.bureau_public() == b"k" * 32
    put(tmp_path, "bureau-public", base64.b64encode(b"k" * 31))
    with pytest.raises(SecretError, match="32 bytes"):
        secrets.bureau_public()


def test_systemds_own_folder_of_credentials_may_be_the_folder_of_secrets(tmp_path: Path) -> None:
    """As root has it on the command line while the daemon is given the same files as credentials."""
    store = tmp_path / "credstore"
    put(store, "jibao.token", b"kept\n")
    secrets = Secrets(store, None)
    assert secrets.text("token") == "kept"
    assert secrets.optional("other") is None
    with pytest.raises(SecretError, match=f"secret other is missing; put it into {store}/jibao.other, mode 0600"):
        secrets.text("other")
    put(store, "jibao.token", b"kept\n", 0o644)
    with pytest.raises(SecretError, match=f"chmod 600 {store}/jibao.token"):
        secrets.text("token")


def test_a_folder_that_may_not_be_looked_into_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """root's folder, seen by the daemon's own user: the refusal says what is missing, not that looking failed."""
    real = os.stat

    def stat(path: Any, *args: Any, **more: Any) -> os.stat_result:
        if str(path).startswith(str(tmp_path / "credstore")):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **more)

    monkeypatch.setattr(os, "stat", stat)
    secrets = Secrets(tmp_path / "credstore", put(tmp_path / "given", "token", b"kept").parent)
    assert secrets.text("token") == "kept"
    assert secrets.optional("other") is None
    assert secrets.bureau_public() is None
    with pytest.raises(SecretError, match="is missing; put it into"):
        secrets.text("other")
