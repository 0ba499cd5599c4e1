"""A row that was set aside comes back in the state its own trail names, on the record."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Actor, Engine
from grantflow.errors import NotFound, PermissionDenied, Quarantined, TransitionRefused
from grantflow.testing import ManualClock, People, authorize, sample_app

BOB, OPS, PLATFORM = Actor.agent("bob"), Actor.operator("olga"), Actor.system()
REASON = "the disk was repaired"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    people = People({BOB: ["acme"]})
    async with Engine.open(f"sqlite:///{tmp_path}/g.db", clock=ManualClock(), directory=people) as opened:
        await opened.apps.register(sample_app())
        await opened.apps.install("agent-app", "acme", actor=PLATFORM)
        yield opened


def damage(folder: Path, column: str, value: Any) -> None:
    with closing(sqlite3.connect(folder / "g.db", isolation_level=None)) as conn:
        conn.execute("PRAGMA ignore_check_constraints=ON")
        conn.execute(f"UPDATE grantflow_installation SET {column}=?", (value,))


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", "no-such-state"), ("version", "many"), ("updated_at", "soon"), ("suspended_by", "ghosts")],
)
async def test_a_damaged_row_comes_back_by_its_trail(
    engine: Engine, tmp_path: Path, column: str, value: object
) -> None:
    name = (await authorize(engine, "agent-app", "acme", actor=BOB)).installation
    before, counts = await engine.get(name), await engine.counts()
    damage(tmp_path, column, value)
    with pytest.raises(Quarantined):
        await engine.send(name, "suspend", actor=OPS, reason=REASON)
    assert (await engine.count("is:quarantined")).count == 1
    assert await engine.ops.repair(name, actor=OPS, reason=REASON) == "active"
    after = await engine.get(name)
    assert (after.state, after.version, after.due_at, after.usable) == ("active", before.version, before.due_at, True)
    assert (await engine.count("is:quarantined")).count == 0
    assert await engine.counts() == counts
    done = (await engine.ops.actions())[0][1]
    assert (done.verb, done.target, done.reason, done.outcome) == ("repair", name, REASON, "applied")
    await engine.send(name, "suspend", actor=OPS, reason=REASON)


async def test_a_repaired_row_is_on_the_clock_again(tmp_path: Path) -> None:
    clock = ManualClock()
    people = People({BOB: ["acme"]})
    async with Engine.open(f"sqlite:///{tmp_path}/g.db", clock=clock, directory=people) as engine:
        await engine.apps.register(sample_app())
        await engine.apps.install("agent-app", "acme", actor=PLATFORM)
        name = (await authorize(engine, "agent-app", "acme", actor=BOB)).installation
        damage(tmp_path, "state", "no-such-state")
        clock.advance(timedelta(days=366))
        assert (await engine.sweep()).quarantined == 1
        await engine.ops.repair(name, actor=OPS, reason=REASON)
        assert (await engine.sweep()).moved == 1
        assert (await engine.get(name)).stored_state == "refresh-expired"


async def test_a_row_in_order_is_not_repaired_and_the_try_is_on_record(engine: Engine) -> None:
    name = (await authorize(engine, "agent-app", "acme", actor=BOB)).installation
    with pytest.raises(TransitionRefused, match="in order"):
        await engine.ops.repair(name, actor=OPS, reason=REASON)
    with pytest.raises(PermissionDenied):
        await engine.ops.repair(name, actor=BOB, reason=REASON)
    with pytest.raises(NotFound):
        await engine.ops.repair("0198c0de-4f58-7000-8000-000000000001", actor=OPS, reason=REASON)
    assert [action.outcome for _, action in await engine.ops.actions(limit=2)] == ["refused", "refused"]
