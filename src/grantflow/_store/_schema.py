"""Creating the schema, and refusing one that another release wrote."""

from __future__ import annotations

import sqlite3

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from grantflow._store import _tables
from grantflow._store._statements import SCHEMA_ROW, table_of
from grantflow.errors import DatabaseError, SchemaMismatch
from grantflow_machines import Instant


def statements() -> list[str]:
    """The whole schema, in order."""
    dialect = sqlite.dialect()
    made = []
    for table in _tables.Base.metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made.extend(str(CreateIndex(index).compile(dialect=dialect)) for index in sorted(table.indexes, key=_name))
    for model in _tables.APPEND_ONLY:
        name = table_of(model).name
        made.extend(
            f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
            f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
            for verb in ("UPDATE", "DELETE")
        )
    return made


def _name(index: object) -> str:
    return str(getattr(index, "name", ""))


def ensure(conn: sqlite3.Connection, now: Instant) -> None:
    """Create an empty database's schema in one transaction; check the version of any other one."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        present = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if not any(name.startswith("grantflow_") for name in present):
            for statement in statements():
                conn.execute(statement)
            conn.execute(f"INSERT INTO {table_of(_tables.Schema).name} VALUES (?, ?)", (_tables.SCHEMA_VERSION, now))
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
    if row is None or row[0] != _tables.SCHEMA_VERSION:
        found = "none" if row is None else row[0]
        msg = f"the database has schema version {found}, this release needs {_tables.SCHEMA_VERSION}"
        raise SchemaMismatch(msg)
