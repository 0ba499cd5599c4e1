"""Two daemons, a host and a console on one file while one of them is killed again and again: P5 and P14."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.scheduler.stage import Program, expired, lateness, opened, percentile, rows, twice, until
from tests.tui.test_terminal import Terminal

CONSOLE = """
import sys
from grantflow_tui import run
sys.exit(run(sys.argv[1], write=False, operator=None, claimed=False))
"""
INTERVAL = 2.0
LONGEST_LIFE = 4.0


@dataclass
class Fleet:
    """The four processes; whoever was killed is started again."""

    file: Path
    daemons: list[Program] = field(default_factory=list)
    host: Program | None = None
    console: Terminal | None = None
    kills: int = 0

    def daemon(self) -> Program:
        return Program("daemon", self.file, INTERVAL)

    def start(self) -> None:
        self.daemons = [self.daemon(), self.daemon()]
        self.host = Program("host", self.file, LONGEST_LIFE)
        self.console = self.reading()
        for one in (*self.daemons, self.host):
            one.ready()

    def reading(self) -> Terminal:
        terminal = Terminal(sys.executable, "-c", CONSOLE, f"sqlite:///{self.file}")
        terminal.wait_for("installations")
        return terminal

    def all_at_work(self) -> None:
        """Nobody ended but those that were killed."""
        assert self.host is not None
        assert self.console is not None
        programs = [one.process.poll() for one in (*self.daemons, self.host)]
        assert [*programs, self.console.process.poll()] == [None] * 4

    def kill_one(self, chance: random.Random) -> None:
        """With no warning, as the kernel does; and up again."""
        self.kills += 1
        assert self.host is not None
        assert self.console is not None
        number = chance.randrange(4)
        if number < 2:
            self.daemons[number].kill()
            self.daemons[number].gone()
            self.daemons[number] = self.daemon().ready()
        elif number == 2:
            self.host.kill()
            self.host.gone()
            self.host = Program("host", self.file, LONGEST_LIFE).ready()
        else:
            self.console.process.kill()
            self.console.process.wait()
            self.console = self.reading()

    def look(self) -> None:
        """The console reads: another page, and what it paints is taken."""
        assert self.console is not None
        self.console.type("2")
        self.console._read(0.05)
        self.console.type("1")
        for _ in range(20):
            self.console._read(0.02)

    def gone(self) -> None:
        for one in (*self.daemons, self.host):
            if one is not None:
                one.gone()
        if self.console is not None:
            self.console.process.kill()
            self.console.process.wait()


def wreak(fleet: Fleet, seconds: float, every: float) -> None:
    """Kill one each so many seconds, and look through the console in between."""
    chance, began = random.Random(4711), time.monotonic()
    for number in range(1, int(seconds / every) + 1):
        while time.monotonic() < began + number * every:
            fleet.look()
        fleet.all_at_work()
        fleet.kill_one(chance)


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "every"), [(20.0, 2.0), (180.0, 5.0)], ids=["20 s", "3 minutes"])
async def test_four_processes_on_one_file_while_one_is_killed_again_and_again(
    tmp_path: Path, seconds: float, every: float
) -> None:
    file = tmp_path / "grants.db"
    async with opened(file):
        pass
    fleet = Fleet(file)
    try:
        await asyncio.to_thread(fleet.start)
        await asyncio.to_thread(wreak, fleet, seconds, every)
        assert fleet.host is not None
        fleet.host.kill()
        left = "SELECT count(*) FROM grantflow_installation WHERE due_at IS NOT NULL"
        await until(lambda: rows(file, left) == [(0,)], 30)
        for daemon in fleet.daemons:
            assert daemon.stop() < 2.5
    finally:
        fleet.gone()
    late = lateness(file)
    print(
        f"{fleet.kills} kills, {expired(file)} expiries, late p50 {percentile(late, 0.5):.3f} s, "
        f"p99 {percentile(late, 0.99):.3f} s, max {max(late):.3f} s, early {sum(one < 0 for one in late)}"
    )
    assert fleet.kills == int(seconds / every)
    assert len(late) > seconds
    assert min(late) >= 0, "never early"
    assert twice(file) == 0, "each grant ends once"
    assert percentile(late, 0.99) < 2 * INTERVAL
    with closing(sqlite3.connect(file)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    async with opened(file) as engine:
        assert await engine.ops.broken_promises() == []
