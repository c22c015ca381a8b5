"""The duty desk in a real browser against a real daemon: a night's work by keyboard, a daemon that goes away and comes back."""

from __future__ import annotations

import asyncio
import io
import json
import signal
from collections.abc import AsyncIterator
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from gateway.conf_edit import set_key
from tests.browser.chrome import Chrome
from tests.system.gate import Gate, send_mail

AXE = Path(__file__).parents[2] / ".peers/axe/node_modules/axe-core/axe.min.js"
PASSWORD = "a-long-enough-password"
SAID = "云台区政府办报告：今日0时许，云台区文昌街一家具厂发生火灾，造成1人死亡、2人受伤，明火已扑灭。"
ENTER = 13


@pytest.fixture
async def desk(gate: Gate) -> AsyncIterator[tuple[Gate, Chrome]]:
    """A daemon with an account whose office receives at every hour, and a browser that has signed in with it."""
    conf = gate.conf / "gateway.toml"
    conf.write_text(set_key(conf.read_text(), ("console", "stale_seconds"), 5.0))
    gate.env["GATEWAY_LANG"] = "zh"
    gate.start()
    add = ("user", "add", "luo", "--role", "clerk", "--person", "罗值班", "--stdin")
    gate.run_command(*add, data=f"{PASSWORD}\n".encode())
    async with Chrome() as chrome:
        await chrome.goto(f"http://127.0.0.1:{gate.base + 3}/")
        await chrome.until("document.activeElement.name === 'account'")  # the first field waits for the first key
        await chrome.fill("account", "luo")
        await chrome.fill("password", PASSWORD)
        await chrome.do("window.__before = true")
        await chrome.key("Enter", ENTER)
        await chrome.settled()
        yield gate, chrome


def at(gate: Gate, path: str) -> str:
    return f"http://127.0.0.1:{gate.base + 3}{path}"


def call(gate: Gate, text: str = SAID, caller: str = "+8613800000002") -> None:
    gate.ask("phone_log", form={"caller": caller, "text": text, "clerk": "李值班"})


async def barriers(chrome: Chrome) -> list[str]:
    """What axe finds against WCAG 2.2 AA on the page."""
    await chrome.do(AXE.read_text() + "; true")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found: Any = json.loads(await chrome.do(
        f"axe.run({{runOnly: {json.dumps(tags)}}}).then((all) => JSON.stringify(all.violations.map("
        "(one) => [one.id, one.nodes.map((node) => node.html + ' ' + node.failureSummary)])))"))  # fmt: skip
    return [f"{id_}: {nodes[:3]}" for id_, nodes in found]


async def test_a_report_at_night_from_the_call_to_the_acknowledgement_by_keyboard(desk: tuple[Gate, Chrome]) -> None:
    gate, chrome = desk
    await chrome.until("document.body.innerText.includes('当前无在办事件')")
    await chrome.do("document.querySelector('#sound').click()")
    await chrome.until("document.querySelector('#sound').getAttribute('aria-pressed') === 'true'")
    before = int(await chrome.do("document.body.dataset.sounded || 0"))
    call(gate)
    await chrome.until("document.querySelector('a.line') && document.body.innerText.includes('请您签收')")
    assert (await chrome.do("document.title")).startswith("(1) 待签收"), "the tab says it as well"
    await chrome.until(f"Number(document.body.dataset.sounded) > {before}")
    assert "新到待签收：2026-0001" in await chrome.do("document.querySelector('#news').textContent")
    assert "死亡 1 人" in await chrome.text() and "受伤 2 人" in await chrome.text()
    await chrome.do("document.activeElement.blur()")
    await chrome.key("ArrowDown", 40)
    assert await chrome.do("document.activeElement.id") == "n2026-0001"
    await _enter(chrome)
    assert await chrome.do("document.querySelectorAll('mark').length") > 2 and "家具厂" in await chrome.text()
    await chrome.do("document.querySelector('.acts a').focus()")
    await _enter(chrome)
    assert "市委政务值班室：罗值班 签收" in await chrome.text(), "what will happen stands there before"
    await chrome.until("document.activeElement.value === 'do'")  # the next Enter confirms
    await _enter(chrome)
    assert "已办：签收" in await chrome.text() and "✓ 市委政务值班室" in await chrome.text()
    await chrome.goto(at(gate, "/"))
    await chrome.until("document.body.innerText.includes('✓ 市委政务值班室 罗值班')")
    assert "请您签收" not in await chrome.text()
    assert chrome.said == [] and all(one.startswith(at(gate, "/")) for one in chrome.asked if one != "about:blank")


async def _enter(chrome: Chrome) -> None:
    await chrome.do("window.__before = true")
    await chrome.key("Enter", ENTER)
    await chrome.settled()


async def test_a_call_is_typed_kept_understood_and_handed_in(desk: tuple[Gate, Chrome]) -> None:
    gate, chrome = desk
    await chrome.goto(at(gate, "/phone"))
    await chrome.until("document.activeElement.id === 'caller'")
    await chrome.fill("caller", "0999-8811004")
    await chrome.fill("text", "石桥县河湾村民房倒塌，两人被压")
    await chrome.until("document.body.innerText.includes('请追问') && document.body.innerText.includes('已保存')")
    assert "被困 2 人" in await chrome.text()
    await chrome.goto(at(gate, "/phone"))
    await chrome.press("main a[href^='/phone?draft=']")
    assert "两人被压" in await chrome.do("document.querySelector('#text').value"), "who lost the page loses nothing"
    await chrome.do("document.querySelector('#text').focus()")
    await chrome.do("window.__before = true")
    await chrome.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, modifiers=2)
    await chrome.settled()
    assert (await chrome.do("document.querySelector('.said.good').textContent")).startswith("已收，编号")
    await chrome.goto(at(gate, "/"))
    await chrome.until("document.body.innerText.includes('河湾村')")
    assert chrome.said == []


async def test_a_board_whose_gateway_is_gone_says_so_and_lives_again(desk: tuple[Gate, Chrome]) -> None:
    gate, chrome = desk
    await chrome.until("document.body.innerText.includes('当前无在办事件')")
    assert await chrome.do("document.querySelector('#stale').hidden")
    assert gate.process is not None
    gate.process.send_signal(signal.SIGSTOP)
    try:
        await chrome.until("!document.querySelector('#stale').hidden")
        assert "页面已过时" in await chrome.text() and "电话" in await chrome.text()
    finally:
        gate.process.send_signal(signal.SIGCONT)
    await chrome.until("document.querySelector('#stale').hidden")
    await asyncio.to_thread(gate.stop)
    await chrome.until("!document.querySelector('#stale').hidden")
    await asyncio.to_thread(gate.start)
    call(gate)
    await chrome.until("document.querySelector('#stale').hidden && document.body.innerText.includes('请您签收')", 40)


async def test_whose_sign_in_is_ended_is_led_to_the_door(desk: tuple[Gate, Chrome]) -> None:
    gate, chrome = desk
    await chrome.until("document.body.innerText.includes('当前无在办事件')")
    gate.run_command("user", "disable", "luo")
    call(gate)
    await chrome.until("location.pathname === '/signin'")


async def test_no_page_has_a_barrier_and_none_is_wider_than_an_old_screen(desk: tuple[Gate, Chrome]) -> None:
    gate, chrome = desk
    call(gate)
    call(gate, "石桥县河湾村民房倒塌，两人被压，正在救援", "0999-8811004")
    await chrome.until("document.querySelectorAll('a.line').length === 2")
    for path in ("/", "/incident/1", "/incident/1/acknowledge", "/incident/1/correct", "/phone", "/review", "/review/sealed", "/sessions",
                 "/shift", "/calls", "/figures", "/figures/incidents?of=counties.0.0"):  # fmt: skip
        await chrome.goto(at(gate, path))
        assert await barriers(chrome) == [], path
        assert await chrome.do("document.documentElement.scrollWidth") <= 1366, path
    await chrome.press(".who button")
    assert await barriers(chrome) == []


def fax(pages: int = 2) -> bytes:
    """A mail with a fax of some pages."""
    sheets = [Image.new("1", (1728, 1100), 1) for _ in range(pages)]
    for number, sheet in enumerate(sheets, 1):
        ImageDraw.Draw(sheet).rectangle((100, 100, 300 * number, 200), fill=0)
    out = io.BytesIO()
    sheets[0].save(out, "TIFF", save_all=True, append_images=sheets[1:], compression="group4", dpi=(204, 98))
    made = EmailMessage(policy=policy.SMTP)
    made["Subject"] = "fax"
    made.set_content("Pages: 2\nCallID1: 09998811004\n")
    made.add_attachment(out.getvalue(), maintype="image", subtype="tiff", filename="fax.tif")
    return made.as_bytes()


async def test_a_fax_is_looked_at_page_by_page_by_keyboard(gate: Gate) -> None:
    conf = gate.conf / "channels.d" / "fax.toml"
    conf.write_text(set_key(conf.read_text(), ("channel", "fax", "ocr"), False))
    gate.env["GATEWAY_LANG"] = "zh"
    gate.start()
    send_mail(gate.base, fax(), to="fax@gateway.test", sender="fax@h.test")
    gate.until(lambda: gate.ask("incidents"), "the fax is an incident that needs a person")
    async with Chrome() as chrome:
        await signed_in(gate, chrome, "bureau")
        await chrome.goto(at(gate, "/incident/1"))
        shown = "document.querySelector('.leaf img')?.naturalWidth"
        assert await chrome.until(f"{shown} > 0 && {shown}") == 1728
        assert "第 1 页，共 2 页" in await chrome.text()
        await chrome.do("document.querySelector('.leaf a[rel=next]').click()")
        await chrome.until("document.body.innerText.includes('第 2 页，共 2 页')")
        await chrome.until(f"document.querySelector('.leaf img').src.endsWith('/2') && {shown} > 0")
        assert await barriers(chrome) == []
        await chrome.press(".leaf .turn > a:last-child")
        await chrome.until(f"{shown} > 0")
        assert await barriers(chrome) == []
        await chrome.do("window.__before = true")
        await chrome.key("ArrowLeft", 37)
        await chrome.settled()
        assert "第 1 页，共 2 页" in await chrome.text()
        assert await chrome.do("document.documentElement.scrollWidth") <= 1366
        assert chrome.said == []


async def test_an_operator_changes_the_directory_and_the_daemon_uses_it(desk: tuple[Gate, Chrome]) -> None:
    gate, chrome = desk
    call(gate)
    await asyncio.to_thread(gate.until, lambda: gate.ask("incidents"), "the call is an incident")
    for path in ("/incident/1/undo", "/conf/roster", "/conf/directory", "/conf/calendar", "/conf/catalogue"):
        await chrome.goto(at(gate, path))
        assert await barriers(chrome) == [], path
        assert await chrome.do("document.documentElement.scrollWidth") <= 1366, path
    await chrome.press(".who button")
    await signed_in(gate, chrome, "operator")
    for path in ("/conf/calendar/edit?file=calendar.d/2027.toml", "/conf/roster/edit", "/conf/directory/edit"):
        await chrome.goto(at(gate, path))
        assert await barriers(chrome) == [], path
        assert await chrome.do("document.documentElement.scrollWidth") <= 1366, path
    text = "document.querySelector('#text')"
    await chrome.do(f"{text}.value = {text}.value.replace('+8613900000101', '+8613900000109')")
    await chrome.fill("why", "王科长换号")
    await chrome.do("document.querySelector('form.change button.main').focus()")
    await _enter(chrome)
    assert await chrome.do("document.querySelector('.diff .come').innerText.includes('13900000109')")
    assert await barriers(chrome) == []
    assert await chrome.do("document.activeElement.value") == "do", "the next Enter confirms"
    await _enter(chrome)
    assert "directory.toml 已写入并生效" in await chrome.text() and "+8613900000109" in await chrome.text()
    assert "+8613900000109" in (gate.conf / "directory.toml").read_text("utf-8")
    await chrome.goto(at(gate, "/conf/roster/edit"))
    await chrome.do("""(() => { const chosen = new DataTransfer(), wanted = new Uint8Array([0xb5, 0xa5, 0xce, 0xbb]);
        chosen.items.add(new File([wanted], 'a.csv')); const field = document.querySelector('#upload');
        field.files = chosen.files; field.dispatchEvent(new Event('change')); })()""")
    await chrome.until("document.querySelector('#table').value === '单位'")
    await chrome.press(".tabs form button")
    assert "没有错误" in await chrome.text() and await barriers(chrome) == []
    assert chrome.said == []


async def signed_in(gate: Gate, chrome: Chrome, account: str) -> None:
    await chrome.goto(at(gate, "/signin"))
    await chrome.fill("account", account)
    await chrome.fill("password", gate.secret(f"console-{account}"))
    await _enter(chrome)
