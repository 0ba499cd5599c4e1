"""Three clients that others wrote, against the endpoints: code with PKCE, refresh, revocation, and every refusal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.hosting.clients import APP, AUTHORIZE, CLIENTS, REFUSALS, REVOKE, SCOPES, TOKEN, Authlib, Client
from tests.hosting.world import CALLBACK, ORIGIN, World


@pytest.fixture(params=sorted(CLIENTS))
def client(request: pytest.FixtureRequest, world: World) -> Client:
    return CLIENTS[request.param](world)


async def back(world: World, url: str, button: str = "Agree") -> str:
    """A person agrees, or does not; the address the app is called at."""
    async with world.browser("solo") as solo:
        await solo.open(url)
        if not solo.left:
            await solo.press(button)
        return solo.left


async def refused(call: Any) -> str:
    """The code a client reads out of a refusal."""
    with pytest.raises(REFUSALS) as error:
        await call
    code: str = error.value.error
    return code


async def test_each_walks_the_whole_way(world: World, client: Client) -> None:
    answer = await back(world, client.begin())
    token = await client.fetch(answer)
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 1800)
    assert await client.call() == 200
    again = await client.refresh(token["refresh_token"])
    assert not {again["access_token"], again["refresh_token"]} & {token["access_token"], token["refresh_token"]}
    assert await client.call() == 200
    assert await client.revoke(again["refresh_token"]) == 200
    assert await client.call() == 401
    assert await refused(client.refresh(again["refresh_token"])) == "invalid_grant"


@pytest.mark.parametrize("changes", [{"verifier": "w" * 64}, {"redirect_uri": CALLBACK + "/"}], ids=str)
async def test_a_wrong_exchange_is_an_invalid_grant_and_burns_nothing(
    world: World, client: Client, changes: dict[str, str]
) -> None:
    answer = await back(world, client.begin())
    kept = verifier_of(client)
    with world.unchanged():
        assert await refused(client.fetch(answer, **changes)) == "invalid_grant"
    assert (await client.fetch(answer, verifier=kept))["token_type"] == "Bearer"


def verifier_of(client: Any) -> str:
    """The right one, wherever the client keeps it."""
    found: str = client.http._code_verifier if hasattr(client.http, "_code_verifier") else client.verifier
    return found


async def test_a_replayed_code_is_an_invalid_grant_and_ends_what_it_gave(world: World, client: Client) -> None:
    answer = await back(world, client.begin())
    token = await client.fetch(answer)
    assert await client.call() == 200
    assert await refused(client.fetch(answer)) == "invalid_grant"
    assert await client.call() == 401
    assert await refused(client.refresh(token["refresh_token"])) == "invalid_grant"


async def test_a_wider_scope_is_invalid_at_both_ends(world: World, client: Client) -> None:
    with world.unchanged():
        told = await back(world, client.begin(f"{SCOPES} admin"))
        assert await refused(client.fetch(told)) == "invalid_scope"
    token = await client.fetch(await back(world, client.begin()))
    with world.unchanged():
        assert await refused(client.refresh(token["refresh_token"], f"{SCOPES} admin")) == "invalid_scope"
    assert (await client.refresh(token["refresh_token"]))["scope"], "the token was not spent by the refusal"


async def test_a_reused_refresh_token_is_an_invalid_grant_and_ends_the_family(world: World, client: Client) -> None:
    token = await client.fetch(await back(world, client.begin()))
    fresh = await client.refresh(token["refresh_token"])
    assert await client.call() == 200
    assert await refused(client.refresh(token["refresh_token"])) == "invalid_grant"
    assert await client.call() == 401
    assert await refused(client.refresh(fresh["refresh_token"])) == "invalid_grant"


async def test_a_cancelled_authorization_is_an_access_denied(world: World, client: Client) -> None:
    told = await back(world, client.begin(), "Cancel")
    with world.unchanged():
        assert await refused(client.fetch(told)) == "access_denied"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_either_way_of_proving_a_client(world: World, method: str) -> None:
    client = Authlib(world, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method)
    token = await client.fetch(await back(world, client.begin()))
    token = await client.refresh(token["refresh_token"])
    assert await client.revoke(token["refresh_token"]) == 200
    assert await client.call() == 401


async def test_a_client_without_a_secret(world: World) -> None:
    async with world.engine() as engine:
        app = await engine.apps.get(APP)
        await engine.apps.register(replace(app, key="public", client_id="public", secret_hashes=()))
    none = {"token_endpoint_auth_method": "none", "revocation_endpoint_auth_method": "none"}
    client = Authlib(world, client_id="public", client_secret=None, **none)
    token = await client.fetch(await back(world, client.begin()))
    assert (await client.refresh(token["refresh_token"]))["refresh_token"] != token["refresh_token"]


async def test_the_metadata_leads_a_client_here(world: World) -> None:
    async with world.http() as http:
        found = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert found["issuer"] == ORIGIN
    assert (found["authorization_endpoint"], found["token_endpoint"]) == (AUTHORIZE, TOKEN)
    assert found["revocation_endpoint"] == REVOKE
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert found["response_types_supported"] == ["code"]
