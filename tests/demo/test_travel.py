"""The demo's time machine: what is due on the way happens, day by day, and stops where somebody stops it."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from grantflow import Actor
from grantflow.demo._run import play
from grantflow.demo._travel import MovedClock, TimeMachine
from grantflow.testing import ManualClock

NOW = datetime(2027, 3, 4, 9, 30, tzinfo=UTC)
MARIA = Actor.operator("maria")


@pytest.fixture(name="machine")
async def open_machine(tmp_path: Path) -> TimeMachine:
    people = await play(Console(file=io.StringIO()), tmp_path / "demo.db", 60, 7, NOW)
    return TimeMachine(tmp_path / "demo.db", people, ManualClock(NOW))


async def test_a_year_ends_every_grant_that_nobody_renews(machine: TimeMachine) -> None:
    async with machine.opened() as engine:
        before = (await engine.counts()).by_state
        told = [sentence async for sentence in machine.advance(timedelta(days=365))]
        after = (await engine.counts()).by_state
        assert engine.now() == NOW + timedelta(days=365)
        assert before["active"] > 20
        assert not after.get("active")
        assert after["refresh-expired"] > before["active"]
        assert len(told) == 365
        assert told[0].startswith("1 day: ")
        ended = re.fullmatch(r"365 days: (\d+) ended, (\d+) warned, (\d+) reminded", told[-1])
        assert ended is not None
        assert int(ended[1]) >= before["active"]
        assert int(ended[2]) > 10
        assert int(ended[3]) > 10
        assert (await engine.ops.outbox()).notices == 0
        assert [beat.kind for beat in await engine.ops.heartbeats() if beat.age < timedelta(minutes=1)] == [
            "scheduler"
        ]


async def test_part_of_a_day_is_a_step_too_and_a_way_can_be_left(machine: TimeMachine) -> None:
    async with machine.opened() as engine:
        assert len([told async for told in machine.advance(timedelta(hours=30))]) == 2
        assert engine.now() == NOW + timedelta(hours=30)
        way = machine.advance(timedelta(days=100))
        await anext(way)
        await way.aclose()
        assert engine.now() == NOW + timedelta(hours=54)


async def test_schedulers_that_are_paused_let_time_go_by(machine: TimeMachine) -> None:
    async with machine.opened() as engine:
        await engine.ops.pause(actor=MARIA, reason="a drill of the demo")
        before = (await engine.counts()).by_state
        told = [sentence async for sentence in machine.advance(timedelta(days=30))]
        assert set(told) == {"the schedulers are paused: nothing is swept"}
        assert (await engine.counts()).by_state == before
        await engine.ops.resume(actor=MARIA, reason="the drill is over")
        (told_now,) = [sentence async for sentence in machine.advance(timedelta(days=1))]
        assert re.match("1 day: [1-9]", told_now), "what became due meanwhile is caught up"


async def test_the_same_seed_makes_the_same_fleet(tmp_path: Path) -> None:
    fleets = []
    for name in ("a.db", "b.db"):
        people = await play(Console(file=io.StringIO()), tmp_path / name, 60, 3, NOW)
        async with TimeMachine(tmp_path / name, people, ManualClock(NOW)).opened() as engine:
            rows = (await engine.find("is:any", limit=200)).items
            fleets.append(sorted((row.app, row.account, row.subject, row.state, row.expires_at) for row in rows))
    assert len(fleets[0]) > 50
    assert fleets[0] == fleets[1]


def test_a_moved_clock_goes_on_by_itself() -> None:
    clock = MovedClock()
    before, tick = clock.now(), clock.monotonic()
    clock.advance(timedelta(days=7))
    assert timedelta(days=7) <= clock.now() - before < timedelta(days=7, minutes=1)
    assert clock.monotonic() - tick >= timedelta(days=7).total_seconds()
