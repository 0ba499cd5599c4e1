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
    scheme = url.split(":", 1)[0][:20]
    msg = f"unknown database scheme {scheme!r}"
    raise ConfigurationError(msg, hint="use sqlite:///grants.db")
