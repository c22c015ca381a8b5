"""HylaFAX (fax_jobs): the fax server that ``to_fax`` sends through, and what became of each fax, as receipts of our deliveries.

hfaxd takes a job in a moment and dials for minutes; it says nothing afterwards, so its queue of done jobs is looked at now
and then. Protocol: ``gateway_plugins.faxout.hfaxd``. Nothing comes in by this channel but receipts; ``fax_mail`` takes faxes that
arrive.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, ClassVar, Literal, TypeVar

from gateway.api import (
    Channel,
    Delivered,
    Field,
    Intake,
    Malformed,
    Message,
    Outcome,
    RawMessage,
    Receipt,
    Refused,
    SecretName,
    Services,
    Settings,
    StorageTrouble,
    TryLater,
    _,
    hookimpl,
)
from gateway_plugins.faxout.hfaxd import Entry, Job, Server, Session, Trouble

T = TypeVar("T")
MOST_SECONDS = 20.0
"""For all commands of one submission: below dispatch's own time for a try."""


class FaxJobsSettings(Settings):
    """``[channel.NAME]`` with ``kind = "fax_jobs"``."""

    host: str = Field("127.0.0.1", description="name or address of the HylaFAX server")
    port: int = Field(4559, ge=1, le=65535, description="port of hfaxd")
    user: str = Field("gateway", pattern=r"^[A-Za-z0-9._-]{1,32}$", description="account at hfaxd (faxadduser)")
    password: SecretName | Literal[""] = Field("", description="name of the secret that holds its password; empty: none")
    modem: str = Field("any", pattern=r"^[A-Za-z0-9._-]{1,32}$", description="modem or group of modems to send by")
    give_up_minutes: int = Field(15, ge=1, le=1440, description="a fax that has not gone through by then has failed")
    max_dials: int = Field(6, ge=1, le=100, description="times the number is dialled")
    max_tries: int = Field(3, ge=1, le=100, description="calls that were answered and failed all the same")
    poll_seconds: float = Field(20, gt=0, le=600, description="how often we ask what became of our jobs")
    timeout_seconds: float = Field(8, gt=0, le=20, description="for each command")


class FaxJobs:
    """The fax server. Submissions and looks at the queue have a thread each, so that neither waits for the other."""

    kind: ClassVar[str] = "fax_jobs"
    channel: ClassVar[Channel] = "fax"
    reads_in: ClassVar[Literal["inline", "parse", "ocr"]] = "inline"
    Settings = FaxJobsSettings

    def __init__(self, name: str, settings: FaxJobsSettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self._threads: dict[str, ThreadPoolExecutor] = {}
        self._task: asyncio.Task[None] | None = None
        self._told: set[str] = set()
        self._trouble: str | None = _("not started")
        self._waiting = 0

    async def start(self, intake: Intake) -> None:
        """Begin to look at the queue; a server that is away is no reason not to start."""
        self._trouble = _("connecting")
        self._task = asyncio.create_task(self._watch(intake), name=f"fax-jobs-{self.name}")

    async def stop(self) -> None:
        """Look no more. A submission on its way goes on in its thread and is found by its tag at the next try."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._trouble = _("stopped")
        for pool in self._threads.values():
            pool.shutdown(wait=False, cancel_futures=True)
        self._threads.clear()

    def health(self) -> Any:
        """Up while the server answers."""
        if self._trouble is None:
            return SimpleNamespace(state="up", detail=_("{count} faxes under way").format(count=self._waiting))
        return SimpleNamespace(state="connecting" if self._task is not None else "down", detail=self._trouble)

    async def probe(self) -> str | None:
        """Log in and look at the queue."""
        try:
            await self._in_thread("look", self._jobs)
        except Trouble as trouble:
            return told(trouble)
        finally:
            if self._task is None:
                await self.stop()
        return None

    async def fax(self, number: str, tiff: bytes, delivery: str) -> Outcome:
        """Hand the pages over, unless a job for this delivery is there already and has not failed."""
        s = self.settings
        job = Job(
            delivery=delivery, number=number, tiff=tiff, minutes=s.give_up_minutes, dials=s.max_dials, tries=s.max_tries,
            modem=s.modem,
        )  # fmt: skip

        def submit() -> str:
            with Session(self._server()) as session:
                mine = [one for one in session.jobs() if one.delivery == delivery]
                # While it moves from one queue to the other a job may be seen in both.
                failed = {one.id for one in mine if one.state == "F"}
                there = [one.id for one in mine if one.id not in failed]
                return there[0] if there else session.submit(job)

        try:
            id = await self._in_thread("submit", submit)
        except Trouble as trouble:
            return Refused(told(trouble)) if trouble.final else TryLater(told(trouble))
        return Delivered((ref(delivery, id),))

    async def _watch(self, intake: Intake) -> None:
        while True:
            try:
                jobs = await self._in_thread("look", self._jobs)
                self._trouble = None
                self._waiting = sum(one.state not in ("D", "F") for one in jobs)
                with contextlib.suppress(StorageTrouble):
                    # What could not be kept is told again at the next look.
                    await self._tell(jobs, intake)
            except Trouble as trouble:
                self._trouble = told(trouble)
            await asyncio.sleep(self.settings.poll_seconds)

    async def _tell(self, jobs: list[Entry], intake: Intake) -> None:
        done = {ref(one.delivery, one.id): one for one in jobs if one.state in ("D", "F")}
        self._told &= done.keys()
        for name, one in done.items():
            if name not in self._told:
                state: Literal["delivered", "failed"] = "delivered" if one.state == "D" else "failed"
                await intake.receipt(Receipt(via=self.name, ref=name, state=state, detail=one.status[:200]))
                self._told.add(name)

    def _jobs(self) -> list[Entry]:
        with Session(self._server()) as session:
            return session.jobs()

    def _server(self) -> Server:
        s = self.settings
        assert self.services is not None
        password = self.services.secret(s.password) if s.password else ""
        return Server(
            host=s.host, port=s.port, user=s.user, password=password, seconds=s.timeout_seconds, most=MOST_SECONDS
        )

    async def _in_thread(self, what: str, call: Callable[[], T]) -> T:
        pool = self._threads.setdefault(what, ThreadPoolExecutor(1, thread_name_prefix=f"fax-{what}"))
        return await asyncio.get_running_loop().run_in_executor(pool, call)

    def read(self, raw: RawMessage) -> Message:
        """Nothing is ever accepted by this channel."""
        raise Malformed("a fax server's queue holds no messages")


def ref(delivery: str, job: str) -> str:
    """By which a receipt finds its delivery: the server counts its jobs from 1 again when its spool is made anew."""
    return f"{delivery}/{job}"


def told(trouble: Trouble) -> str:
    """A trouble in the operator's words."""
    texts = {
        "login": _("the fax server does not let us in ({why})"),
        "document": _("the fax server did not take the pages ({why})"),
        "job": _("the fax server did not take the job ({why})"),
        "submit": _("the fax server's scheduler did not take the job ({why})"),
        "list": _("the fax server did not show its queue ({why})"),
    }
    return texts[trouble.step].format(why=trouble)


@hookimpl
def channels() -> list[type[FaxJobs]]:
    """The channel of this plugin."""
    return [FaxJobs]
