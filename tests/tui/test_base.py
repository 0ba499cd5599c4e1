"""The installation base that the console is measured on is as right as one that was lived through."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from benchmarks import base
from grantflow import Actor, Engine

ROWS = 2_000


@pytest.mark.slow
async def test_copies_keep_every_promise_and_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "base.db"
    steps: list[str] = []
    await asyncio.to_thread(base.make, file, ROWS, lambda what, done, of: steps.append(what))
    assert list(dict.fromkeys(steps)) == [f"{base.LIVES} lives", "rows", "indexes"]
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["base.db"]
    async with Engine.open(f"sqlite:///{file}") as engine:
        assert await engine.ops.broken_promises() == []
        assert (await engine.ops.check_database()).problems == ()
        maria = Actor.operator("maria")
        assert await engine.ops.reconcile_counts(actor=maria, reason="nothing is wrong") == 0
        counts = await engine.counts()
        assert counts.total == ROWS
        for state, number in counts.by_state.items():
            assert (await engine.count(f"state:{state}")).count == number
        for app in counts.by_app:
            assert (await engine.count(f"app={app} is:any")).count == sum(counts.by_app[app].values())
        assert (await engine.count("is:forced")).count > 1
        last = (await engine.find("state:active", limit=1, back=True)).items[0]
        story = await engine.history(last.id)
        assert [step.version for step in story][-1] in {1, last.version}
        assert await engine.suspend(last.id, actor=maria, reason="one copy is worked with")
    with pytest.raises(FileExistsError):
        base.make(file, ROWS)


def test_too_few_rows_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1,000"):
        base.make(tmp_path / "base.db", 10)
    assert not list(tmp_path.iterdir())
