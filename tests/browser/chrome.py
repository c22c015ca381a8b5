"""Chromium without a screen, driven by its own protocol (CDP) over a web socket: no driver, no package beside aiohttp."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

SIZE = (1366, 768)
BINARY = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 20.0


class Chrome:
    """One browser with one page."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.said: list[str] = []
        """What the page wrote to its console, and what the browser refused to load."""
        self.asked: list[str] = []
        """Every address that was asked for."""

    async def __aenter__(self) -> Chrome:
        assert BINARY, "no chromium here; run: sh .ci/peers/browser.sh"
        self._folder = tempfile.mkdtemp(prefix="chrome-")
        self._process = await asyncio.create_subprocess_exec(
            BINARY, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--autoplay-policy=no-user-gesture-required",
            "--remote-debugging-port=0", f"--user-data-dir={self._folder}", f"--window-size={SIZE[0]},{SIZE[1]}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        told = Path(self._folder) / "DevToolsActivePort"
        async with asyncio.timeout(SECONDS):
            while not told.exists() or "\n" not in told.read_text():
                await asyncio.sleep(0.05)
        port = told.read_text().split("\n")[0]
        self._http = aiohttp.ClientSession()
        async with self._http.get(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = [one for one in await answer.json() if one["type"] == "page"]
        self._socket = await self._http.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
        self._reader = asyncio.create_task(self._read())
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.call(f"{domain}.enable")
        width, height = SIZE
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        return self

    async def __aexit__(self, *why: object) -> None:
        self._reader.cancel()
        await self._socket.close()
        await self._http.close()
        self._process.kill()
        await self._process.wait()
        await asyncio.to_thread(shutil.rmtree, self._folder, True)

    async def _read(self) -> None:
        async for message in self._socket:
            found = json.loads(message.data)
            if (waiting := self._waiting.pop(found.get("id", 0), None)) is not None and not waiting.done():
                waiting.set_result(found)
            method, params = found.get("method"), found.get("params", {})
            if method == "Log.entryAdded":
                self.said.append(f"{params['entry']['level']}: {params['entry']['text']} {params['entry'].get('url', '')}")
            elif method == "Runtime.exceptionThrown":
                self.said.append(f"exception: {params['exceptionDetails'].get('exception', {}).get('description')}")
            elif method == "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])

    async def call(self, method: str, **params: Any) -> Any:
        """One command of the protocol. Raises ``RuntimeError`` where the browser refuses it."""
        number = next(self._ids)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(SECONDS):
            answer = await self._waiting[number]
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    async def do(self, script: str) -> Any:
        """What an expression of JavaScript gives."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"].get("exception", {}).get("description", script))
        return found["result"].get("value")

    async def until(self, script: str, seconds: float = SECONDS) -> Any:
        """Look again and again until an expression gives something true; a page that is just changing says nothing."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        if found := await self.do(script):
                            return found
                    except RuntimeError:
                        pass
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"never true: {script}\n{(await self.text())[:2000]}\n{self.said[-5:]}") from None

    async def goto(self, address: str) -> None:
        """Open a page and wait until it is there."""
        await self.do("window.__before = true")
        await self.call("Page.navigate", url=address)
        await self.settled()

    async def settled(self) -> None:
        """Wait for the page that comes after the present one."""
        await self.until("!window.__before && document.readyState === 'complete'")

    async def fill(self, name: str, value: str) -> None:
        """Write into the field of that name, as a person would."""
        await self.do(f"document.querySelector('[name={name}]').focus()")
        await self.do(f"document.querySelector('[name={name}]').select?.()")
        await self.call("Input.insertText", text=value)

    async def press(self, selector: str) -> None:
        """Press a button or follow a link that leads to another page."""
        await self.do("window.__before = true")
        await self.do(f"document.querySelector({json.dumps(selector)}).click()")
        await self.settled()

    async def key(self, name: str, code: int) -> None:
        """Press a key."""
        text = {"text": "\r"} if name == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **text)

    async def text(self) -> str:
        """What the page shows."""
        return str(await self.do("document.body.innerText") or "")

    async def picture(self, file: Path) -> None:
        """The visible part of the page as a PNG."""
        found = await self.call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(found["data"]))
