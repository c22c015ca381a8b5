"""What is queued for a printer or fax machine carries what its paper says; notices, reminders and withheld content carry none."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec import structs

from gateway import clearance, explain, house
from gateway.alarms import Alarms
from gateway.cli import cli
from gateway.conf_edit import set_key
from gateway.conf_load import load
from gateway.core.directory import Directory
from gateway.host import Host
from gateway.house import House
from gateway.init import write
from gateway.papers import incident
from gateway.papers.outgoing import Papers
from gateway.settings import Config
from gateway.store import Store, StoreKeys, deliveries, journal
from tests.duty.conftest import City
from tests.papers.conftest import DAY, ROOT
from tests.papers.made import case, local, put

FIRE = "云台区政府办报告：今日14时50分许，云台区新华路一仓库发生火灾，造成1人死亡、4人受伤，直接损失约80万元。报告人：李军"
CROWD = "云台区政府办报告：今日9时，有人非法组党、结社集会，敌对势力参与活动，现场约30人。报告人：李军"


@pytest.fixture(scope="module")
def printing(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The example, with a printer as every office's first way."""
    conf = tmp_path_factory.mktemp("queue") / "conf"
    shutil.copytree(ROOT / "conf", conf, ignore=shutil.ignore_patterns("state", "secrets"))
    printer = conf / "channels.d" / "print.toml"
    printer.write_text(set_key(printer.read_text("utf-8"), ("transport", "print", "enabled"), True), "utf-8")
    book = conf / "directory.toml"
    book.write_text(book.read_text("utf-8").replace("ways = [\n", 'ways = [\n    { transport = "print", address = "duty" },\n'), "utf-8")
    return load(conf, Host.load(conf))


def taken(made: House, *texts: str) -> list[tuple[deliveries.DeliveryRow, deliveries.Content]]:
    """Everything that is queued after these reports."""
    explainer = explain.Explainer(made)
    for n, text in enumerate(texts):
        line = {"id": str(n), "channel": "sms", "received_at": f"2026-03-06T15:{20 + n}:00+08:00", "sender": "+8613800000002", "text": text}
        explainer.explain(line)
    store = explainer._store
    return store.read_now(lambda tx: [(row, deliveries.content(tx, row.id)) for row in reversed(deliveries.rows(tx, limit=500))])


def built(config: Config) -> House:
    return house.build(config, bureau_public=explain.throwaway_key())


def test_a_report_carries_its_paper_and_what_presses_or_answers_does_not(printing: Config) -> None:
    queued = taken(built(printing), FIRE)
    reports = [what for row, what in queued if row.duty in ("receive", "inform", "cooperate") and row.transport == "print" and what.paper]
    assert len(reports) >= 3
    for what in reports:
        assert what.paper["number"] == "〔2026〕0001" and what.paper["text"] == FIRE and "1 人" in what.paper["figures"]
        assert what.paper["level"] == "一般" and not {"link", "office", "because"} & set(what.paper)
        assert all(what.paper[name] in what.text for name in ("number", "title", "text", "figures"))
    assert all(not what.paper for row, what in queued if row.duty in ("answer", "remind", "upward"))
    further = taken(built(printing), FIRE, "续报〔2026〕0001：云台区新华路一仓库火灾死亡升至2人。李军")
    assert {what.paper["kind"] for _row, what in further if what.paper} >= {"初报", "续报"} or len(further) > len(queued)


def test_what_goes_up_names_who_signed_it(printing: Config) -> None:
    city = City(built(printing))
    for office in ("省委办公厅", "市政府值班室"):
        city.at("08:50", "transport", destination=office, state="down")  # what is sent is forgotten by the simulator
    city.report("09:00")
    city.at("09:20", "approve", incident="last", by="秦副市长")
    city.at("09:30", "approve", incident="last", by="金书记")
    waiting = city.simulator.read(lambda tx: deliveries.rows(tx, states=["waiting"], limit=500))
    up = [what.paper for row in waiting if row.duty == "upward" for what in [_content(city, row.id)]]
    assert up and {paper["signer"] for paper in up} == {"金书记"}
    assert all("签发人：<b>金书记" in incident.html(paper, printing, DAY) for paper in up)
    assert not any("signer" in _content(city, row.id).paper for row in waiting if row.duty == "receive")


def _content(city: City, delivery: str) -> deliveries.Content:
    content: deliveries.Content = city.simulator.read(lambda tx: deliveries.content(tx, delivery))
    return content


def test_without_a_machine_or_with_plain_pages_nothing_more_is_kept(config: Config, printing: Config) -> None:
    assert not any(what.paper for _row, what in taken(built(config), FIRE))
    plain = tuple(replace(one, settings=one.settings.model_copy(update={"form": "plain"})) if one.name == "print" else one
                  for one in printing.transports)  # fmt: skip
    assert not any(what.paper for _row, what in taken(built(replace(printing, transports=plain)), FIRE))


def test_what_is_withheld_or_marked_has_no_paper_and_what_is_marked_in_one_does_not_leave(printing: Config) -> None:
    def cleared(*transports: str) -> Config:
        offices = [structs.replace(office, cleared=transports) for office in printing.directory.offices]
        return replace(printing, directory=Directory.of(offices, printing.directory.units))

    withheld = [what for row, what in taken(built(cleared()), CROWD) if row.duty == "receive"]
    assert withheld and all("不经本渠道传送" in what.text and not what.paper for what in withheld)
    allowed = [(row, what) for row, what in taken(built(cleared("print")), CROWD) if row.duty == "receive"]
    assert allowed and all(row.transport == "print" and row.cleared and what.paper["text"] == CROWD for row, what in allowed)
    assert not any(what.paper for _row, what in taken(built(printing), "机密★10年\n" + FIRE))
    row, what = taken(built(printing), FIRE)[0]
    store_delivery: Any = deliveries.Delivery(
        id=row.id, incident="2026-0001", destination=row.destination, transport="print", address="duty", subject="s", text="t",
        short_text="t", paper={**what.paper, "cause": "绝密★20年 x"},
    )  # fmt: skip
    assert clearance.objection(printing.directory, row, store_delivery) is not None


async def test_from_the_message_to_the_pages(printing: Config, tmp_path: Path) -> None:
    row, what = next((row, what) for row, what in taken(built(printing), FIRE) if what.paper)
    store = Store.open("sqlite://", StoreKeys(bytes(32)), lambda: datetime.now(UTC))
    alarms = Alarms(store, lambda: datetime.now(UTC))
    maker = Papers(alarms, lambda: datetime.now(UTC))
    sent = deliveries.Delivery(id=row.id, incident="2026-0001", destination=row.destination, transport="print", address="duty",
                               subject=what.subject, text=what.text, short_text="", paper=what.paper)  # fmt: skip
    patient = replace(printing, dispatch=printing.dispatch.model_copy(update={"send_timeout": 120.0}),
                      papers=printing.papers.model_copy(update={"press": printing.papers.press.model_copy(update={"seconds": 60.0})}))  # fmt: skip
    made = await maker.make(sent, "pdf", patient)
    assert made is not None and alarms.count == 0
    (tmp_path / "paper.pdf").write_bytes(made)
    text = "".join(subprocess.run(["pdftotext", str(tmp_path / "paper.pdf"), "-"], capture_output=True, text=True, check=True).stdout.split())
    assert "〔2026〕0001号" in text and "死亡1人，受伤4人，直接经济损失约80万元" in text and FIRE in text and row.id in text


def test_incident_paper_writes_a_closed_file_and_puts_it_on_record(tmp_path: Path) -> None:
    import docx as reader

    conf = tmp_path / "conf"
    write(conf)
    config = load(conf, Host.load(conf))
    config.state.mkdir()
    store = Store.open(config.store_url, StoreKeys.load(config.secrets / "store-key"), lambda: datetime.now(UTC))
    made, matter = case("2026-0123", local("2026-03-05T22:30"), local("2026-03-05T22:52"), "白水县委办")
    store.write_now(lambda tx: put(tx, made, matter))
    store.close()

    def run(name: str) -> Any:
        return CliRunner().invoke(cli, ["--conf", str(conf), "incident", "123", "--paper", str(tmp_path / name)])

    assert run("a.docx").exit_code == 0 and (tmp_path / "a.docx").stat().st_mode & 0o777 == 0o600
    texts = [p.text for p in reader.Document(str(tmp_path / "a.docx")).paragraphs]
    assert "〔2026〕0123号" in texts and any(made.report.text in text for text in texts)
    assert run("a.pdf").exit_code == 0 and (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert run("a.odt").exit_code == 2 and run("no/such/a.docx").exit_code == 2
    store = Store.open(config.store_url, StoreKeys.load(config.secrets / "store-key"), lambda: datetime.now(UTC))
    told = [one.event for one in store.read_now(lambda tx: journal.entries(tx, names=["exported"]))]
    store.close()
    assert [(one.incident, one.data["how"]) for one in told][:2] == [("2026-0123", "paper docx"), ("2026-0123", "paper pdf")]
