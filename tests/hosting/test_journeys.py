"""The requirements as a person sees them, S-01 … S-37: the server dies between every two requests."""

from __future__ import annotations

import pytest

from grantflow.testing import SECRET, sample_app
from tests.hosting.world import CALLBACK, ORIGIN, YEAR, World

AGENT, ACCOUNT, EXTERNAL = "agent-app", "account-app", "external-app"


async def test_s01_s02_s03_an_admin_installs_for_everybody_and_opens_the_switch(world: World) -> None:
    async with world.browser("max") as max_:
        await max_.open("/marketplace")
        await max_.follow("The account app")
        assert "Not authorized" in max_.page.text
        await max_.press("Authorize Acme")
        await world.started(max_, ACCOUNT)
        await max_.press("Continue")
        await max_.press("Agree")
        tokens = await world.redeem(ACCOUNT, max_.query)
        assert (await world.call(tokens)).json() == {"account": "acme"}

        async with world.browser("bob") as bob:
            await bob.open("/apps/account-app?account=acme")
            assert "not available to you. Ask an admin of Acme" in bob.page.text
            assert bob.page.buttons == []
            told = (await bob.http.get("/apps/account-app/prompt?account=acme")).json()
            assert (told["can_use"], told["message"]) == (False, bob.page.text.partition("Made for tests. ")[2])

            await max_.open("/gallery?account=acme")
            await max_.follow("The account app")
            assert "Agents cannot use this app yet." in max_.page.text
            await max_.press("Make available")
            assert "Agents can use this app." in max_.page.text

            await bob.open("/apps/account-app?account=acme")
            assert "connected to Acme and works" in bob.page.text
            await bob.open("/gallery/account-app?account=acme")
            assert bob.page.buttons == [], "the switch is an admin's"
    assert world.starts > 15, "each request had a server of its own"


async def test_s01_otherwise_an_agent_is_told_who_can(world: World) -> None:
    async with world.browser("bob") as bob:
        await bob.open("/marketplace/account-app")
        assert bob.page.buttons == []
        assert "Ask an admin of the account to authorize it: the marketplace." in bob.page.text
        with world.unchanged():
            await bob.open(world.request_of(ACCOUNT))
        assert bob.page.status == 403
        assert "Only an admin of the account may do this" in bob.page.text
        assert "The account app" in bob.page.text
        assert "an admin of the account" in bob.page.text


async def test_s04_s05_s06_s07_authorize_from_the_front_end_and_from_the_marketplace(world: World) -> None:
    async with world.browser("bob") as bob:
        await bob.open("/apps/agent-app?account=acme")
        assert bob.page.buttons == ["Authorize"]
        assert "is not authorized yet" in bob.page.text
        await bob.press("Authorize")
        await world.started(bob, AGENT)
        assert bob.place == "/oauth/v2/authorize"
        assert bob.page.headings[0] == "Authorize The agent app"

        await bob.open("/marketplace/agent-app")
        await bob.press("Authorize Globex")
        await world.started(bob, AGENT)
        assert bob.page.headings[0] == "Authorize The agent app"


async def test_s08_s09_s11_the_window_shows_the_app_and_every_account_of_an_agent(world: World) -> None:
    async with world.browser("bob") as bob:
        await bob.open(world.request_of(AGENT))
        assert "Made for tests." in bob.page.text
        assert bob.page.forms[0].radios == {"account": [("acme", True), ("globex", True)]}
        assert bob.page.forms[0].fields[-1][0] == "attempt", "nothing is chosen for them"
        await bob.press("Continue", account="globex")
        assert bob.page.headings == ["The agent app asks for permission", "Awaiting your approval"]
        assert "Globex" in bob.page.text
        assert "You go back to app.example afterwards." in bob.page.text
    async with world.browser("carol") as carol:
        await carol.open(world.request_of(AGENT))
        assert ("account", "acme") in carol.page.forms[0].fields, "one account is preselected"


async def test_s09_s10_with_no_account_the_window_says_so(world: World) -> None:
    for app in (AGENT, ACCOUNT):
        async with world.browser("nobody") as nobody:
            await nobody.open(world.request_of(app))
            with world.unchanged():
                await nobody.open(nobody.url)
            assert "No account to choose" in nobody.page.text
            assert nobody.page.buttons == ["Cancel"]
            await nobody.press("Cancel")
            assert nobody.query["error"] == "access_denied"


async def test_s10_an_admin_sees_the_accounts_they_administer(world: World) -> None:
    async with world.browser("maria") as maria:
        await maria.open(world.request_of(ACCOUNT))
        assert maria.page.forms[0].radios == {"account": [("acme", True), ("globex", True)]}, "initech is an agent's"
        await maria.open(world.request_of(AGENT))
        assert [value for value, _ in maria.page.forms[0].radios["account"]] == ["initech"]
        assert "ask an admin to install it" in maria.page.text


async def test_s05_an_admin_puts_an_agent_level_app_on_an_account(world: World) -> None:
    async with world.engine() as engine:
        await engine.apps.register(sample_app("agent", "notes"))
    async with world.browser("max") as max_, world.browser("carol") as carol:
        await carol.open("/marketplace/notes")
        assert "Not installed" in carol.page.text
        assert carol.page.buttons == []
        await max_.open("/marketplace/notes")
        await max_.press("Install on Acme")
        assert max_.place == "/marketplace/notes"
        await carol.open("/apps/notes?account=acme")
        assert carol.page.buttons == ["Authorize"]


async def test_s12_cancel_on_the_window_and_on_the_form(world: World) -> None:
    async with world.browser("bob") as bob:
        await bob.open(world.request_of(AGENT))
        await bob.press("Cancel")
        assert bob.query == {"error": "access_denied", "state": "state-0-of-the-app", "iss": ORIGIN}
        await bob.open(world.request_of(AGENT))
        await bob.press("Continue", account="acme")
        await bob.press("Cancel")
        assert bob.query["error"] == "access_denied"
        assert "code" not in bob.query
        await bob.open("/apps/agent-app?account=acme")
        assert bob.page.buttons == ["Authorize"]
        await bob.open(bob.url)


async def test_s13_s14_s15_s16_the_form_shows_the_request_in_two_groups(world: World) -> None:
    await world.connected(AGENT, "bob")
    async with world.browser("bob") as bob:
        await bob.open(world.request_of(AGENT, scope="tickets.read tickets.write"))
        await bob.press("Continue", account="acme")
        assert bob.page.headings[1:] == ["Already approved", "Awaiting your approval"]
        assert "Nothing new is asked for." in bob.page.text
        assert bob.page.text.count("tickets.read") == 1
        assert "people.read" not in bob.page.text
    async with world.browser("carol") as carol:
        await carol.open(world.request_of(AGENT))
        await carol.press("Continue")
        assert carol.page.headings[1:] == ["Awaiting your approval"]
        assert [carol.page.text.count(name) for name in ("tickets.read", "tickets.write", "people.read")] == [1, 1, 1]


async def test_s17_s18_agree_leads_back_and_the_app_works(world: World) -> None:
    async with world.browser("bob") as bob:
        await bob.open(world.request_of(AGENT))
        await bob.press("Continue", account="acme")
        await bob.press("Agree", scope=[])
        assert bob.left.startswith(f"{CALLBACK}?code=")
        tokens = await world.redeem(AGENT, bob.query)
        assert tokens["scope"] == "tickets.read tickets.write", "the optional one was unchecked"
        assert (await world.call(tokens)).status_code == 200
        await bob.open("/apps/agent-app?account=acme")
        assert "connected to Acme and works" in bob.page.text


async def test_s27_s28_the_app_takes_the_code_from_the_response_url_and_calls_with_what_it_brings(
    world: World,
) -> None:
    async with world.browser("uma") as uma:
        await uma.open(world.request_of(EXTERNAL))
        await uma.press("Continue", account="acme")
        await uma.press("Agree")
        assert uma.left.partition("?")[0] == CALLBACK
        assert set(uma.query) == {"code", "state", "iss"}, "and nothing else"
        assert (uma.query["state"], uma.query["iss"]) == ("state-0-of-the-app", ORIGIN)
        with world.unchanged():
            assert (await world.call({"access_token": uma.query["code"]})).status_code == 401, "a code is no token"
        tokens = await world.redeem(EXTERNAL, uma.query)
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (await world.call(tokens)).json() == {"account": "acme"}


async def test_s19_s20_s21_s23_s24_s25_an_external_app(world: World) -> None:
    async with world.browser("uma") as uma:
        await uma.open(world.request_of(EXTERNAL, scope="tickets.read"))
        assert uma.page.buttons == ["Continue", "Cancel"]
        await uma.press("Continue", account="globex")
        assert uma.page.text.count("tickets.read") == 1
        await uma.press("Agree")
        assert uma.left.startswith(CALLBACK + "?")
        tokens = await world.redeem(EXTERNAL, uma.query)
        assert (await world.call(tokens)).json() == {"account": "globex"}


async def test_s22_a_user_with_one_account_sees_the_form_at_once(world: World) -> None:
    async with world.browser("solo") as solo:
        await solo.open(world.request_of(EXTERNAL))
        assert solo.page.buttons == ["Agree", "Cancel"]
        assert "Acme" in solo.page.text


async def test_s11_s21_the_account_an_app_asks_for_is_preselected_and_no_more(world: World) -> None:
    async with world.browser("bob") as bob:
        await bob.open(world.request_of(AGENT, account="globex"))
        assert bob.page.forms[0].radios == {"account": [("acme", True), ("globex", True)]}, "both can be chosen still"
        assert ("account", "globex") in bob.page.forms[0].fields
        await bob.press("Continue", account="acme")
        assert "Acme" in bob.page.text
        assert "cannot be chosen here" not in bob.page.text
        await bob.press("Agree")
        await world.redeem(AGENT, bob.query)
        for foreign in ("hooli", "initech"):
            await bob.open(world.request_of(AGENT, account=foreign))
            assert "The agent app asked for an account that cannot be chosen here." in bob.page.text
            assert not [one for one in bob.page.forms[0].fields if one[0] == "account"], "nothing is chosen for them"
            assert (foreign in bob.page.html.partition("</head>")[2], bob.page.buttons) == (
                False,
                ["Continue", "Cancel"],
            )
    async with world.browser("uma") as uma:
        await uma.open(world.request_of(EXTERNAL, account="acme"))
        assert ("account", "acme") in uma.page.forms[0].fields, "the window is never skipped"
        assert uma.page.buttons == ["Continue", "Cancel"]
    async with world.browser("max") as max_:
        await max_.open(world.request_of(ACCOUNT, account="globex"))
        assert (max_.page.status, "Only an admin of the account" in max_.page.text) == (403, True)


async def test_s22_the_only_account_is_not_the_one_the_app_asked_for(world: World) -> None:
    async with world.browser("solo") as solo:
        await solo.open(world.request_of(EXTERNAL, account="globex"))
        assert "asked for an account that cannot be chosen here" in solo.page.text
        assert (solo.page.buttons, "Acme" in solo.page.text) == (["Agree", "Cancel"], True)
        await solo.open(world.request_of(EXTERNAL, account="acme"))
        assert "cannot be chosen" not in solo.page.text


async def test_s26_refusing_leaves_the_app_unauthorized(world: World) -> None:
    async with world.browser("solo") as solo:
        await solo.open(world.request_of(EXTERNAL))
        await solo.press("Cancel")
        assert solo.query["error"] == "access_denied"
    async with world.engine() as engine:
        found = await engine.get(EXTERNAL, account="acme", subject="solo")
        assert (found.state, (await engine.history(found.id))[0].event) == ("unauthorized", "refuse")


@pytest.mark.parametrize("swept", [False, True], ids=["at the endpoint", "after the sweep"])
async def test_s29_s30_s31_after_a_year_nothing_works_and_everybody_is_told(world: World, swept: bool) -> None:
    tokens = await world.connected(AGENT, "bob")
    world.clock.advance(YEAR - world.clock.now().resolution)
    assert (await world.call(tokens)).status_code == 401, "the access token lives for minutes"
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    renewed = await world.token(AGENT, **form)
    assert renewed.status_code == 200, "not early"
    tokens |= renewed.json()
    world.clock.advance(world.clock.now().resolution)
    if swept:
        async with world.engine() as engine:
            assert (await engine.sweep()).moved == 1
            assert (await engine.get(AGENT, account="acme", subject="bob")).state == "refresh-expired"
    refused = await world.token(AGENT, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert refused.json()["guidance"]["prompt"] == "REAUTHORIZE"
    answer = await world.call(tokens)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="api", error="invalid_token"'
    assert answer.json()["guidance"]["prompt"] == "REAUTHORIZE"


async def test_s32_s33_an_admin_reauthorizes_from_the_gallery(world: World) -> None:
    old = await world.connected(ACCOUNT, "max")
    world.clock.advance(YEAR)
    async with world.browser("bob") as bob:
        await bob.open("/gallery/account-app?account=acme")
        told = "Ask an admin of the account to reauthorize it: App Gallery → the app → Settings > Reauthorize."
        assert told in bob.page.text
        assert bob.page.buttons == []
    async with world.browser("max") as max_:
        await max_.open("/gallery?account=acme")
        assert "Authorization ended" in max_.page.text
        await max_.follow("The account app")
        assert "Settings" in max_.page.headings
        await max_.press("Reauthorize")
        await world.started(max_, ACCOUNT)
        await max_.press("Continue", account="acme")
        await max_.press("Agree")
        new = await world.redeem(ACCOUNT, max_.query)
    assert new["access_token"] != old["access_token"]


async def test_s34_s35_s36_s37_an_agent_reauthorizes_from_the_front_end_and_the_gallery(world: World) -> None:
    for place in ("/apps/agent-app?account=acme", "/gallery/agent-app?account=acme"):
        old = await world.connected(AGENT, "bob")
        world.clock.advance(YEAR)
        async with world.browser("bob") as bob:
            prompt = (await bob.http.get("/apps/agent-app/prompt?account=acme")).json()
            assert (prompt["prompt"], prompt["label"], prompt["may_act"]) == ("REAUTHORIZE", "Reauthorize", True)
            await bob.open(place)
            assert bob.page.buttons == ["Reauthorize"]
            await bob.press("Reauthorize")
            await world.started(bob, AGENT)
            assert [on for _, on in bob.page.forms[0].radios["account"]] == [True, False], "only its own account"
            await bob.press("Continue", account="acme")
            assert "Already approved" in bob.page.headings
            await bob.press("Agree")
            new = await world.redeem(AGENT, bob.query)
        assert not {new["access_token"], new["refresh_token"]} & {old["access_token"], old["refresh_token"]}
        world.clock.advance(YEAR - world.clock.now().resolution)
        renewed = await world.token(AGENT, grant_type="refresh_token", refresh_token=new["refresh_token"])
        assert renewed.status_code == 200, "the 365 days began again"
        async with world.http() as http:
            form = {"token": renewed.json()["refresh_token"]}
            assert (await http.post("/oauth/v2/revoke", data=form, auth=(AGENT, SECRET))).status_code == 200
        assert (await world.call(renewed.json())).status_code == 401


async def test_a_journey_under_a_path_of_the_platform(world: World) -> None:
    world.prefix = "/connect"
    async with world.browser("bob") as bob:
        await bob.open(world.request_of(AGENT))
        assert bob.place == "/connect/oauth/v2/authorize"
        await bob.press("Continue", account="acme")
        await bob.press("Agree")
        assert (await world.call(await world.redeem(AGENT, bob.query))).status_code == 200
        await bob.open("/connect/gallery")
        await bob.follow("The agent app")
        assert bob.place == "/connect/gallery/agent-app"
