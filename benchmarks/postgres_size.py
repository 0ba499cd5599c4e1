"""F5 and F6 on PostgreSQL: look-ups at a hundred times the size, and how late expiries are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.lateness import compared, expiries, timers
from benchmarks.postgres import engine_on, seed
from benchmarks.world import DAY, NOW, Line, beside
from grantflow import Engine
from tests.postgres.server import Server


@asynccontextmanager
async def running() -> AsyncIterator[Server]:
    """A server for as long as it is measured."""
    server = Server()
    try:
        await asyncio.to_thread(server.start)
        yield server
    finally:
        server.close()


def _due(n: int) -> int:
    """A thousand are due, one after the other; the rest ends after three months."""
    return NOW + n * 1000 if n <= 1000 else NOW + 90 * DAY + n * 1000


async def f5(many: int = 1_000_000) -> list[Line]:
    """Due look-up, counters and a page by key: a million installations beside ten thousand, call by call."""
    async with running() as server, engine_on(server, "few") as small, engine_on(server, "many") as large:
        await seed(server.url("few"), 10_000, _due)
        await seed(server.url("many"), many, _due)
        return await beside(small, large, f"F5 PostgreSQL {{}}, {many // 1000:,} k beside 10 k", "≤ 3.00")


async def f6(count: int = 1_000, over: float = 10.0) -> list[Line]:
    """So many deadlines over so many seconds, in the process of the scheduler."""
    async with running() as server:
        bare = await timers(count, over)

        async def sow(engine: Engine, due: list[int]) -> None:
            del engine
            await seed(server.url("late"), count, lambda n: due[n - 1])

        async with engine_on(server, "late", real_time=True) as engine:
            late = await expiries(engine, sow, count, over)
    return compared("F6 PostgreSQL lateness", late, bare, count, over)
