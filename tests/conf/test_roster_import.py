"""``gateway roster import`` and ``show``: CSV and workbooks as people make them, every fault at once, and nothing by halves."""

from __future__ import annotations

import getpass
import io
import json
import stat
import zipfile
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import i18n, init, roster_files, roster_import
from gateway.cli import cli
from gateway.conf_load import load as load_conf
from gateway.roster_files import Unreadable, tables

HEADS = {
    "en": ("office", "person", "from", "to", "order", "role", "shift"),
    "zh": ("单位", "姓名", "起", "止", "顺序", "角色", "班次"),
}
NIGHT = ("市委机要局", "何值班", "2026-12-01 18:00", "2026-12-02 08:30", "1", "", "夜班")
LEADS = ("市委机要局", "卢局长", "2026-12-01 18:00", "2026-12-02 08:30", "1", "leader", "")
Run = Callable[..., Result]


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    init.write(tmp_path / "conf", demo=True)
    return tmp_path / "conf"


@pytest.fixture
def run(conf: Path) -> Run:
    def command(*words: object, lang: str = "en", code: int = 0) -> Result:
        try:
            done = CliRunner(env={"GATEWAY_LANG": lang}).invoke(cli, ["--conf", str(conf), "roster", *map(str, words)])
        finally:
            i18n.use("zh")
        assert done.exit_code == code, done.output
        return done

    return command


def csv(path: Path, rows: Iterable[Iterable[str]], charset: str = "utf-8") -> Path:
    path.write_bytes("\r\n".join(",".join(row) for row in rows).encode(charset))
    return path


def book(
    path: Path, *sheets: tuple[str, list[list[Any]]], merged: Iterable[str] = (), change: Callable[[Any], None] | None = None
) -> Path:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets:
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
        for span in merged:
            sheet.merge_cells(span)
    if change is not None:
        change(made)
    made.save(path)
    return path


def turns(conf: Path, office: str = "confidential_bureau") -> list[str]:
    """The lines of an office in roster.csv."""
    return [line for line in (conf / "roster.csv").read_text("utf-8").splitlines() if line.startswith(office)]


def recorded(conf: Path) -> list[dict[str, Any]]:
    """What the journal says of imports."""
    from gateway.host import Host
    from gateway.store import Store, StoreKeys, journal

    config = load_conf(conf, Host.load(conf))
    store = Store.open(config.store_url, StoreKeys.load(config.secrets / "store-key"), clock=datetime.now)
    try:
        entries = store.read_now(lambda tx: journal.entries(tx, names=["roster_imported"]))
        return [{"by": e.event.by, **e.event.data} for e in entries]
    finally:
        store.close()


CUT = [
    "confidential_bureau,何值班,2026-01-01 00:00,2026-12-01 18:00,1,clerk,",
    "confidential_bureau,邓值班,2026-01-01 00:00,2026-12-01 18:00,2,clerk,",
    "confidential_bureau,卢局长,2026-01-01 00:00,2028-01-01 00:00,1,leader,",
    "confidential_bureau,何值班,2026-12-01 18:00,2026-12-02 08:30,1,clerk,夜班",
    "confidential_bureau,何值班,2026-12-02 08:30,2028-01-01 00:00,1,clerk,",
    "confidential_bureau,邓值班,2026-12-02 08:30,2028-01-01 00:00,2,clerk,",
]


@pytest.mark.parametrize("lang", HEADS)
@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "gb18030"])
def test_csv_replaces_its_own_span_and_keeps_the_rest(conf: Path, run: Run, tmp_path: Path, lang: str, charset: str) -> None:
    others = [line for line in (conf / "roster.csv").read_text("utf-8").splitlines() if "confidential_bureau" not in line]
    file = csv(tmp_path / "夜班.csv", [("江州市值班表",), HEADS[lang], NIGHT], charset)
    before = (conf / "roster.csv").read_bytes()
    tried = run("import", file, "--dry-run").output
    assert "+ 2026-12-01 18:00 – 2026-12-02 08:30 市委机要局 夜班 clerk 1 何值班" in tried and "nothing was written" in tried
    assert (conf / "roster.csv").read_bytes() == before and not (conf / "state" / "gateway.db").exists()
    assert "1 turns read; 5 turns added, 2 taken away" in run("import", file).output
    assert turns(conf) == CUT
    assert set(others) <= set((conf / "roster.csv").read_text("utf-8").splitlines()), "other offices and the remarks stay"
    noted = recorded(conf)[0]
    assert (noted["by"], noted["file"], noted["turns"], noted["offices"], noted["how"]) == (
        getpass.getuser(), "夜班.csv", 1, ["confidential_bureau"], "merge",
    )  # fmt: skip
    assert (noted["from"], noted["to"]) == ("2026-12-01T18:00:00+08:00", "2026-12-02T08:30:00+08:00")
    assert "no change" in run("import", file).output and len(recorded(conf)) == 1
    CliRunner().invoke(cli, ["--conf", str(conf), "check"])
    run("import", file, "--replace")
    assert (conf / "roster.csv").read_text("utf-8").splitlines() == [",".join(HEADS["en"]), CUT[3]]


def sheet(lang: str, at: Callable[[str], Any]) -> list[list[Any]]:
    """Titles, a header, and an office that stands once beside its two turns."""
    head = list(HEADS[lang])
    first = [NIGHT[0], "何 值班", at(NIGHT[2]), at(NIGHT[3]), 1, "值班员", "夜班"]
    return [
        ["江州市2026年12月值班表"],
        ["制表：机要局"],
        [],
        head,
        first,
        [None, "卢局长", at(LEADS[2]), at(LEADS[3]), 1.0, "带班领导"],
    ]


FORMS: dict[str, Callable[[str], Any]] = {
    "dates": datetime.fromisoformat,
    "text": lambda text: text,
    "chinese": lambda text: datetime.fromisoformat(text).strftime("%Y年%m月%d日%H时%M分"),
    "slashes": lambda text: datetime.fromisoformat(text).strftime("%Y/%m/%d %H:%M:%S"),
}


@pytest.mark.parametrize("lang", HEADS)
@pytest.mark.parametrize("form", FORMS)
def test_a_workbook_with_titles_and_merged_cells(conf: Path, run: Run, tmp_path: Path, lang: str, form: str) -> None:
    file = book(tmp_path / "12月.XLSX", ("十二月", sheet(lang, FORMS[form])), merged=["A1:G1", "A2:G2", "A5:A6"])
    run("import", file, "--replace")
    assert turns(conf) == [CUT[3], "confidential_bureau,卢局长,2026-12-01 18:00,2026-12-02 08:30,1,leader,"]


def test_all_sheets_with_a_header_are_read_and_the_others_named(conf: Path, run: Run, tmp_path: Path) -> None:
    more = [list(HEADS["zh"]), ["市政府值班室", "李值班", date(2026, 12, 1), date(2026, 12, 2), 1, None, None]]

    def hide(made: Any) -> None:
        made["旧"].sheet_state = "hidden"

    sheets = (("机要局", sheet("zh", str)), ("说明", [["请于25日前报送"]]), ("值班室", more), ("旧", [["x"]]), ("空", []))
    file = book(tmp_path / "a.xlsx", *sheets, merged=["A5:A6"], change=hide)
    done = run("import", file, "--replace")
    assert "sheet 说明 has no header and was passed over" in done.stderr and "旧" not in done.stderr
    assert len(turns(conf)) == 2
    assert turns(conf, "government_duty_room") == ["government_duty_room,李值班,2026-12-01 00:00,2026-12-02 00:00,1,clerk,"]


BAD = [
    ["市委机要局", "张三", "2026-12-01 18:00", "2026-12-02 08:30", 1, None, None],
    ["机要科", "何值班", "2026-02-30 18:00", "2026-13-01 08:30", "一", "局长", None],
    ["市委机要局", "何值班", "2026-12-03 18:00", "2026-12-03 24:00", 1, None, None],
    ["市委机要局", "邓值班", "2026-12-05 18:00", "2026-12-05 08:30", 1, None, None],
    ["市委机要局", "邓值班", "2026-12-06 18:00", "2026-12-07 08:30", 1, None, None],
    ["市委机要局", "何值班", "2026-12-06 20:00", "2026-12-07 08:30", 1, None, None],
    ["市政府值班室", "王科长", "2026-12-06 20:00", "2026-12-07 08:30", 1, None, None],
]
WANTED = [
    (0, "B", "姓名: unknown person '张三'; allowed: 何值班、邓值班、卢局长"),
    (1, "A", "单位: unknown office '机要科'"),
    (1, "C", "起: '2026-02-30 18:00': that month has no such day; allowed: 1–28"),
    (1, "D", "止: '2026-13-01 08:30': there is no such month; allowed: 1–12"),
    (1, "E", "顺序: '一' is no whole number"),
    (1, "F", "角色: unknown role '局长'; allowed: clerk, 值班员, leader, 带班领导"),
    (2, "D", "止: '2026-12-03 24:00': a day ends at 00:00 of the next; allowed: 2026-12-04 00:00"),
    (3, "D", "止: '2026-12-05 08:30' is not after the beginning"),
    (5, "E", "顺序: place 1 in the order of 市委机要局 is held by 邓值班 at that time, see {other}"),
    (6, "B", "姓名: '王科长' belongs to 市委办信息科"),
]


@pytest.mark.parametrize("sort", ["csv", "xlsx"])
@pytest.mark.parametrize("asked", [[], ["--replace"], ["--dry-run"]])
def test_all_faults_are_shown_at_once_with_their_places(
    conf: Path, run: Run, tmp_path: Path, sort: str, asked: list[str]
) -> None:
    rows = [["值班表"], list(HEADS["zh"]), *BAD]
    if sort == "csv":
        file = csv(tmp_path / "bad.csv", [[str(c or "") for c in row] for row in rows])
        where = [f"bad.csv:{n + 3}" for n, _column, _text in WANTED]
        other = "bad.csv:7"
    else:
        file = book(tmp_path / "bad.xlsx", ("十二月", rows), merged=["A1:G1"])
        where = [f"bad.xlsx: 十二月!{column}{n + 3}" for n, column, _text in WANTED]
        other = "bad.xlsx: 十二月!E7"
    before = (conf / "roster.csv").read_bytes()
    done = run("import", file, *asked, code=1)
    shown = done.stdout.splitlines()
    assert len(shown) == len(WANTED)
    for line, at, (_n, _column, text) in zip(shown, where, WANTED, strict=True):
        assert line.startswith(f"{at}: {text.format(other=other)}"), line
    assert "10 faults in" in done.stderr and "nothing was written" in done.stderr
    assert (conf / "roster.csv").read_bytes() == before and not (conf / "state" / "gateway.db").exists()
    told = json.loads(run("import", file, "--json", code=1).stdout)
    assert not told["imported"] and [one["at"] for one in told["faults"]] == where
    chinese = run("import", file, lang="zh", code=1).stdout
    assert len(chinese.splitlines()) == len(WANTED) and "allowed" not in chinese
    assert "没有这一天；可用：1–28" in chinese and "顺序 1 同一时间已有邓值班" in chinese


def test_a_turn_may_not_contradict_one_that_stays(conf: Path, run: Run, tmp_path: Path) -> None:
    directory = conf / "directory.toml"
    text = directory.read_text("utf-8")
    shared = next(line for line in text.splitlines() if 'name = "罗值班"' in line)
    night = next(line for line in text.splitlines() if 'name = "马值班"' in line)
    directory.write_text(text.replace(night, f"{night}\n{shared}"), "utf-8")
    row = ("市政府值班室", "罗值班", "2026-12-01 18:00", "2026-12-02 08:30", "1", "", "")
    file = csv(tmp_path / "x.csv", [HEADS["zh"], row])
    old = next(n for n, line in enumerate((conf / "roster.csv").read_text("utf-8").splitlines(), 1) if "罗值班" in line)
    done = run("import", file, code=1)
    assert f"x.csv:2: 姓名: 罗值班 is on duty in 市委政务值班室 at that time, see roster.csv:{old} (2026-01-01" in done.stdout
    run("import", file, "--replace")


def test_a_broken_roster_is_mended_by_replacing_it(conf: Path, run: Run, tmp_path: Path) -> None:
    (conf / "roster.csv").write_text("office,person,from,to,order\nnobody,x,y,z,1\n", "utf-8")
    file = csv(tmp_path / "x.csv", [HEADS["zh"], NIGHT])
    assert "roster.csv:2: office: unknown office 'nobody'" in run("import", file, code=1).stdout
    run("import", file, "--replace")
    assert turns(conf) == [CUT[3]]
    (conf / "roster.csv").unlink()
    run("import", file)
    assert turns(conf) == [CUT[3]]


@pytest.mark.parametrize(("rows", "text"), [
    ([], "no header was found"), ([HEADS["zh"]], "holds no turn"), ([("a", "b"), NIGHT], "no header was found"),
    ([HEADS["zh"][:4], NIGHT[:4]], "order: the column is missing"), ([(*HEADS["zh"], "电话"), NIGHT], "unknown column '电话'"),
])  # fmt: skip
def test_a_file_without_a_table_is_named(run: Run, tmp_path: Path, rows: list[tuple[str, ...]], text: str) -> None:
    assert text in run("import", csv(tmp_path / "x.csv", rows), code=1).stdout


def test_files_that_cannot_be_read_at_all(conf: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return run("import", tmp_path / name, code=2).stderr

    assert "allowed: .csv, .xlsx" in said("a.xls", b"\xd0\xcf\x11\xe0")
    for content in (b"", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), b"office,person"):
        assert "without a password" in said("a.xlsx", content)
    assert "neither UTF-8 nor GB18030" in said("a.csv", "单位".encode("utf-16"))
    assert "neither UTF-8 nor GB18030" in said("a.csv", b"\xff\xff\xff\xff")
    book(tmp_path / "b.xlsx", ("空", []))
    assert "holds nothing" in run("import", tmp_path / "b.xlsx", code=2).stderr
    run("import", tmp_path / "none.csv", code=2)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("xl/workbook.xml", bytes(2 << 20))
    monkeypatch.setattr(roster_files, "MOST_UNPACKED", 1 << 20)
    assert "too large" in said("bomb.xlsx", packed.getvalue())
    monkeypatch.setattr(roster_files, "MOST_BYTES", 10)
    assert "too large" in said("long.csv", b"x" * 11)
    monkeypatch.undo()
    far = book(tmp_path / "far.xlsx", ("远", []), change=lambda made: made["远"].__setitem__("A60000", 1))
    assert "too large" in run("import", far, code=2).stderr


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.sampled_from(["x.csv", "x.xlsx"]))
def test_any_bytes_are_lines_or_refused(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    try:
        assert all(line.place.line >= 1 for table in tables(tmp_path / name) for line in table)
    except Unreadable as refused:
        assert name in str(refused)


def test_cells_that_are_no_times_are_named(conf: Path, run: Run, tmp_path: Path) -> None:
    rows: list[list[Any]] = [list(HEADS["en"])]
    rows += [
        ["市委机要局", "何值班", at, datetime(2026, 12, 2), 1, None, None] for at in (time(18, 0), 46357.75, True, "=A1", "#N/A")
    ]
    rows.append(["#REF!", "何值班", datetime(2026, 12, 1), datetime(2026, 12, 2), 1, None, None])
    shown = run("import", book(tmp_path / "x.xlsx", ("S", rows)), code=1).stdout.splitlines()
    assert [line.split(": ")[1] for line in shown] == ["S!C2", "S!C3", "S!C4", "S!C5", "S!C6", "S!A7"]
    assert "is empty" in shown[3], "a formula that was never worked out has no value"


def test_mode_and_link_stay_and_nothing_is_left_over(conf: Path, run: Run, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.csv"
    (conf / "roster.csv").rename(real)
    (conf / "roster.csv").symlink_to(real)
    real.chmod(0o640)
    run("import", csv(tmp_path / "x.csv", [HEADS["zh"], NIGHT]))
    assert (conf / "roster.csv").is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o640
    assert turns(conf) == CUT
    assert [p.name for p in (*conf.iterdir(), *tmp_path.iterdir()) if p.name.startswith(".roster")] == []


def test_without_a_record_nothing_is_written(conf: Path, run: Run, tmp_path: Path) -> None:
    before = (conf / "roster.csv").read_bytes()
    (conf / "secrets" / "store-key").unlink()
    assert "store-key" in run("import", csv(tmp_path / "x.csv", [HEADS["zh"], NIGHT]), code=1).stderr
    assert (conf / "roster.csv").read_bytes() == before
    assert not [p.name for p in conf.iterdir() if p.name.startswith(".roster")]


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(conf: Path, tmp_path: Path) -> None:
    made = roster_import.plan(conf, csv(tmp_path / "x.csv", [HEADS["zh"], NIGHT]), replace=False)
    with (conf / "roster.csv").open("a", encoding="utf-8") as file:
        file.write("# 备注\n")
    with pytest.raises(roster_import.ChangedMeanwhile):
        made.write(conf, lambda: pytest.fail("nothing may be recorded"))


def test_a_fault_elsewhere_in_conf_ends_it_by_name(conf: Path, run: Run, tmp_path: Path) -> None:
    text = (conf / "clocks.toml").read_text("utf-8")
    (conf / "clocks.toml").write_text(text + "\n[nonsense]\n", "utf-8")
    assert "clocks.toml:" in run("import", csv(tmp_path / "x.csv", [HEADS["zh"], NIGHT]), code=1).stderr


def test_show_marks_the_holes(conf: Path, run: Run, tmp_path: Path) -> None:
    rows = [HEADS["zh"], NIGHT, LEADS, ("市政府值班室", "李值班", "2026-12-01 00:00", "2026-12-03 00:00", "1", "", "")]
    run("import", csv(tmp_path / "x.csv", rows), "--replace")
    asked = ["show", "--from", "2026-12-01", "--days", "2"]
    shown = run(*asked, "--office", "市委机要局").output
    assert [line.split()[5:] for line in shown.splitlines()[1:7]] == [
        ["!", "nobody"], ["!", "nobody"], ["夜班", "clerk", "1", "何值班"], ["leader", "1", "卢局长"], ["!", "nobody"], ["!", "nobody"],
    ]  # fmt: skip
    assert "4 holes" in shown
    found = [json.loads(line) for line in run(*asked, "--json").output.splitlines()]
    bureau = [one for one in found if one["office"] == "confidential_bureau"]
    assert [(one["hole"], one["from"], one["to"]) for one in bureau][:3] == [
        (True, "2026-12-01T00:00:00+08:00", "2026-12-01T08:30:00+08:00"),
        (True, "2026-12-01T12:00:00+08:00", "2026-12-01T14:30:00+08:00"),
        (False, "2026-12-01T18:00:00+08:00", "2026-12-02T08:30:00+08:00"),
    ]
    assert [one["person"] for one in found if one["office"] == "government_duty_room"] == ["李值班"]
    assert {one["office"] for one in found if one["hole"]} >= {"committee_office", "government_office", "leading_group"}
    assert "带班领导" in run(*asked, lang="zh").output and "！无人" in run(*asked, lang="zh").output
    assert "allowed: 市委办信息科" in run("show", "--office", "nobody", code=2).stderr


def test_check_warns_of_holes_and_passes(conf: Path, run: Run, tmp_path: Path) -> None:
    def check(*words: str) -> Result:
        done = CliRunner(env={"GATEWAY_LANG": "en"}).invoke(cli, ["--conf", str(conf), "check", *words])
        i18n.use("zh")
        assert done.exit_code == 0, done.output
        return done

    assert "roster.csv" not in check().stderr
    lines = (conf / "roster.csv").read_text("utf-8").splitlines()
    (conf / "roster.csv").write_text("\n".join(line for line in lines if "leading_group" not in line), "utf-8")
    assert "roster.csv:1: roster: 处理突发事件领导小组办公室: nobody from " in check().stderr
    assert any("nobody from" in one for one in json.loads(check("--json").stdout)["warnings"])
    (conf / "roster.csv").unlink()
    assert "roster.csv:1: roster: empty: nobody is named as on duty" in check().stderr
