"""Databases and loops that the measurements share."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from grantflow import Actor, Engine, Settings
from grantflow._compile import compile_chart
from grantflow._rows import InstallationRow, TokenRow, TransitionRow
from grantflow._store import _statements as sql
from grantflow.testing import ManualClock, sample_app
from grantflow_machines import CHARTS

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
    met: bool | None = None
    """Whether the target was kept; None where a reader has to judge."""


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


class Due(StrEnum):
    """When the grants of seeded rows end, as SQL over the row's key `k`."""

    NEVER = "NULL"
    IN_ORDER = f"{NOW} + k * 1000"
    AT_RANDOM = f"{NOW} + (k * 2654435761) % 1000000007"
    LATER = f"{NOW + 90 * DAY} + k * 1000"


def seed(
    file: Path,
    count: int,
    *,
    state: str = "active",
    due: Due | int | Sequence[int] = Due.NEVER,
    app_pk: int = 1,
) -> list[str]:
    """Rows as the engine would have left them, multiplied inside the file; `engine.ops.broken_promises` agrees."""
    ends = None if isinstance(due, (Due, int)) else due
    end = Due.NEVER.value if ends is not None else str(due)
    definition, long_ago = compile_chart(CHARTS["agent"]), NOW - 60 * DAY
    row = InstallationRow(
        1, "", app_pk, "acme", "agent", "", "default", state, None, 1, 1, None, None, grant_revoked=False,
        granted="tickets.read tickets.write", identity=None, definition=definition.name,
        definition_version=definition.version, fingerprint=definition.fingerprint, bucket=0, created_at=long_ago,
        entered_at=long_ago, updated_at=long_ago,
    )  # fmt: skip
    tokens = TokenRow(1, "family", 1, row.granted, row.created_at, NOW, None, None)
    step = TransitionRow(
        1, 1, None, "created", state, "system", row.created_at, None, False, None, None, row.fingerprint
    )
    warned = f"{end} - {30 * DAY}" if due is Due.LATER else "NULL"
    varied = {
        "pk": "k", "public_id": "printf('bench-%012d', k)", "subject_id": "printf('agent-%d', k)", "due_at": end,
        "deadline_at": end, "notice_due_at": warned,
    }  # fmt: skip
    conn = sqlite3.connect(file, timeout=30, isolation_level=None)
    conn.execute("PRAGMA synchronous=OFF")
    conn.execute("PRAGMA cache_size=-200000")
    start = conn.execute("SELECT coalesce(max(pk), 0) FROM grantflow_installation").fetchone()[0]
    conn.execute("BEGIN IMMEDIATE")
    for table, one, keys in (
        ("installation", row, varied),
        ("transition", step, {"installation_pk": "k"}),
        ("token_set", tokens, {"installation_pk": "k", "refresh_expires_at": end}),
    ):
        names = list(sql.columns(type(one)))
        values = [None if name in keys else getattr(one, name) for name in names]
        conn.execute(
            "WITH RECURSIVE n(k) AS (SELECT ? UNION ALL SELECT k + 1 FROM n WHERE k < ?) "
            f"INSERT INTO grantflow_{table} ({', '.join(names)}) "
            f"SELECT {', '.join(keys.get(name, '?') for name in names)} FROM n",
            (start + 1, start + count, *(v for n, v in zip(names, values, strict=True) if n not in keys)),
        )
    if ends is not None:
        for table, key, columns in (
            ("installation", "pk", ("due_at", "deadline_at")),
            ("token_set", "installation_pk", ("refresh_expires_at",)),
        ):
            changed = ", ".join(f"{name}=?1" for name in columns)
            conn.executemany(
                f"UPDATE grantflow_{table} SET {changed} WHERE {key}=?2",
                zip(ends, range(start + 1, start + count + 1), strict=True),
            )
    conn.execute(sql.ADD_COUNT, (app_pk, state, 0, count))
    conn.execute("COMMIT")
    conn.close()
    return [f"bench-{n:012d}" for n in range(start + 1, start + count + 1)]


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


def settled() -> None:
    """What a host does that must answer soon: what is loaded stays, and no collection looks at it again."""
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def busy(engine: Engine, ids: list[str], callers: int = 8) -> AsyncIterator[list[float]]:
    """Callers that suspend and unsuspend meanwhile; their latencies in milliseconds."""
    latencies: list[float] = []
    stop = asyncio.Event()

    async def caller(mine: list[str]) -> None:
        while not stop.is_set():
            latencies.extend((await toggles(engine, mine[:1], 1))[2])

    at_work = [asyncio.create_task(caller(ids[n::callers])) for n in range(callers)]
    try:
        yield latencies
    finally:
        stop.set()
        await asyncio.gather(*at_work)


async def beside(small: Engine, large: Engine, what: str, target: str) -> list[Line]:
    """The same look-ups on a small and a large base, in turns."""
    both = [await _lookups(engine) for engine in (small, large)]
    spent: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in both[0]}
    for _round in range(300):
        for name, times in spent.items():
            for calls, told in zip(both, times, strict=True):
                began = time.perf_counter()
                await calls[name]()
                told.append((time.perf_counter() - began) * 1000)
    lines = []
    for name, times in spent.items():
        few, many = (middle(told) for told in times)
        bar = f"{target}, ≤ 1 ms" if name == "counts" else target
        lines.append(Line(what.format(name), many, few, "ms", many / few, bar))
    return lines


async def _lookups(engine: Engine) -> dict[str, Callable[[], Awaitable[object]]]:
    page = await engine.find("state:active", limit=50)
    return {
        "due look-up": partial(engine._core.store.due, NOW + DAY, 100),
        "next due": engine.next_due,
        "counts": engine.counts,
        "page of 50 by key": partial(engine.find, "state:active", limit=50, after=page.next_after),
    }


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
