"""Machines that try to break the promise "an acknowledged message is on disk, is delivered, and its record cannot be altered unseen".

``python -m tests.faults --help`` runs them; docs/faults.md says what each does.
"""
