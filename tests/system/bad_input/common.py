"""What the tests of bad input share: what became of a message, who was told, and texts to send."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tests.system.gate import Gate

LIMIT = 300_000
WORD = "雁栖沟"
"""Stands in every report here, and must stand in no log."""


def rows(gate: Gate) -> list[dict[str, Any]]:
    return gate.ask("messages", limit=10_000)  # type: ignore[no-any-return]


def became(gate: Gate, answer: bytes | str) -> dict[str, Any]:
    """What became of the message that was ``accepted as`` an id."""
    said = answer.decode() if isinstance(answer, bytes) else answer
    found = said.rpartition(" ")[2]
    return gate.until(lambda: (shown := gate.ask("message", id=found))["state"] != "accepted" and shown, "it is read")  # type: ignore[no-any-return]


def incident(gate: Gate, message: dict[str, Any]) -> dict[str, Any]:
    assert message["incident"], message
    return gate.ask("incident", number=message["incident"])  # type: ignore[no-any-return]


def a_person_hears(gate: Gate, message: dict[str, Any]) -> None:
    """It needs a person, and an office has been told so by mail."""
    assert message["state"] == "needs_person", message
    assert incident(gate, message)["needs_person"]

    def told() -> bool:
        found = gate.ask("deliveries", incident=message["incident"], limit=1000)
        return any(d["duty"] == "receive" and d["state"] == "delivered" for d in found)

    gate.until(told, "an office has been told")


def storage_alarms(gate: Gate) -> int:
    lines = (gate.state / "audit.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    return sum(event["event"] == "alarm" and event["data"].get("what") == "storage" for event in events)


def report(n: int = 0) -> str:
    return f"石桥县报告：3月{n % 27 + 1}日9时许，{WORD}{n}号民房倒塌，造成2人死亡、3人受伤，原因正在调查。报告人：李军"


def call(call_id: str, words: str) -> dict[str, Any]:
    said = [{"speaker": "来电人", "start": 0, "end": 5, "text": words}] if words else []
    return {"call_id": call_id, "caller": "0999-8820003", "called": "0999-110", "segments": said}


def changed(sm: Any, **changes: Any) -> Any:
    """A deliver_sm with other fields."""
    return msgspec.structs.replace(sm, **changes)
