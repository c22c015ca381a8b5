"""Signatures of Standard Webhooks (standardwebhooks.com, spec/standard-webhooks.md): made by to_webhook and to_gateway, checked
by from_gateway. Pure.

Signed is ``ID.TIMESTAMP.BODY``, the timestamp in Unix seconds. ``v1`` is HMAC-SHA256 under a key written ``whsec_`` and base64;
``v1a`` is Ed25519, private key ``whsk_`` (32 bytes of seed, or 64 with the public half after them), public key ``whpk_``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.api import _

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
HMAC_BYTES = range(24, 65)
"""Lengths of an HMAC key that the specification allows."""


class BadKey(ValueError):
    """A secret that is no key of this form. The text never holds the secret."""


def headers(keys: Sequence[str], id: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers, with one signature for each key: the new and the old one while keys are being changed."""
    signatures = [_sign(key, _signed(id, at, body)) for key in keys]
    return {ID: id, TIMESTAMP: str(at), SIGNATURE: " ".join(signatures)}


def genuine(keys: Sequence[str], id: str, timestamp: str, signatures: str, body: bytes) -> bool:
    """Whether one of ``signatures`` was made by one of ``keys``. How old it is is for the caller to judge."""
    if not timestamp.isascii() or not timestamp.isdigit():
        return False
    signed = _signed(id, int(timestamp[:20]), body)
    return any(_checks(key, one, signed) for one in signatures.split()[:8] for key in keys)


def usable(key: str) -> None:
    """Raise ``BadKey`` for a text with which nothing can be signed or checked."""
    if key.startswith("whpk_"):
        Ed25519PublicKey.from_public_bytes(_decoded(key, "whpk_", (32,)))
    else:
        _sign(key, b"")


def _signed(id: str, at: int, body: bytes) -> bytes:
    return f"{id}.{at}.".encode() + body


def _sign(key: str, signed: bytes) -> str:
    if key.startswith("whsk_"):
        private = Ed25519PrivateKey.from_private_bytes(_decoded(key, "whsk_", (32, 64))[:32])
        return "v1a," + base64.b64encode(private.sign(signed)).decode()
    return "v1," + base64.b64encode(_mac(key, signed)).decode()


def _mac(key: str, signed: bytes) -> bytes:
    return hmac.new(_decoded(key, "whsec_", HMAC_BYTES), signed, hashlib.sha256).digest()


def _checks(key: str, signature: str, signed: bytes) -> bool:
    version, _, text = signature.partition(",")
    try:
        given = base64.b64decode(text, validate=True)
        if version == "v1" and key.startswith("whsec_"):
            return hmac.compare_digest(given, _mac(key, signed))
        if version == "v1a" and key.startswith("whpk_"):
            Ed25519PublicKey.from_public_bytes(_decoded(key, "whpk_", (32,))).verify(given, signed)
            return True
    except (InvalidSignature, ValueError):
        return False
    return False


def _decoded(key: str, prefix: str, lengths: Sequence[int]) -> bytes:
    if not key.startswith(prefix):
        raise BadKey(_("the key does not begin with {prefix}").format(prefix=prefix))
    try:
        raw = base64.b64decode(key[len(prefix) :], validate=True)
    except ValueError:
        raise BadKey(_("what follows {prefix} in the key is not base64").format(prefix=prefix)) from None
    if len(raw) not in lengths:
        text = _("the key has {size} bytes; allowed: {least} to {most}")
        raise BadKey(text.format(size=len(raw), least=lengths[0], most=lengths[-1]))
    return raw
