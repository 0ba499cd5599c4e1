"""Processes that run bulk jobs: `worker.py WHAT FILE …`.

`runs` runs what waits and tells what it did; `stalls` falls silent after the first rows until a line comes;
`dies` is killed with -9 around one write of a row: before it, when it is written, or when it is committed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grantflow._store import _jobs
from grantflow._store._writer import Writer
from tests.jobs.fleet import opened


def say(text: str) -> None:
    """One line to the test that waits for it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def runs(file: Path) -> None:
    """Run what waits, once somebody says so."""
    async with opened(file) as engine:
        say("open")
        sys.stdin.readline()
        say(json.dumps(asdict(await engine.run_jobs())))


async def stalls(file: Path) -> None:
    """Fall silent between two batches."""
    silent = False

    def progress(done: int, _: int) -> None:
        nonlocal silent
        if done and not silent:
            silent = True
            say("stalled")
            sys.stdin.readline()

    async with opened(file) as engine:
        say(json.dumps(asdict(await engine.run_jobs(progress=progress))))


def deadly(number: int, moment: str) -> None:
    """The write of the row with this number is this process's last, at one of three moments."""
    write, commit, written = _jobs.write, Writer._transaction, 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def inside(conn: sqlite3.Connection, job: Any, new: Sequence[Any], item: Any) -> None:
        nonlocal written
        written += item is not None
        if written == number and moment == "before":
            die()
        write(conn, job, new, item)
        if written == number and moment == "written":
            die()

    def outside(self: Writer, conn: sqlite3.Connection, batch: Any) -> Any:
        outcomes = commit(self, conn, batch)
        if written >= number and moment == "committed":
            die()
        return outcomes

    setattr(_jobs, "write", inside)  # noqa: B010 - the module is a stranger's
    setattr(Writer, "_transaction", outside)  # noqa: B010 - the same


async def dies(file: Path, number: int, moment: str) -> None:
    """Run until the deadly write."""
    deadly(number, moment)
    async with opened(file) as engine:
        await engine.run_jobs()
    say("alive")


if __name__ == "__main__":
    what, path = sys.argv[1], Path(sys.argv[2])
    if what == "dies":
        asyncio.run(dies(path, int(sys.argv[3]), sys.argv[4]))
    else:
        asyncio.run({"runs": runs, "stalls": stalls}[what](path))
