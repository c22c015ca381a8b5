"""MIME → ``Message``: charsets repaired, HTML as text, the newest part first, limits on everything. Pure."""

from gateway_plugins.mailtext.limits import Limits
from gateway_plugins.mailtext.message import read_mail

__all__ = ["Limits", "read_mail"]
