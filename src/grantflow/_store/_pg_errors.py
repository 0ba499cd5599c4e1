"""PostgreSQL's errors become ours at the border; no message repeats the address or a value."""

from __future__ import annotations

import asyncpg

from grantflow._store._connection import RowRefused
from grantflow.errors import (
    BadInput,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnreachable,
    GrantflowError,
)

_CLIENT_FAILURES = (asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The second: a connection that is cut while the driver is about something else, or no server of a list that fits."""
DATABASE_FAILURES = (asyncpg.PostgresError, *_CLIENT_FAILURES, OSError, TimeoutError, RowRefused)
"""Whatever a call to the database may raise beside our own errors."""
_AWAY = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")
_AGAIN = ("40001", "40P01")
_KINDS: tuple[tuple[str, type[DatabaseError]], ...] = (
    *((code, DatabaseUnreachable) for code in _AWAY),
    ("25006", DatabaseReadOnly),
    ("53100", DatabaseFull),
    ("53300", DatabaseBusy),
    ("55P03", DatabaseBusy),
    *((code, DatabaseBusy) for code in _AGAIN),
)
_HINTS = (
    ("28", "check the user and the password in the URL, and pg_hba.conf"),
    ("3D000", "create the database first: createdb NAME"),
    ("42501", "grant this user the right to it: GRANT ALL ON SCHEMA … TO …"),
)


def is_away(error: BaseException | None) -> bool:
    """Whether the connection is gone: the server, or the way to it."""
    if isinstance(error, asyncpg.PostgresError):
        return _code(error).startswith(_AWAY)
    return isinstance(error, (*_CLIENT_FAILURES, OSError)) and not isinstance(error, TimeoutError)


def may_run_again(error: BaseException) -> bool:
    """Whether a whole transaction that was rolled back may simply be run again."""
    return is_away(error) or (isinstance(error, asyncpg.PostgresError) and _code(error) in _AGAIN)


def translated(error: BaseException) -> GrantflowError:
    """The typed error for one of asyncpg's."""
    if isinstance(error, RowRefused):
        return DatabaseError(f"the database failed: {error}")
    if isinstance(error, asyncpg.PostgresError):
        code = _code(error)
        if code == "22021":
            return BadInput("a text that was passed is not valid")
        for prefix, kind in _KINDS:
            if code.startswith(prefix):
                return kind()
        hint = next((hint for prefix, hint in _HINTS if code.startswith(prefix)), None)
        return DatabaseError(f"the database failed: {type(error).__name__}", hint=hint)
    if isinstance(error, TimeoutError):
        return DatabaseBusy("no connection to the database was free for too long")
    return DatabaseUnreachable()


def _code(error: asyncpg.PostgresError) -> str:
    return str(error.sqlstate or "")
