"""Wrong clocks, long sleeps and the edges of a year: never early, at most once, and it goes on by itself."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from grantflow import ClientCredentials, Engine, Settings
from grantflow._clock import SystemClock
from grantflow.errors import InvalidGrant, ReauthorizationRequired, TransitionRefused
from grantflow.testing import SECRET, ManualClock, authorize, sample_app
from tests.faults.oracle import looked_at
from tests.faults.verbs import BOB, KEY, PLATFORM, YEAR, people

TICK = timedelta(microseconds=1)
ACCOUNT = "account-0"
STARTS = {
    "a plain day": datetime(2025, 1, 1, tzinfo=UTC),
    "29 February": datetime(2024, 2, 29, 12, tzinfo=UTC),
    "the day before 29 February": datetime(2027, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
    "a year with 29 February in it": datetime(2027, 3, 1, tzinfo=UTC),
    "the last microsecond of a year": datetime(2025, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "the hour that Europe has twice": datetime(2025, 10, 26, 0, 30, tzinfo=UTC),
    "the hour that Europe leaves out": datetime(2025, 3, 30, 0, 30, tzinfo=UTC),
    "past 2038": datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC),
}


@asynccontextmanager
async def live(file: Path, clock: Any) -> AsyncIterator[tuple[Engine, str, str]]:
    """One live grant: the engine, the installation, its access token."""
    settings = Settings(synchronous="NORMAL")
    async with Engine.open(f"sqlite:///{file}", clock=clock, directory=people(), settings=settings) as engine:
        await engine.apps.register(sample_app(key=KEY, access_lifetime=YEAR * 2))
        await engine.apps.install(KEY, ACCOUNT, actor=PLATFORM)
        tokens = await authorize(engine, KEY, ACCOUNT, actor=BOB)
        yield engine, tokens.installation, tokens.access_token.value


def events(file: Path) -> Counter[str]:
    conn = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return Counter(dict(conn.execute("SELECT event, count(*) FROM grantflow_transition GROUP BY 1")))
    finally:
        conn.close()


async def sound(engine: Engine, file: Path) -> None:
    assert looked_at(file)[1] == []
    assert (await engine.sweep()).moved == 0, "a second sweep found something to do"


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
async def test_a_grant_dies_after_365_days_to_the_microsecond(tmp_path: Path, start: datetime) -> None:
    file, clock = tmp_path / "g.db", ManualClock(start)
    async with live(file, clock) as (engine, key, access):
        found = await engine.get(key)
        assert found.expires_at == start + YEAR
        clock.step(YEAR - TICK)
        assert (await engine.sweep()).moved == 0
        assert (await engine.get(key)).usable
        assert (await engine.ledger.authenticate(access)).installation == key
        clock.step(TICK)
        assert not (await engine.get(key)).usable, "the reader is late"
        with pytest.raises(ReauthorizationRequired):
            await engine.ledger.authenticate(access)
        assert (await engine.sweep()).moved == 1
        assert (await engine.history(key))[0].at == start + YEAR
        clock.step(TICK)
        await sound(engine, file)
        assert events(file)["expire"] == 1


@pytest.mark.parametrize("back", [timedelta(hours=2), timedelta(days=3)], ids=str)
async def test_a_clock_that_steps_back_expires_nothing_twice_or_early(tmp_path: Path, back: timedelta) -> None:
    file, clock = tmp_path / "g.db", ManualClock()
    async with live(file, clock) as (engine, key, _):
        clock.advance(YEAR - timedelta(minutes=1))
        await engine.sweep()
        clock.step(-back)
        assert (await engine.sweep()).moved == 0
        clock.step(back + timedelta(minutes=1))
        assert (await engine.sweep()).moved == 1
        clock.step(-back)
        attempt = await engine.reauthorize(key, actor=BOB, code_challenge="x" * 43)
        assert (await engine.sweep()).moved == 0
        clock.step(back + timedelta(minutes=11))
        assert (await engine.sweep()).attempts_closed == 1
        assert (await engine.attempts(key))[0].id == attempt.id
        times = [step.at for step in await engine.history(key)]
        assert times == sorted(times, reverse=True), "the trail runs backwards"
        await sound(engine, file)
    assert events(file)["expire"] == events(file)["attempt_expired"] == 1


async def test_weeks_of_downtime_are_caught_up_in_one_sweep(tmp_path: Path) -> None:
    file, clock = tmp_path / "g.db", ManualClock()
    async with live(file, clock) as (engine, key, _):
        await engine.reauthorize(key, actor=BOB, code_challenge="x" * 43)
    clock.advance(timedelta(days=400))
    settings = Settings(synchronous="NORMAL")
    async with Engine.open(f"sqlite:///{file}", clock=clock, directory=people(), settings=settings) as engine:
        assert (await engine.get(key)).state == "refresh-expired"
        report = await engine.sweep()
        assert (report.moved, report.attempts_closed) == (1, 1)
        await sound(engine, file)
        assert report.next_due_at is None


async def test_after_an_undone_step_forward_readers_and_sweeps_agree(
    tmp_path: Path,
) -> None:
    """One row is no flood, so the brake lets it through; what was written stays written."""
    file, clock = tmp_path / "g.db", ManualClock()
    async with live(file, clock) as (engine, key, _):
        await engine.sweep()
        clock.step(timedelta(days=400))
        assert (await engine.sweep()).moved == 1
        clock.step(timedelta(days=-400))
        found = await engine.get(key)
        assert (found.state, found.stored_state, found.usable) == ("refresh-expired", "refresh-expired", False)
        await sound(engine, file)


@pytest.mark.parametrize("back", [timedelta(hours=2), timedelta(days=400)], ids=str)
async def test_after_a_step_back_a_person_can_authorize_at_once(tmp_path: Path, back: timedelta) -> None:
    file, clock = tmp_path / "g.db", ManualClock()
    async with live(file, clock) as (engine, key, _):
        clock.step(back)
        await engine.send(key, "revoked_upstream", actor=PLATFORM)
        clock.step(-back)
        attempt = await engine.reauthorize(key, actor=BOB, code_challenge="x" * 43)
        await engine.select_account(attempt.id, ACCOUNT, actor=BOB)
        assert (await engine.agree(attempt.id, actor=BOB)).outcome == "agreed"


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_two_hosts_whose_clocks_differ_by_ten_minutes(tmp_path: Path, minutes: int) -> None:
    """Each host is right by its own clock; the trail of a row still runs forward, and each timer fires once."""
    file, here = tmp_path / "g.db", ManualClock()
    there = ManualClock(here.now() + timedelta(minutes=minutes))
    settings = Settings(synchronous="NORMAL")
    async with (
        live(file, here) as (engine, key, _),
        Engine.open(f"sqlite:///{file}", clock=there, directory=people(), settings=settings) as other,
    ):
        for clock in (here, there):
            clock.advance(YEAR - timedelta(minutes=5))
        moved = [(await one.sweep()).moved for one in (engine, other, engine, other)]
        assert sum(moved) == (minutes > 0)
        attempt = await other.authorize(KEY, actor=BOB, account=ACCOUNT, code_challenge="x" * 43)
        with suppress(TransitionRefused):  # a host that is as far ahead as an attempt is long finds it over
            await engine.cancel(attempt.id, actor=BOB)
        for clock in (here, there):
            clock.advance(timedelta(minutes=20))
        moved += [(await one.sweep()).moved for one in (engine, other, engine, other)]
        assert sum(moved) == 1
        times = [step.at for step in await engine.history(key)]
        assert times == sorted(times, reverse=True)
        await sound(engine, file)
    assert events(file)["expire"] == 1


async def test_a_renewal_by_a_host_whose_clock_is_behind_never_prolongs_a_dead_grant(tmp_path: Path) -> None:
    file, here = tmp_path / "g.db", ManualClock()
    settings = Settings(synchronous="NORMAL")
    async with live(file, here) as (engine, key, _):
        tokens = await authorize(engine, KEY, ACCOUNT, actor=BOB)
        client = ClientCredentials((await engine.apps.get(KEY)).client_id, SECRET)
        here.advance(YEAR)
        await engine.sweep()
        behind = ManualClock(here.now() - timedelta(minutes=10))
        async with Engine.open(f"sqlite:///{file}", clock=behind, directory=people(), settings=settings) as other:
            with pytest.raises(InvalidGrant):
                await other.ledger.renew(tokens.refresh_token.value, client=client)
            assert not (await other.get(key)).usable
        await sound(engine, file)


_STORY = """
import asyncio, json, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.faults.test_clocks import live
from grantflow.testing import ManualClock

async def main(file):
    clock = ManualClock(datetime(2025, 3, 30, 0, 59, 59, tzinfo=UTC))
    async with live(file, clock) as (engine, key, _):
        told = [(await engine.get(key)).expires_at.isoformat()]
        for _ in range(366):
            clock.advance(timedelta(days=1))
            told.append((await engine.sweep()).moved)
        told += [step.at.isoformat() for step in await engine.history(key)]
    print(json.dumps([told, time.tzname]))

asyncio.run(main(Path(sys.argv[2])))
"""


def test_the_hosts_time_zone_and_its_summer_time_change_nothing(tmp_path: Path) -> None:
    told: dict[str, Any] = {}
    zones = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia")
    for number, zone in enumerate(zones):
        command = [sys.executable, "-c", _STORY, str(Path(__file__).parents[2]), str(tmp_path / f"{number}.db")]
        environment = {**os.environ, "TZ": zone}
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
        assert run.returncode == 0, run.stderr[-2000:]
        told[zone] = json.loads(run.stdout)
    assert [answer[0] for answer in told.values()] == [told["UTC"][0]] * len(zones)
    assert told["UTC"][0][1:367].count(1) == 1
    assert told["Europe/Berlin"][1] == ["CET", "CEST"], "the zone was not even in force"


async def test_the_clock_of_the_machine_is_read_as_utc_and_steps_with_it(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    with time_machine.travel(datetime(2024, 2, 29, tzinfo=UTC), tick=False) as machine:
        async with live(file, SystemClock()) as (engine, key, _):
            assert (await engine.get(key)).expires_at == datetime(2025, 2, 28, tzinfo=UTC)
            machine.shift(YEAR - TICK)
            assert (await engine.sweep()).moved == 0
            machine.shift(-timedelta(hours=2))
            assert (await engine.sweep()).moved == 0
            machine.shift(timedelta(hours=2) + TICK)
            assert (await engine.sweep()).moved == 1
            await sound(engine, file)
