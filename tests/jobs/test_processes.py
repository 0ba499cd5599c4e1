"""Several processes at one job, and processes that end in the middle: nothing is lost and nothing is done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import JobState
from tests.jobs.conftest import Forty
from tests.jobs.fleet import EVERY, LEASE, after_rows, filled, opened, rows, started, transitions

ROOT = Path(__file__).resolve().parents[2]
AFTERWARDS = LEASE + timedelta(seconds=1)


@contextmanager
def worker(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start a worker; it is dead when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.worker", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
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


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


async def test_of_two_processes_at_one_job_one_has_it(forty: Forty) -> None:
    jobs = [await started(forty.engine), await started(forty.engine, "remind", canary=0)]
    with worker("runs", forty.file) as first, worker("runs", forty.file) as second:
        both = (first, second)
        assert [line_of(process) for process in both] == ["open", "open"]
        for process in both:
            go(process)
        told = [json.loads(line_of(process)) for process in both]
    assert transitions(forty.file, "suspend") == dict.fromkeys(forty.ids, 1)
    assert sum(report["applied"] + report["outdated"] for report in told) == 80
    assert {name for report in told for name in report["jobs"]} == {job.id for job in jobs}
    assert [(await forty.engine.ops.job(job.id)).state for job in jobs] == [JobState.DONE, JobState.DONE]
    notices = "SELECT count(DISTINCT installation_pk), count(*) FROM grantflow_outbox WHERE name = ?"
    once, all_of_them = rows(forty.file, notices, "installation.reminded")[0]
    assert once == all_of_them


async def test_a_silent_process_loses_its_job_and_does_no_row_more(forty: Forty) -> None:
    job = await started(forty.engine, canary=5)
    with worker("stalls", forty.file) as silent:
        assert line_of(silent) == "stalled"
        held = await forty.engine.ops.job(job.id)
        assert (held.applied, held.running) == (5, True)
        assert (await forty.engine.run_jobs()).jobs == (), "its lease holds"
        async with opened(forty.file, AFTERWARDS) as other:
            assert (await other.run_jobs()).applied == 35
        go(silent)
        assert json.loads(line_of(silent))["applied"] == 5
    assert transitions(forty.file, "suspend") == dict.fromkeys(forty.ids, 1)
    done = await forty.engine.ops.job(job.id)
    assert (done.state, done.applied) == (JobState.DONE, 40)


async def test_a_process_that_comes_back_in_the_middle_of_anothers_run_is_fenced_off(
    forty: Forty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grantflow._job_runner._AT_ONCE", 8)
    await started(forty.engine, canary=5)
    told: list[dict[str, Any]] = []
    with worker("stalls", forty.file) as silent:
        assert line_of(silent) == "stalled"

        def back() -> None:
            go(silent)
            told.append(json.loads(line_of(silent)))

        async with opened(forty.file, AFTERWARDS) as other:
            assert (await other.run_jobs(progress=after_rows(13, back))).applied == 35
    assert [report["applied"] for report in told] == [5]
    assert transitions(forty.file, "suspend") == dict.fromkeys(forty.ids, 1)


@pytest.mark.parametrize(
    "change", ["lease = 'another'", "state = 'paused'", "state = 'cancelled'", "state = 'stopped'"]
)
async def test_each_rows_transaction_looks_at_the_job_first(forty: Forty, change: str) -> None:
    job = await started(forty.engine, canary=0)
    asked: list[object] = []

    def policy(*_: object) -> bool:
        """Asked before the transaction: the last moment at which somebody else may come first."""
        if not asked:
            rows(forty.file, f"UPDATE grantflow_job SET {change}, revision = revision + 1")
        asked.append(True)
        return True

    forty.engine._core.policy = policy
    report = await forty.engine.run_jobs()
    assert len(asked) == 40
    assert (report.applied, transitions(forty.file, "suspend")) == (0, {})
    assert (await forty.engine.ops.job(job.id)).pending == 40


@pytest.mark.parametrize("moment", ["before", "written", "committed"])
@pytest.mark.parametrize("number", [1, 10, 11, 40])
async def test_kill_9_loses_no_row_and_doubles_none(forty: Forty, number: int, moment: str) -> None:
    job = await started(forty.engine)
    with worker("dies", forty.file, number, moment) as victim:
        assert victim.stdout is not None
        assert victim.stdout.read() == "", "it should have died"
        assert victim.wait() == -signal.SIGKILL
    half = await forty.engine.ops.job(job.id)
    assert len(transitions(forty.file, "suspend")) == half.applied, "a row and its outcome are one"
    assert half.applied + half.pending == 40
    async with opened(forty.file, AFTERWARDS) as other:
        await other.run_jobs()
    assert transitions(forty.file, "suspend") == dict.fromkeys(forty.ids, 1)
    done = await forty.engine.ops.job(job.id)
    assert (done.state, done.applied, done.outdated, done.failed) == (JobState.DONE, 40, 0, 0)
    notices = "SELECT count(DISTINCT installation_pk), count(*) FROM grantflow_outbox WHERE name = ?"
    assert rows(forty.file, notices, "installation.suspended") == [(40, 40)]
    assert rows(forty.file, "PRAGMA integrity_check") == [("ok",)]


async def test_the_lease_is_renewed_while_rows_are_done(forty: Forty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grantflow._job_runner._AT_ONCE", 8)
    job = await started(forty.engine, canary=0)
    clock: Any = forty.engine._core.clock
    held: list[bool] = []

    def progress(*_: int) -> None:
        [(until,)] = rows(forty.file, "SELECT lease_until FROM grantflow_job WHERE public_id = ?", job.id)
        held.append(until is None or until > forty.engine._core.now())
        clock.advance(LEASE * 0.4)

    await forty.engine.run_jobs(progress=progress)
    assert held == [True] * 5, "two leases long"
    assert (await forty.engine.ops.job(job.id)).applied == 40


@pytest.mark.slow
async def test_five_thousand_rows_killed_twice(tmp_path: Path) -> None:
    file = tmp_path / "large.db"
    async with opened(file) as engine:
        ids = await filled(engine, 5_000)
        job = await started(engine, filter=EVERY)
        assert job.total == 5_000
    for number in (777, 2_500):
        with worker("dies", file, number, "written") as victim:
            assert victim.wait() == -signal.SIGKILL
        rows(file, "UPDATE grantflow_job SET lease_until = 0")  # its time is over
    async with opened(file, AFTERWARDS) as engine:
        await engine.run_jobs()
        done = await engine.ops.job(job.id)
        assert (done.state, done.applied) == (JobState.DONE, 5_000)
    assert transitions(file, "suspend") == dict.fromkeys(ids, 1)
