"""Two clients that others wrote, against the endpoints: code with PKCE, refresh, revocation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError  # type: ignore[import-untyped]
from oauthlib.oauth2 import WebApplicationClient  # type: ignore[import-untyped]
from oauthlib.oauth2.rfc6749.errors import InvalidGrantError  # type: ignore[import-untyped]

from grantflow.testing import SECRET
from tests.hosting.world import CALLBACK, ORIGIN, World

APP, SCOPES = "external-app", "tickets.read tickets.write"
AUTHORIZE, TOKEN, REVOKE = (f"{ORIGIN}/oauth/v2/{name}" for name in ("authorize", "token", "revoke"))


def authlib(world: World, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "client_id": APP,
        "client_secret": SECRET,
        "redirect_uri": CALLBACK,
        "scope": SCOPES,
        "code_challenge_method": "S256",
        "transport": httpx2.ASGITransport(world),
    }
    return AsyncOAuth2Client(**(values | changes))


async def back(world: World, url: str) -> str:
    """A person agrees; the address the app is called at."""
    async with world.browser("solo") as solo:
        await solo.open(url)
        await solo.press("Agree")
        return solo.left


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_authlib_walks_the_whole_way(world: World, method: str) -> None:
    async with authlib(world, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method) as client:
        verifier = "v" * 64
        url, state = client.create_authorization_url(AUTHORIZE, code_verifier=verifier)
        answer = await back(world, url)
        token = await client.fetch_token(TOKEN, authorization_response=answer, state=state, code_verifier=verifier)
        assert (token["token_type"], token["scope"]) == ("Bearer", SCOPES)
        assert token["expires_in"] == 1800
        assert (await client.get(f"{ORIGIN}/api/tickets")).json() == {"account": "acme"}

        again = await client.refresh_token(TOKEN)
        assert again["refresh_token"] != token["refresh_token"]
        assert (await client.get(f"{ORIGIN}/api/tickets")).status_code == 200

        with pytest.raises(OAuthError, match="invalid_grant"):  # the code a second time ends the grant it made
            await authlib(world).fetch_token(
                TOKEN, authorization_response=answer, state=state, code_verifier=verifier
            )
        assert (await client.get(f"{ORIGIN}/api/tickets")).status_code == 401


async def test_authlib_gives_its_token_back(world: World) -> None:
    async with authlib(world) as client:
        url, state = client.create_authorization_url(AUTHORIZE, code_verifier="v" * 64)
        answer = await back(world, url)
        token = await client.fetch_token(TOKEN, authorization_response=answer, state=state, code_verifier="v" * 64)
        done = await client.revoke_token(REVOKE, token=token["refresh_token"], token_type_hint="refresh_token")
        assert (done.status_code, done.text) == (200, "")
        assert (await client.get(f"{ORIGIN}/api/tickets")).status_code == 401
        with pytest.raises(OAuthError, match="invalid_grant"):
            await client.refresh_token(TOKEN, refresh_token=token["refresh_token"])


async def test_authlib_without_a_secret(world: World) -> None:
    async with world.engine() as engine:
        app = await engine.apps.get(APP)
        await engine.apps.register(replace(app, key="public", client_id="public", secret_hashes=()))
    async with authlib(world, client_id="public", client_secret=None, token_endpoint_auth_method="none") as client:
        url, state = client.create_authorization_url(AUTHORIZE, code_verifier="v" * 64)
        answer = await back(world, url)
        await client.fetch_token(TOKEN, authorization_response=answer, state=state, code_verifier="v" * 64)
        old = client.token["refresh_token"]
        await client.refresh_token(TOKEN)
        assert client.token["refresh_token"] != old


async def test_oauthlib_reads_every_answer(world: World) -> None:
    client = WebApplicationClient(APP)
    verifier = client.create_code_verifier(64)
    challenge = client.create_code_challenge(verifier, "S256")
    url = client.prepare_request_uri(
        AUTHORIZE, CALLBACK, SCOPES.split(), "the state", code_challenge=challenge, code_challenge_method="S256"
    )
    answer = await back(world, url)
    told = client.parse_request_uri_response(answer, state="the state")
    assert (told["state"], told["iss"]) == ("the state", ORIGIN)

    async def post(body: str) -> httpx2.Response:
        async with world.http() as http:
            return await http.post("/oauth/v2/token", data=dict(parse_qsl(body)), auth=(APP, SECRET))

    body = client.prepare_request_body(code=told["code"], redirect_uri=CALLBACK, code_verifier=verifier)
    first = client.parse_request_body_response((await post(body)).text, SCOPES.split())
    body = client.prepare_refresh_body(refresh_token=first["refresh_token"], scope=SCOPES.split())
    second = client.parse_request_body_response((await post(body)).text, SCOPES.split())
    assert second["access_token"] != first["access_token"]
    with pytest.raises(InvalidGrantError):  # a spent refresh token ends the grant
        client.parse_request_body_response((await post(body)).text)
    assert (await world.call(second)).status_code == 401
    refused = await back_with_cancel(world, url)
    with pytest.raises(Exception, match="access_denied"):
        client.parse_request_uri_response(refused, state="the state")


async def back_with_cancel(world: World, url: str) -> str:
    async with world.browser("solo") as solo:
        await solo.open(url)
        await solo.press("Cancel")
        return solo.left


async def test_the_metadata_leads_a_client_here(world: World) -> None:
    async with world.http() as http:
        found = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert found["issuer"] == ORIGIN
    assert (found["authorization_endpoint"], found["token_endpoint"]) == (AUTHORIZE, TOKEN)
    assert found["revocation_endpoint"] == REVOKE
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert found["response_types_supported"] == ["code"]
