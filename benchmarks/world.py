"""Databases and loops that the measurements share."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

from grantflow import Actor, Engine, Settings
from grantflow._rows import InstallationRow, TransitionRow
from grantflow._store import _statements as sql
from grantflow.testing import ManualClock, sample_app

OPERATOR = Actor.operator("bench")
START = datetime(2025, 1, 1, tzinfo=UTC)
NOW = int(START.timestamp() * 1_000_000)
DAY = 86_400_000_000


@dataclass
class Line:
    """One row of the report."""

    what: str
    ours: float
    raw: float
    unit: str
    ratio: float
    target: str
    note: str = ""


@asynccontextmanager
async def engine_on(
    file: Path, *, synchronous: str = "FULL", clock: ManualClock | None = None
) -> AsyncIterator[Engine]:
    """An engine with one registered app."""
    settings = Settings(synchronous=synchronous)
    async with Engine.open(f"sqlite:///{file}", clock=clock or ManualClock(START), settings=settings) as engine:
        await engine.apps.register(sample_app(key="bench"))
        await engine.apps.install("bench", "acme", actor=Actor.system())
        yield engine


def seed(
    file: Path, count: int, *, state: str = "active", due: int | Sequence[int] | None = None, app_pk: int = 1
) -> list[str]:
    """Rows written by hand, as fast as the file takes them; `due` is one instant for all, or one for each."""
    conn = sqlite3.connect(file, timeout=30)
    rows, steps = [], []
    start = conn.execute("SELECT coalesce(max(pk), 0) FROM grantflow_installation").fetchone()[0]
    for n in range(start + 1, start + count + 1):
        at = due[n - start - 1] if isinstance(due, Sequence) else due
        row = InstallationRow(
            n, f"bench-{n:012d}", app_pk, "acme", "agent", f"agent-{n}", "default", state, None, 1, 0, at, at,
            grant_revoked=False, granted="tickets.read tickets.write", identity=None, definition="AgentInstallation",
            definition_version=1, fingerprint="f", bucket=0, created_at=NOW, entered_at=NOW, updated_at=NOW,
        )  # fmt: skip
        rows.append(sql.INSERT_INSTALLATION.values(row))
        step = TransitionRow(n, 1, None, "created", state, "system", NOW, None, False, None, None, "f")
        steps.append(sql.INSERT_TRANSITION.values(step))
    with conn:
        conn.executemany(sql.INSERT_INSTALLATION.sql, rows)
        conn.executemany(sql.INSERT_TRANSITION.sql, steps)
        conn.execute(sql.ADD_COUNT, (app_pk, state, 0, count))
    conn.close()
    return [str(row[0]) for row in rows]


async def toggles(engine: Engine, ids: list[str], callers: int) -> tuple[float, float, list[float]]:
    """Suspend, then unsuspend each id, from so many callers: (seconds, CPU seconds, latencies)."""
    latencies: list[float] = []

    async def caller(mine: list[str]) -> None:
        for one in mine:
            for event, reason in (("suspend", "a good reason"), ("unsuspend", None)):
                began = time.perf_counter()
                await engine.send(one, event, actor=OPERATOR, reason=reason)
                latencies.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller(ids[n::callers]) for n in range(callers)))
    return time.perf_counter() - began, time.process_time() - cpu, latencies


async def traced(engine: Engine, call: Callable[[], Awaitable[object]]) -> list[str]:
    """The statements of one call on the writing connection, values in place."""
    told: list[str] = []
    connection = engine._core.store.writer._aio  # type: ignore[attr-defined]
    await connection.set_trace_callback(told.append)
    await call()
    await connection.set_trace_callback(None)
    return [text for text in told if not text.startswith("--")]


def p99(latencies: list[float]) -> float:
    """In milliseconds."""
    return quantiles(latencies, n=100)[-1] * 1000


def middle(values: list[float]) -> float:
    """The median of interleaved rounds."""
    return median(values)


def later(days: int) -> ManualClock:
    """A clock that stands so many days after the start."""
    return ManualClock(START + timedelta(days=days))
