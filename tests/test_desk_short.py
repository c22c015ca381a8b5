"""A machine that has no descriptor, no memory or no process left for a moment: the report is read then, as what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway import desk, register
from gateway.desk import SHORT_TRIES
from gateway.judging import Judged, judge
from gateway.workers import NoWorker
from tests.test_desk import CRASH, FIRE, LONG, Office, office

__all__ = ["office"]

SHORT = [
    OSError(24, "Too many open files"), MemoryError(), RuntimeError("can't start new thread"),
    ImportError("libz.so: cannot open shared object file: Too many open files"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "RETRY_SECONDS", 0.0)


def failing(real: Callable[..., Any], fault: BaseException, times: int) -> Callable[..., Any]:
    """``real``, but for the first so many calls."""
    left = iter([fault] * times)

    def called(*args: Any, **kwargs: Any) -> Any:
        if (raised := next(left, None)) is not None:
            raise raised
        return real(*args, **kwargs)

    return called


@pytest.mark.parametrize("fault", SHORT, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize(("where", "name"), [(register, "take"), (desk, "judge")])
@pytest.mark.parametrize("times", [1, SHORT_TRIES])
async def test_a_shortage_that_passes_is_not_the_reports(
    office: Office, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, fault: BaseException, times: int
) -> None:
    monkeypatch.setattr(where, name, failing(getattr(where, name), fault, times))
    (row,) = await office.taken(office.accept(CRASH))
    assert row.state == "read" and office.incident(row).needs_person is None
    assert all("2人死亡" in office.text_of(one.id) for one in office.out(row.incident)) and office.out(row.incident)
    assert [event for event in office.events() if event.event == "alarm"] == []


@pytest.mark.parametrize(("where", "name"), [(register, "take"), (desk, "judge")])
async def test_one_that_does_not_pass_brings_the_report_to_a_person(
    office: Office, monkeypatch: pytest.MonkeyPatch, where: Any, name: str
) -> None:
    monkeypatch.setattr(where, name, failing(getattr(where, name), SHORT[0], SHORT_TRIES + 1))
    (row,) = await office.taken(office.accept(CRASH))
    assert row.state == "needs_person" and office.incident(row).needs_person


async def test_what_is_no_shortage_is_not_tried_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "take", failing(register.take, KeyError("wrong"), 1))
    (row,) = await office.taken(office.accept(CRASH))
    assert row.state == "needs_person"


@pytest.mark.parametrize("fault", [
    OSError("cannot identify the file"), OSError(36, "File name too long"), ValueError("odd"), RuntimeError("odd"), ImportError("none")
])
async def test_what_its_content_brings_about_is_said_at_once_and_the_rest_is_judged(
    office: Office, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    asked = []

    def read(_channel: Any, raw: Any) -> Any:
        asked.append(raw)
        raise fault

    monkeypatch.setattr(type(office.desk._channels["sms"]), "read", read)
    (row,) = await office.taken(office.accept(CRASH))
    assert len(asked) == 1
    assert row.state == "needs_person" and type(fault).__name__ in str(office.incident(row).needs_person)


async def test_others_go_on_meanwhile(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    real = register.take

    def take(tx: Any, house: Any, row: Any, ready: Any, now: Any) -> Any:
        if "清水湾" in ready.message.text and not office.out():
            raise SHORT[0]
        return real(tx, house, row, ready, now)

    monkeypatch.setattr(register, "take", take)
    first, second = await office.taken(office.accept(CRASH), office.accept(FIRE, sender="+8613800000003"))
    assert [first.state, second.state] == ["read", "read"] and office.incident(first).number > office.incident(second).number


@pytest.mark.parametrize("times", [1, SHORT_TRIES])
async def test_a_worker_that_cannot_be_started_is_waited_for(office: Office, times: int) -> None:
    class Pool:
        size, seconds = 1, 20.0
        called = 0

        async def judged(self, rules: Any, raw: Any, *, message: Any, flags: Any) -> Judged:
            self.called += 1
            if self.called <= times:
                raise NoWorker("no worker process could be started (OSError)")
            return judge(rules, raw, message, raw.meta, flags)

    office.desk._pools = {"parse": Pool(), "parse-later": Pool()}  # type: ignore[dict-item]
    (row,) = await office.taken(office.accept(LONG))
    assert row.state == "read" and office.incident(row).needs_person is None
