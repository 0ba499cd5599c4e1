"""Many rows that are due, somebody who sweeps them, and what must be so in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from grantflow._ports import Work
from grantflow._rows import Change, Snapshot, TransitionRow
from grantflow._store._statements import INSTALLATION_COLUMNS, columns, listed
from grantflow._store.postgres import PostgresStore
from tests.postgres.outside import Outside
from tests.store.builders import DAY, NOW, move, new_app, new_installation


async def until(true: Callable[[], bool]) -> None:
    """Wait for something another task or the server does."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.002)


class Sweeping:
    """Sweeps in small chunks; any number of stores at once."""

    def __init__(self) -> None:
        self.done = 0
        """Rows whose move was acknowledged."""
        self._runs = 0

    async def run(self, store: PostgresStore) -> None:
        """Until nothing is due."""
        self._runs += 1
        work = in_run(f"run {self._runs}")
        while due := await store.due(NOW + DAY, 500):
            pks = sorted(due)
            for start in range(0, len(pks), 10):
                chunk = await store.sweep_chunk(pks[start : start + 10], NOW + DAY, work, 1)
                self.done += len(chunk.changes)


def in_run(name: str) -> Work:
    """Work of one sweep, which its steps are known by."""

    def work(found: Snapshot) -> Change:
        change = move(found, "over", notice=True)
        change.transitions[0].run_id = name
        return change

    return work


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
