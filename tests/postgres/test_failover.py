"""The server is lost in mid-sweep and its standby takes over: P8."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from grantflow import Settings
from grantflow._rows import Load
from grantflow._store.postgres import PostgresStore
from grantflow.errors import DatabaseUnreachable
from tests.postgres.conftest import created
from tests.postgres.outside import Outside
from tests.postgres.server import Server
from tests.postgres.sweeping import Sweeping, each_moved_once, filled, until
from tests.store.builders import NOW, moving, new_app, new_installation

ROWS = 600
WAITS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    """A server whose commits wait for its standby, and the standby."""
    servers = []
    try:
        servers.append(Server())
        servers[0].start()
        servers.append(Server(follows=servers[0]))
        servers[1].start()
        outside = Outside(servers[0].url("postgres"))
        outside.rows("ALTER SYSTEM SET synchronous_standby_names = '*'")
        outside.rows("SELECT pg_reload_conf()")
        while outside.rows(WAITS) != [(1,)]:
            pass
        outside.close()
        yield servers[0], servers[1]
    finally:
        for server in servers:
            server.close()


@pytest.mark.slow
async def test_a_standby_that_is_promoted_in_mid_sweep_has_lost_and_doubled_nothing(
    pair: tuple[Server, Server],
) -> None:
    first, second = pair
    await created(first, "grants")
    stores = [await PostgresStore.open(first.url_with(second, "grants"), Settings(), NOW) for _ in range(3)]
    sweep = Sweeping()
    try:
        await filled(stores[0], ROWS)
        sweeping = asyncio.gather(*(sweep.run(store) for store in stores))
        await until(lambda: sweep.done >= ROWS // 3)
        await asyncio.to_thread(first.stop_at_once)
        at_the_fall = sweep.done
        await asyncio.to_thread(second.promote)
        await sweeping
    finally:
        for store in stores:
            await store.close()
    assert at_the_fall < ROWS, "it was over before the server fell"
    assert sweep.done == ROWS, "each row was acknowledged once"
    outside = Outside(second.url("grants"))
    try:
        each_moved_once(outside, ROWS)
    finally:
        outside.close()


@pytest.mark.slow
async def test_a_standby_alone_is_a_typed_error_until_it_is_promoted(pair: tuple[Server, Server]) -> None:
    first, second = pair
    await created(first, "grants")
    hasty = Settings(busy_timeout=Settings().busy_timeout / 20)
    store = await PostgresStore.open(first.url_with(second, "grants"), hasty, NOW)
    try:
        await new_installation(store, await new_app(store), "i1")
        await asyncio.to_thread(first.stop_at_once)
        with pytest.raises(DatabaseUnreachable):
            await store.transact(Load(installation="i1"), moving("over"))
        await asyncio.to_thread(second.promote)
        await store.transact(Load(installation="i1"), moving("over"))
        assert await store.counts() == [("crm", "over", 1)]
    finally:
        await store.close()
