"""Canaries: random words put wherever content can be, and looked for wherever content must not be (docs/privacy.md).

``python -m tests.canaries --count 10000 --seed 1`` is the long form; ``test_canaries.py`` runs the short one.
"""
