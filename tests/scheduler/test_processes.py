"""Two daemons, a host and a console on one file while one of them is killed again and again: P5 and P14."""

from __future__ import annotations

import random
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scheduler.killing import Fleet, survives
from tests.scheduler.stage import opened
from tests.tui.terminal import Terminal

CONSOLE = """
import sys
from grantflow_tui import run
sys.exit(run(sys.argv[1], write=False, operator=None, claimed=False))
"""


@dataclass
class Watched(Fleet):
    """A fleet, and a console that reads."""

    console: Terminal | None = None

    def start(self) -> None:
        """See Fleet.start."""
        self.console = self.reading()
        super().start()

    def reading(self) -> Terminal:
        terminal = Terminal(sys.executable, "-c", CONSOLE, f"sqlite:///{self.database}")
        terminal.wait_for("installations")
        return terminal

    def all_at_work(self) -> None:
        """See Fleet.all_at_work."""
        super().all_at_work()
        assert self.console is not None
        assert self.console.process.poll() is None

    def kill_one(self, chance: random.Random) -> None:
        """One of them, the console among them."""
        assert self.console is not None
        self.kills += 1
        number = chance.randrange(len(self.roles) + 1)
        if number < len(self.roles):
            self.kill(number)
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
        """See Fleet.gone."""
        super().gone()
        if self.console is not None:
            self.console.process.kill()
            self.console.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "every"), [(20.0, 2.0), (180.0, 5.0)], ids=["20 s", "3 minutes"])
async def test_four_processes_on_one_file_while_one_is_killed_again_and_again(
    tmp_path: Path, seconds: float, every: float
) -> None:
    file = tmp_path / "grants.db"
    async with opened(file):
        pass
    fleet = Watched(file, ("daemon", "daemon", "host"))
    await survives(fleet, seconds, every)
    assert fleet.kills == int(seconds / every)
    with closing(sqlite3.connect(file)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
