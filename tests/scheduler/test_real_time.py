"""Real seconds: how late expiries are, beside bare timers; through a kill; and for whoever else writes."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from statistics import median

import pytest

from benchmarks.lateness import on_file, share, timers
from grantflow import Lifetime, LifetimePolicy
from grantflow.testing import authorize, sample_app
from grantflow_scheduler import Scheduler
from tests.scheduler.stage import (
    ANN,
    BOB,
    EVE,
    deadlines,
    ended,
    expired,
    lateness,
    opened,
    percentile,
    program,
    twice,
    until,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "grants.db"


@pytest.mark.slow
async def test_a_thousand_expiries_are_on_time(file: Path) -> None:
    bare, late = await timers(1_000, 10), await on_file(file, 1_000, 10)
    for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        print(f"{name}: {share(late, part):.2f} ms, bare call_later {share(bare, part):.2f} ms")
    assert len(late) == 1_000
    assert min(lateness(file)) >= 0, "none early"
    assert twice(file) == 0
    # A machine that others use too stalls both; the ratios are loose on purpose.
    assert share(late, 0.5) < max(25.0, 25 * share(bare, 0.5))
    assert share(late, 0.99) < max(250.0, 25 * share(bare, 0.99))


@pytest.mark.slow
async def test_a_daemon_that_is_killed_in_the_middle_loses_none_of_a_thousand(file: Path) -> None:
    async with opened(file):
        pass
    with program("daemon", file, 1) as daemon:
        deadlines(file, *(3.0 + number / 100 for number in range(1_000)))
        await until(lambda: expired(file) >= 300, 30)
        daemon.kill()
    killed = time.monotonic()
    with program("daemon", file, 1):
        down = time.monotonic() - killed
        await ended(file, 1_000, 60)
    late = sorted(lateness(file))
    print(f"down {down:.1f} s; late p50 {percentile(late, 0.5):.3f} s, max {late[-1]:.3f} s")
    assert late[0] >= 0
    assert twice(file) == 0


async def test_another_processs_deadline_is_kept_by_the_cap(file: Path) -> None:
    async with opened(file) as engine, Scheduler(engine, interval=timedelta(seconds=3)) as scheduler:
        await scheduler.sweep_now()
        deadlines(file, 2.0)  # written behind this process's back
        await ended(file, 1)
    [late] = lateness(file)
    assert 0 <= late < 3 + 1


async def test_this_processs_deadlines_are_kept_at_once(file: Path) -> None:
    async with opened(file) as engine:
        for number in range(6):
            life = Lifetime(LifetimePolicy.FIXED, timedelta(seconds=1 + number / 5))
            await engine.apps.register(sample_app("agent", key=f"app-{number}", lifetime=life))
            await engine.apps.install(f"app-{number}", "acme", actor=ANN)
        async with Scheduler(engine, interval=timedelta(hours=1)) as scheduler:
            await scheduler.sweep_now()
            for number in range(6):
                for agent in (BOB, EVE):
                    await authorize(engine, f"app-{number}", "acme", actor=agent)
            await ended(file, 12)
    late = lateness(file)
    print(f"own deadlines: late p50 {median(late) * 1000:.1f} ms, max {max(late) * 1000:.1f} ms")
    assert min(late) >= 0
    assert median(late) < 0.25, "about 50 ms on a machine of one's own"
