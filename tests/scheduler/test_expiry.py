"""APScheduler drives the expiry transitions, in real time and on a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from grantflow import Actor, Engine, Lifetime, LifetimePolicy, SweepReport
from grantflow.errors import DatabaseBusy
from grantflow.testing import ManualClock, People, authorize, sample_app, throwaway_engine
from grantflow_scheduler import ExpiryScheduler, describe_jobs
from grantflow_scheduler._duties import DUTIES

ANN = Actor.admin("ann")
YEAR = timedelta(days=365)


def short_lived(seconds: float) -> Lifetime:
    return Lifetime(LifetimePolicy.FIXED, timedelta(seconds=seconds))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def engine(clock: ManualClock) -> AsyncIterator[Engine]:
    people = People({ANN: ["acme"], Actor.agent("bob"): ["acme"], Actor.agent("eve"): ["acme"]})
    async with throwaway_engine(directory=people, clock=clock) as opened:
        await opened.apps.register(sample_app("agent"))
        await opened.apps.install("agent-app", "acme", actor=ANN)
        yield opened


async def test_twenty_grants_end_on_time_once_each_and_none_early() -> None:
    agents = [Actor.agent(f"agent-{number}") for number in range(20)]
    people = People({ANN: ["acme"], **{agent: ["acme"] for agent in agents}})
    done = asyncio.Event()
    async with throwaway_engine(directory=people) as engine:
        expired: list[str] = []

        def told(notice: object) -> None:
            expired.append(str(notice))
            if len(expired) == len(agents):
                done.set()

        engine.subscribe(lambda notice: told(notice) if notice.name == "installation.expired" else None)
        async with ExpiryScheduler(engine, interval=timedelta(seconds=30)):
            for number, agent in enumerate(agents):
                app = sample_app("agent", key=f"app-{number}", lifetime=short_lived(1.0 + number * 0.4))
                await engine.apps.register(app)
                await engine.apps.install(app.key, "acme", actor=ANN)
                await authorize(engine, app.key, "acme", actor=agent)
            async with asyncio.timeout(20):
                await done.wait()
        for found in (await engine.find("state:refresh-expired", limit=100)).items:
            ends = [record for record in await engine.history(found.id) if record.event == "expire"]
            assert len(ends) == 1, "at most once per grant"
            assert found.expires_at is not None
            assert ends[0].at >= found.expires_at, "never early"
        assert len(expired) == len(agents)


async def test_what_became_due_while_nothing_ran_is_caught_up_at_the_start(
    engine: Engine, clock: ManualClock
) -> None:
    tokens = await authorize(engine, "agent-app", "acme", actor=Actor.agent("bob"))
    clock.advance(YEAR + timedelta(days=30))
    assert (await engine.get(tokens.installation)).stored_state == "active"
    swept = asyncio.Event()
    async with ExpiryScheduler(engine, on_sweep=lambda _: swept.set()):
        await asyncio.wait_for(swept.wait(), 10)
    assert (await engine.get(tokens.installation)).stored_state == "refresh-expired"


async def test_a_moved_clock_is_swept_through_apscheduler(engine: Engine, clock: ManualClock) -> None:
    await authorize(engine, "agent-app", "acme", actor=Actor.agent("bob"))
    async with ExpiryScheduler(engine) as scheduler, asyncio.timeout(10):
        clock.advance(YEAR - timedelta(microseconds=1))
        assert (await scheduler.sweep_now()).moved == 0
        clock.advance(timedelta(microseconds=1))
        assert (await scheduler.sweep_now()).moved == 1
        assert (await scheduler.sweep_now()).moved == 0


async def test_starting_and_stopping_twice_is_safe(engine: Engine) -> None:
    scheduler = ExpiryScheduler(engine)
    await scheduler.stop()
    await scheduler.start()
    await scheduler.start()
    assert len(scheduler.jobs()) == len(DUTIES)
    await scheduler.stop()
    await scheduler.stop()
    assert scheduler.jobs() == []
    with pytest.raises(RuntimeError, match="not running"):
        await scheduler.sweep_now()


async def test_a_hosts_own_scheduler_is_adopted_and_left_running(engine: Engine) -> None:
    own = AsyncIOScheduler(timezone=UTC)
    own.start()
    try:
        async with ExpiryScheduler(engine, own):
            assert {job.id for job in own.get_jobs()} == {f"grantflow.{duty.name}" for duty in DUTIES}
        assert own.running
        assert own.get_jobs() == []
    finally:
        own.shutdown(wait=False)


async def test_a_write_pulls_the_alarm_forward(clock: ManualClock, engine: Engine) -> None:
    async with ExpiryScheduler(engine, interval=timedelta(hours=1)) as scheduler, asyncio.timeout(10):
        await scheduler.sweep_now()
        before = scheduler.jobs()[0]["next_run_at"]
        await engine.authorize("agent-app", actor=Actor.agent("bob"), code_challenge="a" * 43)
        after = scheduler.jobs()[0]["next_run_at"]
    assert before is not None
    assert after is not None
    assert after < before


async def test_a_failing_sweep_is_tried_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = engine.sweep, [DatabaseBusy(), RuntimeError("a bug")]

    async def sweep(**how: Any) -> SweepReport:
        if failures:
            raise failures.pop()
        return await real(**how)

    monkeypatch.setattr(engine, "sweep", sweep)
    monkeypatch.setattr("grantflow_scheduler._scheduler._PAUSE", timedelta(milliseconds=10))
    async with ExpiryScheduler(engine) as scheduler, asyncio.timeout(10):
        report = await scheduler.sweep_now()
    assert report.moved == 0
    assert failures == []


async def test_the_jobs_are_told_without_running_them(engine: Engine) -> None:
    await authorize(engine, "agent-app", "acme", actor=Actor.agent("bob"))
    jobs = {job["id"]: job["next_due_at"] for job in await describe_jobs(engine)}
    assert jobs["grantflow.expiry"] == "2026-01-01T00:00:00+00:00"
    assert jobs["grantflow.warnings"] == "2025-12-02T00:00:00+00:00"
    assert len(jobs) == len(DUTIES)


def test_an_interval_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        ExpiryScheduler(None, interval=timedelta(0))  # type: ignore[arg-type]  # refused before it is used


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_daemon_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        "import logging, sys; logging.basicConfig(level=logging.INFO, stream=sys.stdout)\n"
        "from grantflow_scheduler import run_forever\n"
        f"sys.exit(run_forever('sqlite:///{tmp_path}/grants.db', interval=5))\n"
    )
    daemon = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    assert any("sweeping every" in line for line in daemon.stdout)
    asked = time.monotonic()
    daemon.send_signal(number)
    rest = daemon.stdout.read()
    assert daemon.wait(timeout=10) == 0, rest
    assert time.monotonic() - asked < 2.5
    daemon.stdout.close()
