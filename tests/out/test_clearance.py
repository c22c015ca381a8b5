"""What may leave by which way: a marked text is put before every transport there is, and nothing of it is on any wire."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import clearance, reading
from gateway.api import Delivered
from gateway.conf_load import load
from gateway.core import render
from gateway.core.directory import Directory
from gateway.core.model import Address
from gateway.host import Host
from gateway.store import deliveries, journal
from gateway.testing import HttpPeer, MailSink, MemoryCarrier, MemoryClock, MemoryServices, memory_directory
from gateway_plugins.to_dingtalk import ToDingtalk
from gateway_plugins.to_fax import FaxSettings, ToFax
from gateway_plugins.to_feishu import ToFeishu
from gateway_plugins.to_gateway import GatewaySettings, ToGateway
from gateway_plugins.to_mail import MailSettings, ToMail
from gateway_plugins.to_print import PrintSettings, ToPrint
from gateway_plugins.to_sms import ToSms, ToSmsSettings
from gateway_plugins.to_webhook import ToWebhook, WebhookSettings
from gateway_plugins.to_wecom import ToWecom
from tests.harness.peers import ipp
from tests.out.services import LOOPBACK, Queue

SECRET = "赤松岭七号行动"
MARKED = ["机密★10年\n{0}", "【秘密】{0}", "密级：绝密\n{0}", "绝 密 ★ 20年 {0}"]
PLAIN = "青山区幸福路一居民楼起火，1人死亡。" + SECRET
ROOT = Path(__file__).parents[2]


class FaxServer:
    """A carrier that keeps the pages that it is handed."""

    def __init__(self) -> None:
        self.pages: list[bytes] = []

    async def fax(self, number: str, tiff: bytes, delivery: str) -> Any:
        self.pages.append(tiff)
        return Delivered((delivery,))


@contextlib.asynccontextmanager
async def every_transport(clock: MemoryClock) -> AsyncIterator[tuple[dict[str, Any], dict[str, str], Callable[[], dict[str, int]]]]:
    """Transports by kind, an address for each, and how often each wire carried anything."""
    http, printer, mail, sms, fax = HttpPeer(), HttpPeer(ipp()), MailSink(), MemoryCarrier(), FaxServer()
    http.answers = {**http.answers, "ok": (200, b'{"errcode": 0, "code": 0, "id": "r1"}')}
    await http.start()
    await printer.start()
    port = await mail.start()
    services = MemoryServices(
        secrets={"webhook-key": "whsec_" + "a2V5" * 8, "robot": "k"}, channels={"sms": sms, "fax": fax}, clock=clock
    )
    url = {"allow_http": True, "allow_networks": LOOPBACK}
    robots = {**url, "url": http.url + "robot", "robots": {"duty": "robot"}}
    made = {
        "to_mail": ToMail("m", MailSettings(host="127.0.0.1", port=port, from_address="g@gateway.test"), services),
        "to_sms": ToSms("s", ToSmsSettings(carrier="sms"), services),
        "to_webhook": ToWebhook("w", WebhookSettings(url=http.url + "hook", **url), services),
        "to_gateway": ToGateway("g", GatewaySettings(name="city", gateways={"duty": http.url + "gateway"}, keys={"duty": "webhook-key"},
                                                     channel="x", **url), services),
        "to_fax": ToFax("f", FaxSettings(carrier="fax"), services),
        "to_print": ToPrint("p", PrintSettings(printers={"duty": f"ipp://127.0.0.1:{printer.port}/p"}), services),
        **{cls.kind: cls(cls.kind, cls.Settings(**robots), services) for cls in (ToWecom, ToDingtalk, ToFeishu)},
    }  # fmt: skip
    addresses = dict.fromkeys(made, "duty") | {"to_mail": "duty@gateway.test", "to_sms": "13900000021", "to_fax": "0999-8820003"}

    def carried() -> dict[str, int]:
        return {
            "http": len(http.requests), "print": len(printer.requests), "mail": len(mail.mails), "sms": len(sms.parts),
            "fax": len(fax.pages),
        }  # fmt: skip

    try:
        yield made, addresses, carried
    finally:
        await http.stop()
        await printer.stop()
        await mail.stop()


def directory_of(kinds: Any, cleared: Any = ()) -> Directory:
    return memory_directory(["duty_room"], ways=kinds, cleared=cleared)


async def test_a_marked_text_is_on_no_wire(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = MemoryClock()
    async with every_transport(clock) as (transports, addresses, carried):
        assert set(transports) == set(Host.load().kinds["transports"]), "every transport there is"
        queue = Queue(tmp_path, clock, transports)
        directory = directory_of(transports, transports)
        queue.dispatcher.objection = lambda row, what: clearance.objection(directory, row, what)
        ids = [queue.put(kind, addresses[kind], form.format(SECRET), f"{kind} {n}") for kind in transports for n, form in enumerate(MARKED)]
        await queue.pass_time(30, step=60)
        assert set(carried().values()) == {0}
        assert {queue.row(id).state for id in ids} == {"refused"}
        alarms = [one.getMessage() for one in caplog.records if one.name == "gateway.alarm"]
        assert all(any(f"transport={kind} " in one for one in alarms) for kind in transports)
        kept = caplog.text + str(queue.store.read_now(journal.entries))
        assert SECRET not in kept
        assert "机密" not in kept

        # The control: what is not marked goes out by each of them, so the wires were able to carry it.
        ids = [queue.put(kind, addresses[kind], PLAIN, f"{kind} plain") for kind in transports]
        await queue.pass_time(10, step=30)
        assert {kind: queue.row(id).state for kind, id in zip(transports, ids, strict=True)} == dict.fromkeys(transports, "delivered")
        assert all(count > 0 for count in carried().values())
        queue.close()


async def test_what_is_sensitive_goes_only_where_it_is_still_cleared_when_it_is_sent(tmp_path: Path) -> None:
    clock = MemoryClock()
    async with every_transport(clock) as (transports, addresses, carried):
        queue = Queue(tmp_path, clock, transports)
        directory = directory_of(transports, ["to_mail"])
        queue.dispatcher.objection = lambda row, what: clearance.objection(directory, row, what)

        def put(tx: Any) -> str:
            others = [kind for kind in transports if kind != "to_mail"]
            ways = tuple(Address(transport=kind, address=addresses[kind]) for kind in (*others[1:], "to_mail"))
            row = deliveries.DeliveryRow(
                id=tx.new_id(), incident=queue.incident.id, destination="duty_room", transport=others[0],
                address=addresses[others[0]], created_at=clock(), next_try_at=clock(), ways=ways, cleared=True,
            )  # fmt: skip
            deliveries.insert(tx, row, deliveries.Content(subject="s", text=PLAIN, short_text=PLAIN))
            return row.id

        queue.store.write_now(put)
        await queue.pass_time(5, step=30)
        rows = {row.transport: row.state for row in queue.store.read_now(deliveries.rows)}
        assert rows.pop("to_mail") == "delivered"
        assert set(rows.values()) == {"refused"}
        assert carried() == {"http": 0, "print": 0, "mail": 1, "sms": 0, "fax": 0}
        queue.close()


def test_an_office_may_have_less_cleared_than_the_house(tmp_path: Path) -> None:
    import shutil

    conf = Path(shutil.copytree(ROOT / "conf", tmp_path / "conf"))
    directory = conf / "directory.toml"
    directory.write_text(directory.read_text().replace('id = "committee_office"\n', 'id = "committee_office"\nnot_cleared = ["mail"]\n'))
    found = load(conf, Host.load(conf)).directory
    assert (found.office("committee_office").cleared, found.office("government_office").cleared) == ((), ("mail",))  # type: ignore[union-attr]


@pytest.mark.parametrize("name", render.TEMPLATES)
def test_our_own_notices_do_not_look_marked(name: str) -> None:
    """What tells of a marked message must itself be able to leave."""
    values = dict.fromkeys(render.NAMES, "甲")
    template = (ROOT / "conf" / "templates" / name).read_text("utf-8")
    assert reading.find_marking([render.fill(template, values)]) is None
