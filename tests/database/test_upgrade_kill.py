"""Kill -9 before and after every statement of an upgrade: the file is the old or the new one, and it can go on."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from grantflow import Actor, plan_upgrade, upgrade_database
from grantflow.testing import ManualClock
from tests.database.golden import NOW, content, shape, written
from tests.faults import killing
from tests.faults.killing import Calls, Told, forked

OLGA = Actor.operator("olga")
FEW = 6
pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"  # of the test runner's own; a child needs none
)


class Cursor(sqlite3.Cursor):
    """A cursor whose every statement may be the last."""

    def execute(self, sql: str, *values: Any) -> Cursor:
        found: Cursor = killing.CALLS.around(partial(super().execute, sql, *values), self.connection, "")
        return found


class Watched(killing.Watched):
    """A connection whose every call may be the last, those by its cursors and its commit among them."""

    def cursor(self, *_: Any) -> Any:
        return super().cursor(Cursor)

    def commit(self) -> None:
        killing.CALLS.around(super().commit, self, "")

    def backup(self, target: sqlite3.Connection, **more: Any) -> None:
        killing.CALLS.around(partial(super().backup, target, **more), self, "")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A kill needs no disk, only a file."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="grantflow-", dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def upgraded(file: Path, told: Told, number: int = 0, moment: str = "") -> None:
    """In a child: the upgrade, with a death on the way."""
    killing.CALLS = Calls(number, moment)
    real = sqlite3.connect
    setattr(sqlite3, "connect", partial(real, factory=Watched))  # noqa: B010 - the child is not to be seen again
    asyncio.run(upgrade_database(f"sqlite:///{file}", actor=OLGA, clock=ManualClock()))
    told(killing.CALLS.made)


@pytest.mark.parametrize(
    ("version", "few"), [(2, True), *(pytest.param(version, False, marks=pytest.mark.slow) for version in (1, 2, 3))]
)
def test_killed_anywhere(folder: Path, version: int, few: bool) -> None:
    first, file = written(folder / "first.db", version), folder / "g.db"
    old = content(first), shape(first)
    new, made = learnt(folder, first)
    assert made > 40
    broken, seen = [], set()
    points = [(number, moment) for number in range(1, made + 1) for moment in ("before", "after")]
    for number, moment in [*points[:: len(points) // FEW], *points[-5:]] if few else points:
        fresh(first, file)
        status, _ = forked(lambda told: upgraded(file, told, number, moment))  # noqa: B023 - called at once
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            broken.append(f"{moment} {number}: never reached ({status})")
            continue
        left = content(file), shape(file)
        seen.add("old" if left == old else "new")
        if left not in (old, new):
            broken.append(f"{moment} {number}: half an upgrade is left")
        backup = folder / f"g.db.schema-{version}.backup"
        if backup.exists() and content(backup) != old[0]:
            broken.append(f"{moment} {number}: a backup that is none")
        asyncio.run(upgrade_database(f"sqlite:///{file}", actor=OLGA, clock=ManualClock()))
        if (content(file), shape(file)) != new:
            broken.append(f"{moment} {number}: the next run came to something else")
    assert broken == []
    assert seen == {"old", "new"}, "a commit was among the points"


def learnt(folder: Path, first: Path) -> tuple[tuple[Any, Any], int]:
    """What an unharmed upgrade comes to, and of how many calls it is made."""
    file = folder / "dry.db"
    fresh(first, file)
    status, lines = forked(partial(upgraded, file))
    assert status == 0
    assert asyncio.run(plan_upgrade(f"sqlite:///{file}")).version == NOW
    return (content(file), shape(file)), int(lines[0])


def fresh(first: Path, file: Path) -> None:
    """The old file, and nothing beside it."""
    for left in file.parent.glob(f"{file.name}*"):
        left.unlink()
    shutil.copy(first, file)
