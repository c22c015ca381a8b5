"""Machines that send a real daemon what was made to hurt it (docs/hostile.md)."""
