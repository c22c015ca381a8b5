"""What can go wrong with the store beside ``StorageTrouble``. No text holds a word of content."""

from __future__ import annotations


class StoreRefused(Exception):
    """The store cannot be used as it is: the text says why and what to do."""


class NewerStore(StoreRefused):
    """The file was written by a newer version of the gateway."""


class WrongKey(StoreRefused):
    """The store was made with another store key."""


class BadKey(StoreRefused):
    """A key file is missing, open to others or not 32 bytes in base64."""


class NotFound(LookupError):
    """No row of that id."""


class Stale(Exception):
    """The row has changed since it was read: read it again."""


class KeyGone(Exception):
    """The content can no longer be opened here: its key was sealed to the bureau or destroyed."""


class Tampered(Exception):
    """Sealed bytes do not open with the key that belongs to them."""
