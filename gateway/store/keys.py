"""The keys that the store lives by: the store key (wraps every row's key, keys every digest) and the bureau's key pair.

Key files hold 32 bytes in base64 and belong to their owner alone (0600).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.i18n import _
from gateway.store.errors import BadKey
from gateway.store.seal import KEY, open_as_bureau, seal_for_bureau, seal_with, unseal_with

__all__ = ["StoreKeys", "generate_bureau", "open_as_bureau", "read_key", "seal_for_bureau", "write_key"]


class StoreKeys:
    """What follows from the store key. Its repr shows nothing."""

    __slots__ = ("_digest", "_wrap")

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY:
            raise BadKey("a store key has 32 bytes")
        self._wrap = AESGCM(_derive(master, b"wrap row keys v1"))
        self._digest = _derive(master, b"keyed digests v1")

    @classmethod
    def load(cls, path: Path) -> StoreKeys:
        """The store key in a file. Raises ``BadKey``."""
        return cls(read_key(path))

    @classmethod
    def from_text(cls, text: str) -> StoreKeys:
        """The store key as base64 text, as a credential holds it. Raises ``BadKey``."""
        return cls(_decode(text, "the store key"))

    @classmethod
    def generate(cls, path: Path) -> StoreKeys:
        """Make a new store key and its file (0600). Raises ``BadKey`` where the file is there already."""
        master = os.urandom(KEY)
        write_key(path, master)
        return cls(master)

    def wrap(self, key: bytes, row: str) -> bytes:
        """A row's key, sealed with the store key and bound to the row."""
        return seal_with(self._wrap, key, row)

    def unwrap(self, wrapped: bytes, row: str) -> bytes:
        """The row's key. Raises ``Tampered``."""
        return unseal_with(self._wrap, wrapped, row)

    def digest(self, purpose: str, *parts: bytes) -> str:
        """A keyed digest (HMAC-SHA-256, hex) over ``parts``, each with its length, so that none runs into the next."""
        made = hmac.new(self._digest, purpose.encode(), "sha256")
        for part in parts:
            made.update(len(part).to_bytes(8, "big"))
            made.update(part)
        return made.hexdigest()

    def fingerprint(self) -> str:
        """Names the key without telling it; kept in the store so that a wrong key is noticed at open."""
        return self.digest("fingerprint")[:32]

    def __repr__(self) -> str:
        return "StoreKeys(…)"


def generate_bureau(private: Path, public: Path) -> bytes:
    """Make the bureau's key pair: two files, the private one 0600. Returns the public key, 32 bytes."""
    made = X25519PrivateKey.generate()
    half = made.public_key().public_bytes_raw()
    write_key(private, made.private_bytes_raw())
    write_key(public, half, mode=0o644)
    return half


def read_key(path: Path, *, public: bool = False) -> bytes:
    """32 bytes from a key file. Raises ``BadKey`` where it is missing, malformed or, if secret, open to others."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BadKey(_("cannot read the key file {path}: {error}").format(path=path, error=type(error).__name__)) from None
    # systemd lends credentials read-only with an ACL whose mask shows as group bits; the folder itself is closed.
    lent = os.environ.get("CREDENTIALS_DIRECTORY")
    if not public and mode & 0o077 and not (lent and path.is_relative_to(lent)):
        raise BadKey(_("the key file {path} is open to others: chmod 600 {path}").format(path=path))
    return _decode(text, str(path))


def write_key(path: Path, key: bytes, *, mode: int = 0o600) -> None:
    """Write a key file that was not there. Raises ``BadKey`` where it was."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise BadKey(_("the key file {path} is already there").format(path=path)) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _decode(text: str, what: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY:
        raise BadKey(_("{what} is not 32 bytes in base64").format(what=what))
    return key


def _derive(master: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY, salt=b"jibao-gateway store", info=info).derive(master)
