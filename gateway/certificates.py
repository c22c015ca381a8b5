"""Client certificates: what a browser showed in its TLS handshake, and the names by which an account is found.

Hypercorn tells its applications nothing of the handshake. But the first thing it does with a connection, in the task that all
answers of this connection come from, is to ask the TLS object which protocol was agreed on: there the certificate is noted.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from contextvars import ContextVar
from pathlib import Path

FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_shown: ContextVar[bytes | None] = ContextVar("client certificate", default=None)


class _Noted(ssl.SSLObject):
    """The server's side of a TLS connection."""

    def selected_alpn_protocol(self) -> str | None:
        _shown.set(self.getpeercert(binary_form=True))
        return super().selected_alpn_protocol()


def ask(context: ssl.SSLContext, authorities: Path, *, needed: bool) -> None:
    """Have ``context`` ask who connects for a certificate of one of ``authorities`` (PEM); ``needed``: nobody comes in without.
    Revocation lists in the same file count; then a certificate whose authority has no list that is in force is refused. Raises
    ``OSError``, ``ssl.SSLError`` among them."""
    text = authorities.read_bytes()
    context.load_verify_locations(cafile=str(authorities))
    if not context.get_ca_certs():
        raise OSError(None, "no certificate authority in it", str(authorities))
    context.verify_mode = ssl.CERT_REQUIRED if needed else ssl.CERT_OPTIONAL
    if b"-----BEGIN X509 CRL-----" in text:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    # A session that is taken up again would skip the look at the certificate.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.sslobject_class = _Noted


def shown() -> bytes | None:
    """The certificate (DER) of whoever is being answered; None where none was shown. TLS has checked it against the
    authorities by then."""
    return _shown.get()


def fingerprint(der: bytes) -> str:
    """``sha256:`` and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def names(der: bytes) -> tuple[str, ...]:
    """What a certificate is known by: its fingerprint first, then its alternative names (mail, DNS, URI); the common name where
    it has none. Names in lower case, as they are compared."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    found: list[str] = []
    try:
        made = x509.load_der_x509_certificate(der)
        common = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        try:
            known = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            for kind in (x509.RFC822Name, x509.DNSName, x509.UniformResourceIdentifier):
                found += known.get_values_for_type(kind)
        except x509.ExtensionNotFound:
            found += [str(one.value) for one in common]
    except ValueError:
        found = []
    return (fingerprint(der), *dict.fromkeys(name.strip().lower() for name in found if name.strip()))
