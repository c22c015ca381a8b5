"""The checks: pure functions from facts to findings, each with what to do."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import combinations

from gateway import roster_holes
from gateway.core.roster import needing
from gateway.doctor.facts import Facts, Finding
from gateway.i18n import _

MIB = 1 << 20
WORST_SYNC = 10
"""The worst of the syncs may be so many times the median that is allowed."""


def judge(facts: Facts) -> list[Finding]:
    """Every finding, in the order in which a person would look."""
    return [finding for check in CHECKS for finding in check(facts)]


def configuration(facts: Facts) -> Iterator[Finding]:
    what = _("configuration")
    for fault in facts.faults:
        yield Finding(what=what, state="wrong", found=fault, do=_("mend it; gateway check says what is allowed"))
    for warning in facts.warnings:
        yield Finding(what=what, state="warn", found=warning, do=_("mend it before it is needed"))
    if not facts.faults and not facts.warnings:
        yield Finding(what=what, state="ok", found=_("in order"))


def modes(facts: Facts) -> Iterator[Finding]:
    what = _("permissions")
    tight = {"secrets": 0o077, "state": 0o027, "store": 0o077, "audit": 0o027, "conf": 0o022}
    rights = {"secrets": "0700", "state": "0750", "store": "0600", "audit": "0640", "conf": "go-w"}
    sound = True
    for entry in facts.entries:
        wrong, do = "", ""
        if entry.mode is None:
            if entry.role in ("store", "audit", "state"):
                continue  # made at the first start
            wrong, do = _("is not there"), f"mkdir -m {rights[entry.role]} {entry.path}"
        elif entry.mode & tight[entry.role]:
            wrong = _("mode {mode:04o}: open to others").format(mode=entry.mode & 0o7777)
            do = f"chmod {rights[entry.role]} {entry.path}"
        elif not entry.mine:
            wrong = _("belongs to another user than the one who asks")
            do = _("run doctor as the gateway's user, or give the folder to it: chown -R USER {path}").format(path=entry.path)
        elif not entry.usable:
            wrong, do = (
                _("cannot be read and written"),
                _("give it to the gateway's user: chown -R USER {path}").format(path=entry.path),
            )
        if wrong:
            sound = False
            yield Finding(what=what, state="wrong", found=f"{entry.path}: {wrong}", do=do)
    for path in facts.writable:
        sound = False
        text = _("{path}: others may write it").format(path=path)
        yield Finding(what=what, state="wrong", found=text, do=f"chmod go-w {path}")
    if sound and facts.entries:
        yield Finding(what=what, state="ok", found=_("state, secrets, configuration closed to others"))


def credentials(facts: Facts) -> Iterator[Finding]:
    what = _("credentials")
    for secret in facts.secrets:
        if secret.why is not None:
            do = _("put it into {path}, mode 0600, or give it as a systemd credential").format(path=secret.path)
            yield Finding(what=what, state="wrong", found=f"{secret.name}: {secret.why}", do=do)
    if facts.secrets and all(secret.why is None for secret in facts.secrets):
        names = ", ".join(secret.name for secret in facts.secrets)
        yield Finding(what=what, state="ok", found=_("all there and closed: {names}").format(names=names))


def store(facts: Facts) -> Iterator[Finding]:
    if facts.config is None:
        return
    what, (found, head) = _("store"), facts.schema
    if facts.store is not None:
        do = _("is the data base up, and does the address in gateway.toml reach it? the runbook: docs/runbook/storage.md")
        yield Finding(what=what, state="wrong", found=facts.store, do=do)
    elif found is None:
        yield Finding(what=what, state="ok", found=_("none yet; it is made at the first start"))
    elif found > head:
        text = _("schema {found} is newer than this version knows ({head})").format(found=found, head=head)
        yield Finding(what=what, state="wrong", found=text, do=_("install the newer gateway, or restore a backup of this one"))
    elif found < head:
        text = _("schema {found}; it is brought to {head} at the next start").format(found=found, head=head)
        yield Finding(what=what, state="warn", found=text, do=_("make a backup first: gateway backup FILE --verify"))
    else:
        yield Finding(what=what, state="ok", found=_("schema {found}").format(found=found))


def disk(facts: Facts) -> Iterator[Finding]:
    if facts.config is None:
        return
    asked = facts.config.doctor
    for one in facts.disks:
        what = _("disk space")
        if one.why is not None:
            yield Finding(what=what, state="wrong", found=f"{one.path}: {one.why}", do=_("mount it, or correct the path in conf"))
            continue
        text = _("{path}: {free} MiB free, {inodes} inodes")
        text = text.format(path=one.path, free=one.free // MIB, inodes="–" if one.inodes is None else one.inodes)
        low = one.free < asked.free_mb * MIB or (one.inodes is not None and one.inodes < asked.free_inodes)
        if one.full_in is not None:
            yield _filling(one.path, one.full_in, facts.config.disk.horizon_days)
        do = _("free space; at least {mb} MiB and {inodes} inodes are asked for in [doctor]")
        short = Finding(what=what, state="wrong", found=text, do=do.format(mb=asked.free_mb, inodes=asked.free_inodes))
        yield short if low else Finding(what=what, state="ok", found=text)
        if one.sync_ms:
            yield _sync(one.path, one.sync_ms, asked.sync_ms)


def _filling(path: str, full_in: timedelta, horizon: float) -> Finding:
    days = full_in / timedelta(days=1)
    found = _("{path}: full in {days:.1f} days at the present rate").format(path=path, days=days)
    what = _("forecast of disk space")
    if days > horizon:
        return Finding(what=what, state="ok", found=found)
    return Finding(what=what, state="warn", found=found, do=_("what grows there? the runbook: docs/runbook/disk.md"))


def _sync(path: str, times: tuple[float, ...], most: float) -> Finding:
    middle, worst = statistics.median(times), max(times)
    text = _("{path}: median {middle:.1f} ms, worst {worst:.1f} ms of {count}")
    text = text.format(path=path, middle=middle, worst=worst, count=len(times))
    if middle <= most and worst <= most * WORST_SYNC:
        return Finding(what=_("speed of sync"), state="ok", found=text)
    do = _("each receipt waits for a sync: use a local SSD, no network disk; what else writes to this disk?")
    return Finding(what=_("speed of sync"), state="warn", found=text, do=do)


def clock(facts: Facts) -> Iterator[Finding]:
    what, found = _("system clock"), facts.clock
    if not found.zone_known:
        yield Finding(what=what, state="wrong", found=_("no time zone data"), do="apt-get install tzdata")
    if found.last_event is not None and found.last_event > facts.now + timedelta(seconds=5):
        text = _("the record's last line is of {at}: later than now").format(at=found.last_event.isoformat(timespec="seconds"))
        do = _("the clock was set back, or is wrong now: compare it with another source before the daemon goes on")
        yield Finding(what=what, state="wrong", found=text, do=do)
    if found.synchronised is True:
        yield Finding(what=what, state="ok", found=_("synchronised ({source})").format(source=found.source))
    elif found.synchronised is False:
        do = _("deadlines depend on it: start chrony or systemd-timesyncd, and name a time source that this network reaches")
        yield Finding(what=what, state="warn", found=_("not synchronised ({source})").format(source=found.source), do=do)
    else:
        yield Finding(what=what, state="warn", found=_("cannot be told"), do=_("look with timedatectl or chronyc tracking"))


def ways(facts: Facts) -> Iterator[Finding]:
    what = {"channel": _("channel"), "transport": _("transport")}
    for way in facts.ways:
        name = f"{what[way.sort]} {way.name}"
        if way.why is not None:
            do = _("is the peer up, the address right, the way open (firewall), the secret the peer's?")
            yield Finding(what=name, state="wrong", found=way.why, do=do)
        elif way.running in ("down", "connecting"):
            yield Finding(what=name, state="warn", found=_("the daemon says: {state}").format(state=_(way.running)),
                          do="gateway channels")  # fmt: skip
        elif way.running == "up":
            yield Finding(what=name, state="ok", found=_("up"))
        else:
            yield Finding(what=name, state="ok", found=_("can be reached") if way.probed else _("nothing to reach"))


def alarm_ways(facts: Facts) -> Iterator[Finding]:
    if facts.config is None:
        return
    what, conf = _("alarms"), facts.config.alarms
    names = [one.name or one.transport for one in conf.ways] + (["command"] if conf.command else [])
    do = _("name people in [alarms] of gateway.toml, by two transports at least")
    if not names:
        yield Finding(what=what, state="warn", found=_("they stay in the log: nobody is told"), do=do)
    elif len({one.transport for one in conf.ways}) + bool(conf.command) < 2:
        yield Finding(what=what, state="warn", found=_("one way alone: trouble of it is told by nothing else"), do=do)
    else:
        yield Finding(what=what, state="ok", found=_("told by {names}").format(names=", ".join(names)))


def doors(facts: Facts) -> Iterator[Finding]:
    for door in facts.doors:
        if door.free is False:
            text = _("{host} port {port} is taken by another program").format(host=door.host, port=door.port)
            do = f"ss -ltnp 'sport = :{door.port}'"
            yield Finding(what=_("port of {name}").format(name=door.name), state="wrong", found=text, do=do)
    for one, other in combinations(facts.doors, 2):
        if one.port == other.port and (one.host == other.host or {one.host, other.host} & {"0.0.0.0", "::", ""}):  # noqa: S104
            text = _("{one} and {other} both want port {port}").format(one=one.name, other=other.name, port=one.port)
            yield Finding(what=_("ports"), state="wrong", found=text, do=_("give one of them another port in conf"))


def calendar(facts: Facts) -> Iterator[Finding]:
    if facts.config is None:
        return
    what, years = _("calendar"), ", ".join(map(str, sorted(facts.config.calendar.years)))
    do = _("add calendar.d/YEAR.toml with complete = true from the State Council's notice")
    for text, grave in facts.unknown_years:
        yield Finding(what=what, state="wrong" if grave else "warn", found=text, do=do)
    if not facts.unknown_years:
        yield Finding(what=what, state="ok", found=_("known: {years}").format(years=years))


def roster(facts: Facts) -> Iterator[Finding]:
    if facts.config is None:
        return
    config, what, days = facts.config, _("duty roster"), facts.config.doctor.roster_days
    do = _("enter the turns in roster.csv, then gateway reload")
    found = {one.office: one.text for one in roster_holes.empty(config, facts.now)}
    for text in found.values():
        yield Finding(what=what, state="warn", found=text, do=do)
    for office in needing(config.roster, config.directory):
        if not found.keys() & {office.id, None}:
            text = _("{office}: {days} days without a hole").format(office=office.name, days=days)
            yield Finding(what=what, state="ok", found=text)


def fonts(facts: Facts) -> Iterator[Finding]:
    what = _("fonts")
    if facts.fonts:
        yield Finding(what=what, state="ok", found=_("{count} with Chinese characters").format(count=facts.fonts))
        return
    found = _("fc-list is not installed") if facts.fonts is None else _("none with Chinese characters")
    do = _("for printed reports: apt-get install fontconfig fonts-noto-cjk")
    yield Finding(what=what, state="warn", found=found, do=do)


def papers(facts: Facts) -> Iterator[Finding]:
    """Official papers: whether they can be made, and by which type where the office's own is not there."""
    if facts.config is None:
        return
    what = _("official papers")
    if facts.press is not None:
        do = _("pip install 'jibao-gateway[papers]'; apt-get install libpangoft2-1.0-0; until then plain pages go out")
        yield Finding(what=what, state="warn", found=facts.press, do=do)
    if facts.families is None:
        return
    stands_in = []
    for use in type(facts.config.papers.fonts).model_fields:
        tried: tuple[str, ...] = getattr(facts.config.papers.fonts, use)
        found = next((name for name in tried if name in facts.families), None)
        if found is None:
            text = _("{use}: none of {names} is installed")
            do = _("install one, or name one that is there in [fonts] of papers.toml")
            yield Finding(what=what, state="warn", found=text.format(use=use, names=", ".join(tried)), do=do)
        elif found != tried[0]:
            stands_in.append(_("{found} for {wanted}").format(found=found, wanted=tried[0]))
    if stands_in:
        text = _("substitutes: {names}").format(names="; ".join(stands_in))
        yield Finding(what=what, state="ok", found=text)
    elif facts.press is None:
        yield Finding(what=what, state="ok", found=_("can be made"))


def memory(facts: Facts) -> Iterator[Finding]:
    if facts.config is None:
        return
    what, found = _("memory"), facts.memory
    limits = [one for one in (found.address_space, found.cgroup, found.available) if one is not None]
    text = _("workers may take {need} MiB, {least} MiB are to be had")
    text = text.format(need=found.workers // MIB, least=min(limits) // MIB if limits else "–")
    if limits and min(limits) < found.workers:
        do = _("raise MemoryMax or LimitAS, or lower parse_memory_mb and ocr_memory_mb in [limits]")
        yield Finding(what=what, state="warn", found=text, do=do)
    else:
        yield Finding(what=what, state="ok", found=text)
    if facts.ocr_wanted:
        if facts.ocr is None:
            yield Finding(what=_("recognition of faxes"), state="ok", found=_("installed, with its models"))
        else:
            do = _("pip install 'jibao-gateway[ocr]'; without it every fax needs a person")
            yield Finding(what=_("recognition of faxes"), state="warn", found=facts.ocr, do=do)


def versions(facts: Facts) -> Iterator[Finding]:
    what = _("versions")
    for name, found, least in facts.libraries:
        if found is None or _parts(found) < _parts(least):
            text = _("{name} {found}; at least {least} is asked for").format(name=name, found=found or _("missing"), least=least)
            yield Finding(what=what, state="wrong", found=text, do=f"pip install '{name}>={least}'")
    yield Finding(what=what, state="ok", found=f"Python {facts.python}, {len(facts.libraries)} " + _("libraries looked at"))


def daemon(facts: Facts) -> Iterator[Finding]:
    if facts.config is not None:
        found = _("it runs") if facts.daemon else _("not running")
        yield Finding(what=_("daemon"), state="ok", found=found, do="" if facts.daemon else "systemctl start gateway")


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")[:3])


CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    configuration, modes, credentials, store, disk, clock, ways, alarm_ways, doors, calendar, roster, fonts, papers, memory,
    versions,
    daemon,
)  # fmt: skip
