"""A mail channel whose vouching never ends, for a worker process: it imports nothing of the tests."""

from __future__ import annotations

import time

from gateway.api import RawMessage
from gateway_plugins.email_smtp import EmailSmtp


class Hanging(EmailSmtp):
    """Stopped with its worker."""

    def vouch(self, raw: RawMessage) -> tuple[str, ...]:
        time.sleep(60)
        return ("sender_confirmed",)
