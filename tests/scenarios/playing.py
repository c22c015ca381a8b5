"""Plays the scenarios of this folder on the example configuration, or on one that NAME.edit changes.

``python -m tests.scenarios.playing NAME…`` writes NAME.expected anew (all, where none is named). What it writes is to be read
word by word before it is committed: it is what a duty office would see.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from gateway import explain, house
from gateway.conf_load import load
from gateway.host import Host
from gateway.house import House
from gateway.simulate import run
from tests.scenarios import timeline

HERE = Path(__file__).parent
CONF = HERE.parents[1] / "conf"
NAMES = sorted(path.stem for path in HERE.glob("*.jsonl"))
MANY = 5000
"""Events from which a time line is counted."""


def house_of(name: str) -> House:
    """The house a scenario is played in. NAME.edit holds lines ``file | what stands there | what shall stand there``."""
    edit = HERE / f"{name}.edit"
    with tempfile.TemporaryDirectory() as made:
        conf = Path(made) / "conf"
        shutil.copytree(CONF, conf, ignore=shutil.ignore_patterns("state"))
        for line in edit.read_text("utf-8").splitlines() if edit.exists() else ():
            file, old, new = (part.strip() for part in line.split(" | "))
            before = (conf / file).read_text("utf-8")
            assert old in before, f"{edit.name}: {old!r} is not in {file}"
            (conf / file).write_text(before.replace(old, new), "utf-8")
        return house.build(load(conf, Host.load(conf)), bureau_public=explain.throwaway_key())


def played(name: str, made: House) -> list[str]:
    """The time line of a scenario."""
    lines = (HERE / f"{name}.jsonl").read_text("utf-8").splitlines()
    events = list(run(made, lines))
    return timeline.counted(events) if len(events) > MANY else timeline.lines(events)


def main(names: list[str]) -> None:
    """Write what is expected anew."""
    plain = house_of("")
    for name in names or NAMES:
        made = house_of(name) if (HERE / f"{name}.edit").exists() else plain
        (HERE / f"{name}.expected").write_text("\n".join(played(name, made)) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
