"""One daemon for all tests here; at the end it must have stood calmly, and everything it took must be kept as it came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.stand import Stand, cloud
from tests.mail.test_email_tls import certificate  # noqa: F401 (a fixture)

COMMANDS = 200


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]) -> Iterator[Stand]:  # noqa: F811
    settings = (
        ("gateway.toml", ("limits", "parse_seconds"), 15.0),
        ("gateway.toml", ("limits", "max_message_bytes"), 8 * 1024 * 1024),
        ("channels.d/mail.toml", ("channel", "mail", "tls_certificate"), str(certificate[0])),
        ("channels.d/mail.toml", ("channel", "mail", "tls_key"), str(certificate[1])),
        ("channels.d/mail.toml", ("channel", "mail", "max_commands"), COMMANDS),
        ("channels.d/fax.toml", ("channel", "fax", "ocr_seconds"), 2.0),
        ("channels.d/phone.toml", ("channel", "phone", "timeout_seconds"), 1.0),
        ("channels.d/phone.toml", ("channel", "phone", "body_seconds"), 2.0),
        ("channels.d/cloud.toml", ("channel", "cloud", "idle_seconds"), 1.0),
    )
    stand = Stand(tmp_path_factory.mktemp("hostile"), settings, before=cloud)
    yield stand
    wrong = stand.calm()
    wrong += stand.stop()
    assert wrong == []
