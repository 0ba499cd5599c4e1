"""The PostgreSQL adapter. Plain moves go by lanes, many in one statement; everything else has a transaction of its
own on a pool of connections, and locks rows before it reads them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import asyncpg

from grantflow._clock import WRONG_CLOCK, FollowedClock
from grantflow._config import Settings
from grantflow._controls import Leader
from grantflow._ports import ChunkDone, Work
from grantflow._rows import BeatRow, Change, Load
from grantflow._store import _pg_lead, _pg_schema, _reading, _writing
from grantflow._store import _pg_moves as moves
from grantflow._store import _statements as sql
from grantflow._store._chunk import decide, written
from grantflow._store._connection import Counts, Job, RowRefused
from grantflow._store._ending import ended
from grantflow._store._pg_connection import Bridge, crossing
from grantflow._store._pg_errors import DATABASE_FAILURES, is_away, may_run_again, translated
from grantflow._store._pg_fate import LOOK, SINCE, UNKNOWN, Uncertain
from grantflow._store._pg_hints import Hints
from grantflow._store._pg_lanes import Lanes
from grantflow._store._pg_lead import NOW
from grantflow._store._pg_locks import CLAIM, HOLD, Turns, locks
from grantflow._store._sql_store import SqlStore
from grantflow.errors import BadInput, ConfigurationError, DatabaseError, DatabaseUnreachable, GrantflowError
from grantflow_machines import Instant

T = TypeVar("T")
_log = logging.getLogger("grantflow")
_CONNECTIONS = 8
_SLICE = 500
"""Rows of a chunk that are claimed and read at once."""
_WARN = timedelta(seconds=1)
"""How far this machine's clock and the database's may be apart without a word."""
_EVERY, _IN_DOUBT = 60.0, 5.0
"""Seconds between two looks at the database's clock: as a rule, and while the two disagree."""
_LOOK = f"SELECT {NOW}, {SINCE}"
_INVALID = (
    "SELECT 'the index ' || i.indexrelid::regclass || ' is not valid' FROM pg_index i JOIN pg_class c "
    "ON c.oid = i.indrelid WHERE c.relname LIKE 'grantflow\\_%' AND c.relnamespace = current_schema()::regnamespace "
    "AND NOT i.indisvalid UNION ALL SELECT checksum_failures || ' pages failed their checksums' "
    "FROM pg_stat_database WHERE datname = current_database() AND checksum_failures > 0"
)


class PostgresStore(SqlStore):
    """The Store port on one PostgreSQL database; as many processes as one likes may share it."""

    def __init__(
        self,
        url: str,
        pool: asyncpg.Pool,
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        patience: float,
        facts: dict[str, str],
    ) -> None:
        self.pool = pool
        self._patience = patience
        self._facts = facts
        self._turns = Turns()
        self._writing: set[asyncio.Task[Any]] = set()
        self._begun = 0
        self._clock = FollowedClock()
        self._since = ""
        self._following: asyncio.Task[None] | None = None
        self._hints = Hints(url, pool, patience)
        self._lanes = Lanes(connect, self._long_way)
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, settings: Settings, now: Instant) -> PostgresStore:
        """Connect, and create the schema of an empty database.

        Raises SchemaMismatch for a schema it cannot work on, ConfigurationError for a malformed URL, DatabaseError
        when the server cannot be used.
        """
        opening = asyncio.get_running_loop().create_task(cls._opened(url, settings, now))
        try:
            return await ended(opening)
        except asyncio.CancelledError:
            if not opening.cancelled() and opening.exception() is None:
                await opening.result().close()
            raise

    @classmethod
    async def _opened(cls, url: str, settings: Settings, now: Instant) -> PostgresStore:
        patience = settings.busy_timeout.total_seconds()
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=_CONNECTIONS,
                timeout=patience,
                statement_cache_size=256,
                init=_set_up(settings),
                reset=_as_it_was,
            )
        except (ValueError, asyncpg.ClientConfigurationError) as error:
            msg = "the database URL cannot be read"
            raise ConfigurationError(msg, hint="use postgresql://user@host/database") from error
        except TimeoutError as error:
            raise DatabaseUnreachable from error
        except DATABASE_FAILURES as error:
            raise translated(error) from error
        try:
            async with pool.acquire() as conn:
                await _pg_schema.ensure(conn, now)
                store = cls(url, pool, partial(_lane, url, settings), patience, await _facts(conn))
                await store._look(conn)
        except DATABASE_FAILURES as error:
            pool.terminate()
            raise translated(error) from error
        except BaseException:
            pool.terminate()
            raise
        store._following = asyncio.get_running_loop().create_task(store._follow())
        return store

    # -- writing --------------------------------------------------------------------------------
    async def transact(self, load: Load, work: Work) -> Change:
        """See Store.transact."""
        if load.installation is None or load.consents_of is not None or load.foreign or load.job is not None:
            return await super().transact(load, work)
        self._refuse_when_closed()
        return await self._lanes.transact(load, work)

    async def _long_way(self, load: Load, work: Work, maybe: Change | None) -> Change:
        """`maybe` was sent to be written, and nobody knows whether it was; then only the rows can tell."""
        if maybe is None:
            return await super().transact(load, work)

        def job(bridge: Bridge, counts: Counts) -> Change:
            if moves.written(bridge, [maybe]):
                return maybe
            found = _reading.load(bridge, load)
            version = None if found.installation is None else found.installation.version
            try:
                change = work(found)
            except GrantflowError:
                if version == maybe.expected_version:  # what was sent may still arrive
                    raise DatabaseUnreachable(UNKNOWN, hint=LOOK) from None
                raise
            _writing.write(bridge, change, counts)
            return change

        done: Change = await self._write(job, load)
        return done

    async def _write(self, job: Job, load: Load | None = None) -> Any:
        """See SqlStore; a caller that is cancelled leaves, the transaction it began comes to its end."""
        self._refuse_when_closed()
        self._begun += 1
        task = asyncio.get_running_loop().create_task(self._in_turn(job, load))
        self._writing.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # looked at: its caller may have left

    async def _in_turn(self, job: Job, load: Load | None) -> Any:
        async with self._turns.of(load):
            return await self._persistently(lambda: self._transaction(job, load))

    async def _persistently(self, attempt: Callable[[], Any]) -> Any:
        """Run it again while that may help: the server is away for a moment, or somebody else came first."""
        until, pause, refused = time.monotonic() + self._patience, 0.01, False
        while True:
            try:
                return await attempt()
            except Uncertain as uncertain:
                if await self._was_committed(uncertain, until + self._patience):
                    return uncertain.result
            except GrantflowError:
                raise
            except RowRefused as error:
                if refused:  # read anew, it is still refused: no race with somebody who wrote the same key
                    raise translated(error) from error
                refused = True
                continue
            except DATABASE_FAILURES as error:
                if self._closing is not None or not may_run_again(error) or time.monotonic() > until:
                    raise translated(error) from error
            await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311 - spreads those who wait
            pause = min(pause * 2, 0.5)

    async def _transaction(self, job: Job, load: Load | None) -> Any:
        async with self.pool.acquire(timeout=self._patience) as conn:
            transaction = conn.transaction()
            await transaction.start()
            try:
                name, result = await crossing(conn, _run, job, load)
            except BaseException:
                with suppress(*DATABASE_FAILURES):
                    await transaction.rollback()
                raise
            try:
                await transaction.commit()
            except DATABASE_FAILURES as error:
                if is_away(error) or isinstance(error, TimeoutError):
                    raise Uncertain(name, result, self._since) from error
                raise
            return result

    async def _was_committed(self, uncertain: Uncertain, until: float) -> bool:
        """Ask the server what became of a transaction whose commit got no answer."""
        while time.monotonic() < until:
            try:
                async with self.pool.acquire(timeout=self._patience) as conn:
                    committed = await uncertain.was_committed(conn)
            except DATABASE_FAILURES:
                committed = None
            if committed is not None:
                return committed
            await asyncio.sleep(0.1)
        raise DatabaseUnreachable(UNKNOWN, hint=LOOK)

    def _hold(self, conn: Bridge, installations: Sequence[int], attempts: Sequence[int]) -> None:
        if installations or attempts:
            conn.fetch(HOLD, list(installations), list(attempts))

    async def sweep_chunk(self, pks: Sequence[int], now: Instant, work: Work, budget: float) -> ChunkDone:
        """See Store.sweep_chunk; rows that another process holds are skipped, and a commit is a small part of it."""
        self._refuse_when_closed()
        before = self._begun
        swept = await self._lanes.sweep(pks, now, work, lambda waited: waited > budget and self._begun != before)
        if swept.maybe:
            sent = [move.change for move in swept.maybe]
            known = await self._read(lambda bridge: moves.written(bridge, sent))
            swept.done.changes += known
            there = {change.installation.pk for change in known if change.installation is not None}
            swept.rest = [pk for pk in swept.rest if pk not in there]
        if not swept.rest:
            return swept.done
        begun = self._begun + 1

        def undisturbed() -> bool:
            return self._begun == begun and len(self._writing) == 1 and not self._lanes.busy

        done: ChunkDone = await self._write(_chunk_job(swept.rest, now, work, budget, undisturbed))
        done.changes += swept.done.changes
        done.skipped += swept.done.skipped
        done.left = [*done.left, *swept.done.left]
        return done

    async def beat(self, row: BeatRow, lead: int = 0) -> bool:
        """See Store.beat."""

        def job(bridge: Bridge, _: Counts) -> bool:
            bridge.execute(sql.SET_BEAT.sql, sql.SET_BEAT.values(row))
            return _pg_lead.take(bridge, row.process, lead) if lead else False

        leads: bool = await self._write(job)
        return leads

    async def stop_beating(self, process: str) -> None:
        """See Store.stop_beating."""

        def job(bridge: Bridge, _: Counts) -> None:
            bridge.execute(sql.DROP_BEAT, (process,))
            _pg_lead.leave(bridge, process)

        await self._write(job)

    # -- time, and other processes --------------------------------------------------------------
    @property
    def clock(self) -> FollowedClock:
        """See Store.clock."""
        return self._clock

    async def _follow(self) -> None:
        """Look at the database's clock each minute, and more often while the two disagree."""
        while True:
            await asyncio.sleep(_EVERY if abs(self._clock.skew) <= _WARN else _IN_DOUBT)
            with suppress(*DATABASE_FAILURES):
                async with self.pool.acquire(timeout=self._patience) as conn:
                    await self._look(conn)

    async def _look(self, conn: asyncpg.Connection) -> None:
        before = abs(self._clock.skew) > _WARN
        now, self._since = await conn.fetchrow(_LOOK)
        self._clock.look(now)
        seconds = self._clock.skew.total_seconds()
        self._facts["clock_skew"] = f"{seconds:+.3f} s"
        if abs(self._clock.skew) > _WARN:
            level = logging.ERROR if abs(self._clock.skew) > WRONG_CLOCK else logging.WARNING
            _log.log(level, "the clock of this machine is %+.1f s off the database's", seconds)
        elif before:
            _log.info("the clock of this machine and the database's agree again")

    def hint(self, due: Instant) -> None:
        """See Store.hint."""
        if self._closing is None:
            self._hints.tell(due)

    def on_hint(self, callback: Callable[[Instant], None]) -> None:
        """See Store.on_hint."""
        if self._closing is None:
            self._hints.hear(callback)

    # -- reading --------------------------------------------------------------------------------
    async def _read(self, function: Callable[..., T], *args: Any) -> T:
        self._refuse_when_closed()

        async def attempt() -> T:
            async with self.pool.acquire(timeout=self._patience) as conn:
                return await crossing(conn, function, *args)

        try:
            result: T = await self._persistently(attempt)
        except OverflowError as error:
            msg = "a number is too large for the database"
            raise BadInput(msg) from error
        return result

    async def leader(self) -> Leader | None:
        """See Store.leader."""
        return await self._read(_pg_lead.leader)

    def pragmas(self) -> dict[str, str]:
        """See Store.pragmas."""
        return dict(self._facts)

    async def check(self) -> list[str]:
        """See Store.check."""
        return [str(text) for (text,) in await self._read(lambda bridge: bridge.fetch(_INVALID))]

    # -- the end --------------------------------------------------------------------------------
    def _refuse_when_closed(self) -> None:
        if self._closing is not None:
            msg = "the database is closed"
            raise DatabaseError(msg)

    async def close(self) -> None:
        """See Store.close."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._let_go())
        await ended(self._closing)

    async def _let_go(self) -> None:
        if self._following is not None:
            self._following.cancel()
        await self._hints.close()
        await self._lanes.close(self._patience)
        if self._writing:
            await asyncio.wait(self._writing, timeout=self._patience)
        try:
            async with asyncio.timeout(self._patience):
                await self.pool.close()
        except DATABASE_FAILURES:
            self.pool.terminate()


def _run(bridge: Bridge, job: Job, load: Load | None) -> tuple[str, Any]:
    """Lock, read, decide and write; returns the transaction's id and what the job came to."""
    text, values = locks(load)
    name = str(bridge.fetch(text, *values)[0][0])
    counts = Counts()
    result = job(bridge, counts)
    _writing.flush_counts(bridge, counts, bridge.slot)
    return name, result


def _chunk_job(pks: Sequence[int], now: Instant, work: Work, budget: float, undisturbed: Callable[[], bool]) -> Job:
    careful = False

    def job(bridge: Bridge, counts: Counts) -> ChunkDone:
        nonlocal careful
        one_by_one, careful = careful, True  # run again: something of this chunk could not be written
        done, taken = ChunkDone([], 0, 0, ()), 0
        for start in range(0, len(pks), _SLICE):
            part = list(pks[start : start + _SLICE])
            claimed = [pk for (pk,) in bridge.fetch(CLAIM, part, now)]
            rows = {row[0]: row for row in bridge.execute(sql.SNAPSHOT_DUE, (None, json.dumps(claimed), now))}
            until = time.perf_counter() + budget  # nobody waits for the reading: other rows are free
            for pk in part:
                if taken and time.perf_counter() > until and not undisturbed():
                    done.left = pks[taken:]
                    return written(bridge, done, counts, now, one_by_one=one_by_one)
                taken += 1
                decide(bridge, pk, rows.get(pk), now, work, done)
        return written(bridge, done, counts, now, one_by_one=one_by_one)

    return job


def _set_up(settings: Settings) -> Callable[[asyncpg.Connection], Any]:
    """What every new connection is told first."""
    lasting = (
        "SELECT set_config('synchronous_commit', 'off', false)"
        if settings.synchronous == "NORMAL"
        else "SELECT set_config('synchronous_commit', 'on', false) "
        "WHERE current_setting('synchronous_commit') = 'off'"
    )
    milliseconds = int(settings.busy_timeout.total_seconds() * 1000)
    text = (
        f"SET application_name = 'grantflow'; SET lock_timeout = {milliseconds}; SET jit = off; "
        "SET default_transaction_isolation = 'read committed'; SET idle_in_transaction_session_timeout = '60s'; "
        f"{lasting}"
    )

    async def init(conn: asyncpg.Connection) -> None:
        await conn.execute(text)

    return init


async def _lane(url: str, settings: Settings) -> asyncpg.Connection:
    """A connection for plain moves: their plans do not depend on how many rows there are.

    Many wait for one answer there, so that one which does not come is given up; longer than a lock is waited for.
    """
    patience = settings.busy_timeout.total_seconds()
    conn = await asyncpg.connect(url, timeout=patience, command_timeout=2 * patience, statement_cache_size=256)
    try:
        await _set_up(settings)(conn)
        await conn.execute(
            "SET plan_cache_mode = 'force_generic_plan'; SET enable_seqscan = off; SET enable_mergejoin = off"
        )
    except BaseException:
        conn.terminate()
        raise
    return conn


async def _as_it_was(conn: asyncpg.Connection) -> None:
    """A connection goes back as it came: nothing is changed on it but inside transactions, so nothing is asked."""


async def _facts(conn: asyncpg.Connection) -> dict[str, str]:
    names = ("server_version", "synchronous_commit", "fsync", "full_page_writes")
    return {name: str(await conn.fetchval("SELECT current_setting($1)", name)) for name in names}
