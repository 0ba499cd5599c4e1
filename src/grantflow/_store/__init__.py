"""The only home of SQL: opens the adapter a database URL names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from grantflow._config import Settings
from grantflow.errors import ConfigurationError

if TYPE_CHECKING:
    from grantflow._ports import Store
    from grantflow_machines import Instant


async def open_store(url: str, settings: Settings, now: Instant) -> Store:
    """Open the store behind a URL; raises ConfigurationError for an unknown scheme."""
    if is_sqlite(url):
        from grantflow._store.sqlite import SqliteStore

        return await SqliteStore.open(url, settings, now)
    from grantflow._store.postgres import PostgresStore

    return await PostgresStore.open(url, settings, now)


def is_sqlite(url: str) -> bool:
    """A SQLite file, or else PostgreSQL; raises ConfigurationError for anything else, and without the driver."""
    if url.startswith("sqlite:"):
        return True
    if url.startswith(("postgresql:", "postgres:")):
        try:
            import_module("asyncpg")
        except ImportError as error:
            msg = "PostgreSQL needs a driver that is not installed"
            raise ConfigurationError(msg, hint="pip install 'grantflow[postgres]'") from error
        return False
    scheme = url.split(":", 1)[0][:20]
    msg = f"unknown database scheme {scheme!r}"
    raise ConfigurationError(msg, hint="use sqlite:///grants.db or postgresql://user@host/database")
