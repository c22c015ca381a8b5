"""A change of roster, directory, calendar or catalogue: written down, looked at as a diff with every fault, then put in force.

What was looked at is what is written: the form is good for one text and one state of the file. Where conf asks for two persons
the text waits, sealed, until a leader agrees; it is then checked against the files as they lie at that moment.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from gateway import conf_change
from gateway.conf_change import ChangedMeanwhile, Exchange
from gateway.console import conf
from gateway.console.call import NOT_KEPT, Call, Page
from gateway.console.forms import tidy
from gateway.core import roster_csv
from gateway.core.model import Event
from gateway.faults import ConfError, Fault
from gateway.i18n import _
from gateway.roster_import import planned
from gateway.roster_text import FILE as ROSTER
from gateway.roster_text import faults_of
from gateway.store import KeyGone, NotFound, Tampered, Tx, journal, proposals
from gateway.store.proposals import Proposal

FORM_KB = 2048
"""A file of half a megabyte in Chinese, as a form sends it."""
SHOWN = 2000
"""Lines of a diff, and faults, that a page shows."""
_NEW_CALENDAR = re.compile(r"calendar\.d/[0-9A-Za-z][0-9A-Za-z_-]{0,40}\.toml", re.ASCII)
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)


class Draft(Struct, frozen=True, kw_only=True):
    """A text that is to take a file's place. ``base`` is the digest of the file as it was when the text was begun."""

    file: str
    base: str
    old: bytes | None
    new: bytes

    @property
    def ref(self) -> str:
        """By which the record names the new file: the beginning of its SHA-256."""
        return hashlib.sha256(self.new).hexdigest()[:16]

    @property
    def diff(self) -> list[str]:
        return conf_change.diff(self.file, (self.old or b"").decode("utf-8", "replace"), self.new.decode())


class NotChanged(Exception):
    """The change is refused; ``status`` is that of the answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def pages() -> Iterable[Page]:
    """The editor, and what waits for a second person."""
    yield Page("GET", "/conf/proposal/{id}", "signed in", waiting)
    yield Page("POST", "/conf/proposal/{id}", "agree", decide)
    yield Page("POST", "/conf/proposal/{id}/drop", "configure", withdraw)
    yield Page("GET", "/conf/{room}/edit", "configure", edit)
    yield Page("POST", "/conf/{room}/edit", "configure", send, FORM_KB)


async def edit(call: Call) -> Response:
    """The file as it lies, to be changed."""
    try:
        name = _file(call, call.request.query_params.get("file", ""))
        old = _read(_path(call, name))
        return await _editor(call, name, _text(old), conf_change.digest(old))
    except NotChanged as refused:
        return await call.problem(refused.status, str(refused), back="/")


async def send(call: Call) -> Response:
    """What was typed: shown as a diff, checked, handed out as a file, or put in force."""
    step = call.form.line("step", 10)
    try:
        name = _file(call, call.form.line("file", 100))
        base, text = call.form.line("base", 64), tidy(call.form.fields.get("text", ""))
        if step == "import":
            return await _imported(call, name, base)
        draft = _draft(call, name, base, text)
        if step == "diff":
            return _handed_out(draft)
        if step == "do":
            return await _do(call, draft)
        return await _looked_at(call, draft)
    except NotChanged as refused:
        return await call.problem(refused.status, str(refused), back=f"/conf/{call.path('room')}")


async def waiting(call: Call) -> Response:
    """A change that waits for a second person."""
    try:
        one, draft = await _proposal(call)
    except NotChanged as refused:
        return await call.problem(refused.status, str(refused), back="/conf/roster")
    lines = await asyncio.to_thread(lambda: draft.diff)
    stale = one.base != conf_change.digest(draft.old)
    mine = one.account == call.user.account.name or one.person == call.user.name
    ready = call.may("agree") and not mine and not stale and not _fixed(call, one.file)
    return await call.page(
        "conf_proposal.html", one=one, lines=lines[:SHOWN], cut=len(lines) > SHOWN, stale=stale, ready=ready,
        mine=one.account == call.user.account.name, at=call.desk.live.shown(one.made_at), fixed=_fixed(call, one.file),
        ticket=call.rooms.door.ticket(call.user, f"agree {one.id} {one.ref}") if ready else "",
    )  # fmt: skip


async def decide(call: Call) -> Response:
    """A leader agrees, or does not."""
    try:
        one, draft = await _proposal(call)
        if one.account == call.user.account.name or one.person == call.user.name:
            raise NotChanged(403, _("who proposed a change cannot agree to it"))
        if call.form.line("step", 10) == "decline":
            why = call.form.line("why", 200)
            if not why:
                raise NotChanged(400, _("{field} is needed").format(field=_("reason")))
            await _dropped(call, one, why)
            call.say(_("declined: {file}").format(file=one.file))
            return call.go(f"/conf/{_room(one.file)}")
        if not call.rooms.door.take_ticket(call.user, f"agree {one.id} {one.ref}", call.form.line("ticket", 64)):
            raise NotChanged(409, _("this page was sent before or is too old; nothing was done now. Look at it again."))
        if one.base != conf_change.digest(draft.old):
            raise NotChanged(409, _meanwhile(one.file))
        await _in_force(call, draft, one.why, how=one.how, proposal=one)
    except NotChanged as refused:
        return await call.problem(refused.status, str(refused), back=f"/conf/proposal/{call.path('id')}")
    return call.go(f"/conf/{_room(one.file)}")


async def withdraw(call: Call) -> Response:
    """Whoever proposed it takes it back."""
    try:
        one = (await _proposal(call))[0]
        if one.account != call.user.account.name:
            raise NotChanged(403, _("only who proposed a change takes it back"))
        await _dropped(call, one, _("taken back"))
    except NotChanged as refused:
        return await call.problem(refused.status, str(refused), back="/conf/roster")
    call.say(_("taken back: {file}").format(file=one.file))
    return call.go(f"/conf/{_room(one.file)}")


def _file(call: Call, asked: str) -> str:
    """The file of the view that is asked for; of several the last."""
    room = call.path("room")
    if room not in conf.ROOMS:
        raise NotChanged(404, _("there is no such page"))
    known = conf.names(call.desk.config, room)
    if asked and asked not in known and not (room == "calendar" and _NEW_CALENDAR.fullmatch(asked)):
        raise NotChanged(404, _("no file {name} here; allowed: {known}").format(name=asked[:60], known=", ".join(known)))
    if not asked and not known:
        raise NotChanged(404, _("there is no such page"))
    return asked or known[-1]


def _room(name: str) -> str:
    return next((room for room, file in conf.ROOMS.items() if file == name), "calendar")


def _path(call: Call, name: str) -> Path:
    return call.desk.config.path / name


def _fixed(call: Call, name: str) -> bool:
    """Whether the file cannot be written by this process."""
    return not conf_change.writable(_path(call, name).parent)


def _read(path: Path) -> bytes | None:
    try:
        return conf_change.content(path)
    except OSError as error:
        raise NotChanged(500, _("cannot be read: {error}").format(error=error.strerror)) from None


def _text(content: bytes | None) -> str:
    """A file as a form holds it: without byte order mark, with plain line ends."""
    try:
        return (content or b"").decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise NotChanged(409, _("is not UTF-8; save the file as UTF-8")) from None


def _draft(call: Call, name: str, base: str, text: str) -> Draft:
    """What was typed as the file would hold it: with the line ends and the byte order mark that it has now."""
    old = _read(_path(call, name))
    if conf_change.digest(old) != base:
        raise NotChanged(409, _meanwhile(name))
    shape = _text(old)
    if text and not text.endswith("\n"):
        text += "\n"
    if text == shape or text == shape + "\n":
        raise NotChanged(409, _("nothing was changed"))
    if old is not None and b"\r\n" in old:
        text = text.replace("\n", "\r\n")
    new = text.encode("utf-8", "replace")
    if old is not None and old.startswith(b"\xef\xbb\xbf"):
        new = b"\xef\xbb\xbf" + new
    if len(new) > conf_change.MOST_BYTES:
        text = _("{file} would have {size} KB; the most is {most} KB")
        raise NotChanged(413, text.format(file=name, size=len(new) // 1024, most=conf_change.MOST_BYTES // 1024))
    return Draft(file=name, base=base, old=old, new=new)


def _meanwhile(name: str) -> str:
    text = _("{file} was changed meanwhile by somebody else; nothing was written. Look at it as it stands, and begin anew.")
    return text.format(file=name)


async def _editor(call: Call, name: str, text: str, base: str, status: int = 200, **values: Any) -> Response:
    room = call.path("room")
    given: dict[str, Any] = {
        "lines": [], "cut": False, "faults": [], "warnings": [], "ticket": "", "why": "", "wrong": "", "how": "edit", **values,
    }  # fmt: skip
    fixed, names = _fixed(call, name), conf.names(call.desk.config, room)
    return await call.page(
        "conf_edit.html", status, room=room, rooms=conf.TITLES, name=name, files=names, text=text, base=base, fixed=fixed,
        path=str(call.desk.config.path), two=call.desk.section.conf_needs_two, imports=name == ROSTER, **given,
    )  # fmt: skip


async def _looked_at(call: Call, draft: Draft, how: str = "edit") -> Response:
    """The diff, every fault, and where there is none the way on."""
    why = call.form.line("why", 200)
    faults, warnings = await _faults(call, draft)
    lines = await asyncio.to_thread(lambda: draft.diff)
    wrong = "" if why or faults else _("{field} is needed").format(field=_("reason"))
    ready = not faults and not wrong and not _fixed(call, draft.file)
    return await _editor(
        call, draft.file, _text(draft.new), draft.base, 409 if faults else 400 if wrong else 200, lines=lines[:SHOWN],
        cut=len(lines) > SHOWN, faults=faults[:SHOWN], warnings=warnings, why=why, wrong=wrong, how=how,
        ticket=call.rooms.door.ticket(call.user, _purpose(draft, why)) if ready else "",
    )  # fmt: skip


async def _faults(call: Call, draft: Draft) -> tuple[list[Fault], list[Fault]]:
    """Faults and warnings of the whole of conf with the new file."""
    try:
        config = await conf.tried(call.rooms, {draft.file: draft.new})
    except ConfError as error:
        return error.faults, []
    grave = [one for one in config.warnings if one.grave and one not in call.desk.config.warnings]
    rest = [one for one in config.warnings if one not in grave]
    return grave, [*rest, *conf.hollow(config, call.desk.live.now())]


def _purpose(draft: Draft, why: str) -> str:
    return f"conf {draft.file} {draft.base} {draft.ref} {hashlib.sha256(why.encode()).hexdigest()[:16]}"


def _handed_out(draft: Draft) -> Response:
    """The diff as a file, for whoever administers the host."""
    name = draft.file.replace("/", "-")
    body = "\n".join(draft.diff) + "\n"
    headers = {"Content-Disposition": f'attachment; filename="{name}.diff"', **NOT_KEPT}
    return Response(body.encode(), media_type=None, headers={"Content-Type": "text/x-diff; charset=utf-8", **headers})


async def _imported(call: Call, name: str, base: str) -> Response:
    """A table of turns becomes the text of the roster, which is then looked at like any other."""
    handed = tidy(call.form.fields.get("table", ""))
    old = _read(_path(call, name))
    if name != ROSTER or not handed.strip():
        raise NotChanged(400, _("{field} is needed").format(field=_("the table")))
    if len(handed.encode("utf-8", "replace")) > conf_change.MOST_BYTES:
        text = _("{file} would have {size} KB; the most is {most} KB")
        size = len(handed.encode("utf-8", "replace")) // 1024
        raise NotChanged(413, text.format(file=name, size=size, most=conf_change.MOST_BYTES // 1024))
    if conf_change.digest(old) != base:
        raise NotChanged(409, _meanwhile(name))
    whole, tables = call.form.line("replace", 5) == "yes", [roster_csv.lines(handed, _("the table"))]
    try:
        wanted = await conf.beside(call.rooms, lambda load: planned(_("the table"), tables, load, old, replace=whole))
    except ConfError as error:
        return await _editor(call, name, _text(old), base, 409, faults=error.faults[:SHOWN], table=handed)
    if wanted.faults:
        told = [Fault(at, 0, head, text) for at, head, text in faults_of(wanted.faults, wanted.config.directory)]
        return await _editor(call, name, _text(old), base, 409, faults=told[:SHOWN], table=handed)
    return await _looked_at(call, _draft(call, name, base, _text(wanted.new)), "import")


async def _do(call: Call, draft: Draft) -> Response:
    """Put in force what was looked at, or have it wait for a second person."""
    why = call.form.line("why", 200)
    if not why:
        raise NotChanged(400, _("{field} is needed").format(field=_("reason")))
    if not call.rooms.door.take_ticket(call.user, _purpose(draft, why), call.form.line("ticket", 64)):
        raise NotChanged(409, _("this page was sent before or is too old; nothing was done now. Look at it again."))
    how = "import" if call.form.line("how", 10) == "import" else "edit"
    if call.desk.section.conf_needs_two:
        return await _proposed(call, draft, why, how)
    await _in_force(call, draft, why, how=how)
    return call.go(f"/conf/{call.path('room')}")


async def _proposed(call: Call, draft: Draft, why: str, how: str) -> Response:
    """Keep it until a leader has looked at it."""
    added, removed = conf_change.counted(await asyncio.to_thread(lambda: draft.diff))
    user, now = call.user, call.desk.live.now()

    def write(tx: Tx) -> Proposal | None:
        if len(proposals.every(tx)) >= proposals.MOST:
            return None
        one = Proposal(
            id=tx.new_id(), file=draft.file, base=draft.base, ref=draft.ref, account=user.account.name, person=user.name,
            made_at=now, added=added, removed=removed, why=why, how=how,
        )  # fmt: skip
        proposals.put(tx, one, draft.new)
        data: dict[str, Any] = {
            "from": draft.base[:16], "ref": one.ref, "added": added, "removed": removed, "why": why, "how": how,
        }  # fmt: skip
        journal.emit(tx, _event(call, now, "conf_proposed", one.file, proposal=one.id, **data))
        return one

    one = await call.desk.store.write(write)
    if one is None:
        raise NotChanged(409, _("{count} changes wait already; have them decided first").format(count=proposals.MOST))
    call.say(_("proposed: {file}; it waits for a leader's yes").format(file=one.file))
    return call.go(f"/conf/proposal/{one.id}")


async def _in_force(call: Call, draft: Draft, why: str, *, how: str, proposal: Proposal | None = None) -> None:
    """Check once more, write, put on record, reload. Raises ``NotChanged``; then the old file goes on."""
    faults, _warnings = await _faults(call, draft)
    if faults:
        raise NotChanged(409, _("the change has faults by now; nothing was written: {faults}").format(
            faults="; ".join(map(str, faults[:5]))))  # fmt: skip
    now = call.desk.live.now()
    added, removed = conf_change.counted(await asyncio.to_thread(lambda: draft.diff))
    data: dict[str, Any] = {"from": draft.base[:16], "ref": draft.ref, "added": added, "removed": removed, "why": why, "how": how}
    if proposal is not None:
        data |= {"agreed": call.user.name, "proposal": proposal.id}

    def record(tx: Tx) -> None:
        journal.emit(tx, _event(call, now, "conf_changed", draft.file, by=proposal.person if proposal else None, **data))
        if proposal is not None:
            proposals.drop(tx, proposal.id)

    async with call.rooms.writing:
        recorded = False
        try:
            ready = await asyncio.to_thread(Exchange.prepare, _path(call, draft.file), draft.old, draft.new)
            try:
                await call.desk.store.write(record)
            except BaseException:
                ready.drop()
                raise
            recorded = True
            await asyncio.to_thread(ready.finish)
        except (ChangedMeanwhile, OSError) as trouble:
            why = _meanwhile(draft.file)
            if isinstance(trouble, OSError):
                text = _("{file} cannot be written ({error}); nothing was changed. Take the diff to who administers the host.")
                why = text.format(file=draft.file, error=trouble.strerror)
            if recorded:
                # In the instant between record and rename: the record says that it did not come to be.
                gone = {"ref": draft.ref, "of": proposal.person if proposal else call.user.name, "why": why}
                event = _event(call, now, "conf_declined", draft.file, **gone)
                await call.desk.store.write(lambda tx: journal.emit(tx, event))
            raise NotChanged(409, why) from None
    await _reload(call, draft.file)


async def _reload(call: Call, name: str) -> None:
    """Have the daemon use it, and say what came of that."""
    reload = call.desk.live.daemon.get("reload")
    if reload is None:
        call.say(_("{file} is written; it is in force at the next start").format(file=name))
        return
    answer = await reload(call.user.name)
    if answer["reloaded"]:
        call.say(_("{file} is written and in force").format(file=name))
        return
    why = "; ".join(f"{one['file']}:{one['line']}: {one['fault']}" for one in answer["faults"][:3]) or answer.get("error", "")
    call.say(_("{file} is written, but the reload was refused: {why}").format(file=name, why=why), "bad")


def _event(call: Call, now: datetime, event: str, file: str, *, by: str | None = None, **data: Any) -> Event:
    means = f"console, {call.user.account.name}"[:64]
    return Event(at=now, event=event, by=by or call.user.name, data={"file": file, "means": means, **data})


async def _dropped(call: Call, one: Proposal, why: str) -> None:
    now = call.desk.live.now()

    def write(tx: Tx) -> None:
        proposals.drop(tx, one.id)
        journal.emit(tx, _event(call, now, "conf_declined", one.file, ref=one.ref, of=one.person, why=why, proposal=one.id))

    await call.desk.store.write(write)


async def _proposal(call: Call) -> tuple[Proposal, Draft]:
    """The change of the address, against the file as it lies now. Raises ``NotChanged``."""
    id_ = call.path("id")
    if _ID.fullmatch(id_) is None:
        raise NotChanged(404, _("that change waits no longer"))

    def read(tx: Tx) -> tuple[Proposal, bytes] | None:
        one = proposals.get(tx, id_)
        return (one, proposals.text(tx, id_)) if one is not None else None

    try:
        found = await call.desk.store.read(read)
    except (NotFound, KeyGone, Tampered):
        found = None
    if found is None:
        raise NotChanged(404, _("that change waits no longer"))
    one, new = found
    return one, Draft(file=one.file, base=one.base, old=_read(_path(call, one.file)), new=new)
