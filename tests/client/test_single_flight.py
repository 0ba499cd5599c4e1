"""One renewal of one grant at a time: many callers, cancelled ones, several engines, dead processes, wrong clocks."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path

import pytest

from grantflow import AccessToken
from grantflow.errors import TokenUnavailable
from tests.client.stage import HOUR, MINUTE, SECOND, TICK, Stage, micro, on_stage


def write(stage: Stage, statement: str, *values: object) -> None:
    """Leave in the file what a process that died left there."""
    with closing(sqlite3.connect(stage.path)) as conn:
        conn.execute(statement, values)
        conn.commit()


def leased_by_the_dead(stage: Stage, name: str, seconds: int) -> None:
    """A lease of somebody who will never answer, and its marker."""
    now = micro(stage.clock.now())
    write(
        stage,
        "UPDATE grantflow_token_set SET lease = 'gfl_of_the_dead', lease_until = ?, in_flight_at = ? "
        "WHERE installation_pk = (SELECT pk FROM grantflow_installation WHERE public_id = ?)",
        now + seconds * 1_000_000,
        now,
        name,
    )


async def all_of(*callers: Awaitable[AccessToken]) -> list[AccessToken]:
    """Everybody at once."""
    async with asyncio.timeout(20):
        return list(await asyncio.gather(*callers))


async def test_fifty_callers_at_once_cost_one_request(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    tokens = await all_of(*(stage.engine.access_token(name) for _ in range(50)))
    assert stage.refreshes() == 1
    assert {(token.value, token.generation) for token in tokens} == {(tokens[0].value, 2)}


async def test_callers_that_come_while_a_request_is_under_way_wait_for_its_answer(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    stage.gate.close()
    first = asyncio.create_task(stage.engine.access_token(name))
    await stage.gate.under_way()
    others = [asyncio.create_task(stage.engine.access_token(name)) for _ in range(10)]
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in (first, *others))
    stage.gate.open()
    assert {token.generation for token in await all_of(first, *others)} == {2}
    assert stage.refreshes() == 1


async def test_a_caller_that_is_cancelled_does_not_stop_the_request(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    stage.gate.close()
    callers = [asyncio.create_task(stage.engine.access_token(name)) for _ in range(5)]
    await stage.gate.under_way()
    for caller in callers:
        caller.cancel()
    assert all(
        isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*callers, return_exceptions=True)
    )
    stage.gate.open()
    token = await stage.engine.access_token(name)
    assert (token.generation, stage.refreshes()) == (2, 1)
    health = await stage.engine.token_health(name)
    assert health is not None
    assert (health.failing, health.unanswered_since) == (None, None)


async def test_two_engines_on_one_file_send_one_request(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    stage.gate.close()
    async with stage.another_engine() as other:
        first = asyncio.create_task(stage.engine.access_token(name))
        await stage.gate.under_way()
        second = [asyncio.create_task(other.access_token(name)) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert stage.refreshes() == 1, "the other one sees the lease"
        stage.gate.open()
        tokens = await all_of(first, *second)
    assert {token.generation for token in tokens} == {2}
    assert len({token.value for token in tokens}) == 1
    assert stage.refreshes() == 1


async def test_two_engines_that_start_together_send_one_request_round_after_round(stage: Stage) -> None:
    name = await stage.active()
    async with stage.another_engine() as other, stage.another_engine() as third:
        for number in range(1, 11):
            stage.over()
            engines = (stage.engine, other, third)
            tokens = await all_of(*(engine.access_token(name) for engine in engines for _ in range(3)))
            assert {token.generation for token in tokens} == {number + 1}
            assert stage.refreshes() == number
    assert len(stage.server.alive) == 1, "no token that nobody knows is left at the server"


async def test_while_somebody_else_is_at_it_a_token_that_works_is_given(stage: Stage) -> None:
    name = await stage.active()
    stage.until_due()
    leased_by_the_dead(stage, name, 30)
    async with asyncio.timeout(2):
        assert (await stage.engine.access_token(name)).generation == 1
    assert stage.refreshes() == 0


async def test_the_lease_of_a_dead_process_is_taken_over_after_thirty_seconds(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    leased_by_the_dead(stage, name, 30)
    task = asyncio.create_task(stage.engine.access_token(name))
    await asyncio.sleep(0.05)
    stage.clock.advance(30 * SECOND - TICK)
    await asyncio.sleep(0.2)
    assert (task.done(), stage.refreshes()) == (False, 0), "not a microsecond early"
    stage.clock.advance(TICK)
    async with asyncio.timeout(5):
        assert (await task).generation == 2
    assert stage.refreshes() == 1
    assert stage.tokens(name)["in_flight_at"] is None


async def test_the_marker_of_a_dead_process_names_a_lost_rotation(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    leased_by_the_dead(stage, name, 30)
    stage.server.alive.clear()
    stage.clock.advance(31 * SECOND)
    report = await stage.engine.renew_due()
    assert report.died == 1
    assert await stage.state(name) == ("refresh-expired", "rotation-lost")


async def test_a_lease_from_a_clock_that_ran_ahead_is_not_waited_for(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    leased_by_the_dead(stage, name, 3 * 3600)
    async with asyncio.timeout(2):
        assert (await stage.engine.access_token(name)).generation == 2
    assert stage.refreshes() == 1


async def test_a_caller_gives_up_on_a_lease_that_never_ends(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    leased_by_the_dead(stage, name, 30)
    task = asyncio.create_task(stage.engine.access_token(name))
    for _ in range(45):
        await asyncio.sleep(0.002)
        stage.clock.advance(SECOND)
        leased_by_the_dead(stage, name, 30)
    with pytest.raises(TokenUnavailable, match="somebody is at it"):
        async with asyncio.timeout(5):
            await task
    assert stage.refreshes() == 0
    assert await stage.state(name) == ("active", None)


async def test_an_engine_that_closes_waits_for_the_answer_and_stores_it(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as outer:
        name = await outer.active()
        outer.over()
        outer.gate.close()
        async with outer.another_engine() as engine:
            caller = asyncio.create_task(engine.access_token(name))
            await outer.gate.under_way()
            asyncio.get_running_loop().call_later(0.1, outer.gate.open)
        assert not outer.tokens(name)["in_flight_at"], "the block ended after the answer was stored"
        assert outer.tokens(name)["generation"] == 2
        await asyncio.gather(caller, return_exceptions=True)
        assert (await outer.engine.access_token(name)).generation == 2
        assert outer.refreshes() == 1


async def test_one_installation_does_not_wait_for_another(stage: Stage) -> None:
    slow, quick = await stage.active("acme"), await stage.active("bolt")
    stage.over()
    stage.gate.close()
    waiting = asyncio.create_task(stage.engine.access_token(slow))
    await stage.gate.under_way()
    shut, stage.gate.shut = stage.gate.shut, None
    assert (await stage.engine.access_token(quick)).generation == 2
    assert not waiting.done()
    assert shut is not None
    shut.set()
    assert (await waiting).generation == 2


async def test_generations_only_grow_and_versions_do_not_move_by_renewing(stage: Stage) -> None:
    name = await stage.active()
    version, trail = stage.row(name)["version"], len(await stage.engine.history(name))
    seen = []
    for _ in range(5):
        stage.over()
        seen.append((await stage.engine.access_token(name)).generation)
    await stage.active()
    seen.append((await stage.engine.access_token(name)).generation)
    assert seen == [2, 3, 4, 5, 6, 7]
    after = [entry.event for entry in await stage.engine.history(name)][: -trail or None]
    assert "refresh_ok" not in after
    assert stage.row(name)["version"] == version + 3, "authorize, callback_ok, exchange_ok and nothing else"


async def test_ten_due_installations_in_two_engines_are_renewed_once_each(stage: Stage) -> None:
    names = await stage.many(10)
    stage.until_due()
    async with stage.another_engine() as other:
        reports = await asyncio.gather(stage.engine.renew_due(), other.renew_due())
    assert sum(report.renewed for report in reports) == 10
    assert stage.refreshes() == 10
    assert {stage.tokens(name)["generation"] for name in names} == {2}


async def test_a_hold_that_ends_lets_waiting_tokens_be_renewed(stage: Stage) -> None:
    name = await stage.active()
    stage.clock.advance(HOUR - MINUTE)
    leased_by_the_dead(stage, name, 30)
    assert (await stage.engine.renew_due()).renewed == 0
    stage.clock.advance(30 * SECOND)
    assert (await stage.engine.renew_due()).renewed == 1
