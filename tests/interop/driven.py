"""A real Chromium, driven over its DevTools protocol: looked at, clicked, asked."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

_LIMIT_S = 60.0


class Page:
    """One tab, and all that it complained of or asked a network for."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        """Of its console, its scripts and its policy."""
        self.requested: list[str] = []
        self._socket = socket
        self._numbers = count(1)
        self._seen: list[str] = []

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Have one thing done, and return what came of it."""
        number = next(self._numbers)
        await self._socket.send_json(
            {"id": number, "method": method, "params": parameters}
        )
        while True:
            said = await self._said()
            if said.get("id") == number:
                assert "error" not in said, (method, said)
                result: dict[str, Any] = said["result"]
                return result

    async def open(self, url: str) -> None:
        """Go there, and return when it has loaded."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)
        while "Page.loadEventFired" not in self._seen:
            await self._said()

    async def ask(self, script: str) -> Any:
        """Return what an expression comes to, as JSON would have it."""
        found = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be a screen of that size."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        # Two frames on, what listens to sizes and schemes has drawn again.
        await self.ask(
            "new Promise((over) => "
            "requestAnimationFrame(() => requestAnimationFrame(() => over(1))))"
        )

    async def mouse(self, kind: str, x: float, y: float, **more: object) -> None:
        """Move, press or release it there."""
        await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    async def drag(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at one place, and release at another; at the same, click."""
        held: dict[str, Any] = {"button": "left", "clickCount": 1}
        await self.mouse("mouseMoved", *begin)
        await self.mouse("mousePressed", *begin, **held)
        if end != begin:
            middle = ((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2)
            await self.mouse("mouseMoved", *middle, button="left", buttons=1)
            await self.mouse("mouseMoved", *end, button="left", buttons=1)
        await self.mouse("mouseReleased", *end, **held)

    async def key(self, name: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=name, code=name,
                windowsVirtualKeyCode={"ArrowRight": 39, "End": 35}[name],
            )  # fmt: skip

    async def picture(self, *, whole: bool = True) -> bytes:
        """Return it as a PNG."""
        found = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(found["data"])

    async def _said(self) -> dict[str, Any]:
        message = await self._socket.receive()
        assert message.type is WSMsgType.TEXT, message
        said: dict[str, Any] = message.json()
        method, told = said.get("method", ""), said.get("params", {})
        self._seen.append(method)
        match method:
            case "Runtime.exceptionThrown":
                self.complaints.append(str(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.complaints.append(str(told["args"]))
            case "Log.entryAdded":
                self.complaints.append(told["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requested.append(told["request"]["url"])
            case _:
                pass
        return said


@asynccontextmanager
async def chromium(program: str, profile: Path) -> AsyncIterator[Page]:
    """Run a browser without a screen, with one tab."""
    process = await asyncio.create_subprocess_exec(
        program, "--headless", "--no-sandbox", "--disable-gpu",
        "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server",
        "--disable-background-networking", "--hide-scrollbars",
        "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_LIMIT_S):
            port = await _port(process)
        async with ClientSession() as session:
            tabs = f"http://127.0.0.1:{port}/json/new?about:blank"
            async with session.put(tabs) as told:
                url = (await told.json())["webSocketDebuggerUrl"]
            async with session.ws_connect(url, max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _port(process: asyncio.subprocess.Process) -> int:
    """Return where it listens, which it says when it does."""
    assert process.stderr is not None
    async for line in process.stderr:
        if line.startswith(b"DevTools listening on ws://"):
            return int(line.split(b":")[2].partition(b"/")[0])
    raise AssertionError("the browser has ended before it listened")
