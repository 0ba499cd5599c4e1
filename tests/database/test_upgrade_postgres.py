"""A server's database of version 3 becomes today's: one upgrade at a time, all of a step or nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta

import asyncpg
import pytest

from grantflow import Actor, ClientCredentials, Engine, Settings, check_database, plan_upgrade, upgrade_database
from grantflow.errors import DatabaseBusy, DatabaseError, NotFound, SchemaMismatch, SchemaOutdated
from grantflow.testing import SECRET, ManualClock
from tests.database.golden import NOW, held, served
from tests.faults.verbs import opened
from tests.postgres.server import Server
from tests.postgres.test_kill import in_a_fork

OLGA = Actor.operator("olga")
CALLS = ("fetch", "fetchrow", "fetchval", "execute", "prepare")
BRIEF = Settings(busy_timeout=timedelta(seconds=0.3))
pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"  # of the test runner's own; a child needs none
)


async def rows(url: str, sql: str) -> list[tuple[object, ...]]:
    conn = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await conn.fetch(sql)]
    finally:
        await conn.close()


async def test_an_upgraded_database_is_as_a_new_one_and_goes_on(empty: str) -> None:
    await served(empty)
    before = await rows(empty, "SELECT * FROM grantflow_transition ORDER BY pk")
    with pytest.raises(SchemaOutdated, match=f"version 3, this release needs {NOW}") as raised:
        async with Engine.open(empty):
            pass
    assert raised.value.hint == "grantflow db upgrade"
    plan = await plan_upgrade(empty)
    assert (plan.version, plan.target, plan.hosts_may_run) == (3, NOW, True)
    done = await upgrade_database(empty, actor=OLGA)
    assert [step.version for step in done.steps] == [NOW]
    assert (await check_database(empty)).problems == ()
    assert await rows(empty, "SELECT * FROM grantflow_transition ORDER BY pk") == before
    known, clock = held(3), ManualClock()
    async with opened(empty, clock) as engine:
        assert (await engine.ledger.authenticate(known["access"][0])).installation == known["ids"][0]
        client = ClientCredentials(known["client"], SECRET)
        await engine.ledger.renew(known["refresh"][0], client=client)
        assert (await engine.ops.verify_keys()).unreadable == 0
        clock.advance(timedelta(days=400))
        await engine.sweep()
        assert (await engine.get(known["ids"][0])).state == "refresh-expired"
        assert await engine.ops.broken_promises() == []
    assert (await upgrade_database(empty, actor=OLGA)).steps == ()


async def test_two_upgrades_at_once_are_one(empty: str) -> None:
    await served(empty)
    tried = await asyncio.gather(*(upgrade_database(empty, actor=OLGA) for _ in range(4)), return_exceptions=True)
    assert all(not isinstance(one, BaseException) or isinstance(one, DatabaseBusy) for one in tried), tried
    assert await rows(empty, "SELECT count(*) FROM grantflow_action WHERE verb = 'upgrade'") == [(NOW - 3,)]
    assert (await check_database(empty)).problems == ()


async def test_who_holds_the_tables_for_too_long_is_told_not_run_over(empty: str) -> None:
    await served(empty)
    conn = await asyncpg.connect(empty)
    try:
        async with conn.transaction():
            await conn.execute("LOCK TABLE grantflow_schema IN ACCESS SHARE MODE")
            with pytest.raises(DatabaseBusy):
                await upgrade_database(empty, actor=OLGA, settings=BRIEF)
    finally:
        await conn.close()
    assert (await plan_upgrade(empty)).version == 3
    await upgrade_database(empty, actor=OLGA)


def test_killed_before_and_after_every_call(server: Server) -> None:
    async def work() -> None:
        await upgrade_database(server.url("drill"), actor=OLGA)

    async def ready() -> None:
        conn = await asyncpg.connect(server.url("postgres"))
        try:
            await conn.execute("DROP DATABASE IF EXISTS drill WITH (FORCE)")
            await conn.execute("CREATE DATABASE drill TEMPLATE first")
        finally:
            await conn.close()

    async def first() -> None:
        conn = await asyncpg.connect(server.url("postgres"))
        try:
            await conn.execute("CREATE DATABASE first TEMPLATE template0")
        finally:
            await conn.close()
        await served(server.url("first"))

    asyncio.run(first())
    asyncio.run(ready())
    status, made = in_a_fork(work, methods=CALLS)
    assert (status, made > 15) == (0, True)
    seen = set()
    for number in range(1, made + 1):
        for moment in ("before", "after"):
            if number < made - 4 and (number + len(moment)) % 5:
                continue  # the last ones hold the commit
            asyncio.run(ready())
            status, _ = in_a_fork(work, number, moment, methods=CALLS)
            assert os.WIFSIGNALED(status), (number, moment)
            assert os.WTERMSIG(status) == signal.SIGKILL
            version = asyncio.run(plan_upgrade(server.url("drill"))).version
            seen.add(version)
            asyncio.run(again(server.url("drill")))
    assert seen == {3, NOW}


async def again(url: str) -> None:
    """The next run finds what is left to do, as soon as the server has noticed the death."""
    for _ in range(50):
        try:
            await upgrade_database(url, actor=OLGA)
        except DatabaseBusy:
            await asyncio.sleep(0.1)
        else:
            break
    assert (await check_database(url)).problems == ()


async def test_what_no_way_leads_from_is_refused(empty: str) -> None:
    with pytest.raises(NotFound):
        await plan_upgrade(empty)
    await served(empty)
    for version, error in ((2, SchemaMismatch), (0, SchemaMismatch)):
        await rows(empty, f"UPDATE grantflow_schema SET version = {version} RETURNING 1")
        with pytest.raises(error, match="no way leads"):
            await upgrade_database(empty, actor=OLGA)
    with pytest.raises(DatabaseError):
        await upgrade_database("postgresql://nobody@127.0.0.1:1/none", actor=OLGA)
