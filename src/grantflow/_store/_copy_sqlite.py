"""A SQLite file as the source or the target of a copy, under the lock of its writers from begin to end."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from grantflow._database_model import Progress
from grantflow._store import _copy, _ddl, _names, _version
from grantflow._store._copy import Reached, Row, Shape
from grantflow._store._ending import ended
from grantflow._store._errors import translated
from grantflow._store._lock import sole_writer
from grantflow._store._statements import SCHEMA_ROW
from grantflow._store._upgrade_sqlite import there
from grantflow._store._version import Stamp
from grantflow.errors import DatabaseError, NotFound

T = TypeVar("T")
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'grantflow\\_%' ESCAPE '\\'"
_NOTE = f"INSERT OR REPLACE INTO {_names.COPY} (name, after, rows) VALUES (?, ?, ?)"


class SqliteSide:
    """Either role; one thread at a time is at the connection."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._one = asyncio.Lock()

    # -- reading --------------------------------------------------------------------------------
    async def stamp(self) -> Stamp:
        """See Source; raises as an engine that opens it."""
        rows = await self._run(self._stamped)
        return _version.check(rows[0] if rows else None)

    def _stamped(self) -> list[Row]:
        if (_names.SCHEMA,) not in self._conn.execute(_TABLES).fetchall():
            msg = "the source holds no tables of grantflow"
            raise NotFound(msg)
        return self._conn.execute(SCHEMA_ROW).fetchall()

    async def count(self, shape: Shape) -> int:
        """See Side."""
        return int((await self._rows(f"SELECT count(*) FROM {shape.name}"))[0][0])

    async def read(self, shape: Shape, after: Row | None, limit: int) -> list[Row]:
        """See Side; 0 and 1 become what they mean."""
        return await self._run(self._read, shape, after, limit)

    def _read(self, shape: Shape, after: Row | None, limit: int) -> list[Row]:
        text = _copy.page(shape, after, lambda number: f"?{number}")
        rows: list[Row] = self._conn.execute(text, (*(after or ()), limit)).fetchall()
        switches = [place for place, kind in enumerate(shape.kinds) if kind is bool]
        return [_switched(row, switches) for row in rows] if switches else rows

    # -- writing --------------------------------------------------------------------------------
    async def begin(self, of: Stamp) -> Mapping[str, Reached]:
        """See Target."""
        return await self._run(self._begin, of)

    def _begin(self, of: Stamp) -> Mapping[str, Reached]:
        with self._transaction():
            present = {name for (name,) in self._conn.execute(_TABLES)}
            if not present:
                for statement in _ddl.statements():
                    if not _copy.INDEX.match(statement):
                        self._conn.execute(statement)
                self._conn.execute(_copy.MADE)
                self._conn.execute(_NOTE, (_copy.WHOLE, str(of.made_at), 0))
                return {}
            notes = self._conn.execute(_copy.NOTES).fetchall() if _names.COPY in present else []
        return _copy.reached(notes, of)

    async def write(self, shape: Shape, rows: Sequence[Row], reached: Reached) -> None:
        """See Target."""
        try:
            await self._run(self._write, shape, rows, reached)
        except DatabaseError as error:
            if isinstance(error.__cause__, sqlite3.IntegrityError):
                raise _copy.refused(shape, rows, reached, error) from error
            raise

    def _write(self, shape: Shape, rows: Sequence[Row], reached: Reached) -> None:
        names, places = ", ".join(f'"{name}"' for name in shape.columns), ", ".join("?" * len(shape.columns))
        with self._transaction():
            self._conn.executemany(f"INSERT INTO {shape.name} ({names}) VALUES ({places})", rows)
            self._conn.execute(_NOTE, (shape.name, _copy.noted(reached.after), reached.rows))

    async def index(self, progress: Progress) -> None:
        """See Target."""
        for text in _copy.indexes(_ddl.statements(), progress):
            await self._rows(text)

    async def finish(self, of: Stamp) -> None:
        """See Target."""
        await self._run(self._finish, of)

    def _finish(self, of: Stamp) -> None:
        with self._transaction():
            self._conn.execute(_version.INSERT, of)
            self._conn.execute(f"DROP TABLE {_names.COPY}")

    async def forget(self) -> None:
        """See Target."""
        await self._run(self._forget)

    def _forget(self) -> None:
        with self._transaction():
            present = [name for (name,) in self._conn.execute(_TABLES)]
            for name in present if _names.COPY in present else ():
                self._conn.execute(f"DROP TABLE {name}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._conn.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._conn.execute("COMMIT")
        except BaseException:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
            raise

    async def _rows(self, sql: str) -> list[Row]:
        return await self._run(lambda: self._conn.execute(sql).fetchall())

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        async with self._one:
            try:
                return await asyncio.to_thread(function, *args)
            except sqlite3.Error as error:
                raise translated(error) from error


@asynccontextmanager
async def reading(path: Path, timeout: float) -> AsyncIterator[SqliteSide]:
    """The source: until the block ends nobody writes to it."""
    there(path)
    async with _connected(path, timeout, "BEGIN IMMEDIATE") as conn:
        yield SqliteSide(conn)


@asynccontextmanager
async def writing(path: Path, timeout: float) -> AsyncIterator[SqliteSide]:
    """The target."""
    async with _connected(path, timeout, "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL") as conn:
        yield SqliteSide(conn)


@asynccontextmanager
async def _connected(path: Path, timeout: float, *first: str) -> AsyncIterator[sqlite3.Connection]:
    """A connection for whatever thread, under the lock of all who write."""

    def opened() -> sqlite3.Connection:
        stack.enter_context(sole_writer(path, timeout))
        made = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
        stack.callback(made.close)
        for text in first:
            made.execute(text)
        return made

    with ExitStack() as stack:
        try:
            yield await ended(asyncio.create_task(asyncio.to_thread(opened)))
        except sqlite3.Error as error:
            raise translated(error) from error


def _switched(row: Row, places: Sequence[int]) -> Row:
    values = list(row)
    for place in places:
        if values[place] in {0, 1}:
            values[place] = values[place] == 1
    return tuple(values)
