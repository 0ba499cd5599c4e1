"""Draws the pages for the guides: `python -m tests.hosting.pictures` (make pictures)."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from pathlib import Path

from grantflow.demo._web import marketplace
from tests.architecture.source_tree import ROOT
from tests.hosting.chromium import Tab, chromium, served
from tests.hosting.test_trial_chromium import Later, Market

PICTURES = ROOT / "docs/pictures"


async def draw(tab: Tab, name: str) -> None:
    """What the browser shows now, as a file of the docs."""
    shown = await tab.call("Page.captureScreenshot", format="png")
    (PICTURES / f"{name}.png").write_bytes(base64.b64decode(shown["data"]))


async def main() -> None:
    """Walk to a consent form, a gallery and a marketplace entry, and draw each."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    later = Later()
    with tempfile.TemporaryDirectory() as folder:
        async with chromium() as tab, served(later, []) as port:
            origin = f"http://localhost:{port}"
            async with marketplace(Path(folder) / "trial.db", origin) as app:
                later.app = app
                market = Market(tab, origin)
                await tab.see(900, 760)
                await market.be("Maria")
                await draw(tab, "trial")
                await tab.open(f"{origin}/marketplace/desk-sync")
                await market.press("Authorize", "Cancel")
                await draw(tab, "window")
                await tab.click("Acme")
                await market.press("Continue", "asks for permission")
                await draw(tab, "consent")


if __name__ == "__main__":
    asyncio.run(main())
