"""Code by code: what the authorize, token and revocation endpoints refuse, and that nothing changes by it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from grantflow import KeyRing
from grantflow.testing import SECRET, sample_app
from tests.hosting.world import CALLBACK, ORIGIN, YEAR, World

APP = "external-app"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


# -- the authorize endpoint -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": "mail"},  # its tokens come from elsewhere
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?next=https://evil.example"},
        {"redirect_uri": CALLBACK.replace("https", "http")},
        {"redirect_uri": "https://app.example@evil.example/callback"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
@pytest.mark.parametrize("session", ["", "uma"])
async def test_never_redirected_to_an_address_that_is_not_registered(
    world: World, changes: dict[str, str | None], session: str
) -> None:
    async with world.browser(session) as browser:
        with world.unchanged():
            page = await browser.open(world.request_of(APP, **changes))
    assert (page.status, browser.left) == (400, "")
    assert "Nothing was changed." in page.text
    assert "evil" not in page.html


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_nor_by_a_parameter_that_comes_twice(world: World, name: str) -> None:
    async with world.browser("uma") as browser:
        for value in (CALLBACK, "https://evil.example"):
            page = await browser.open(world.request_of(APP) + f"&{urlencode({name: value})}")
            assert (page.status, browser.left) == (400, "")


@pytest.mark.parametrize(
    ("error", "changes", "more"),
    [
        ("invalid_request", {"response_type": None}, ""),
        ("unsupported_response_type", {"response_type": "token"}, ""),
        ("unsupported_response_type", {"response_type": "code token"}, ""),
        ("invalid_scope", {"scope": "tickets.read admin"}, ""),
        ("invalid_request", {"code_challenge": None}, ""),
        ("invalid_request", {"code_challenge": "short"}, ""),
        ("invalid_request", {"code_challenge_method": "plain"}, ""),
        ("invalid_request", {"code_challenge_method": None}, ""),
        ("invalid_request", {}, "&scope=a&scope=b"),
    ],
)
async def test_the_app_hears_what_is_wrong(
    world: World, error: str, changes: dict[str, str | None], more: str
) -> None:
    async with world.browser("uma") as browser:
        with world.unchanged():
            await browser.open(world.request_of(APP, **changes) + more)
        assert browser.left.startswith(CALLBACK + "?")
        told = browser.query
        assert (told["error"], told["state"], told["iss"]) == (error, "state-0-of-the-app", ORIGIN)


async def test_nobody_is_sent_back_with_an_error_who_has_not_signed_in(world: World) -> None:
    async with world.browser() as browser:
        page = await browser.open(world.request_of(APP, response_type="token"))
        assert (page.status, browser.left) == (401, "")
    world.hosted["sign_in_url"] = "https://login.example/?tenant=1"
    async with world.browser() as browser:
        url = world.request_of(APP)
        await browser.open(url)
        assert browser.left.startswith("https://login.example/?tenant=1&next=%2Foauth")
        assert browser.query["next"] == url, "the way back is a path of ours, with the whole request"
        await browser.open("/gallery")
        assert browser.query["next"] == "/gallery"


async def test_an_address_may_be_left_out_where_there_is_only_one(world: World) -> None:
    async with world.browser("solo") as solo:
        await solo.open(world.request_of(APP, redirect_uri=None))
        assert solo.page.buttons == ["Agree", "Cancel"]
        async with world.engine() as engine:
            uris = (CALLBACK, "https://app.example/two")
            await engine.apps.register(sample_app("external", "many", redirect_uris=uris))
        assert (await solo.open(world.request_of("many", redirect_uri=None))).status == 400


async def test_an_address_keeps_its_own_query(world: World) -> None:
    async with world.engine() as engine:
        await engine.apps.register(sample_app("external", "tenant", redirect_uris=(CALLBACK + "?tenant=7",)))
    async with world.browser("solo") as solo:
        await solo.open(world.request_of("tenant", redirect_uri=CALLBACK + "?tenant=7", response_type="x"))
        assert solo.query["tenant"] == "7"
        await solo.open(world.request_of("tenant", redirect_uri=CALLBACK + "?tenant=7"))
        await solo.press("Agree")
        assert set(solo.query) == {"tenant", "code", "state", "iss"}


async def test_without_keys_the_app_hears_that_the_server_cannot(world: World) -> None:
    world.opened["keys"] = KeyRing()
    async with world.browser("solo") as solo:
        await solo.open(world.request_of(APP))
        assert solo.query["error"] == "server_error"


async def test_looking_opens_nothing(world: World) -> None:
    async with world.http() as http:
        with world.unchanged():
            answer = await http.head(world.request_of(APP), headers={"Cookie": "session=solo"})
            assert (answer.status_code, answer.headers.get("location")) == (204, None)
            answer = await http.head("/oauth/callback?state=x&code=y")
            assert answer.status_code == 204


async def test_a_window_belongs_to_who_opened_it_and_ends(world: World) -> None:
    async with world.browser("uma") as uma, world.browser("solo") as solo:
        await uma.open(world.request_of(APP))
        with world.unchanged():
            assert (await solo.open(uma.url)).status == 404
            assert (await solo.open("/oauth/v2/authorize?attempt=guess")).status == 404
        await uma.press("Continue", account="acme")
        form = uma.page
        await uma.press("Agree")
        code = uma.query["code"]
        uma.page = form
        with world.unchanged():
            await uma.press("Agree")
        assert uma.page.status == 409
        assert (uma.left, "Reason" in uma.page.text, "The external app" in uma.page.text) == ("", True, True)
        assert code not in uma.page.html
        await uma.open(world.request_of(APP))
        world.clock.advance(YEAR)
        page = await uma.open(uma.url)
        assert (page.status, page.headings) == (409, ["The time for this authorization is over"])


async def test_only_the_accounts_of_the_window_can_be_chosen(world: World) -> None:
    async with world.browser("uma") as uma:
        await uma.open(world.request_of(APP))
        uma.page.forms[0].radios["account"].append(("hooli", True))
        with world.unchanged():
            page = await uma.press("Continue", account="hooli")
        assert (page.status, "not among the person's accounts" in page.text) == (409, True)


async def test_at_least_one_scope_is_left(world: World) -> None:
    async with world.browser("solo") as solo:
        await solo.open(world.request_of(APP, scope="people.read"))
        with world.unchanged():
            page = await solo.press("Agree", scope=[])
        assert (page.status, "No scope was left" in page.text) == (400, True)
        await solo.press("Agree")
        assert "code" in solo.query


# -- the token endpoint ---------------------------------------------------------------------------
async def coded(world: World) -> dict[str, str]:
    """A good token request."""
    async with world.browser("solo") as solo:
        await solo.open(world.request_of(APP))
        await solo.press("Agree")
        code, state = solo.query["code"], solo.query["state"]
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": world.verifiers[state],
    }


async def posted(world: World, form: Any, path: str = "token", **more: Any) -> httpx2.Response:
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    async with world.http() as http:
        return await http.post(f"/oauth/v2/{path}", content=body, **({"headers": FORM} | more))


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("invalid_grant", {"code": "gfc_guess"}),
        ("invalid_grant", {"redirect_uri": CALLBACK + "/"}),
        ("invalid_grant", {"redirect_uri": "https://evil.example"}),
        ("invalid_grant", {"code_verifier": "w" * 43}),
        ("invalid_grant", {"code_verifier": ""}),
        ("invalid_request", {"grant_type": ""}),
        ("invalid_request", {"code": ""}),
        ("unsupported_grant_type", {"grant_type": "password"}),
        ("unsupported_grant_type", {"grant_type": "client_credentials"}),
    ],
)
async def test_a_wrong_token_request_changes_nothing(world: World, error: str, changes: dict[str, str]) -> None:
    good = await coded(world)
    with world.unchanged():
        answer = await posted(world, good | changes, auth=(APP, SECRET))
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"
    assert good["code"] not in answer.text
    assert (await posted(world, good, auth=(APP, SECRET))).status_code == 200, "the code was not burnt"


async def test_a_client_proves_itself_in_one_way(world: World) -> None:
    good = await coded(world)
    cases: list[tuple[int, str, dict[str, Any], dict[str, str]]] = [
        (401, "invalid_client", {}, {}),
        (401, "invalid_client", {"auth": (APP, "wrong")}, {}),
        (401, "invalid_client", {"auth": ("nobody", SECRET)}, {}),
        (401, "invalid_client", {"auth": ("mail", SECRET)}, {}),
        (401, "invalid_client", {"headers": FORM | {"Authorization": "Basic %%%"}}, {}),
        (401, "invalid_client", {"headers": FORM | {"Authorization": "Bearer x"}}, {}),
        (401, "invalid_client", {}, {"client_id": APP}),
        (401, "invalid_client", {}, {"client_id": APP, "client_secret": "wrong"}),
        (400, "invalid_request", {"auth": (APP, SECRET)}, {"client_secret": SECRET}),
        (400, "invalid_request", {"auth": (APP, SECRET)}, {"client_id": "agent-app"}),
    ]
    with world.unchanged():
        for status, error, request, form in cases:
            answer = await posted(world, good | form, **request)
            assert (answer.status_code, answer.json()["error"]) == (status, error), (request, form)
            assert ("www-authenticate" in answer.headers) == (status == 401)
        stranger = await posted(world, good, auth=("agent-app", SECRET))
        assert stranger.json()["error"] == "invalid_grant", "another client's code"
    assert (await posted(world, good | {"client_id": APP, "client_secret": SECRET})).status_code == 200


async def test_a_form_is_a_form(world: World) -> None:
    good = await coded(world)
    body = urlencode(good).encode()
    bad: list[tuple[bytes, str]] = [
        (body, "application/json"),
        (body, "multipart/form-data; boundary=x"),
        (body + b"&code=x", "application/x-www-form-urlencoded"),
        (body + b"&grant_type=refresh_token", "application/x-www-form-urlencoded"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        (b"a=b&" * 300, "application/x-www-form-urlencoded"),
        (body + b"&pad=" + b"x" * 70_000, "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
    ]
    with world.unchanged():
        for content, kind in bad:
            answer = await posted(world, content, auth=(APP, SECRET), headers={"Content-Type": kind})
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        async with world.http() as http:
            assert (await http.get("/oauth/v2/token", params=good)).status_code == 405


async def test_a_refresh_cannot_widen_and_a_spent_one_ends_the_grant(world: World) -> None:
    first = (await posted(world, await coded(world), auth=(APP, SECRET))).json()
    form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    with world.unchanged():
        answer = await posted(world, form | {"scope": "tickets.read admin"}, auth=(APP, SECRET))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
        answer = await posted(world, form, auth=("agent-app", SECRET))
        assert answer.json()["error"] == "invalid_grant", "another client's token"
    second = await posted(world, form | {"scope": "tickets.read"}, auth=(APP, SECRET))
    assert (second.status_code, second.json()["scope"]) == (200, first["scope"])
    assert (await posted(world, form, auth=(APP, SECRET))).json()["error"] == "invalid_grant"
    assert (await world.call(second.json())).status_code == 401, "reuse is theft: the whole family is dead"


async def test_revocation(world: World) -> None:
    tokens = (await posted(world, await coded(world), auth=(APP, SECRET))).json()
    with world.unchanged():
        for form, auth, status in (
            ({"token": "unknown"}, (APP, SECRET), 200),
            ({"token": "unknown"}, (APP, "wrong"), 401),
            ({}, (APP, SECRET), 400),
            ({"token": tokens["refresh_token"]}, ("agent-app", SECRET), 400),
        ):
            assert (await posted(world, form, "revoke", auth=auth)).status_code == status
    await posted(world, {"token": tokens["access_token"]}, "revoke", auth=(APP, SECRET))
    assert (await world.call(tokens)).status_code == 401
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await posted(world, form, auth=(APP, SECRET))).status_code == 200, "an access token ends only itself"


# -- the guard of the REST API --------------------------------------------------------------------
async def test_the_guard_says_how_to_come(world: World) -> None:
    async with world.http() as http:
        for header, status, challenge in (
            ({}, 401, 'Bearer realm="api"'),
            ({"Authorization": "Basic eDp5"}, 401, 'Bearer realm="api"'),
            ({"Authorization": "Bearer guess"}, 401, 'Bearer realm="api", error="invalid_token"'),
            ({"Authorization": "Bearer "}, 401, 'Bearer realm="api", error="invalid_token"'),
        ):
            answer = await http.get("/api/tickets", headers=header)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (status, challenge)
            assert answer.headers["cache-control"] == "no-store"
        twice = httpx2.Headers([("Authorization", "Bearer a"), ("Authorization", "Bearer b")])
        assert (await http.get("/api/tickets", headers=twice)).status_code == 400


async def test_a_scope_too_few_is_another_refusal_than_a_dead_grant(world: World) -> None:
    async with world.browser("solo") as solo:
        await solo.open(world.request_of(APP, scope="people.read"))
        await solo.press("Agree")
        tokens = await world.redeem(APP, solo.query)
    answer = await world.call(tokens)
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="api", error="insufficient_scope", scope="tickets.read"'
    )
    async with world.engine() as engine:
        found = await engine.get(APP, account="acme", subject="solo")
        await engine.disconnect(found.id, actor=(await engine.attempts(found.id))[0].actor)
    answer = await world.call(tokens)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_token"
