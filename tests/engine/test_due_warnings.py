"""What is due to be told is told, whatever else happens to the row that day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from grantflow import Actor, Engine, Notice
from grantflow.testing import ManualClock, People, authorize, sample_app, throwaway_engine

ANN, OPERATOR = Actor.agent("ann"), Actor.operator("maria")
YEAR, DAY = timedelta(days=365), timedelta(days=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def engine(clock: ManualClock) -> AsyncIterator[Engine]:
    async with throwaway_engine(clock=clock, directory=People({ANN: ["acme"]})) as opened:
        await opened.apps.register(sample_app("agent"))
        await opened.apps.install("agent-app", "acme", actor=Actor.system())
        yield opened


async def _told(engine: Engine) -> list[str]:
    heard: list[Notice] = []
    leave = engine.subscribe(heard.append)
    await engine.warn_due()
    await engine.deliver_notices()
    leave()
    return [notice.name for notice in heard if notice.name.startswith(("installation.exp", "installation.rem"))]


async def test_a_window_that_lapses_does_not_swallow_a_due_warning(engine: Engine, clock: ManualClock) -> None:
    await authorize(engine, "agent-app", "acme", actor=ANN)
    clock.advance(YEAR - timedelta(days=30, hours=12))
    await engine.authorize("agent-app", account="acme", actor=ANN, code_challenge="c" * 43)
    clock.advance(DAY)
    assert (await engine.sweep()).attempts_closed == 1
    assert await _told(engine) == ["installation.expiring"]
    assert await _told(engine) == [], "once"


async def test_a_suspension_does_not_swallow_a_due_reminder(engine: Engine, clock: ManualClock) -> None:
    tokens = await authorize(engine, "agent-app", "acme", actor=ANN)
    clock.advance(YEAR)
    await engine.sweep()
    assert await _told(engine) == ["installation.expired"]
    clock.advance(3 * DAY)
    await engine.suspend(tokens.installation, actor=OPERATOR, reason="in between")
    assert await _told(engine) == ["installation.reminded"]


async def test_a_new_grant_forgets_the_warning_of_the_old_one(engine: Engine, clock: ManualClock) -> None:
    await authorize(engine, "agent-app", "acme", actor=ANN)
    clock.advance(YEAR - timedelta(days=29))
    await authorize(engine, "agent-app", "acme", actor=ANN)
    assert await _told(engine) == []
