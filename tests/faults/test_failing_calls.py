"""Every single database call of every verb fails once: a typed error, nothing half there, and it works again."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from grantflow.errors import Conflict, DatabaseError
from grantflow.testing import ManualClock
from tests.faults.failing import KINDS, Plan, failing_connections
from tests.faults.ground import WRITING, Ground, ground, tried
from tests.faults.oracle import looked_at
from tests.faults.verbs import opened

STRIDE = 3
READS_ON = {"reuse", "replay"}
"""They swallow our errors: their deed is a refusal."""


async def counted(folder: Path, name: str, known: dict[str, Any], plan: Plan) -> int:
    """Database calls of one verb that nobody disturbs."""
    async with ground(folder, name, known) as stand:
        plan.begin()
        await stand.call()
        return plan.made


async def one_failure(stand: Ground, name: str, plan: Plan, at: str) -> None:
    before = stand.state()
    error = await tried(stand.call)
    failed = plan.failed
    plan.begin()
    assert failed, f"{at}: never reached"
    assert stand.wrong() == [], at
    if error is None:  # the writer did it again by itself, job by job
        assert stand.state() != before or name in READS_ON or stand.verb.several, at
        return
    assert isinstance(error, (DatabaseError, Conflict)), at
    if not stand.verb.several:
        assert stand.state() == before, at
    after = await tried(stand.call)
    assert after is None or (stand.verb.several and isinstance(after, stand.verb.again)), f"{at}: {after}"
    assert stand.wrong() == [], at


async def drilled(folder: Path, known: dict[str, Any], *, every: int, kinds: list[str], lasting: bool) -> int:
    points = 0
    with failing_connections() as plan:
        for index, name in enumerate(WRITING):
            calls = await counted(folder, name, known, plan)
            assert calls >= 3, name
            for number in range(1 + index % every, calls + 1, every):
                for kind in kinds if every == 1 else [kinds[(number + index) % len(kinds)]]:
                    async with ground(folder, name, known) as stand:
                        plan.begin(number, kind, lasting=lasting)
                        await one_failure(stand, name, plan, f"{name}, call {number} of {calls}, {kind}")
                        points += 1
    return points


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for a while"])
async def test_some_calls_of_every_verb_fail(
    folder: Path, known: dict[str, Any], lasting: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    points = await drilled(folder, known, every=STRIDE, kinds=[*KINDS], lasting=lasting)
    assert points > 100
    with capsys.disabled():
        sys.stdout.write(f"[{points} points]")


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for a while"])
async def test_every_call_of_every_verb_fails_in_every_way(
    folder: Path, known: dict[str, Any], lasting: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    points = await drilled(folder, known, every=1, kinds=[*KINDS], lasting=lasting)
    assert points > 1500
    with capsys.disabled():
        sys.stdout.write(f"[{points} points]")


@pytest.mark.parametrize("there", [True, False], ids=["an old file", "a new file"])
async def test_every_call_of_opening_fails_and_leaves_no_thread(folder: Path, there: bool) -> None:
    threads = threading.active_count()
    with failing_connections() as plan:
        plan.begin()
        async with opened(folder / ("template.db" if there else "counted.db"), ManualClock()):
            calls = plan.made
        for number in range(1, calls + 1):
            file = folder / ("template.db" if there else f"new-{number}.db")
            plan.begin(number, [*KINDS][number % len(KINDS)])
            with pytest.raises(DatabaseError):
                async with opened(file, ManualClock()):
                    pytest.fail("it opened")
            plan.begin()
            async with opened(file, ManualClock()) as engine:
                await engine.find()
            assert looked_at(file)[1] == []
    for _ in range(100):  # a thread ends a moment after it has said so
        if threading.active_count() <= threads + 1:
            break
        await asyncio.sleep(0.01)
    assert calls >= 5
    assert threading.active_count() <= threads + 1
