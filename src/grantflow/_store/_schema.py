"""Creating the schema, and refusing one that another release wrote."""

from __future__ import annotations

import sqlite3

from grantflow._store import _names, _version
from grantflow._store._statements import SCHEMA_ROW
from grantflow.errors import DatabaseError
from grantflow_machines import Instant


def ensure(conn: sqlite3.Connection, now: Instant) -> None:
    """Create an empty database's schema in one transaction; check the version of any other one."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        present = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if not any(name.startswith("grantflow_") for name in present):
            from grantflow._store._ddl import statements  # half a second, and only a new file needs it

            for statement in statements():
                conn.execute(statement)
            conn.execute(_version.INSERT, (_names.SCHEMA_VERSION, now, _names.COMPATIBLE_FROM))
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
    try:
        row = conn.execute(SCHEMA_ROW).fetchone()
        _version.check(row, unfinished=row is None and _names.COPY in present)
    except sqlite3.Error as error:
        msg = "the file holds tables of grantflow but no schema version"
        raise DatabaseError(msg) from error
