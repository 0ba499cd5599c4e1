"""The measurements: F1 to F3 transitions, F4 and a smaller sweep beside other callers, F5 look-ups at two sizes,
F6 lateness, F7 the decision, F8 a cold start, F9 token requests
beside open windows; console: the gates of the console, see benchmarks/console.py.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import raw
from benchmarks.console import console
from benchmarks.lateness import f6
from benchmarks.windows import f9
from benchmarks.world import (
    DAY,
    NOW,
    OPERATOR,
    Due,
    Line,
    beside,
    busy,
    engine_on,
    later,
    middle,
    p99,
    seed,
    settled,
    toggles,
    traced,
)
from grantflow._compile import compile_chart
from grantflow._decide import decide
from grantflow_machines import CHARTS, Actor, Facts

ROUNDS = 3


async def f3(_: Path) -> list[Line]:
    """PostgreSQL; its driver and server are looked for only when it is asked for."""
    from benchmarks.postgres import f3 as measured

    return await measured()


async def f5_postgres(_: Path) -> list[Line]:
    """Look-ups there."""
    from benchmarks.postgres_size import f5 as measured

    return await measured()


async def f6_postgres(_: Path) -> list[Line]:
    """Lateness there."""
    from benchmarks.postgres_size import f6 as measured

    return await measured()


async def f1(folder: Path) -> list[Line]:
    """One transition, one caller."""
    lines = []
    for synchronous, target in (("FULL", "≥ 0.60"), ("NORMAL", "≥ 0.45")):
        mine, other = folder / f"f1-{synchronous}.db", folder / f"f1-raw-{synchronous}.db"
        rates: list[tuple[float, float, float, float]] = []
        async with engine_on(other):
            pass
        async with engine_on(mine, synchronous=synchronous) as engine:
            ids, theirs = seed(mine, 1000), seed(other, 1000)
            said = await traced(
                engine, partial(engine.send, ids[0], "suspend", actor=OPERATOR, reason="a good reason")
            )
            await engine.send(ids[0], "unsuspend", actor=OPERATOR)
            notices = any("INTO grantflow_outbox" in text for text in said)
            for n in range(ROUNDS):
                part = slice(200 * n, 200 * n + 200)
                seconds, cpu = raw.toggles(other, theirs[part], synchronous, notices=notices)
                ours, ours_cpu, _ = await toggles(engine, ids[part], 1)
                rates.append((400 / ours, 400 / seconds, ours_cpu / 400e-6, cpu / 400e-6))
        ours, theirs_rate, ours_cpu, raw_cpu = (middle([rate[i] for rate in rates]) for i in range(4))
        lines += [
            Line(f"F1 one caller, {synchronous}", ours, theirs_rate, "/s", ours / theirs_rate, target),
            Line(f"F1 CPU per transition, {synchronous}", ours_cpu, raw_cpu, "µs", ours_cpu / raw_cpu, "≤ 3.00"),
        ]
    return lines


async def f2(folder: Path) -> list[Line]:
    """Many callers, FULL, against the raw loop of one caller."""
    lines, mine, other = [], folder / "f2.db", folder / "f2-raw.db"
    async with engine_on(other):
        pass
    async with engine_on(mine) as engine:
        ids, theirs = seed(mine, 4000), seed(other, 4000)
        for callers, target in ((16, "≥ 3.00, p99 ≤ 35 ms"), (64, "≥ 4.00, p99 ≤ 35 ms")):
            rates, slow = [], []
            for n in range(ROUNDS):
                seconds, _ = raw.toggles(other, theirs[200 * n : 200 * n + 200], "FULL", notices=True)
                ours, _, latencies = await toggles(engine, ids[640 * n : 640 * n + 640], callers)
                rates.append((1280 / ours, 400 / seconds))
                slow.append(p99(latencies))
            ours, raw_rate = middle([rate[0] for rate in rates]), middle([rate[1] for rate in rates])
            note = f"p99 {middle(slow):.1f} ms"
            lines.append(Line(f"F2 {callers} callers, FULL", ours, raw_rate, "/s", ours / raw_rate, target, note))
    return lines


async def f7(_: Path) -> list[Line]:
    """The pure decision against a look-up in a dict."""
    definition = compile_chart(CHARTS["agent"])
    facts = Facts(actor=Actor.operator("bench"), now=0, subject_id="bob")
    event = next(
        e for s, e in definition.cells if s == "active" and not isinstance(decide(definition, s, e, facts), tuple)
    )
    count, table = 100_000, {("active", event): 1}
    ours, raw_ = [], []
    for _round in range(ROUNDS):
        began = time.perf_counter()
        for _n in range(count):
            decide(definition, "active", "suspend", facts)
        ours.append((time.perf_counter() - began) / count * 1e6)
        began = time.perf_counter()
        for _n in range(count):
            table.get(("active", event))
        raw_.append((time.perf_counter() - began) / count * 1e6)
    us, limit = middle(ours), middle(raw_)
    return [Line("F7 decide()", us, limit, "µs", us / limit, "≤ 5 µs")]


_COLD_OURS = """
import asyncio, sys, grantflow
from grantflow import Actor, Engine
async def main():
    async with Engine.open("sqlite:///" + sys.argv[1]) as engine:
        await engine.send(sys.argv[2], "suspend", actor=Actor.operator("bench"), reason="a good reason")
asyncio.run(main())
"""
_COLD_RAW = """
import sqlite3, sys, asyncio, sqlmodel
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("PRAGMA synchronous=FULL"); conn.execute("BEGIN IMMEDIATE")
row = "SELECT pk, version FROM grantflow_installation WHERE public_id=?"
pk, version = conn.execute(row, (sys.argv[2],)).fetchone()
conn.execute("UPDATE grantflow_installation SET version=version+1 WHERE pk=? AND version=?", (pk, version))
conn.execute("INSERT INTO grantflow_transition "
  "(installation_pk, version, event, target, actor, at, forced, fingerprint) "
  "VALUES (?, ?, 'suspend', 'active', 'x', 0, 0, 'f')", (pk, version + 1))
conn.execute("COMMIT")
"""


async def f8(folder: Path) -> list[Line]:
    """From a fresh process to the first transition."""
    file = folder / "f8.db"
    async with engine_on(file):
        pass
    ids = seed(file, 20)
    ours, limit = [], []

    def timed(program: str, one: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", program, str(file), one], check=True, env=os.environ)
        return (time.perf_counter() - began) * 1000

    timed(_COLD_OURS, ids[-1])
    for n in range(5):
        limit.append(timed(_COLD_RAW, ids[n]))
        ours.append(timed(_COLD_OURS, ids[n + 10]))
    return [Line("F8 cold start to first transition", min(ours), min(limit), "ms", min(ours) / min(limit), "≤ 1.30")]


async def sweep(folder: Path) -> list[Line]:
    """All of 100,000 due at once, in the order of their keys, with eight callers beside it."""
    return [await _swept(folder, Due.IN_ORDER, 100_000, 0, "≥ 0.40, p99 ≤ 40 ms")]


async def f4(folder: Path) -> list[Line]:
    """A million installations, 600,000 of them due at once, with eight callers beside the sweep."""
    return [
        await _swept(folder, Due.IN_ORDER, 600_000, 400_000, "≥ 0.40, p99 ≤ 40 ms"),
        await _swept(folder, Due.AT_RANDOM, 600_000, 400_000, "≥ 0.20, p99 ≤ 70 ms"),
    ]


async def _swept(folder: Path, order: Due, due: int, others: int, target: str) -> Line:
    mine, other = folder / "sweep.db", folder / "sweep-raw.db"
    async with engine_on(mine) as engine:
        seed(mine, due, due=order)
        if others:
            seed(mine, others, due=Due.LATER)
        ids = seed(mine, 400)
        assert await engine.ops.broken_promises() == []
    shutil.copyfile(mine, other)
    cpu = time.process_time()
    seconds, moved = raw.sweep(other, NOW + DAY)
    raw_cpu = time.process_time() - cpu
    assert moved == due
    async with engine_on(mine, clock=later(1)) as engine:
        settled()
        async with busy(engine, ids) as latencies:
            began, cpu, size = time.perf_counter(), time.process_time(), _resident()
            report = await engine.sweep()
            ours, ours_cpu, grown = time.perf_counter() - began, time.process_time() - cpu, _resident() - size
        began = time.perf_counter()
        await engine.next_due()
        upcoming = (time.perf_counter() - began) * 1000
        assert await engine.ops.broken_promises() == []
    assert report.moved == due, report
    for file in (mine, other):
        file.unlink()
    note = (
        f"{ours:.1f} s, CPU a row {ours_cpu / due * 1e6:.0f} µs beside {raw_cpu / due * 1e6:.0f}; "
        f"{len(latencies)} other transitions, p99 {p99(latencies):.1f} ms; "
        f"memory {grown:+.0f} MB; next due afterwards {upcoming:.1f} ms"
    )
    says = f"F4 sweep of {due:,} of {due + others:,}, due {order.name.lower().replace('_', ' ')}"
    return Line(says, due / ours, due / seconds, "/s", seconds / ours, target, note)


def _resident() -> float:
    """Memory of this process now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def f5(folder: Path) -> list[Line]:
    """Due look-up, counters and a page by key: a million installations beside ten thousand, call by call."""
    few, many = folder / "few.db", folder / "many.db"
    async with engine_on(few) as small, engine_on(many) as large:
        for file, rows in ((few, 10_000), (many, 1_000_000)):
            seed(file, 1000, due=Due.IN_ORDER)
            seed(file, rows - 1000, due=Due.LATER)
        return await beside(small, large, "F5 {}, 1 M beside 10 k", "≤ 1.50")


MEASURES: dict[str, Callable[[Path], Coroutine[Any, Any, list[Line]]]] = {
    "F1": f1,
    "F2": f2,
    "F3": f3,
    "F4": f4,
    "F5": f5,
    "F5-postgres": f5_postgres,
    "F6": f6,
    "F6-postgres": f6_postgres,
    "F7": f7,
    "F8": f8,
    "F9": f9,
    "sweep": sweep,
    "console": console,
}


LONG = {"F4", "F5", "F5-postgres"}
"""Minutes and gigabytes: only when asked for by name."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """For the console: how many rows, and where the files are kept."""

    rows: tuple[int, ...] = (10_000,)
    keep: Path | None = None


def run(names: list[str], sizes: Sizes) -> list[Line]:
    """Measure one after the other, each on files of its own."""
    lines = []
    measures = MEASURES | {"console": partial(console, rows=sizes.rows, keep=sizes.keep)}
    for name in names or [name for name in MEASURES if name not in LONG]:
        with tempfile.TemporaryDirectory(prefix="grantflow-bench-") as folder:
            lines += asyncio.run(measures[name](Path(folder)))
    return lines
