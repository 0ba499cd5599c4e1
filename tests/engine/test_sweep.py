"""Sweeps: never early, at most once, fair, and behind a brake."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grantflow import Actor, Engine, Lifetime, LifetimePolicy, Settings
from grantflow.errors import PermissionDenied
from grantflow.testing import ManualClock, People, authorize, sample_app, throwaway_engine

ANN, OPERATOR = Actor.admin("ann"), Actor.operator("maria")
AGENTS = [Actor.agent(f"agent-{number}") for number in range(30)]
YEAR, TICK = timedelta(days=365), timedelta(microseconds=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def engine(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Engine]:
    people = People({ANN: ["acme"], **{agent: ["acme"] for agent in AGENTS}})
    settings = Settings(brake_count=10)
    url = f"sqlite:///{tmp_path}/grants.db"
    async with Engine.open(url, directory=people, clock=clock, settings=settings) as opened:
        await opened.apps.register(sample_app("agent"))
        await opened.apps.install("agent-app", "acme", actor=ANN)
        yield opened


async def everybody(engine: Engine) -> list[str]:
    done = await asyncio.gather(*(authorize(engine, "agent-app", "acme", actor=agent) for agent in AGENTS))
    return [tokens.installation for tokens in done]


@pytest.mark.parametrize("start", [datetime(2024, 2, 29, tzinfo=UTC), datetime(2025, 3, 30, 1, 59, tzinfo=UTC)])
async def test_a_sweep_is_never_a_microsecond_early(start: datetime) -> None:
    clock = ManualClock(start)
    async with throwaway_engine(directory=People({ANN: ["acme"]}), clock=clock) as engine:
        await engine.apps.register(sample_app("account"))
        tokens = await authorize(engine, "account-app", "acme", actor=ANN)
        assert tokens.refresh_expires_at == start + timedelta(seconds=31_536_000)
        clock.advance(YEAR - TICK)
        assert (await engine.sweep()).moved == 0
        clock.advance(TICK)
        assert (await engine.sweep()).moved == 1
        assert (await engine.sweep()).seen == 0


async def test_weeks_of_downtime_are_caught_up_in_one_sweep(engine: Engine, clock: ManualClock) -> None:
    await everybody(engine)
    clock.advance(YEAR + timedelta(days=40))
    report = await engine.sweep()
    assert (report.moved, report.held) == (len(AGENTS), ())
    assert (await engine.counts()).by_state["refresh-expired"] == len(AGENTS)


async def test_a_limit_leaves_the_rest_for_the_next_sweep(engine: Engine, clock: ManualClock) -> None:
    await everybody(engine)
    clock.advance(YEAR)
    assert (await engine.sweep(limit=7)).moved == 7
    assert (await engine.sweep()).moved == len(AGENTS) - 7


async def test_a_step_of_the_clock_trips_the_brake_until_an_operator_releases_it(
    engine: Engine, clock: ManualClock
) -> None:
    await everybody(engine)
    await engine.sweep()
    clock.step(timedelta(days=400))
    report = await engine.sweep()
    assert report.moved == 0
    assert [(held.app, held.due) for held in report.held] == [("agent-app", len(AGENTS))]
    assert (await engine.ops.preview_sweep()).held == report.held
    with pytest.raises(PermissionDenied):
        await engine.ops.release_sweep("agent-app", actor=ANN, reason="I would like to")
    await engine.ops.release_sweep("agent-app", actor=OPERATOR, reason="the clock is right after all")
    assert (await engine.sweep()).moved == len(AGENTS)


async def test_a_brake_that_holds_lets_go_when_the_clock_comes_back(engine: Engine, clock: ManualClock) -> None:
    ids = await everybody(engine)
    await engine.sweep()
    clock.step(timedelta(days=400))
    assert (await engine.sweep()).held
    clock.step(-timedelta(days=400))
    assert not (await engine.sweep()).held
    assert (await engine.get(ids[0])).state == "active"


async def test_expiries_that_were_forecast_are_not_held(engine: Engine, clock: ManualClock) -> None:
    await everybody(engine)
    clock.advance(YEAR - timedelta(hours=3))
    await engine.sweep()
    clock.advance(timedelta(hours=1))
    await engine.sweep()
    clock.advance(timedelta(minutes=119))
    assert (await engine.sweep()).held == ()
    clock.advance(timedelta(minutes=1))
    assert (await engine.sweep()).moved == len(AGENTS), "what was forecast is not held"


async def test_more_expiries_than_were_forecast_are_held(engine: Engine, clock: ManualClock, tmp_path: Path) -> None:
    ids = await everybody(engine)
    await engine.sweep()
    with sqlite3.connect(tmp_path / "grants.db") as foreign:  # a bad import behind the engine's back
        foreign.execute("UPDATE grantflow_installation SET deadline_at = updated_at + 1, due_at = updated_at + 1")
    clock.advance(timedelta(minutes=1))
    assert [held.due for held in (await engine.sweep()).held] == [len(ids)]


async def test_short_lives_that_this_process_wrote_are_no_surprise(engine: Engine, clock: ManualClock) -> None:
    await engine.sweep()
    await engine.apps.register(sample_app("agent", lifetime=Lifetime(LifetimePolicy.FIXED, timedelta(seconds=30))))
    await everybody(engine)
    clock.advance(timedelta(minutes=1))
    assert (await engine.sweep()).moved == len(AGENTS)


async def test_a_clock_that_steps_back_expires_nothing(engine: Engine, clock: ManualClock) -> None:
    ids = await everybody(engine)
    clock.step(-timedelta(hours=2))
    assert (await engine.sweep()).moved == 0
    suspended = await engine.suspend(ids[0], actor=OPERATOR, reason="looks odd")
    assert suspended.updated_at == suspended.created_at, "recorded time never runs backwards"


async def test_others_are_served_while_a_sweep_runs(clock: ManualClock) -> None:
    people = People({ANN: ["acme"], **{agent: ["acme"] for agent in AGENTS}})
    settings = Settings(chunk_budget=timedelta(microseconds=1))
    async with throwaway_engine(directory=people, clock=clock, settings=settings) as engine:
        await engine.apps.register(sample_app("agent"))
        await engine.apps.install("agent-app", "acme", actor=ANN)
        ids = await everybody(engine)
        clock.advance(YEAR)
        order: list[str] = []

        async def other() -> None:
            await engine.suspend(ids[-1], actor=OPERATOR, reason="in the middle")
            order.append("other")

        async def sweep() -> None:
            await engine.sweep()
            order.append("sweep")

        await asyncio.gather(sweep(), other())
        assert order == ["other", "sweep"]


async def test_progress_is_told(engine: Engine, clock: ManualClock) -> None:
    await everybody(engine)
    clock.advance(YEAR)
    told: list[tuple[int, int]] = []
    await engine.sweep(progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(AGENTS), len(AGENTS))
