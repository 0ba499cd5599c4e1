"""Power loss: every connection that writes waits for the disk; a death between write and commit leaves nothing."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiosqlite
import pytest

import grantflow
from grantflow import Engine, Settings
from grantflow._store import sqlite as adapter
from grantflow.errors import ConfigurationError
from grantflow.testing import ManualClock
from tests.faults.sites import call_sites, never_reached
from tests.faults.verbs import VERBS, fresh, opened

FULL, EXTRA, NORMAL = 2, 3, 1


@contextmanager
def every_connection() -> Iterator[list[tuple[str, bool, list[str]]]]:
    """(path, may write, its statements) of whatever the adapter opens inside the block."""
    found: list[tuple[str, bool, list[str]]] = []
    sound = vars(adapter)["aiosqlite"]

    def connect(path: Any, **settings: Any) -> Any:
        statements: list[str] = []
        found.append((str(path), "mode=ro" not in str(path), statements))

        class Told(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                statements.append(sql)
                return super().execute(sql, *values)

        return aiosqlite.core.connect(path, factory=Told, **settings)

    double = SimpleNamespace(connect=connect, Connection=aiosqlite.Connection)
    setattr(adapter, "aiosqlite", double)  # noqa: B010 - the adapter keeps its library to itself
    try:
        yield found
    finally:
        setattr(adapter, "aiosqlite", sound)  # noqa: B010 - the same


async def level(engine: Engine) -> int:
    store: Any = engine._core.store
    found: int = await store.writer._aio._execute(
        lambda conn: conn.execute("PRAGMA synchronous").fetchone()[0], store.writer._aio._conn
    )
    return found


async def test_every_connection_that_writes_waits_for_the_disk(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'g.db'}"
    with every_connection() as connections:
        async with Engine.open(url, clock=ManualClock()) as engine:
            assert await level(engine) == FULL
            assert engine._core.store.pragmas()["synchronous"] == str(FULL)
            await engine.sweep()
    writers = [statements for _, may_write, statements in connections if may_write]
    assert len(writers) == 1
    assert len(connections) == 3
    for statements in writers:
        first = next(n for n, text in enumerate(statements) if text.startswith("BEGIN"))
        assert "PRAGMA synchronous=FULL" in statements[:first], "it wrote before it was told to wait for the disk"
        assert sum("synchronous=" in text for text in statements) == 1, "somebody made it cheaper later"


@pytest.mark.parametrize(("asked", "given"), [("FULL", FULL), ("EXTRA", EXTRA), ("NORMAL", NORMAL)])
async def test_a_cheaper_setting_is_explicit(tmp_path: Path, asked: str, given: int) -> None:
    settings = Settings(synchronous=asked)
    async with Engine.open(f"sqlite:///{tmp_path / 'g.db'}", clock=ManualClock(), settings=settings) as engine:
        assert await level(engine) == given
        assert engine._core.store.pragmas()["synchronous"] == str(given)


@pytest.mark.parametrize("asked", ["OFF", "", "full", "0", "FULL; PRAGMA user_version=7"])
def test_no_setting_is_cheaper_than_normal(asked: str) -> None:
    with pytest.raises(ConfigurationError):
        Settings(synchronous=asked)


async def test_a_connection_that_reads_cannot_write(tmp_path: Path) -> None:
    async with Engine.open(f"sqlite:///{tmp_path / 'g.db'}", clock=ManualClock()) as engine:
        store: Any = engine._core.store
        for reader in store._readers:
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                await reader.execute("CREATE TABLE x (y)")


def copy(file: Path, to: Path) -> None:
    for end in ("", "-wal", "-shm"):
        Path(f"{to}{end}").unlink(missing_ok=True)
    for end in ("", "-wal"):
        shutil.copyfile(f"{file}{end}", f"{to}{end}")


def test_the_journal_is_whole_after_every_commit(folder: Path, known: dict[str, Any]) -> None:
    """What a power loss leaves is at best what was synced: the file and its log at the moment of each answer."""
    file, copied = folder / "g.db", folder / "copy.db"

    async def story() -> int:
        fresh(folder / "template.db", file)
        async with opened(file, ManualClock()) as engine:
            for number in range(5):
                name = "hold" if number % 2 else "app_available"
                await VERBS[name].call(engine, known)
                copy(file, copied)
                with closing(sqlite3.connect(copied)) as conn:
                    (count,) = conn.execute("SELECT count(*) FROM grantflow_action").fetchone()
                    assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                with closing(sqlite3.connect(folder / "template.db")) as conn:
                    assert count == conn.execute("SELECT count(*) FROM grantflow_action").fetchone()[0] + number + 1
        return 5

    assert asyncio.run(story()) == 5


def test_a_death_between_a_write_and_its_commit_is_among_the_points(folder: Path) -> None:
    """`before call N` where N is the COMMIT; test_kill takes them all."""
    command = [sys.executable, str(Path(__file__).with_name("driver.py")), str(folder), "--dry", "send"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    reached = {(file, line) for file, line in json.loads(run.stdout)["sites"]}
    store = Path(grantflow.__file__).parent / "_store"
    commits = [site for site in call_sites(store) if site.text == "'COMMIT'" and site.file == "_writer.py"]
    assert commits
    assert never_reached(commits, reached) == []
