"""The errors that cross rooms. Their texts say what and where, never the content of a report."""

from __future__ import annotations


class Malformed(ValueError):
    """The bytes are not what the format asks for."""


class StorageTrouble(Exception):
    """The message could not be put on stable storage. A channel answers with its carrier's *temporary* error."""


class TooLarge(ValueError):
    """The message is over the limit, which the text names. A channel answers 552 or 413."""
