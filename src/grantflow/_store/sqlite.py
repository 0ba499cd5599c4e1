"""The SQLite adapter: one file, one writer, readers that only read."""

from __future__ import annotations

import asyncio
import sqlite3
import time
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
from grantflow._store import _statements as sql
from grantflow._store._chunk import Chunk
from grantflow._store._connection import Counts, Job
from grantflow._store._ending import ended
from grantflow._store._errors import translated
from grantflow._store._lock import FileLock, needs_lock
from grantflow._store._sql_store import SqlStore
from grantflow._store._writer import Writer
from grantflow.errors import BadInput, ConfigurationError, DatabaseError
from grantflow_machines import Instant

T = TypeVar("T")
_READERS = 2
_LONG_CHUNK = 500
"""Rows of a chunk that may go on beyond its budget while nobody waits."""
_PREFIX = "sqlite:///"
_UNREADABLE = ("JSON", "malformed JSON", "Could not decode")
"""How SQLite begins to speak of a row that it cannot put together, rather than of the database."""


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
        self._readers = readers
        self._lock = lock
        self._pragmas = pragmas
        self._turn = 0
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, settings: Settings, now: Instant) -> SqliteStore:
        """Open or create the file.

        Raises SchemaMismatch for another schema version, DatabaseError when the file cannot be used.
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
                undo.push_async_callback(connection.close)
                pragmas = await connection._execute(_prepare, connection._conn, held, settings, now)  # noqa: SLF001 - pinned
                uri = f"file:{quote(str(path))}?mode=ro"
                while len(readers) < _READERS:
                    readers.append(await _connected(uri, uri=True))
                    undo.push_async_callback(readers[-1].close)
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
        done: ChunkDone = await self.writer.run(_chunk_job(pks, now, work, budget, self.writer.undisturbed))
        return done

    # -- reading --------------------------------------------------------------------------------
    async def _read(self, function: Callable[..., T], *args: Any) -> T:
        self._turn = (self._turn + 1) % len(self._readers)
        reader = self._readers[self._turn]
        try:
            result: T = await reader._execute(function, reader._conn, *args)  # noqa: SLF001 - one hop, as the writer
        except sqlite3.Error as error:
            raise translated(error) from error
        except OverflowError as error:
            msg = "a number is too large for the database"
            raise BadInput(msg) from error
        except ValueError as error:
            msg = "the database is closed"
            raise DatabaseError(msg) from error
        return result

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
                last.push_async_callback(reader.close)


async def _connected(path: Path | str, **settings: Any) -> aiosqlite.Connection:
    connection = aiosqlite.connect(path, isolation_level=None, cached_statements=256, **settings)
    connection._thread.daemon = True  # noqa: SLF001 - an engine nobody closed must not hang the exit; pinned
    try:
        opened = await connection
        opened.text_factory = _readable
    except BaseException:
        # Its thread reports to this loop once more; a loop that closes first makes it print a traceback.
        await asyncio.to_thread(connection._thread.join)  # noqa: SLF001 - aiosqlite has no door for that
        raise
    return opened


def _readable(raw: bytes) -> str:
    """A text, also where it is none: one spoiled cell must not stop the statement that meets it."""
    return raw.decode("utf-8", "surrogateescape")


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


def _chunk_job(pks: Sequence[int], now: Instant, work: Work, budget: float, undisturbed: Callable[[], bool]) -> Job:
    careful = False

    def job(conn: sqlite3.Connection, counts: Counts) -> ChunkDone:
        nonlocal careful
        one_by_one, careful = careful, True  # run again by the writer: something of this batch could not be written
        until = time.perf_counter() + budget
        chunk = Chunk(conn, work, now)
        taken = 0
        for pk in pks:
            over = taken and time.perf_counter() > until
            if over and (taken >= _LONG_CHUNK or not undisturbed()):
                break
            taken += 1
            try:
                chunk.take(pk, conn.execute(sql.SNAPSHOT_DUE, (None, pk, now)).fetchone())
            except sqlite3.OperationalError as error:
                if not str(error).startswith(_UNREADABLE):
                    raise
                chunk.set_aside(pk, error)
        return chunk.written(counts, pks[taken:], one_by_one=one_by_one)

    return job
