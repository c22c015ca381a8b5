"""``gateway init``: what it writes passes check, its keys are closed to others, the demo's ports are the documented ones."""

from __future__ import annotations

import base64
import stat
from datetime import date
from pathlib import Path

import pytest

from gateway import init
from gateway.conf_load import check
from gateway.host import Host
from gateway.secrets import Secrets
from gateway.settings import Config

TODAY = date(2026, 6, 1)
COMMON = {
    "store-key", "bureau-public", "smpp-password", "phone-token", "audit-key",
    "console-clerk", "console-leader", "console-bureau", "console-operator", "console-reader",
}  # fmt: skip


def made(path: Path) -> Config:
    return check(path, Host.load(path), today=TODAY)


def settings(config: Config, sort: str, name: str) -> dict[str, object]:
    return next(c.settings.model_dump() for c in getattr(config, sort) if c.name == name)


def test_a_demo_is_ready_on_its_ports(tmp_path: Path) -> None:
    init.write(tmp_path / "demo", demo=True, base_port=31000)
    config = made(tmp_path / "demo")
    assert config.demo
    assert config.warnings == ()
    mail, phone, sms = (settings(config, "channels", name) for name in ("mail", "phone", "sms"))
    assert (mail["host"], mail["port"], mail["lmtp_port"]) == ("127.0.0.1", 31000, 31001)
    assert "report@gateway.test" in str(mail["addresses"])
    assert "fax@gateway.test" in str(settings(config, "channels", "fax"))
    assert (phone["host"], phone["port"]) == ("127.0.0.1", 31002)
    assert (sms["host"], sms["port"], sms["system_id"], sms["password"]) == ("127.0.0.1", 31004, "gateway", "smpp-password")
    out = settings(config, "transports", "mail")
    assert (out["host"], out["port"]) == ("127.0.0.1", 31005)
    assert config.dispatch.retry_min <= config.dispatch.retry_max <= 1
    assert float(str(sms["reconnect_max"])) <= 1
    assert config.state == tmp_path / "demo" / "state"


def test_the_default_base_port_is_26000(tmp_path: Path) -> None:
    init.write(tmp_path / "demo", demo=True)
    assert settings(made(tmp_path / "demo"), "channels", "mail")["port"] == 26000


@pytest.mark.parametrize("demo", [True, False])
def test_keys_are_fresh_and_closed(tmp_path: Path, demo: bool) -> None:
    for name in ("one", "two"):
        init.write(tmp_path / name, demo=demo)
    folder = tmp_path / "one" / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = {path.name for path in folder.iterdir()}
    assert names == COMMON | ({"bureau-private"} if demo else set())
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
        assert path.read_bytes() != (tmp_path / "two" / "secrets" / path.name).read_bytes(), path.name
    secrets = Secrets(folder, None)
    assert len(base64.b64decode(secrets.text("store-key"))) == 32
    assert secrets.bureau_public() is not None
    assert len(secrets.text("smpp-password")) == 8, "SMPP takes eight octets at most"
    assert len(secrets.text("phone-token")) >= 32


def test_the_bureaus_private_key_opens_what_was_sealed_to_it(tmp_path: Path) -> None:
    from gateway.store.keys import open_as_bureau, read_key, seal_for_bureau

    init.write(tmp_path / "conf")
    private = tmp_path / "conf" / "bureau-private.key"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    public = Secrets(tmp_path / "conf" / "secrets", None).bureau_public()
    assert public is not None
    assert open_as_bureau(read_key(private), seal_for_bureau(public, b"row key")) == b"row key"


def test_without_demo_the_example_is_written_as_it_is(tmp_path: Path) -> None:
    init.write(tmp_path / "conf", state=tmp_path / "elsewhere")
    config = made(tmp_path / "conf")
    assert not config.demo
    assert config.state == tmp_path / "elsewhere"
    shipped = Path(__file__).parents[2] / "conf"
    for path in shipped.rglob("*.toml"):
        name = path.relative_to(shipped)
        if name.name != "gateway.toml":
            assert (tmp_path / "conf" / name).read_bytes() == path.read_bytes()


def test_comments_are_kept(tmp_path: Path) -> None:
    init.write(tmp_path / "demo", demo=True)
    before = (Path(__file__).parents[2] / "conf" / "gateway.toml").read_text(encoding="utf-8")
    after = (tmp_path / "demo" / "gateway.toml").read_text(encoding="utf-8")
    assert after.count("\n# ") == before.count("\n# ")


def test_a_full_directory_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(init.InitError, match=str(tmp_path)):
        init.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    init.write(tmp_path / "empty")


@pytest.mark.parametrize("port", [80, 65531])
def test_ports_out_of_range(tmp_path: Path, port: int) -> None:
    with pytest.raises(init.InitError, match=str(port)):
        init.write(tmp_path / "demo", demo=True, base_port=port)
    assert not (tmp_path / "demo").exists()
