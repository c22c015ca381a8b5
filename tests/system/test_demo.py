"""The main job, as a newcomer sees it: run, demo, four of four; then look around with the commands."""

from __future__ import annotations

import json

import pytest

from tests.system.gate import Gate


@pytest.fixture
def shown(gate: Gate) -> tuple[Gate, str]:
    gate.start()
    return gate, gate.run_command("demo")


def test_four_of_four_and_what_the_commands_say_after(shown: tuple[Gate, str]) -> None:
    gate, output = shown
    assert output.rstrip().splitlines()[-1] == "4/4 channels delivered"
    for word in ("accepted", "incident 〔", "catalogue", "offices for this hour", "mail sink:", "SMSC: SMS"):
        assert output.count(word) >= 4, word
    incidents = [json.loads(line) for line in gate.run_command("incidents", "--json").splitlines()]
    assert {"number", "title", "state", "items", "occurred", "next_step"} <= set(incidents[0])
    assert len(incidents) == 4
    assert all(i["items"] and i["state"] == "open" for i in incidents)
    messages = [json.loads(line) for line in gate.run_command("messages", "--json").splitlines()]
    assert {m["channel"] for m in messages} == {"sms", "email", "fax", "phone"}
    assert {m["state"] for m in messages} == {"read"}
    wanted = {"id", "channel", "via", "received_at", "sender", "carrier_id", "state", "incident"}
    assert all(wanted <= set(m) for m in messages)
    assert all(m["carrier_id"] for m in messages if m["channel"] in ("email", "phone"))
    deliveries = [json.loads(line) for line in gate.run_command("deliveries", "--json", "--limit", "500").splitlines()]
    wanted = {"id", "incident", "destination", "transport", "state", "attempts", "delivered_at", "acknowledged_by"}
    assert all(wanted <= set(d) for d in deliveries)
    assert {d["state"] for d in deliveries} == {"delivered"}
    assert all(d["delivered_at"].endswith("+08:00") for d in deliveries)


def test_an_acknowledgement_by_name_is_on_record(shown: tuple[Gate, str]) -> None:
    gate, _output = shown
    office = next(d for d in gate.ask("deliveries", limit=500) if d["office"] == "committee_duty_room")
    number = office["incident"].partition("-")[2]
    gate.run_command("incident", number, "ack", "--office", office["destination"], "--by", "李值班", code=1)
    person = gate.run_command("incident", number, "ack", "--office", office["destination"], "--by", "罗值班")
    assert "罗值班" in person
    gate.run_command("incident", "999", "ack", "--office", "市政府值班室", "--by", "李值班", code=1)
    assert "allowed" in gate.run_command("incident", number, "ack", "--office", "城管局", "--by", "李值班", code=1)
    gate.stop()
    gate.run_command("audit", "verify")
    tail = gate.run_command("audit", "tail", "-n", "1000")
    assert "acknowledged by 罗值班" in tail and "refused" in tail
    trail = gate.run_command("incident", number, "--trail")
    assert "acknowledged" in trail
    lines = (gate.state / "audit.jsonl").read_text().splitlines()
    assert all(line.endswith('"}') and '"prev":"' in line and '"hash":"' in line for line in lines)
