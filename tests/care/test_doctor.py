"""Doctor: each check finds its trouble and says what to do; a host that is in order is told so. Nothing is sent."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from click.testing import CliRunner

from gateway import i18n, init, roster_holes
from gateway.cli import cli
from gateway.conf_load import load
from gateway.core.roster import Duty, Roster
from gateway.doctor import checks, gather, reach
from gateway.doctor.facts import Clock, Disk, Door, Entry, Facts, Finding, Memory, Secret, Way
from gateway.host import Host
from gateway.settings_care import AlarmsSection
from gateway.settings_web import ConsoleSection

ROOT = Path(__file__).parents[2]
ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 3, 5, 10, 7, tzinfo=ZONE)
MIB = 1 << 20


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.use("en")
    yield
    i18n.use("zh")


def turn(office: str, start: datetime, end: datetime) -> Duty:
    return Duty(start=start, order=1, office=office, person="李值班", end=end)


CONF = replace(
    load(ROOT / "conf", Host.load(), today=date(2026, 3, 5)),
    alarms=AlarmsSection(ways=({"transport": "sms", "address": "1"}, {"transport": "mail", "address": "a@b"})),
)
GOOD = Facts(
    now=NOW,
    config=CONF,
    entries=(
        Entry(role="state", path="/s", mode=stat.S_IFDIR | 0o750),
        Entry(role="secrets", path="/k", mode=stat.S_IFDIR | 0o700),
    ),
    secrets=(Secret(name="store-key", path="/k/store-key"),),
    disks=(Disk(path="/s", free=50_000 * MIB, inodes=1_000_000, sync_ms=(1.0, 2.0, 3.0)),),
    clock=Clock(synchronised=True, source="adjtimex", last_event=NOW),
    ways=(Way(sort="channel", name="sms", kind="sms_smpp", running="up"),),
    doors=(Door(name="mail", host="127.0.0.1", port=25, free=True), Door(name="phone", host="127.0.0.1", port=8080, free=True)),
    fonts=3,
    memory=Memory(available=8000 * MIB, address_space=None, cgroup=None, workers=3584 * MIB),
    ocr_wanted=True,
    python="3.11.7",
    libraries=(("click", "8.1.7", "8.1"),),
    schema=("0003", "0003"),
    daemon=True,
)


def but(**changes: object) -> Facts:
    return msgspec.structs.replace(GOOD, **changes)


def test_words_that_mean_two_things_are_told_as_what_they_mean_here() -> None:
    """A clock that runs is a term elsewhere; so is where a message is from."""
    i18n.use("zh")
    found = {f.what: f.found for f in checks.judge(GOOD)}
    assert found["守护进程"] == "运行中"
    assert "系统时钟" in found
    assert not {"时限", "计时中"} & {*found, *found.values()}


@pytest.mark.parametrize(
    ("section", "state"),
    [
        ({}, "warn"),
        ({"ways": ({"transport": "sms", "address": "1"}, {"transport": "sms", "address": "2"})}, "warn"),
        ({"ways": ({"transport": "sms", "address": "1"},), "command": ("/usr/local/bin/siren",)}, "ok"),
    ],
)
def test_alarms_need_two_ways(section: dict[str, object], state: str) -> None:
    (found,) = checks.alarm_ways(msgspec.structs.replace(GOOD, config=replace(CONF, alarms=AlarmsSection(**section))))
    assert found.state == state and bool(found.do) == (state == "warn")


def test_a_host_in_order_has_nothing_wrong_and_nothing_to_look_at() -> None:
    found = checks.judge(GOOD)
    assert [f for f in found if f.state != "ok"] == []
    assert len({f.what for f in found}) >= 13


def disk(**changes: object) -> tuple[Disk, ...]:
    return (msgspec.structs.replace(GOOD.disks[0], **changes),)


TROUBLE = {
    "conf": (but(faults=("gateway.toml:3: city: missing",)), "wrong", "gateway.toml:3"),
    "state open": (but(entries=(Entry(role="state", path="/s", mode=0o777),)), "wrong", "mode 0777"),
    "secrets open": (but(entries=(Entry(role="secrets", path="/k", mode=0o755),)), "wrong", "mode 0755"),
    "audit open": (but(entries=(Entry(role="audit", path="/a", mode=0o644),)), "wrong", "mode 0644"),
    "another's": (but(entries=(Entry(role="state", path="/s", mode=0o750, mine=False),)), "wrong", "another user"),
    "unusable": (but(entries=(Entry(role="store", path="/s", mode=0o400, usable=False),)), "wrong", "cannot be read"),
    "no secrets": (but(entries=(Entry(role="secrets", path="/k", mode=None),)), "wrong", "not there"),
    "conf open": (but(writable=("/c/directory.toml",)), "wrong", "others may write"),
    "secret": (but(secrets=(Secret(name="store-key", path="/k", why="not 32 bytes"),)), "wrong", "not 32 bytes"),
    "store": (but(store="OperationalError"), "wrong", "OperationalError"),
    "newer": (but(schema=("0999", "0003")), "wrong", "newer"),
    "older": (but(schema=("0002", "0003")), "warn", "next start"),
    "full": (but(disks=disk(free=100 * MIB)), "wrong", "100 MiB free"),
    "inodes": (but(disks=disk(inodes=5)), "wrong", "5 inodes"),
    "slow": (but(disks=disk(sync_ms=(80.0, 90.0))), "warn", "median 85.0 ms"),
    "one slow": (but(disks=disk(sync_ms=(1.0, 1.0, 2000.0))), "warn", "worst 2000.0 ms"),
    "unmounted": (but(disks=disk(why="No such file")), "wrong", "No such file"),
    "clock": (but(clock=Clock(synchronised=False, source="adjtimex")), "warn", "not synchronised"),
    "no clock": (but(clock=Clock(synchronised=None, source="")), "warn", "cannot be told"),
    "no zone": (but(clock=Clock(synchronised=True, source="x", zone_known=False)), "wrong", "time zone"),
    "set back": (but(clock=Clock(synchronised=True, source="x", last_event=NOW + timedelta(hours=1))), "wrong", "later than now"),
    "carrier": (but(ways=(Way(sort="channel", name="sms", kind="k", why="no connection"),)), "wrong", "no connection"),
    "down": (but(ways=(Way(sort="channel", name="sms", kind="k", running="down"),)), "warn", "down"),
    "taken": (but(doors=(Door(name="mail", host="h", port=25, free=False),)), "wrong", "taken"),
    "clash": (but(doors=(Door(name="a", host="0.0.0.0", port=25), Door(name="b", host="127.0.0.1", port=25))), "wrong", "a and b"),
    "next year": (but(unknown_years=(("2027 unknown", False),)), "warn", "2027"),
    "this year": (but(unknown_years=(("2026 unknown", True),)), "wrong", "2026"),
    "no roster": (but(config=replace(CONF, roster=Roster())), "warn", "empty"),
    "fonts": (but(fonts=0), "warn", "none with Chinese"),
    "no fc-list": (but(fonts=None), "warn", "fc-list"),
    "rlimit": (but(memory=msgspec.structs.replace(GOOD.memory, address_space=1000 * MIB)), "warn", "1000 MiB"),
    "cgroup": (but(memory=msgspec.structs.replace(GOOD.memory, cgroup=512 * MIB)), "warn", "512 MiB"),
    "no ocr": (but(ocr="rapidocr is not installed"), "warn", "rapidocr"),
    "old library": (but(libraries=(("click", "7.9", "8.1"),)), "wrong", "click 7.9"),
    "no library": (but(libraries=(("click", None, "8.1"),)), "wrong", "missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", TROUBLE)
def test_each_trouble_is_found_with_what_to_do(name: str) -> None:
    facts, state, said = TROUBLE[name]
    found = [f for f in checks.judge(facts) if f.state != "ok"]
    assert [f.state for f in found] == [state], found
    assert said in found[0].found
    assert found[0].do, "each finding says what to do"


def holes(*turns: Duty) -> list[tuple[str | None, str, int]]:
    """What is said of the police, whom the roster names, and of the offices that receive, which it always names here."""
    kept = tuple(d for d in CONF.roster.duties if d.office != "committee_duty_room")
    config = replace(CONF, roster=Roster((*kept, *turns)))
    return [(one.office, one.text, one.count) for one in roster_holes.empty(config, NOW)]


def test_holes_of_the_roster() -> None:
    day = datetime(2026, 3, 5, tzinfo=ZONE)
    far = day + timedelta(days=60)

    def said(office: str, start: str, end: str) -> str:
        return f"{CONF.directory.name(office)}: nobody from {start} to {end}"

    room = "committee_duty_room"
    assert holes(turn(room, day, far)) == []
    assert holes() == [(room, said(room, "2026-03-05 10:07", "2026-03-19 10:07"), 1)], (
        "nobody for the whole time that is looked at"
    )
    assert holes(turn(room, day, day + timedelta(days=2))) == [(room, said(room, "2026-03-07 00:00", "2026-03-19 10:07"), 1)]
    gap = (
        turn(room, day, day + timedelta(days=1, hours=8)),
        turn(room, day + timedelta(days=1, hours=9), day + timedelta(days=3)),
    )
    first = said(room, "2026-03-06 08:00", "2026-03-06 09:00")
    assert holes(*gap) == [(room, f"{first}, and 1 more", 2)]
    assert [one[0] for one in holes(turn(room, day, far), turn("police", day, day + timedelta(days=2)))] == ["police"]
    fewer = Roster(tuple(d for d in CONF.roster.duties if d.office != "leading_group"))
    found = [f for f in checks.judge(but(config=replace(CONF, roster=fewer))) if f.what == "duty roster"]
    assert [f.state for f in found].count("warn") == 1 and len(found) == 8


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    init.write(tmp_path / "conf", demo=True, base_port=free_ports())
    return tmp_path / "conf"


def free_ports() -> int:
    for base in range(41000, 60000, 10):
        try:
            for port in range(base, base + 6):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise RuntimeError("no free ports")


def run(conf: Path) -> tuple[int, list[Finding]]:
    done = CliRunner(env={"GATEWAY_LANG": "en"}).invoke(cli, ["--conf", str(conf), "doctor", "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done.exit_code, [_finding(line) for line in done.output.splitlines()]


def _finding(line: str) -> Finding:
    shown = json.loads(line)
    return Finding(what=shown["what"], state=shown["state"], found=shown["found"], do=shown["do"])


def wrong(findings: list[Finding], what: str) -> list[str]:
    return [f.found for f in findings if f.state == "wrong" and f.what == what]


def test_wrong_modes_and_wrong_keys_of_a_real_folder(conf: Path) -> None:
    _code, found = run(conf)
    assert wrong(found, "permissions") == wrong(found, "credentials") == []
    secrets = conf / "secrets"
    secrets.chmod(0o755)
    (conf / "directory.toml").chmod(0o666)
    (conf / "channels.d").chmod(0o777)
    (secrets / "store-key").write_text("c2hvcnQ=\n")
    (secrets / "smpp-password").chmod(0o644)
    (secrets / "bureau-public").unlink()
    code, found = run(conf)
    assert code == 1
    assert {Path(text.split(":")[0]).name for text in wrong(found, "permissions")} == {"secrets", "directory.toml", "channels.d"}
    said = wrong(found, "credentials")
    assert len(said) == 3
    assert any("32 bytes" in text for text in said)
    assert any("chmod 600" in text for text in said)
    shown = json.dumps([msgspec.to_builtins(f) for f in found])
    assert "c2hvcnQ" not in shown, "no secret is shown"


def test_a_broken_conf_is_told_with_its_faults_and_the_host_is_looked_at_all_the_same(conf: Path) -> None:
    (conf / "gateway.toml").write_text("[gateway]\ncity = 3\n[nothing]\n")
    code, found = run(conf)
    assert code == 1
    assert len(wrong(found, "configuration")) == 2
    assert any(f.what == "system clock" for f in found)


def test_the_console_s_key_and_port_are_looked_at_where_it_is_enabled(conf: Path) -> None:
    config = load(conf, Host.load(conf), today=date(2026, 3, 5))
    tls = ConsoleSection(enabled=True, host="127.0.0.1", certificate="console.pem")
    for section, asked in ((ConsoleSection(), False), (tls, True)):
        with_it = replace(config, console=section, channels=(), transports=())
        assert ("console-key" in {one.name for one in gather._secrets(with_it)}) is asked
        _ways, doors = reach.look(with_it, None)
        assert ("console" in {door.name for door in doors}) is asked
    same = replace(config, console=tls.model_copy(update={"port": config.http.port, "certificate": ""}), channels=(), transports=())
    assert [door.name for door in reach.look(same, None)[1]] == ["http"], "one server for both is one door"


def test_a_port_that_somebody_else_holds_is_named(conf: Path) -> None:
    config = load(conf, Host.load(conf))
    port = next(one.settings.port for one in config.channels if one.kind == "email_smtp")
    with socket.create_server(("127.0.0.1", port)):
        _ways, doors = reach.look(config, None)
    assert {(d.name, d.free) for d in doors if d.name in ("mail", "phone")} >= {("mail", False), ("phone", True)}


def test_a_carrier_that_never_answers_costs_only_its_time_and_nothing_is_sent(conf: Path) -> None:
    """The sink takes the connection and says nothing; then one that answers, whose whole dialogue is kept."""
    config = load(conf, Host.load(conf))
    config = replace(config, doctor=config.doctor.model_copy(update={"probe_seconds": 0.3}))
    port = next(one.settings.port for one in config.transports if one.kind == "to_mail")
    with socket.create_server(("127.0.0.1", port)):
        ways, _doors = reach.look(config, None)
    assert next(way.why for way in ways if way.name == "mail" and way.sort == "transport") == "no answer within 0.3 s"
    said: list[bytes] = []
    server = socket.create_server(("127.0.0.1", port))
    thread = threading.Thread(target=talk, args=(server, said))
    thread.start()
    config = replace(config, doctor=config.doctor.model_copy(update={"probe_seconds": 5.0}))
    ways, _doors = reach.look(config, None)
    thread.join()
    server.close()
    assert next(way for way in ways if way.name == "mail" and way.sort == "transport").why is None
    assert {line.split()[0].upper() for line in said} <= {b"EHLO", b"QUIT"}


def talk(server: socket.socket, said: list[bytes]) -> None:
    conn, _peer = server.accept()
    with conn, conn.makefile("rwb") as file:
        file.write(b"220 sink\r\n")
        file.flush()
        for line in file:
            said.append(line)
            file.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 sink\r\n")
            file.flush()
            if line.upper().startswith(b"QUIT"):
                return


def test_it_leaves_nothing_behind(conf: Path) -> None:
    (conf / "state").mkdir(mode=0o750)
    before = sorted(path.relative_to(conf) for path in conf.rglob("*"))
    assert gather.gather(conf).disks[0].sync_ms, "the control: it has measured"
    assert sorted(path.relative_to(conf) for path in conf.rglob("*")) == before
    assert not os.path.exists(conf / "state" / "lock"), "it needs no lock"
