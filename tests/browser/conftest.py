"""The daemon that the browser calls."""

from tests.system.conftest import gate

__all__ = ["gate"]
