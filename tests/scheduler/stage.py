"""What the scheduler's tests share: engines and daemons on one file, rows with deadlines, and patience."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.world import seed
from grantflow import Actor, Engine, Settings
from grantflow._clock import to_instant
from grantflow._ports import Clock
from grantflow.testing import People, sample_app
from tests.postgres.outside import Outside

ANN, BOB, EVE = Actor.admin("ann"), Actor.agent("bob"), Actor.agent("eve")
OPERATOR = Actor.operator("maria")
WHY = "a good reason"
APP = "agent-app"
QUICK = Settings(synchronous="NORMAL")
SECOND = timedelta(seconds=1)
YEAR = timedelta(days=365)
ROOT = Path(__file__).parents[2]


def url_of(database: Path | str) -> str:
    """A file's, or the one it is."""
    return f"sqlite:///{database}" if "://" not in str(database) else str(database)


@asynccontextmanager
async def opened(database: Path | str, clock: Clock | None = None, **how: Any) -> AsyncIterator[Engine]:
    """An engine on a database, with an app on an account and two agents."""
    people = People({ANN: ["acme"], BOB: ["acme"], EVE: ["acme"]})
    values = {"directory": people, "clock": clock, "settings": QUICK} | how
    async with Engine.open(url_of(database), **values) as engine:
        await engine.apps.register(sample_app("agent"))
        await engine.apps.install(APP, "acme", actor=ANN)
        yield engine


def deadlines(file: Path, *after: float, at: datetime | None = None, app_pk: int = 1) -> list[str]:
    """Live rows that another process wrote, each so many seconds from now; returns their ids."""
    now = at or datetime.now(UTC)
    return seed(file, len(after), due=[to_instant(now + timedelta(seconds=wait)) for wait in after], app_pk=app_pk)


def rows(database: Path | str, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Read the database as it is."""
    if isinstance(database, str):
        with closing(Outside(database)) as outside:
            return outside.rows(query, *values)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as conn:
        return conn.execute(query, values).fetchall()


def lateness(database: Path | str) -> list[float]:
    """Seconds from each deadline to its expiry; negative ones came early."""
    query = (
        "SELECT t.at - i.deadline_at FROM grantflow_transition t JOIN grantflow_installation i "
        "ON i.pk = t.installation_pk WHERE t.event = 'expire' ORDER BY i.deadline_at"
    )
    return [late / 1e6 for (late,) in rows(database, query)]


def expired(database: Path | str) -> int:
    return len(lateness(database))


def twice(database: Path | str) -> int:
    """Grants that ended more than once."""
    query = (
        "SELECT count(*) FROM (SELECT 1 FROM grantflow_transition WHERE event = 'expire' "
        "GROUP BY installation_pk HAVING count(*) > 1) AS more"
    )
    return int(rows(database, query)[0][0])


async def until(done: Callable[[], Awaitable[bool] | bool], patience: float = 15.0) -> float:
    """Wait for it; returns the seconds it took."""
    began = time.monotonic()
    while True:
        found = done()
        if found if isinstance(found, bool) else await found:
            return time.monotonic() - began
        assert time.monotonic() - began < patience, "it never came"
        await asyncio.sleep(0.02)


async def ended(file: Path, count: int, patience: float = 15.0) -> float:
    """Wait until so many grants have ended; returns the seconds it took."""
    return await until(lambda: expired(file) == count, patience)


class Program:
    """A process of `tests.scheduler.programs`; one line from it says that it is at work."""

    def __init__(self, what: str, database: Path | str, *options: object, zone: str = "UTC") -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
        command = [sys.executable, "-m", "tests.scheduler.programs", what, str(database), *map(str, options)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "TZ": zone},
        )

    def ready(self) -> Program:
        """Wait for its first line."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        return self

    def tell(self, line: str) -> None:
        """A line for its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> float:
        """Ask it to end; returns the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=20) == 0
        return time.monotonic() - began

    def gone(self) -> None:
        """It is dead, and its pipes are closed."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@contextmanager
def program(what: str, database: Path | str, *options: object, zone: str = "UTC") -> Iterator[Program]:
    """A program that is at work, and dead when the block ends."""
    started = Program(what, database, *options, zone=zone)
    try:
        yield started.ready()
    finally:
        started.gone()


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
