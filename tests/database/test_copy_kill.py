"""Kill -9 in the middle of a copy: the target is no database yet, and the next run goes on where this one was."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from grantflow import Copied, check_database, copy_database
from grantflow._store import _copy
from grantflow.errors import DatabaseBusy, SchemaMismatch
from tests.database.worlds import World, looked_at, made, rows_in, rows_of, url_of
from tests.faults import killing
from tests.faults.killing import Calls, Told, Watched, forked
from tests.postgres.conftest import created
from tests.postgres.server import Server
from tests.postgres.test_kill import in_a_fork

CALLS = ("fetch", "fetchval", "execute", "copy_records_to_table")
pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"  # of the test runner's own; a child needs none
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there are many chunks."""
    monkeypatch.setattr(_copy, "CHUNK", 700)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A kill needs no disk, only a file."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="grantflow-", dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def world(folder: Path) -> World:
    """Made once; nobody writes to it."""
    return made(folder)


def was_killed(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("share", [0.5, 0.9, *(pytest.param(n / 41, marks=pytest.mark.slow) for n in range(14, 41))])
def test_on_the_way_to_a_server(world: World, server: Server, share: float) -> None:
    file, _ = world
    name = f"killed_{int(share * 1000)}"
    url, whole = (asyncio.run(created(server, name + end)) for end in ("", "_not"))
    work = partial(copy_database, url_of(file))
    status, calls = in_a_fork(lambda: work(whole), methods=CALLS)
    assert (status, calls > 40) == (0, True)
    status, _ = in_a_fork(lambda: work(url), int(calls * share), "after", methods=CALLS)
    assert was_killed(status)
    with pytest.raises(SchemaMismatch, match="never finished"):
        asyncio.run(looked_at(url))
    done = asyncio.run(again(file, url))
    assert done.resumed > 0
    assert asyncio.run(rows_of(url)) == asyncio.run(rows_of(whole)) == rows_in(file)
    assert asyncio.run(check_database(url)).problems == ()


async def again(file: Path, url: str) -> Copied:
    """As soon as the server has noticed the death."""
    for _ in range(50):
        try:
            return await copy_database(url_of(file), url)
        except DatabaseBusy:
            await asyncio.sleep(0.1)
    raise AssertionError(url)


def copied(source: Path, target: Path, told: Told, number: int = 0, moment: str = "") -> None:
    """In a child: the copy, with a death on the way; the calls of both files count."""
    killing.CALLS = Calls(number, moment)
    real = sqlite3.connect
    setattr(sqlite3, "connect", partial(real, factory=Watched))  # noqa: B010 - the child is not to be seen again
    asyncio.run(copy_database(url_of(source), url_of(target)))
    told(killing.CALLS.made)


@pytest.mark.parametrize("few", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["few", "many"])
def test_on_the_way_to_a_file(world: World, folder: Path, few: bool) -> None:
    source, target = world[0], folder / "copy.db"
    for old in folder.glob("*.db*"):
        if not old.name.startswith(source.name):
            old.unlink()
    status, lines = forked(partial(copied, source, folder / "whole.db"))
    assert (status, lines[0] > 100) == (0, True)
    wanted, points = rows_in(source), [(n, when) for n in range(1, lines[0] + 1) for when in ("before", "after")]
    assert rows_in(folder / "whole.db") == wanted
    broken, resumed = [], 0
    chunk = points[len(points) // 3 :][:14]  # begun, written, noted, committed: all of one chunk
    for number, moment in [*points[:: len(points) // 6 if few else 7], *chunk]:
        for old in folder.glob("copy.db*"):
            old.unlink()
        status, _ = forked(lambda told: copied(source, target, told, number, moment))  # noqa: B023 - called at once
        if not was_killed(status):
            broken.append(f"{moment} {number}: never reached ({status})")
            continue
        done = asyncio.run(finished(source, target))
        resumed += done
        if rows_in(target) != wanted:
            broken.append(f"{moment} {number}: the copy is another one")
    assert broken == []
    assert resumed > 0


async def finished(source: Path, target: Path) -> int:
    """The next run, unless the last one came to its end; how many rows it did not have to bring."""
    if target.exists() and rows_in(target).get("grantflow_schema"):  # noqa: ASYNC240 - nobody else runs
        return 0
    return (await copy_database(url_of(source), url_of(target))).resumed


@pytest.mark.slow
def test_fifty_thousand(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_copy, "CHUNK", 5_000)
    file, _ = made(tmp_path, 50_000)
    url = asyncio.run(created(server, "fifty"))
    for number in (20, 8, 8):
        status, _ = in_a_fork(lambda: copy_database(url_of(file), url), number, "after", ("copy_records_to_table",))
        assert was_killed(status)
    done = asyncio.run(again(file, url))
    assert done.rows > done.resumed > 100_000
    assert asyncio.run(check_database(url)).problems == ()
