"""kill -9 at each step of a message's way, then a restart that delivers."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.system.gate import Gate, Sink, mail, send_mail
from tests.system.runner import STEPS

TEXT = "云台区政府办报告：今日8时许，云台区文昌街一家具厂发生火灾，造成1人死亡、2人受伤，明火已扑灭，原因正在调查。报告人：李军"


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_and_delivered_after_a_restart(gate: Gate, sink: Sink, step: str) -> None:
    gate.start(kill_at=step)
    assert b"accepted as" in send_mail(gate.base, mail(TEXT))
    assert gate.wait_dead() == -9
    gate.start()

    def settled() -> list[dict[str, object]]:
        rows = gate.ask("deliveries", limit=1000)
        mails = [r for r in rows if r["transport"] == "mail"]
        return rows if mails and all(r["state"] == "delivered" for r in mails) else []

    rows = gate.until(settled, "all mail deliveries are delivered")
    incidents = gate.ask("incidents")
    assert len(incidents) == 1, "one report, one incident, however often the step was repeated"
    seen = Counter(m["X-Gateway-Delivery"] for m in sink.mails)
    wanted = {r["id"] for r in rows if r["transport"] == "mail"}
    assert set(seen) == wanted, "nothing lost, and a repeat keeps its id"
    if step in ("accepted", "taking", "taken"):
        assert set(seen.values()) == {1}
    gate.stop()
    gate.run_command("audit", "verify")
    events = [json.loads(line)["event"] for line in (gate.state / "audit.jsonl").read_text().splitlines()]
    assert events.count("registered") == 1
    assert events.count("accepted") == 1


def test_messages_that_waited_are_taken_in_order_after_a_restart(gate: Gate, sink: Sink) -> None:
    gate.start(kill_at="accepted")
    with pytest.raises((AssertionError, OSError, EOFError, Exception)):
        for n in range(20):
            send_mail(gate.base, mail(f"{TEXT}（第{n}号）"))
    gate.wait_dead()
    accepted = 0
    gate.start()
    accepted = len(gate.ask("messages", limit=1000))
    assert accepted >= 1
    gate.until(lambda: all(m["state"] != "accepted" for m in gate.ask("messages", limit=1000)), "all are read")


def test_a_stop_in_order_leaves_nothing_in_the_air(gate: Gate, sink: Sink) -> None:
    gate.start()
    for n in range(5):
        send_mail(gate.base, mail(f"{TEXT}（编号{n}）", subject=f"火灾{n}"))
    gate.stop()
    gate.start()
    gate.until(
        lambda: (
            all(r["state"] == "delivered" for r in gate.ask("deliveries", limit=1000) if r["transport"] == "mail")
            and len(gate.ask("messages")) == 5
        ),
        "all delivered",
    )
    ids = Counter(m["X-Gateway-Delivery"] for m in sink.mails)
    assert set(ids.values()) == {1}


def test_the_clock_is_confirmed_in_the_daemon_alone_and_on_record(gate: Gate) -> None:
    assert "no daemon listens" in gate.run_command("clock", "confirm", code=1)
    gate.start()
    assert "trusted already" in gate.run_command("clock", "confirm")
    gate.stop()
    assert '"command":"clock confirm"' in (gate.state / "audit.jsonl").read_text("utf-8")
