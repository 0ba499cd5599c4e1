"""F3: transitions on PostgreSQL, and a sweep, beside a raw asyncpg loop over the same statements in one run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg

from benchmarks import pgbench
from benchmarks.world import DAY, NOW, START, Line, busy, middle, p99, settled, toggles
from grantflow import Actor, Engine
from grantflow._rows import InstallationRow, Load, TransitionRow
from grantflow._store import _statements as sql
from grantflow._store._pg_dialect import spoken
from grantflow._store._pg_locks import locks
from grantflow.testing import ManualClock, sample_app
from tests.postgres.server import Server

ROUNDS = 3
_AT_ONCE = 50_000
MOVE = (
    "UPDATE grantflow_installation SET suspended_by=?, suspended_at=?, suspended_why=?, version=?, updated_at=?, "
    "due_at=?, fingerprint=? WHERE pk=? AND version=?"
)
SWEPT = """
WITH moved AS (
  UPDATE grantflow_installation SET state = 'refresh-expired', reason = 'time', version = version + 1, due_at = NULL,
    entered_at = $1, updated_at = $1 WHERE due_at <= $1 RETURNING pk, version, fingerprint),
step AS (
  INSERT INTO grantflow_transition (installation_pk, version, source, event, target, actor, at, reason, forced,
    run_id, fingerprint) SELECT pk, version, 'active', 'deadline', 'refresh-expired', 'system', $1, 'time', FALSE,
    'run', fingerprint FROM moved RETURNING 1),
notice AS (
  INSERT INTO grantflow_outbox (installation_pk, name, version, at, body, tries)
    SELECT pk, 'expired', version, $1, '{}', 0 FROM moved RETURNING 1)
SELECT (SELECT count(*) FROM moved), (SELECT count(*) FROM step), (SELECT count(*) FROM notice)
"""


@asynccontextmanager
async def engine_on(
    server: Server, name: str, clock: ManualClock | None = None, *, real_time: bool = False
) -> AsyncIterator[Engine]:
    """An engine with one app, on a new database."""
    conn = await asyncpg.connect(server.url("postgres"))
    await conn.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    await conn.close()
    known = None if real_time else clock or ManualClock(START)
    async with Engine.open(server.url(name), clock=known) as engine:
        await engine.apps.register(sample_app(key="bench"))
        await engine.apps.install("bench", "acme", actor=Actor.system())
        yield engine


async def seed(url: str, count: int, due: Callable[[int], int | None] = lambda _: None) -> list[str]:
    """Rows written by hand; `due` is when the grant of the n-th ends."""
    conn, ids = await asyncpg.connect(url), []
    for start in range(1, count + 1, _AT_ONCE):
        rows = [
            InstallationRow(
                n, f"bench-{n:012d}", 1, "acme", "agent", f"agent-{n}", "default", "active", None, 1, 0,
                due(n), due(n), grant_revoked=False, granted="tickets.read tickets.write", identity=None,
                definition="AgentInstallation", definition_version=1, fingerprint="f", bucket=0,
                created_at=NOW, entered_at=NOW, updated_at=NOW,
            )
            for n in range(start, min(start + _AT_ONCE, count + 1))
        ]  # fmt: skip
        steps = [
            TransitionRow(row.pk, 1, None, "created", "active", "system", NOW, None, False, None, None, "f")
            for row in rows
        ]  # fmt: skip
        for statement, made in ((sql.INSERT_INSTALLATION, rows), (sql.INSERT_TRANSITION, steps)):
            values: list[tuple[Any, ...]] = [statement.values(row) for row in made]
            many = spoken(statement.sql).many
            assert many is not None
            await conn.execute(many, *map(list, zip(*values, strict=True)))
        ids += [row.public_id for row in rows]
    await conn.execute(spoken(sql.ADD_COUNT).sql, 1, "active", 0, count)
    await conn.execute("ANALYZE")
    await conn.close()
    return ids


async def raw(url: str, ids: list[str]) -> float:
    """Lock, read, compare and swap, trail, outbox, commit, twice per id, on one connection: seconds."""
    conn = await asyncpg.connect(url)
    took = time.perf_counter()
    for one in ids:
        text, values = locks(Load(installation=one))
        for event in ("suspend", "unsuspend"):
            async with conn.transaction():
                await conn.fetch(text, *values)
                (row,) = await conn.fetch(spoken(sql.SNAPSHOT_BY_ID).sql, None, one)
                pk, version = row[0], row[9]
                moved = ("operator", NOW, "why", version + 1, NOW, None, "f", pk, version)
                assert await conn.fetch(spoken(MOVE).returning, *moved)
                step = (
                    pk,
                    version + 1,
                    "active",
                    event,
                    "active",
                    "operator:bench",
                    NOW,
                    "why",
                    False,
                    None,
                    None,
                    "f",
                )
                await conn.fetch(spoken(sql.INSERT_TRANSITION.sql).returning, *step)
                notice = (pk, event, version + 1, NOW, "{}", None, None, 0, None, None)
                await conn.fetch(spoken(sql.INSERT_OUTBOX.sql).returning, *notice)
    took = time.perf_counter() - took
    await conn.close()
    return took


async def f3() -> list[Line]:
    """One caller and 256, against the raw loop of one."""
    server = Server()
    try:
        await asyncio.to_thread(server.start)
        lines: list[Line] = []
        async with engine_on(server, "ours") as engine, engine_on(server, "theirs"):
            ids, theirs = await seed(server.url("ours"), 4000), await seed(server.url("theirs"), 4000)
            await toggles(engine, ids[-20:], 10)
            settled()
            for callers, per, clients, target in ((1, 200, 1, "≥ 0.60"), (256, 1024, 16, "≥ 1.20")):
                rates, slow, best, bare = [], [], [], []
                for n in range(ROUNDS):
                    seconds = await raw(server.url("theirs"), theirs[200 * n : 200 * n + 200])
                    ours, _, latencies = await toggles(engine, ids[per * n : per * n + per], callers)
                    rates.append((2 * per / ours, 400 / seconds))
                    slow.append(p99(latencies))
                    best.append(await asyncio.to_thread(pgbench.transitions, server, "theirs", 4000, clients))
                    bare.append(await pgbench.by_asyncpg(server.url("theirs"), 4000, clients))
                mine, limit = (middle([rate[i] for rate in rates]) for i in (0, 1))
                note = f"p99 {middle(slow):.1f} ms"
                what, top = f"F3 PostgreSQL, {callers} callers", middle(best)
                lines.append(Line(f"{what}, raw loop", mine, limit, "/s", mine / limit, "", note))
                lines.append(Line(f"{what}, pgbench × {clients}", mine, top, "/s", mine / top, target, note))
                alone = middle(bare)
                told = "pgbench's statement by asyncpg: nothing read, nothing decided"
                lines.append(Line(f"… beside it, asyncpg × {clients}", alone, top, "/s", alone / top, "", told))
        return lines + await _sweep(server, 50_000)
    finally:
        server.close()


async def _sweep(server: Server, rows: int) -> list[Line]:
    """All due at once, against one set-based statement: by itself, and beside eight callers who never rest."""
    clock = ManualClock(START)
    async with engine_on(server, "swept", clock) as engine, engine_on(server, "set_based"):
        for name in ("swept", "set_based"):
            ids = await seed(
                server.url(name), 2 * rows + 400, lambda n: NOW + DAY * (1 + n % 2) if n <= 2 * rows else None
            )
        ids = ids[-400:]
        conn = await asyncpg.connect(server.url("set_based"))
        lines, slow = [], ""
        for days, callers in ((1, 0), (2, 8)):
            began = time.perf_counter()
            assert (await conn.fetchrow(SWEPT, NOW + days * DAY))[0] == rows
            limit = rows / (time.perf_counter() - began)
            clock.advance(timedelta(days=days) - (clock.now() - START))
            settled()
            async with busy(engine, ids, callers) as latencies:
                began = time.perf_counter()
                report = await engine.sweep()
                mine = rows / (time.perf_counter() - began)
            assert report.moved == rows, report
            what, target = f"F4 PostgreSQL, sweep of {rows:,}", "≥ 0.50, p99 ≤ 10 ms"
            if callers:
                slow = f"{len(latencies)} transitions of theirs meanwhile, p99 {p99(latencies):.1f} ms"
            lines.append(Line(f"{what}, {callers} callers", mine, limit, "rows/s", mine / limit, target, slow))
        await conn.close()
    return lines
