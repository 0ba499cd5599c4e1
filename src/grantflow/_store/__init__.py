"""The only home of SQL: opens the adapter a database URL names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantflow._config import Settings
from grantflow.errors import ConfigurationError

if TYPE_CHECKING:
    from grantflow._ports import Store
    from grantflow_machines import Instant


async def open_store(url: str, settings: Settings, now: Instant) -> Store:
    """Open the store behind a URL; raises ConfigurationError for an unknown scheme."""
    if url.startswith("sqlite:"):
        from grantflow._store.sqlite import SqliteStore

        return await SqliteStore.open(url, settings, now)
    if url.startswith(("postgresql:", "postgres:")):
        try:
            from grantflow._store.postgres import PostgresStore
        except ImportError as error:
            msg = "PostgreSQL needs a driver that is not installed"
            raise ConfigurationError(msg, hint="pip install 'grantflow[postgres]'") from error
        return await PostgresStore.open(url, settings, now)
    scheme = url.split(":", 1)[0][:20]
    msg = f"unknown database scheme {scheme!r}"
    raise ConfigurationError(msg, hint="use sqlite:///grants.db or postgresql://user@host/database")
