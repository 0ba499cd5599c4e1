"""Databases as earlier versions of the schema left them: dumps made by the code of that time, see tests/data."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from grantflow._store import _names

DATA = Path(__file__).parent.parent / "data"
VERSIONS = (1, 2, 3)
NOW = _names.SCHEMA_VERSION


def written(file: Path, version: int) -> Path:
    """The file a release of that version would have left."""
    with closing(sqlite3.connect(file)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.executescript((DATA / f"schema-{version}.sql").read_text(encoding="utf-8"))
    return file


def held(version: int) -> dict[str, Any]:
    """What people and apps hold in their hands: ids, access tokens, refresh tokens, the client's id."""
    told: dict[str, Any] = json.loads((DATA / f"schema-{version}.json").read_text(encoding="utf-8"))
    return told


def statements(database: str) -> list[str]:
    """Every statement that code for version 3 has for `sqlite` or `postgres`."""
    told: dict[str, list[str]] = json.loads((DATA / "statements-3.json").read_text(encoding="utf-8"))
    return told[database]


def content(file: Path, *, without: tuple[str, ...] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, with the names of the columns as the first one."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as conn:
        names = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {}
        for name in (name for name in names if name not in without):
            cursor = conn.execute(f"SELECT * FROM {name} ORDER BY 1, 2")
            rows = cursor.fetchall()
            found[name] = [tuple(column[0] for column in cursor.description), *rows]
    return found


async def served(url: str, version: int = 3) -> None:
    """What a release of version 3 would have left on a server: its own tables, and the rows of its file."""
    with closing(sqlite3.connect(":memory:")) as file:
        file.executescript((DATA / f"schema-{version}.sql").read_text(encoding="utf-8"))
        conn = await asyncpg.connect(url)
        try:
            await conn.execute((DATA / f"schema-{version}-postgres.sql").read_text(encoding="utf-8"))
            for (table,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
                await _filled(conn, table, file.execute(f"SELECT * FROM {table}"))
        finally:
            await conn.close()


async def _filled(conn: asyncpg.Connection, table: str, cursor: sqlite3.Cursor) -> None:
    names = [column[0] for column in cursor.description]
    kinds = dict(
        await conn.fetch("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $1", table)
    )
    rows = [
        tuple(bool(value) if kinds[name] == "boolean" else value for name, value in zip(names, row, strict=True))
        for row in cursor
    ]
    await conn.copy_records_to_table(table, records=rows, columns=names)
    if "pk" in names and rows:
        await conn.execute(f"SELECT setval('{table}_pk_seq', (SELECT max(pk) FROM {table}))")


def shape(file: Path) -> dict[str, Any]:
    """Tables, columns in their order, indexes with their conditions, triggers."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as conn:
        tables = [
            name
            for (name,) in conn.execute(
                "SELECT name FROM sqlite_master WHERE type='table' AND name LIKE 'grantflow%'"
            )
        ]
        found: dict[str, Any] = {}
        for table in tables:
            found[table] = [row[1:] for row in conn.execute(f"PRAGMA table_xinfo({table})")]
            found[f"{table}: unique"] = sorted(
                [column for _, _, column in conn.execute(f"PRAGMA index_info({name})")]
                for _, name, unique, origin, _ in conn.execute(f"PRAGMA index_list({table})")
                if unique and origin != "c"
            )
        words = conn.execute("SELECT sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL")
        found["by name"] = sorted(" ".join(sql.split()) for (sql,) in words)
        without = conn.execute("SELECT name FROM sqlite_master WHERE type='table' AND sql LIKE '%WITHOUT ROWID%'")
        found["without rowid"] = sorted(name for (name,) in without)
    return found
