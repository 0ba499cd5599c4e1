"""The statements that create the schema; the one part of the store that needs SQLModel while the engine runs."""

from __future__ import annotations

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from grantflow._store import _tables


def statements() -> list[str]:
    """The whole schema, in order."""
    dialect = sqlite.dialect()
    made = []
    for table in _tables.Base.metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made.extend(str(CreateIndex(index).compile(dialect=dialect)) for index in sorted(table.indexes, key=_name))
    for model in _tables.APPEND_ONLY:
        name = _tables.table_of(model).name
        made.extend(
            f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
            f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
            for verb in ("UPDATE", "DELETE")
        )
    return made


def _name(index: object) -> str:
    return str(getattr(index, "name", ""))
