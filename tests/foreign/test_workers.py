"""Many workers, one grant: a rotating refresh token is sent once, whoever wants it.

Source: S-30; RFC 9700 §4.14.2.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.foreign.rotating import rounds
from tests.foreign.worker import crew
from tests.foreign.world import HOUR, World, beside, cookies, opened
from tests.servers.control import Kind, RealServer

TASKS = 8


@pytest.fixture
async def both(servers: dict[Kind, RealServer], tmp_path: Path) -> AsyncIterator[list[World]]:
    """One engine with an app at each server: processes take long to start."""
    dot, authlib = servers.values()
    for server in (dot, authlib):
        server.reset()
    async with opened(dot, tmp_path) as world:
        yield [world, await beside(world, authlib)]


async def test_eight_tasks_in_two_processes_refresh_once_a_round(both: list[World]) -> None:
    async with crew(both[0], 2) as workers:
        for world in both:
            await rounds(workers, world, TASKS)


@pytest.mark.slow
async def test_twelve_processes_refresh_once_a_round(both: list[World]) -> None:
    async with crew(both[0], 12) as workers:
        for world in both:
            await rounds(workers, world, 1)


async def test_four_processes_consume_one_state_and_one_wins(both: list[World]) -> None:
    async with crew(both[0], 4) as workers:
        for world in both:
            for done in (1, 2):  # the first one makes the installation, too
                attempt = await world.leaves()
                query, browser = await world.consents(attempt), cookies(attempt)
                told = await workers.all("complete", query=query, cookies=browser)
                assert Counter(told) == {"completed": 1, "used": 3}, world.server
                assert await workers.all("complete", query=query, cookies=browser) == ["used"] * 4
                assert world.server.counters().redemptions() == {"ok": done}
    found = await both[0].engine.find()
    assert [(item.state, item.generation) for item in found.items] == [("active", 2)] * 2


async def test_eight_tasks_of_one_engine_share_one_request(world: World) -> None:
    world.server.set(REFRESH_TOKEN_REUSE_PROTECTION=True)
    installation = await world.granted()
    world.advance(HOUR)
    wishes = [asyncio.ensure_future(world.engine.access_token(installation)) for _ in range(8)]
    wishes[0].cancel()
    async with asyncio.timeout(10):
        given = await asyncio.gather(*wishes, return_exceptions=True)
    assert isinstance(given[0], asyncio.CancelledError)
    assert {token.generation for token in given if not isinstance(token, BaseException)} == {2}
    assert world.refreshes() == {"ok": 1}


async def test_a_wish_that_is_cancelled_does_not_cancel_the_renewal(world: World) -> None:
    world.server.set(REFRESH_TOKEN_REUSE_PROTECTION=True)
    installation = await world.granted()
    world.advance(HOUR)
    world.server.fault("hold", when="after")
    wish = asyncio.ensure_future(world.engine.access_token(installation))
    await asyncio.to_thread(world.server.wait_for_waiting, 1)
    wish.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wish
    world.server.release()
    async with asyncio.timeout(10):
        assert (await world.engine.access_token(installation)).generation == 2
    assert world.refreshes() == {"ok": 1}
