"""The SQLite adapter: one file, one writer, readers that only read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiosqlite

from grantflow._config import Settings
from grantflow._ports import ChunkDone, Work
from grantflow._rows import Load
from grantflow._store import _schema
from grantflow._store._chunk import chunk_job
from grantflow._store._connection import Job
from grantflow._store._ending import ended, let_go, reported
from grantflow._store._errors import translated
from grantflow._store._lock import FileLock, needs_lock
from grantflow._store._readers import Readers
from grantflow._store._sql_store import SqlStore
from grantflow._store._writer import Writer
from grantflow.errors import ConfigurationError, DatabaseError
from grantflow_machines import Instant

T = TypeVar("T")
_READERS = 2
_PREFIX = "sqlite:///"


def path_of(url: str) -> Path:
    """The file behind a `sqlite:///` URL; raises ConfigurationError for anything else."""
    if not url.startswith(_PREFIX) or len(url) == len(_PREFIX) or ":memory:" in url or "\0" in url:
        msg = "the database must be a file: sqlite:///relative.db or sqlite:////absolute.db"
        raise ConfigurationError(msg, hint="for tests, grantflow.testing makes a throw-away file")
    return Path(url.removeprefix(_PREFIX)).absolute()


class SqliteStore(SqlStore):
    """The Store port on one SQLite file in WAL mode."""

    def __init__(
        self,
        writer: Writer,
        readers: list[aiosqlite.Connection],
        lock: FileLock | None,
        pragmas: dict[str, str],
    ) -> None:
        self.writer = writer
        self._readers = Readers(readers)
        self._lock = lock
        self._pragmas = pragmas
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, settings: Settings, now: Instant) -> SqliteStore:
        """Open or create the file.

        Raises SchemaMismatch for a schema it cannot work on, DatabaseError when the file cannot be used.
        """
        opening = asyncio.get_running_loop().create_task(cls._opened(path_of(url), settings, now))
        try:
            return await ended(opening)
        except asyncio.CancelledError:
            if not opening.cancelled() and opening.exception() is None:
                await opening.result().close()
            raise

    @classmethod
    async def _opened(cls, path: Path, settings: Settings, now: Instant) -> SqliteStore:
        timeout = settings.busy_timeout.total_seconds()
        if not path.parent.is_dir():
            msg = f"the folder of {path.name} does not exist"
            raise DatabaseError(msg)
        async with AsyncExitStack() as undo:
            lock = FileLock(path, timeout) if needs_lock() else None
            if lock is not None:
                undo.callback(lock.close)
            held: AbstractContextManager[None] = nullcontext() if lock is None else lock
            readers: list[aiosqlite.Connection] = []
            try:
                connection = await _connected(path, timeout=timeout)
                undo.push_async_callback(let_go, connection)
                pragmas = await connection._execute(_prepare, connection._conn, held, settings, now)  # noqa: SLF001 - pinned
                uri = f"file:{quote(str(path))}?mode=ro"
                while len(readers) < _READERS:
                    readers.append(await _connected(uri, uri=True))
                    undo.push_async_callback(let_go, readers[-1])
            except sqlite3.Error as error:
                raise translated(error) from error
            facts = {"sqlite": sqlite3.sqlite_version, "lock_file": "not needed" if lock is None else lock.path.name}
            store = cls(Writer(connection, held), readers, lock, {**pragmas, **facts})
            undo.pop_all()
        return store

    # -- writing --------------------------------------------------------------------------------
    async def _write(self, job: Job, load: Load | None = None) -> Any:
        del load  # one writer: nobody else can come in between
        return await self.writer.run(job)

    def _hold(self, conn: Any, installations: Sequence[int], attempts: Sequence[int]) -> None:
        """See SqlStore: whoever writes holds the whole file."""

    async def sweep_chunk(self, pks: Sequence[int], now: Instant, work: Work, budget: float) -> ChunkDone:
        """See Store.sweep_chunk."""
        done: ChunkDone = await self.writer.run(chunk_job(pks, now, work, budget, self.writer.undisturbed))
        return done

    # -- reading --------------------------------------------------------------------------------
    async def _read(self, function: Callable[..., T], *args: Any) -> T:
        return await self._readers.read(function, *args)

    # -- one machine: no clock but its own, and processes that poll -----------------------------
    @property
    def clock(self) -> None:
        """See Store.clock."""
        return None

    async def leader(self) -> None:
        """See Store.leader."""

    def hint(self, due: Instant) -> None:
        """See Store.hint."""

    def on_hint(self, callback: Callable[[Instant], None]) -> None:
        """See Store.on_hint."""

    def pragmas(self) -> dict[str, str]:
        """See Store.pragmas."""
        return dict(self._pragmas)

    async def check(self) -> list[str]:
        """See Store.check."""
        # By a reader, so that nobody waits; SQLite 3.40 leaves CHECK constraints out there.
        return [str(text) for (text,) in await self._rows("PRAGMA integrity_check(100)") if text != "ok"]

    async def close(self) -> None:
        """See Store.close."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._let_go())
        await ended(self._closing)

    async def _let_go(self) -> None:
        async with AsyncExitStack() as last:  # the readers first, and each of them whatever becomes of the others
            if self._lock is not None:
                last.callback(self._lock.close)
            last.push_async_callback(self.writer.close)
            for reader in self._readers:
                last.push_async_callback(let_go, reader)


async def _connected(path: Path | str, **settings: Any) -> aiosqlite.Connection:
    connection = aiosqlite.connect(path, isolation_level=None, cached_statements=256, **settings)
    connection._thread.daemon = True  # noqa: SLF001 - an engine nobody closed must not hang the exit; pinned
    try:
        return await connection
    except BaseException:
        await reported(connection)
        raise


def _prepare(
    conn: sqlite3.Connection, held: AbstractContextManager[None], settings: Settings, now: Instant
) -> dict[str, str]:
    with held:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute(f"PRAGMA synchronous={settings.synchronous}")
        conn.execute("PRAGMA foreign_keys=ON")
        conn.execute("PRAGMA trusted_schema=OFF")
        _schema.ensure(conn, now)
        names = ("journal_mode", "synchronous", "foreign_keys")
        return {name: str(conn.execute(f"PRAGMA {name}").fetchone()[0]) for name in names}
