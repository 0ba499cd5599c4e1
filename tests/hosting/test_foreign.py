"""The way to a foreign server and back: bound to the browser, once, in time, and never to somewhere else."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from grantflow.testing import ForeignServer
from tests.hosting.browser import Browser
from tests.hosting.world import ORIGIN, YEAR, World, world_at

GONE = "This answer does not belong to a running authorization"


async def away(world: World, browser: Browser, place: str = "/apps/mail?account=acme") -> str:
    """Press AUTHORIZE; the query the foreign server sends the browser back with."""
    await browser.open(place)
    await browser.press(browser.page.buttons[0])
    assert browser.left.startswith("https://server.example/authorize?")
    assert browser.query["redirect_uri"] == f"{world.origin}{world.prefix}/oauth/callback"
    return world.foreign.back(browser.left)


@pytest.mark.parametrize("place", ["/apps/mail?account=acme", "/marketplace/mail", "/gallery/mail?account=acme"])
async def test_s05_s17_s18_s36_there_and_back_and_again(world: World, place: str) -> None:
    async with world.browser("bob") as bob:
        await bob.open("/oauth/callback?" + await away(world, bob, place))
        assert (bob.place, bob.url.partition("?")[2]) == ("/apps/mail", "account=acme"), "no code is left in sight"
        assert "connected to Acme and works" in bob.page.text
        async with world.engine() as engine:
            token = await engine.access_token("mail", account="acme", subject="bob")
        world.clock.advance(YEAR)
        await bob.open("/oauth/callback?" + await away(world, bob, "/gallery/mail?account=acme"))
        assert "works" in bob.page.text
        async with world.engine() as engine:
            assert (await engine.access_token("mail", account="acme", subject="bob")).value != token.value


async def test_what_does_not_belong_here_gets_a_page_and_changes_nothing(world: World) -> None:
    async with world.browser("bob") as bob, world.browser("bob") as other_browser:
        query = await away(world, bob)
        evil = urlencode({"next": "https://evil.example", "redirect_uri": "https://evil.example"})
        forged = [
            "",
            "state=guess&code=guess",
            "error=access_denied",
            "error=access_denied&state=guess",
            query.replace("server.example", "evil.example"),
            query + "&state=two",
            f"{evil}&state=x&code=y",
        ]
        for wrong in forged:
            with world.unchanged():
                page = await bob.open(f"/oauth/callback?{wrong}")
            assert (page.status, page.headings, bob.left) == (400, [GONE], "")
            assert "evil" not in page.html
        with world.unchanged():
            assert (await other_browser.open(f"/oauth/callback?{query}")).headings == [GONE]
            answer = await bob.http.post("/oauth/callback", data={"state": "x"})
            assert answer.status_code == 405
        await bob.open(f"/oauth/callback?{query}&{evil}")
        assert (bob.left, bob.place) == ("", "/apps/mail")
        with world.unchanged():
            assert (await bob.open(f"/oauth/callback?{query}")).headings == [GONE], "used"


async def test_too_late(world: World) -> None:
    async with world.browser("bob") as bob:
        query = await away(world, bob)
        world.clock.advance(timedelta(minutes=10))
        with world.unchanged():
            page = await bob.open(f"/oauth/callback?{query}")
        assert (page.status, page.headings) == (400, [GONE])
        assert "Start again from the app." in page.text


async def test_s12_s26_cancelled_over_there(world: World) -> None:
    async with world.browser("bob") as bob:
        await away(world, bob)
        page = await bob.open("/oauth/callback?" + world.foreign.back(bob.left, cancel=True))
        assert (page.status, page.headings) == (200, ["The authorization was cancelled"])
        assert "The mail app" in page.text
        assert "Nothing that worked before was changed." in page.text
        await bob.follow("Start again")
        assert bob.place == "/marketplace/mail"


async def test_refused_over_there(world: World) -> None:
    async with world.browser("bob") as bob:
        query = await away(world, bob)
        world.foreign.faults.append(ForeignServer.says(400, error="invalid_grant"))
        page = await bob.open(f"/oauth/callback?{query}")
        assert page.headings == ["The authorization did not succeed"]
        assert "Invalid_grant" in page.text


async def test_the_account_is_chosen_before_the_way(world: World) -> None:
    async with world.browser("bob") as bob:
        await bob.open("/marketplace/mail")
        assert bob.page.buttons == ["Authorize Acme", "Authorize Globex"]
        form = bob.page.forms[0]
        form.fields = [(name, value) for name, value in form.fields if name != "account"]
        with world.unchanged():
            page = await bob.press("Authorize Acme")
        assert (page.status, "Choose the account first" in page.text) == (400, True)


async def test_the_session_of_the_host_may_bind_the_browser(world: World) -> None:
    def session(request: Request) -> bytes:
        return request.cookies.get("session", "").encode().ljust(16, b".")

    world.hosted["binding"] = session
    async with world.browser("bob") as bob, world.browser("carol") as carol:
        query = await away(world, bob)
        assert set(bob.http.cookies) == {"session", "__Host-grantflow_form"}
        with world.unchanged():
            assert (await carol.open(f"/oauth/callback?{query}")).headings == [GONE]
        await bob.open(f"/oauth/callback?{query}")
        assert bob.place == "/apps/mail"


async def test_a_window_of_ours_is_not_for_such_an_app(world: World) -> None:
    async with world.browser("bob") as bob:
        await bob.open("/oauth/callback?" + await away(world, bob))
        world.clock.advance(YEAR)
        await away(world, bob)
        async with world.engine() as engine:
            found = await engine.get("mail", account="acme", subject="bob")
            attempt = (await engine.attempts(found.id))[0]
        with world.unchanged():
            page = await bob.open(f"/oauth/v2/authorize?attempt={attempt.id}")
        assert page.status == 409
        assert "authorized at its own server" in page.text
        assert ORIGIN not in page.html


async def test_under_a_path_of_the_platform(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = await world_at(tmp_path_factory.mktemp("prefix") / "grants.db", prefix="/connect")
    async with world.browser("bob") as bob:
        query = await away(world, bob, "/connect/apps/mail?account=acme")
        await bob.open("/connect/oauth/callback?" + query)
        assert bob.place == "/connect/apps/mail"
