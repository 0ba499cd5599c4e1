"""A host's own APScheduler, adopted: whatever the host does to it, time goes on, and it stays the host's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from grantflow import Engine
from grantflow_scheduler import Scheduler
from grantflow_scheduler._duties import DUTIES
from tests.scheduler.stage import OPERATOR, WHY, deadlines, ended, expired, lateness, opened, twice

MINUTE = timedelta(minutes=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "grants.db"


@pytest.fixture
async def engine(file: Path) -> AsyncIterator[Engine]:
    async with opened(file) as engine:
        yield engine


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same watchdog with less patience, so that a test need not wait for it."""
    monkeypatch.setattr("grantflow_scheduler._scheduler._TICK", 0.1)
    monkeypatch.setattr("grantflow_scheduler._scheduler._PATIENCE", timedelta(seconds=0.5))


@pytest.fixture
async def own() -> AsyncIterator[Any]:
    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.start()
    yield scheduler
    if scheduler.running:
        scheduler.shutdown(wait=False)


def paused(own: Any) -> None:
    own.pause()


def shut_down(own: Any) -> None:
    own.shutdown(wait=False)


def removed(own: Any) -> None:
    own.remove_all_jobs()


def jobs_paused(own: Any) -> None:
    for job in own.get_jobs():
        job.pause()


def far_away(own: Any) -> None:
    for job in own.get_jobs():
        job.reschedule("interval", days=365)


def store_removed(own: Any) -> None:
    own.remove_jobstore("default")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "done", [paused, shut_down, removed, jobs_paused, far_away, store_removed], ids=lambda done: done.__name__
)
async def test_time_goes_on_whatever_the_host_does_to_its_scheduler(
    engine: Engine, file: Path, own: Any, done: Any
) -> None:
    async with Scheduler(engine, own, interval=timedelta(seconds=1)) as scheduler:
        await scheduler.sweep_now()
        done(own)
        await asyncio.sleep(0)  # a shut-down scheduler ends its loop's work in the next turn
        for count in range(1, 4):
            deadlines(file, 0.2)
            await ended(file, count, 6)
        for duty in DUTIES:
            await asyncio.wait_for(scheduler.run_now(duty.name), 70)
    assert min(lateness(file)) >= 0
    assert twice(file) == 0


async def test_it_is_never_started_paused_or_shut_down_here(engine: Engine, own: Any) -> None:
    own.add_job(lambda: None, "interval", days=1, id="the hosts own")
    async with Scheduler(engine, own):
        assert len(own.get_jobs()) == 1 + len(DUTIES)
    assert own.running
    assert [job.id for job in own.get_jobs()] == ["the hosts own"]
    idle = AsyncIOScheduler(timezone=UTC)
    async with Scheduler(engine, idle):
        await asyncio.sleep(0.1)
        assert not idle.running


async def test_a_hosts_pause_of_a_job_is_no_pause_of_ours(engine: Engine, file: Path, own: Any) -> None:
    """Only the row in the database pauses, so that a pull-forward cannot lift it."""
    async with Scheduler(engine, own, interval=MINUTE):
        await engine.ops.pause(actor=OPERATOR, reason=WHY)
        deadlines(file, 0.1)
        for job in own.get_jobs():
            job.pause()
        await asyncio.sleep(1.5)
        assert expired(file) == 0
        await engine.ops.resume(actor=OPERATOR, reason=WHY)
        for job in own.get_jobs():
            job.pause()
        await ended(file, 1, 10)
