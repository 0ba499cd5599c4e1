"""The machine's clock is wrong, or put right: a daemon goes on within its cap, and never expires early."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grantflow.testing import ManualClock, sample_app
from grantflow_scheduler import Scheduler
from tests.scheduler.stage import (
    ANN,
    APP,
    OPERATOR,
    WHY,
    deadlines,
    ended,
    expired,
    lateness,
    opened,
    program,
    rows,
    until,
)

HOUR, DAY = 3600.0, 86_400.0
FLOOD = 300


async def made(file: Path) -> Path:
    async with opened(file):
        pass
    return file


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    return await made(tmp_path / "grants.db")


def ahead(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize("step", [-2 * HOUR, DAY, -30.0, 45.0], ids=["-2 h", "+1 d", "-30 s", "+45 s"])
async def test_a_daemon_goes_on_after_a_step_of_its_clock(file: Path, step: float) -> None:
    with program("daemon", file, 30) as daemon:
        deadlines(file, *(step + 2.0 + number / 10 for number in range(10)) if step > 0 else ())
        daemon.tell(str(step))
        if step < 0:
            deadlines(file, *(2.0 + number / 10 for number in range(10)), at=ahead(step))
        took = await ended(file, 10, 30)
    assert took < 10, "the watchdog looks each second"
    late = lateness(file)
    assert min(late) >= 0, "never early"
    assert max(late) < 6


@pytest.mark.slow
@pytest.mark.parametrize("step", [-2 * HOUR, DAY], ids=["-2 h", "+1 d"])
async def test_after_a_step_other_processes_writes_are_seen_within_the_interval(file: Path, step: float) -> None:
    with program("daemon", file, 3) as daemon:
        daemon.tell(str(step))
        await asyncio.sleep(2.5)  # the watchdog has seen it; from here on the jobs are alone
        for _ in range(3):
            before = expired(file)
            deadlines(file, 0.5, at=ahead(step))
            assert await ended(file, before + 1) < 3 + 0.5 + 1
    assert min(lateness(file)) >= 0


async def test_the_hour_that_a_zone_leaves_out_or_has_twice_changes_nothing(file: Path) -> None:
    for change in (datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 1, tzinfo=UTC)):
        before = expired(file)
        away = (change - timedelta(seconds=4) - datetime.now(UTC)).total_seconds()
        with program("daemon", file, 30, away, zone="Europe/Berlin"):
            deadlines(file, 0.0, 0.5, 1.5, at=change - timedelta(microseconds=1))
            deadlines(file, 2.0, at=change)
            await ended(file, before + 4, 20)
    assert min(lateness(file)) >= 0
    assert max(lateness(file)[-4:]) < 5


async def test_400_days_trip_the_brake_and_another_process_releases_it(file: Path) -> None:
    deadlines(file, 0.0, *(100 * DAY for _ in range(FLOOD)))
    with program("daemon", file, 2) as daemon:
        await ended(file, 1)  # it has looked at the clock once
        daemon.tell(str(400 * DAY))
        await until(lambda: held(file))
        await asyncio.sleep(2.5)
        assert expired(file) == 1
        daemon.kill()
    with program("daemon", file, 2, 400 * DAY) as daemon:
        await asyncio.sleep(2.5)
        assert held(file)
        assert expired(file) == 1, "the hold outlives the daemon"
        deadlines(file, 0.3, at=ahead(400 * DAY), app_pk=await another_app(file))
        await ended(file, 2)
        async with opened(file) as engine:
            await engine.ops.release_sweep(APP, actor=OPERATOR, reason=WHY)
        assert await ended(file, FLOOD + 2) < 2 + 3
        await until(lambda: not held(file))  # the sweep lets go when its rows are through
    assert min(lateness(file)) >= 0


async def test_the_command_line_releases_what_a_daemon_holds(file: Path) -> None:
    deadlines(file, 0.0, *(100 * DAY for _ in range(FLOOD)))
    with program("daemon", file, 2) as daemon:
        await ended(file, 1)  # it has looked at the clock once
        daemon.tell(str(400 * DAY))
        await until(lambda: held(file))
        with program("release", file, 400 * DAY) as command:
            assert await asyncio.to_thread(command.process.wait) == 0
        assert await ended(file, FLOOD + 1) < 2 + 3
    assert min(lateness(file)) >= 0


def held(file: Path) -> bool:
    return rows(file, "SELECT name FROM grantflow_control WHERE name LIKE 'held:%'") == [(f"held:{APP}",)]


async def another_app(file: Path) -> int:
    async with opened(file) as engine:
        await engine.apps.register(sample_app("agent", key="other"))
        await engine.apps.install("other", "acme", actor=ANN)
    return int(rows(file, "SELECT pk FROM grantflow_app WHERE key = 'other'")[0][0])


async def test_an_engines_own_clock_that_is_stepped_is_seen_at_the_next_look(tmp_path: Path) -> None:
    """A host's clock is not the machine's: the watchdog cannot see its steps, the interval does."""
    clock = ManualClock(datetime.now(UTC))
    file = tmp_path / "g.db"
    async with opened(file, clock) as engine, Scheduler(engine, interval=timedelta(seconds=1)):
        deadlines(file, 100.0)
        clock.step(timedelta(seconds=101))
        assert await ended(file, 1) < 3
