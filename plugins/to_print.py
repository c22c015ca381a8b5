"""A printer (to_print): the report as A4 pages in PDF, by IPP, through CUPS or straight to a printer that speaks it.

Delivered means printed: the job is asked after until it is completed. One that is stuck (no paper, printer stopped) is taken back
before the next way is tried, so that it does not come out hours later. Sources: RFC 8010, RFC 8011 (operations, states of jobs).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from gateway.api import Delivered, Delivery, Field, Outcome, Refused, SecretName, Services, TryLater, _, hookimpl
from gateway_plugins.paper.sheet import NoFont, PaperSettings, TooLong, font_file, pages

LOOK_AGAIN_SECONDS = 0.5
NAME = "jibao "
"""Before the delivery's id in a job's name: by it a job whose answer was lost is found again."""
GOES_ON = frozenset({3, 5})
"""Pending, processing (RFC 8011, 5.3.7)."""
COMPLETED = 9
NEVER = frozenset({0x0408, 0x0409, 0x040A, 0x040B})
"""Too large, too long, format not supported, attributes not supported: of this document, not of the moment."""
POLL_SECONDS = 0.5
LOOK_SECONDS = 6.0
"""How long one try watches a job; dispatch comes back for the rest."""


class PrintSettings(PaperSettings):
    """``[transport.NAME]`` with ``kind = "to_print"``."""

    printers: dict[str, str] = Field(
        description="the printers: address as in directory.toml → the queue, ipp:// or ipps://, without a password in it"
    )
    username: str = Field("jibao", max_length=64, description="who prints, as the queue shows it")
    password: SecretName | Literal[""] = Field("", description="name of the secret that holds its password; empty: none")
    ca_file: str = Field("", description="PEM file of the authority that signed the printer's certificate, besides the system's")
    patience_seconds: float = Field(90, gt=0, le=3600, description="a job that is not printed by then is taken back")
    timeout_seconds: float = Field(8, gt=0, le=20, description="for one request")

    @field_validator("printers")
    @classmethod
    def _addresses(cls, value: dict[str, str]) -> dict[str, str]:
        for one in value.values():
            parts = urlsplit(one)
            if parts.scheme not in ("ipp", "ipps") or not parts.hostname or "@" in parts.netloc:
                raise ValueError(_("is no address of a printer; allowed: such as ipp://127.0.0.1:631/printers/duty"))
        return value


class ToPrint:
    """Prints; keeps no state of its own."""

    kind: ClassVar[str] = "to_print"
    Settings = PrintSettings

    def __init__(self, name: str, settings: PrintSettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services

    async def start(self) -> None:
        """Load what the first job needs, which takes longer than the loop may stand still."""
        await asyncio.to_thread(__import__, "pyipp")

    async def stop(self) -> None:
        """Nothing to stop."""

    async def probe(self) -> str | None:
        """A font; then each printer: there, accepting jobs, not stopped. The first that is not."""
        try:
            font_file(self.settings)
        except NoFont as missing:
            return str(missing)
        for address in self.settings.printers:
            try:
                async with self._queue(address) as queue:
                    found = await queue.printer()
            except _Trouble as trouble:
                return _("{name}: {why}").format(name=address, why=trouble)
            if not found.get("printer-is-accepting-jobs", True):
                return _("{printer} takes no jobs").format(printer=address)
            if found.get("printer-state") == 5:
                return _("{printer} is stopped ({why})").format(printer=address, why=_words(found, "printer-state-reasons"))
        return None

    async def send(self, delivery: Delivery) -> Outcome:
        """Hand the pages over, or find the job that an earlier try made, and watch it."""
        if delivery.address not in self.settings.printers:
            return Refused(_("no printer of that name in printers"))
        assert self.services is not None
        try:
            async with self._queue(delivery.address) as queue:
                job, since = await self._job(queue, delivery)
                return await self._watch(queue, job, since)
        except NoFont as missing:
            return TryLater(str(missing))
        except TooLong as long:
            return Refused(str(long))
        except _Trouble as trouble:
            return Refused(str(trouble)) if trouble.final else TryLater(str(trouble), progress=_noted(delivery.progress))

    async def _job(self, queue: _Queue, delivery: Delivery) -> tuple[int, datetime]:
        """The job's number and when it was made."""
        assert self.services is not None
        now = self.services.now()
        if (noted := _noted(delivery.progress)) and await queue.state(noted["job"]) not in (None, 7, 8):
            return noted["job"], datetime.fromisoformat(noted["since"])
        if delivery.attempt > 1 and (found := await queue.find(NAME + delivery.id)) is not None:
            return found, now
        paper = await pages(self.services, delivery, "pdf", self.settings)
        return await queue.print(NAME + delivery.id, paper), now

    async def _watch(self, queue: _Queue, job: int, since: datetime) -> Outcome:
        assert self.services is not None
        until = asyncio.get_running_loop().time() + min(LOOK_SECONDS, self.settings.patience_seconds)
        while True:
            state = await queue.state(job)
            if state == COMPLETED:
                return Delivered((str(job),))
            if state is None or state not in GOES_ON or queue.stopped:
                break
            if asyncio.get_running_loop().time() >= until:
                if self.services.now() - since < timedelta(seconds=self.settings.patience_seconds):
                    progress = {"job": job, "since": since.isoformat()}
                    return TryLater(_("it is being printed"), 2.0, progress, turn=True)
                break
            await asyncio.sleep(POLL_SECONDS)
        if state in (7, 8):
            return Refused(_("the job was cancelled at the printer") if state == 7 else _("the printer gave the job up"))
        why = _words(await queue.printer(), "printer-state-reasons")
        await queue.cancel(job)
        return TryLater(_("the printer does not print ({why}); the job was taken back").format(why=why))

    @contextlib.asynccontextmanager
    async def _queue(self, address: str) -> AsyncIterator[_Queue]:
        import aiohttp

        s = self.settings
        password = self.services.secret(s.password) if s.password and self.services is not None else None
        try:
            context = await asyncio.to_thread(_trust, s.ca_file)
        except OSError as error:
            raise _Trouble(_("ca_file cannot be read ({error})").format(error=error.strerror)) from None
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_no_redirect)
        connector = aiohttp.TCPConnector(ssl=context, force_close=True)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, trace_configs=[trace], cookie_jar=jar) as session:
            yield _Queue(s.printers[address], session, s.username, password, s.timeout_seconds)


class _Trouble(Exception):
    """A request that failed. ``final``: for this document, for good."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class _Queue:
    """A printer's queue, by pyipp."""

    def __init__(self, uri: str, session: Any, username: str, password: str | None, seconds: float) -> None:
        import pyipp

        self._ipp = pyipp.IPP(
            host=uri, session=session, username=username, password=password, verify_ssl=True,
            request_timeout=max(1, round(seconds)),
        )  # fmt: skip
        self._username = username
        self._seconds = seconds
        self.stopped = False

    async def print(self, name: str, data: bytes) -> int:
        """The number of the new job."""
        made = await self._ask("PRINT_JOB", {"job-name": name, "document-format": "application/pdf"}, data)
        job = next(iter(made.get("jobs") or [{}])).get("job-id")
        if not isinstance(job, int):
            raise _Trouble(_("the printer did not say which job it is"))
        return job

    async def find(self, name: str) -> int | None:
        """The job of that name, unless it was cancelled or given up. A server that is just done with it may have it in neither of
        its lists for a moment, so that both are asked for twice before it is printed again."""
        wanted = {"requested-attributes": ["job-id", "job-name", "job-state"]}
        for number, which in enumerate(("not-completed", "completed") * 2):
            if number == 2:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
            for one in (await self._ask("GET_JOBS", {"which-jobs": which, **wanted})).get("jobs") or []:
                if one.get("job-name") == name and one.get("job-state") not in (7, 8):
                    return int(one["job-id"])
        return None

    async def state(self, job: int) -> int | None:
        """The job's state; ``stopped`` says whether its printer stands still. None where it is not known any more."""
        wanted = ["job-state", "job-state-reasons"]
        try:
            told = await self._ask("GET_JOB_ATTRIBUTES", {"job-id": job, "requested-attributes": wanted})
        except _Trouble as trouble:
            if trouble.final:
                return None
            raise
        found = next(iter(told.get("jobs") or [{}]))
        self.stopped = "printer-stopped" in _words(found, "job-state-reasons")
        state = found.get("job-state")
        return int(state) if isinstance(state, int) else None

    async def cancel(self, job: int) -> None:
        """Take the job back."""
        await self._ask("CANCEL_JOB", {"job-id": job})

    async def printer(self) -> Mapping[str, Any]:
        """State and reasons of the printer itself."""
        wanted = ["printer-state", "printer-state-reasons", "printer-is-accepting-jobs"]
        told = await self._ask("GET_PRINTER_ATTRIBUTES", {"requested-attributes": wanted})
        return next(iter(told.get("printers") or [{}]))

    async def _ask(self, operation: str, attributes: dict[str, Any], data: bytes | None = None) -> dict[str, Any]:
        import aiohttp
        import pyipp
        from pyipp.enums import IppOperation

        message: dict[str, Any] = {"operation-attributes-tag": {"requesting-user-name": self._username, **attributes}}
        if data is not None:
            message["data"] = data
        try:
            async with asyncio.timeout(self._seconds):
                told: dict[str, Any] = await self._ipp.execute(IppOperation[operation], message)
                return told
        except pyipp.IPPConnectionError:
            raise _Trouble(_("the printer cannot be reached")) from None
        except pyipp.IPPError as error:
            status = error.args[1].get("status-code") if len(error.args) > 1 and isinstance(error.args[1], dict) else None
            why = f"{status:#06x}" if isinstance(status, int) else type(error).__name__
            text = _("the printer answered {why}").format(why=why)
            gone = operation == "GET_JOB_ATTRIBUTES" and status == 0x0406
            raise _Trouble(text, final=gone or (data is not None and status in NEVER)) from None
        except TimeoutError:
            raise _Trouble(_("no answer within {seconds:g} s").format(seconds=self._seconds)) from None
        except (aiohttp.ClientError, OSError, ValueError, LookupError, AttributeError, TypeError) as error:
            raise _Trouble(_("no answer ({error})").format(error=type(error).__name__)) from None


def _trust(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


async def _no_redirect(*_told: object) -> None:
    raise ValueError("redirect")


def _words(told: Mapping[str, Any], name: str) -> str:
    """A list of keywords in one line."""
    found = told.get(name, "")
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)


def _noted(progress: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier try noted of its job; empty where that is not ours to read."""
    job, since = progress.get("job"), progress.get("since")
    if not isinstance(job, int) or not isinstance(since, str):
        return {}
    try:
        aware = datetime.fromisoformat(since).tzinfo is not None
    except ValueError:
        return {}
    return {"job": job, "since": since} if aware else {}


@hookimpl
def transports() -> list[type[ToPrint]]:
    """The transport of this plugin."""
    return [ToPrint]
