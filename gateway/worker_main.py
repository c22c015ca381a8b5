"""The process at the other end of ``gateway.workers``: reads jobs from stdin, writes answers to stdout, one at a time.

``python -m gateway.worker_main MEMORY_MB NICE``. Anything that a library prints goes to stderr, so that it cannot break a frame.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import resource
import signal
import sys
from functools import lru_cache
from types import ModuleType
from typing import Any, BinaryIO

import msgspec

from gateway.confine import leave_no_core, stand_back
from gateway.core.errors import Malformed, TooLarge
from gateway.judging import Packed, Rules, judge
from gateway.shortage import is_short
from gateway.telling import unquoted
from gateway.workers import FRAME, LARGEST_FRAME, Done, Job, ReadSpec, Ready

OPEN_FILES = 256
CPU_GRACE = 2
WALL_GRACE = 5.0
SPENT_SHARE = 0.7

_job = msgspec.msgpack.Decoder(Job)
_encode = msgspec.msgpack.Encoder().encode


def main() -> None:
    """Serve until stdin closes."""
    memory = int(sys.argv[1]) * 1024 * 1024
    jobs = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    _limit(memory, int(sys.argv[2]))
    _write(answers, Ready(pid=os.getpid()))
    while (frame := _frame(jobs)) is not None:
        done = _serve(frame, memory)
        _write(answers, msgspec.structs.replace(done, rules=next(iter(_rules), "")))


def _limit(memory: int, nice: int) -> None:
    """Limits that hold for the life of the process. Processor time is set for each call."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    leave_no_core()
    stand_back(nice)


def _serve(frame: bytes, memory: int) -> Done:
    """One job. Whatever goes wrong is told by its kind alone: an exception's text may hold a part of the message."""
    try:
        job = _job.decode(frame)
        _allow(job.seconds)
        if job.rules is not None and job.rules.data:
            _take_over(job.rules)
        done = _done(job)
        return _fitting(msgspec.structs.replace(done, spent=_resident() > memory * SPENT_SHARE))
    except (Malformed, TooLarge) as error:
        return Done(why=f"{type(error).__name__}: {unquoted(str(error), job.raw.body)}")
    except MemoryError:
        return Done(why="reading needed more memory than allowed", spent=True)
    except RecursionError:
        return Done(why="the content is nested too deeply", spent=True)
    except Exception as error:
        return Done(why=f"reading failed ({type(error).__name__})", short=is_short(error))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _done(job: Job) -> Done:
    """What was asked for. Raises whatever the channel raises."""
    message = job.message
    if message is None:
        assert job.spec is not None
        channel = _channel(job.spec)
        if job.vouch:
            return Done(flags=tuple(str(flag) for flag in channel.vouch(job.raw)))
        if job.page:
            return Done(picture=channel.picture(job.raw, job.page))
        message = channel.read(job.raw)
    if job.rules is None:
        return Done(message=message)
    rules = _rules[job.rules.name]
    try:
        return Done(judged=judge(rules, job.raw, message, job.raw.meta, job.flags))
    except MemoryError:
        raise
    except Exception as error:
        if is_short(error):
            raise
        return Done(odd=type(error).__name__)


_rules: dict[str, Rules] = {}
"""The rules that messages are judged by, under their name: one set, as the daemon sent it last."""


def _take_over(packed: Packed) -> None:
    """Judge by other rules from now on. A process that cannot ends."""
    try:
        rules = packed.unpacked()
    except BaseException:
        sys.exit("the rules cannot be read")
    _rules.clear()
    _rules[packed.name] = rules


def _allow(seconds: float) -> None:
    """Processor time for this call, and an alarm clock: should the daemon be gone, a hanging read still ends."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cores = os.cpu_count() or 1
    until = int(usage.ru_utime + usage.ru_stime + seconds * cores) + CPU_GRACE
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_REAL, seconds + WALL_GRACE)


def _fitting(done: Done) -> Done:
    """``done`` itself, or the reason why it cannot be sent."""
    try:
        size = len(_encode(done))
    except (UnicodeEncodeError, TypeError, OverflowError) as error:
        return Done(why=f"the message cannot be handed over ({type(error).__name__})")
    return done if size <= LARGEST_FRAME else Done(why=f"the message is over {LARGEST_FRAME} bytes", spent=True)


@lru_cache(maxsize=32)
def _channel(spec: ReadSpec) -> Any:
    """The channel object, built once for each configured channel."""
    found: Any = _module(spec)
    for attr in spec.attr.split("."):
        found = getattr(found, attr)
    settings = found.Settings.model_validate_json(spec.settings)
    return found(spec.name, settings, None)


def _module(spec: ReadSpec) -> ModuleType:
    """The plugin's module by its name, else from its file."""
    try:
        return importlib.import_module(spec.module)
    except ModuleNotFoundError as error:
        if spec.path is None or error.name != spec.module.partition(".")[0]:
            raise
    made = importlib.util.spec_from_file_location(spec.module, spec.path)
    if made is None or made.loader is None:
        raise ModuleNotFoundError(spec.module)
    module = importlib.util.module_from_spec(made)
    sys.modules[spec.module] = module
    made.loader.exec_module(module)
    return module


def _resident() -> int:
    """Bytes of memory in use now (Linux)."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def _frame(stream: BinaryIO) -> bytes | None:
    """The next frame; None at the end of the stream."""
    head = stream.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    return stream.read(FRAME.unpack(head)[0])


def _write(stream: BinaryIO, value: msgspec.Struct) -> None:
    frame = _encode(value)
    stream.write(FRAME.pack(len(frame)) + frame)
    stream.flush()


if __name__ == "__main__":
    main()
