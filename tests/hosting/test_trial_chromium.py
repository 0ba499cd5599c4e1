"""The whole journey in a real browser, on the marketplace of `grantflow serve`: clicked, not posted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from grantflow.demo._web import marketplace
from tests.hosting.chromium import Tab, chromium, served

pytestmark = pytest.mark.browser


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

    async def shows(self, *words: str) -> None:
        """All of these are on the page."""
        text = await self.tab.reads()
        assert [word for word in words if word not in text] == [], text

    async def chosen(self) -> list[str]:
        """The accounts that are marked."""
        found: list[str] = await self.tab.run(
            "[...document.querySelectorAll('[type=radio]:checked')].map(x => x.value)"
        )
        return found

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


async def test_cancel_on_each_page_leaves_the_app_unauthorized(market: Market) -> None:
    tab = market.tab
    await market.be("Maria")
    for account in ("acme", "globex"):
        await tab.open(f"{market.origin}/trial/desk-sync/start?account={account}")
        assert await market.chosen() == [account], "what the app asked for, and to be confirmed"
        await market.press("Cancel", "Desk Sync was told: access_denied")
        await tab.open(f"{market.origin}/trial/desk-sync/start?account={account}")
        await market.press("Continue", "Awaiting your approval")
        await market.press("Cancel", "Desk Sync was told: access_denied")
        await tab.open(f"{market.origin}/marketplace/desk-sync")
        assert await tab.run("document.querySelectorAll('[data-state=\"state.unauthorized\"]').length") == 2
    await market.be("Uma")
    await tab.open(f"{market.origin}/trial/report-hub/start?account=hooli")
    await market.shows("Report Hub asked for an account that cannot be chosen here")
    assert await market.chosen() == []
    await tab.click("Acme")
    await market.press("Continue", "Awaiting your approval")
    await market.press("Cancel", "access_denied")
    await market.shows("unauthorized")


async def test_one_account_is_preselected_for_an_agent_and_settled_for_a_user(market: Market) -> None:
    tab = market.tab
    await market.be("Maria")
    await tab.open(f"{market.origin}/marketplace/call-notes")
    await market.press("Install on Acme", "Acme")
    await market.be("Bob")
    await tab.open(f"{market.origin}/trial/call-notes/start")
    assert await market.chosen() == ["acme"]
    assert await tab.run("document.querySelectorAll('[type=radio]').length") == 1
    await market.press("Continue", "Awaiting your approval")
    await market.press("Agree", "Call Notes is connected to acme")
    await market.be("Nora")
    await market.press("connect it from the app itself", "Awaiting your approval")
    await market.shows("Acme", "Read reports", "You go back to Report Hub afterwards.")
    await market.press("Cancel", "access_denied")
    await market.press("connect it from the app itself", "Awaiting your approval")
    await market.press("Agree", "Report Hub is connected to acme")


async def test_a_new_version_asks_for_more_and_refusing_changes_nothing(market: Market) -> None:
    tab = market.tab
    await market.be("Maria")
    await tab.open(f"{market.origin}/marketplace/call-notes")
    await market.press("Install on Acme", "Acme")
    await market.be("Bob")
    await tab.open(f"{market.origin}/apps/call-notes?account=acme")
    await market.to_the_form("Authorize")
    assert await headings(tab) == ["Awaiting your approval"]
    await market.press("Agree", "Call Notes is connected to acme")
    await market.press("Call Notes 2.0 comes out", "is out and asks for more")
    await market.press("Call the API", "200 OK: Call Notes may do notes.write, tickets.read")
    for button, then in (("Cancel", "access_denied"), ("Agree", "Call Notes is connected to acme")):
        await tab.open(f"{market.origin}/gallery?account=acme")
        await market.press("Call Notes", "asks for more than was agreed to")
        await market.to_the_form("Authorize")
        assert await headings(tab) == ["Already approved", "Awaiting your approval"]
        groups = await tab.run(GROUPS)
        assert groups == [["notes.write", "tickets.read"], ["calls.read"]]
        await market.press(button, then)
        scopes = "calls.read, notes.write, tickets.read" if button == "Agree" else "notes.write, tickets.read"
        await market.press("Call the API", f"200 OK: Call Notes may do {scopes}")
    await tab.open(f"{market.origin}/gallery/call-notes?account=acme")
    assert await tab.run("document.querySelector('.gf-note')") is None


async def headings(tab: Tab) -> list[str]:
    """The groups of a form."""
    found: list[str] = await tab.run("[...document.querySelectorAll('h2')].map(one => one.textContent)")
    return found


GROUPS = (
    "[...document.querySelectorAll('.gf-scopes')].map(g => [...g.querySelectorAll('code')].map(c => c.textContent))"
)


async def test_an_admin_goes_through_the_gallery_and_an_agent_cannot(market: Market) -> None:
    tab = market.tab
    await market.be("Maria")
    await tab.open(f"{market.origin}/marketplace/desk-sync")
    await market.to_the_form("Authorize")
    await market.press("Agree", "Desk Sync is connected to acme")
    await tab.open(f"{market.origin}/gallery?account=acme")
    await market.press("Desk Sync", "Agents cannot use this app yet.")
    await market.press("Make available", "Agents can use this app.")
    await market.be("Bob")
    await tab.open(f"{market.origin}/apps/desk-sync?account=acme")
    await market.shows("Desk Sync is connected to Acme and works.")
    await tab.open(market.origin)
    await market.press("one year later", "refresh-expired")
    await tab.open(f"{market.origin}/gallery?account=acme")
    await market.press("Desk Sync", "Ask an admin of the account to reauthorize it")
    assert await tab.run("document.querySelectorAll('main button').length") == 0
    await market.be("Maria")
    await tab.open(f"{market.origin}/gallery?account=acme")
    await market.press("Desk Sync", "Settings")
    await market.to_the_form("Reauthorize")
    await market.shows("Already approved")
    await market.press("Agree", "Desk Sync is connected to acme until")
    await market.press("Call the API", "200 OK")


async def test_the_page_of_the_trial_is_easy_on_the_eyes(market: Market) -> None:
    tab = market.tab
    await market.be("Nora")
    await market.press("connect it from the app itself", "Awaiting your approval")
    await market.press("Agree", "Report Hub is connected")
    for dark in (False, True):
        for width in (320, 1200):
            await tab.see(width, 700, dark=dark)
            await tab.open(market.origin)
            assert await tab.complaints() == [], (width, dark)
    heard = [name for role, name in await tab.heard() if role in {"button", "link"}]
    assert len(heard) == len(set(heard)), "no two are called alike"


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
