"""The scheduler at work: nothing is lost by a pause, a slow sweep, a failure, a cancellation or a stop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Engine, HttpRequest, HttpResponse, KeyRing, RenewalReport, Settings, SweepReport
from grantflow.errors import DatabaseBusy
from grantflow.testing import ForeignServer, ManualClock, authorize, grant
from grantflow_scheduler import Scheduler
from grantflow_scheduler._duties import DUTIES
from tests.scheduler.stage import (
    ANN,
    APP,
    BOB,
    EVE,
    OPERATOR,
    SECOND,
    WHY,
    YEAR,
    deadlines,
    ended,
    expired,
    lateness,
    opened,
    program,
    rows,
    twice,
    until,
)

DAY = timedelta(days=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "grants.db"


@pytest.fixture
async def engine(file: Path) -> AsyncIterator[Engine]:
    """On the machine's own clock."""
    async with opened(file) as engine:
        yield engine


# -- pauses ---------------------------------------------------------------------------------------
async def test_a_pause_outlives_a_restart_and_a_pull_forward(file: Path) -> None:
    async with opened(file) as engine:
        async with Scheduler(engine) as scheduler:
            await engine.ops.pause(actor=OPERATOR, reason=WHY)
            deadlines(file, 0.0)
            assert await scheduler.run_now() is None
            with pytest.raises(RuntimeError, match="paused"):
                await scheduler.sweep_now()
        async with Scheduler(engine):
            await engine.authorize(APP, actor=BOB, code_challenge="a" * 43)  # a write pulls the alarm forward
            await asyncio.sleep(0.3)
    async with opened(file) as engine, Scheduler(engine, interval=timedelta(milliseconds=100)) as scheduler:
        await asyncio.sleep(0.5)
        assert expired(file) == 0
        for duty in DUTIES:
            assert await scheduler.run_now(duty.name) is None
        async with opened(file) as another:
            await another.ops.resume(actor=OPERATOR, reason=WHY)
        assert await ended(file, 1) < 2, "what became due meanwhile is caught up"


async def test_a_daemon_that_is_paused_leaves_expiry_to_the_readers(file: Path) -> None:
    async with opened(file) as engine:
        await engine.ops.pause(actor=OPERATOR, reason=WHY)
        [name] = deadlines(file, 0.2)
        with program("daemon", file, 1) as daemon:
            await asyncio.sleep(2.5)
            assert expired(file) == 0
            assert not (await engine.get(name)).usable
            await engine.ops.resume(actor=OPERATOR, reason=WHY)
            await ended(file, 1)
            assert daemon.stop() < 2.5


# -- wakes ----------------------------------------------------------------------------------------
async def test_a_sweep_longer_than_the_interval_loses_no_wake(
    engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, at_work = engine.sweep, 0

    async def slow(**how: Any) -> SweepReport:
        nonlocal at_work
        at_work += 1
        assert at_work == 1, "one round at a time"
        report = await real(**how)
        await asyncio.sleep(0.5)  # longer than the interval: what is written now is not in this report
        at_work -= 1
        return report

    monkeypatch.setattr(engine, "sweep", slow)
    async with Scheduler(engine, interval=timedelta(milliseconds=200)) as scheduler:
        for number in range(6):
            deadlines(file, 0.1 * number)
            await asyncio.sleep(0.15)
        await ended(file, 6)
        first, second = await asyncio.gather(scheduler.run_now(), scheduler.run_now())
        assert first.moved == second.moved == 0
    assert min(lateness(file)) >= 0
    assert max(lateness(file)) < 3


async def test_whoever_asks_in_the_middle_of_a_round_gets_the_next_one(
    engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, inside, go_on = engine.sweep, asyncio.Event(), asyncio.Event()

    async def slow(**how: Any) -> SweepReport:
        report = await real(**how)
        inside.set()
        await go_on.wait()
        return report

    monkeypatch.setattr(engine, "sweep", slow)
    async with Scheduler(engine, interval=timedelta(hours=1)) as scheduler, asyncio.timeout(10):
        await inside.wait()
        deadlines(file, 0.0)
        asked = asyncio.create_task(scheduler.sweep_now())
        await asyncio.sleep(0.05)
        go_on.set()
        assert (await asked).moved == 1


async def test_a_write_of_this_process_rings_when_it_is_due(file: Path) -> None:
    short = Settings(attempt_lifetime=SECOND)
    async with (
        opened(file, settings=short) as engine,
        Scheduler(engine, interval=timedelta(hours=1)) as scheduler,
    ):
        await scheduler.sweep_now()
        await engine.authorize(APP, actor=BOB, code_challenge="a" * 43)
        open_ = "SELECT count(*) FROM grantflow_attempt WHERE outcome IS NULL"
        assert 0.9 < await until(lambda: rows(file, open_) == [(0,)]) < 3


async def test_cancelling_the_hosts_task_loses_nothing(file: Path) -> None:
    deadlines_at = [0.05 * number for number in range(40)]
    async with opened(file) as engine:
        deadlines(file, *deadlines_at)
        for _ in range(8):

            async def host() -> None:
                async with Scheduler(engine):
                    await asyncio.sleep(60)

            task = asyncio.create_task(host())
            await asyncio.sleep(0.21)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert {one.get_name() for one in asyncio.all_tasks() if one.get_name().startswith("grantflow-")} == set()
        async with Scheduler(engine):
            await ended(file, len(deadlines_at))
        assert twice(file) == 0
        assert min(lateness(file)) >= 0
        assert await engine.ops.heartbeats() == ()


async def test_a_scheduler_that_was_stopped_starts_again(engine: Engine, file: Path) -> None:
    scheduler = Scheduler(engine, interval=timedelta(hours=1))
    for count in (1, 3):
        deadlines(file, 0.2)
        async with scheduler:
            await ended(file, count)
        deadlines(file, 0.0)
        await asyncio.sleep(0.1)
        assert expired(file) == count, "it is stopped"
        assert (await engine.sweep()).moved == 1
    assert twice(file) == 0


async def test_two_schedulers_on_one_engine_expire_once(engine: Engine, file: Path) -> None:
    async with Scheduler(engine), Scheduler(engine):
        deadlines(file, *(0.3 + number / 100 for number in range(50)))
        await engine.authorize(APP, actor=BOB, code_challenge="a" * 43)
        await engine.sweep()
        await ended(file, 50, 40)
    assert twice(file) == 0


# -- stops ----------------------------------------------------------------------------------------
async def stopped(scheduler: Scheduler) -> float:
    began = time.monotonic()
    await scheduler.stop()
    return time.monotonic() - began


async def test_it_stops_within_two_seconds_while_a_server_does_not_answer(file: Path) -> None:
    server, asked = ForeignServer(), asyncio.Event()
    clock = ManualClock(datetime.now(UTC))
    hangs = False

    async def carrier(request: HttpRequest) -> HttpResponse:
        if hangs:
            asked.set()
            await asyncio.sleep(3600)
        return await server(request)

    quick = Settings(synchronous="NORMAL", http_timeout=SECOND / 2)
    keys = KeyRing.parse(KeyRing.new_key())
    async with opened(file, clock, http=carrier, keys=keys, settings=quick) as engine:
        await engine.apps.register(server.app())
        await engine.apps.install("crm", "acme", actor=ANN)
        done = await grant(engine, server, "crm", "acme", actor=BOB)
        assert done.installation is not None
        clock.advance(timedelta(minutes=58))
        hangs = True
        scheduler = Scheduler(engine)
        await scheduler.start()
        await asyncio.wait_for(asked.wait(), 10)
        assert await stopped(scheduler) < 2
    hangs = False
    clock.advance(timedelta(minutes=5))
    async with opened(file, clock, http=carrier, keys=keys, settings=quick) as engine:
        assert (await engine.access_token(done.installation.id)).generation == 2, "the grant is not lost"


async def test_it_stops_within_two_seconds_with_100_000_rows_to_sweep(engine: Engine, file: Path) -> None:
    await asyncio.to_thread(deadlines, file, *([0.0] * 100_000))
    scheduler = Scheduler(engine)
    await scheduler.start()
    await until(lambda: expired_so_far(file) > 0, 30)
    assert await stopped(scheduler) < 2
    first = expired_so_far(file)
    assert first < 100_000, "it was in the middle"
    assert (await engine.sweep(limit=2_000)).moved == 2_000, "and nothing is stuck"
    assert twice(file) == 0
    states = (await engine.counts()).by_state
    assert states == {"active": 100_000 - first - 2_000, "refresh-expired": first + 2_000}


def expired_so_far(file: Path) -> int:
    return int(rows(file, "SELECT count(*) FROM grantflow_transition WHERE event = 'expire'")[0][0])


# -- failures -------------------------------------------------------------------------------------
@pytest.mark.parametrize("error", [DatabaseBusy(), RuntimeError("a bug")], ids=["busy", "a bug"])
async def test_a_duty_that_raises_goes_on_and_stops_no_other(
    engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    tries = 0

    async def broken(**_: object) -> None:
        nonlocal tries
        tries += 1
        raise error

    monkeypatch.setattr("grantflow_scheduler._scheduler._PAUSE", timedelta(milliseconds=20))
    for verb in ("warn_due", "renew_due", "forget", "deliver_notices"):
        monkeypatch.setattr(engine, verb, broken)
    monkeypatch.setattr("grantflow_scheduler._scheduler._BEAT", 0.1)
    async with Scheduler(engine, interval=timedelta(milliseconds=200)) as scheduler:
        deadlines(file, *(number / 10 for number in range(20)))
        await ended(file, 20)
        assert tries > 8, "each is tried again and again"
        await asyncio.sleep(1.2)
        [beat] = await engine.ops.heartbeats()
        assert "warnings" in beat.note
        assert "expiry" not in beat.note
        monkeypatch.undo()
        assert isinstance(await asyncio.wait_for(scheduler.run_now("renewal"), 10), RenewalReport)


async def test_a_watchdog_that_cannot_beat_goes_on_watching(
    engine: Engine, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = engine.beat, [RuntimeError("a bug")]

    async def beat(kind: str, note: str = "", *, lead: bool = False) -> bool:
        if failures:
            raise failures.pop()
        return await real(kind, note, lead=lead)

    monkeypatch.setattr(engine, "beat", beat)
    monkeypatch.setattr("grantflow_scheduler._scheduler._BEAT", 0.1)
    async with Scheduler(engine):
        await until(lambda: len(rows(file, "SELECT 1 FROM grantflow_beat")) == 1)


async def test_a_duty_whose_task_died_is_started_again(engine: Engine, file: Path) -> None:
    async with Scheduler(engine) as scheduler:
        await scheduler.sweep_now()
        task = scheduler._desks["expiry"].task
        assert task is not None
        task.cancel()
        deadlines(file, 0.0)
        await asyncio.sleep(1.2)
        assert (await asyncio.wait_for(scheduler.sweep_now(), 10)).seen >= 0
        assert expired(file) == 1


# -- heartbeats -----------------------------------------------------------------------------------
async def test_heartbeats_appear_and_go_at_a_stop_and_stay_after_a_kill(file: Path) -> None:
    async with opened(file) as engine:
        with program("daemon", file, 5) as first, program("daemon", file, 5) as second:
            pids = {first.process.pid, second.process.pid}

            async def both() -> bool:
                return {beat.pid for beat in await engine.ops.heartbeats()} == pids

            await until(both)
            first.stop()
            second.kill()
            await asyncio.sleep(1)
            [left] = await engine.ops.heartbeats()
            assert (left.pid, left.kind) == (second.process.pid, "scheduler")
            assert left.age >= SECOND
            assert left.at - left.started_at < left.age + timedelta(seconds=30)
        assert left.host == os.uname().nodename


# -- every duty, through APScheduler ---------------------------------------------------------------
@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_every_duty_does_its_work_through_its_alarm(file: Path, clock: ManualClock) -> None:
    server, told, fails = ForeignServer(), list[str](), True

    def subscriber(notice: Any) -> None:
        if fails and notice.name == "installation.expiring":
            raise RuntimeError("the shop is closed")
        told.append(notice.name)

    keys = KeyRing.parse(KeyRing.new_key())
    async with opened(file, clock, http=server, keys=keys) as engine:
        engine.subscribe(subscriber)
        await engine.apps.register(server.app())
        await engine.apps.install("crm", "acme", actor=ANN)
        done = await grant(engine, server, "crm", "acme", actor=EVE)
        assert done.installation is not None
        foreign = done.installation.id
        async with Scheduler(engine) as scheduler, asyncio.timeout(60):
            # renewal, ahead of the access token's end
            clock.advance(timedelta(minutes=55))
            renewed = await scheduler.run_now("renewal")
            assert renewed.renewed == 1
            assert (await engine.token_health(foreign)).generation == 2  # type: ignore[union-attr]
            # an incident: a wrong secret is noticed, and probed by itself until it is over
            secret, server.secret = server.secret, "another"
            clock.advance(timedelta(minutes=55))
            assert (await scheduler.run_now("renewal")).held == 1
            [incident] = await engine.ops.incidents()
            asked = len(server.asked)
            await scheduler.run_now("renewal")
            assert len(server.asked) == asked, "not before its time"
            server.secret = secret
            clock.advance(timedelta(minutes=1))
            await scheduler.run_now("renewal")
            assert await engine.ops.incidents() == []
            assert incident.probes == 0
            assert (await engine.token_health(foreign)).generation == 3  # type: ignore[union-attr]
            # warnings, and a notice whose subscriber failed
            mine = (await authorize(engine, APP, "acme", actor=BOB)).installation
            clock.advance(340 * DAY)
            assert await scheduler.run_now("warnings") >= 1
            await engine.drain_notices()
            assert "installation.expiring" not in told
            fails = False
            clock.advance(SECOND)
            await scheduler.run_now("outbox")
            assert "installation.expiring" in told
            # expiry
            clock.advance(YEAR)
            assert (await scheduler.run_now("expiry")).moved >= 1
            assert (await engine.get(mine)).stored_state == "refresh-expired"
            # retention
            await engine.drain_notices()
            await scheduler.run_now("outbox")
            clock.advance(40 * DAY)
            await scheduler.run_now("expiry")
            gone = await scheduler.run_now("housekeeping")
            assert gone["notices"] > 0


async def test_duties_ring_by_themselves_when_rows_need_them(file: Path) -> None:
    """On the machine's own clock, with an interval that never ends: renewal and the probe of an incident."""
    server = ForeignServer()
    server.expires_in = 2
    quick = Settings(synchronous="NORMAL", probe_first=SECOND)
    keys = KeyRing.parse(KeyRing.new_key())
    async with opened(file, http=server, keys=keys, settings=quick) as engine:
        await engine.apps.register(server.app())
        await engine.apps.install("crm", "acme", actor=ANN)
        done = await grant(engine, server, "crm", "acme", actor=BOB)
        assert done.installation is not None
        name = done.installation.id

        async def generation() -> int:
            health = await engine.token_health(name)
            assert health is not None
            return health.generation

        async def reached(number: int) -> bool:
            return await generation() >= number

        async with Scheduler(engine, interval=timedelta(hours=1)):
            await until(lambda: reached(3), 20)
            secret, server.secret = server.secret, "another"

            async def incident(number: int) -> bool:
                return len(await engine.ops.incidents()) == number

            await until(lambda: incident(1), 20)
            server.secret = secret
            await until(lambda: incident(0), 20)
            before = await generation()
            await until(lambda: reached(before + 1), 20)
