"""Every operator's text stands in both languages, with the same placeholders; dates and numbers follow the language."""

from __future__ import annotations

import ast
import inspect
import json
import re
import string
from collections.abc import Iterator
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import click
import polib
import pytest
from click.testing import CliRunner
from jinja2 import nodes

from gateway import i18n, preparing
from gateway.audit.text import WHYS, why
from gateway.cli import COMMANDS, blocks_of, cli
from gateway.cli.matter import MEANS
from gateway.cli.show import QUALIFIERS, figure
from gateway.console import pages
from gateway.console.acting import ACTS
from gateway.console.board import OWED
from gateway.console.conf import TITLES, WORDS
from gateway.console.roles import ROLES
from gateway.console.shift import SINCE, STATES
from gateway.core.duty import undoing
from gateway.core.model import Action, Channel, DeliveryState, IncidentState, MessageState
from gateway.reasons import ENGLISH, reason

ROOT = Path(__file__).parents[2]
ENTRIES = polib.pofile((files("gateway") / "locale" / "zh_CN.po").read_text(encoding="utf-8"))
CJK = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
CLOCKS = ("stopped", "running", "passed")


def trees() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted((*(ROOT / "gateway").rglob("*.py"), *(ROOT / "plugins").rglob("*.py"))):
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def msgids() -> Iterator[tuple[str, str]]:
    """Every constant in ``_(…)``."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_" and node.args):
                continue
            told = node.args[0]
            for text in (told.body, told.orelse) if isinstance(told, ast.IfExp) else (told,):
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield text.value, f"{path}:{node.lineno}"


def templates() -> Iterator[tuple[str, str]]:
    """Every constant in ``_(…)`` of the console's pages."""
    made = pages.environment()
    for name in made.list_templates():
        assert made.loader is not None
        tree = made.parse(made.loader.get_source(made, name)[0])
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_":
                assert isinstance(call.args[0], nodes.Const), f"{name}:{call.lineno}"
                yield call.args[0].value, f"{name}:{call.lineno}"


def helps() -> Iterator[tuple[str, str]]:
    """The help of every command and option, as it is looked up."""

    def told(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
        i18n.use("en")
        try:
            blocks = [block for block in blocks_of(command.help or "") if block and not block.startswith("Examples:")]
        finally:
            i18n.use("zh")
        yield from ((block, name) for block in blocks)
        for param in command.params:
            if isinstance(param, click.Option) and param.help:
                yield param.help, f"{name} {param.opts[0]}"
        for inner, made in getattr(command, "commands", {}).items():
            yield from told(made, f"{name} {inner}")

    context = click.Context(cli, info_name="gateway")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield from told(command, name)


def words() -> Iterator[tuple[str, str]]:
    """Texts that are looked up by a value: words of closed sets and what the verifier may find."""
    for sort in (MessageState, DeliveryState, IncidentState, Action, Channel):
        yield from ((word, str(sort)) for word in get_args(sort))
    yield from ((word, "clocks") for word in CLOCKS)
    yield from ((word, "qualifiers") for word in (*QUALIFIERS, "range", "zero", "unknown"))
    yield from ((text, "audit/text.py") for text in WHYS)
    yield from ((role, "console/roles.py") for role in ROLES)
    yield from ((text, "console/shift.py") for text in (*SINCE.values(), *STATES.values()))
    yield from ((how, "cli/matter.py") for how in MEANS)
    yield from ((text, "console/board.py") for text in OWED)
    yield from ((text, "console/acting.py") for act in ACTS for text in (act.title, *(one.label for one in act.fields)))
    yield from ((act.final, "console/acting.py") for act in ACTS if act.final)
    whys = (undoing.SINCE, undoing.ELSEWHERE, undoing.UNKNOWN, undoing.UPWARD, undoing.OTHERS, *undoing.GONE.values())
    yield from ((text, "core/duty/undoing.py") for text in whys)
    yield from ((text, "console/conf.py") for text in (*WORDS, *TITLES.values()))
    yield from ((text, "preparing.py") for text in preparing.UNCERTAIN.values())
    for path, tree in trees():
        if path.name == "charts.py":
            # Words of the plots, which are Chinese in papers and the operator's own in the console.
            called = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
            yield from ((pattern(node.args[0]), f"{path}:{node.lineno}") for node in called if node.func.id == "word")  # type: ignore[attr-defined]
        if "core" in path.parts or path.name in ("gazetteer.py", "words.py"):
            for node in ast.walk(tree):
                # The pure rooms say what is wrong in English, the name in quotes; conf_domain puts it into {name}.
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fault":
                    yield pattern(node.args[1]), f"{path}:{node.lineno}"


def pattern(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{name}" for part in node.values)
    return ""


def written() -> set[str]:
    """Every string that stands in the code, f-strings with {name} for what they put in."""
    found = set()
    for _path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {node.value, inspect.cleandoc(node.value).partition("\n\n")[0], *blocks_of(node.value)}
            elif isinstance(node, ast.JoinedStr):
                found.add(pattern(node))
    return found


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("source", [msgids, templates, helps, words], ids=["texts", "pages", "help", "words"])
def test_every_text_is_translated(source: Any) -> None:
    known = i18n.catalogue()
    missing = {text: where for text, where in source() if text and text not in known}
    assert missing == {}


TOLD = {"TryLater", "Refused", "StorageTrouble", "raise_", "alarm", "_no_way"}
"""Calls whose texts reach an operator: by ``deliveries``, the log, an alarm."""


def told_plainly(tree: ast.AST) -> Iterator[int]:
    """Lines where such a call, or a ``probe``, tells a text of its own that is not looked up."""
    for node in ast.walk(tree):
        texts: list[ast.expr | None] = []
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in TOLD:
            texts = [*node.args, *(word.value for word in node.keywords if word.arg in (None, "why"))]
        elif isinstance(node, ast.AsyncFunctionDef) and node.name == "probe":
            texts = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return)]
        for text in texts:
            if isinstance(text, ast.JoinedStr) or (isinstance(text, ast.Constant) and " " in str(text.value)):
                yield text.lineno


def test_why_something_did_not_go_out_is_told_in_the_language() -> None:
    """Reasons of transports, alarms and storage trouble: none is written down without being looked up."""
    control = 'raise_("x", why=f"no {way}")\nTryLater("no server")\nasync def probe(self):\n    return "no way"\nRefused(_("no"))'
    assert sorted(told_plainly(ast.parse(control))) == [1, 2, 4]
    played = ("gateway/testing", "gateway/simulate.py")  # other ends that are only played
    found = [f"{path}:{line}" for path, tree in trees() if not str(path).startswith(played) for line in told_plainly(tree)]
    assert found == []


def test_no_translation_is_left_over() -> None:
    used = written() | {text for text, _where in templates()} | {text.replace("_", " ") for text in written()} | {text for text, _where in helps()}
    stale = [e.msgid for e in ENTRIES if not e.obsolete and e.msgid not in used]
    assert stale == []


def test_translations_have_the_same_placeholders_and_none_is_there_twice() -> None:
    ids = [entry.msgid for entry in ENTRIES if not entry.obsolete]
    assert len(ids) == len(set(ids))
    wrong = [e.msgid for e in ENTRIES if e.msgstr and placeholders(e.msgid) != placeholders(e.msgstr)]
    assert wrong == []
    assert all(entry.msgstr for entry in ENTRIES if not entry.obsolete)


@pytest.fixture
def english() -> Iterator[None]:
    i18n.use("en")
    yield
    i18n.use("zh")


def test_the_english_texts_are_english_and_the_chinese_chinese() -> None:
    assert [text for text, _where in msgids() if CJK.search(re.sub(r"〔2026〕|市政府值班室", "", text))] == []
    plain = re.compile(r"\{[^}]*\}|[A-Za-z0-9 ._:/-]+")
    unsaid = [e.msgid for e in ENTRIES if e.msgstr == e.msgid and plain.sub("", e.msgid)]
    assert unsaid == []


@pytest.mark.parametrize(
    ("at", "zh", "en"),
    [
        ("2026-03-05T22:30:12.345+08:00", "2026年3月5日 22:30", "5 Mar 2026 22:30"),
        ("2026-03-05T22:30", "2026年3月5日 22:30", "5 Mar 2026 22:30"),
        ("2026-03-05T22", "2026年3月5日 22时", "5 Mar 2026, 22 h"),
        ("2026-11-05", "2026年11月5日", "5 Nov 2026"),
        ("2026-03", "2026年3月", "Mar 2026"),
        ("2026", "2026年", "2026"),
        (datetime(2026, 1, 2, 3, 4), "2026年1月2日 03:04", "2 Jan 2026 03:04"),
        ("2026-99-05", "2026-99-05", "2026-99-05"),
        ("yesterday", "yesterday", "yesterday"),
        ("", "", ""),
        (None, "", ""),
    ],
)
def test_dates_follow_the_language(at: Any, zh: str, en: str, english: None) -> None:
    assert i18n.moment(at) == en
    i18n.use("zh")
    assert i18n.moment(at) == zh


@pytest.mark.parametrize(
    ("value", "zh", "en"),
    [(7, "7", "7"), (9_999, "9999", "9,999"), (12_000, "1.2万", "12,000"), (12_345, "12345", "12,345"), (1_234_567.5, "1234567.5", "1,234,567.5")],
)  # fmt: skip
def test_numbers_follow_the_language(value: float, zh: str, en: str, english: None) -> None:
    assert i18n.number(value) == en
    i18n.use("zh")
    assert i18n.number(value) == zh


def test_figures_and_lists_follow_the_language(english: None) -> None:
    found = {"value": 12_000, "qualifier": "at_least", "max": None}
    assert (figure("evacuated", found), i18n.listed(["a", "b"])) == ("evacuated: at least 12,000", "a, b")
    assert figure("deaths", {"value": None, "qualifier": "unknown"}) == "deaths: not known"
    i18n.use("zh")
    assert (figure("evacuated", found), i18n.listed(["a", "b"])) == ("转移疏散至少 12000 人", "a、b")


def test_reasons_are_told_in_english(english: None) -> None:
    assert reason("非工作时间（下班后）") == "out of hours (after working hours)"
    assert reason("工作时间（国庆节调休上班）") == "working hours (worked in exchange for 国庆节)"
    assert reason("某条规则自己的话") == "某条规则自己的话" and reason(None) == ""
    assert not [text for text in ENGLISH.values() if CJK.search(text)]
    assert all(placeholders(chinese) == placeholders(english) for chinese, english in ENGLISH.items())
    i18n.use("zh")
    assert reason("午休") == "午休"


def test_what_the_rules_decide_is_known_in_english() -> None:
    """Every fixed sentence of triage, calendar, matching and the router has its English."""
    missing = []
    for name in ("gateway/core/triage.py", "gateway/core/calendar.py", "plugins/route_offices.py"):
        for node in ast.walk(ast.parse((ROOT / name).read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg in ("because", "needs_person", "why"):
                text = pattern(node.value)
                if CJK.search(text):
                    shown = reason_in_english(text.replace("{name}", "撤回" if text.startswith("{name}") else "X"))
                    missing += [text] if CJK.search(shown) else []
    assert missing == []


def reason_in_english(text: str) -> str:
    i18n.use("en")
    try:
        return reason(text)
    finally:
        i18n.use("zh")


def test_what_the_verifier_finds_is_told_in_the_language() -> None:
    assert why("something else") == "something else"
    i18n.use("en")
    try:
        assert why("seq gap: 3 expected, 5 found") == "seq gap: 3 expected, 5 found"
    finally:
        i18n.use("zh")
    assert CJK.search(why("seq gap: 3 expected, 5 found")) and "3" in why("seq gap: 3 expected, 5 found")


WORKING, NOON, NIGHT = "2026-03-06T10:00", "2026-03-06T12:30", "2026-10-01T23:10"
NAMED = ("交通事故", "生产安全事故")
"""Kinds, as the city's routes name them."""
REPORTS = (
    "云台区政府办报告：今日9时10分，云台区清水湾路口两车相撞，造成2人死亡、至少3人受伤，直接经济损失约120万元。",
    "【演练】今日9时，青山区某化工厂模拟爆炸，模拟3人死亡。",
    "机密★10年\n今日9时，青山区发生事件。",
    "今日9时，青山区发生事故，伤亡人数不详。",
    "大家好",
)


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for one in node.values() if isinstance(node, dict) else node:
            yield from strings(one)


def explained(lang: str, text: str, at: str, *more: str) -> str:
    args = ["--conf", str(ROOT / "conf"), "explain", "--at", at, *more]
    try:
        done = CliRunner(env={"GATEWAY_LANG": lang, "COLUMNS": "200"}).invoke(cli, args, input=text)
    finally:
        i18n.use("zh")
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize(("text", "at"), list(zip(REPORTS, (WORKING, WORKING, NIGHT, NOON, NIGHT), strict=True)))
def test_explain_speaks_the_language_but_for_names_and_the_rules_own_words(text: str, at: str) -> None:
    english, chinese = explained("en", text, at), explained("zh", text, at)
    found = json.loads(explained("en", text, at, "--json"))
    assert found["clocks"] == json.loads(explained("zh", text, at, "--json"))["clocks"], "JSON knows no language"
    # What the message said, what a rule of conf says of it, and names.
    own = {*strings(found["report"]), *strings(found["catalogue"]), *found["route"], found["moment"] or "", *NAMED}
    own |= set(strings([found["severity"], found["event_class"]]))
    own |= {part for doubt in found["review"] for part in (doubt["item"], *doubt["because"].split("；")) if part}
    rest = "\n".join(line for line in english.splitlines() if not re.match(r".*⟦|[^:]*$", line))
    for name in sorted(own, key=len, reverse=True):
        rest = rest.replace(name, "")
    assert english.startswith("becomes: ") and not CJK.search(re.sub("[〔〕、；]", "", rest)), rest
    assert chinese.startswith("结果: ") and not re.search(r"\b(becomes|working hours|because|missing|exact)\b", chinese)


COMMANDS_SHOWN = (["incidents"], ["incident", "1", "--trail"], ["messages"], ["deliveries"], ["channels"])


@pytest.mark.parametrize("words", COMMANDS_SHOWN, ids=lambda words: words[0])
def test_the_register_is_shown_in_the_language(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.cli import register as commands
    from gateway.operations import perform_now
    from tests.cap.test_cap import CRASH, MORE, Desk

    desk = Desk()
    for minutes, text in ((0, CRASH), (25, MORE), (5, "今日9时，青山区发生事故，伤亡人数不详。"), (1, "大家好")):
        desk.take(text, minutes)
    monkeypatch.setattr(
        commands, "do", lambda conf, name, **args: json.loads(json.dumps(perform_now(desk.live, name, args, "x")))
    )

    def shown(lang: str, *more: str) -> str:
        try:
            done = CliRunner(env={"GATEWAY_LANG": lang}).invoke(cli, ["--conf", str(ROOT / "conf"), *words, *more])
        finally:
            i18n.use("zh")
        # Without a daemon every channel is down, which ``channels`` says with exit 1.
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.stdout

    english, chinese = shown("en"), shown("zh")
    own = set(strings([json.loads(line) for line in shown("en", "--json").splitlines()]))
    assert shown("en", "--json") == shown("zh", "--json"), "JSON knows no language"
    desk.store.close()
    rest = english
    for name in sorted(own, key=len, reverse=True):
        rest = rest.replace(name, "") if CJK.search(name) and name not in ENGLISH else rest
    # A table cuts what is long; the trail shows an event's own fields.
    rest = "\n".join(line for line in rest.splitlines() if "…" not in line and "=" not in line)
    assert not CJK.search(re.sub("[〔〕、；]", "", rest)), rest
    heads = {"incidents": "number", "incident": "message", "messages": "message", "deliveries": "delivery", "channels": "channel"}
    assert heads[words[0]] in english and english != chinese and CJK.search(chinese)
    if words[0] != "channels":
        assert ("6 Mar 2026 09:" in english and "2026年3月6日 09:" in chinese) or words[0] == "deliveries"


def test_another_language_is_refused_and_unknown_texts_stay() -> None:
    with pytest.raises(ValueError, match="zh or en"):
        i18n.use("fr")  # type: ignore[arg-type]
    assert i18n.lang() == "zh"
    assert i18n._("unknown key") == "没有这个键" and i18n._("a text nobody translated") == "a text nobody translated"
