"""The bridge: one asyncpg connection behind the methods the plain functions of this package call.

Those functions run in a greenlet of the event loop's thread and wait for the server without blocking the loop, so
that reading and writing rows is said once for both databases. A write whose answer nobody looks at waits for the
next ones: writes to different tables go to the server as one statement, because each way there and back costs more
than the write itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.util import await_, greenlet_spawn

from grantflow._store._connection import RowRefused
from grantflow._store._pg_dialect import spoken

T = TypeVar("T")
Row = tuple[Any, ...]
_TRANSACTION_WORDS = ("SAVEPOINT ", "ROLLBACK TO ", "RELEASE ")
_PLACE = re.compile(r"\$(\d+)")


class Answer:
    """What a statement came to; a write is carried out at the latest when somebody asks."""

    __slots__ = ("_ask", "_rows")

    def __init__(self, rows: list[Row] | None = None, ask: Callable[[], list[Row]] | None = None) -> None:
        self._rows = rows
        self._ask = ask

    @property
    def rowcount(self) -> int:
        """Rows that were written: each of them came back."""
        return len(self.fetchall())

    @property
    def lastrowid(self) -> int | None:
        """The key of the row that was made."""
        rows = self.fetchall()
        return int(rows[0][0]) if rows else None

    def fetchone(self) -> Row | None:
        """The first row."""
        rows = self.fetchall()
        return rows[0] if rows else None

    def fetchall(self) -> list[Row]:
        """Every row."""
        if self._rows is None:
            assert self._ask is not None
            self._rows = self._ask()
        return self._rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self.fetchall())


@dataclass(slots=True, eq=False)
class _Waiting:
    """A write that was not sent yet."""

    table: str
    sql: str
    values: Sequence[Any]


class Bridge:
    """Runs statements; only from inside `crossing`."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn
        self._waiting: list[_Waiting] = []
        self._one_by_one = False

    @property
    def slot(self) -> int:
        """Which slot of the counters is this connection's: its neighbours have others."""
        return int(self._conn.get_server_pid()) % 64

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Answer:
        """Run one statement."""
        if sql.startswith(_TRANSACTION_WORDS):
            self.finish()
            self._one_by_one = not sql.startswith("RELEASE ")  # what fails behind a savepoint must fail there
            _wait(self._conn.execute(sql))
            return Answer([])
        made = spoken(sql)
        return self._write_or_read(made.table, made.returning, made.bound(parameters))

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Answer:
        """Run one statement for each of many rows, in one round, and as one statement where it can be."""
        made = spoken(sql)
        rows = [made.bound(values) for values in parameters]
        if len(rows) == 1:
            return self._write_or_read(made.table, made.returning, rows[0])
        if not rows:
            return Answer([])
        if made.many is not None and _each_once(rows, made.keys):
            return self._write_or_read(made.table, made.many, [list(column) for column in zip(*rows, strict=True)])
        self.finish()
        return Answer([tuple(row) for row in _wait(self._conn.fetchmany(made.returning, rows))])

    def fetch(self, sql: str, *values: Any) -> list[Row]:
        """Run a statement that is written for PostgreSQL alone."""
        return [tuple(row) for row in _wait(self._conn.fetch(sql, *values))]

    def finish(self) -> None:
        """Send every write that waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            sql = waiting[0].sql if len(waiting) == 1 else _together(tuple(one.sql for one in waiting))
            self.fetch(sql, *(value for one in waiting for value in one.values))

    def _write_or_read(self, table: str | None, sql: str, values: Sequence[Any]) -> Answer:
        if table is None or self._one_by_one:
            self.finish()
            return Answer(self.fetch(sql, *values))
        if any(one.table == table for one in self._waiting):
            self.finish()  # writes to one table keep their order
        mine = _Waiting(table, sql, values)
        self._waiting.append(mine)
        return Answer(ask=lambda: self._asked(mine))

    def _asked(self, mine: _Waiting) -> list[Row]:
        """The answer to a write, which is the last one; those before it go first."""
        if mine not in self._waiting:
            msg = "the answer to a write was asked for after other statements"
            raise RuntimeError(msg)
        self._waiting.remove(mine)
        self.finish()
        return self.fetch(mine.sql, *mine.values)


async def crossing(conn: asyncpg.Connection, function: Callable[..., T], *args: Any) -> T:
    """Run a plain function over a connection; its writes have been sent when it is over."""
    bridge = Bridge(conn)

    def whole() -> T:
        result = function(bridge, *args)
        bridge.finish()
        return result

    return await greenlet_spawn(whole)


@lru_cache(maxsize=1024)
def _together(texts: tuple[str, ...]) -> str:
    """Writes to different tables as one statement."""
    parts, count = [], 0
    for text in texts:
        parts.append(_PLACE.sub(lambda found, before=count: f"${before + int(found[1])}", text))  # type: ignore[misc]
        count += max((int(place) for place in _PLACE.findall(text)), default=0)
    return f"WITH {', '.join(f'w{number} AS ({part})' for number, part in enumerate(parts))} SELECT 1"


def _each_once(rows: list[Sequence[Any]], keys: tuple[int, ...]) -> bool:
    """Whether no row is named twice."""
    return not keys or len({tuple(values[key] for key in keys) for values in rows}) == len(rows)


def _wait(call: Awaitable[T]) -> T:
    try:
        return await_(call)
    except asyncpg.IntegrityConstraintViolationError as error:
        raise RowRefused(type(error).__name__) from None  # the server's own words quote the row
    except asyncpg.DataError as error:
        if isinstance(error.__cause__, (ValueError, TypeError, OverflowError)):  # refused before it was sent
            raise error.__cause__ from None
        raise
