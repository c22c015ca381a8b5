"""``check_router``, ``check_reader``, ``check_classifier``: what the plugins that only decide have to keep.

They are pure: the same question has the same answer, whoever asks, in whatever order; nothing that was handed in is
changed; no file, socket or process is touched. They raise on nothing, however odd, and repeat no word of a report in what an
operator or an audit line will show.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_args, get_type_hints

import msgspec

from gateway.api import Classification, Destination, Directory, Doubt, Incident, Match, Message, Moment, Report
from gateway.testing.quiet import CANARY, says, silent_about
from gateway.testing.samples import (
    boundary_moments,
    memory_directory,
    odd_classifications,
    odd_incidents,
    odd_messages,
    odd_reports,
)

CALL_SECONDS = 1.0
DUTIES = get_args(get_type_hints(Destination)["duty"])
EFFECTS = ("open", "socket.", "subprocess.", "os.system", "os.posix_spawn", "os.fork", "shutil.", "sqlite3.connect", "os.remove")
"""Names of audit events (PEP 578) that a pure function does not cause."""


def check_router(
    cls: type[Any],
    settings: Any,
    incidents: Sequence[Incident] = (),
    *,
    directory: Directory | None = None,
    moments: Sequence[Moment] = (),
) -> None:
    """Check a router class: with the author's ``incidents`` and with odd ones, at every moment that matters.

    Every office it names must be in ``directory`` (default: that of the example). Raises AssertionError with what failed.
    """
    known = directory or memory_directory()
    times, asked = list(moments) or boundary_moments(), [*incidents, *odd_incidents()]
    calls = [(incident, moment, known) for incident in asked for moment in times[:: 1 if len(asked) < 50 else 3]]
    with silent_about(CANARY):
        answers = _pure(cls, settings, "route", calls)
    for answer in answers:
        _listed("route", answer, Destination)
        for one in answer:
            assert known.office(one.office) is not None, f"route() names {one.office!r}, which is no office of the directory"
            assert one.duty in DUTIES, f"route() gives the duty {one.duty!r}; allowed: {', '.join(DUTIES)}"
            _told("route", "because", one.because)
        offices = [one.office for one in answer]
        assert len(offices) == len(set(offices)), "route() names an office twice; it gets one delivery, with one reason"
    assert any(answers), "route() names nobody, whatever the incident and the hour"


def check_reader(cls: type[Any], settings: Any, cases: Sequence[tuple[Message, Report]] = ()) -> None:
    """Check a reader class: with the author's cases and with odd ones. Raises AssertionError with what failed."""
    messages, reports = odd_messages(), odd_reports()
    calls = [*cases, *((message, report) for message in messages for report in reports)]
    with silent_about(CANARY):
        answers = _pure(cls, settings, "read", calls)
    for answer in answers:
        _listed("read", answer, Doubt)
        for one in answer:
            _doubt("read", one)


def check_classifier(cls: type[Any], settings: Any, cases: Sequence[tuple[Report, Classification]] = ()) -> None:
    """Check a classifier class: with the author's cases and with odd ones. It answers what is to be *added*: what the
    catalogue found is the host's and stays. Raises AssertionError with what failed."""
    calls = [*cases, *((report, found) for report in odd_reports() for found in odd_classifications())]
    with silent_about(CANARY):
        answers = _pure(cls, settings, "classify", calls)
    for answer in answers:
        _listed("classify", answer, Match, Doubt)
        for one in answer:
            if isinstance(one, Doubt):
                _doubt("classify", one)
                continue
            assert isinstance(one.item, str) and one.item.strip(), "classify() gives an item without a name"
            assert isinstance(one.why, tuple) and one.why, "classify() gives an item without saying why"
            for why in one.why:
                _told("classify", "why", why)


def _pure(cls: type[Any], settings: Any, method: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Ask everything twice, the second time backwards and of a fresh object, and compare; watch what the call does."""
    name = f"{method}()"
    before = _frozen(calls)
    first, second = cls("under-test", settings), cls("under-test", settings)
    answers = [_ask(getattr(first, method), name, call) for call in calls]
    with _watched() as effects:
        again = [_ask(getattr(second, method), name, call) for call in reversed(calls)][::-1]
        third = [_ask(getattr(first, method), name, call) for call in calls]
    assert _frozen(calls) == before, f"{name} changes what it is handed"
    assert [list(a) for a in answers] == [list(a) for a in again] == [list(a) for a in third], (
        f"{name} is not pure: the same question has another answer the second time"
    )
    assert not effects, f"{name} is not pure: it causes {', '.join(sorted(effects))}"
    return answers


def _ask(function: Callable[..., Any], name: str, call: tuple[Any, ...]) -> Any:
    started = time.monotonic()
    try:
        answer = function(*call)
    except Exception as error:
        raise AssertionError(f"{name} raised {type(error).__name__}; it must answer whatever it is asked") from None
    took = time.monotonic() - started
    assert took < CALL_SECONDS, f"{name} took {took:.1f} s; the desk waits for it, at most {CALL_SECONDS:g} s"
    assert isinstance(answer, Sequence) and not isinstance(answer, str | bytes), (
        f"{name} returned {type(answer).__name__}, no list"
    )
    return answer


def _frozen(calls: Sequence[tuple[Any, ...]]) -> bytes:
    return msgspec.json.encode(calls)


def _listed(method: str, answer: Sequence[Any], *kinds: type[Any]) -> None:
    names = " or ".join(kind.__name__ for kind in kinds)
    for one in answer:
        assert isinstance(one, kinds), f"{method}() gives {type(one).__name__}, not {names}"


def _doubt(method: str, doubt: Doubt) -> None:
    assert doubt.item is None or (isinstance(doubt.item, str) and doubt.item), f"{method}() gives a doubt about an empty item"
    _told(method, "because", doubt.because)


def _told(method: str, what: str, text: Any) -> None:
    assert isinstance(text, str) and text.strip(), f"{method}() gives no {what}: an officer must be told"
    assert not says(text, CANARY), f"{method}(): {what} repeats the report"


class _Watch(threading.local):
    seen: set[str] | None = None


_watch = _Watch()
_hooked = threading.Event()


@contextmanager
def _watched() -> Iterator[set[str]]:
    """The effects of what runs within, on this thread. An audit hook cannot be taken away again: it sleeps in between."""
    if not _hooked.is_set():
        _hooked.set()
        sys.addaudithook(_heard)
    seen: set[str] = set()
    _watch.seen = seen
    try:
        yield seen
    finally:
        _watch.seen = None


def _heard(event: str, _args: tuple[Any, ...]) -> None:
    if _watch.seen is not None and event.startswith(EFFECTS):
        _watch.seen.add(event)
