"""`gateway doctor` looks at every way out of this folder: what is there, what is not, and what to do."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from gateway import i18n
from gateway.conf_edit import set_key
from gateway.conf_load import load
from gateway.doctor import reach
from gateway.doctor.gather import _secrets
from gateway.host import Host
from gateway.testing import HttpPeer

ROOT = Path(__file__).parents[2]
OUT = ("webhook", "wecom", "dingtalk", "feishu", "province", "print", "fax_out")


def conf_with(folder: Path, url: str, printer: str, fonts: list[str] | None = None) -> Path:
    """The shipped conf with every way of ours switched on and turned to a peer of the test's."""
    conf = Path(shutil.copytree(ROOT / "conf", folder / "conf"))
    for file in ("webhook", "chat", "province", "print", "hylafax"):
        path = conf / "channels.d" / f"{file}.toml"
        path.write_text(path.read_text().replace("enabled = false", "enabled = true"))
    for file, name in (("webhook", "webhook"), ("chat", "wecom"), ("chat", "dingtalk"), ("chat", "feishu"), ("province", "province")):
        path = conf / "channels.d" / f"{file}.toml"
        changes: dict[str, object] = {"allow_http": True, "allow_networks": ["127.0.0.1/32"]}
        changes |= {"gateways": {"province": url}} if name == "province" else {"url": url}
        text = path.read_text()
        for key, value in changes.items():
            text = set_key(text, ("transport", name, key), value)
        path.write_text(text)
    path = conf / "channels.d" / "print.toml"
    path.write_text(set_key(path.read_text(), ("transport", "print", "printers"), {"duty": printer}))
    if fonts is not None:
        path = conf / "channels.d" / "hylafax.toml"
        path.write_text(set_key(path.read_text(), ("transport", "fax_out", "fonts"), fonts))
    secrets = conf / "secrets"
    secrets.mkdir(mode=0o700)
    names = ("webhook-key", "gateway-province", "wecom-duty-group", "dingtalk-duty-group", "feishu-duty-group",
             "dingtalk-duty-group-signing", "feishu-duty-group-signing")  # fmt: skip
    for name in names:
        (secrets / name).write_text("whsec_" + "a2V5" * 8)
        (secrets / name).chmod(0o600)
    return conf


def looked(conf: Path) -> dict[str, str | None]:
    config = load(conf, Host.load(conf))
    ways, _doors = reach.look(config, None)
    return {way.name: way.why for way in ways}


async def test_peers_that_are_there_are_found(tmp_path: Path) -> None:
    peer = HttpPeer()
    await peer.start()
    found = await asyncio.to_thread(looked, conf_with(tmp_path, peer.url + "in", "ipp://127.0.0.1:9/printers/duty"))
    await peer.stop()
    assert {name: found[name] for name in OUT[:5]} == dict.fromkeys(OUT[:5])
    assert found["fax_out"] is None
    assert found["print"] and found["hylafax"], "nobody is at these ports"
    assert peer.received() == 0, "nothing is posted"


async def test_what_is_away_or_missing_is_named(tmp_path: Path) -> None:
    i18n.use("en")
    try:
        conf = conf_with(tmp_path, "http://127.0.0.1:9/in", "ipp://127.0.0.1:9/printers/duty", ["/nowhere/song.ttf"])
        (conf / "secrets" / "wecom-duty-group").unlink()
        found = await asyncio.to_thread(looked, conf)
        assert all(found[name] for name in OUT)
        assert "song.ttf" in (found["fax_out"] or "") and "fonts-noto-cjk" in (found["fax_out"] or "")
        assert "wecom-duty-group" in (found["wecom"] or "")
        assert not any("could not be tried" in (why or "") for name, why in found.items() if name in (*OUT, "hylafax"))
        missing = [one.name for one in _secrets(load(conf, Host.load(conf))) if one.why]
        assert "wecom-duty-group" in missing and "feishu-duty-group-signing" not in missing
    finally:
        i18n.use("zh")
