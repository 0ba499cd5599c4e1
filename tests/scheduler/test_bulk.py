"""The daemon runs what operators queued, again after a failure, and gives a job back when it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Engine, JobsReport, JobState
from grantflow.errors import DatabaseBusy
from grantflow_scheduler._bulk import running_jobs
from tests.jobs.fleet import filled, opened, started

SOON = timedelta(milliseconds=5)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with opened(tmp_path / "g.db") as engine:
        await filled(engine, 20)
        yield engine


async def test_queued_jobs_are_run_also_after_failures(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    job, real, done = await started(engine), engine.run_jobs, asyncio.Event()
    failures: list[Exception] = [DatabaseBusy(), RuntimeError("once")]

    async def run_jobs() -> JobsReport:
        if failures:
            raise failures.pop()
        report = await real()
        done.set()
        return report

    monkeypatch.setattr(engine, "run_jobs", run_jobs)
    async with running_jobs(engine, SOON), asyncio.timeout(10):
        await done.wait()
    assert (await engine.ops.job(job.id)).applied == 20
    assert failures == []


async def test_a_job_at_hand_is_given_back_at_the_end(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    job, real, begun = await started(engine, canary=5), engine.run_jobs, asyncio.Event()

    async def run_jobs() -> Any:
        return await real(progress=lambda *_: begun.set())

    monkeypatch.setattr(engine, "run_jobs", run_jobs)
    async with running_jobs(engine, SOON), asyncio.timeout(10):
        await begun.wait()
    left = await engine.ops.job(job.id)
    assert not left.running, "its lease is not held until it runs out"
    assert left.state in {JobState.RUNNING, JobState.DONE}
    await real()
    assert (await engine.ops.job(job.id)).applied == 20
