"""``gateway init``: a complete, commented configuration with fresh keys, made from the example that ships with the package.

With ``demo`` it runs as it is on loopback: ports from ``base_port`` on, quick retries, the confidential bureau's private key
beside the others so that one person can see every side.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from gateway.conf_edit import set_key
from gateway.i18n import _

ACCOUNTS = ("clerk", "leader", "bureau", "operator", "reader")
PASSWORDS = ("phone-token", *(f"console-{name}" for name in ACCOUNTS))
EXAMPLE = ("*.toml", "*.csv", "*.d/*.toml", "templates/*")
"""What belongs to the example; never a secrets or state folder that somebody made beside it."""
SMPP_PASSWORD = 8
"""Octets of an SMPP password, at most (SMPP 3.4, 4.1.1)."""
Setting = tuple[str, tuple[str, ...], Any]


class InitError(Exception):
    """The configuration cannot be written there."""


def write(directory: Path, *, demo: bool = False, base_port: int = 26000, state: Path | None = None) -> list[Path]:
    """Write the configuration into ``directory``, which must be empty or absent. Returns the key files.

    Without ``demo`` the bureau's private key is put beside the configuration as ``bureau-private.key``, to be carried to
    the bureau's own machine and deleted here; the gateway never reads it. Raises ``InitError``.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InitError(_("{directory} is not empty; allowed: a new or an empty directory").format(directory=directory))
    if not 1024 <= base_port <= 65530:
        raise InitError(_("base port {port}; allowed: 1024 to 65530").format(port=base_port))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with as_file(files("gateway") / "example_conf") as example:
            _copy(example, directory)
        _edit(directory, _settings(demo, base_port, state))
        return _keys(directory, demo)
    except OSError as error:
        raise InitError(_("cannot write {directory}: {error}").format(directory=directory, error=error.strerror)) from error


def _copy(example: Path, directory: Path) -> None:
    """Copy the example's files, writable for the owner whatever the package's own modes are."""
    for path in sorted(path for pattern in EXAMPLE for path in example.glob(pattern)):
        target = directory / path.relative_to(example)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)


def _settings(demo: bool, base_port: int, state: Path | None) -> Iterator[Setting]:
    """File, key and value of everything that differs from the example."""
    if state is not None:
        yield "gateway.toml", ("gateway", "state"), str(state.absolute())
    if not demo:
        return
    yield "gateway.toml", ("gateway", "demo"), True
    yield "gateway.toml", ("dispatch", "retry_min"), 0.2
    yield "gateway.toml", ("dispatch", "retry_max"), 1.0
    yield "gateway.toml", ("http", "port"), base_port + 3
    yield "gateway.toml", ("console", "enabled"), True
    yield "gateway.toml", ("console", "port"), base_port + 3
    yield "channels.d/mail.toml", ("channel", "mail", "host"), "127.0.0.1"
    yield "channels.d/mail.toml", ("channel", "mail", "port"), base_port
    yield "channels.d/mail.toml", ("channel", "mail", "lmtp_port"), base_port + 1
    yield "channels.d/phone.toml", ("channel", "phone", "host"), "127.0.0.1"
    yield "channels.d/phone.toml", ("channel", "phone", "port"), base_port + 2
    yield "channels.d/sms.toml", ("channel", "sms", "host"), "127.0.0.1"
    yield "channels.d/sms.toml", ("channel", "sms", "port"), base_port + 4
    yield "channels.d/sms.toml", ("channel", "sms", "system_id"), "gateway"
    yield "channels.d/sms.toml", ("channel", "sms", "password"), "smpp-password"
    yield "channels.d/sms.toml", ("channel", "sms", "reconnect_min"), 0.2
    yield "channels.d/sms.toml", ("channel", "sms", "reconnect_max"), 1.0
    yield "channels.d/mail.toml", ("transport", "mail", "host"), "127.0.0.1"
    yield "channels.d/mail.toml", ("transport", "mail", "port"), base_port + 5


def _edit(directory: Path, settings: Iterator[Setting]) -> None:
    for name, path, value in settings:
        file = directory / name
        file.write_text(set_key(file.read_text(encoding="utf-8"), path, value), encoding="utf-8")


def _keys(directory: Path, demo: bool) -> list[Path]:
    from gateway.store.keys import StoreKeys, generate_bureau

    folder = directory / "secrets"
    folder.mkdir(mode=0o700)
    folder.chmod(0o700)
    StoreKeys.generate(folder / "store-key")
    bureau = folder / "bureau-private" if demo else directory / "bureau-private.key"
    generate_bureau(bureau, folder / "bureau-public")
    (folder / "bureau-public").chmod(0o600)
    makers: dict[str, Callable[[], str]] = {name: lambda: secrets.token_urlsafe(24) for name in PASSWORDS}
    makers["smpp-password"] = lambda: secrets.token_urlsafe(SMPP_PASSWORD * 3 // 4)
    makers["audit-key"] = _signing_key
    made = [folder / "store-key", folder / "bureau-public", bureau]
    for name, make in makers.items():
        made.append(_secret(folder / name, make()))
    return made


def _signing_key() -> str:
    """A fresh Ed25519 private key, PEM, for the audit log's checkpoints."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().rstrip()


def _secret(path: Path, text: str) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    return path
