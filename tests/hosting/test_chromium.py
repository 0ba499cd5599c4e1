"""The pages in a real browser: its own rules about forms, redirects, cookies and scripts, not our idea of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from grantflow.testing import sample_app
from tests.hosting.chromium import Tab, chromium, served
from tests.hosting.world import YEAR, World, world_at
from tests.journeys.stage import MARIA

pytestmark = pytest.mark.browser


@dataclass
class Street:
    """Two sites on one machine: the platform, and the app under another name of loopback."""

    tab: Tab
    asked: list[str] = field(default_factory=list)
    world: World = field(init=False)
    app: str = ""
    """The app's callback, which leads on to a third address, as apps do."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = dict(scope["headers"])[b"host"].decode()
        if host.startswith("localhost"):
            await self.world(scope, receive, send)
            return
        onward = scope["path"] == "/callback"
        headers = [(b"location", b"/inside")] if onward else [(b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 303 if onward else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"<title>inside</title><h1>The app</h1>"})

    async def sign_in(self, session: str) -> None:
        """At the host."""
        await self.tab.open(f"{self.world.origin}/oauth/static/theme.css")
        await self.tab.run(f"document.cookie = 'session={session}; path=/'")

    def url(self, app: str = "agent-app") -> str:
        """Where the app sends a person."""
        return self.world.origin + self.world.request_of(app, redirect_uri=self.app)


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    """Everything is up."""
    async with chromium() as tab:
        street = Street(tab)
        async with served(street, street.asked) as port:
            street.world = await world_at(tmp_path / "grants.db", origin=f"http://localhost:{port}")
            street.app = f"http://127.0.0.1:{port}/callback"
            async with street.world.engine() as engine:
                await engine.apps.register(sample_app("agent", redirect_uris=(street.app,)))
                await engine.apps.install("agent-app", "acme", actor=MARIA)
            yield street


async def test_s11_s17_a_person_walks_to_the_app_and_on(street: Street) -> None:
    tab = street.tab
    await street.sign_in("bob")
    await tab.open(street.url())
    assert await tab.run("document.title") == "Authorize The agent app · Connected apps"
    assert await tab.run("document.querySelector(':checked')") is None
    await tab.click("Continue")  # the browser itself asks for a choice
    assert await tab.run("document.querySelector('form').checkValidity()") is False
    await tab.click("Globex")
    await tab.click("Continue")
    await tab.until("document.querySelector('#awaiting')")
    await tab.click("Agree")
    await tab.until("document.title === 'inside'")  # every hop after the form was let through
    back = [line for line in street.asked if "/callback?code=" in line]
    assert len(back) == 1
    assert not [entry for entry in tab.log if "Security Policy" in entry]


async def test_s12_cancel_needs_no_choice(street: Street) -> None:
    await street.sign_in("bob")
    await street.tab.open(street.url())
    await street.tab.click("Cancel")
    await street.tab.until("document.title === 'inside'")
    assert [line for line in street.asked if "/callback?error=access_denied" in line]


async def test_a_form_on_another_site_reaches_nothing(street: Street) -> None:
    tab = street.tab
    await street.sign_in("bob")
    await tab.open(street.world.origin + "/apps/mail?account=acme")
    fields = await tab.run("Object.fromEntries(new FormData(document.querySelector('form')))")
    await tab.open(street.app.replace("/callback", "/evil"))
    with street.world.unchanged():
        await tab.run(
            f"""(() => {{ const form = document.createElement('form');
            form.method = 'post'; form.action = '{street.world.origin}/apps/mail/authorize';
            for (const [name, value] of Object.entries({json.dumps(fields)})) {{
              const one = document.createElement('input'); one.name = name; one.value = value; form.append(one); }}
            document.body.append(form); form.submit(); }})()"""
        )
        await tab.until("document.querySelector('h1').textContent.includes('not valid')")


async def test_no_other_site_can_frame_a_page(street: Street) -> None:
    tab = street.tab
    await street.sign_in("bob")
    await tab.open(street.app.replace("/callback", "/evil"))
    for url in (street.url(), f"{street.world.origin}/gallery", f"{street.world.origin}/no-such-page"):
        tab.log.clear()
        await tab.run(
            f"""new Promise(done => {{ const frame = document.createElement('iframe');
            frame.onload = frame.onerror = () => done(true); frame.src = '{url}'; document.body.append(frame); }})"""
        )
        await tab.told("frame-ancestors")


async def test_s34_s35_s36_the_script_brings_up_the_button(street: Street) -> None:
    tab, world = street.tab, street.world
    await street.sign_in("bob")
    await tab.open(world.origin + "/apps/agent-app?account=acme")
    told = await tab.run("client.interface.trigger('authorize')")
    assert (told["prompt"], told["label"]) == ("AUTHORIZE", "Authorize")
    assert await tab.run("document.activeElement.textContent") == "Authorize", "ready for the keyboard"
    await tab.click("Authorize")
    await tab.until("location.host === 'app.example' || location.protocol === 'chrome-error:'")

    await tab.open(street.url())
    await tab.click("Acme")
    await tab.click("Continue")
    await tab.until("document.querySelector('#awaiting')")
    await tab.click("Agree")
    await tab.until("document.title === 'inside'")
    code = next(line for line in street.asked if "/callback?code=" in line)
    back = dict(part.split("=") for part in code.split("?")[1].split(" ")[0].split("&"))
    answer = await world.token(
        "agent-app",
        grant_type="authorization_code",
        code=back["code"],
        redirect_uri=street.app,
        code_verifier=world.verifiers[back["state"]],
    )
    assert answer.status_code == 200
    await tab.open(world.origin + "/apps/agent-app?account=acme")
    told = await tab.run("client.interface.trigger('reAuthorize')")
    assert told["prompt"] == "none", "what is shown is what the server says"
    assert await tab.run("document.querySelector('grantflow-prompt button')") is None
    world.clock.advance(YEAR)
    await tab.run("document.querySelector('grantflow-prompt').replaceChildren()")
    await tab.run("client.interface.trigger('reAuthorize')")
    assert await tab.run("document.querySelector('grantflow-prompt button').textContent") == "Reauthorize"
    told = await tab.run("(window.fetch = () => Promise.reject(), client.interface.trigger('reAuthorize'))")
    assert told["error"] == "unreachable"
    assert await tab.run("document.querySelector('grantflow-prompt button').textContent") == "Reauthorize"
    assert await tab.run("client.interface.trigger('formatDisk').catch(error => error.message)")
    assert await tab.run("document.querySelector('grantflow-prompt').dataset.prompt") == "REAUTHORIZE"


async def test_the_way_from_the_keyboard(street: Street) -> None:
    tab = street.tab
    await street.sign_in("carol")
    await tab.open(street.url())
    met = []
    for _ in range(4):
        await tab.key("Tab")
        met.append(await tab.run("document.activeElement.textContent.trim() || document.activeElement.value"))
    assert met == ["Skip to the content", "acme", "Continue", "Cancel"]
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert await tab.run(outline) == "solid", "where the focus is can be seen"
    here = await tab.run("location.href")
    await tab.open(here)
    for name in ("Tab", "Tab", "Space", "Tab", "Enter"):
        await tab.key(name)
    await tab.until("document.querySelector('#awaiting')")
    assert await tab.run("location.href") == here
    for name in ("Tab", "Tab", "Space", "Tab", "Enter"):  # the optional scope is left out
        await tab.key(name)
    await tab.until("document.title === 'inside'")
    assert [line for line in street.asked if "/callback?code=" in line]
    async with street.world.engine() as engine:
        found = await engine.get("agent-app", account="acme", subject="carol")
        assert (await engine.history(found.id))[0].event == "agree"


async def test_what_a_screen_reader_hears(street: Street) -> None:
    tab, origin = street.tab, street.world.origin
    await street.sign_in("everything")
    form = await window_and_form(street)
    for url in (f"{origin}/marketplace", f"{origin}/marketplace/mail", f"{origin}/gallery/mail?account=acme", *form):
        await tab.open(url)
        heard = await tab.heard()
        roles = [role for role, _ in heard]
        assert roles.count("main") == 1, url
        controls = [one for one in heard if one[0] in {"button", "link", "radio", "checkbox", "navigation", "region"}]
        assert [one for one in controls if not one[1].strip()] == [], url
        buttons = [name for role, name in heard if role == "button"]
        assert len(buttons) == len(set(buttons)), "two buttons are not called alike"
        assert next(name for role, name in heard if role == "heading"), url


async def window_and_form(street: Street) -> list[str]:
    """The addresses of an open window and of an open form."""
    found = []
    for press in ((), ("Acme", "Continue")):
        await street.tab.open(street.url())
        for words in press:
            await street.tab.click(words)
        if press:
            await street.tab.until("document.querySelector('#awaiting')")
        found.append(str(await street.tab.run("location.href")))
    return found


async def test_the_pages_are_drawn_in_light_and_dark_and_fit_a_telephone(street: Street) -> None:
    tab = street.tab
    await street.sign_in("everything")
    form = await window_and_form(street)
    pages = ("/marketplace", "/marketplace/agent-app", "/marketplace/mail", "/gallery", "/gallery/agent-app")
    others = ("/apps/agent-app?account=acme", "/no-such-page", "/oauth/callback?state=x", street.url())
    seen = set()
    for dark in (False, True):
        for width in (320, 1200):
            await tab.see(width, 700, dark=dark)
            for url in (*pages, *others, *form):
                await tab.open(url if url.startswith("http") else street.world.origin + url)
                assert await tab.complaints() == [], (url, width, dark)
            seen.add(await tab.run("getComputedStyle(document.body).backgroundColor"))
    assert len(seen) == 2
