"""A real browser, driven over its own pipe, and a plain socket server for it: nothing but the standard library."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

FOUND = (
    os.environ.get("CHROMIUM")
    or shutil.which("chromium")
    or shutil.which("chromium-browser")
    or shutil.which("google-chrome")
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
    "--no-first-run", "--mute-audio", "--disable-background-networking",
    "--allow-pre-commit-input",  # else a click on a page that was loaded but not yet painted is swallowed
    "--disable-renderer-backgrounding", "--disable-background-timer-throttling",
    # A name of another machine is unknown at once, whatever resolver this machine has and however long it takes.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)  # fmt: skip
PATIENCE = 120
"""Seconds; only a machine that is very busy ever needs more than one."""
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


@asynccontextmanager
async def served(app: ASGIApp, sink: list[str]) -> AsyncIterator[int]:
    """Serve an ASGI app on loopback, one request to a connection; the request lines go to `sink`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = [
                (n.strip().lower(), v.strip()) for n, _, v in (line.partition(":") for line in head[1:] if line)
            ]
            body = await reader.readexactly(int(dict(headers).get("content-length", "0")))
            sink.append(f"{method} {target} {dict(headers).get('host')}")
            path, _, query = target.partition("?")
            scope = {
                "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
                "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
                "headers": [(n.encode(), v.encode("latin-1")) for n, v in headers],
                "client": ("127.0.0.1", 1), "server": ("localhost", 80), "state": {},
            }  # fmt: skip

            async def receive() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            async def send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    lines = [f"HTTP/1.1 {message['status']} x".encode(), b"connection: close"]
                    lines += [name + b": " + value for name, value in message["headers"]]
                    writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
                else:
                    writer.write(message.get("body", b""))

            await app(scope, receive, send)
        except asyncio.IncompleteReadError:
            pass  # a connection opened ahead and never used
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)  # "localhost" may be two sockets with a port each
    async with server:
        yield int(server.sockets[0].getsockname()[1])


class Tab:
    """One tab of a headless browser."""

    def __init__(self, reader: asyncio.StreamReader, writer: int) -> None:
        self.reader, self.writer, self.ids = reader, writer, itertools.count(1)
        self.session: str | None = None
        self.log: list[str] = []
        """What the console and the security policy say."""

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the DevTools protocol."""
        number = next(self.ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            told = json.loads((await self.reader.readuntil(b"\0"))[:-1])
            if told.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
                self.log.append(json.dumps(told["params"])[:600])
            if told.get("id") == number:
                assert "error" not in told, told
                found: dict[str, Any] = told["result"]
                return found

    async def attach(self) -> Self:
        """To a fresh page."""
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        self.session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        return self

    async def see(self, width: int, height: int, *, dark: bool = False) -> None:
        """The size of the window and the colours the person likes."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def run(self, script: str) -> Any:
        """The value of an expression, awaited."""
        told = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until an expression is true on a page that has been painted, over navigations."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError):  # the page is being replaced
                if await self.run(f"document.readyState === 'complete' && Boolean({condition}) && {PAINTED}"):
                    return
            await asyncio.sleep(0.02)
        raise AssertionError(f"never: {condition}; at {await self.run('location.href')}; {self.log}")

    async def open(self, url: str) -> None:
        """Go there and wait for the page."""
        await self.mark()
        await self.call("Page.navigate", url=url)
        await self.until("!window.old")

    async def mark(self) -> None:
        """Sign the page that is here, so that the next one is known by the missing sign."""
        await self.until("window.old = true")

    async def press(self, words: str, then: str = "true") -> None:
        """Click, and wait for the page it leads to."""
        await self.mark()
        await self.click(words)
        await self.until(f"!window.old && {then}")

    async def told(self, words: str) -> None:
        """Wait until the browser itself says so, in its console."""
        end = time.monotonic() + PATIENCE
        while not any(words in entry for entry in self.log):
            assert time.monotonic() < end, self.log
            await self.run("0")  # what was said arrives with the next answer
            await asyncio.sleep(0.02)

    async def reads(self) -> str:
        """The words on the page, one space between them."""
        return " ".join(str(await self.run("document.body.innerText")).split())

    async def click(self, words: str) -> None:
        """Press the button, or what else is named so, as a mouse does."""
        script = f"""(() => {{
          const all = [...document.querySelectorAll('button, a, label')];
          const found = all.find(one => one.textContent.trim().startsWith({json.dumps(words)}));
          found.scrollIntoView(); const box = found.getBoundingClientRect();
          return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""
        x, y = await self.run(script)
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def key(self, name: str) -> None:
        """Press a key: Tab, Enter, or Space."""
        text = {"Enter": "\r", "Space": " "}.get(name, "")
        code = {"Tab": 9, "Enter": 13, "Space": 32}[name]
        key = {"Space": " "}.get(name, name)
        told = {"key": key, "code": name, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **told)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    async def heard(self) -> list[tuple[str, str]]:
        """(role, name) of everything a screen reader meets, in its order."""
        nodes = (await self.call("Accessibility.getFullAXTree"))["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]
        ]

    async def complaints(self) -> list[Any]:
        """What a person would find hard to see or to hit: wider than the window, small buttons, pale texts."""
        found: list[Any] = await self.run(COMPLAINTS)
        return found

    async def picture(self, path: Path) -> None:
        """What is to be seen."""
        data = (await self.call("Page.captureScreenshot", format="png"))["data"]
        await asyncio.to_thread(path.write_bytes, base64.b64decode(data))


@asynccontextmanager
async def chromium() -> AsyncIterator[Tab]:
    """A browser with a profile of its own."""
    assert FOUND is not None, "there is no chromium: install Debian's, or set CHROMIUM=/path/to/chromium"
    to_child, ours_out = os.pipe()
    ours_in, from_child = os.pipe()

    def wire() -> None:
        os.dup2(to_child, 103)
        os.dup2(from_child, 104)
        os.dup2(103, 3)
        os.dup2(104, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            FOUND, *FLAGS, f"--user-data-dir={profile}", preexec_fn=wire, close_fds=False,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_child)
        os.close(from_child)
        reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours_in, "rb")
        )
        tab = Tab(reader, ours_out)
        try:
            yield await tab.attach()
        finally:
            os.close(ours_out)  # the browser goes when its pipe does
            try:
                await asyncio.wait_for(process.wait(), PATIENCE)
            except TimeoutError:
                process.kill()
                await process.wait()
            pipe.close()


COMPLAINTS = """(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgb = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
  const behind = one => { for (; one; one = one.parentElement) {
    const found = rgb(getComputedStyle(one).backgroundColor); if (found[3] === 255) return found; }
    return [255, 255, 255, 255]; };
  const poor = document.documentElement.scrollWidth <= innerWidth ? [] : ['it is wider than the window'];
  for (const one of document.querySelectorAll('button'))
    if (one.getBoundingClientRect().height < 44) poor.push([one.textContent, 'is small']);
  for (const one of document.querySelectorAll('body *')) {
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())) continue;
    if (one.closest('.gf-skip, [hidden], script') || one.closest('.gf-choice')?.querySelector(':disabled')) continue;
    const pair = [light(rgb(getComputedStyle(one).color)), light(behind(one))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.push([one.textContent.trim().slice(0, 30), ratio]);
  }
  return poor; })()"""
"""Texts need 4.5 : 1 (WCAG 2.2, 1.4.3), targets 44 pixels (2.5.5)."""
