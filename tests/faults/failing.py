"""Connections whose calls fail when told to, as a disk, a file system or another process makes them fail."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiosqlite

from grantflow._store import sqlite as adapter

KINDS: dict[str, tuple[type[sqlite3.Error], int]] = {
    "SQLITE_FULL": (sqlite3.OperationalError, sqlite3.SQLITE_FULL),
    "SQLITE_IOERR_FSYNC": (sqlite3.OperationalError, sqlite3.SQLITE_IOERR_FSYNC),
    "SQLITE_BUSY": (sqlite3.OperationalError, sqlite3.SQLITE_BUSY),
    "SQLITE_READONLY_DBMOVED": (sqlite3.OperationalError, sqlite3.SQLITE_READONLY_DBMOVED),
    "SQLITE_CORRUPT": (sqlite3.DatabaseError, sqlite3.SQLITE_CORRUPT),
    "SQLITE_NOMEM": (sqlite3.OperationalError, sqlite3.SQLITE_NOMEM),
}
ROLLS_BACK = {"SQLITE_FULL", "SQLITE_IOERR_FSYNC", "SQLITE_NOMEM"}
"""After these SQLite may have rolled back by itself."""


def error_of(name: str) -> sqlite3.Error:
    """The error as the driver raises it."""
    kind, code = KINDS[name]
    error = kind(f"a drill: {name}")
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


class Plan:
    """Which call fails, counted from `begin`."""

    def __init__(self) -> None:
        self.number, self.until, self.kind = 0, 0, ""
        self.made = 0
        self.failed = 0

    def begin(self, number: int = 0, kind: str = "", *, lasting: bool = False) -> None:
        """From now on count anew, and let one call fail, or that one and all that follow."""
        self.made = self.failed = 0
        self.number, self.kind = number, kind
        self.until = 1 << 62 if lasting else number

    def around(self, call: Callable[[], Any], conn: sqlite3.Connection, text: str) -> Any:
        """One call; a ROLLBACK never fails by itself."""
        self.made += 1
        if self.number and self.number <= self.made <= self.until and text != "ROLLBACK":
            self.failed += 1
            if self.kind in ROLLS_BACK and conn.in_transaction and self.number % 2:
                conn.rollback()
            raise error_of(self.kind)
        return call()


@contextmanager
def failing_connections() -> Iterator[Plan]:
    """Every connection the adapter opens inside the block obeys the plan."""
    plan = Plan()

    class Failing(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            made: sqlite3.Cursor = plan.around(partial(super().execute, sql, *values), self, sql)
            return made

        def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
            made: sqlite3.Cursor = plan.around(partial(super().executemany, sql, *values), self, sql)
            return made

    def connect(path: Any, **settings: Any) -> Any:
        return aiosqlite.core.connect(path, factory=Failing, **settings)

    sound = vars(adapter)["aiosqlite"]
    double = SimpleNamespace(connect=connect, Connection=aiosqlite.Connection)
    setattr(adapter, "aiosqlite", double)  # noqa: B010 - the adapter keeps its library to itself
    try:
        yield plan
    finally:
        setattr(adapter, "aiosqlite", sound)  # noqa: B010 - the same
