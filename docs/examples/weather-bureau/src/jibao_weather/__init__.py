"""Warnings of the weather bureau in, a signed web hook out."""
