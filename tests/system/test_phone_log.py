"""``gateway phone-log``: the clerk's form on its way through a real daemon, and without one."""

from __future__ import annotations

import contextlib
import json
import pwd
from os import getuid

import pytest

from tests.system.gate import Gate

TEXT = "今日8时15分许，石桥县河湾村一处民房倒塌，造成1人死亡、2人受伤，原因正在调查。"
FORM = {"caller": "0999-8811004", "unit": "石桥县政府办", "name": "周明远", "text": TEXT, "clerk": "李值班", "call_id": "c-17"}
LOGIN = pwd.getpwuid(getuid()).pw_name


def logged(gate: Gate, form: dict[str, str] = FORM, code: int = 0) -> str:
    return gate.run_command("phone-log", "--file", "-", "--json", data=json.dumps(form).encode(), code=code)


def test_a_form_becomes_an_incident_and_names_its_clerk_and_login(gate: Gate) -> None:
    gate.start()
    done = json.loads(logged(gate))
    incidents = gate.until(lambda: gate.ask("incidents"), "the call is an incident")
    assert len(incidents) == 1
    (message,) = gate.ask("messages")
    assert (message["id"], message["channel"], message["via"], message["sender"]) == (done["id"], "phone", "phone-log", "0999-8811004")
    assert message["carrier_id"] == "c-17"
    again = json.loads(logged(gate))
    assert again["duplicate_of"] == done["id"], "the same call_id is the same call"
    gate.stop()
    gate.run_command("audit", "verify")
    log = (gate.state / "audit.jsonl").read_text()
    events = [json.loads(line) for line in log.splitlines()]
    noted = [event for event in events if event["event"] == "phone_logged"]
    assert [(event["by"], event["data"]["clerk"], event["data"]["via"]) for event in noted] == [(LOGIN, "李值班", "phone-log")] * 2
    assert "河湾村" not in log
    assert len(gate.state.joinpath("audit.jsonl").read_text().split('"registered"')) == 2


def test_without_a_daemon_it_is_stored_and_taken_at_the_next_start(gate: Gate) -> None:
    done = json.loads(logged(gate))
    gate.start()
    gate.until(lambda: gate.ask("incidents"), "the call is an incident")
    assert [message["id"] for message in gate.ask("messages")] == [done["id"]]


def test_killed_after_the_answer_nothing_is_lost(gate: Gate) -> None:
    gate.start(kill_at="accepted")
    with contextlib.suppress(AssertionError):  # the daemon dies after the commit: it may or may not still have said so
        logged(gate)
    assert gate.wait_dead() == -9
    gate.start()
    again = json.loads(logged(gate))
    gate.until(lambda: gate.ask("incidents"), "the call is an incident")
    assert again["duplicate_of"], "the first try was on stable storage; the second is linked to it"
    assert len(gate.ask("incidents")) == 1


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"caller": " "}, "$.caller: is empty"),
        ({"text": ""}, "$.text: is empty"),
        ({"started_at": "yesterday"}, "is no time"),
        ({"colour": "red"}, "unknown field"),
    ],
)
def test_what_is_wrong_with_a_form_is_told_and_nothing_is_stored(gate: Gate, changed: dict[str, str], error: str) -> None:
    said = logged(gate, FORM | changed, code=2 if "started_at" in changed else 1)
    assert error in said
    assert gate.run_command("messages", "--json") == ""


def test_questions_are_asked_and_a_file_is_read(gate: Gate) -> None:
    answers = f"石桥县政府办\n周明远\n\n0999-8811004\n2026-11-23T09:21\n{TEXT}\n\n李值班\n"
    assert "accepted as" in gate.run_command("phone-log", data=answers.encode()), "the number is asked for again when it is left out"
    (gate.conf / "form.json").write_text(json.dumps(FORM), encoding="utf-8")
    assert "accepted as" in gate.run_command("phone-log", "--file", str(gate.conf / "form.json"))
    assert "is not JSON" in gate.run_command("phone-log", "--file", str(gate.conf / "gateway.toml"), code=2)
    assert len(gate.run_command("messages", "--json").splitlines()) == 2


def test_without_its_channel_the_command_says_what_to_add(gate: Gate) -> None:
    path = gate.conf / "channels.d" / "phone.toml"
    path.write_text(path.read_text("utf-8").replace('kind = "phone_log"\nenabled = true', 'kind = "phone_log"\nenabled = false'), "utf-8")
    assert '[channel.phone-log] with kind = "phone_log"' in logged(gate, code=1)
