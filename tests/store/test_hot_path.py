"""What one event costs: hops, statements, commits, objects."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import aiosqlite
import pytest
from sqlmodel import SQLModel

from grantflow import Engine
from grantflow._clock import SystemClock
from grantflow._rows import Change, Load, Snapshot
from grantflow._store.sqlite import SqliteStore
from grantflow.errors import Conflict
from tests.store.world import BOB, OPERATOR, opened, store_of, working


async def traced(store: SqliteStore) -> list[str]:
    """Statements of the writing connection from now on, without BEGIN and COMMIT."""
    told: list[str] = []

    def note(text: str) -> None:
        if not text.startswith(("BEGIN", "COMMIT", "--")):
            told.append(text)

    connection = store.writer._aio
    await connection.set_trace_callback(note)
    return told


_FIRST_EVENT = """
import asyncio, sys
from grantflow import Actor, Engine
async def main():
    async with Engine.open(sys.argv[1]) as engine:
        await engine.send(sys.argv[2], "suspend", actor=Actor.operator("bob"), reason="a good reason")
asyncio.run(main())
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"sqlalchemy", "sqlmodel", "pydantic"}))
"""


async def test_a_file_that_exists_is_opened_without_the_tables(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    async with opened(file, clock=SystemClock()) as engine:
        [one] = await working(engine)
    run = [sys.executable, "-c", _FIRST_EVENT, f"sqlite:///{file}", one]
    done = await asyncio.to_thread(subprocess.run, run, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


async def suspended(engine: Engine, installation: str) -> None:
    await engine.send(installation, "suspend", actor=OPERATOR, reason="a good reason")


async def test_one_event_is_one_hop_one_commit_and_few_statements(tmp_path: Path) -> None:
    async with opened(tmp_path / "g.db") as engine:
        [one] = await working(engine)
        store = store_of(engine)
        told = await traced(store)
        before = (store.writer.hops, store.writer.commits)
        queued: list[object] = []
        put, tx = store.writer._aio._tx.put_nowait, store.writer._aio._tx

        class Watched:
            """The queue of the writer's thread, counting."""

            def put_nowait(self, item: tuple[asyncio.Future[object] | None, Callable[[], object]]) -> None:
                queued.append(item)
                put(item)

        store.writer._aio._tx = Watched()  # type: ignore[assignment]
        try:
            await suspended(engine, one)
        finally:
            store.writer._aio._tx = tx
        assert len(queued) == 1
        assert (store.writer.hops, store.writer.commits) == (before[0] + 1, before[1] + 1)
        assert 0 < len(told) <= 5, told


async def test_no_orm_object_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: SQLModel, **values: object) -> None:
        pytest.fail("an SQLModel instance was made")

    monkeypatch.setattr(SQLModel, "__init__", refuse)
    monkeypatch.setattr(SQLModel, "model_validate", refuse)
    async with opened(tmp_path / "g.db") as engine:
        for one in await working(engine, 2):
            await suspended(engine, one)
            await engine.get(one)
        await engine.sweep()
        await engine.find("state:active")


async def test_concurrent_events_share_commits(tmp_path: Path) -> None:
    async with opened(tmp_path / "g.db") as engine:
        ids = await working(engine, 16)
        store = store_of(engine)
        before = store.writer.commits
        await asyncio.gather(*(suspended(engine, one) for one in ids))
        assert store.writer.commits - before < 16
        for one in ids:
            assert (await engine.get(one)).suspension is not None


async def test_a_replayed_event_writes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path / "g.db") as engine:
        [one] = await working(engine)
        first = await engine.send(one, "suspend", actor=OPERATOR, reason="a good reason", idempotency_key="k")
        told = await traced(store_of(engine))
        again = await engine.send(one, "suspend", actor=OPERATOR, reason="a good reason", idempotency_key="k")
        assert (again.version, again.target, again.replayed) == (first.version, first.target, True)
        assert [text for text in told if not text.lstrip().startswith("SELECT")] == []


async def test_a_cancelled_caller_leaves_the_engine_whole(tmp_path: Path) -> None:
    async with opened(tmp_path / "g.db") as engine:
        ids = await working(engine, 8)
        tasks = [asyncio.create_task(suspended(engine, one)) for one in ids]
        for _ in range(3):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in done[1::2]] == [type(None)] * 4
        for one in ids:
            row = await engine.get(one)
            trail = [record.version for record in await engine.history(one)]
            assert sorted(trail) == list(range(1, row.version + 1))


async def test_the_private_parts_of_aiosqlite_are_where_they_were() -> None:
    """`_tx`, `_conn` and `_execute` are private to aiosqlite: this fails when they change."""
    connection = await aiosqlite.connect(":memory:")
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()
    connection._tx.put_nowait((None, lambda: loop.call_soon_threadsafe(done.set_result, 7)))
    assert await done == 7
    assert await connection._execute(lambda conn: conn.total_changes, connection._conn) == 0
    await connection.close()


async def test_an_attempt_survives_the_failure_of_a_neighbour_in_its_commit(tmp_path: Path) -> None:
    """The work of a batch runs again behind savepoints; what the first run was given must not stick."""
    async with opened(tmp_path / "g.db") as engine:
        [one] = await working(engine)
        store = store_of(engine)
        entered, gate = threading.Event(), threading.Event()

        def holds(*_: object) -> None:
            entered.set()
            gate.wait(5)

        def fails(found: Snapshot) -> Change:
            assert found.app is not None
            found.app.revision += 1
            return Change(
                app=found.app, drop_credential=b"x", spent_credential=b"nobody", installation=found.installation
            )

        held = asyncio.create_task(store.writer.run(holds))
        await asyncio.to_thread(entered.wait, 5)
        opening = asyncio.create_task(engine.reauthorize(one, actor=BOB, code_challenge="x" * 43))
        while not store.writer._waiting:  # noqa: ASYNC110 - its queue tells nobody
            await asyncio.sleep(0)
        neighbour = asyncio.create_task(store.transact(Load(installation=one), fails))
        await asyncio.sleep(0)
        gate.set()
        await held
        attempt = await opening
        with pytest.raises(Conflict):
            await neighbour
        found = (await store.load(Load(attempt=attempt.id))).attempt
        assert found is not None
        assert found.outcome is None
        assert [row.public_id for row in (await store.load(Load(installation=one))).attempts] == [attempt.id]
