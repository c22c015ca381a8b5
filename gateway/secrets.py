"""Secrets by name: a systemd credential first, else a 0600 file in the secrets folder. Never from conf itself."""

from __future__ import annotations

import base64
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from gateway.i18n import _

CREDSTORE = "jibao."
"""How our files begin in systemd's folder of credentials, which may be the folder of secrets too."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class SecretError(Exception):
    """A secret is missing or could be read by others. The text names it and the fix, never what is in it."""


def _credentials() -> Path | None:
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(given) if given else None


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets of ``credentials`` (systemd's $CREDENTIALS_DIRECTORY) where it has the name, else of ``directory``."""

    directory: Path
    credentials: Path | None = field(default_factory=_credentials)

    def path(self, name: str) -> Path:
        """Where the secret ``name`` lies. Raises ``SecretError``."""
        if not _NAME.fullmatch(name):
            raise SecretError(_("a secret's name is letters, digits, dot, dash and underscore"))
        path = self._found(name)
        if path is None:
            raise self.missing(name)
        if self.credentials is not None and path.parent == self.credentials:
            return path
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise SecretError(_("secret {name} may be read by others; run: chmod 600 {path}").format(name=name, path=path))
        return path

    def missing(self, name: str) -> SecretError:
        """The refusal for a secret that is nowhere: which one, and where it may be put."""
        path = self.directory / (CREDSTORE + name if self.directory.name == "credstore" else name)
        text = _("secret {name} is missing; put it into {path}, mode 0600, or give it as a systemd credential")
        return SecretError(text.format(name=name, path=path))

    def _found(self, name: str) -> Path | None:
        """Where the secret lies; a folder that may not be looked into holds none."""
        places = [self.credentials / name] if self.credentials is not None else []
        places += [self.directory / name, self.directory / (CREDSTORE + name)]
        return next((place for place in places if os.path.exists(place)), None)

    def read(self, name: str) -> bytes:
        """The secret as it lies in its file. Raises ``SecretError``."""
        path = self.path(name)
        try:
            return path.read_bytes()
        except OSError:
            raise SecretError(_("secret {name} cannot be read: {path}").format(name=name, path=path)) from None

    def text(self, name: str) -> str:
        """The secret as text, without the line end. Raises ``SecretError``; also for an empty one."""
        text = self.read(name).decode("utf-8", "replace").strip("\r\n")
        if not text:
            raise SecretError(_("secret {name} is empty: {path}").format(name=name, path=self.path(name)))
        return text

    def optional(self, name: str) -> str | None:
        """The secret as text, None where there is none. Raises ``SecretError`` for one that others may read."""
        return self.text(name) if self._found(name) is not None else None

    def bureau_public(self, name: str = "bureau-public") -> bytes | None:
        """The confidential bureau's public key, 32 bytes; None where none is installed. Raises ``SecretError``."""
        path = self._found(name)
        if path is None:
            return None
        # A public key may be read by anybody, so its mode is not looked at.
        try:
            key = base64.b64decode(path.read_text("ascii").strip(), validate=True)
        except (OSError, ValueError):
            key = b""
        if len(key) != 32:
            raise SecretError(_("{path} is no public key: 32 bytes in base64").format(path=path))
        return key
