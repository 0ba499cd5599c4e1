"""A PostgreSQL database as the source or the target of a copy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from grantflow._database_model import Progress
from grantflow._store import _copy, _names, _pg_schema, _version
from grantflow._store._copy import SHAPES, Reached, Row, Shape
from grantflow._store._pg_dialect import spoken
from grantflow._store._pg_errors import DATABASE_FAILURES, translated
from grantflow._store._statements import SCHEMA_ROW
from grantflow._store._upgrade_pg import LOCK, connected
from grantflow._store._version import Stamp
from grantflow.errors import DatabaseBusy, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'grantflow\\_%'"
_NOTE = (
    f"INSERT INTO {_names.COPY} (name, after, rows) VALUES ($1, $2, $3) "
    "ON CONFLICT (name) DO UPDATE SET after = excluded.after, rows = excluded.rows"
)
_FUNCTION = "DROP FUNCTION IF EXISTS grantflow_append_only()"
_IN_ORDER = "SET enable_sort = off; SET enable_seqscan = off; SET enable_bitmapscan = off"
"""Nothing is known yet about tables that were just filled, and a page of them is to be read by their key."""
_REFUSES = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError, TypeError, OverflowError)
"""What a row brings about that cannot be written, here or by the driver."""


class PgSide:
    """Either role."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn
        self._one = asyncio.Lock()

    # -- reading --------------------------------------------------------------------------------
    async def stamp(self) -> Stamp:
        """See Source; raises as an engine that opens it."""
        try:
            row = await self._conn.fetchrow(SCHEMA_ROW)
        except asyncpg.UndefinedTableError as error:
            msg = "the source holds no tables of grantflow"
            raise NotFound(msg) from error
        return _version.check(row)

    async def count(self, shape: Shape) -> int:
        """See Side."""
        return int(await self._conn.fetchval(f"SELECT count(*) FROM {shape.name}"))

    async def read(self, shape: Shape, after: Row | None, limit: int) -> list[Row]:
        """See Side."""
        async with self._one:
            text = _copy.page(shape, after, lambda number: f"${number}")
            return [tuple(row) for row in await self._conn.fetch(text, *(after or ()), limit)]

    # -- writing --------------------------------------------------------------------------------
    async def begin(self, of: Stamp) -> Mapping[str, Reached]:
        """See Target."""
        async with self._conn.transaction():
            present = await self._present()
            if not present:
                for statement in _pg_schema.statements():
                    if not _copy.INDEX.match(statement):
                        await self._conn.execute(statement)
                await self._conn.execute(_copy.MADE)
                await self._conn.execute(_NOTE, _copy.WHOLE, str(of.made_at), 0)
                return {}
            notes = await self._conn.fetch(_copy.NOTES) if _names.COPY in present else []
        return _copy.reached([tuple(note) for note in notes], of)

    async def write(self, shape: Shape, rows: Sequence[Row], reached: Reached) -> None:
        """See Target."""
        try:
            async with self._one, self._conn.transaction():
                await self._conn.copy_records_to_table(shape.name, records=rows, columns=shape.columns)
                await self._conn.execute(_NOTE, shape.name, _copy.noted(reached.after), reached.rows)
        except _REFUSES as error:
            raise _copy.refused(shape, rows, reached, error) from error

    async def index(self, progress: Progress) -> None:
        """See Target."""
        for text in _copy.indexes(_pg_schema.statements(), progress):
            await self._conn.execute(text)
        await self._conn.execute(f"ANALYZE {', '.join(shape.name for shape in SHAPES)}")

    async def finish(self, of: Stamp) -> None:
        """See Target; new rows get the keys after the last one."""
        async with self._conn.transaction():
            for table in _counted():
                last = f"(SELECT max(pk) FROM {table})"
                await self._conn.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'pk'), {last}) WHERE {last} IS NOT NULL"
                )
            await self._conn.execute(spoken(_version.INSERT).sql, *of)
            await self._conn.execute(f"DROP TABLE {_names.COPY}")

    async def forget(self) -> None:
        """See Target."""
        async with self._conn.transaction():
            present = await self._present()
            if _names.COPY in present:
                await self._conn.execute(f"DROP TABLE {', '.join(sorted(present))}")
                await self._conn.execute(_FUNCTION)

    async def _present(self) -> set[str]:
        return {str(row[0]) for row in await self._conn.fetch(_TABLES)}


def _counted() -> Iterator[str]:
    return (shape.name for shape in SHAPES if "pk" in shape.columns)


@asynccontextmanager
async def reading(url: str, timeout: float) -> AsyncIterator[PgSide]:
    """The source: until the block ends nobody writes to it."""
    async with _translating(), connected(url, timeout) as conn, conn.transaction(isolation="repeatable_read"):
        await conn.execute(_IN_ORDER)
        present = {str(row[0]) for row in await conn.fetch(_TABLES)}
        if present:
            await conn.execute(f"LOCK TABLE {', '.join(sorted(present))} IN SHARE MODE")
        yield PgSide(conn)


@asynccontextmanager
async def writing(url: str, timeout: float) -> AsyncIterator[PgSide]:
    """The target; one copy or upgrade is at work on it."""
    async with _translating(), connected(url, timeout) as conn:
        if not await conn.fetchval(LOCK):
            msg = "another copy or upgrade is at work on the target"
            raise DatabaseBusy(msg, hint="wait for it")
        await conn.execute(_IN_ORDER)
        yield PgSide(conn)


@asynccontextmanager
async def _translating() -> AsyncIterator[None]:
    try:
        yield
    except DATABASE_FAILURES as error:
        raise translated(error) from error
