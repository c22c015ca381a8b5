"""Fax out through HylaFAX: its client protocol."""
