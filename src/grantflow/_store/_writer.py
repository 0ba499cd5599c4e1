"""The one writing connection: an aiosqlite connection whose thread runs whole transactions, many per commit.

A caller costs one hop to the thread and one back. Everything that waits while a commit is in flight goes into the
next one, so the commit itself is the window and no timer is needed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from contextlib import AbstractContextManager, suppress
from typing import Any

import aiosqlite

from grantflow._store._connection import Counts, Job
from grantflow._store._ending import let_go
from grantflow._store._errors import translated
from grantflow._store._writing import flush_counts
from grantflow.errors import DatabaseError, GrantflowError

_Waiting = tuple[Job, "asyncio.Future[Any]"]
_Outcome = tuple["asyncio.Future[Any]", Any, BaseException | None]
MAX_BATCH = 256


class Writer:
    """Runs jobs in arrival order, as many per transaction as are waiting."""

    def __init__(self, connection: aiosqlite.Connection, lock: AbstractContextManager[None]) -> None:
        self._aio = connection
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._scheduled = False
        self._closed = False
        self._alone = True
        self.commits = 0
        self.hops = 0

    async def run(self, job: Job) -> Any:
        """Run one job inside a transaction of the writer; raises what the job raises."""
        if self._closed:
            msg = "the database is closed"
            raise DatabaseError(msg)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((job, future))
        if not self._scheduled:
            self._scheduled = True
            self._aio._tx.put_nowait((None, self._drain))  # noqa: SLF001 - one function, one hop; pinned and tested
        return await future

    def undisturbed(self) -> bool:
        """Whether the job at hand keeps nobody waiting; asked on the writer's thread."""
        return self._alone and not self._waiting

    def _drain(self) -> None:
        self._scheduled = False
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
            self._alone = len(batch) == 1
            outcomes = self._commit(batch)
            self.hops += 1
            with suppress(RuntimeError):  # the loop is gone: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, outcomes)

    def _commit(self, batch: list[_Waiting]) -> list[_Outcome]:
        try:
            with self._lock:
                return self._transaction(self._aio._conn, batch)  # noqa: SLF001 - see run
        except sqlite3.Error as error:
            failed = translated(error)
            return [(future, None, failed) for _, future in batch]
        except BaseException as error:  # noqa: BLE001 - every waiting caller must hear of it
            return [(future, None, error) for _, future in batch]

    def _transaction(self, conn: sqlite3.Connection, batch: list[_Waiting]) -> list[_Outcome]:
        conn.execute("BEGIN IMMEDIATE")
        try:
            outcomes, counts = self._optimistic(conn, batch)
            if outcomes is None:
                if conn.in_transaction:  # a full disk rolls back by itself
                    conn.execute("ROLLBACK")
                conn.execute("BEGIN IMMEDIATE")
                outcomes, counts = self._one_by_one(conn, batch)
            flush_counts(conn, counts)
            conn.execute("COMMIT")
        except BaseException:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise
        self.commits += 1
        return outcomes

    def _optimistic(self, conn: sqlite3.Connection, batch: list[_Waiting]) -> tuple[list[_Outcome] | None, Counts]:
        """All jobs without savepoints; None when one of them failed after it had written."""
        counts: Counts = Counts()
        outcomes: list[_Outcome] = []
        for job, future in batch:
            written = conn.total_changes
            try:
                outcomes.append((future, job(conn, counts), None))
            except GrantflowError as error:
                if conn.total_changes != written:
                    return None, counts
                outcomes.append((future, None, error))
            except Exception:  # noqa: BLE001 - told apart when the jobs run one by one
                return None, counts
        return outcomes, counts

    def _one_by_one(self, conn: sqlite3.Connection, batch: list[_Waiting]) -> tuple[list[_Outcome], Counts]:
        """Each job behind a savepoint, so that one failure costs only its own work."""
        total: Counts = Counts()
        outcomes: list[_Outcome] = []
        for job, future in batch:
            counts: Counts = Counts()
            conn.execute("SAVEPOINT job")
            try:
                result = job(conn, counts)
            except Exception as error:
                if not conn.in_transaction:  # the database itself gave up: the whole batch fails
                    raise
                conn.execute("ROLLBACK TO job")
                foreign = translated(error) if isinstance(error, sqlite3.Error) else error
                outcomes.append((future, None, foreign))
            else:
                total.update(counts)
                outcomes.append((future, result, None))
            conn.execute("RELEASE job")
        return outcomes, total

    async def close(self) -> None:
        """Finish what was accepted, then close the connection under the lock."""
        if self._closed:
            return
        self._closed = True
        done: asyncio.Future[Any] = self._loop.create_future()

        def last(conn: sqlite3.Connection = self._aio._conn) -> None:  # noqa: SLF001 - see run
            self._drain()
            try:
                with self._lock:
                    conn.close()
            finally:
                self._loop.call_soon_threadsafe(done.set_result, None)

        self._aio._tx.put_nowait((None, last))  # noqa: SLF001 - see run
        try:
            await asyncio.shield(done)
        finally:
            await let_go(self._aio)


def _settle(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
