"""Thirty marked messages by four channels: their words are in no file, log, audit line, delivery or answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gateway.demo.smsc import DemoSmsc
from tests.system.gate import Gate, Sink, mail, post_phone, send_mail

WORDS = [f"赤松岭{chr(0x4E00 + 37 * n)}{chr(0x5200 + 53 * n)}行动" for n in range(30)]
FORMS = ("机密★10年\n{0}", "【秘密】{0}", "密级：绝密\n{0}", "绝 密 ★ 20年 {0}", "机密 {0}", "★秘密★{0}")


def marked(n: int) -> str:
    body = f"今日9时，青山区发生事件，代号{WORDS[n]}，造成3人死亡。"
    return FORMS[n % len(FORMS)].format(body)


def attached(n: int) -> bytes:
    """The marking is in the attachment's name alone; the words are in its text."""
    from email.message import EmailMessage

    made = EmailMessage()
    made["Subject"], made["From"] = "报告", "zhiban@yuntai.gateway.test"
    made.set_content("请见附件。")
    made.add_attachment(WORDS[n].encode(), maintype="text", subtype="plain", filename="【机密】情况报告.txt")
    return made.as_bytes()


async def test_no_word_of_a_marked_message_leaves_the_seal(gate: Gate, sink: Sink, reactor: Any) -> None:
    smsc = DemoSmsc("gateway", gate.secret("smpp-password"))
    await smsc.start(f"tcp:{gate.base + 4}:interface=127.0.0.1")
    await asyncio.to_thread(gate.start)
    await smsc.wait_bound(20)
    for n in range(10):
        await smsc.deliver("+8613800000001", "10690999", marked(n))
    for n in range(10, 20):
        await asyncio.to_thread(send_mail, gate.base, mail(marked(n)))
    for n in range(20, 25):
        await asyncio.to_thread(send_mail, gate.base, attached(n))
    for n in range(25, 30):
        call = {"call_id": f"c{n}", "caller": "0999-8820003", "called": "0999-110", "started_at": "2026-03-06T09:00:00+08:00",
                "segments": [{"speaker": "来电人", "start": 0, "end": 3, "text": marked(n)}]}  # fmt: skip
        status, _answer = await asyncio.to_thread(post_phone, gate.base + 2, gate.secret("phone-token"), call)
        assert status == 200

    def all_sealed() -> bool:
        return [m["state"] for m in gate.ask("messages", limit=100)].count("quarantined") == 30

    await asyncio.to_thread(gate.until, all_sealed, "thirty are quarantined")

    def told() -> bool:
        rows = gate.ask("deliveries", limit=1000)
        return sum(r["office"] == "confidential_bureau" and r["state"] == "delivered" for r in rows) >= 30

    await asyncio.to_thread(gate.until, told, "the bureau was told thirty times")
    assert not gate.ask("incidents"), "nothing of a marked message enters the register"
    shown = [gate.ask("message", id=m["id"]) for m in gate.ask("messages", limit=100)]
    sealed = next(m["id"] for m in shown if m["channel"] == "sms")
    await asyncio.to_thread(gate.stop)
    await smsc.stop()
    outside = [str(mail_.as_string()) + str(mail_.get_payload(decode=True)) for mail_ in sink.mails]
    outside += [text for _to, text, _at in smsc.sent] + [str(shown)]
    assert outside
    look_everywhere(gate.conf, gate.log, outside)
    export = gate.conf.parent / "sealed.json"
    export.write_bytes(gate.run_command("message", sealed, "--export").encode())
    opened = gate.run_command("unseal", str(export), "--key", str(gate.conf / "secrets" / "bureau-private"))
    assert opened, "the bureau can open what was sealed for it"


def look_everywhere(conf: Path, log: Path, outside: list[str]) -> None:
    files = [p for p in conf.rglob("*") if p.is_file()] + [log]
    assert any(p.name == "gateway.db" for p in files)
    for word in WORDS:
        forms = [word.encode(enc) for enc in ("utf-8", "gb18030", "utf-16-be", "utf-16-le")]
        forms += [word.encode("unicode_escape"), word.encode("utf-16-be").hex().encode()]
        for path in files:
            data = path.read_bytes()
            assert not any(form in data for form in forms), f"{path} holds a word of a marked message"
        assert not any(word in text for text in outside)
