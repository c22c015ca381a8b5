"""A captured message: what the file is, who may have it, and what a plugin makes of it."""

from __future__ import annotations

import base64
import json
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Malformed, Message, RawMessage, Settings
from gateway.testing import capture, replay
from tests.harness.plugins import fresh
from tests.system.gate import Gate

WORDS = "石桥县河湾村一处民房倒塌，两人被压。\x1b[31m报告人：李军"
PHONE = """
from types import SimpleNamespace
from gateway.api import Malformed, Message, Settings, hookimpl

class Calls:
    kind, channel, reads_in, Settings = "calls", "phone", "inline", Settings
    def __init__(self, name, settings, services=None): ...
    async def start(self, intake): ...
    async def stop(self): ...
    def health(self):
        return SimpleNamespace(state="up", detail="")
    def read(self, raw):
        if raw.body.startswith(b"{"):
            raise Malformed("byte 0: is no text")
        return Message(text=raw.body.decode("utf-8", "replace"), subject=raw.meta.get("caller", ""), flags=("transcribed",))

@hookimpl
def channels():
    return [Calls]
"""


def raw(**changes: object) -> RawMessage:
    made: dict[str, object] = {
        "channel": "phone", "via": "phone", "received_at": datetime(2026, 3, 6, tzinfo=UTC), "sender": "+8613800000003",
        "body": WORDS.encode(), "content_type": "text/plain", "carrier_id": "c-1", "meta": {"caller": "x"},
    }  # fmt: skip
    return RawMessage(**{**made, **changes})  # type: ignore[arg-type]


@given(body=st.binary(max_size=200), sender=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read_again(body: bytes, sender: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("capture") / "one.json"
    capture.write(path, raw(body=body, sender=sender))
    assert capture.load(path) == raw(body=body, sender=sender)


@given(
    data=st.one_of(
        st.binary(max_size=300), st.dictionaries(st.text(max_size=9), st.text(max_size=9)).map(lambda d: json.dumps(d).encode())
    )
)
@settings(max_examples=100, deadline=None)
def test_any_other_file_is_malformed(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("capture") / "one.json"
    path.write_bytes(data)
    with pytest.raises(Malformed, match=r"one\.json: "):
        capture.load(path)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": "other"}, "is other version 1; allowed: gateway-capture version 1"),
        ({"version": 2}, "allowed: gateway-capture version 1"),
        ({"channel": "pigeon"}, "pigeon"),
        ({"received_at": "2026-03-06T08:00:00"}, "received_at: has no offset"),
        ({"body": "%%"}, "body"),
        ({"part": {"ref": "1"}}, "part"),
    ],
)
def test_a_changed_file_is_told_with_where(changes: dict[str, object], why: str, tmp_path: Path) -> None:
    from gateway import i18n

    path = tmp_path / "one.json"
    capture.write(path, raw())
    path.chmod(0o600)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    i18n.use("en")
    try:
        with pytest.raises(Malformed) as caught:
            capture.load(path)
    finally:
        i18n.use("zh")
    assert why in str(caught.value)
    assert WORDS not in str(caught.value)


def test_the_file_is_its_owners_and_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    capture.write(path, raw())
    assert path.stat().st_mode & 0o777 == 0o600
    assert base64.b64decode(json.loads(path.read_text())["body"]) == WORDS.encode()
    with pytest.raises(FileExistsError):
        capture.write(path, raw())
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        capture.write(tmp_path / "link", raw())
    assert not (tmp_path / "elsewhere").exists()


def test_replay_in_an_authors_test(tmp_path: Path) -> None:
    cls = fresh("channel").FreshChannel
    path = tmp_path / "one.json"
    capture.write(path, raw(channel="sms"))
    assert replay(cls, cls.Settings(), path) == Message(text=WORDS)
    with pytest.raises(Malformed, match="byte 0"):
        replay(cls, cls.Settings(), raw(body=b"\xff"))

    class Raises(cls):  # type: ignore[misc, valid-type]
        def read(self, raw: RawMessage) -> Message:
            raise KeyError(raw.body.decode())

    with pytest.raises(AssertionError, match="raised KeyError") as caught:
        replay(Raises, Settings(), raw())
    assert "民房" not in str(caught.value)


def post(gate: Gate, text: str, call: str) -> str:
    headers = {"Authorization": f"Bearer {gate.secret('phone-token')}", "Content-Type": "text/plain", "X-Call-Id": call,
               "X-Caller": "+8613800000003"}  # fmt: skip
    asked = urllib.request.Request(f"http://127.0.0.1:{gate.base + 2}/phone", text.encode(), headers)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return str(json.load(answer)["id"])


def test_from_the_register_into_a_plugin_under_work(gate: Gate, tmp_path: Path) -> None:
    gate.start()
    plain, marked = post(gate, WORDS, "c-1"), post(gate, "机密★10年\n" + WORDS, "c-2")

    def states() -> dict[str, str]:
        return {message["id"]: message["state"] for message in gate.ask("messages")}

    gate.until(lambda: "accepted" not in states().values(), "both are taken by the desk")
    assert states()[marked] == "quarantined"
    plugin, kept = tmp_path / "calls.py", tmp_path / "one.json"
    plugin.write_text(PHONE, "utf-8")

    gate.run_command("message", plain, "--capture", str(kept))
    assert kept.stat().st_mode & 0o777 == 0o600
    assert capture.load(kept).body == WORDS.encode()
    assert capture.load(kept).carrier_id == "c-1"
    gate.until(lambda: '"event":"opened"' in (gate.state / "audit.jsonl").read_text("utf-8"), "who opened it is on record")

    shown = gate.run_command("plugins", "test", str(plugin), "--replay", str(kept), conf=False)
    assert "ok      calls  replay one.json" in shown
    assert "    text: 石桥县河湾村一处民房倒塌，两人被压。\ufffd[31m报告人：李军" in shown
    assert "    flags: transcribed" in shown
    before = len(gate.ask("messages"))
    assert before == 2, "a replay writes nothing anywhere"

    # A second time, a message that nobody here may read, and files that are none.
    told = gate.run_command("message", plain, "--capture", str(kept), code=2)
    assert "one.json is there already" in told
    told = gate.run_command("message", marked, "--capture", str(tmp_path / "two.json"), code=1)
    assert "sealed for the confidential bureau" in told
    assert not (tmp_path / "two.json").exists()
    gate.run_command("message", plain, "--capture", str(tmp_path / "no" / "where.json"), code=2)
    gate.run_command("message", plain, "--raw", "--capture", str(tmp_path / "two.json"), code=2)

    kept.unlink()
    capture.write(kept, raw(channel="sms"))
    told = gate.run_command("plugins", "test", str(plugin), "--replay", str(kept), conf=False, code=1)
    assert "it came in by sms; the file has no such channel" in told
    kept.write_text("{}")
    assert "replay: " in gate.run_command("plugins", "test", str(plugin), "--replay", str(kept), conf=False, code=1)
    kept.unlink()
    capture.write(kept, raw(body=b"{}"))
    told = gate.run_command("plugins", "test", str(plugin), "--replay", str(kept), conf=False, code=1)
    assert "failed  calls  replay one.json: byte 0: is no text" in told


@pytest.fixture
def gate(tmp_path: Path) -> object:
    made = Gate(tmp_path)
    yield made
    made.stop()
