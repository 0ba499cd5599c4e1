"""The database's clock is the measure: a machine whose own clock is wrong does no harm, and says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import time_machine

from grantflow import Actor, Engine, Health, Settings
from grantflow._clock import FollowedClock
from grantflow._store._pg_lead import NOW as NOW_THERE
from grantflow._store.postgres import PostgresStore
from grantflow.errors import ClockSkewed
from grantflow.testing import ManualClock, People, authorize, sample_app
from grantflow_scheduler import Scheduler
from tests.store.builders import NOW

BOB = Actor.agent("bob")
SECOND = timedelta(seconds=1)


@asynccontextmanager
async def off(url: str, seconds: float) -> AsyncIterator[Engine]:
    """An engine of a machine whose clock is so many seconds off."""
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True):
        async with Engine.open(url, directory=People({BOB: ["acme"]})) as engine:
            yield engine


async def look(engine: Engine) -> None:
    """A minute has passed."""
    store = engine._core.store
    assert isinstance(store, PostgresStore)
    async with store.pool.acquire() as conn:
        await store._look(conn)


@pytest.mark.parametrize("ahead", [0, 10, -10, 600, -600, 86_400])
async def test_the_engine_goes_by_the_clock_of_the_database(url: str, ahead: int) -> None:
    real = datetime.now(UTC)
    async with off(url, ahead) as engine:
        assert abs(engine.now() - real) < 5 * SECOND
        skew = engine.clock_skew()
        assert skew is not None
        assert abs(skew - ahead * SECOND) < 5 * SECOND
        assert engine._core.clock.monotonic() >= 0


async def test_it_is_never_ahead_of_the_database(url: str) -> None:
    conn = await asyncpg.connect(url)
    try:
        async with Engine.open(url) as engine:
            for _ in range(50):
                assert engine._core.now() <= await conn.fetchval(f"SELECT {NOW_THERE}")
                await look(engine)
    finally:
        await conn.close()


async def test_what_does_not_agree_is_told(url: str, caplog: pytest.LogCaptureFixture) -> None:
    for ahead, level in ((0, None), (10, logging.WARNING), (-600, logging.ERROR)):
        caplog.clear()
        with time_machine.travel(datetime.now(UTC) + ahead * SECOND, tick=True):
            store = await PostgresStore.open(url, Settings(), NOW)
            assert float(store.pragmas()["clock_skew"].split()[0]) == pytest.approx(ahead, abs=5)
            await store.close()
        assert [record.levelno for record in caplog.records] == ([level] if level else [])


async def test_more_than_a_minute_off_nothing_is_moved_by_time_and_people_are_served(url: str) -> None:
    async with Engine.open(url) as other, off(url, 600) as engine:
        await engine.apps.register(sample_app())
        await engine.apps.install("agent-app", "acme", actor=Actor.system())
        tokens = await authorize(engine, "agent-app", "acme", actor=BOB)
        assert (await engine.ledger.authenticate(tokens.access_token.value)).installation == tokens.installation
        for verb in (engine.sweep, engine.warn_due, engine.forget):
            with pytest.raises(ClockSkewed, match=r"\+600 s off") as raised:
                await verb()
            assert raised.value.hint
        assert not await engine.beat("scheduler", lead=True), "who moves nothing does not lead"
        wrong = [one for one in await engine.ops.diagnose() if one.check == "clock skew"]
        assert [one.health for one in wrong] == [Health.WRONG]
        assert wrong[0].mend
        assert (await other.sweep()).moved == 0, "others go on"
        assert await other.beat("scheduler", lead=True)
    async with Engine.open(url) as engine:
        assert {one.health for one in await engine.ops.diagnose() if one.check == "clock skew"} == {Health.OK}


async def test_a_second_off_is_a_note(url: str) -> None:
    async with off(url, -10) as engine:
        assert (await engine.sweep()).moved == 0
        (found,) = [one for one in await engine.ops.diagnose() if one.check == "clock skew"]
        assert found.health is Health.NOTE
        assert "-10" in found.says


async def test_a_clock_that_is_set_right_is_believed_again(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with ExitStack() as wrong:
        wrong.enter_context(time_machine.travel(datetime.now(UTC) + 600 * SECOND, tick=True))
        async with Engine.open(url) as engine:
            with pytest.raises(ClockSkewed):
                await engine.sweep()
            wrong.close()
            await look(engine)
            assert (await engine.sweep()).moved == 0
    assert "agree again" in caplog.text


async def test_it_is_looked_at_again_and_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grantflow._store.postgres._EVERY", 0.02)
    monkeypatch.setattr("grantflow._store.postgres._IN_DOUBT", 0.02)
    async with Engine.open(url) as engine:
        for ahead in (100, 0):
            with time_machine.travel(datetime.now(UTC) + ahead * SECOND, tick=True):
                async with asyncio.timeout(5):
                    while abs((engine.clock_skew() or SECOND) - ahead * SECOND) > SECOND / 2:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)


async def test_a_clock_that_was_passed_is_the_measure(url: str) -> None:
    clock = ManualClock()
    async with Engine.open(url, clock=clock) as engine:
        assert engine.now() == clock.now()
        assert engine.clock_skew() is None
        assert (await engine.sweep()).moved == 0


async def test_the_schedulers_of_a_wrong_machine_say_so(url: str) -> None:
    async with off(url, -300) as engine, Scheduler(engine) as scheduler:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(scheduler.sweep_now(), 1.5)
        await scheduler._beat()
        (beat,) = await engine.ops.heartbeats()
        assert "its clock is -300 s off the database's" in beat.note
        assert "expiry" in beat.note
        assert not beat.leads


def test_a_step_of_this_machine_does_not_move_a_followed_clock() -> None:
    clock = FollowedClock()
    clock.look(1_000_000_000)
    before = clock.now()
    with time_machine.travel(datetime.now(UTC) + timedelta(days=400), tick=True):
        assert timedelta(0) <= clock.now() - before < SECOND
