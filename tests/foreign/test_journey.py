"""A person at a real server, and an app that works afterwards. Source: S-12, S-17, S-18; RFC 6749 §4.1, RFC 9207."""

from __future__ import annotations

from pathlib import Path

import pytest

from grantflow import ClientAuth
from grantflow.errors import BadCallback, BadInput, ConfigurationError
from tests.foreign.world import (
    CALLBACK,
    HOUR,
    OPERATOR,
    UNA,
    World,
    app_at,
    cookies,
    described,
    opened,
    params,
    with_params,
)
from tests.servers.control import RealServer

ODD_SECRET = "a b+c%2Fd:e/f&="


async def test_a_consent_becomes_an_access_token_that_the_api_takes(world: World) -> None:
    attempt = await world.leaves()
    query = await world.consents(attempt)
    assert params(query).keys() == {"code", "state"}
    done = await world.comes_back(attempt, query)
    assert (done.outcome, done.why, done.already) == ("completed", None, False)
    assert done.installation is not None
    assert (done.installation.state, done.installation.usable, done.installation.generation) == ("active", True, 1)
    assert done.installation.granted == ("read", "write")
    assert await world.calls(done.installation.id) == (200, world.person.sub)
    health = await world.engine.token_health(done.installation.id)
    assert health is not None
    assert (health.identity, health.renewable, health.failing) == (world.person.sub, True, None)
    assert world.live() == (1, 1)
    by_name = await world.engine.access_token(world.app.key, subject=UNA)
    assert by_name.installation == done.installation.id
    assert [record.event for record in await world.engine.history(done.installation.id)] == [
        "exchange_ok", "callback_ok", "authorize", "installed",
    ]  # fmt: skip
    assert await world.told() == ["installation.activated"]


async def test_what_goes_to_the_server_is_what_the_specifications_name(world: World) -> None:
    installation = await world.granted()
    world.advance(HOUR)
    await world.engine.access_token(installation)
    exchanged, renewed = world.server.requests("token")
    assert exchanged.params == ["code", "code_verifier", "grant_type", "redirect_uri"]
    assert renewed.params == ["grant_type", "refresh_token"], "never a scope"
    assert (exchanged.auth, renewed.auth) == ("basic", "basic")
    asked = world.server.requests("authorize")[0].params
    assert asked == [
        "client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "scope", "state",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "shown"),
    [(ClientAuth.BASIC, "basic"), (ClientAuth.POST, "body"), (ClientAuth.NONE, "none")],
)
@pytest.mark.parametrize("secret", ["", ODD_SECRET])
async def test_each_way_a_client_proves_itself(
    server: RealServer, tmp_path: Path, method: ClientAuth, shown: str, secret: str
) -> None:
    public = method is ClientAuth.NONE
    async with opened(server, tmp_path, public=public, secret=secret, at={"method": method}) as world:
        installation = await world.granted()
        world.advance(HOUR)
        assert (await world.engine.access_token(installation)).generation == 2
        assert await world.calls(installation) == (200, world.person.sub)
        assert {seen.auth for seen in server.requests("token")} == {shown}
        await world.engine.disconnect(installation, actor=UNA)
        await world.given_back()
        assert world.revocations() == [("refresh_token", "revoked", 0)]
        assert {seen.auth for seen in server.requests("revocation")} == {shown}
        assert world.live() == (0, 0)


async def test_a_public_client_has_no_secret_to_add(server: RealServer, tmp_path: Path) -> None:
    async with opened(server, tmp_path, public=True) as world:
        with pytest.raises(ConfigurationError, match="public client"):
            await world.engine.apps.add_secret(world.app.key, "x", actor=OPERATOR)


async def test_a_client_without_pkce_where_the_server_leaves_it_to_the_client(
    server: RealServer, tmp_path: Path
) -> None:
    server.set(PKCE_REQUIRED=False)
    async with opened(server, tmp_path, at={"pkce": False}) as world:
        assert await world.calls(await world.granted()) == (200, world.person.sub)
        assert "code_verifier" not in server.requests("token")[0].params
        assert "code_challenge" not in server.requests("authorize")[0].params


@pytest.mark.parametrize("iss", [False, True])
async def test_an_app_described_by_its_servers_own_metadata(server: RealServer, tmp_path: Path, iss: bool) -> None:
    server.set(AUTHORIZATION_RESPONSE_ISS=iss)
    async with opened(server, tmp_path) as world:
        found = await world.engine.apps.discover(server.issuer)
        assert found == described(server, ClientAuth.BASIC, sends_iss=iss)
        client = server.app([CALLBACK])
        world.app = await world.engine.apps.register(app_at(found, client, "discovered"))
        world.client = client
        attempt = await world.leaves()
        query = await world.consents(attempt)
        assert params(query).get("iss") == (server.issuer if iss else None)
        done = await world.comes_back(attempt, query)
        assert done.installation is not None
        assert await world.calls(done.installation.id) == (200, world.person.sub)


async def test_metadata_of_another_issuer_is_not_taken(world: World) -> None:
    for elsewhere in (world.server.issuer + "/", world.server.origin.replace("127.0.0.1", "localhost")):
        with pytest.raises(ConfigurationError):
            await world.engine.apps.discover(elsewhere)


async def test_a_server_that_announces_iss_must_send_it(server: RealServer, tmp_path: Path) -> None:
    async with opened(server, tmp_path, at={"sends_iss": True}) as world:
        attempt = await world.leaves()
        query, before = await world.consents(attempt), world.checksum()
        assert "iss" not in params(query)
        with pytest.raises(BadCallback) as refused:
            await world.comes_back(attempt, query)
        assert (refused.value.why, world.checksum() == before) == ("issuer", True)
        assert server.counters().redemptions() == {}
        server.set(AUTHORIZATION_RESPONSE_ISS=True)
        attempt = await world.leaves()
        done = await world.comes_back(attempt, await world.consents(attempt))
        assert done.outcome == "completed"


async def test_iss_is_checked_where_it_was_not_announced(server: RealServer, tmp_path: Path) -> None:
    server.set(AUTHORIZATION_RESPONSE_ISS=True)
    async with opened(server, tmp_path) as world:
        attempt = await world.leaves()
        query = await world.consents(attempt)
        with pytest.raises(BadCallback):
            await world.comes_back(attempt, with_params(query, iss="https://attacker.example"))
        assert (await world.comes_back(attempt, query)).outcome == "completed"


async def test_a_cancellation_may_leave_iss_out_but_not_name_another(server: RealServer, tmp_path: Path) -> None:
    """RFC 9207 §2 asks it of error responses too; django-oauth-toolkit leaves it out of them."""
    server.set(AUTHORIZATION_RESPONSE_ISS=True)
    async with opened(server, tmp_path, at={"sends_iss": True}) as world:
        attempt = await world.leaves()
        query = await world.consents(attempt, allow=False)
        assert params(query).get("iss") == (None if server.kind == "dot" else server.issuer)
        before = world.checksum()
        with pytest.raises(BadCallback):
            await world.comes_back(attempt, with_params(query, iss="https://attacker.example"))
        assert world.checksum() == before
        assert (await world.comes_back(attempt, query)).outcome == "cancelled"


async def test_without_identify_nobodys_identity_is_claimed(server: RealServer, tmp_path: Path) -> None:
    async with opened(server, tmp_path, identified=False) as world:
        installation = await world.granted()
        health = await world.engine.token_health(installation)
        assert health is not None
        assert health.identity is None
        assert server.requests("api") == []


async def test_where_nobody_can_say_whose_grant_it_is_nothing_is_stored(world: World) -> None:
    world.server.fault("unavailable", endpoint="api")
    done = await world.grant()
    assert (done.outcome, done.why) == ("failed", "identity-unavailable")
    assert done.installation is not None
    assert await world.seen(done.installation.id) == ("unauthorized", None)
    await world.given_back()
    assert (world.revocations(), world.live()) == ([("refresh_token", "revoked", 0)], (0, 0))


async def test_a_browser_is_bound_by_the_hosts_own_session_too(world: World) -> None:
    session = b"0123456789abcdef"
    attempt = await world.leaves(binding=session)
    assert attempt.cookie is None
    query = await world.consents(attempt)
    with pytest.raises(BadCallback):
        await world.engine.complete(query, binding=b"fedcba9876543210")
    assert (await world.engine.complete(query, binding=session)).outcome == "completed"


@pytest.mark.parametrize("installed", [True, False])
async def test_of_two_tabs_the_first_that_comes_back_supersedes_the_other(world: World, installed: bool) -> None:
    if installed:
        await world.engine.install(world.app.key, account="acme", actor=UNA)
    first, second = await world.leaves(), await world.leaves()
    both = cookies(first) | cookies(second)
    assert len(both) == 2
    queries = [await world.consents(attempt) for attempt in (first, second)]
    done = await world.engine.complete(queries[1], cookies=both)
    assert (done.outcome, done.already) == ("completed", False)
    again = await world.engine.complete(queries[0], cookies=both)
    assert (again.outcome, again.already, again.installation) == ("completed", True, done.installation)
    assert world.server.counters().redemptions() == {"ok": 1}, "the other code was not sent"


async def test_only_one_installation_answers_to_an_app_and_a_person(world: World) -> None:
    for account in ("acme", "bolt"):
        await world.granted(account)
    with pytest.raises(BadInput, match="several accounts"):
        await world.engine.access_token(world.app.key, subject=UNA)
    token = await world.engine.access_token(world.app.key, subject=UNA, account="bolt")
    assert (await world.engine.get(token.installation)).account == "bolt"
    assert "bolt" not in repr(token)
