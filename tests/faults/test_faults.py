"""A short run of every fault machine, and of the gateways that must lose. The long ones: ``make faults`` (docs/faults.md)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from gateway.intake import AHEAD_BYTES
from tests.faults.carriers import mail
from tests.faults.ledger import Letter
from tests.faults.media import Media, Node
from tests.faults.order import answers, steps

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]
ROOT = Path(__file__).parents[2]


def run(machine: str, path: Path, seed: int = 1) -> tuple[int, dict[str, object]]:
    figures = path / f"figures-{seed}.json"
    command = [sys.executable, "-m", "tests.faults", machine, "--short", "--again", "30", "--seed", str(seed), "--json", str(figures)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=380, check=False)
    assert figures.exists(), done.stderr
    print(done.stdout)
    return done.returncode, json.loads(figures.read_text())


@pytest.mark.parametrize("machine", ["kills", "points", "cuts", "storage", "upsets", "order", "postgres"])
def test_nothing_acknowledged_is_lost(machine: str, tmp_path: Path) -> None:
    code, found = run(machine, tmp_path)
    assert found["acknowledged"]
    assert not any(found[name] for name in ("lost", "undelivered", "doubled", "refused", "wrong")), found
    assert code == 0


@pytest.mark.parametrize("machine", ["kills-control", "cuts-control-normal"])
def test_the_machine_sees_a_gateway_that_breaks_the_promise(machine: str, tmp_path: Path) -> None:
    # One cut or kill may spare by chance all that was not safe; several do not.
    for seed in range(1, 6):
        code, found = run(machine, tmp_path, seed)
        if found["lost"]:
            break
    assert found["lost"]
    assert code == 0


def test_a_mail_that_comes_again_is_the_same_mail() -> None:
    short, long = (Letter(channel="mail", token=token, text=f"{token}号") for token in ("10001", "10002"))
    for letter in (short, long):
        assert mail(letter) == mail(letter)
    assert len(mail(short)) < AHEAD_BYTES < len(mail(long))


def test_the_disk_keeps_what_was_synced_and_nothing_more() -> None:
    for seed in range(50):
        media, node = Media(), Node(0o100600)
        media.bind("/file", node)
        media.sync_folder("/")
        node.write(b"synced" * 200, 0)
        node.sync()
        node.write(b"loose!" * 200, 1200)
        how = media.cut(Random(seed))
        kept = bytes(media.names["/file"].data)
        assert kept[:1200] == b"synced" * 200
        assert len(kept) <= 2400
        if how == "nothing":
            assert len(kept) == 1200


def test_a_file_whose_folder_was_not_synced_may_be_gone() -> None:
    gone = 0
    for seed in range(50):
        media, node = Media(), Node(0o100600)
        media.bind("/file", node)
        node.write(b"x", 0)
        node.sync()
        media.cut(Random(seed))
        gone += "/file" not in media.names
    assert 0 < gone < 50


TRACE = """
7 recvfrom(9<TCP:[127.0.0.1:26000->127.0.0.1:5]>, "x\\r\\n.\\r\\n", 100, 0, NULL, NULL) = 6
8 fdatasync(4</s/gateway.db-wal> <unfinished ...>
7 sendto(9<TCP:[127.0.0.1:26000->127.0.0.1:5]>, "250 2.0.0 accepted as 1", 23, 0, NULL, 0) = 23
8 <... fdatasync resumed>) = 0
7 recvfrom(9<TCP:[127.0.0.1:26004->127.0.0.1:9]>, "x", 1, 0, NULL, NULL) = 1
"""


def test_a_sync_that_has_not_ended_when_the_answer_begins_does_not_count() -> None:
    early = TRACE.splitlines()
    assert answers(steps(early), 26000)["mail"] == [False]
    early[3], early[4] = early[4], early[3]
    assert answers(steps(early), 26000)["mail"] == [True]
