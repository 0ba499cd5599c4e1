"""Every answer of a real token endpoint is classified rightly, for codes and for refresh tokens.

Source: RFC 6749 §4.1.2, §5, §6; S-18, S-29 … S-31.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest

from grantflow.errors import TokenUnavailable
from tests.foreign.answers import EXCHANGE, EXCHANGE_FAULTS, REFRESH, REFRESH_FAULTS
from tests.foreign.cases import EXCHANGES, REFRESHES, exchange, incident_of, refresh
from tests.foreign.world import DAY, HOUR, MINUTE, World, held_refresh, opened
from tests.servers.control import FaultKind, RealServer


@pytest.mark.parametrize("case", EXCHANGE)
async def test_what_an_answer_means_for_a_code(server: RealServer, tmp_path: Path, case: str) -> None:
    assert await exchange(server, tmp_path, case) == EXCHANGE[case]


@pytest.mark.parametrize("case", REFRESH)
async def test_what_an_answer_means_for_a_refresh_token(server: RealServer, tmp_path: Path, case: str) -> None:
    assert await refresh(server, tmp_path, case) == REFRESH[case]


def test_the_tables_have_a_row_for_every_case_and_every_kind_of_fault() -> None:
    assert EXCHANGE.keys() == EXCHANGES.keys() | EXCHANGE_FAULTS.keys()
    assert REFRESH.keys() == REFRESHES.keys() | REFRESH_FAULTS.keys()
    for faults in (EXCHANGE_FAULTS, REFRESH_FAULTS):
        assert {fault.kind for fault in faults.values()} == {*get_args(FaultKind)}


async def test_a_code_waits_for_a_server_that_is_being_started(server: RealServer, tmp_path: Path) -> None:
    """Nothing was sent, so the same code goes again, until the time of the code is over."""
    door = Door(server)
    await door.open()
    port = door.port
    door.close()
    at = {"token_endpoint": server.endpoints.token.replace(server.origin, f"http://127.0.0.1:{port}")}
    async with opened(server, tmp_path, at=at) as world:
        attempt = await world.leaves()
        query = await world.consents(attempt)
        coming = asyncio.ensure_future(world.comes_back(attempt, query))
        await asyncio.sleep(0.05)
        assert not coming.done()
        await door.open(port)
        assert (await coming).outcome == "completed"
        door.close()
        assert server.counters().redemptions() == {"ok": 1}


class Door:
    """A port of its own in front of a server, to be opened and closed."""

    def __init__(self, server: RealServer) -> None:
        self.behind = urlsplit(server.origin)
        self.port = 0

    async def open(self, port: int = 0) -> None:
        self.listener = await asyncio.start_server(self.through, "127.0.0.1", port)
        self.port = self.listener.sockets[0].getsockname()[1]

    def close(self) -> None:
        self.listener.close()

    async def through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(self.behind.hostname, self.behind.port)

        async def pour(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                into.write(data)
                await into.drain()

        there = asyncio.ensure_future(pour(reader, outer))
        await asyncio.wait([there, asyncio.ensure_future(pour(inner, writer))], return_when="FIRST_COMPLETED")
        outer.close()
        writer.close()


@pytest.mark.parametrize("kind", ["unavailable", "limited"])
async def test_retry_after_is_honoured_to_the_second(world: World, kind: FaultKind) -> None:
    installation = await world.granted()
    world.advance(HOUR)
    world.server.fault(kind, retry_after="600")
    with pytest.raises(TokenUnavailable) as refused:
        await world.engine.access_token(installation)
    assert refused.value.retry_after == 600
    world.advance(timedelta(seconds=599))
    with pytest.raises(TokenUnavailable):
        await world.engine.access_token(installation)
    assert (await world.engine.renew_due()).failed == 0
    assert world.refreshes() == {kind: 1}, "nobody asked before the time"
    world.advance(timedelta(seconds=1))
    assert (await world.engine.access_token(installation)).generation == 2
    assert world.refreshes() == {kind: 1, "ok": 1}


async def test_failures_wait_longer_each_time_and_are_told_once(world: World) -> None:
    installation = await world.granted()
    await world.told()
    world.notices.clear()
    world.advance(HOUR)
    world.server.fault("broken", times=4)
    waits = []
    for _ in range(4):
        report = await world.engine.renew_due()
        assert (report.failed, report.renewed) == (1, 0)
        health = await world.engine.token_health(installation)
        assert health is not None
        assert health.refresh_at is not None
        wait = health.refresh_at - world.engine.now()
        waits.append(wait / MINUTE)
        world.advance(wait)
    for minutes, planned in zip(waits, (2, 4, 8, 16), strict=True):
        assert planned * 0.9 <= minutes <= planned * 1.1
    assert await world.seen(installation) == ("active", None)
    assert (await world.engine.renew_due()).renewed == 1
    assert await world.told() == ["refresh.failed", "refresh.recovered"]
    assert await world.calls(installation) == (200, world.person.sub)


async def test_a_refresh_never_widens_what_was_granted(world: World) -> None:
    attempt = await world.leaves(scope="read")
    done = await world.comes_back(attempt, await world.consents(attempt))
    assert done.installation is not None
    assert done.installation.granted == ("read",)
    world.advance(HOUR)
    token = await world.engine.access_token(done.installation.id)
    assert token.scopes == ("read",)
    assert world.server.requests("token")[-1].params == ["grant_type", "refresh_token"]


@pytest.mark.parametrize(("scope", "missing"), [("write", ("read",)), ("read", ())])
async def test_fewer_scopes_than_asked_for_are_a_gap_and_no_death(
    world: World, scope: str, missing: tuple[str, ...]
) -> None:
    world.server.fault("rewrite", change={"scope": scope})
    installation = await world.granted()
    seen = await world.engine.get(installation)
    assert (seen.granted, seen.scopes_missing, seen.usable) == ((scope,), missing, True)


async def test_a_scope_that_nobody_knows_is_the_apps_own_mistake(world: World) -> None:
    world.server.set(SCOPES={"read": "Read"})
    attempt = await world.leaves()
    query = await world.consents(attempt)
    done = await world.comes_back(attempt, query)
    assert (done.outcome, done.why) == ("failed", "invalid_scope")
    assert await incident_of(world) == "invalid_scope"
    assert world.server.counters().redemptions() == {}


async def test_without_a_new_refresh_token_the_old_one_stays(world: World) -> None:
    world.server.set(ROTATE_REFRESH_TOKEN=False)
    installation = await world.granted()
    first = held_refresh(world, installation)
    for generation in (2, 3):
        world.advance(HOUR)
        assert (await world.engine.access_token(installation)).generation == generation
        assert held_refresh(world, installation) == first
    world.server.set(ROTATE_REFRESH_TOKEN=True)
    world.advance(HOUR)
    await world.engine.access_token(installation)
    assert held_refresh(world, installation) != first


async def test_a_code_without_a_refresh_token_leaves_none_of_the_grant_before(world: World) -> None:
    installation = await world.granted()
    world.server.fault("rewrite", drop=["refresh_token"])
    attempt = await world.leaves()
    done = await world.comes_back(attempt, await world.consents(attempt))
    assert done.installation is not None
    assert done.installation.id == installation
    health = await world.engine.token_health(installation)
    assert health is not None
    assert (health.renewable, health.generation) == (False, 2)
    assert done.installation.expires_at == health.access_expires_at, "the access token is all there is"
    world.advance(HOUR - timedelta(seconds=1))
    assert (await world.calls(installation))[0] == 200
    world.advance(timedelta(seconds=1))
    assert await world.seen(installation) == ("refresh-expired", "time")
    assert world.refreshes() == {}


async def test_where_no_lifetime_is_announced_the_apps_assumption_counts(server: RealServer, tmp_path: Path) -> None:
    async with opened(server, tmp_path, access_lifetime=10 * MINUTE) as world:
        server.fault("rewrite", drop=["expires_in"])
        installation = await world.granted()
        token = await world.engine.access_token(installation)
        assert token.expires_at == world.engine.now() + 10 * MINUTE
        assert (await world.engine.get(installation)).expires_at == world.engine.now() + 365 * DAY


async def test_an_announced_end_of_the_refresh_token_wins(world: World) -> None:
    world.server.fault("rewrite", change={"refresh_token_expires_in": 7 * 86400})
    installation = await world.granted()
    end = world.engine.now() + 7 * DAY
    assert (await world.engine.get(installation)).expires_at == end
    world.advance(DAY)
    assert (await world.engine.renew_due()).renewed == 1
    assert (await world.engine.get(installation)).expires_at == end, (
        "fixed: a renewal that says nothing moves nothing"
    )
    world.advance(DAY)
    world.server.fault("rewrite", change={"refresh_token_expires_in": 7 * 86400})
    assert (await world.engine.renew_due()).renewed == 1
    assert (await world.engine.get(installation)).expires_at == world.engine.now() + 7 * DAY
