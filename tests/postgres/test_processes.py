"""Several processes on one database: each row moves once, a loser is told, the dead leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from grantflow._rows import Load, TransitionRow
from grantflow._store._statements import INSTALLATION_COLUMNS, columns, listed
from grantflow._store.postgres import PostgresStore
from tests.postgres.outside import Outside
from tests.store.builders import NOW, moving, new_app, new_installation

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def worker(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start a worker; it is dead when the block ends."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.postgres.worker", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, process.stderr.read() if process.stderr else ""
    return line


def together(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Let them begin at one moment; what each of them says in the end."""
    for process in processes:
        assert line_of(process) == "open"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [line_of(process) for process in processes]


async def filled(store: PostgresStore, count: int) -> None:
    """Installations that are due; all of them but the first by one statement each, as a copy of it."""
    row = await new_installation(store, await new_app(store), "i0", due=NOW)
    copied = ", ".join(name for name in INSTALLATION_COLUMNS if name not in {"pk", "public_id", "subject_id"})
    async with store.pool.acquire() as conn, conn.transaction():
        await conn.execute(
            f"INSERT INTO grantflow_installation (public_id, subject_id, {copied}) "
            f"SELECT 'i' || n, 's' || n, {copied} FROM grantflow_installation, generate_series(1, $1) n "
            "WHERE pk = $2",
            count - 1,
            row.pk,
        )
        steps = tuple(name for name in columns(TransitionRow) if name != "installation_pk")
        await conn.execute(
            f"INSERT INTO grantflow_transition (installation_pk, {', '.join(steps)}) "
            f"SELECT i.pk, {listed('t', steps)} "
            "FROM grantflow_installation i, grantflow_transition t WHERE i.pk <> $1",
            row.pk,
        )
        await conn.execute("UPDATE grantflow_count SET n = $1", count)


def each_moved_once(outside: Outside, count: int) -> None:
    """Every row ended in two steps, with one notice, and the counters know it."""
    assert outside.rows("SELECT state, version, count(*) FROM grantflow_installation GROUP BY 1, 2") == [
        ("over", 2, count)
    ]
    trail = (
        "SELECT installation_pk, string_agg(version::text, ' ' ORDER BY version) FROM grantflow_transition GROUP BY 1"
    )
    assert {versions for _, versions in outside.rows(trail)} == {"1 2"}
    once = "SELECT count(*), count(DISTINCT installation_pk) FROM grantflow_outbox"
    assert outside.rows(once) == [(count, count)]
    counted = "SELECT state, sum(n)::bigint FROM grantflow_count GROUP BY 1 HAVING sum(n) <> 0"
    assert outside.rows(counted) == [("over", count)]


async def test_four_processes_sweep_the_same_rows_each_once(store: PostgresStore, url: str) -> None:
    await filled(store, 600)
    with ExitStack() as stack:
        processes = [stack.enter_context(worker("sweeps", url)) for _ in range(4)]
        moved = [int(line) for line in await asyncio.to_thread(together, processes)]
    assert sum(moved) == 600
    assert len([one for one in moved if one]) > 1, "one of them did it all: nothing was shared"
    outside = Outside(url)
    try:
        each_moved_once(outside, 600)
    finally:
        outside.close()


async def test_a_loser_gets_a_typed_conflict_and_never_silence(store: PostgresStore, url: str) -> None:
    app = await new_app(store)
    row = await new_installation(store, app, "i1")
    with ExitStack() as stack:
        processes = [stack.enter_context(worker("races", url, 60)) for _ in range(3)]
        said = [tuple(map(int, line.split())) for line in await asyncio.to_thread(together, processes)]
    won, lost = sum(one[0] for one in said), sum(one[1] for one in said)
    assert won + lost == 180
    assert lost, "they never met"
    trail = await store.history(row.pk, 999, None)
    assert [step.version for step in trail] == list(range(won + 1, 0, -1))


async def test_a_process_that_is_killed_inside_a_transaction_leaves_nothing(store: PostgresStore, url: str) -> None:
    app = await new_app(store)
    row = await new_installation(store, app, "i1")
    with worker("dies", url) as process:
        assert await asyncio.to_thread(line_of, process) == "inside"
        assert await asyncio.to_thread(process.wait, 10) == -signal.SIGKILL
    assert (await store.load(Load(installation="i1"))).installation == row
    await asyncio.wait_for(store.transact(Load(installation="i1"), moving("over")), 5)
    assert await store.counts() == [("crm", "over", 1)]


@pytest.mark.slow
async def test_sweepers_that_are_killed_again_and_again_lose_and_double_nothing(
    store: PostgresStore, url: str
) -> None:
    await filled(store, 1500)
    with ExitStack() as stack:
        for victim in range(5):
            process = stack.enter_context(worker("sweeps", url))
            assert await asyncio.to_thread(line_of, process) == "open"
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            await asyncio.sleep(0.05 + 0.03 * victim)
            process.kill()
        last = stack.enter_context(worker("sweeps", url))
        await asyncio.to_thread(together, [last])
    outside = Outside(url)
    try:
        each_moved_once(outside, 1500)
    finally:
        outside.close()
