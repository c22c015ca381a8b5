"""The shipped conf passes, agrees with the settings classes, and years, digests and paths behave."""

from __future__ import annotations

import resource
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway import i18n
from gateway.cli import language
from gateway.conf_docs import commented, page
from gateway.conf_edit import set_key
from gateway.conf_load import check, load
from gateway.faults import ConfError
from gateway.host import Host
from gateway.settings import Config
from gateway.settings_model import GatewayFile

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "conf"
EXAMPLE_OFFICES = {
    "committee_office": "市委办信息科", "government_office": "市政府办秘书二科", "confidential_bureau": "市委机要局",
    "government_duty_room": "市政府值班室", "committee_duty_room": "市委政务值班室",
    "secretary_general_committee": "市委秘书长", "secretary_general_government": "市政府秘书长",
    "leading_group": "处理突发事件领导小组办公室", "province_committee": "省委办公厅", "province_government": "省政府办公厅",
}  # fmt: skip
DEPARTMENTS = {
    "police", "traffic_police", "safety", "transport", "petitions", "education", "civil_affairs", "relief", "labour",
    "environment", "weather", "health", "livestock",
}  # fmt: skip


@pytest.fixture(scope="module")
def config() -> Config:
    return check(SHIPPED, Host.load(SHIPPED), today=date(2026, 6, 1))


def test_the_shipped_conf_passes(config: Config) -> None:
    assert config.warnings == ()
    assert {c.name: c.kind for c in config.channels} == {
        "sms": "sms_smpp", "mail": "email_smtp", "fax": "fax_mail", "phone": "phone_transcript",
        "phone-log": "phone_log",
    }  # fmt: skip
    assert {t.name: t.kind for t in config.transports} == {"mail": "to_mail", "sms": "to_sms"}
    assert [r.kind for r in config.routers] == ["route_offices"]
    assert len(config.catalogue.items) >= 50
    assert {clock.id for clock in config.clocks} == {"initial", "phone", "written", "province", "centre", "missed"}


def test_the_example_knows_its_city(config: Config) -> None:
    directory = config.directory
    assert {o.id: o.name for o in directory.offices if o.id in EXAMPLE_OFFICES} == EXAMPLE_OFFICES
    assert {o.id for o in directory.departments()} == DEPARTMENTS
    assert all(office.ways for office in directory.offices)
    assert directory.office("市委机要局") is directory.office("confidential_bureau")
    assert directory.name("no such office") == "no such office"


@pytest.mark.parametrize(
    ("sender", "unit"),
    [
        ("+8613800000001", "白水县委办"),
        ("13800000001", "白水县委办"),
        ("8613800000001", "白水县委办"),
        ("008613800000001", "白水县委办"),
        ("138 0000 0005", "平安县安监局"),
        ("+8613800000099", "省交通厅值班室"),
        ("09996012346", "白水县委办"),
        ("0999-6012346", "白水县委办"),
        ("6012346", "白水县委办"),
        ("+869996012346", "白水县委办"),
        ("BaiShui-Office@gateway.test", "白水县委办"),
        ("+8613800000006", None),
        ("", None),
        ("110", None),
    ],
)
def test_units_are_known_by_any_form_of_their_number(config: Config, sender: str, unit: str | None) -> None:
    found = config.directory.unit(sender)
    assert (found.name if found else None) == unit


def test_informants_are_known_by_name(config: Config) -> None:
    person = config.directory.informant("13800000002")
    assert person is not None
    assert (person.name, person.phone) == ("李军", "+8613800000002")
    assert config.directory.informant("0999-6212345") is None, "the office's telephone is nobody's own"


@pytest.mark.parametrize(
    ("moment", "working", "why"),
    [
        ("2026-02-14T10:00:00", True, "工作时间（春节调休上班）"),
        ("2026-02-16T10:00:00", False, "春节"),
        ("2026-02-28T17:59:00", True, "工作时间（春节调休上班）"),
        ("2026-05-09T18:00:00", False, "下班后（劳动节调休上班）"),
        ("2026-10-07T10:00:00", False, "国庆节"),
        ("2026-10-08T08:30:00", True, "工作时间"),
        ("2019-10-01T10:00:00", False, "国庆节"),
    ],
)
def test_the_state_councils_calendar(config: Config, moment: str, working: bool, why: str) -> None:
    found = config.calendar.moment(datetime.fromisoformat(moment + "+08:00"))
    assert (found.working, found.why, found.known) == (working, why, True)


def test_the_shipped_year_agrees_with_the_package() -> None:
    from chinese_calendar import constants

    data = tomllib.loads((SHIPPED / "calendar.d" / "2026.toml").read_text(encoding="utf-8"))
    off = {
        entry["from"].fromordinal(day)
        for entry in data["holiday"]
        for day in range(entry["from"].toordinal(), entry["to"].toordinal() + 1)
    }
    assert off == {day for day in constants.holidays if day.year == 2026}
    assert {entry["day"] for entry in data["workday"]} == {day for day in constants.workdays if day.year == 2026}


def test_a_present_year_nobody_knows_is_refused_at_check_but_not_at_run(conf: Path) -> None:
    host = Host.load(conf)
    with pytest.raises(ConfError) as caught:
        check(conf, host, today=date(2027, 1, 1))
    assert [(f.file, f.line) for f in caught.value.faults] == [("calendar.d/2027.toml", 1)]
    running = load(conf, host, today=date(2027, 1, 1))
    assert not running.calendar.moment(datetime.fromisoformat("2027-01-04T10:00:00+08:00")).known
    assert [w.grave for w in running.warnings] == [True]


@pytest.mark.parametrize(("today", "warned"), [(date(2026, 11, 5), False), (date(2026, 11, 6), True), (date(2026, 12, 31), True)])
def test_the_next_year_is_asked_for_weeks_before(conf: Path, today: date, warned: bool) -> None:
    found = check(conf, Host.load(conf), today=today)
    assert [(w.file, w.grave) for w in found.warnings] == ([("calendar.d/2027.toml", False)] if warned else [])


def test_a_complete_file_makes_a_year_known_and_a_partial_one_does_not(conf: Path) -> None:
    file = conf / "calendar.d" / "2027.toml"
    file.write_text('year = 2027\n[[holiday]]\nname = "元旦"\nfrom = 2027-01-01\n', encoding="utf-8")
    host = Host.load(conf)
    with pytest.raises(ConfError):
        check(conf, host, today=date(2027, 1, 1))
    file.write_text("complete = true\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    found = check(conf, host, today=date(2027, 1, 1)).calendar
    assert found.moment(datetime.fromisoformat("2027-01-01T10:00:00+08:00")).why == "元旦"
    assert found.moment(datetime.fromisoformat("2027-01-04T10:00:00+08:00")).working


def test_missing_files_are_named(conf: Path, faults: Callable[[Path], list[str]]) -> None:
    (conf / "catalogue.toml").unlink()
    (conf / "templates" / "report.txt").unlink()
    assert faults(conf) == [
        "catalogue.toml:1: catalogue.toml: the file is missing",
        "templates/report.txt:1: report.txt: the file is missing",
    ]


def test_a_folder_that_is_not_there_is_one_fault_with_what_to_do(conf: Path, faults: Callable[[Path], list[str]]) -> None:
    (told,) = faults(conf / "nowhere")
    assert f"gateway init {conf / 'nowhere'}" in told and "--conf" in told


def test_a_disabled_transport_leaves_the_other_way(conf: Path) -> None:
    path = conf / "channels.d" / "sms.toml"
    path.write_text(set_key(path.read_text(encoding="utf-8"), ("transport", "sms", "enabled"), False), encoding="utf-8")
    found = check(conf, Host.load(conf), today=date(2026, 6, 1))
    assert {t.name for t in found.transports} == {"mail"}
    assert {way.transport for office in found.directory.offices for way in office.ways} == {"mail"}


def test_sensitive_items_go_by_cleared_ways_alone(config: Config) -> None:
    assert {office.cleared for office in config.directory.offices} == {("mail",)}


def test_the_digest_follows_every_file(conf: Path) -> None:
    def digest() -> str:
        return check(conf, Host.load(conf), today=date(2026, 6, 1)).digest

    seen = [digest(), digest()]
    assert seen[0] == seen[1]
    for name in ("gateway.toml", "templates/report.txt", "roster.csv"):
        path = conf / name
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        seen.append(digest())
    assert len(set(seen)) == 4


def test_paths_and_store_count_from_the_configuration(conf: Path) -> None:
    path = conf / "gateway.toml"
    host, text = Host.load(conf), path.read_text(encoding="utf-8")
    found = load(conf, host)
    assert found.state == conf / "state"
    assert found.audit_log == conf / "state" / "audit.jsonl"
    assert found.store_url == f"sqlite:///{conf}/state/gateway.db"
    text = set_key(text, ("gateway", "state"), "/var/lib/jibao")
    path.write_text(set_key(text, ("gateway", "store"), "postgresql+psycopg:///jibao"), encoding="utf-8")
    found = load(conf, host)
    assert (found.state, found.store_url) == (Path("/var/lib/jibao"), "postgresql+psycopg:///jibao")


def test_faults_are_told_in_chinese_too(conf: Path) -> None:
    cases = Path(__file__).parent / "cases" / "twenty"
    (conf / "gateway.toml").write_bytes((cases / "gateway.toml").read_bytes())
    found: dict[Any, list[Any]] = {}
    for lang in ("en", "zh"):
        i18n.use(lang)
        with pytest.raises(ConfError) as caught:
            load(conf, Host.load(conf))
        found[lang] = [(f.file, f.line, f.key) for f in caught.value.faults]
        texts = [f.text for f in caught.value.faults]
    assert found["en"] == found["zh"]
    assert all(any("\u4e00" <= c <= "\u9fff" for c in text) for text in texts), texts


def test_the_language_is_known_before_anything_is_validated(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_LANG", raising=False)
    assert language(conf) == "zh"
    (conf / "gateway.toml").write_text('[gateway]\nlang = "en"\ncity = 5\n', encoding="utf-8")
    assert language(conf) == "en"
    (conf / "gateway.toml").write_text("gateway = 5\n", encoding="utf-8")
    assert language(conf) == language(conf / "nowhere") == "zh"


def test_every_key_is_in_the_shipped_file_with_its_default() -> None:
    lines = (SHIPPED / "gateway.toml").read_text(encoding="utf-8").splitlines()
    for name, field in GatewayFile.model_fields.items():
        if not isinstance(field.annotation, type):
            assert f"# [[{name}]]" in lines, "a table of which there may be many is shown as an example"
            continue
        start = lines.index(f"[{name}]")
        section = lines[start : next((n for n in range(start + 1, len(lines)) if lines[n].startswith("[")), len(lines))]
        assert field.annotation is not None
        reference = commented(field.annotation)
        shown = [line for line in section if line in reference]
        assert shown == reference
        strange = [line for line in section if line.startswith("#") and "=" in line and not line.startswith("# ")]
        assert [line for line in strange if line not in reference] == []


@pytest.mark.parametrize("file", sorted((SHIPPED / "channels.d").glob("*.toml")), ids=lambda path: str(path.name))
def test_every_key_of_a_shipped_plugin_section_is_there_with_its_default(file: Path) -> None:
    data = tomllib.loads(file.read_text(encoding="utf-8"))
    lines = file.read_text(encoding="utf-8").splitlines()
    kinds = Host.load().kinds
    for sort, name, table in [(one, name, table) for one in data for name, table in data[one].items()]:
        start = lines.index(f"[{sort}.{name}]")
        section = lines[start : next((n for n in range(start + 1, len(lines)) if lines[n].startswith("[")), len(lines))]
        for key, field in kinds[f"{sort}s"][table["kind"]].Settings.model_fields.items():
            if field.is_required():
                assert any(line.startswith(f"{key} = ") for line in section), key
            else:
                written = next((line for line in section if line.startswith(f"#{key} = ")), None)
                assert written is not None, key
                assert tomllib.loads(written[1:])[key] == _plain(field.get_default(call_default_factory=True)), key


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def test_the_configuration_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == page(Host.load()), (
        "run: python -m gateway.conf_docs > docs/configuration.md"
    )


def test_check_is_quick() -> None:
    """In processor time: what else the machine does is not its fault."""
    code = "from pathlib import Path; from gateway.host import Host; from gateway.conf_load import load\n"
    code += "load(Path('conf'), Host.load())"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    heavy = code + "; import sys; print([m for m in ('sqlalchemy', 'numpy', 'rapidocr', 'sentry_sdk') if m in sys.modules])"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    found = subprocess.run([sys.executable, "-c", heavy], check=True, cwd=ROOT, timeout=20, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("url", ["postgresql+psycopg://u:geheim@db/jibao", "postgresql+psycopg:///jibao?host=db&password=geheim"])
def test_a_password_in_the_url_of_the_store_is_refused_and_not_repeated(
    conf: Path, faults: Callable[[Path], list[str]], url: str
) -> None:
    set_gateway(conf, "store", url)
    (fault,) = faults(conf)
    assert "PGPASSFILE" in fault and "geheim" not in fault


def test_a_state_folder_whose_socket_would_have_too_long_a_path_is_refused(
    conf: Path, faults: Callable[[Path], list[str]]
) -> None:
    room = 107 - len("/control.sock")
    set_gateway(conf, "state", "/" + "s" * (room - 1))
    assert faults(conf) == []
    set_gateway(conf, "state", "/" + "s" * room)
    (fault,) = faults(conf)
    assert "108" in fault and "107" in fault


def set_gateway(conf: Path, key: str, value: str) -> None:
    path = conf / "gateway.toml"
    path.write_text(set_key(path.read_text(), ("gateway", key), value))
