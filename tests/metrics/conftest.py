"""The daemon and the mail sink of the system tests."""

from __future__ import annotations

from tests.system.conftest import gate, sink

__all__ = ["gate", "sink"]
