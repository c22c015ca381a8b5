"""The log: one line an event in each form, city time with offset, and not a word of what came in."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import logs
from gateway.conf_edit import set_key
from gateway.settings_care import LogSection
from tests.system.gate import Gate, Sink, mail, post_phone, send_mail

ZONE = ZoneInfo("Asia/Shanghai")
CANARY = "赤松岭七三一九行动"
PHONE = "13877776666"
AT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00"


def record(
    name: str, text: str, *args: object, level: int = logging.INFO, error: BaseException | None = None
) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, level, "/x/desk.py", 12, text, args, info)


def raised(text: str) -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_each_form_of_a_line() -> None:
    made = record("gateway.desk", "lane %s: trouble", "sms", level=logging.WARNING)
    assert re.fullmatch(rf"{AT} WARNING gateway\.desk lane sms: trouble", logs.Line("text", ZONE).format(made))
    assert logs.Line("journald", ZONE).format(made) == "<4>gateway.desk: lane sms: trouble"
    shown = json.loads(logs.Line("json", ZONE).format(made))
    assert (shown["level"], shown["logger"], shown["text"]) == ("warning", "gateway.desk", "lane sms: trouble")
    assert datetime.fromisoformat(shown["at"]).utcoffset() == datetime.now(ZONE).utcoffset()
    levels = [logs.Line("journald", ZONE).format(record("gateway", "x", level=n))[:3] for n in (10, 20, 30, 40, 50, 5)]
    assert levels == ["<7>", "<6>", "<4>", "<3>", "<2>", "<7>"]


@pytest.mark.parametrize("kind", ["text", "json", "journald"])
def test_texts_of_others_and_messages_of_exceptions_stay_out(kind: logs.Form) -> None:
    line = logs.Line(kind, ZONE)
    told = [
        record("asyncio", f"Task exception was never retrieved\nfuture: <Task exception=ValueError('{CANARY}')>"),
        record("mail.log", "peer said %r", CANARY),
        record("py.warnings", CANARY),
        record("some_plugin", "cannot read %s", CANARY, error=raised(CANARY)),
        record("gateway.desk", "failed", error=raised(CANARY)),
        record("gateway.desk", "%d", CANARY),
        record("gateway.desk", "call %s back", PHONE),
    ]
    for one in told:
        shown = line.format(one)
        assert CANARY not in shown and PHONE not in shown and "\n" not in shown
    assert "ValueError at test_logs.py:" in line.format(told[4]) and "138****6666" in line.format(told[6])


@given(st.text(st.characters(codec=None)), st.sampled_from(["text", "json", "journald"]))
def test_any_text_is_one_line_that_can_be_written(text: str, kind: logs.Form) -> None:
    shown = logs.Line(kind, ZONE).format(record("gateway.x", "%s", text))
    assert len(shown.splitlines()) == 1 and shown.encode()
    if kind == "json":
        assert set(json.loads(shown)) == {"at", "level", "logger", "text"}


def test_journald_is_known_by_its_stream(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        found = os.fstat(stream.fileno())
        ours = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert logs.form("auto", ours, stream) == "journald"
        assert logs.form("auto", {"JOURNAL_STREAM": "1:2"}, stream) == logs.form("auto", {}, stream) == "text"
        assert logs.form("json", ours, stream) == "json"


@pytest.fixture
def untouched() -> Iterator[None]:
    """Puts back what ``set_up`` changes in this process."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook, sys.unraisablehook, logging.raiseExceptions)
    handlers, level = list(root.handlers), root.level
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook, logging.raiseExceptions = hooks
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_what_nobody_caught_is_told_without_its_message(tmp_path: Path, untouched: None) -> None:
    path = tmp_path / "log"
    with path.open("w") as stream:
        logs.set_up(LogSection(format="json"), "Asia/Shanghai", stream=stream)
        error = raised(CANARY)
        sys.excepthook(ValueError, error, error.__traceback__)
        thread = threading.Thread(target=lambda: raised(CANARY) and 1 / 0)
        thread.start()
        thread.join()
        from twisted.logger import Logger

        try:
            raise ValueError(CANARY)
        except ValueError:
            Logger("peer").failure(f"about {CANARY}")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["logger"] for line in lines][:2] == ["gateway.uncaught"] * 2 and len(lines) >= 2
    assert CANARY not in path.read_text() and "ZeroDivisionError at test_logs.py" in path.read_text()


@pytest.mark.parametrize("form", ["text", "json", "journald"])
def test_no_word_of_a_report_is_in_the_daemons_log(gate: Gate, sink: Sink, form: str) -> None:
    conf = gate.conf / "gateway.toml"
    conf.write_text(set_key(set_key(conf.read_text(), ("log", "format"), form), ("log", "level"), "debug"))
    gate.start()
    told = f"今日9时10分，云台区清水湾路口两车相撞，造成2人死亡。代号{CANARY}，电话{PHONE}。"
    send_mail(gate.base, mail(told))
    send_mail(gate.base, mail(f"机密★10年\n{told}"))
    send_mail(gate.base, f"Subject: {CANARY}\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\xff{CANARY}".encode())
    send_mail(gate.base, mail(CANARY * 2000))
    call = {"call_id": "c1", "caller": PHONE, "called": "0999-110", "started_at": "2026-03-06T09:00:00+08:00",
            "segments": [{"speaker": "来电人", "start": 0, "end": 3, "text": told}]}  # fmt: skip
    assert post_phone(gate.base + 2, gate.secret("phone-token"), call)[0] == 200
    post_phone(gate.base + 2, gate.secret("phone-token"), {**call, "segments": CANARY})

    def settled() -> bool:
        rows = gate.ask("messages", limit=100)
        return len(rows) >= 5 and all(row["state"] != "accepted" for row in rows)

    gate.until(settled, "all is read")
    gate.until(lambda: sink.mails, "something was delivered")
    gate.stop()
    text = gate.log.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) > 2 and CANARY not in text and PHONE not in text
    assert not any(secret.read_text().strip() in text for secret in (gate.conf / "secrets").glob("*-token"))
    for line in lines:
        if form == "json":
            shown = json.loads(line)
            assert re.fullmatch(AT, shown["at"])
        else:
            assert re.match(AT + r" [A-Z]+ \S+ " if form == "text" else r"<[2-7]>[\w.-]+: ", line), line
