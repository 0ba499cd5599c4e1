"""The doctor's rules: one planted damage for each, and each is found; a database in order has none."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from grantflow import Actor, Engine
from grantflow._store._upkeep import _PROMISES
from grantflow.testing import ManualClock, People, authorize, sample_app

ANN, BOB = Actor.agent("ann"), Actor.agent("bob")
ROW = "UPDATE grantflow_installation SET"
ALIVE = "(SELECT pk FROM grantflow_installation WHERE subject_id = 'ann')"
DEAD = "(SELECT pk FROM grantflow_installation WHERE subject_id = 'bob')"
DAMAGE = {
    "its state is not the one its trail ends in": f"{ROW} state = 'unauthorized' WHERE pk = {DEAD}",
    "the versions of its trail have gaps": f"{ROW} version = version + 1 WHERE pk = {ALIVE}",
    "no chart knows its state": f"{ROW} state = 'lost' WHERE pk = {ALIVE}",
    "it holds secrets without a grant": f"{ROW} state = 'unauthorized' WHERE pk = {ALIVE}",
    "it holds hashes of tokens without a grant": f"{ROW} state = 'unauthorized' WHERE pk = {ALIVE}",
    "it is alive without a token set": f"DELETE FROM grantflow_token_set WHERE installation_pk = {ALIVE}",
    "it waits for an attempt, and none is open": f"{ROW} state = 'reauthorizing' WHERE pk = {DEAD}",
    "it died at no time": f"{ROW} ended_at = NULL WHERE pk = {DEAD}",
    "it is alive and has an end behind it": f"{ROW} ended_at = created_at WHERE pk = {ALIVE}",
    "its deadline would be missed": f"{ROW} due_at = NULL WHERE pk = {ALIVE}",
    "its generation is not its token set's": (
        f"UPDATE grantflow_token_set SET generation = generation + 1 WHERE installation_pk = {ALIVE}"
    ),
    "beside its counter": "UPDATE grantflow_count SET n = n + 1 WHERE state = 'active'",
}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    clock, people = ManualClock(), People({ANN: ["acme"], BOB: ["acme"]})
    url = f"sqlite:///{tmp_path}/grants.db"
    async with Engine.open(url, directory=people, clock=clock) as opened:
        await opened.apps.register(sample_app("agent"))
        await opened.apps.install("agent-app", "acme", actor=Actor.system())
        await authorize(opened, "agent-app", "acme", actor=BOB)
        clock.advance(timedelta(days=366))
        await opened.sweep()
        await authorize(opened, "agent-app", "acme", actor=ANN)
        yield opened


def test_every_rule_has_a_planted_damage() -> None:
    assert {says for says, _, _ in _PROMISES} | {"beside its counter"} == set(DAMAGE)


async def test_a_database_in_order_breaks_no_promise(engine: Engine) -> None:
    assert await engine.ops.broken_promises() == []


@pytest.mark.parametrize("says", DAMAGE)
async def test_planted_damage_is_found(engine: Engine, tmp_path: Path, says: str) -> None:
    with closing(sqlite3.connect(tmp_path / "grants.db")) as foreign, foreign:
        assert foreign.execute(DAMAGE[says]).rowcount == 1
    found = await engine.ops.broken_promises()
    assert any(why.endswith(says) for why in found), found
