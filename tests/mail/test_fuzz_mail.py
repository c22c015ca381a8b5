"""2,000 mutated mails in each run of the tests; more by ``python -m tests.mail.fuzz_mail COUNT SEED``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_mutated_mails_break_nothing_and_are_read_where_they_can_be() -> None:
    # In a process of its own: the garbage of all other tests would be collected in the loop's time.
    command = [sys.executable, "-m", "tests.mail.fuzz_mail", "2000", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    read, receipts = (int(re.search(rf"(\d+) {what}", done.stdout)[1]) for what in ("read,", "receipts"))  # type: ignore[index]
    assert done.stdout.startswith("2000 mails") and receipts > 0 and read + receipts >= 2000
