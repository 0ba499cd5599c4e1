"""The gates of the console: over a real terminal, beside something that is measured in the same run."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles

from benchmarks import base
from benchmarks.screens import CONSOLE, METERED, MINIMAL, TABLE, Lags, Stopwatch
from benchmarks.world import OPERATOR, Line, p99
from grantflow import Engine

_PAINTS, _KEYS, _SWAPS, _WRITES, _ROUNDS = 7, 40, 10, 150, 3
_IDLE = 10.0


_CURSOR = "▶"


class Console:
    """The measurements on one file; each starts programs of its own."""

    def __init__(self, file: Path) -> None:
        self.file, self.url = file, f"sqlite:///{file}"

    # -- painting -------------------------------------------------------------------------------
    def first_paint(self) -> list[Line]:
        """From the start of the process to the first words, the best of some: by the clock, and in CPU alone."""
        clock: tuple[list[float], list[float]] = ([], [])
        spent: tuple[list[float], list[float]] = ([], [])
        for _ in range(_PAINTS):
            for side, (text, program) in enumerate(
                (
                    (self.file.name, (CONSOLE, str(self.file))),
                    ("a minimal app", (MINIMAL,)),
                )
            ):
                with running(*program) as terminal:
                    clock[side].append(terminal.until(text))
                    spent[side].append(terminal.cpu() * 1000)
        with running(CONSOLE, str(self.file)) as terminal:
            note = f"numbers after {terminal.until('States'):,.0f} ms; beside a minimal app"
        return [
            _line("first paint", min(clock[0]), min(clock[1]), "ms", 2.0, note),
            _line("CPU until then", median(spent[0]), median(spent[1]), "ms", 2.0, "whatever else the machine does"),
        ]

    def browsing(self) -> list[Line]:
        """Rows, pages and the end of the matches, beside Textual's table with 200 rows of the same columns."""
        down, page, end, swap, table_down = [], [], [], [], []
        last = asyncio.run(self._last_account())
        with running(CONSOLE, str(self.file)) as console, running(TABLE) as table:
            console.wait_for("States")
            console.type("2")
            console.wait_for(" match")
            console.calm()
            table.wait_for("call-notes")
            table.settle()
            before = console.resident()
            for _ in range(_SWAPS):
                swap.append(table.timed("x"))
                table_down += [table.first("\x1b[B") for _ in range(_KEYS // _SWAPS)]
                down += [console.first("j", _CURSOR) for _ in range(_KEYS // _SWAPS)]
                page += [console.first("\x1b[6~", _CURSOR) for _ in range(_KEYS // _SWAPS)]
            for _ in range(_SWAPS):
                console.timed("g")
                end.append(console.first("G", last))
                page += [console.first("\x1b[5~", _CURSOR) for _ in range(_KEYS // _SWAPS)]
            console.settle()
            grown = console.resident() - before
        moved = f"a swap; the table's own cursor takes {median(table_down):,.1f} ms"
        return [
            _line("cursor down", median(down), median(swap), "ms", 0.25, _spread(down, moved)),
            _line("page down, page up", median(page), median(swap), "ms", 0.5, _spread(page, "a swap of the table")),
            _line("G, the end of all matches", median(end), median(swap), "ms", 1.0, _spread(end, "a swap")),
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
            console.calm()
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
        """How late the loop is while all rows are read, again and again, and while nothing is."""
        told = self.file.with_name(f"{self.file.name}.lags")
        with self._metered(told) as console:
            quiet = time.perf_counter()
            console.rest(_IDLE)
            began = time.perf_counter()
            with console.scanning():
                console.rest(_IDLE)
                ended = time.perf_counter()
            console.leave_by("q")
        lags = Lags(told)
        told.unlink()
        ours, raw = lags.p99(began, ended), lags.p99(quiet, began)
        return Line("loop lag p99 in scans", ours, raw, "ms", ours / raw, "≤ 50 ms", "beside itself idle",
                    ours <= 50)  # fmt: skip

    def writer(self) -> Line:
        """The p99 of a writer beside the console that reads all rows, and beside one that only stands there."""
        with self._metered(self.file.with_name(f"{self.file.name}.lags")) as console:
            ours, raw = asyncio.run(self._writes(console))
        return _line("a writer's p99", median(ours), median(raw), "ms", 2.0, "beside the console at rest")

    @contextmanager
    def _metered(self, told: Path) -> Iterator[Stopwatch]:
        with running(METERED, self.url, str(told)) as console:
            console.wait_for("States")
            console.type("2")
            console.wait_for(" match")
            console.calm()
            yield console

    async def _writes(self, console: Stopwatch) -> tuple[list[float], list[float]]:
        """In turn, so that both sides have the same of what else the machine does."""
        ours: list[float] = []
        raw: list[float] = []
        async with Engine.open(self.url) as engine:
            ids = [item.id for item in (await engine.find("state:active -is:suspended", limit=_WRITES)).items]
            with _looked_at(console):
                for _ in range(_ROUNDS):
                    raw.append(p99(await _toggled(engine, ids)))
                    with console.scanning():
                        ours.append(p99(await _toggled(engine, ids)))
        return ours, raw


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


@contextmanager
def running(program: str, *arguments: str) -> Iterator[Stopwatch]:
    """A program on a terminal of its own, for the time of the block."""
    terminal = Stopwatch(program, *arguments)
    try:
        yield terminal
    finally:
        terminal.give_up()


@contextmanager
def _looked_at(console: Stopwatch) -> Iterator[None]:
    """A thread takes what it paints: a terminal that nobody reads would stop it."""
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            console.rest(0.2)

    thread = threading.Thread(target=look)
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


def measure(file: Path) -> list[Line]:
    """All of it on one file."""
    here = Console(file)
    return [*here.first_paint(), *here.browsing(), *here.idle(), here.lag(), here.writer()]


async def console(folder: Path, rows: Sequence[int] = (10_000,), keep: Path | None = None) -> list[Line]:
    """Each size on an installation base of its own, made in the folder, or kept in another and found there again."""
    lines: list[Line] = []
    for size in rows:
        file = (keep or folder) / f"{base.short(size).replace(' ', '')}.db"
        if not file.exists():
            await asyncio.to_thread(base.main, file, size)
        measured = await asyncio.to_thread(measure, file)
        lines += [replace(line, what=f"{line.what}, {base.short(size)} rows") for line in measured]
    return lines
