"""F6: how late expiries are, beside a bare timer of the event loop for the same instants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.world import Line, seed
from grantflow import Engine, Settings
from grantflow._clock import to_instant
from grantflow._rows import Change
from grantflow.testing import sample_app
from grantflow_machines import Actor
from grantflow_scheduler import Scheduler

Lateness = list[float]
"""In milliseconds."""
Sow = Callable[[Engine, list[int]], Awaitable[None]]
"""Writes rows whose grants end then."""


def share(late: Lateness, part: float) -> float:
    """The lateness that so large a part does not exceed."""
    ordered = sorted(late)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


async def timers(count: int, over: float) -> Lateness:
    """Bare `call_later`: the least that is possible in this loop."""
    loop, late = asyncio.get_running_loop(), Lateness()
    done = asyncio.Event()

    def ring(due: float) -> None:
        late.append((time.time() - due) * 1000)
        if len(late) == count:
            done.set()

    start = time.time() + 0.5
    for number in range(count):
        due = start + over * number / count
        loop.call_later(due - time.time(), ring, due)
    await done.wait()
    return late


async def expiries(engine: Engine, sow: Sow, count: int, over: float) -> Lateness:
    """Each until its commit is known, in the process of the scheduler; read from the rows alone."""
    late, done = Lateness(), asyncio.Event()

    def committed(change: Change) -> None:
        row = change.installation
        if row is None or row.deadline_at is None or row.state == "active":
            return
        late.append(time.time() * 1000 - row.deadline_at / 1000)
        if len(late) == count:
            done.set()

    engine._core.after_commit.append(committed)
    start = datetime.now(UTC) + timedelta(seconds=2)
    await sow(engine, [to_instant(start + timedelta(seconds=over * number / count)) for number in range(count)])
    async with Scheduler(engine):
        await asyncio.wait_for(done.wait(), over + 30)
    return late


async def on_file(file: Path, count: int, over: float) -> Lateness:
    """The expiries of a new SQLite file."""

    async def sow(engine: Engine, due: list[int]) -> None:
        await engine.apps.register(sample_app(key="bench"))
        await engine.apps.install("bench", "acme", actor=Actor.system())
        await asyncio.to_thread(seed, file, count, due=due)

    async with Engine.open(f"sqlite:///{file}", settings=Settings()) as engine:
        return await expiries(engine, sow, count, over)


async def f6(folder: Path, count: int = 1_000, over: float = 10.0) -> list[Line]:
    """So many deadlines over so many seconds: bare timers first, then expiries, in one run."""
    bare = await timers(count, over)
    late = await on_file(folder / "f6.db", count, over)
    return compared("F6 lateness", late, bare, count, over)


def compared(what: str, late: Lateness, bare: Lateness, count: int, over: float) -> list[Line]:
    """The lines of the report."""
    return [
        Line(f"{what}, {count:,} in {over:.0f} s, {name}", share(late, part), share(bare, part), "ms",
             share(late, part) / share(bare, part), target)
        for name, part, target in (("p50", 0.5, "≤ 2 ms"), ("p99", 0.99, "≤ 10 ms"), ("max", 1.0, "≤ 30 s"))
    ]  # fmt: skip
