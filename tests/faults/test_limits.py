"""Full, read-only and busy: a typed error with a hint, the database intact, and the verb works as soon as it can."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow._store._lock import FileLock, needs_lock
from grantflow.errors import DatabaseBusy, DatabaseError, DatabaseFull, DatabaseReadOnly
from grantflow.testing import ManualClock
from tests.faults.ground import WRITING, Ground, ground, tried
from tests.faults.oracle import looked_at
from tests.faults.verbs import VERBS, opened

SOON = timedelta(milliseconds=40)
DEED_IS_A_REFUSAL = {"reuse", "replay"}
"""Their call swallows any error of ours; what they leave is looked at all the same."""


async def refused(stand: Ground, name: str, kind: type[DatabaseError]) -> bool:
    """Whether the verb was stopped; then by this error, with a hint, and nothing was written."""
    before = stand.state()
    error = await tried(stand.call)
    if error is None and name not in DEED_IS_A_REFUSAL:
        return False
    if error is not None:
        assert type(error) is kind, name
        assert error.hint
        assert error.__cause__ is None or isinstance(error.__cause__, sqlite3.Error)
    if stand.verb.several:
        assert stand.wrong() == []
    elif error is not None or stand.state() == before:
        assert stand.state() == before
    return True


async def works(stand: Ground) -> None:
    error = await tried(stand.call)
    if stand.verb.several and error is not None:
        assert isinstance(error, stand.verb.again)  # its first half had been written
    else:
        assert error is None, error
    assert stand.wrong() == []


def packed(file: Path) -> None:
    """Small pages without slack, so that nearly every write needs a page more."""
    with closing(sqlite3.connect(file, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode=DELETE")
        conn.execute("PRAGMA page_size=512")
        conn.execute("VACUUM")


def limited_to(pages: int) -> Callable[[sqlite3.Connection], object]:
    return lambda conn: conn.execute(f"PRAGMA max_page_count={pages}").fetchone()


async def test_a_full_disk_stops_every_verb_and_costs_nothing(
    folder: Path, known: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    packed(folder / "template.db")
    stopped = []
    for name in WRITING:
        async with ground(folder, name, known) as stand:
            pages = await stand.on_writer(lambda conn: conn.execute("PRAGMA page_count").fetchone()[0])
            await stand.on_writer(limited_to(pages))
            if await refused(stand, name, DatabaseFull):
                stopped.append(name)
                assert (await stand.engine.find()).items, "nobody can even read"
                await stand.on_writer(limited_to(1_000_000))
                await works(stand)
        assert looked_at(folder / f"{name}.db")[1] == []
    assert len(stopped) > len(WRITING) / 3, "the rest found room in pages that were there; see test_failing_calls"
    with capsys.disabled():
        sys.stdout.write(f"[{len(stopped)} of {len(WRITING)} verbs stopped]")


async def test_a_writer_that_may_only_read_stops_every_verb(folder: Path, known: dict[str, Any]) -> None:
    for name in WRITING:
        async with ground(folder, name, known) as stand:
            await stand.on_writer(lambda conn: conn.execute("PRAGMA query_only=ON"))
            assert await refused(stand, name, DatabaseReadOnly), name
            assert (await stand.engine.find()).items
            await stand.on_writer(lambda conn: conn.execute("PRAGMA query_only=OFF"))
            await works(stand)


@contextmanager
def another_writer(file: Path) -> Iterator[None]:
    """Somebody else's transaction."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def another_process(file: Path) -> Iterator[None]:
    """Somebody who holds the lock file and does not come back."""
    lock = FileLock(file, 0.01)
    with lock:
        yield
    lock.close()


@pytest.mark.parametrize("somebody", [another_writer, another_process], ids=["a transaction", "the lock file"])
async def test_somebody_else_who_writes_too_long_stops_every_verb(
    folder: Path, known: dict[str, Any], somebody: Any
) -> None:
    if somebody is another_process and not needs_lock():
        pytest.skip("this SQLite needs no lock file")
    for name in WRITING:
        async with ground(folder, name, known, busy_timeout=SOON) as stand:
            with somebody(stand.file):
                assert await refused(stand, name, DatabaseBusy), name
                assert (await stand.engine.find()).items
            await works(stand)


async def test_an_engine_cannot_be_opened_while_somebody_writes_and_can_be_right_after(
    folder: Path, known: dict[str, Any]
) -> None:
    for somebody in (another_writer, another_process):
        with somebody(folder / "template.db"), pytest.raises(DatabaseBusy):
            async with opened(folder / "template.db", ManualClock(), busy_timeout=SOON):
                pytest.fail("it opened")
        async with opened(folder / "template.db", ManualClock(), busy_timeout=SOON) as engine:
            assert await VERBS["open"].call(engine, known)


async def test_a_release_that_cannot_be_recorded_releases_nothing(folder: Path, known: dict[str, Any]) -> None:
    async with ground(folder, "release_sweep", known) as stand:
        await stand.on_writer(lambda conn: conn.execute("PRAGMA query_only=ON"))
        with pytest.raises(DatabaseReadOnly):
            await stand.call()
        assert await stand.engine._core.store.controls() == []
