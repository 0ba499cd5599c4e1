"""Foreign errors become ours at the border."""

from __future__ import annotations

import sqlite3

from grantflow.errors import DatabaseBusy, DatabaseError, DatabaseFull, DatabaseReadOnly

_KINDS: dict[int, type[DatabaseError]] = {
    sqlite3.SQLITE_BUSY: DatabaseBusy,
    sqlite3.SQLITE_LOCKED: DatabaseBusy,
    sqlite3.SQLITE_READONLY: DatabaseReadOnly,
    sqlite3.SQLITE_FULL: DatabaseFull,
}


def translated(error: sqlite3.Error) -> DatabaseError:
    """The typed error for one of sqlite3's; statement parameters are not repeated."""
    code = getattr(error, "sqlite_errorcode", None)
    kind = _KINDS.get(code & 0xFF, DatabaseError) if isinstance(code, int) else DatabaseError
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    if kind is DatabaseError:
        return DatabaseError(f"the database failed: {name}")
    return kind()
