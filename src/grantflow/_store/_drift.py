"""What a database has beside, or without, what the tables say: what alembic compares, and what it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Index, MetaData, inspect

from grantflow._store import _ddl, _names, _pg_schema, _tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

_PREFIX = "grantflow_"
_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')",
}
_CREATE_TRIGGER = re.compile(r"CREATE TRIGGER (\w+)")
_NOT_BYTEWISE = (
    "SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
    "JOIN pg_collation l ON l.oid = a.attcollation WHERE c.relkind = 'r' AND c.relname LIKE 'grantflow\\_%' "
    "AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND l.collname <> 'C'"
)
_REFERENCES = (
    (_names.PARENT, "app_pk", _names.APP),
    (_names.INSTALLATION, "app_pk", _names.APP),
    (_names.ATTEMPT, "app_pk", _names.APP),
    (_names.ATTEMPT, "installation_pk", _names.INSTALLATION),
    (_names.TOKEN_SET, "installation_pk", _names.INSTALLATION),
    (_names.CREDENTIAL, "installation_pk", _names.INSTALLATION),
    (_names.TRANSITION, "installation_pk", _names.INSTALLATION),
    (_names.REVOCATION, "app_pk", _names.APP),
    (_names.INCIDENT, "app_pk", _names.APP),
    (_names.QUARANTINE, "installation_pk", _names.INSTALLATION),
    (_names.JOB_ITEM, "job_pk", _names.JOB),
)
"""Columns that name a row of another table; no row that is named is ever deleted."""


def drift(connection: Connection) -> list[str]:
    """How the schema differs from this release's, in words; empty when it does not."""
    metadata = _metadata(connection)
    options = {"include_name": _ours, "compare_type": True, "compare_server_default": False}
    context = MigrationContext.configure(connection, opts=options)
    found = [words for difference in compare_metadata(context, metadata) for words in _told(difference)]
    missing = {words.rpartition(" ")[2] for words in found}
    found += [words for words in _conditions(connection, metadata) if words.rpartition(" ")[2] not in missing]
    return [*found, *_triggers(connection), *_collations(connection)]


def orphans(connection: Connection) -> Iterator[str]:
    """Rows that belong to a row that is not there."""
    for table, column, parent in _REFERENCES:
        count = connection.exec_driver_sql(
            f"SELECT count(*) FROM {table} x WHERE x.{column} IS NOT NULL "
            f"AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.pk = x.{column})"
        ).scalar_one()
        if count:
            yield f"{count:,} rows of {table} belong to a row of {parent} that is not there"


def _metadata(connection: Connection) -> MetaData:
    return _tables.Base.metadata if connection.dialect.name == "sqlite" else _pg_schema.metadata()


def _ours(name: str | None, kind: str, _: Any) -> bool:
    return kind != "table" or (name or "").startswith(_PREFIX)


def _told(difference: Any) -> Iterator[str]:
    if isinstance(difference, list):  # everything about one column
        for one in difference:
            kind, _, table, column, *_, old, new = one
            what = kind.removeprefix("modify_")
            yield f"{what} is {old}, not {new}, at the column {table}.{column}"
        return
    kind, *rest = difference
    verb, _, what = str(kind).partition("_")
    says = "is missing" if verb == "add" else "is not of this schema"
    thing = rest[-1]
    name = f"{rest[-2]}.{thing.name}" if what == "column" else getattr(thing, "name", None) or _columns_of(thing)
    yield f"{says}: the {what} {name}"


def _columns_of(constraint: Any) -> str:
    return f"{constraint.table.name}({','.join(column.name for column in constraint.columns)})"


def _conditions(connection: Connection, metadata: MetaData) -> Iterator[str]:
    """Indexes of some rows: alembic does not look at which."""
    dialect, look = connection.dialect.name, inspect(connection)
    present = set(look.get_table_names())
    for table in metadata.sorted_tables:
        if table.name not in present:
            continue
        there = {one["name"]: one.get("dialect_options", {}) for one in look.get_indexes(table.name)}
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            found = there.get(str(index.name))
            if found is not None and _bare(found.get(f"{dialect}_where")) != _bare(_where(index, dialect)):
                yield f"is for other rows: the index {index.name}"


def _where(index: Index, dialect: str) -> object:
    return index.dialect_options[dialect]["where"]


def _bare(condition: object) -> str:
    """A condition without what a database adds when it repeats it."""
    text = "" if condition is None else re.sub(r"::\w+|[\s()]", "", str(condition)).lower()
    return re.sub(r"(\w+)=true", r"\1", text)


def _triggers(connection: Connection) -> Iterator[str]:
    statements = _ddl.statements() if connection.dialect.name == "sqlite" else _pg_schema.statements()
    wanted = {found[1] for text in statements if (found := _CREATE_TRIGGER.match(text))}
    there = {str(row[0]) for row in connection.exec_driver_sql(_TRIGGERS[connection.dialect.name])}
    for name in sorted(wanted - there):
        yield f"is missing: the trigger {name}"
    for name in sorted(name for name in there - wanted if name.startswith(_PREFIX)):
        yield f"is not of this schema: the trigger {name}"


def _collations(connection: Connection) -> Iterator[str]:
    if connection.dialect.name == "postgresql":
        for (name,) in connection.exec_driver_sql(_NOT_BYTEWISE):
            yield f"is not compared byte by byte: the column {name}"
