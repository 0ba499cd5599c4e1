"""Time at both sides: real seconds, and a year by moving both clocks; never early. Source: S-29 … S-31."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from grantflow import Lifetime, LifetimePolicy, SystemClock
from grantflow.errors import ReauthorizationRequired
from tests.foreign.world import DAY, HOUR, OPERATOR, World, me, opened
from tests.servers.control import RealServer

SECOND = timedelta(seconds=1)


async def test_a_token_of_two_seconds_is_renewed_in_time(server: RealServer, tmp_path: Path) -> None:
    """The API never sees one that is over, and the server is asked once for each."""
    server.set(ACCESS_TOKEN_EXPIRE_SECONDS=2)
    async with opened(server, tmp_path, clock=SystemClock()) as world:
        installation = await world.granted()
        begin, generations, statuses = time.monotonic(), set[int](), set[int]()
        while time.monotonic() < begin + 2.2:
            asked = time.monotonic()
            token = await world.engine.access_token(installation)
            status = (await asyncio.to_thread(me, server, token.value)).status
            if time.monotonic() < asked + 0.3:  # a machine that stalls proves nothing
                statuses.add(status)
            generations.add(token.generation)
            await asyncio.sleep(0.1)
        assert statuses == {200}
        assert generations >= {1, 2}, "the second one at about 1.6 seconds"
        assert world.refreshes() == {"ok": max(generations) - 1}


@pytest.mark.slow
async def test_a_refresh_token_of_a_second_ends_in_real_time(server: RealServer, tmp_path: Path) -> None:
    """Nobody announced it, so the server's word is the first the engine hears: the reason is not `time`."""
    server.set(ACCESS_TOKEN_EXPIRE_SECONDS=1, REFRESH_TOKEN_EXPIRE_SECONDS=1)
    async with opened(server, tmp_path, clock=SystemClock()) as world:
        installation = await world.granted()
        assert (await world.calls(installation))[0] == 200
        await asyncio.sleep(2.1)  # django-oauth-toolkit counts from the end of the access token
        with pytest.raises(ReauthorizationRequired):
            await world.engine.access_token(installation)
        assert await world.seen(installation) == ("refresh-expired", "unknown")


async def test_an_announced_end_in_real_seconds_is_kept_to_the_microsecond(
    server: RealServer, tmp_path: Path
) -> None:
    server.fault("rewrite", change={"refresh_token_expires_in": 1})
    async with opened(server, tmp_path, clock=SystemClock()) as world:
        installation = await world.granted()
        end = (await world.engine.get(installation)).expires_at
        assert end is not None
        while (before := world.engine.now()) < end:
            found = await world.engine.get(installation)
            assert found.state == "active" or world.engine.now() >= end, f"early, at {before}"
            await asyncio.sleep(0.05)
        assert await world.seen(installation) == ("refresh-expired", "time")
        assert (await world.engine.sweep()).moved == 1
        with pytest.raises(ReauthorizationRequired):
            await world.engine.access_token(installation)
        assert world.refreshes() == {}, "nobody asks a server for what is over"


async def test_a_year_ends_a_fixed_grant_and_not_a_second_before(world: World) -> None:
    world.server.set(REFRESH_TOKEN_EXPIRE_SECONDS=None)
    installation = await world.granted()
    end = world.engine.now() + 365 * DAY
    assert (await world.engine.get(installation)).expires_at == end
    for month in range(1, 13):
        world.advance(30 * DAY)
        assert (await world.engine.renew_due()).renewed == 1
        assert (await world.engine.sweep()).moved == 0
        assert (await world.engine.get(installation)).expires_at == end, "a renewal does not extend it"
        assert (await world.engine.get(installation)).generation == month + 1
    world.advance(5 * DAY - SECOND)
    assert await world.calls(installation) == (200, world.person.sub)
    assert (await world.engine.sweep()).moved == 0
    world.advance(SECOND)
    assert await world.seen(installation) == ("refresh-expired", "time"), "though no sweep has run"
    with pytest.raises(ReauthorizationRequired):
        await world.engine.access_token(installation)
    assert (await world.engine.sweep()).moved == 1
    assert (await world.engine.sweep()).moved == 0
    assert await world.seen(installation) == ("refresh-expired", "time")
    assert world.refreshes() == {"ok": 13}
    (died, *_) = await world.engine.history(installation)
    assert (died.event, died.at) == ("expire", end)


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_probe_undoes_an_expiry_that_our_clock_alone_believed_in(world: World, forgotten: bool) -> None:
    world.server.set(REFRESH_TOKEN_EXPIRE_SECONDS=None)
    installation = await world.granted()
    world.advance(365 * DAY)
    await world.engine.sweep()
    if forgotten:
        world.server.forget(world.person, world.client.client_id)
    probe = await world.engine.ops.probe(installation, actor=OPERATOR, reason="the server may know better")
    if forgotten:
        assert (probe.outcome, probe.state) == ("dead", "refresh-expired")
        assert await world.seen(installation) == ("refresh-expired", "time")
    else:
        assert (probe.outcome, probe.state) == ("renewed", "active")
        assert await world.calls(installation) == (200, world.person.sub)
        assert (await world.engine.get(installation)).expires_at == world.engine.now() + 365 * DAY
        assert (await world.engine.history(installation))[0].event == "recovered"


async def test_a_sliding_grant_lives_while_it_is_renewed(server: RealServer, tmp_path: Path) -> None:
    server.set(REFRESH_TOKEN_EXPIRE_SECONDS=90 * 86_400)
    sliding = Lifetime(LifetimePolicy.SLIDING, 90 * DAY)
    async with opened(server, tmp_path, lifetime=sliding) as world:
        installation = await world.granted()
        for _ in range(6):
            world.advance(89 * DAY)
            assert (await world.engine.renew_due()).renewed == 1
            assert (await world.engine.get(installation)).expires_at == world.engine.now() + 90 * DAY
        world.advance(90 * DAY)
        assert await world.seen(installation) == ("refresh-expired", "time")
        assert world.refreshes() == {"ok": 6}


@pytest.mark.parametrize("policy", [LifetimePolicy.NONE, LifetimePolicy.UNKNOWN])
async def test_where_no_clock_ends_it_the_server_does(
    server: RealServer, tmp_path: Path, policy: LifetimePolicy
) -> None:
    server.set(REFRESH_TOKEN_EXPIRE_SECONDS=10 * 86_400)
    async with opened(server, tmp_path, lifetime=Lifetime(policy)) as world:
        installation = await world.granted()
        assert (await world.engine.get(installation)).expires_at is None
        for _ in range(3):
            world.advance(9 * DAY)
            assert (await world.engine.renew_due()).renewed == 1
        world.advance(11 * DAY)
        assert (await world.engine.sweep()).moved == 0
        assert await world.seen(installation) == ("active", None)
        assert (await world.engine.renew_due()).died == 1
        assert await world.seen(installation) == ("refresh-expired", "unknown")


async def test_a_server_that_ends_it_when_our_clock_does_too_dies_of_time(server: RealServer, tmp_path: Path) -> None:
    server.set(REFRESH_TOKEN_EXPIRE_SECONDS=10 * 86_400)
    async with opened(server, tmp_path, lifetime=Lifetime(LifetimePolicy.SLIDING, 10 * DAY)) as world:
        installation = await world.granted()
        world.advance(10 * DAY + 2 * HOUR)
        await world.engine.renew_due()
        assert await world.seen(installation) == ("refresh-expired", "time")
        assert world.refreshes() == {}


async def test_weeks_of_downtime_are_caught_up_at_once(world: World) -> None:
    """Access tokens that ended long ago are renewed by the first wish, with one request."""
    installation = await world.granted()
    world.advance(13 * DAY)
    assert await world.calls(installation) == (200, world.person.sub)
    assert world.refreshes() == {"ok": 1}


async def test_a_renewal_ahead_of_time_comes_five_minutes_before_the_end(world: World) -> None:
    installation = await world.granted()
    world.advance(timedelta(minutes=55) - SECOND)
    assert (await world.engine.renew_due()).renewed == 0
    assert (await world.engine.access_token(installation)).generation == 1
    world.advance(SECOND)
    assert (await world.engine.renew_due()).renewed == 1
    assert world.refreshes() == {"ok": 1}
