"""An answer is lost after the server has rotated: the token that works is used, one more request, then the truth.

Source: S-30, S-31; LIFECYCLE §3b, §7.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from grantflow.errors import ReauthorizationRequired, TokenUnavailable
from tests.foreign.world import HOUR, MINUTE, World, me, opened
from tests.servers.control import FaultKind, RealServer

NOTHING_ELSE = ["exchange_ok", "callback_ok", "authorize", "installed"]


async def events(world: World, installation: str) -> list[str]:
    return [record.event for record in await world.engine.history(installation)]


@pytest.mark.parametrize("kind", ["lost", "cut"])
async def test_with_reuse_protection_the_grant_is_lost_and_says_so(world: World, kind: FaultKind) -> None:
    world.server.set(REFRESH_TOKEN_REUSE_PROTECTION=True, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=0)
    installation = await world.granted()
    old = await world.engine.access_token(installation)
    world.advance(56 * MINUTE)
    world.server.fault(kind, grant="refresh_token")
    for _ in range(3):
        token = await world.engine.access_token(installation)
        assert (token.value, token.generation) == (old.value, 1), "what works is used while it works"
    assert world.refreshes() == {f"ok, {kind}": 1}, "and nobody asks meanwhile"
    health = await world.engine.token_health(installation)
    assert health is not None
    assert (health.failing, health.failures, health.refresh_at) == ("no_answer", 1, old.expires_at)
    assert health.unanswered_since == world.engine.now()
    assert (await world.engine.renew_due()).failed == 0
    assert await events(world, installation) == NOTHING_ELSE
    world.advance(4 * MINUTE)
    with pytest.raises(ReauthorizationRequired):
        await world.engine.access_token(installation)
    assert await world.seen(installation) == ("refresh-expired", "rotation-lost")
    for _ in range(3):
        with pytest.raises(ReauthorizationRequired):
            await world.engine.access_token(installation)
    world.advance(HOUR)
    await world.engine.renew_due()
    assert world.refreshes() == {f"ok, {kind}": 1, "invalid_grant": 1}, "one retry, and never again"
    assert await events(world, installation) == ["refresh_dead", *NOTHING_ELSE]
    assert await world.told() == ["installation.activated", "refresh.failed", "installation.expired"]
    assert await world.engine.ops.incidents() == []
    back = await world.engine.reauthorize(installation, actor=world.actor)
    done = await world.comes_back(back, await world.consents(back))
    assert (done.outcome, await world.seen(installation)) == ("completed", ("active", None))
    assert await world.calls(installation) == (200, world.person.sub)


@pytest.mark.parametrize("kind", ["lost", "cut"])
async def test_in_the_servers_grace_the_retry_saves_the_grant(world: World, kind: FaultKind) -> None:
    world.server.set(REFRESH_TOKEN_REUSE_PROTECTION=True, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=600)
    installation = await world.granted()
    world.advance(56 * MINUTE)
    world.server.fault(kind, grant="refresh_token")
    assert (await world.engine.access_token(installation)).generation == 1
    world.advance(4 * MINUTE)
    assert (await world.engine.access_token(installation)).generation == 2
    assert world.refreshes() == {f"ok, {kind}": 1, "ok": 1}
    assert await world.calls(installation) == (200, world.person.sub)
    health = await world.engine.token_health(installation)
    assert health is not None
    assert (health.failing, health.failures, health.unanswered_since) == (None, 0, None)
    world.advance(HOUR)
    assert (await world.engine.access_token(installation)).generation == 3
    assert await events(world, installation) == NOTHING_ELSE
    assert await world.told() == ["installation.activated", "refresh.failed", "refresh.recovered"]


@pytest.mark.parametrize("grace", [0, 60])
async def test_where_the_access_token_is_over_the_retry_comes_with_the_next_wish(world: World, grace: int) -> None:
    world.server.set(REFRESH_TOKEN_REUSE_PROTECTION=True, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=grace)
    installation = await world.granted()
    world.advance(HOUR)
    world.server.fault("lost", grant="refresh_token")
    with pytest.raises(TokenUnavailable) as refused:
        await world.engine.access_token(installation)
    assert refused.value.retry_after == 0
    assert await world.seen(installation) == ("active", None)
    if grace:
        assert (await world.engine.access_token(installation)).generation == 2
    else:
        with pytest.raises(ReauthorizationRequired):
            await world.engine.access_token(installation)
        assert await world.seen(installation) == ("refresh-expired", "rotation-lost")
    assert world.refreshes() == {"ok, lost": 1, "ok" if grace else "invalid_grant": 1}


async def test_without_rotation_a_lost_answer_costs_nothing(world: World) -> None:
    world.server.set(ROTATE_REFRESH_TOKEN=False)
    installation = await world.granted()
    world.advance(HOUR)
    world.server.fault("lost", grant="refresh_token")
    with pytest.raises(TokenUnavailable):
        await world.engine.access_token(installation)
    assert (await world.engine.access_token(installation)).generation == 2
    assert await world.calls(installation) == (200, world.person.sub)


STAYS_PENDING = (
    "a 401 does not bring the one retry forward: it waits for the old expiry, and the server's grace passes"
)


async def test_a_401_after_a_lost_answer_brings_the_retry_forward(server: RealServer, tmp_path: Path) -> None:
    """django-oauth-toolkit ends the old access token when it rotates: nothing works until somebody asks again."""
    server.set(REFRESH_TOKEN_REUSE_PROTECTION=True, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=120)
    async with opened(server, tmp_path) as world:
        installation = await world.granted()
        world.advance(56 * MINUTE)
        server.fault("lost", grant="refresh_token")
        token = await world.engine.access_token(installation)
        if server.kind == "dot":
            assert (await asyncio.to_thread(me, server, token.value)).status == 401
        world.advance(timedelta(seconds=5))
        told = await world.engine.report(installation, status=401, generation=token.generation)
        assert told.outcome == "renewed"


async def test_a_crash_between_request_and_answer_is_known_as_an_open_question(
    server: RealServer, tmp_path: Path
) -> None:
    """The marker was committed before the request went out, so that whoever comes next knows."""
    server.set(REFRESH_TOKEN_REUSE_PROTECTION=True)
    async with opened(server, tmp_path) as world:
        installation = await world.granted()
        world.advance(56 * MINUTE)
        server.fault("hold", when="after", grant="refresh_token")
        wish = asyncio.ensure_future(world.engine.access_token(installation))
        await asyncio.to_thread(server.wait_for_waiting, 1)
        (flight,) = world.engine._renewals.flights.values()
        flight.cancel()
        await asyncio.gather(wish, flight, return_exceptions=True)
        server.release()
        world.advance(MINUTE)
        assert (await world.engine.token_health(installation)) is not None
        with pytest.raises(ReauthorizationRequired):
            await world.engine.access_token(installation)
        assert await world.seen(installation) == ("refresh-expired", "rotation-lost")
