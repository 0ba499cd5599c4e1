"""`python -m benchmarks.sizing [--rows N] [--lived N] [--sweep]`: bytes per installation, and expiries per second.

Rows are seeded into a file and copied to a server; `--lived` are people who really authorize. The figures of
docs/explanation/sizing.md are its output.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import Boolean

from benchmarks.world import START, Due, engine_on, seed
from grantflow import Actor, Engine, Settings
from grantflow._store import _pg_schema, _tables
from grantflow.testing import ManualClock, People, authorize, sample_app
from tests.postgres.server import Server

SLICE = 50_000
SIZES = (
    "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'grantflow%' "
    "ORDER BY 2 DESC"
)
SERVER = {"fsync": "on", "full_page_writes": "on"}
"""What a server of the tests goes without, and a real one never."""


@contextmanager
def server() -> Iterator[Server]:
    """A server that lets nothing be lost."""
    made = Server()
    with (made.folder / "data" / "postgresql.conf").open("a") as conf:
        conf.writelines(f"{name} = {value}\n" for name, value in SERVER.items())
    try:
        made.start()
        yield made
    finally:
        made.close()


async def database(at: Server, name: str) -> str:
    """A new database with the schema."""
    conn = await asyncpg.connect(at.url("postgres"))
    await conn.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    await conn.close()
    conn = await asyncpg.connect(at.url(name))
    await _pg_schema.ensure(conn, 0)
    await conn.close()
    return at.url(name)


async def copied(file: Path, url: str) -> None:
    """Every row of the file, by COPY."""
    conn = await asyncpg.connect(url)
    with closing(sqlite3.connect(file)) as source:
        for table in _tables.Base.metadata.sorted_tables:
            if table.name == "grantflow_schema":
                continue
            switches = [isinstance(column.type, Boolean) for column in table.columns]
            names = [column.name for column in table.columns]
            rows = source.execute(f"SELECT {', '.join(names)} FROM {table.name}")
            while some := rows.fetchmany(SLICE):
                typed = [[bool(v) if b else v for v, b in zip(row, switches, strict=True)] for row in some]
                await conn.copy_records_to_table(table.name, records=typed, columns=names)
            if "pk" in names:
                await conn.execute(
                    f"SELECT setval('{table.name}_pk_seq', greatest(1, (SELECT max(pk) FROM {table.name})))"
                )
    await conn.execute("VACUUM ANALYZE")
    await conn.close()


async def told(what: str, rows: int, file: Path, url: str) -> None:
    """Bytes per installation on both."""
    with closing(sqlite3.connect(file)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn = await asyncpg.connect(url)
    sizes: list[tuple[str, int]] = [(row[0], row[1]) for row in await conn.fetch(SIZES)]
    await conn.close()
    largest = ", ".join(f"{name.removeprefix('grantflow_')} {size / rows:,.0f}" for name, size in sizes[:6])
    whole = sum(size for _, size in sizes)
    mine = (await asyncio.to_thread(file.stat)).st_size / rows
    print(f"{what}: SQLite {mine:,.0f} bytes each, PostgreSQL {whole / rows:,.0f} ({largest})", flush=True)


async def swept(engine: Engine, rows: int, where: str) -> None:
    """All of them at once."""
    began, cpu = time.perf_counter(), time.process_time()
    report = await engine.sweep()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert report.moved == rows, report
    print(
        f"sweep of {rows:,} on {where}: {rows / seconds:,.0f}/s, {cpu / rows * 1e6:,.0f} µs CPU a row in Python, "
        f"load {os.getloadavg()[0]:.1f}, memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB",
        flush=True,
    )


async def seeded(at: Server, folder: Path, rows: int, *, sweep: bool) -> None:
    """Rows as the engine leaves them, without secrets."""
    file, clock = folder / "seeded.db", ManualClock(START)
    async with engine_on(file, clock=clock):
        pass
    seed(file, rows, due=Due.LATER)
    url = await database(at, "seeded")
    await copied(file, url)
    await told(f"{rows:,} live installations, seeded", rows, file, url)
    if not sweep:
        return
    clock.advance(timedelta(days=1_000))
    generous: Any = Settings(brake_share=1.0)
    for name, place in (("SQLite", f"sqlite:///{file}"), ("PostgreSQL", url)):
        async with Engine.open(place, clock=clock, settings=generous) as engine:
            await swept(engine, rows, name)
    await told("the same after all have ended", rows, file, url)


async def lived(at: Server, folder: Path, rows: int) -> None:
    """People who authorize, each with an attempt, consents, hashes of tokens, a trail and notices."""
    file = folder / "lived.db"
    people = People({Actor.admin("ann"): ["acme"]})
    async with Engine.open(f"sqlite:///{file}", directory=people, settings=Settings(synchronous="NORMAL")) as engine:
        await engine.apps.register(sample_app("agent", key="bench"))
        await engine.apps.install("bench", "acme", actor=Actor.admin("ann"))
        began = time.perf_counter()
        for number in range(rows):
            await authorize(engine, "bench", "acme", actor=people.add(Actor.agent(f"agent-{number}"), "acme"))
        seconds = time.perf_counter() - began
    url = await database(at, "lived")
    await copied(file, url)
    await told(f"{rows:,} that were authorized ({rows / seconds:,.0f}/s one after the other)", rows, file, url)


async def measure(rows: int, people: int, *, sweep: bool) -> None:
    """What was asked for."""
    with tempfile.TemporaryDirectory(prefix="grantflow-sizing-") as name, server() as at:
        if rows:
            await seeded(at, Path(name), rows, sweep=sweep)
        if people:
            await lived(at, Path(name), people)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--rows", type=int, default=0, help="installations to seed")
    parser.add_argument("--lived", type=int, default=0, help="people who authorize")
    parser.add_argument("--sweep", action="store_true", help="end all that were seeded")
    asked = parser.parse_args()
    asyncio.run(measure(asked.rows, asked.lived, sweep=asked.sweep))
