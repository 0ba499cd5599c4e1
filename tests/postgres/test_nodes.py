"""Several nodes on one database: one leads, the others stand by, hints save them the wait for a poll."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from grantflow import Actor, Engine, Lifetime, LifetimePolicy, Settings
from grantflow.cli import main
from grantflow.testing import ManualClock, People, authorize, sample_app, throwaway_engine
from grantflow_scheduler import Scheduler
from grantflow_tui import _works
from tests.postgres.outside import Outside

ANN, APP = Actor.admin("ann"), "agent-app"
LATE = (
    "SELECT (t.at - i.deadline_at) / 1e6 FROM grantflow_transition t JOIN grantflow_installation i "
    "ON i.pk = t.installation_pk WHERE t.event = 'expire' ORDER BY t.at"
)
LISTENERS = "FROM pg_stat_activity WHERE application_name = 'grantflow hints' AND datname = current_database()"


@pytest.fixture
def outside(url: str) -> Iterator[Outside]:
    made = Outside(url)
    yield made
    made.close()


@asynccontextmanager
async def node(url: str, lives: float = 1.0, **how: Any) -> AsyncIterator[tuple[Engine, People]]:
    """An engine as a process of its own has it; its app's grants live for so many seconds."""
    people = People({ANN: ["acme"]})
    async with Engine.open(url, directory=people, **how) as engine:
        life = Lifetime(LifetimePolicy.FIXED, timedelta(seconds=lives))
        await engine.apps.register(sample_app("agent", lifetime=life))
        await engine.apps.install(APP, "acme", actor=ANN)
        yield engine, people


async def granted(of: tuple[Engine, People], count: int = 1) -> None:
    """So many new people authorize."""
    engine, people = of
    for _ in range(count):
        agent = people.add(Actor.agent(f"agent-{time.time_ns()}"), "acme")
        await authorize(engine, APP, "acme", actor=agent)


async def until(true: Callable[[], bool], patience: float = 15.0) -> None:
    async with asyncio.timeout(patience):
        while not true():  # noqa: ASYNC110 - other processes and the server bring it about
            await asyncio.sleep(0.01)


async def late(outside: Outside, count: int, patience: float = 15.0) -> list[float]:
    """Seconds from each deadline to its expiry, when so many have come."""
    await until(lambda: len(outside.rows(LATE)) >= count, patience)
    return [float(one) for (one,) in outside.rows(LATE)]


async def leads(engine: Engine) -> list[bool]:
    return [one.leads for one in await engine.ops.heartbeats()]


# -- the lead -----------------------------------------------------------------------------------------
async def test_one_of_two_leads_and_the_other_takes_over_when_it_leaves(url: str) -> None:
    async with node(url) as (one, _), node(url) as (other, _):
        assert not await one.beat("scheduler"), "who does not ask does not lead"
        assert await one.beat("scheduler", lead=True)
        assert not await other.beat("scheduler", lead=True)
        assert await one.beat("scheduler", lead=True), "renewed"
        assert sorted(await leads(other)) == [False, True]
        leader = await other._core.store.leader()
        assert leader is not None
        assert leader.term == 1
        await one.stop_beating()
        assert await leads(other) == [False]
        assert await other.beat("scheduler", lead=True)
        after = await one._core.store.leader()
        assert after is not None
        assert (after.term, after.process != leader.process) == (2, True)


async def test_a_lead_lapses_by_the_clock_of_the_database(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grantflow._upkeep.LEAD_FOR", timedelta(seconds=0.4))
    early, tomorrow = ManualClock(), ManualClock()
    tomorrow.advance(timedelta(days=1))
    async with node(url, clock=early) as (one, _), node(url, clock=tomorrow) as (other, _):
        assert await one.beat("scheduler", lead=True)
        assert not await other.beat("scheduler", lead=True), "a clock that is ahead takes nothing away"
        await asyncio.sleep(0.5)
        assert await leads(one) == [False, False]
        assert await other.beat("scheduler", lead=True)
        assert not await one.beat("scheduler", lead=True)


async def test_on_a_file_nobody_has_to_lead() -> None:
    async with throwaway_engine() as engine:
        assert await engine.beat("scheduler", lead=True)
        assert await leads(engine) == [False]
        assert engine.clock_skew() is None


def counting(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When it sweeps."""
    real, swept = engine.sweep, list[float]()

    async def sweep(**how: Any) -> Any:
        swept.append(time.monotonic())
        return await real(**how)

    monkeypatch.setattr(engine, "sweep", sweep)
    return swept


async def test_who_stands_by_does_not_sweep_until_the_leader_leaves_something_undone(
    url: str, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    interval = timedelta(seconds=1)
    monkeypatch.setattr("grantflow._upkeep.LEAD_FOR", timedelta(seconds=5))
    monkeypatch.setattr("grantflow_scheduler._scheduler._SELDOM", 99)
    monkeypatch.setattr("grantflow_scheduler._scheduler._BEAT", 0.5)
    async with AsyncExitStack() as stack:
        first, second, host = [await stack.enter_async_context(node(url, 0.5)) for _ in range(3)]
        sweeps = [counting(engine, monkeypatch) for engine, _ in (first, second)]
        leader = await stack.enter_async_context(Scheduler(first[0], interval=interval))
        await until(lambda: outside.rows("SELECT 1 FROM grantflow_control WHERE name = 'lead'") != [])
        standby = await stack.enter_async_context(Scheduler(second[0], interval=interval))
        await until(lambda: not standby.leads)
        await granted(host, 3)
        assert max(await late(outside, 3)) < 0.25, "the leader hears of it at once"
        assert len(sweeps[1]) == 1, "the round of its start"
        assert leader.leads
        for desk in leader._desks.values():  # it hangs, and does not say so
            assert desk.task is not None
            desk.task.cancel()
        assert leader._watch is not None
        leader._watch.cancel()
        await granted(host, 2)
        assert max((await late(outside, 5))[3:]) < 2 * interval.total_seconds()
        assert len(sweeps[1]) > 1
        await until(lambda: standby.leads, 20)
        await granted(host, 1)
        assert (await late(outside, 6))[5] < 0.25


async def test_a_host_that_took_over_one_duty_does_it_whoever_leads(
    url: str, monkeypatch: pytest.MonkeyPatch, outside: Outside
) -> None:
    async with node(url, 0.3) as one, node(url) as other, AsyncExitStack() as stack:
        swept = counting(one[0], monkeypatch)
        interval = timedelta(seconds=0.5)
        alone = await stack.enter_async_context(Scheduler(one[0], interval=interval, duties=["expiry"]))
        await until(lambda: outside.rows("SELECT count(*) FROM grantflow_beat") == [(1,)])
        await until(lambda: not alone.leads)
        assert await leads(one[0]) == [False], "it leaves the lead to those who do all"
        await stack.enter_async_context(Scheduler(other[0]))
        await until(lambda: outside.rows("SELECT count(*) FROM grantflow_control") == [(1,)])
        count = len(swept)
        await until(lambda: len(swept) > count + 2)


# -- hints --------------------------------------------------------------------------------------------
async def test_a_due_time_of_another_node_is_met_without_a_poll(url: str, outside: Outside) -> None:
    async with node(url) as daemon, node(url) as host, Scheduler(daemon[0], interval=timedelta(seconds=60)):
        await until(lambda: outside.rows(f"SELECT count(*) {LISTENERS}") == [(1,)])
        await granted(host, 4)
        assert min(await late(outside, 4, 10)) >= 0
        assert max(await late(outside, 4, 10)) < 0.25


async def test_a_program_that_ends_at_once_has_told_what_is_due(url: str, outside: Outside) -> None:
    async with node(url) as daemon, Scheduler(daemon[0], interval=timedelta(seconds=60)):
        await until(lambda: outside.rows(f"SELECT count(*) {LISTENERS}") == [(1,)])
        async with node(url) as host:
            await granted(host)
        assert (await late(outside, 1, 10))[0] < 0.25


async def test_a_connection_for_hints_that_broke_costs_an_interval_and_is_made_again(
    url: str, outside: Outside
) -> None:
    interval = timedelta(seconds=2)
    async with node(url, 0.3) as daemon, node(url, 0.3) as host, Scheduler(daemon[0], interval=interval):
        await until(lambda: outside.rows(f"SELECT count(*) {LISTENERS}") == [(1,)])
        outside.rows(f"SELECT pg_terminate_backend(pid) {LISTENERS}")
        await granted(host)
        assert (await late(outside, 1))[0] < interval.total_seconds() + 0.25
        await until(lambda: outside.rows(f"SELECT count(*) {LISTENERS}") == [(1,)])
        await asyncio.sleep(0.2)
        await granted(host)
        assert (await late(outside, 2))[1] < 0.25


async def test_hints_are_few_and_only_of_what_is_earlier(url: str) -> None:
    heard: list[str] = []
    conn = await asyncpg.connect(url)
    try:
        await conn.add_listener("grantflow_due", lambda *told: heard.append(told[3]))
        async with node(url) as (engine, _):
            due, began = engine._core.now() + 60_000_000, time.monotonic()
            for step in range(200):
                engine._due._hint(due - step)
                await asyncio.sleep(0.002)
            await asyncio.sleep(0.3)
            allowed = (time.monotonic() - began) / 0.1 + 1
            assert 2 <= len(heard) <= allowed, "one each 100 ms at most"
            told = len(heard)
            assert heard[-1].endswith(f" {due - 199}"), "the earliest is told in the end"
            for later in (due, due - 199, due + 7_200_000_000):
                engine._due._hint(later)
            await asyncio.sleep(0.3)
            assert len(heard) == told, "what is no earlier is no news"
            engine._due._hinted = None
            engine._due._hint(engine._core.now() + 7_200_000_000)
            await asyncio.sleep(0.3)
            assert len(heard) == told, "what is due in hours is found by polls"
    finally:
        await conn.close()


async def test_whatever_stands_in_a_hint_nobody_falls_over_it(url: str) -> None:
    async with node(url) as (engine, _):
        told: list[object] = []
        engine.on_due_earlier(told.append)
        conn = await asyncpg.connect(url)
        try:
            await until(lambda: len(told) == 1)  # it listens from now on, and looks once
            engine._due.earliest = None
            for text in ("", "x", "a b", "a -5", f"a {'9' * 40}", "a 1e9", "a ٣", "a 1 2"):
                await conn.execute("SELECT pg_notify('grantflow_due', $1)", text)
            await conn.execute("SELECT pg_notify('grantflow_due', $1)", "a 99999999999999999")
            await until(lambda: len(told) == 2)
        finally:
            await conn.close()


async def test_closing_lets_go_of_the_connection_for_hints(url: str, outside: Outside) -> None:
    async with node(url, settings=Settings()) as (engine, _):
        engine.on_due_earlier(lambda _: None)
        await until(lambda: outside.rows(f"SELECT count(*) {LISTENERS}") == [(1,)])
    await until(lambda: outside.rows(f"SELECT count(*) {LISTENERS}") == [(0,)])


# -- who is seen --------------------------------------------------------------------------------------
async def test_status_and_console_show_who_leads_and_the_clocks(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with node(url) as (engine, _), node(url) as (other, _):
        for one in (engine, other):
            await one.beat("scheduler", lead=True)
        assert await asyncio.to_thread(main, ["--database", url, "scheduler", "status"]) == 0
        shown = capsys.readouterr().out
        assert [line.split()[-1] for line in shown.splitlines() if "scheduler" in line and "ago" in line] == [
            "ago",
            "leads",
        ]
        assert "this machine's is +0.0" in shown or "this machine's is -0.0" in shown
        assert await asyncio.to_thread(main, ["--database", url, "scheduler", "status", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert sorted(one["leads"] for one in told["processes"]) == [False, True]
        assert abs(told["clock_skew"]) < 1
        works = await _works.read(engine)
        lines = [line.text.plain for line in (*_works.at_work(works), *_works.clocks(works, engine.now()))]
        assert sorted(line.split()[0] for line in lines[:2]) == ["at", "leads"]
        assert "s off the database's" in lines[-1]
