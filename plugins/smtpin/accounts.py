"""Who may log in to the mail listener: accounts by name, passwords from the secrets. Sources: RFC 4954 (AUTH), 4616 (PLAIN)."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping
from typing import Any

from aiosmtpd.smtp import AuthResult, LoginPassword

log = logging.getLogger(__name__)


class Accounts:
    """Names and passwords. Empty: nobody can log in, and AUTH is not offered."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = {name.encode(): password.encode() for name, password in passwords.items()}

    def __bool__(self) -> bool:
        return bool(self._passwords)

    def check(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        """aiosmtpd's authenticator: the account's name where the password is right. Takes as long for a name nobody has."""
        assert isinstance(data, LoginPassword)
        known = self._passwords.get(data.login)
        if hmac.compare_digest(known if known is not None else b"\0", data.password) and known is not None:
            return AuthResult(success=True, auth_data=data.login.decode("utf-8", "replace"))
        log.warning("mail: a login from %s was refused", (session.peer or ("?",))[0])
        return AuthResult(success=False, handled=False)
