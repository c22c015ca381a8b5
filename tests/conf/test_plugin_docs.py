"""docs/plugins.md: its channel works as it is printed, and its tables name every hook and member."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import api, testing
from gateway.api import Malformed, RawMessage, StorageTrouble, TooLarge
from gateway.host import HOOKS, Host, protocol_of

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]


class FakeIntake:
    def __init__(self) -> None:
        self.taken: list[RawMessage] = []
        self.trouble: Exception | None = None

    async def accept(self, raw: RawMessage) -> Any:
        if self.trouble:
            raise self.trouble
        self.taken.append(raw)
        return SimpleNamespace(id=f"m{len(self.taken)}", duplicate_of=None)


@pytest.fixture
def channel(tmp_path: Path) -> Any:
    (tmp_path / "plugins.d").mkdir()
    (tmp_path / "plugins.d" / "line.py").write_text(CODE, encoding="utf-8")
    host = Host.load(tmp_path)
    assert [f for f in host.faults if f.file.startswith("plugins.d")] == []
    cls = host.kinds["channels"]["line_tcp"]
    services = SimpleNamespace(now=lambda: datetime(2026, 3, 5, 10, 0, tzinfo=UTC), max_bytes=1000)
    return cls("line", cls.Settings(port=0), services)


async def test_the_printed_channel_works(channel: Any) -> None:
    intake = FakeIntake()
    await channel.start(intake)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", channel.server.sockets[0].getsockname()[1])
        answers = []
        for trouble in (None, StorageTrouble("disk"), TooLarge("1000 bytes")):
            intake.trouble = trouble
            writer.write("平安县一处仓库起火，无人员伤亡。\r\n".encode())
            answers.append(await asyncio.wait_for(reader.readline(), 5))
        writer.close()
    finally:
        await channel.stop()
    assert answers == [b"OK m1\n", b"LATER\n", b"TOO LARGE\n"]
    assert [channel.read(raw).text for raw in intake.taken] == ["平安县一处仓库起火，无人员伤亡。"]
    assert intake.taken[0].via == "line"
    assert channel.health().state == "up"


async def test_what_is_not_utf8_is_malformed(channel: Any) -> None:
    raw = RawMessage(
        channel="sms", via="line", received_at=datetime.now(UTC), sender="x", body=b"ok \xff", content_type="text/plain"
    )
    with pytest.raises(Malformed, match="byte 3"):
        channel.read(raw)


def test_the_printed_channel_is_short() -> None:
    lines = [line for line in CODE.splitlines() if line.strip()]
    assert len(lines) <= 50


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_and_member_is_in_the_table(hook: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{hook}()`"))
    protocol = protocol_of(hook)
    members = [name for name in (*protocol.__annotations__, *vars(protocol)) if not name.startswith("_")]
    assert [name for name in members if name not in row] == []


def test_every_name_that_the_page_gives_code_style_to_is_public() -> None:
    names = set(re.findall(r"`([A-Z][A-Za-z]+)[`(]", PAGE)) - {"CONF", "True"}
    assert [name for name in names if not hasattr(api, name) and name not in testing.__all__] == []
