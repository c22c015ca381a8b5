"""The host refuses bad plugins by plugin and hook name, all at once, and loads good ones beside them."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from gateway import i18n
from gateway.host import HOOKS, Host, protocol_of
from gateway.plugcheck import class_faults
from gateway.plugfile import unsafe

GOOD = """
from gateway.api import Settings, hookimpl

class Sender:
    kind = "to_nowhere"
    Settings = Settings
    def __init__(self, name, settings, services=None): ...
    async def start(self): ...
    async def stop(self): ...
    async def send(self, delivery): ...
"""


@pytest.fixture(autouse=True)
def english() -> Any:
    i18n.use("en")
    yield
    i18n.use("zh")


@pytest.fixture
def put(tmp_path: Path) -> Any:
    (tmp_path / "plugins.d").mkdir()

    def write(name: str, text: str, base: str = "") -> Path:
        path: Path = tmp_path / "plugins.d" / f"{name}.py"
        path.write_text(base + dedent(text), encoding="utf-8")
        return path

    return write


def load(conf: Path) -> tuple[Host, list[str]]:
    host = Host.load(conf)
    return host, [str(fault) for fault in host.faults if fault.file.startswith("plugins.d")]


def test_bundled_plugins_load_by_the_public_group() -> None:
    host = Host.load()
    assert host.faults == []
    kinds = {kind for hook in HOOKS for kind in host.kinds[hook]}
    assert kinds >= {"email_smtp", "fax_mail", "sms_smpp", "phone_transcript", "to_mail", "to_sms", "route_offices"}
    router = next(p for p in host.plugins() if p["name"] == "route_offices")
    assert router == {"name": "route_offices", "source": "jibao-gateway", "hooks": ["routers"], "kinds": ["route_offices"],
                      "isolation": "in-process"}  # fmt: skip


def test_a_file_in_plugins_d(tmp_path: Path, put: Any) -> None:
    put("nowhere", "@hookimpl\ndef transports():\n    return [Sender]\n", GOOD)
    host, faults = load(tmp_path)
    assert faults == []
    assert host.kinds["transports"]["to_nowhere"].__name__ == "Sender"
    shown = {"name": "nowhere", "source": "plugins.d/nowhere.py", "hooks": ["transports"], "kinds": ["to_nowhere"],
             "isolation": "in-process"}  # fmt: skip
    assert shown in host.plugins()


CASES = {
    "misspelt": (
        "@hookimpl\ndef transport():\n    return [Sender]\n",
        "plugins.d/misspelt.py:11: misspelt.transport: unknown hook 'transport', did you mean 'transports'?; "
        "allowed: channels, classifiers, readers, routers, transports",
    ),
    "arguments": (
        "@hookimpl\ndef transports(config):\n    return [Sender]\n",
        "plugins.d/arguments.py:11: arguments.transports: takes arguments; a hook is called with none",
    ),
    "wrong_type": (
        "@hookimpl\ndef transports():\n    return Sender\n",
        "plugins.d/wrong_type.py:11: wrong_type.transports: returned no list of classes",
    ),
    "instances": (
        "@hookimpl\ndef transports():\n    return [Sender('a', None)]\n",
        "plugins.d/instances.py:11: instances.transports: returned no list of classes",
    ),
    "raises": (
        "@hookimpl\ndef transports():\n    raise OSError('no line')\n",
        "plugins.d/raises.py:11: raises.transports: raised OSError: no line",
    ),
    "is_async": (
        "@hookimpl\nasync def transports():\n    return [Sender]\n",
        "plugins.d/is_async.py:11: is_async.transports: is async; a hook is a plain function",
    ),
    "taken": (
        "Sender.kind = 'to_mail'\n@hookimpl\ndef transports():\n    return [Sender]\n",
        "plugins.d/taken.py:4: taken.transports.Sender.kind: kind 'to_mail' is already provided by plugin to_mail",
    ),
    "sync_send": (
        "Sender.send = lambda self, delivery: None\n@hookimpl\ndef transports():\n    return [Sender]\n",
        "plugins.d/sync_send.py:4: sync_send.transports.Sender.send: must be async",
    ),
    "no_stop": (
        "del Sender.stop\n@hookimpl\ndef transports():\n    return [Sender]\n",
        "plugins.d/no_stop.py:4: no_stop.transports.Sender.stop: is missing",
    ),
    "no_kind": (
        "del Sender.kind\n@hookimpl\ndef transports():\n    return [Sender]\n",
        "plugins.d/no_kind.py:4: no_kind.transports.Sender.kind: is missing",
    ),
    "bad_settings": (
        "Sender.Settings = dict\n@hookimpl\ndef transports():\n    return [Sender]\n",
        "plugins.d/bad_settings.py:4: bad_settings.transports.Sender.Settings: is no subclass of gateway.api.Settings",
    ),
    "bad_arguments": (
        "async def send(self): ...\nSender.send = send\n@hookimpl\ndef transports():\n    return [Sender]\n",
        "plugins.d/bad_arguments.py:4: bad_arguments.transports.Sender.send: has other arguments; it takes (delivery)",
    ),
    "future": (
        "REQUIRES_API = 2\n@hookimpl\ndef transports():\n    return [Sender]\n",
        "plugins.d/future.py:1: future.REQUIRES_API: needs plugin API 2; this gateway has 1",
    ),
    "broken": ("import no_such_module\n", "plugins.d/broken.py:11: broken: does not load: ModuleNotFoundError: "
               "No module named 'no_such_module'"),
    "syntax": ("def (:\n", "plugins.d/syntax.py:11: syntax: does not load: SyntaxError: "
               "invalid syntax (syntax.py, line 11)"),
    "hookless": (
        "", "plugins.d/hookless.py:1: hookless: has no hook; hooks are channels, classifiers, readers, routers, transports"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_refused_by_name(name: str, tmp_path: Path, put: Any) -> None:
    text, expected = CASES[name]
    put(name, text, GOOD)
    put("unharmed", "Sender.kind = 'to_elsewhere'\n@hookimpl\ndef transports():\n    return [Sender]\n", GOOD)
    host, faults = load(tmp_path)
    assert faults == [expected]
    assert "to_elsewhere" in host.kinds["transports"], "a bad plugin does not take the good ones with it"
    assert "to_nowhere" not in host.kinds["transports"]


def test_all_bad_plugins_are_named_at_once(tmp_path: Path, put: Any) -> None:
    for name, (text, _expected) in CASES.items():
        put(name, text, GOOD)
    _host, faults = load(tmp_path)
    assert set(faults) == {expected for _text, expected in CASES.values()}


def test_code_that_anybody_may_write_is_not_run(tmp_path: Path, put: Any) -> None:
    path = put("open", f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    path.chmod(0o666)
    _host, faults = load(tmp_path)
    assert faults == [f"plugins.d/open.py:1: open: anybody may write it; run: chmod o-w {path}"]
    assert not (tmp_path / "ran").exists()


def test_an_open_folder_is_not_read(tmp_path: Path, put: Any) -> None:
    put("good", "@hookimpl\ndef transports():\n    return [Sender]\n", GOOD)
    (tmp_path / "plugins.d").chmod(0o777)
    host, faults = load(tmp_path)
    assert len(faults) == 1
    assert "anybody may write it" in faults[0]
    assert "to_nowhere" not in host.kinds["transports"]


def test_nor_is_any_file_where_anybody_may_write_the_configuration(tmp_path: Path, put: Any) -> None:
    put("good", "@hookimpl\ndef transports():\n    return [Sender]\n", GOOD)
    tmp_path.chmod(0o777)
    host, faults = load(tmp_path)
    assert faults == [f"plugins.d:1: plugins.d: anybody may write it; run: chmod o-w {tmp_path}"]
    assert "to_nowhere" not in host.kinds["transports"]


def test_a_link_is_as_safe_as_the_folder_it_leads_to(tmp_path: Path, put: Any) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "shut").mkdir()
    for folder in ("open", "shut"):
        target = put(folder, f"Sender.kind = 'to_{folder}'\n@hookimpl\ndef transports():\n    return [Sender]\n", GOOD)
        (tmp_path / folder / "plugin.py").write_bytes(target.read_bytes())
        target.unlink()
        target.symlink_to(tmp_path / folder / "plugin.py")
    (tmp_path / "plugins.d" / "nowhere.py").symlink_to(tmp_path / "no_such_file.py")
    (tmp_path / "open").chmod(0o777)
    host, faults = load(tmp_path)
    assert faults == [
        "plugins.d/nowhere.py:1: nowhere: cannot be read: No such file or directory",
        f"plugins.d/open.py:1: open: leads to {tmp_path}/open: anybody may write it; run: chmod o-w {tmp_path}/open",
    ]
    assert {"to_shut"} == {kind for kind in host.kinds["transports"] if kind in ("to_open", "to_shut")}


def test_a_kind_that_a_broken_plugin_provides_is_known_to_be_missing_for_that(tmp_path: Path, put: Any) -> None:
    put("broken", "import no_such_module\n", GOOD)
    host, faults = load(tmp_path)
    assert len(faults) == 1
    assert host.broken("to_nowhere")
    assert not host.broken("to_elsewhere")


def test_a_strangers_file_is_not_run(put: Any) -> None:
    path = put("strange", "@hookimpl\ndef transports():\n    return [Sender]\n", GOOD)
    if os.geteuid() == 0:
        os.chown(path, 4242, 4242)
    owner = path.stat().st_uid
    expected = f"is owned by user {owner}; it must belong to root or to the owner of the configuration"
    assert unsafe(path, Path("/")) == expected


def test_a_bundled_plugins_name_cannot_be_taken(tmp_path: Path, put: Any) -> None:
    put("to_mail", "@hookimpl\ndef transports():\n    return [Sender]\n", GOOD)
    host, faults = load(tmp_path)
    assert faults == ["plugins.d/to_mail.py:1: to_mail: two plugins have this name"]
    assert "to_nowhere" not in host.kinds["transports"]


def test_a_plugin_that_leaves_is_named(tmp_path: Path, put: Any) -> None:
    put("leaves", "raise SystemExit(3)\n")
    _host, faults = load(tmp_path)
    assert faults == ["plugins.d/leaves.py:1: leaves: does not load: SystemExit: 3"]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_protocol_that_an_empty_class_does_not_fulfil(hook: str) -> None:
    faults = dict(class_faults(type("Empty", (), {}), protocol_of(hook)))
    assert {".kind", ".Settings", ".__init__"} <= faults.keys()
