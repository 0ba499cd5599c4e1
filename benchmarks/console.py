"""The gates of the console: over a real terminal, beside something that is measured in the same run."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from benchmarks import base
from benchmarks.screens import CONSOLE, METERED, MINIMAL, TABLE, Lags, Stopwatch
from benchmarks.world import OPERATOR, Line, p99
from grantflow import Engine

SCAN = "label:nowhere"
"""No index answers it and no row matches: all of them are read, and counted once more."""
_SCANNED = "not refreshed"
_PAINTS, _KEYS, _SWAPS, _WRITES = 5, 40, 10, 150
_IDLE = 10.0


class Console:
    """The measurements on one file; each starts programs of its own."""

    def __init__(self, file: Path) -> None:
        self.file, self.url = file, f"sqlite:///{file}"

    # -- painting -------------------------------------------------------------------------------
    def first_paint(self) -> Line:
        """From the start of the process to the first words, the best of some."""
        ours, raw = [], []
        for _ in range(_PAINTS):
            with running(MINIMAL) as minimal:
                raw.append(minimal.until("a minimal app"))
            with running(CONSOLE, str(self.file)) as console:
                ours.append(console.until(self.file.name))
        with running(CONSOLE, str(self.file)) as console:
            data = console.until("States")
        mine, other = min(ours), min(raw)
        note = f"beside a minimal app; numbers after {data:,.0f} ms"
        return _line("first paint", mine, other, "ms", 2.0, note)

    def browsing(self) -> list[Line]:
        """Rows, pages and the end of the matches, beside Textual's table with 200 rows of the same columns."""
        down, page, end, swap, table_down = [], [], [], [], []
        last = asyncio.run(self._last_account())
        with running(CONSOLE, str(self.file)) as console, running(TABLE) as table:
            console.wait_for("States")
            console.type("2")
            console.wait_for(" match")
            console.settle()
            table.wait_for("call-notes")
            table.settle()
            before = console.resident()
            for _ in range(_SWAPS):
                swap.append(table.timed("x"))
                table_down += [table.timed("\x1b[B") for _ in range(_KEYS // _SWAPS)]
                down += [console.timed("j") for _ in range(_KEYS // _SWAPS)]
                page += [console.timed("\x1b[6~") for _ in range(_KEYS // _SWAPS)]
            for _ in range(_SWAPS):
                console.timed("g")
                end.append(console.timed("G", last))
                page += [console.timed("\x1b[5~") for _ in range(_KEYS // _SWAPS)]
            console.settle()
            grown = console.resident() - before
        return [
            _line("cursor down", median(down), median(table_down), "ms", 2.0, _spread(down, "the table's own")),
            _line("page down, page up", median(page), median(swap), "ms", 0.5, _spread(page, "a swap of the table")),
            _line("G, the end of all matches", median(end), median(swap), "ms", 0.5, _spread(end, "a swap")),
            Line("memory grown by 80 pages and 10 ends", grown, before, "MB", grown / before, "≤ 10 MB",
                 "beside what it had", grown <= 10),
        ]  # fmt: skip

    async def _last_account(self) -> str:
        async with Engine.open(self.url) as engine:
            return (await engine.find("", limit=1, back=True)).items[0].account[:12]

    # -- being there ----------------------------------------------------------------------------
    def idle(self) -> list[Line]:
        """What it costs to leave it open, refreshing every two seconds."""
        with running(MINIMAL) as minimal, running(CONSOLE, str(self.file)) as console:
            minimal.wait_for("a minimal app")
            raw = minimal.idle(_IDLE)
            console.wait_for("States")
            fleet = console.idle(_IDLE)
            console.type("2")
            console.wait_for(" match")
            browser = console.idle(_IDLE)
        return [
            Line(f"CPU of an idle {name}", ours, raw, "%", ours / max(raw, 0.1), "< 1 %", "beside a minimal app",
                 ours < 1)
            for name, ours in (("fleet page", fleet), ("list", browser))
        ]  # fmt: skip

    def lag(self) -> Line:
        """How late the loop is while all rows are read, again and again."""
        told = self.file.with_name(f"{self.file.name}.lags")
        with running(METERED, self.url, str(told)) as console:
            console.wait_for("States")
            console.type("2")
            console.wait_for(" match")
            console.settle(1.0)
            quiet = time.perf_counter()
            console.settle(4.0)
            began = time.perf_counter()
            scans = 0
            while time.perf_counter() - began < _IDLE:
                scan(console, first=not scans)
                scans += 1
            ended = time.perf_counter()
            console.leave_by("q")
        lags = Lags(told)
        told.unlink()
        ours, raw = lags.p99(began, ended), lags.p99(quiet, began)
        note = f"{scans} scans in {ended - began:.0f} s; beside itself idle"
        return Line("loop lag p99 in scans", ours, raw, "ms", ours / raw, "≤ 50 ms", note, ours <= 50)

    def writer(self) -> Line:
        """The p99 of a writer beside the console that scans, and beside the console that only stands there."""
        ours, raw = asyncio.run(self._writes())
        return _line("a writer's p99", median(ours), median(raw), "ms", 2.0, "beside the console at rest")

    async def _writes(self) -> tuple[list[float], list[float]]:
        beside: tuple[list[float], list[float]] = ([], [])
        async with Engine.open(self.url) as engine:
            found = await engine.find("state:active -is:suspended", limit=_WRITES)
            ids = [item.id for item in found.items]
            with running(CONSOLE, str(self.file)) as console:
                await asyncio.to_thread(_open_list, console)
                for _ in range(3):
                    for told, work in zip(beside, (scan, Stopwatch.settle), strict=True):
                        with _meanwhile(console, work):
                            told.append(p99(await _toggled(engine, ids)))
        return beside


async def _toggled(engine: Engine, ids: list[str]) -> list[float]:
    """As `world.toggles` by one caller, at the pace of a host: the disk has its rest between two of them."""
    latencies = []
    for one in ids:
        for event, reason in (("suspend", "a good reason"), ("unsuspend", None)):
            began = time.perf_counter()
            await engine.send(one, event, actor=OPERATOR, reason=reason)
            latencies.append(time.perf_counter() - began)
            await asyncio.sleep(0.002)
    return latencies


def _open_list(console: Stopwatch) -> None:
    console.wait_for("States")
    console.type("2")
    console.wait_for(" match")
    scan(console, first=True)


def scan(console: Stopwatch, *, first: bool = False) -> None:
    """Read all rows once."""
    console.type(f"/{SCAN if first else ''}\r")
    console.wait_for(_SCANNED, patience=600)
    console.settle(0.1)


@contextmanager
def running(program, *arguments):
    """A program on a terminal of its own, for the time of the block."""
    terminal = Stopwatch(program, *arguments)
    try:
        yield terminal
    finally:
        terminal.give_up()


@contextmanager
def _meanwhile(console, work):
    """In a thread, the same again and again; over when the block is and the last turn is done."""
    over = threading.Event()

    def turns() -> None:
        while not over.is_set():
            work(console)

    thread = threading.Thread(target=turns)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _line(what: str, ours: float, raw: float, unit: str, gate: float, note: str) -> Line:
    return Line(what, ours, raw, unit, ours / raw, f"≤ {gate:.2f}", note, ours / raw <= gate)


def _spread(values: list[float], beside: str) -> str:
    return f"p95 {quantiles(values, n=20)[-1]:,.0f} ms; beside {beside}"
