"""Creating the schema on PostgreSQL from the same tables, and refusing one that another release wrote."""

from __future__ import annotations

from typing import Any

import asyncpg
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.types import TypeEngine

from grantflow._store import _names, _tables, _version
from grantflow._store._pg_dialect import predicate, spoken
from grantflow._store._statements import SCHEMA_ROW
from grantflow._store._tables import table_of
from grantflow.errors import DatabaseError
from grantflow_machines import Instant

_REFUSE = (
    "CREATE FUNCTION grantflow_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME "
    "USING ERRCODE = 'integrity_constraint_violation'; END$$"
)
COPYING = f"SELECT to_regclass('{_names.COPY}')"
_PRESENT = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'grantflow\\_%'"


def statements() -> list[str]:
    """The whole schema, in order."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    made = []
    for table in metadata().sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made.extend(str(CreateIndex(index).compile(dialect=dialect)) for index in indexes)
    made.append(_REFUSE)
    for model in _tables.APPEND_ONLY:
        name = table_of(model).name
        made.append(
            f"CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION grantflow_append_only()"
        )
    return made


def metadata() -> MetaData:
    """The tables as PostgreSQL has them."""
    made = MetaData()
    for known in _tables.Base.metadata.sorted_tables:
        table = _table(known, made)
        for index in known.indexes:
            _index(index, table)
    return made


def _table(known: Table, metadata: MetaData) -> Table:
    columns = [
        Column(
            column.name,
            _type(column.type),
            *([Identity()] if column.name == "pk" else []),
            primary_key=column.primary_key,
            nullable=column.nullable,
            autoincrement=column.name == "pk",
        )
        for column in known.columns
    ]
    constraints: list[UniqueConstraint | CheckConstraint] = []
    for constraint in known.constraints:
        if isinstance(constraint, UniqueConstraint):
            constraints.append(UniqueConstraint(*(column.name for column in constraint.columns)))
        elif isinstance(constraint, CheckConstraint):
            constraints.append(CheckConstraint(str(constraint.sqltext)))
    return Table(known.name, metadata, *columns, *constraints)


def _type(known: TypeEngine[Any]) -> TypeEngine[Any]:
    """Numbers of one width, and texts compared byte by byte, as SQLite does."""
    if isinstance(known, Boolean):
        return Boolean()
    if isinstance(known, LargeBinary):
        return LargeBinary()
    if known.python_type is float:
        return Double()
    return BigInteger() if known.python_type is int else Text(collation="C")


def _index(known: Index, table: Table) -> Index:
    condition = known.dialect_options["sqlite"]["where"]
    return Index(
        known.name,
        *(table.columns[column.name] for column in known.columns),
        unique=known.unique,
        postgresql_where=None if condition is None else text(predicate(str(condition))),
    )


async def ensure(conn: asyncpg.Connection, now: Instant) -> None:
    """Create an empty database's schema in one transaction; check the version of any other one."""
    if not await conn.fetchval(_PRESENT):
        try:
            async with conn.transaction():
                for statement in statements():
                    await conn.execute(statement)
                values = (_names.SCHEMA_VERSION, now, _names.COMPATIBLE_FROM)
                await conn.execute(spoken(_version.INSERT).sql, *values)
        except (asyncpg.DuplicateTableError, asyncpg.DuplicateFunctionError, asyncpg.UniqueViolationError):
            pass  # another process was first
    try:
        row = await conn.fetchrow(SCHEMA_ROW)
        _version.check(row, unfinished=row is None and await conn.fetchval(COPYING) is not None)
    except asyncpg.UndefinedTableError as error:
        msg = "the database holds tables of grantflow but no schema version"
        raise DatabaseError(msg) from error
