"""Receiving mail: an SMTP and LMTP listener that several channels share, each with its own addresses."""
