"""The harness on a plugin that is one file, in a process of its own: ``python -m gateway.testing.run JOB``.

The other end is ``gateway.testing.supervise``, which ends this process when a check takes too long and starts it again
behind that check. Lines of JSON go to the descriptor that the job names: stdout belongs to the plugin.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from gateway import i18n
from gateway.api import Malformed
from gateway.host import HOOKS, Host
from gateway.i18n import _
from gateway.plugfile import LOCAL, unsafe
from gateway.plughost.wire import Load
from gateway.testing import capture, examples, single
from gateway.testing.examples import Skipped, Subject
from gateway.testing.supervise import Job, Line, named


def main() -> None:
    """Run the checks of a job, from the one it names on."""
    job = msgspec.json.decode(sys.argv[1].encode(), type=Job)
    out = os.fdopen(job.out, "wb", buffering=0)
    os.dup2(2, 1)
    i18n.use(job.lang)  # type: ignore[arg-type]

    def say(line: Line) -> None:
        out.write(msgspec.json.encode(line) + b"\n")

    for number, (kind, check, function) in enumerate(_checks(job)):
        if number < job.start:
            continue
        say(Line(result="begins", kind=kind, check=check))
        for line in _tried(kind, check, function):
            say(line)


Check = tuple[str, str, Callable[[], Any]]


def _checks(job: Job) -> Iterator[Check]:
    """Loading comes first; what it finds decides the rest."""
    path = Path(job.file)
    found: list[Subject] = []
    yield named(path), "load", lambda: found.extend(_load(path, Path(job.settings) if job.settings else None))
    if not found:
        # The former process has loaded it, or it failed here: then there is nothing to go on with.
        try:
            found = _load(path, Path(job.settings) if job.settings else None)
        except AssertionError:
            return
    captures = [Path(name) for name in job.captures]
    for subject in found:
        for check, function in single.checks(subject):
            yield subject.kind, check, function
    for name in captures:
        yield from _replays(found, name)


def _load(path: Path, settings: Path | None) -> list[Subject]:
    """Every class of every hook, with settings and what the file's EXAMPLE says. AssertionError with the host's own words."""
    if refused := unsafe(path, path.resolve().parent):
        raise AssertionError(f"{path}:1: {named(path)}: {refused}")
    host = Host.load_one(Load(plugin=named(path), source=str(path), file=str(path.resolve())))
    if host.faults:
        raise AssertionError("\n".join(map(str, host.faults)))
    module = sys.modules[LOCAL + path.resolve().stem]
    return [examples.subject(hook, cls, module, settings) for hook in HOOKS for cls in host.kinds[hook].values()]


def _replays(found: list[Subject], path: Path) -> Iterator[Check]:
    """A captured message goes to every channel of its sort in the file."""
    try:
        raw = capture.load(path)
    except (Malformed, OSError) as error:
        told = str(error)
        yield path.name, "replay", lambda: single.fails(told)
        return
    channels = [subject for subject in found if subject.hook == "channels" and subject.cls.channel == raw.channel]
    if not channels:
        told = _("it came in by {channel}; the file has no such channel").format(channel=raw.channel)
        yield path.name, "replay", lambda: single.fails(told)
    for subject in channels:
        yield subject.kind, f"replay {path.name}", partial(single.shown, subject, raw)


def _tried(kind: str, check: str, function: Callable[[], Any]) -> Iterator[Line]:
    """Whatever goes wrong is told; of an unexpected exception only its kind, for its text may quote a message."""
    try:
        result = function()
        told = asyncio.run(_with_reactor(result)) if asyncio.iscoroutine(result) else result
    except Skipped as reason:
        yield Line(result="skipped", kind=kind, check=check, why=str(reason))
    except (AssertionError, Malformed) as error:
        yield Line(result="failed", kind=kind, check=check, why=str(error) or type(error).__name__)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False))
        yield Line(result="failed", kind=kind, check=check, why=faults)
    except (Exception, SystemExit) as error:
        yield Line(result="failed", kind=kind, check=check, why=_("raised {error}").format(error=type(error).__name__))
    else:
        yield Line(result="ok", kind=kind, check=check)
        for text in told or () if isinstance(told, list) else ():
            yield Line(result="output", kind=kind, check=check, why=text)


async def _with_reactor(work: Any) -> Any:
    """A plugin may use Twisted's endpoints: lend it a reactor on this very loop."""
    from twisted.internet.asyncioreactor import AsyncioSelectorReactor

    from gateway import aio

    aio.use(AsyncioSelectorReactor(asyncio.get_running_loop()))
    try:
        return await work
    finally:
        aio.use(None)


if __name__ == "__main__":
    main()
