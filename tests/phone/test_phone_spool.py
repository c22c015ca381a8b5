"""The spool folder: whole files alone are taken, and a file leaves only after the commit."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway import i18n
from gateway.api import Malformed, StorageTrouble
from gateway_plugins import phone_transcript
from gateway_plugins.phone_transcript import PhoneSettings, PhoneTranscript
from tests.channel_fakes import CALL, TOKEN, FakeIntake, FakeServices


def channel(folder: Path, *, max_bytes: int = 10_000, **changed: object) -> PhoneTranscript:
    settings = PhoneSettings(port=0, spool=str(folder), **changed)  # type: ignore[arg-type]
    return PhoneTranscript("phone", settings, FakeServices(max_bytes=max_bytes, secrets={"phone-token": TOKEN}))


def put(folder: Path, name: str, body: bytes, *, age: float = 60) -> Path:
    """As a careful writer does: under another name, then renamed."""
    hidden = folder / f".{name}.tmp"
    hidden.write_bytes(body)
    os.utime(hidden, (time.time() - age, time.time() - age))
    return hidden.rename(folder / name)


async def test_a_renamed_file_is_taken_and_its_text_does_not_stay(tmp_path: Path) -> None:
    made, intake = channel(tmp_path), FakeIntake()
    put(tmp_path, "call.json", json.dumps(CALL).encode())
    assert await made.sweep(tmp_path, intake) == 1
    (raw,) = intake.messages
    assert (raw.sender, raw.carrier_id, raw.content_type) == ("+8613800000003", "c-17", "application/json")
    assert not (tmp_path / "call.json").exists()
    assert (tmp_path / "done" / "call.json").read_text() == "accepted as m1\n"
    assert await made.sweep(tmp_path, intake) == 0


async def test_files_are_kept_on_request_and_none_overwrites_another(tmp_path: Path) -> None:
    made, intake = channel(tmp_path, keep_files=True), FakeIntake()
    for text in ("一", "二"):
        put(tmp_path, "call.txt", text.encode())
        await made.sweep(tmp_path, intake)
    assert {path.read_text() for path in (tmp_path / "done").iterdir()} == {"一", "二"}


@pytest.mark.parametrize("name", [".call.json", "call.json.tmp", "call.json.part", "call.TMP", "call.json~"])
async def test_a_file_still_being_written_under_another_name_is_left(tmp_path: Path, name: str) -> None:
    made, intake = channel(tmp_path), FakeIntake()
    (tmp_path / name).write_bytes(b"half")
    os.utime(tmp_path / name, (1, 1))
    for _ in range(3):
        await made.sweep(tmp_path, intake)
    assert intake.messages == []
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("ahead", [0, 3600])
async def test_a_file_copied_in_slowly_is_taken_once_it_no_longer_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """However often it is looked at in between, and also where the writer's clock is ahead of ours."""
    made, intake, now = channel(tmp_path, settle_seconds=2), FakeIntake(), time.time()
    monkeypatch.setattr(phone_transcript, "time", SimpleNamespace(time=lambda: now))
    growing = tmp_path / "call.txt"
    for piece in ("河湾村", "塌方，", "两人被埋。"):
        with growing.open("a", encoding="utf-8") as opened:
            opened.write(piece)
        os.utime(growing, (now + ahead, now + ahead))
        for _ in range(3):
            await made.sweep(tmp_path, intake)
            assert intake.messages == []
            now += 0.6
    now += 1
    await made.sweep(tmp_path, intake)
    assert intake.messages[0].body.decode() == "河湾村塌方，两人被埋。"


async def test_storage_trouble_leaves_the_file_for_the_next_time(tmp_path: Path) -> None:
    made, intake = channel(tmp_path), FakeIntake()
    path = put(tmp_path, "call.txt", b"x")
    intake.trouble = True
    with pytest.raises(StorageTrouble):
        await made.sweep(tmp_path, intake)
    assert path.exists()
    intake.trouble = False
    assert await made.sweep(tmp_path, intake) == 1


async def test_a_file_that_cannot_be_read_is_taken_all_the_same(tmp_path: Path) -> None:
    made, intake = channel(tmp_path), FakeIntake()
    put(tmp_path, "broken.json", b'{"call_id": ')
    put(tmp_path, "recording.bin", bytes(range(256)) * 8)
    assert await made.sweep(tmp_path, intake) == 2
    for raw in intake.messages:
        with pytest.raises(Malformed):
            made.read(raw)


async def test_oldest_first(tmp_path: Path) -> None:
    made, intake = channel(tmp_path), FakeIntake()
    put(tmp_path, "a.txt", b"second", age=10)
    put(tmp_path, "b.txt", b"first", age=20)
    await made.sweep(tmp_path, intake)
    assert [raw.body for raw in intake.messages] == [b"first", b"second"]


async def test_over_size_is_set_aside_with_an_alarm(tmp_path: Path) -> None:
    made, intake = channel(tmp_path, max_bytes=100), FakeIntake()
    put(tmp_path, "huge.txt", b"x" * 101)
    assert await made.sweep(tmp_path, intake) == 0
    assert (tmp_path / "too_large" / "huge.txt").stat().st_size == 101
    assert made.services.alarms == [i18n._("a spooled file is over the limit of {limit} bytes").format(limit=100)]  # type: ignore[union-attr]


async def test_links_and_folders_are_no_files(tmp_path: Path) -> None:
    made, intake = channel(tmp_path), FakeIntake()
    (tmp_path / "sub.txt").mkdir()
    (tmp_path / "link.txt").symlink_to("/etc/hostname")
    await made.sweep(tmp_path, intake)
    assert intake.messages == []


async def test_what_lies_there_at_start_and_what_comes_later_is_taken(tmp_path: Path) -> None:
    made, intake = channel(tmp_path, spool_seconds=0.02), FakeIntake()
    put(tmp_path, "early.txt", b"early")
    await made.start(intake)
    put(tmp_path, "late.txt", b"late")
    async with asyncio.timeout(5):
        while len(intake.messages) < 2:
            await asyncio.sleep(0.01)
    await made.stop()


async def test_a_missing_folder_alarms_once_and_the_door_stays_open(tmp_path: Path) -> None:
    made = channel(tmp_path / "gone", spool_seconds=0.01)
    await made.start(FakeIntake())
    await asyncio.sleep(0.1)
    assert made.health().state == "up"
    await made.stop()
    assert len(made.services.alarms) == 1  # type: ignore[union-attr]


async def test_a_file_put_in_under_the_same_name_meanwhile_is_not_lost(tmp_path: Path) -> None:
    made, intake = channel(tmp_path), FakeIntake()
    put(tmp_path, "call.txt", b"first")
    intake.gate = asyncio.Event()
    sweep = asyncio.create_task(made.sweep(tmp_path, intake))
    await asyncio.sleep(0.1)
    put(tmp_path, "call.txt", b"second")
    intake.gate.set()
    await sweep
    await made.sweep(tmp_path, intake)
    assert [raw.body for raw in intake.messages] == [b"first", b"second"]
