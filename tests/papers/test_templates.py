"""Templates of papers: what is wrong with one is told with file and line, and never keeps a paper or the daemon from its work."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import cli
from gateway.conf_load import check, load
from gateway.faults import ConfError
from gateway.host import Host
from gateway.papers import incident, templates
from gateway.settings import Config
from tests.papers.conftest import DAY, ROOT, SAID


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("state", "secrets"))
    return tmp_path / "conf"


@pytest.mark.parametrize(
    ("text", "line"),
    [("{% extends 'layout.html' %}\n{% block body %}\n<p>{{ p.cause }</p>\n{% endblock %}", 3),
     ("{% extends 'layout.html' %}\n\n{% block body %}{{ nonsense }}{% endblock %}", 3),
     ("{% for x in y %}", 1)],
)  # fmt: skip
def test_check_names_file_and_line_and_the_daemon_starts_all_the_same(conf: Path, text: str, line: int) -> None:
    (conf / "templates" / "paper.html").write_text(text, "utf-8")
    layout = conf / "templates" / "layout.html"
    layout.write_text(layout.read_text("utf-8") + "{# ours #}", "utf-8")
    with pytest.raises(ConfError) as refused:
        check(conf, Host.load())
    assert [(fault.file, fault.line) for fault in refused.value.faults if fault.key == "template"] == [("templates/paper.html", line)]
    config = load(conf, Host.load())
    assert "paper.html" not in config.paper_templates and "layout.html" in config.paper_templates
    assert [str(warning).split(" ")[0] for warning in config.warnings if warning.key == "template"] == [f"templates/paper.html:{line}:"]
    assert "白水县" in incident.html(SAID, config, DAY), "the built-in one stands in"


def test_templates_and_papers_toml_may_be_left_out(conf: Path) -> None:
    for path in (*(conf / "templates").glob("*.html"), conf / "papers.toml"):
        path.unlink()
    config = check(conf, Host.load())
    shipped = load(ROOT / "conf", Host.load())
    assert config.paper_templates == {} and config.papers.paper == shipped.papers.paper
    assert config.papers.situation == shipped.papers.situation and config.papers.fonts == shipped.papers.fonts
    assert incident.html(SAID, config, DAY) == incident.html(SAID, shipped, DAY)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}", "{{ p.__init__.__globals__ }}", "{{ doc.title.format.__self__ }}", "{% include '/etc/passwd' %}",
        "{{ conf.fonts.__dict__ }}", "{% for a in range(10**9) %}x{% endfor %}", "{{ 'x' * 9999999 }}", "{{ cycler.__init__ }}",
        "{% for a in range(90000) %}{{ 'x' * 100 }}{% endfor %}", "{{ p.append(1) }}",
    ],
)  # fmt: skip
def test_a_template_gets_out_of_nothing(text: str) -> None:
    told: list[templates.TemplateFault] = []
    made = templates.fill("paper.html", {"paper.html": f"<p>\n{text}</p>"}, _values(), told.append)
    assert [(fault.name, "passwd" in made) for fault in told] == [("paper.html", False)]
    assert "一、基本情况" in made


def _values() -> dict[str, object]:
    seen: dict[str, object] = {}

    def keep(name: str, texts: object, values: dict[str, object], on_fault: object) -> str:
        seen.update(values)
        return ""

    real, templates.fill = templates.fill, keep  # type: ignore[assignment]
    try:
        incident.html(SAID, load(ROOT / "conf", Host.load()), DAY)
    finally:
        templates.fill = real
    return seen


def test_an_office_s_own_template_is_used(config: Config, conf: Path) -> None:
    (conf / "templates" / "paper.html").write_text("{% extends 'layout.html' %}{% block body %}<p>本市版式：{{ p.place }}</p>{% endblock %}", "utf-8")
    html = incident.html(SAID, load(conf, Host.load()), DAY)
    assert f"本市版式：{SAID['place']}" in html and "一、基本情况" not in html
    assert "本市版式" not in incident.html(SAID, config, DAY)


@pytest.mark.parametrize(
    ("key", "was", "now", "told"),
    [("paper.marking", "#marking = ", 'marking = "机密★10年"\n#', "a degree of secrecy"),
     ("fonts.song", "#song = ", "song = ['SimSun\", x: url(y)']\n#", ""),
     ("situation.finding[0].problem", 'problem = "$units有经认定', 'problem = "$nobody', "unknown placeholder $nobody"),
     ("situation.rating", "at_least = 90.0", "at_least = 10.0", ""),
     ("brief.offices[0]", "secretary_general_committee", "nobody_knows", "nobody_knows"),
     ("standby.transport", "#transport = ", 'transport = "sms"\naddress = "x"\noffice = "市政府值班室"\n#', "does not end on paper"),
     ("standby.transport", "#transport = ", 'transport = "printer"\n#', "printer"),
     ("standby", "#valid_minutes = 30", "valid_minutes = 5", "valid_minutes")],
)  # fmt: skip
def test_a_fault_of_papers_toml_stands_at_its_line(
    conf: Path, key: str, was: str, now: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_LANG", "en")
    path = conf / "papers.toml"
    text = path.read_text("utf-8")
    assert was in text
    path.write_text(text.replace(was, now, 1), "utf-8")
    done = CliRunner().invoke(cli, ["--conf", str(conf), "check"])
    found = [line for line in done.output.splitlines() if line.startswith("papers.toml:") and told in line]
    assert done.exit_code == 1 and len(found) >= 1 and key.split("[", maxsplit=1)[0].split(".", maxsplit=1)[0] in found[0]
