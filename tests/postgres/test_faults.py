"""The server goes away, a commit gets no answer, callers leave: nothing is lost, doubled or kept."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from asyncpg.transaction import Transaction

from grantflow import Settings
from grantflow._ports import Reseal, Retention, SealedIn
from grantflow._rows import Change, ControlRow, Load, OutboxRow, Snapshot, TokenRow
from grantflow._store import open_store
from grantflow._store._pg_locks import JUST_THE_ID, locks
from grantflow._store.postgres import PostgresStore
from grantflow.errors import (
    BadInput,
    ConfigurationError,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnreachable,
    SchemaMismatch,
)
from tests.postgres.outside import Outside
from tests.postgres.server import Server
from tests.postgres.sweeping import Sweeping, each_moved_once, filled, until
from tests.store.builders import DAY, NOW, attempt, fresh, move, moving, new_app, new_installation, recorded

NATURAL = Load(natural=("crm", "acme", "subject-i1", "default"))
"""The way to a row that is locked before it is read; who names it by its id goes by a lane."""
HASTY = Settings(busy_timeout=timedelta(milliseconds=150))


async def until_free(store: PostgresStore) -> None:
    """Wait until every connection is back in the pool."""
    await until(
        lambda: not store._writing and not store._lanes.busy and store.pool.get_idle_size() == store.pool.get_size()
    )


# -- the server ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("restarts", [3, pytest.param(50, marks=pytest.mark.slow)])
async def test_an_immediate_stop_in_mid_sweep_loses_and_doubles_nothing(
    store: PostgresStore, server: Server, url: str, restarts: int
) -> None:
    rows = 100 * (restarts + 1)
    await filled(store, rows)
    sweep = Sweeping()
    others = [await PostgresStore.open(url, Settings(), NOW) for _ in range(2)]
    sweeping = asyncio.gather(*(sweep.run(one) for one in (store, *others)))
    for restart in range(restarts):
        await until(lambda restart=restart: sweep.done >= 100 * restart + 40)  # type: ignore[misc]
        await asyncio.to_thread(server.stop_at_once)
        await asyncio.to_thread(server.start)
    await sweeping
    for one in others:
        await one.close()
    assert sweep.done == rows, "each row was acknowledged once"
    outside = Outside(url)
    try:
        each_moved_once(outside, rows)
    finally:
        outside.close()


async def test_readers_and_writers_come_back_after_a_restart(store: PostgresStore, server: Server) -> None:
    app = await new_app(store)
    await new_installation(store, app, "i1")
    await asyncio.gather(*(store.counts() for _ in range(20)))  # many connections, all of them stale in a moment
    server.stop_at_once()
    server.start()
    assert await store.counts() == [("crm", "active", 1)]
    await store.transact(Load(installation="i1"), moving("over"))
    assert await store.counts() == [("crm", "over", 1)]


async def test_a_server_that_stays_away_is_a_typed_error(server: Server, url: str) -> None:
    store = await PostgresStore.open(url, HASTY, NOW)
    server.stop_at_once()
    try:
        with pytest.raises(DatabaseUnreachable) as raised:
            await store.counts()
        assert raised.value.retryable
        assert raised.value.hint
        with pytest.raises(DatabaseUnreachable):
            await store.transact(Load(), lambda _: Change())
        with pytest.raises(DatabaseUnreachable):
            await open_store(url, HASTY, NOW)
        async with asyncio.timeout(5):
            await store.close()
    finally:
        server.start()


async def test_a_row_that_somebody_holds_for_too_long_is_busy(url: str) -> None:
    store = await PostgresStore.open(url, HASTY, NOW)
    other = await asyncpg.connect(url)
    try:
        row = await new_installation(store, await new_app(store), "i1")
        async with other.transaction():
            await other.execute("SELECT 1 FROM grantflow_installation FOR UPDATE")
            with pytest.raises(DatabaseBusy):
                await store.transact(Load(installation="i1"), moving("over"))
            done = await store.sweep_chunk([row.pk], NOW + DAY, moving("over"), 1)
            assert (len(done.changes), done.skipped) == (0, 1), "a sweep steps over it"
        await store.transact(Load(installation="i1"), moving("over"))
    finally:
        await other.close()
        await store.close()


# -- the commit ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("written", [True, False], ids=["it was written", "it was not"])
async def test_a_commit_without_an_answer_is_looked_up(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    row = await new_installation(store, await new_app(store), "i1")
    commit, broken = Transaction.commit, 0

    async def breaks(self: Any) -> None:
        nonlocal broken
        broken += 1
        if broken > 1:
            await commit(self)
            return
        if written:
            await commit(self)
        self._connection.terminate()
        raise asyncpg.ConnectionDoesNotExistError

    monkeypatch.setattr(Transaction, "commit", breaks)
    change = await store.transact(NATURAL, moving("over", notice=True))
    assert change.installation is not None
    assert (change.installation.state, change.installation.version) == ("over", 2)
    assert broken == (1 if written else 2)
    assert [step.version for step in await store.history(row.pk, 9, None)] == [2, 1]
    assert len(await store.pending_notices(NOW, 9)) == 1
    assert await store.counts() == [("crm", "over", 1)]


async def test_an_id_that_somebody_else_was_given_after_a_crash_proves_nothing(
    store: PostgresStore, server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await new_installation(store, await new_app(store), "i1")
    commit, broken = Transaction.commit, 0

    async def breaks(self: Any) -> None:
        """The server dies, and the next transaction there gets the id of the one that was lost."""
        nonlocal broken
        broken += 1
        if broken > 1:
            await commit(self)
            return
        mine = await self._connection.fetchval("SELECT pg_current_xact_id()::text")
        await asyncio.to_thread(server.stop_at_once)
        await asyncio.to_thread(server.start)
        outside = Outside(url)
        try:
            taken = 0
            while taken < int(mine):
                ((taken,),) = outside.rows("SELECT pg_current_xact_id()::text::bigint")
        finally:
            outside.close()
        raise asyncpg.ConnectionDoesNotExistError

    monkeypatch.setattr(Transaction, "commit", breaks)
    change = await store.transact(NATURAL, moving("over", notice=True))
    assert change.installation is not None
    assert broken == 2, "what the server calls committed was somebody else's"
    assert [step.version for step in await store.history(row.pk, 9, None)] == [2, 1]
    broken, secret = 0, "canary" * 2
    with pytest.raises(DatabaseUnreachable, match="nobody can tell") as raised:
        await store.transact(Load(), lambda _: Change(set_controls=[ControlRow("x", NOW, "me", secret)]))
    assert secret not in "".join(traceback.format_exception(raised.value)), "rows stand in no traceback"


async def test_a_lost_race_for_a_key_is_run_again_and_sees_the_winner(store: PostgresStore, url: str) -> None:
    app = await new_app(store)
    rival = await PostgresStore.open(url, Settings(), NOW)
    seen: list[bool] = []

    def work(found: Any) -> Change:
        seen.append(found.installation is not None)
        if found.installation is not None:
            return Change()
        mine = fresh(app, "mine")
        mine.subject_id = "subject"
        made = recorded(mine, None, "created")
        return Change(installation=mine, transitions=[made], notices=[OutboxRow(0, "made", 1, NOW, "{}")])

    load = Load(natural=("crm", "acme", "subject", "default"))
    other = await asyncpg.connect(url)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("LOCK TABLE grantflow_installation IN SHARE MODE")  # both read before either writes
        racing = asyncio.gather(store.transact(load, work), rival.transact(load, work))
        await until(lambda: len(seen) == 2)
        await transaction.rollback()
        await racing
    finally:
        await other.close()
        await rival.close()
    assert sorted(seen) == [False, False, True]
    assert len(await store.pending_notices(NOW, 9)) == 1


@pytest.mark.parametrize("what", ["reseal", "reseal an attempt", "forget"])
async def test_what_hangs_on_an_installation_waits_for_whoever_is_at_it(
    store: PostgresStore, url: str, what: str
) -> None:
    app = await new_app(store)
    row = await new_installation(store, app, "i1")
    opened = attempt(app, "a1", ends=NOW, installation_pk=row.pk)
    tokens = TokenRow(row.pk, "fam", 1, "a", NOW, None, None, None, access_sealed=b"old")

    def granted(found: Snapshot) -> Change:
        change = move(found, "over")
        assert change.installation is not None
        change.installation.ended_at, change.whole, change.tokens = 1, True, tokens
        change.new_attempts = [opened]
        return change

    await store.transact(Load(installation="i1"), granted)
    old = Retention(tokens=NOW, delivered=0, attempts=0, beats=0)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "reseal": lambda: store.reseal([Reseal(SealedIn.TOKENS, "access_sealed", row.pk, b"old", b"new")], NOW),
        "reseal an attempt": lambda: store.reseal(
            [Reseal(SealedIn.ATTEMPTS, "app_state", opened.pk, opened.app_state, b"new")], NOW
        ),
        "forget": lambda: store.forget(old, 9),
    }
    other = await asyncpg.connect(url)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT 1 FROM grantflow_installation FOR NO KEY UPDATE")
        waiting = asyncio.ensure_future(calls[what]())
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        async with asyncio.timeout(5):
            while not await other.fetchval(blocked):
                assert not waiting.done(), "it went ahead"
        await other.execute("UPDATE grantflow_token_set SET access_sealed = 'newer'")
        await other.execute("UPDATE grantflow_installation SET ended_at = NULL")
        await transaction.commit()
        outcome = await waiting
        kept = await other.fetchval("SELECT access_sealed FROM grantflow_token_set")
    finally:
        await other.close()
    assert kept == b"newer"
    assert (outcome == []) is (what == "reseal an attempt")


def test_every_way_into_a_transaction_is_locked() -> None:
    ways = {"installation", "natural", "attempt", "code_hash", "state_hash", "credential", "app"}
    beside = {"account", "consents_of", "idempotency_key", "foreign"}
    swapped_by_revision = {"job", "ordinal"}
    assert {one.name for one in fields(Load)} <= ways | beside | swapped_by_revision, "put it into _pg_locks.py"
    for way in ways:
        value: object = ("crm", "acme", None, "default") if way == "natural" else "x"
        assert locks(Load(**{way: value}))[0] != JUST_THE_ID, way  # type: ignore[arg-type]


# -- callers who leave --------------------------------------------------------------------------------
WRITES: list[Callable[[PostgresStore], Awaitable[object]]] = [
    lambda store: store.transact(Load(installation="i1"), moving("over", notice=True)),
    lambda store: store.sweep_chunk([1], NOW + DAY, moving("over", notice=True), 1),
]
READS: list[Callable[[PostgresStore], Awaitable[object]]] = [
    lambda store: store.load(Load(installation="i1")),
    lambda store: store.outbox(),
]


@pytest.mark.parametrize("call", [*WRITES, *READS], ids=["transact", "sweep", "load", "outbox"])
async def test_cancelled_at_every_call_the_pool_is_full_again_and_nothing_is_half_done(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, call: Callable[[PostgresStore], Awaitable[object]]
) -> None:
    app = await new_app(store)
    await new_installation(store, app, "i1", due=NOW)
    task: asyncio.Task[object]
    made = number = 0

    def counting(original: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def counted(self: object, *arguments: Any, **named: Any) -> object:
            nonlocal made
            made += 1
            if made == number:
                task.cancel()
            return await original(self, *arguments, **named)

        return counted

    for name in ("fetch", "fetchmany", "execute"):
        monkeypatch.setattr(asyncpg.Connection, name, counting(getattr(asyncpg.Connection, name)))
    while True:
        number, made = number + 1, 0
        task = asyncio.ensure_future(call(store))
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        await until_free(store)
        if made < number:
            break
        assert isinstance(outcome, asyncio.CancelledError)
        row = (await store.load(Load(installation="i1"))).installation
        assert row is not None
        trail = await store.history(row.pk, 99, None)
        assert (row.version, row.state) == (trail[0].version, trail[0].target)
        assert len(await store.pending_notices(NOW, 99)) == row.version - 1
    assert number > 1


async def test_closing_waits_for_what_was_accepted(url: str) -> None:
    store = await PostgresStore.open(url, Settings(), NOW)
    await new_installation(store, await new_app(store), "i1")
    writing = asyncio.create_task(store.transact(Load(installation="i1"), moving("over")))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await store.close()
    assert (await writing).installation is not None


# -- opening ------------------------------------------------------------------------------------------
async def test_many_open_an_empty_database_at_once(empty: str) -> None:
    stores = await asyncio.gather(*(PostgresStore.open(empty, Settings(), NOW) for _ in range(4)))
    try:
        await new_app(stores[0])
        assert [app.key for app in await stores[3].apps()] == ["crm"]
    finally:
        for store in stores:
            await store.close()


async def test_another_schema_is_refused(empty: str) -> None:
    await (await PostgresStore.open(empty, Settings(), NOW)).close()
    conn = await asyncpg.connect(empty)
    try:
        await conn.execute("UPDATE grantflow_schema SET version = 99, compatible_from = 99")
        with pytest.raises(SchemaMismatch, match="99") as raised:
            await open_store(empty, Settings(), NOW)
        assert raised.value.hint
        await conn.execute("DELETE FROM grantflow_schema")
        with pytest.raises(SchemaMismatch, match="none"):
            await open_store(empty, Settings(), NOW)
        await conn.execute("DROP TABLE grantflow_schema")
        with pytest.raises(DatabaseError, match="no schema version"):
            await open_store(empty, Settings(), NOW)
    finally:
        await conn.close()


async def test_what_cannot_be_opened_is_said_without_the_address(server: Server) -> None:
    with pytest.raises(DatabaseError, match="InvalidCatalogName") as raised:
        await open_store(server.url("nowhere"), Settings(), NOW)
    assert "createdb" in str(raised.value.hint)
    with pytest.raises(DatabaseUnreachable) as away:
        await open_store("postgresql://me:canary@127.0.0.1:1/db", Settings(), NOW)
    assert "canary" not in f"{away.value} {away.value.hint}"
    with pytest.raises(ConfigurationError) as malformed:
        await open_store("postgresql://me:canary@host:port/db", Settings(), NOW)
    assert "canary" not in f"{malformed.value} {malformed.value.hint}"


async def test_a_text_or_number_no_database_can_hold_is_bad_input(store: PostgresStore) -> None:
    with pytest.raises(BadInput):
        await store.load(Load(installation="a\0b"))
    with pytest.raises(BadInput):
        await store.history(1 << 70, 9, None)


async def test_lasting_commits_are_the_default(url: str) -> None:
    for name, expected in (("FULL", "on"), ("NORMAL", "off")):
        store = await PostgresStore.open(url, Settings(synchronous=name), NOW)
        try:
            told = store.pragmas()
            assert told["synchronous_commit"] == expected
            assert told["server_version"]
            assert await store.check() == []
        finally:
            await store.close()
