"""Upgrading a PostgreSQL database: each step is a transaction of its own, and one upgrade is at work at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from grantflow._database_model import Progress, Upgraded
from grantflow._store import _upgrade
from grantflow._store._pg_errors import DATABASE_FAILURES, translated
from grantflow.errors import ConfigurationError, DatabaseBusy
from grantflow_machines import Actor, Instant

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")
LOCK = "SELECT pg_try_advisory_lock(hashtext('grantflow'), hashtext(current_schema()))"
"""Let go of when the connection ends, whatever ends it."""


async def upgrade(url: str, timeout: float, actor: Actor, now: Instant, *, progress: Progress) -> Upgraded:
    """Every step that is left; what was committed before a stop is not done again."""

    def work(connection: Connection) -> Upgraded:
        if not connection.exec_driver_sql(LOCK).scalar_one():
            msg = "another upgrade is at work on this database"
            raise DatabaseBusy(msg, hint="wait for it; this one would have nothing left to do")
        told = _upgrade.planned(connection)
        _, steps = _upgrade.ahead(connection)
        connection.rollback()
        for number, step in enumerate(steps):
            progress(step.doc, number, len(steps))
            with connection.begin():
                _upgrade.take(connection, step, actor, now)
        return Upgraded(told.version, told.target, told.steps)

    return await run(url, timeout, work)


async def run(url: str, timeout: float, work: Callable[[Connection], T]) -> T:
    """Some work on a connection as SQLAlchemy and alembic know it."""
    async with connected(url, timeout) as own:

        async def handed_over() -> asyncpg.Connection:
            return own

        engine = create_async_engine(
            "postgresql+asyncpg://", async_creator=handed_over, poolclass=NullPool, hide_parameters=True
        )
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(work)
        except DBAPIError as error:
            cause = error.orig.__cause__ if error.orig is not None else None
            if isinstance(cause, DATABASE_FAILURES):
                raise translated(cause) from error
            raise
        finally:
            await engine.dispose()


@asynccontextmanager
async def connected(url: str, timeout: float) -> AsyncIterator[asyncpg.Connection]:
    """A connection for work on the whole database; a lock that is not free is waited for, but not for ever."""
    try:
        own = await asyncpg.connect(url, timeout=timeout)
        try:
            await own.execute(
                f"SET application_name = 'grantflow'; SET lock_timeout = {int(timeout * 1000)}; "
                "SET default_transaction_isolation = 'read committed'"
            )
            yield own
        finally:
            await own.close(timeout=timeout)
    except (ValueError, asyncpg.ClientConfigurationError) as error:
        msg = "the database URL cannot be read"
        raise ConfigurationError(msg, hint="use postgresql://user@host/database") from error
    except DATABASE_FAILURES as error:
        raise translated(error) from error
