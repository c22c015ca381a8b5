"""Sealing: AES-256-GCM with a key per row, and the sealing of such keys to the bureau's X25519 public key.

Sealed bytes: version (1 byte) · nonce (12) · ciphertext with tag. For the bureau: version · ephemeral public key (32) ·
nonce (12) · ciphertext with tag, the key from X25519 through HKDF-SHA-256 over both public keys.
"""

from __future__ import annotations

import base64
import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.core.model import RawMessage
from gateway.store.errors import Tampered

KEY = 32
_NONCE = 12
_VERSION = b"\x01"
_BUREAU_INFO = b"jibao-gateway bureau v1"


def new_key() -> bytes:
    """A fresh key for one row."""
    return os.urandom(KEY)


def seal(key: bytes, plain: bytes, row: str) -> bytes:
    """``plain`` sealed with ``key`` and bound to the row's id."""
    return seal_with(AESGCM(key), plain, row)


def unseal(key: bytes, sealed: bytes, row: str) -> bytes:
    """The bytes that ``seal`` was given. Raises ``Tampered``."""
    return unseal_with(AESGCM(key), sealed, row)


def seal_with(cipher: AESGCM, plain: bytes, row: str) -> bytes:
    """As ``seal``, with a key that is used again and again: to set one up costs several times what the sealing costs."""
    nonce = os.urandom(_NONCE)
    return _VERSION + nonce + cipher.encrypt(nonce, plain, row.encode())


def unseal_with(cipher: AESGCM, sealed: bytes, row: str) -> bytes:
    """As ``unseal``, with a key that is used again and again. Raises ``Tampered``."""
    if len(sealed) <= _NONCE or sealed[:1] != _VERSION:
        raise Tampered("not sealed by this program")
    try:
        return cipher.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], row.encode())
    except InvalidTag:
        raise Tampered("sealed bytes do not open with their key") from None


def seal_for_bureau(public: bytes, plain: bytes) -> bytes:
    """Seal ``plain`` so that only the holder of the private half opens it. ``public`` is 32 raw bytes."""
    mine = X25519PrivateKey.generate()
    ephemeral = mine.public_key().public_bytes_raw()
    key = _agreed(mine.exchange(X25519PublicKey.from_public_bytes(public)), ephemeral, public)
    return _VERSION + ephemeral + seal(key, plain, "bureau")


def open_as_bureau(private: bytes, sealed: bytes) -> bytes:
    """Open what ``seal_for_bureau`` made. ``private`` is 32 raw bytes. Raises ``Tampered``."""
    if len(sealed) <= 1 + KEY or sealed[:1] != _VERSION:
        raise Tampered("not sealed for the bureau")
    ephemeral, rest = sealed[1 : 1 + KEY], sealed[1 + KEY :]
    mine = X25519PrivateKey.from_private_bytes(private)
    public = mine.public_key().public_bytes_raw()
    shared = mine.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    return unseal(_agreed(shared, ephemeral, public), rest, "bureau")


def _agreed(shared: bytes, ephemeral: bytes, public: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY, salt=ephemeral + public, info=_BUREAU_INFO).derive(shared)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What of a raw message is sealed: its body and the carrier's remarks."""

    body: bytes
    meta: dict[str, str] = {}


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A quarantined message as a file for the bureau's own machine; ``sealed`` holds base64 by row id."""

    format: str = "jibao-sealed-1"
    id: str
    channel: str
    via: str
    received_at: str
    sender: str
    content_type: str
    bureau_key: str
    sealed: dict[str, str]


def pack_keys(public: bytes, keys: dict[str, bytes]) -> bytes:
    """Row keys by row id, sealed for the bureau."""
    named = {row: base64.b64encode(key).decode() for row, key in keys.items()}
    return seal_for_bureau(public, msgspec.json.encode(named))


def open_export(data: bytes, private: bytes) -> RawMessage:
    """Open an exported message with the bureau's private key. Raises ``Tampered`` where file or key are not right."""
    try:
        exported = msgspec.json.decode(data, type=Exported)
        packed, sealed = base64.b64decode(exported.bureau_key), base64.b64decode(exported.sealed[exported.id])
    except (msgspec.MsgspecError, KeyError, ValueError):
        raise Tampered("not a file of a sealed message") from None
    keys = msgspec.json.decode(open_as_bureau(private, packed), type=dict[str, str])
    envelope = open_envelope(base64.b64decode(keys[exported.id]), sealed, exported.id)
    return msgspec.convert(
        {
            "channel": exported.channel,
            "via": exported.via,
            "received_at": exported.received_at,
            "sender": exported.sender,
            "content_type": exported.content_type,
            "body": envelope.body,
            "meta": envelope.meta,
        },
        RawMessage,
    )


def open_envelope(key: bytes, sealed: bytes, row: str) -> Envelope:
    """Body and remarks of a sealed message or part. Raises ``Tampered``."""
    return msgspec.msgpack.decode(unseal(key, sealed, row), type=Envelope)
