"""The bridge: one asyncpg connection behind the methods the plain functions of this package call.

Those functions run in a greenlet of the event loop's thread and wait for the server without blocking the loop, so
that reading and writing rows is said once for both databases.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.util import await_, greenlet_spawn

from grantflow._store._connection import RowRefused
from grantflow._store._pg_dialect import spoken

T = TypeVar("T")
Row = tuple[Any, ...]
_TRANSACTION_WORDS = ("SAVEPOINT ", "ROLLBACK TO ", "RELEASE ")


class Answer:
    """What a statement came to."""

    __slots__ = ("_rows",)

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    @property
    def rowcount(self) -> int:
        """Rows that were written: each of them came back."""
        return len(self._rows)

    @property
    def lastrowid(self) -> int | None:
        """The key of the row that was made."""
        return int(self._rows[0][0]) if self._rows else None

    def fetchone(self) -> Row | None:
        """The first row."""
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[Row]:
        """Every row."""
        return self._rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)


class Bridge:
    """Runs statements; only from inside `crossing`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn

    @property
    def slot(self) -> int:
        """Which slot of the counters is this connection's: its neighbours have others."""
        return int(self._conn.get_server_pid()) % 64

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Answer:
        """Run one statement."""
        if sql.startswith(_TRANSACTION_WORDS):
            _wait(self._conn.execute(sql))
            return Answer([])
        made = spoken(sql)
        return Answer([tuple(row) for row in _wait(self._conn.fetch(made.returning, *made.bound(parameters)))])

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Answer:
        """Run one statement for each of many rows, in one round, and as one statement where it can be."""
        made = spoken(sql)
        rows = [made.bound(values) for values in parameters]
        if not rows:
            return Answer([])
        if made.many is not None and len(rows) > 1 and _each_once(rows, made.key):
            return Answer(
                [tuple(row) for row in _wait(self._conn.fetch(made.many, *map(list, zip(*rows, strict=True))))]
            )
        return Answer([tuple(row) for row in _wait(self._conn.fetchmany(made.returning, rows))])

    def fetch(self, sql: str, *values: Any) -> list[Row]:
        """Run a statement that is written for PostgreSQL alone."""
        return [tuple(row) for row in _wait(self._conn.fetch(sql, *values))]


async def crossing(conn: asyncpg.Connection, function: Callable[..., T], *args: Any) -> T:
    """Run a plain function over a connection."""
    return await greenlet_spawn(function, Bridge(conn), *args)


def _each_once(rows: list[Sequence[Any]], key: int | None) -> bool:
    """Whether no row is named twice."""
    return key is None or len({values[key] for values in rows}) == len(rows)


def _wait(call: Awaitable[T]) -> T:
    try:
        return await_(call)
    except asyncpg.IntegrityConstraintViolationError as error:
        raise RowRefused(type(error).__name__) from None  # the server's own words quote the row
    except asyncpg.DataError as error:
        if isinstance(error.__cause__, (ValueError, TypeError, OverflowError)):  # refused before it was sent
            raise error.__cause__ from None
        raise
