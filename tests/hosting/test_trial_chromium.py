"""The whole journey in a real browser, on the marketplace of `grantflow serve`: clicked, not posted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from grantflow.demo._web import marketplace
from tests.hosting.chromium import FOUND, Tab, chromium, served

pytestmark = [pytest.mark.browser, pytest.mark.skipif(FOUND is None, reason="there is no chromium on this machine")]


class Later:
    """An address before there is an app behind it: the app must know its own port."""

    app: object = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)  # type: ignore[operator]


@dataclass
class Market:
    """A person in front of a browser."""

    tab: Tab
    origin: str

    async def press(self, words: str, then: str) -> None:
        """Click, and wait for a text on the page that comes."""
        await self.tab.press(words, f"document.body.textContent.includes({then!r})")

    async def to_the_form(self, button: str) -> None:
        """Press a button that begins an authorization, and choose Acme where the window asks."""
        await self.press(button, "Cancel")
        if await self.tab.run("document.body.textContent.includes('Continue')"):
            await self.tab.click("Acme")
            await self.press("Continue", "asks for permission")

    async def be(self, name: str) -> None:
        """At the page of the trial."""
        await self.tab.open(self.origin + "/")
        await self.press(name, f"You are {name}")


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    later, asked = Later(), list[str]()
    async with chromium() as tab, served(later, asked) as port:
        origin = f"http://localhost:{port}"
        async with marketplace(tmp_path / "trial.db", origin) as app:
            later.app = app
            yield Market(tab, origin)


async def test_an_admin_cancels_authorizes_expires_and_reauthorizes(market: Market) -> None:
    tab = market.tab
    await market.be("Maria")
    await tab.open(f"{market.origin}/marketplace/desk-sync")
    await market.to_the_form("Authorize")
    await market.press("Cancel", "access_denied")
    await tab.open(f"{market.origin}/marketplace/desk-sync")
    await market.to_the_form("Authorize")
    await market.press("Agree", "Desk Sync is connected to acme")
    await market.press("Call the API", "200 OK")
    await market.press("one week later", "moved by the sweep")
    await market.press("Call the API", "200 OK")
    await market.press("one year later", "refresh-expired")
    await market.press("Call the API", "stopped working")
    await tab.open(f"{market.origin}/gallery/desk-sync?account=acme")
    await market.to_the_form("Reauthorize")
    await market.press("Agree", "Desk Sync is connected to acme")
    await market.press("Call the API", "200 OK")
    assert not [entry for entry in tab.log if "Security Policy" in entry]


async def test_an_external_apps_user_chooses_one_of_several_accounts(market: Market) -> None:
    tab = market.tab
    await market.be("Uma")
    await market.press("connect it from the app itself", "Choose an account")
    await market.press("Cancel", "access_denied")
    await market.press("connect it from the app itself", "Choose an account")
    await tab.click("Globex")
    await market.press("Continue", "Awaiting your approval")
    await market.press("Agree", "Report Hub is connected to globex")


async def test_an_agent_meets_the_front_end_after_a_year(market: Market) -> None:
    tab = market.tab
    await market.be("Maria")
    await tab.open(f"{market.origin}/marketplace/call-notes")
    await market.press("Install on Acme", "Acme")
    await market.be("Bob")
    await tab.open(f"{market.origin}/apps/call-notes?account=acme")
    await market.to_the_form("Authorize")
    await market.press("Agree", "Call Notes is connected to acme")
    await market.press("one year later", "refresh-expired")
    await tab.open(f"{market.origin}/apps/call-notes?account=acme")
    told = await tab.run("client.interface.trigger('reAuthorize')")
    assert told["prompt"] == "REAUTHORIZE"
    await market.to_the_form("Reauthorize")
    await market.press("Agree", "Call Notes is connected to acme")
