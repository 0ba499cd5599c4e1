"""Rows of a SQLite file into a PostgreSQL database, table by table."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean

from grantflow._store import _tables
from tests.postgres.outside import Outside


def copy(file: Path, target: Outside) -> None:
    """Fill empty tables with what the file holds."""
    with closing(sqlite3.connect(file)) as source:
        for table in _tables.Base.metadata.sorted_tables:
            if table.name == "grantflow_schema":
                continue
            names = [column.name for column in table.columns]
            switches = [isinstance(column.type, Boolean) for column in table.columns]
            rows = source.execute(f"SELECT {', '.join(names)} FROM {table.name}").fetchall()
            places = ", ".join("?" * len(names))
            text = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({places})"
            if rows:
                target.executemany(text, [_typed(row, switches) for row in rows])
            if "pk" in names and rows:
                target.rows(f"SELECT setval('{table.name}_pk_seq', (SELECT max(pk) FROM {table.name}))")


def _typed(row: tuple[Any, ...], switches: list[bool]) -> tuple[Any, ...]:
    return tuple(bool(value) if switch else value for value, switch in zip(row, switches, strict=True))
