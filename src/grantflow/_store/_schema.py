"""Creating the schema, and refusing one that another release wrote."""

from __future__ import annotations

import sqlite3

from grantflow._store import _names
from grantflow._store._statements import SCHEMA_ROW
from grantflow.errors import DatabaseError, SchemaMismatch
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
            conn.execute(f"INSERT INTO {_names.SCHEMA} VALUES (?, ?)", (_names.SCHEMA_VERSION, now))
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
    try:
        row = conn.execute(SCHEMA_ROW).fetchone()
    except sqlite3.Error as error:
        msg = "the file holds tables of grantflow but no schema version"
        raise DatabaseError(msg) from error
    if row is None or row[0] != _names.SCHEMA_VERSION:
        found = "none" if row is None else row[0]
        msg = f"the database has schema version {found}, this release needs {_names.SCHEMA_VERSION}"
        raise SchemaMismatch(msg)
