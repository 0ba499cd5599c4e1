"""The way from each version of the schema to the next, as alembic revisions: `versions/NNNN_*.py`, number by version.

A revision says what it is for (its docstring), from which code on the schema may be worked on (`COMPATIBLE_FROM`) and
which tables it writes anew (`REWRITES`). It spells its columns out: what it makes is what that version was, whatever
the tables of today are. Version 1 is the first there was; PostgreSQL has been there since version 3.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import Column, text


def add_required(table: str, column: Column[Any], value: str) -> None:
    """Add a column that may not be empty, with one value (as SQL) in every row that is there."""
    name, kind = column.name, column.type
    with op.batch_alter_table(table) as batch:
        batch.add_column(Column(name, kind, nullable=False, server_default=text(value)))
    with op.batch_alter_table(table) as batch:
        batch.alter_column(name, existing_type=kind, existing_nullable=False, server_default=None)
