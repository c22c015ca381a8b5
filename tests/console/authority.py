"""A certificate authority of the test's own."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.now(UTC)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


class Authority:
    """Signs certificates and revocation lists; writes everything into ``folder``."""

    def __init__(self, folder: Path, name: str = "江州市测试 CA") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(self.name, self.key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = made.sign(self.key, hashes.SHA256())
        self.pem = folder / f"{abs(hash(name))}-ca.pem"
        self.pem.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(
        self, common: str, *, mail: str = "", dns: str = "", usage: x509.ObjectIdentifier = CLIENT, days: float = 1
    ) -> tuple[Path, x509.Certificate]:
        """A certificate and its key in one PEM file."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        made = self._builder(subject, key, days).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        names: list[x509.GeneralName] = [x509.RFC822Name(mail)] if mail else []
        names += [x509.DNSName(dns)] if dns else []
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = made.sign(self.key, hashes.SHA256())
        path = self.folder / f"{certificate.serial_number}.pem"
        path.write_bytes(
            certificate.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return path, certificate

    def revoke(self, *gone: x509.Certificate) -> None:
        """Put a revocation list behind the authority's certificate."""
        made = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(NOW - timedelta(hours=1))
        made = made.next_update(NOW + timedelta(days=1))
        for one in gone:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number).revocation_date(NOW - timedelta(hours=1))
            made = made.add_revoked_certificate(entry.build())
        listed = made.sign(self.key, hashes.SHA256())
        self.pem.write_bytes(self.certificate.public_bytes(Encoding.PEM) + listed.public_bytes(Encoding.PEM))

    def client(self, shown: Path | None, protocols: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
        """A browser's side that trusts this authority and shows the certificate of a file."""
        made = ssl.create_default_context(cafile=str(self.pem))
        made.set_alpn_protocols(list(protocols))
        if shown is not None:
            made.load_cert_chain(shown)
        return made

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: float = 30) -> x509.CertificateBuilder:
        end = NOW + timedelta(days=days)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(min(NOW, end) - timedelta(days=2)).not_valid_after(end)
        )  # fmt: skip
