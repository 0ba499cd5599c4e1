"""Several processes on one file, and processes that end."""

from __future__ import annotations

import signal
import sqlite3
import tempfile
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from grantflow import Settings
from grantflow._rows import Load
from grantflow._store import open_store
from grantflow.errors import DatabaseBusy
from tests.store import processes
from tests.store.builders import NOW, moving, new_app, new_installation
from tests.store.processes import line_of

BUSY = Settings(busy_timeout=timedelta(milliseconds=80))


worker = partial(processes.worker, "tests.store.worker")


async def test_four_processes_write_one_file(tmp_path: Path) -> None:
    file, times = tmp_path / "g.db", 60
    store = await open_store(f"sqlite:///{file}", Settings(), NOW)
    app = await new_app(store)
    names = ["own-0", "own-1", "shared", "shared"]
    for name in sorted(set(names)):
        await new_installation(store, app, name)
    await store.close()
    with (
        worker("writes", file, names[0], times) as a,
        worker("writes", file, names[1], times) as b,
        worker("writes", file, names[2], times) as c,
        worker("writes", file, names[3], times) as d,
    ):
        for process in (a, b, c, d):
            _, complaint = process.communicate(timeout=60)
            assert process.returncode == 0, complaint
    store = await open_store(f"sqlite:///{file}", Settings(), NOW)
    try:
        for name, expected in (("own-0", times), ("own-1", times), ("shared", 2 * times)):
            row = (await store.load(Load(installation=name))).installation
            assert row is not None
            trail = await store.history(row.pk, 999, None)
            assert [step.version for step in trail] == list(range(expected + 1, 0, -1))
            assert row.state == trail[0].target
        assert sum(n for _, _, n in await store.counts()) == 3
    finally:
        await store.close()
    conn = sqlite3.connect(file)
    try:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        states = dict(conn.execute("SELECT state, count(*) FROM grantflow_installation GROUP BY state"))
        assert states == {s: n for s, n in conn.execute("SELECT state, sum(n) FROM grantflow_count GROUP BY 1") if n}
    finally:
        conn.close()


@pytest.fixture
def locking(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is taken whatever SQLite runs here."""
    monkeypatch.setattr("grantflow._store.sqlite.needs_lock", lambda: True)


@pytest.mark.usefixtures("locking")
async def test_a_write_waits_for_the_lock_of_another_process_and_then_gives_up(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    store = await open_store(f"sqlite:///{file}", BUSY, NOW)
    try:
        row = await new_installation(store, await new_app(store), "i1")
        with worker("holds", file) as process:
            assert line_of(process) == "held"
            started = time.monotonic()
            with pytest.raises(DatabaseBusy) as raised:
                await store.transact(Load(installation="i1"), moving("over"))
            assert time.monotonic() - started >= 0.08
            assert raised.value.retryable
            assert (await store.load(Load(installation="i1"))).installation == row
        await store.transact(Load(installation="i1"), moving("over"))
        assert await store.counts() == [("crm", "over", 1)]
    finally:
        await store.close()


@pytest.mark.usefixtures("locking")
async def test_opening_and_closing_take_the_lock_too(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    with worker("holds", file) as process:
        assert line_of(process) == "held"
        with pytest.raises(DatabaseBusy):
            await open_store(f"sqlite:///{file}", BUSY, NOW)
    store = await open_store(f"sqlite:///{file}", BUSY, NOW)
    await store.close()


async def test_another_writer_that_ignores_the_lock_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    store = await open_store(f"sqlite:///{file}", BUSY, NOW)
    other = sqlite3.connect(file, isolation_level=None)
    try:
        await new_installation(store, await new_app(store), "i1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy):
            await store.transact(Load(installation="i1"), moving("over"))
        other.execute("ROLLBACK")
        await store.transact(Load(installation="i1"), moving("over"))
    finally:
        other.close()
        await store.close()


def test_an_engine_that_is_never_closed_does_not_hang_the_exit(tmp_path: Path) -> None:
    with worker("unclosed", tmp_path / "g.db") as process:
        assert line_of(process) == "open"
        process.wait(timeout=2)


def test_ctrl_c_ends_within_two_seconds_and_leaves_the_file_whole(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    with worker("waits", file) as process:
        assert line_of(process) == "open"
        process.send_signal(signal.SIGINT)
        process.wait(timeout=2)
    conn = sqlite3.connect(file)
    try:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        conn.close()


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_written_is_a_typed_error(what: str) -> None:
    with tempfile.TemporaryDirectory(prefix="grantflow-") as name:
        folder = Path(name)
        file = folder / "g.db"
        with worker("unclosed", file) as process:
            assert line_of(process) == "open"
            process.wait(timeout=5)
        if what == "file":
            file.chmod(0o444)
            for beside in folder.glob("g.db.lock"):
                beside.chmod(0o666)
            folder.chmod(0o777)
        else:
            folder.chmod(0o555)
        with worker("unprivileged", file) as process:
            told = line_of(process)
        folder.chmod(0o755)
        assert told.startswith("DatabaseReadOnly"), told
