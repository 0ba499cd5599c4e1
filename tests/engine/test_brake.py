"""The brake outlives processes: what one holds all hold, what an operator releases is released everywhere."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.world import DAY, NOW, START, seed
from grantflow import Actor, Engine, Settings, SweepReport
from grantflow.testing import ManualClock, People, authorize, sample_app

ANN, BOB = Actor.admin("ann"), Actor.agent("bob")
OPERATOR = Actor.operator("maria")
WHY = "the clock is right after all"
ROWS = 200
LATER = timedelta(days=400)


@asynccontextmanager
async def opened(file: Path, clock: ManualClock, **settings: int) -> AsyncIterator[Engine]:
    people = People({ANN: ["acme"], BOB: ["acme"]})
    chosen = Settings(synchronous="NORMAL", **settings)  # type: ignore[arg-type]
    async with Engine.open(f"sqlite:///{file}", directory=people, clock=clock, settings=chosen) as engine:
        yield engine


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "grants.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def engine(file: Path, clock: ManualClock) -> AsyncIterator[Engine]:
    async with opened(file, clock) as engine:
        for key in ("many", "few"):
            await engine.apps.register(sample_app("agent", key=key))
            await engine.apps.install(key, "acme", actor=ANN)
        yield engine


async def tripped(engine: Engine, file: Path, clock: ManualClock, rows: int = ROWS) -> SweepReport:
    """Many grants of one app, one of the other, and a step of the clock beyond the end of all."""
    await authorize(engine, "few", "acme", actor=BOB)
    seed(file, rows, due=NOW + 300 * DAY)
    await engine.sweep()
    clock.step(LATER)
    return await engine.sweep()


def controls(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as conn:
        return {str(name) for (name,) in conn.execute("SELECT name FROM grantflow_control")}


async def test_a_step_holds_the_flood_and_nothing_is_lost(engine: Engine, file: Path, clock: ManualClock) -> None:
    report = await tripped(engine, file, clock)
    assert [(held.app, held.due, held.active) for held in report.held] == [("many", ROWS, ROWS)]
    assert report.moved == 1, "the other app's does not wait"
    assert (await engine.counts()).by_state == {"active": ROWS, "refresh-expired": 1}
    assert controls(file) == {"held:many"}
    clock.step(-LATER)
    report = await engine.sweep()
    assert (report.held, report.moved) == ((), 0)
    assert controls(file) == set()
    clock.advance(timedelta(days=299))
    await engine.sweep()
    clock.advance(timedelta(days=1))
    assert (await engine.sweep()).moved == ROWS, "in the end each ends on its day"


async def test_what_one_process_holds_every_process_holds(engine: Engine, file: Path, clock: ManualClock) -> None:
    first = await tripped(engine, file, clock)
    async with opened(file, clock) as other:  # it has seen no step, and forecast nothing
        report = await other.sweep()
        assert report.moved == 0
        assert report.held == first.held
        assert (await other.ops.preview_sweep()).held == first.held


async def test_a_hold_survives_a_restart(engine: Engine, file: Path, clock: ManualClock) -> None:
    await tripped(engine, file, clock)
    for _ in range(2):
        async with opened(file, clock) as again:
            assert (await again.sweep()).moved == 0
            clock.advance(timedelta(hours=5))
            assert [held.app for held in (await again.sweep()).held] == ["many"]


async def test_a_release_by_another_process_reaches_the_one_that_holds(
    engine: Engine, file: Path, clock: ManualClock
) -> None:
    await tripped(engine, file, clock)
    async with opened(file, clock) as operators:
        await operators.ops.release_sweep("many", actor=OPERATOR, reason=WHY)
    report = await engine.sweep()
    assert (report.moved, report.held) == (ROWS, ())
    assert controls(file) == set(), "a release is used up"


async def test_a_release_is_good_for_one_flood(engine: Engine, file: Path, clock: ManualClock) -> None:
    await tripped(engine, file, clock)
    await engine.ops.release_sweep("many", actor=OPERATOR, reason=WHY)
    assert (await engine.sweep(limit=50)).moved == 50
    assert controls(file) == {"released:many"}, "until its rows are through"
    assert (await engine.sweep()).moved == ROWS - 50
    seed(file, ROWS, due=NOW + 900 * DAY)
    await engine.sweep()
    clock.step(2 * LATER)
    assert [held.app for held in (await engine.sweep()).held] == ["many"]


async def test_more_held_rows_than_a_sweep_reads_at_once_keep_nobody_waiting(
    engine: Engine, file: Path, clock: ManualClock
) -> None:
    report = await tripped(engine, file, clock, rows=20_500)  # all due before the one of the other app
    assert [held.due for held in report.held] == [20_500]
    assert report.moved == 1
    assert report.next_due_at is None or report.next_due_at > clock.now(), "what is held is not rung for"


@pytest.mark.slow
async def test_more_rows_than_a_sweep_reads_at_once_that_it_cannot_judge_keep_nobody_waiting(
    engine: Engine, file: Path, clock: ManualClock
) -> None:
    """Rows of a kind whose chart only another process has, for example."""
    await authorize(engine, "few", "acme", actor=BOB)
    seed(file, 20_500, due=NOW + 300 * DAY)
    with closing(sqlite3.connect(file)) as conn, conn:
        conn.execute("UPDATE grantflow_app SET kind = 'elsewhere' WHERE key = 'many'")
    clock.advance(LATER)
    assert (await engine.sweep(limit=1)).moved == 1
    await authorize(engine, "few", "acme", actor=BOB)
    clock.advance(LATER)
    report = await engine.sweep()
    assert (report.held, report.moved) == ((), 1)
    assert (await engine.counts()).by_state == {"active": 20_500, "refresh-expired": 1}


async def test_a_few_expiries_after_a_step_are_no_flood(engine: Engine, file: Path, clock: ManualClock) -> None:
    await authorize(engine, "few", "acme", actor=BOB)
    seed(file, 100, due=NOW + 300 * DAY)
    await engine.sweep()
    clock.step(LATER)
    assert (await engine.sweep()).moved == 101


async def test_a_process_that_slept_for_a_year_is_not_braked_at_its_start(
    engine: Engine, file: Path, clock: ManualClock
) -> None:
    seed(file, ROWS, due=NOW + 300 * DAY)
    clock.advance(LATER)
    assert (await engine.sweep()).moved == ROWS


async def test_readers_know_the_end_of_a_grant_that_is_held(engine: Engine, file: Path, clock: ManualClock) -> None:
    await tripped(engine, file, clock)
    [found] = (await engine.find("app:many", limit=1)).items
    assert (found.stored_state, found.usable, found.overdue) == ("active", False, True)


async def test_two_processes_that_sweep_at_once_while_a_third_releases(
    engine: Engine, file: Path, clock: ManualClock
) -> None:
    await tripped(engine, file, clock)
    async with opened(file, clock) as second, opened(file, clock) as third:

        async def sweeps(one: Engine) -> int:
            return sum([(await one.sweep()).moved for _ in range(6)])

        moved, others, _ = await asyncio.gather(
            sweeps(engine), sweeps(second), third.ops.release_sweep("many", actor=OPERATOR, reason=WHY)
        )
        assert moved + others + (await third.sweep()).moved == ROWS
    with closing(sqlite3.connect(file)) as conn:
        twice = conn.execute(
            "SELECT count(*) FROM (SELECT 1 FROM grantflow_transition WHERE event = 'expire' "
            "GROUP BY installation_pk HAVING count(*) > 1)"
        )
        assert twice.fetchone() == (0,)


def test_the_seeds_start_is_the_clocks() -> None:
    assert datetime.fromtimestamp(NOW / 1e6, START.tzinfo) == START
