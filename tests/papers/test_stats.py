"""``gateway stats`` over a register: every form says the same, every number leads to its incidents, an empty period says so."""

from __future__ import annotations

import io
import json
import re
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from gateway.cli import cli
from gateway.conf_load import load
from gateway.core.duty.matter import Judged
from gateway.host import Host
from gateway.store import Store, StoreKeys, Tx
from tests.papers.conftest import ROOT
from tests.papers.made import case, local, put

BAISHUI, YUNTAI = "+8613800000001", "+8613800000002"


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose store holds March: one in time, one late and confirmed, one late only by rule, one suspected, a
    sensitive one, one whose limit lies in April."""
    folder = tmp_path_factory.mktemp("stats") / "conf"
    shutil.copytree(ROOT / "conf", folder, ignore=shutil.ignore_patterns("state", "secrets"))
    (folder / "state").mkdir()
    store = Store.open(f"sqlite:///{folder}/state/gateway.db", StoreKeys(bytes(32)), lambda: datetime.now(UTC))

    def march(tx: Tx) -> None:
        late = Judged(kind="迟报", clock="initial")
        for n, day, minute, unit, sender, judged, more in (
            (1, 5, 20, "白水县委办", BAISHUI, (), {}),
            (2, 6, 50, "白水县委办", BAISHUI, (Judged(kind="迟报", clock="initial", state="confirmed"),), {}),
            (3, 7, 45, "云台区政府办", YUNTAI, (late,), {"county": "云台区"}),
            (4, 8, 90, "云台区政府办", YUNTAI, (late, Judged(kind="疑似瞒报")), {"county": "云台区", "title": "=HYPERLINK(1)"}),
            (5, 9, 15, "白水县委办", BAISHUI, (Judged(kind="误报", state="confirmed"),), {"sensitive": True, "title": "看不得的标题"}),
        ):
            start = local(f"2026-03-{day:02d}T10:00")
            report = start.replace(hour=10 + minute // 60, minute=minute % 60)
            made, matter = case(f"2026-{n:04d}", start, report, unit, judged=judged, **more)
            put(tx, made, matter, sender, report.replace(second=30))
        made, matter = case("2026-0006", local("2026-03-31T23:45"), local("2026-03-31T23:55"), "白水县委办")
        put(tx, made, matter, BAISHUI)

    store.write_now(march)
    store.close()
    return folder


def run(conf: Path, *args: str) -> Result:
    return CliRunner().invoke(cli, ["--conf", str(conf), "stats", *args])


def test_json_has_every_number_with_its_incidents(conf: Path) -> None:
    shown = json.loads(run(conf, "--month", "2026-03", "--json").stdout)
    assert shown["incidents"] == {"count": 6, "incidents": [f"2026-000{n}" for n in range(1, 7)]}
    units = {unit["unit"]: unit for unit in shown["units"]}
    assert (units["白水县委办"]["due"], units["白水县委办"]["done"], units["白水县委办"]["rate"]) == (3, 2, 66.6)
    assert units["云台区政府办"]["late"]["incidents"] == ["2026-0003", "2026-0004"] and units["云台区政府办"]["rate"] == 0.0
    assert shown["judged"]["late_confirmed"]["incidents"] == ["2026-0002"] and shown["judged"]["concealed"]["count"] == 0
    assert shown["unacknowledged"]["incidents"] == ["2026-0006"]
    assert json.loads(run(conf, "--period", "2026-03", "--format", "json").stdout)["units"] == shown["units"]
    april = json.loads(run(conf, "--month", "2026-04", "--json").stdout)
    assert (april["incidents"]["count"], april["due"]) == (0, 1)
    assert shown["start"].endswith("+08:00")


def test_the_report_has_the_three_parts_and_the_rate_of_each_unit(conf: Path) -> None:
    text = run(conf, "--month", "2026-03").stdout
    parts = [line for line in text.splitlines() if re.match("[一二三]、", line)]
    assert parts == ["一、报送情况总览", "二、报送率分析", "三、存在问题及建议"]
    assert "1．白水县委办报送率：66.6%" in text and "云台区政府办报送率：0%" in text and "无应报" in text
    assert "云台区政府办（2起）" in text and "其中经认定迟报1起" in text and "尚待核实" in text
    assert "建议" in text and "看不得" not in text


def test_the_circular_states_as_fact_only_what_a_person_confirmed(conf: Path) -> None:
    text = run(conf, "--month", "2026-03", "--paper", "circular").stdout
    sure, _mark, unsure = text.partition("二、待核实的情况")
    assert "白水县委办迟报1起：〔2026〕0002" in sure and "白水县委办误报1起" in sure
    assert "云台区" not in sure and "瞒报1起" not in sure.replace("疑似", "")
    assert "云台区政府办超过时限报送2起" in unsure and "云台区政府办疑似瞒报1起：〔2026〕0004" in unsure and "不作为结论" in unsure
    assert "看不得" not in text and "内容敏感" in sure


@pytest.mark.parametrize("paper", ["situation", "quarter", "circular", "ranking", "owed"])
@pytest.mark.parametrize("period", ["2026Q1", "2025-03"])
def test_every_paper_of_every_period_in_text_html_and_word(conf: Path, paper: str, period: str, tmp_path: Path) -> None:
    import docx as reader

    text = run(conf, "--period", period, "--paper", paper).stdout
    html = run(conf, "--period", period, "--paper", paper, "--html").stdout
    file = tmp_path / "paper.docx"
    done = run(conf, "--period", period, "--paper", paper, "--docx", str(file))
    assert done.exit_code == 0 and stat.S_IMODE(file.stat().st_mode) == 0o600
    document = reader.Document(str(file))
    word = "".join(p.text for p in document.paragraphs)
    told = [line for line in text.splitlines() if line and "  " not in line]
    assert all("".join(line.split()) in "".join(word.split()) for line in told)
    links = re.findall(r'href="#(n\d+)"', html)
    assert all(f'id="{link}"' in html for link in links), "each number leads to its incidents"
    assert not re.search(r"(src|href)=\"(?!#)", html)
    if period == "2025-03":
        assert "没有" in text and not links


def test_the_workbook_links_each_number_and_holds_no_formula(conf: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.xlsx"
    assert run(conf, "--month", "2026-03", "--xlsx", str(file)).exit_code == 0
    book = openpyxl.load_workbook(io.BytesIO(file.read_bytes()))
    assert book.sheetnames[:3] == ["总览", "单位", "时限"] or book.sheetnames[0] == "总览"
    units = {row[0].value: row for row in book["单位"].iter_rows(min_row=2)}
    heads = [cell.value for cell in book["单位"][1]]
    late = units["云台区政府办"][heads.index("首报超时")]
    assert late.value == 2
    target = re.fullmatch(r"'依据'!A(\d+)", late.hyperlink.location or late.hyperlink.target.lstrip("#"))
    assert target and book["依据"][f"D{target[1]}"].value == "2026-0003、2026-0004"
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert all(cell.data_type != "f" for cell in cells)
    assert "看不得" not in "".join(str(cell.value) for cell in cells)


def test_the_summary_has_its_plots_in_pages_and_in_word_with_their_names(conf: Path, tmp_path: Path) -> None:
    import docx as reader

    html = run(conf, "--year", "2026", "--paper", "quarter", "--html").stdout
    drawn = dict(re.findall(r'<svg [^>]*id="plot-([a-z]+)"[^>]*aria-label="([^"]+)"', html))
    assert {"rates", "months", "grid", "clocks", "kinds", "counties"} <= set(drawn) and drawn["rates"] == "各单位报送率"
    assert all(f"图　{title}" in html for title in drawn.values())
    text = run(conf, "--year", "2026", "--paper", "quarter").stdout
    assert "图　" not in text and "svg" not in text, "plain text has the tables"
    file = tmp_path / "quarter.docx"
    assert run(conf, "--year", "2026", "--paper", "quarter", "--docx", str(file)).exit_code == 0
    shapes = reader.Document(str(file)).inline_shapes
    assert [shape._inline.docPr.get("descr") for shape in shapes] == list(drawn.values())
    pictures = [shape._inline.graphic.graphicData.pic.blipFill.blip.embed for shape in shapes]
    assert len(set(pictures)) == len(pictures) and all(shape.height > 0 for shape in shapes)


def test_the_workbook_has_charts_of_its_own_cells(conf: Path, tmp_path: Path) -> None:
    import zipfile

    file = tmp_path / "figures.xlsx"
    assert run(conf, "--quarter", "2026Q1", "--xlsx", str(file)).exit_code == 0
    with zipfile.ZipFile(file) as packed:
        drawn = [packed.read(name).decode() for name in packed.namelist() if name.startswith("xl/charts/chart")]
    assert len(drawn) == 6 and all("<c:f>" in one or "<f>" in one for one in drawn)
    assert any("'报送率'!$B$2" in one for one in drawn) and any("'逐月'!$B$2:$B$4" in one for one in drawn)
    book = openpyxl.load_workbook(io.BytesIO(file.read_bytes()))
    assert book.sheetnames[1] == "图表" and [row[0].value for row in book["逐月"].iter_rows(min_row=2)] == ["2026-01", "2026-02", "2026-03"]
    rates = {row[0].value: row[1].value for row in book["报送率"].iter_rows(min_row=2)}
    told = json.loads(run(conf, "--quarter", "2026Q1", "--json").stdout)
    assert rates == {unit["unit"]: unit["rate"] for unit in told["units"] if unit["rate"] is not None}


def test_a_period_without_data_has_no_plots(conf: Path, tmp_path: Path) -> None:
    assert "<svg" not in run(conf, "--year", "2025", "--paper", "quarter", "--html").stdout
    file = tmp_path / "figures.xlsx"
    assert run(conf, "--year", "2025", "--xlsx", str(file)).exit_code == 0
    assert [cell.value for cell in openpyxl.load_workbook(io.BytesIO(file.read_bytes()))["图表"]["A"]] == ["本期无数据"]


def test_the_brief_of_a_day_is_a_paper_too(conf: Path, tmp_path: Path) -> None:
    import docx as reader

    day = ("--from", "2026-03-05", "--to", "2026-03-05", "--paper", "brief")
    text = run(conf, *day).stdout
    assert "值班快报" in text and "3月5日0时至3月6日0时" in text and "〔2026〕0001" in text and "〔2026〕0002" not in text
    file = tmp_path / "brief.docx"
    assert run(conf, *day, "--docx", str(file)).exit_code == 0
    word = "".join("".join(p.text.split()) for p in reader.Document(str(file)).paragraphs)
    assert all("".join(line.split()) in word for line in text.splitlines() if line and "  " not in line)
    assert run(conf, "--paper", "brief").exit_code == 0, "without a period the last one's 24 hours"
    wrong = run(conf, "--year", "2026", "--paper", "brief")
    assert wrong.exit_code == 2 and "--from" in wrong.output


def test_several_files_at_once_and_html_to_stdout(conf: Path, tmp_path: Path) -> None:
    done = run(conf, "--quarter", "2026Q1", "--xlsx", str(tmp_path / "a.xlsx"), "--docx", str(tmp_path / "a.docx"), "--html")
    assert done.exit_code == 0 and done.stdout.startswith("<!doctype html>") and (tmp_path / "a.docx").stat().st_size > 10_000


@pytest.mark.parametrize(
    "args",
    [["--month", "2026-13"], ["--period", "März"], ["--from", "2026-03-02", "--to", "2026-03-01"], ["--from", "2026-02-30"],
     ["--month", "2026-03", "--year", "2026"], ["--json", "--html"], ["--paper", "nothing"], ["--year", "2026\x00"], ["--year", "9" * 4000]],
)  # fmt: skip
def test_what_cannot_be_asked_is_bad_usage(conf: Path, args: list[str]) -> None:
    done = run(conf, *args)
    assert done.exit_code == 2 and "Traceback" not in done.output


def test_days_from_to_take_both(conf: Path) -> None:
    shown = json.loads(run(conf, "--from", "2026-03-06", "--to", "2026-03-07", "--json").stdout)
    assert shown["incidents"]["incidents"] == ["2026-0002", "2026-0003"]


def test_without_a_store_it_says_so(conf: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "none", ignore=shutil.ignore_patterns("state", "secrets"))
    done = run(tmp_path / "none", "--month", "2026-03")
    assert done.exit_code == 1 and not (tmp_path / "none" / "state").exists(), "it makes none either"
    assert load(conf, Host.load()).store_url
