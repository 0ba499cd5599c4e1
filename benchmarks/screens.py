"""Programs on a real pseudo-terminal, with a stopwatch on what they paint: the console, and what stands beside it."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tui.terminal import Terminal

SIZE = (36, 120)
_PATIENCE = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

CONSOLE = """
import sys
from grantflow.cli import main
sys.argv = ["grantflow", "--database", sys.argv[1], "tui"]
main()
"""
"""What `grantflow --database FILE tui` runs."""

MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Minimal(App):
    def compose(self):
        yield Static("a minimal app")
Minimal().run()
"""

TABLE = """
from textual.app import App
from textual.widgets import DataTable
NAMES = ("id", "app", "account", "subject", "state", "scopes", "expires")
class Swapped(App):
    BINDINGS = [("x", "swap", "swap")]
    turn = 0
    def compose(self):
        yield DataTable(cursor_type="row")
    def on_mount(self):
        self.query_one(DataTable).add_columns(*NAMES)
        self.action_swap()
    def action_swap(self):
        self.turn += 1
        table = self.query_one(DataTable)
        table.clear()
        table.add_rows(
            (f"019a0000-{n:04x}…{self.turn}", "call-notes", f"acct-{self.turn}-{n}", f"agent:eva{n}@stark",
             "● active", "3/3", f"in {n}d") for n in range(200)
        )
Swapped().run()
"""
"""The same columns in Textual's own table, 200 rows exchanged for 200 others by one key."""

METERED = """
import asyncio, json, signal, sys, time
from grantflow_tui import console
STEP = 0.005
async def meter(told):
    while True:
        began = time.perf_counter()
        await asyncio.sleep(STEP)
        told.append((began, (time.perf_counter() - began - STEP) * 1000))
async def scan(app):
    while True:
        await app.engine.find("label:nowhere")
        await app.engine.count("label:nowhere")
        await asyncio.sleep(0.05)
async def session():
    app = console(sys.argv[1], write=False, operator=None, claimed=False)
    loop, told, scans = asyncio.get_running_loop(), [], []
    loop.add_signal_handler(signal.SIGUSR1, lambda: scans.append(loop.create_task(scan(app))))
    loop.add_signal_handler(signal.SIGUSR2, lambda: scans.pop().cancel())
    watching = asyncio.create_task(meter(told))
    try:
        await app.run_async()
    finally:
        watching.cancel()
        await app.close_engine()
        with open(sys.argv[2], "w") as out:
            json.dump(told, out)
asyncio.run(session())
"""
"""The console with two tasks beside it on the same loop: one notes how late it is woken, the other reads and counts
all rows through the same engine, from one signal to the next."""


class Stopwatch(Terminal):
    """A program on a terminal, timed."""

    def __init__(self, program: str, *arguments: str) -> None:
        self.began = time.perf_counter()
        super().__init__(sys.executable, "-c", program, *arguments, size=SIZE)

    def until(self, text: str) -> float:
        """Milliseconds from the start of the program to a text on the screen."""
        self.wait_for(text)
        return (time.perf_counter() - self.began) * 1000

    def first(self, key: str, text: str = "") -> float:
        """Milliseconds from a key to a text on the screen, or to anything."""
        self.settle(0.05)
        began = time.perf_counter()
        self.type(key)
        while not self._seen or text.encode() not in self.painted():
            self._read(_PATIENCE)
        return (time.perf_counter() - began) * 1000

    def timed(self, key: str, text: str = "", *, quiet: float = 0.06) -> float:
        """Milliseconds from a key to the last of what it paints, with a text among it."""
        began = last = time.perf_counter()
        self.type(key)
        painted = False
        while time.perf_counter() - began < _PATIENCE:
            if select.select([self._master], [], [], quiet)[0]:
                self._read(0)
                last = time.perf_counter()
                painted = painted or not text or text.encode() in self.painted()
            elif painted:
                return (last - began) * 1000
        msg = f"{text or 'anything'!r} never came after {key!r}"
        raise TimeoutError(msg)

    def rest(self, seconds: float) -> None:
        """Look at it for so long, whatever it paints."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self._read(left)
        self._seen = b""

    @contextmanager
    def scanning(self) -> Iterator[None]:
        """All rows are read again and again, for the time of the block; for METERED alone."""
        self.process.send_signal(signal.SIGUSR1)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGUSR2)

    def calm(self) -> None:
        """Until it is done with what it does at its start."""
        for _ in range(int(_PATIENCE)):
            spent = self.cpu()
            self.rest(1.0)
            if self.cpu() - spent < 0.05:
                return

    def leave_by(self, key: str) -> None:
        """Press the key that ends it, and wait for the end."""
        self.type(key)
        self.leave()

    # -- what the system says of it -------------------------------------------------------------
    def resident(self) -> float:
        """Memory now, in MB."""
        return int(self._of("statm").split()[1]) * _PAGE / 1e6

    def cpu(self) -> float:
        """Seconds of all its threads since it began."""
        fields = self._of("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def idle(self, seconds: float) -> float:
        """Per cent of one core while nobody touches it."""
        self.rest(1.0)
        began, spent = time.perf_counter(), self.cpu()
        self.rest(seconds)
        return (self.cpu() - spent) / (time.perf_counter() - began) * 100

    def _of(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text(encoding="ascii")


class Lags:
    """How late the loop of a metered console was, as if it had been asked at every step."""

    def __init__(self, file: Path, step: float = 5.0) -> None:
        self._told: list[tuple[float, float]] = json.loads(file.read_text())
        self._step = step

    def p99(self, began: float, ended: float) -> float:
        """Milliseconds between two instants of `perf_counter`; who waits long is late for all who come meanwhile."""
        late = [
            lag - missed * self._step
            for at, lag in self._told
            if began <= at <= ended
            for missed in range(1 + max(0, int(lag / self._step)))
        ]
        return sorted(late)[int(0.99 * len(late))]
