"""Draws the pages for the guides: `python -m tests.hosting.pictures` (make pictures)."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from grantflow.demo._web import marketplace
from tests.architecture.source_tree import ROOT
from tests.hosting.chromium import Tab, chromium, served
from tests.hosting.test_trial_chromium import Later, Market

PICTURES = ROOT / "docs/pictures"


async def draw(tab: Tab, name: str, width: int = 900, *, dark: bool = False) -> None:
    """The whole page the browser shows now, as a file of the docs."""
    await tab.see(width, 400, dark=dark)
    await tab.until("true")
    await tab.see(width, await tab.run("document.documentElement.scrollHeight"), dark=dark)
    await tab.until("true")
    await tab.picture(PICTURES / f"{name}.png")


async def main() -> None:
    """Open the trial and walk through it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    later = Later()
    with tempfile.TemporaryDirectory() as folder:
        async with chromium() as tab, served(later, []) as port:
            origin = f"http://localhost:{port}"
            async with marketplace(Path(folder) / "trial.db", origin) as app:
                later.app = app
                await walk(tab, Market(tab, origin))


async def walk(tab: Tab, market: Market) -> None:
    """An admin and an agent, a new version, and a year."""
    await market.be("Maria")
    await tab.open(f"{market.origin}/marketplace/call-notes")
    await market.press("Install on Acme", "Acme")
    await tab.open(f"{market.origin}/marketplace/desk-sync")
    await market.press("Authorize", "Cancel")
    await draw(tab, "window")
    await market.press("Continue", "asks for permission")
    await market.press("Agree", "is connected")
    await market.be("Bob")
    await tab.open(f"{market.origin}/trial/call-notes/start")
    await market.press("Continue", "asks for permission")
    await market.press("Agree", "is connected")
    await market.press("Call Notes 2.0 comes out", "is out")
    await tab.open(f"{market.origin}/trial/call-notes/start")
    await market.press("Continue", "asks for permission")
    await draw(tab, "consent")
    await market.press("Agree", "is connected")
    await market.be("Maria")
    await market.press("Call the API", "200 OK")
    await draw(tab, "trial")
    await market.press("one year later", "refresh-expired")
    await tab.open(f"{market.origin}/gallery/desk-sync?account=acme")
    await draw(tab, "settings")
    await tab.open(f"{market.origin}/gallery?account=acme")
    await draw(tab, "gallery-dark", 390, dark=True)


if __name__ == "__main__":
    asyncio.run(main())
