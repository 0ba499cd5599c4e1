"""What the copies are made of, and every row of either database, so that both can be compared from outside."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.world import Due, seed
from grantflow import Engine
from tests.database.golden import content
from tests.faults.verbs import Prepared, prepare

MANY = 3_000
World = tuple[Path, Prepared]
Rows = dict[str, list[tuple[Any, ...]]]


def url_of(file: Path) -> str:
    """A file's URL."""
    return f"sqlite:///{file}"


def made(folder: Path, many: int = MANY) -> World:
    """The world of the drills, with client mode's sealed tokens, and thousands of rows more."""
    file = folder / "g.db"
    known = asyncio.run(prepare(file))
    seed(file, many, due=Due.LATER)
    return file, known


def rows_in(file: Path) -> Rows:
    """Every row of a file."""
    return {name: sorted(rows[1:], key=repr) for name, rows in content(file).items()}


async def rows_of(url: str) -> Rows:
    """Every row of a server's database, as SQLite has them: truth as 0 and 1."""
    conn = await asyncpg.connect(url)
    try:
        names = [row[0] for row in await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        found = {}
        for name in names:
            rows = await conn.fetch(f"SELECT * FROM {name}")
            plain = [tuple(int(value) if isinstance(value, bool) else value for value in row) for row in rows]
            found[name] = sorted(plain, key=repr)
    finally:
        await conn.close()
    return found


async def looked_at(url: str) -> None:
    """Open it as any program would."""
    async with Engine.open(url):
        pass
