"""The way to a foreign server and back: bound to the browser, once, in time, and never to somewhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from starlette.requests import Request

from grantflow import App, Granted, HttpRequest, HttpResponse
from grantflow.testing import ForeignServer
from tests.hosting.browser import Browser
from tests.hosting.raw import ask
from tests.hosting.world import ORIGIN, YEAR, World, world_at
from tests.journeys.stage import MARIA

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


async def test_s6_two_servers_are_never_mixed_up(world: World) -> None:
    """The answer of one server, dressed as the other's: it reaches neither token endpoint (RFC 9700 §4.4)."""
    evil = ForeignServer("https://evil.example")
    evil._made = 100  # its codes are other ones

    async def either(request: HttpRequest) -> HttpResponse:
        return await (evil if request.url.startswith("https://evil.example") else world.foreign)(request)

    world.opened["http"] = either
    async with world.engine() as engine:
        await engine.apps.register(evil.app("trap", redirect_uris=(f"{ORIGIN}/oauth/callback",)))
        await engine.apps.install("trap", "acme", actor=MARIA)
    async with world.browser("bob") as bob:
        await bob.open("/apps/trap?account=acme")
        await bob.press("Authorize")
        trapped = dict(parse_qsl(evil.back(bob.left)))
        honest = dict(parse_qsl(await away(world, bob)))
        mixed = [
            honest | {"iss": "https://evil.example"},
            {name: value for name, value in honest.items() if name != "iss"},
            trapped | {"code": honest["code"], "iss": "https://server.example"},
            trapped | {"iss": "https://server.example"},
        ]
        for query in mixed:
            with world.unchanged():
                page = await bob.open(f"/oauth/callback?{urlencode(query)}")
            assert (page.status, page.headings) == (400, [GONE])
        assert [one for one in (*evil.asked, *world.foreign.asked) if "code" in one] == [], "no code went anywhere"
        await bob.open(f"/oauth/callback?{urlencode(trapped | {'code': honest['code']})}")
        assert bob.page.headings == ["The authorization did not succeed"], "the honest code means nothing over there"
        await bob.open(f"/oauth/callback?{urlencode(honest)}")
        assert bob.place == "/apps/mail"


async def test_s6_somebody_else_signed_in_over_there(world: World) -> None:
    async def whose(app: App, granted: Granted) -> str:
        return world.foreign.person

    world.opened["identify"] = whose
    async with world.browser("bob") as bob:
        await bob.open("/oauth/callback?" + await away(world, bob))
        assert bob.place == "/apps/mail"
        world.clock.advance(YEAR)
        world.foreign.person = "somebody else"
        page = await bob.open("/oauth/callback?" + await away(world, bob, "/gallery/mail?account=acme"))
        assert (page.status, page.headings) == (200, ["Another identity signed in"])
        assert "sign in as the same person" in page.text
        await bob.open("/apps/mail?account=acme")
        assert bob.page.buttons == ["Reauthorize"], "it is as unauthorized as it was"
        world.foreign.person = "somebody"
        await bob.open("/oauth/callback?" + await away(world, bob, "/gallery/mail?account=acme"))
        assert "connected to Acme and works" in bob.page.text


async def test_behind_a_proxy_that_ends_tls_only_the_query_is_read(world: World) -> None:
    """What stands in Host, scheme and forwarding headers is another machine's business, or a lie."""
    seen: dict[str, Any] = {"scheme": "http", "host": "10.0.0.7:8080", "x_forwarded_host": "evil.example"}
    async with world.browser("bob") as bob:
        query = await away(world, bob)
        cookie = "; ".join(f"{name}={value}" for name, value in bob.http.cookies.items())
        with world.unchanged():
            answer = await ask(world, "GET", "/oauth/callback", query.encode(), **seen)
            assert (answer.status, GONE.encode() in answer.body) == (400, True), "without the cookie"
        answer = await ask(world, "GET", "/oauth/callback", query.encode(), cookie=cookie, **seen)
        assert (answer.status, answer.header("location")) == (303, "/apps/mail?account=acme")
        answer = await ask(world, "GET", "/gallery/mail", b"account=acme", cookie="session=bob", **seen)
        assert answer.status == 200
        assert {"Secure", "HttpOnly"} <= set(answer.header("set-cookie").split("; "))
        assert b"evil" not in answer.body
        assert b"10.0.0.7" not in answer.body
