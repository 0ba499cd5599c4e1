"""A caller that is cancelled at any await: no half transition, nobody else waits for it, the next call works."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Generator
from pathlib import Path
from typing import Any

import pytest

from grantflow.testing import ManualClock
from tests.faults.ground import WRITING, Ground, ground, tried
from tests.faults.oracle import looked_at
from tests.faults.verbs import VERBS, fresh, opened

PATIENCE = 5.0
CANCELLED = "it was cancelled"


class CancelledAt:
    """An awaitable that has its own task cancelled at its nth await: at once, or just when the answer is there."""

    def __init__(self, inner: Awaitable[object], number: int, *, late: bool) -> None:
        self.inner, self.number, self.late, self.awaits = inner, number, late, 0

    def __await__(self) -> Generator[Any, Any, object]:
        task = asyncio.current_task()
        assert task is not None
        if not self.number:
            task.cancel()
        steps = self.inner.__await__()
        sent: Any = None
        thrown: BaseException | None = None
        while True:
            try:
                waits_for = steps.send(sent) if thrown is None else steps.throw(thrown)
            except StopIteration as done:
                return done.value
            self.awaits += 1
            if self.awaits == self.number:
                if self.late and waits_for is not None:
                    waits_for.add_done_callback(lambda _: task.cancel())
                else:
                    asyncio.get_running_loop().call_soon(task.cancel)
            sent = thrown = None
            try:
                sent = yield waits_for
            except BaseException as error:  # noqa: BLE001 - handed on to the verb, as the loop does
                thrown = error


async def outcome_of(stand: Ground, number: int, *, late: bool) -> tuple[object, int]:
    """What the verb came to, and how often it awaited."""
    watched = CancelledAt(stand.call(), number, late=late)

    async def run() -> object:
        return await watched

    task = asyncio.create_task(run())
    done, _ = await asyncio.wait({task}, timeout=PATIENCE)
    assert done, "the cancelled verb never came back"
    return (CANCELLED if task.cancelled() else task.result()), watched.awaits


async def settled(stand: Ground) -> None:
    """Whatever was handed to the writer before is done: it works in order."""
    await asyncio.wait_for(stand.on_writer(lambda conn: conn.in_transaction), PATIENCE)


async def one_cancellation(stand: Ground, at: str, number: int, states: set[str], *, late: bool) -> bool:
    result, _ = await outcome_of(stand, number, late=late)
    await settled(stand)
    state = stand.state()
    assert stand.wrong() == [], at
    if not stand.verb.several:
        assert state in states, f"{at}: half a transition"
    again = await asyncio.wait_for(tried(stand.call), PATIENCE)
    if again is not None:
        assert isinstance(again, stand.verb.again), f"{at}: {again!r}"
        assert result == CANCELLED, at
    assert stand.wrong() == [], at
    return result == CANCELLED


@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "when the answer is there"])
async def test_every_verb_may_be_cancelled_at_every_await(
    folder: Path, known: dict[str, Any], late: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    points = cancelled = 0
    for name in WRITING:
        async with ground(folder, name, known) as stand:
            before = stand.state()
            _, awaits = await outcome_of(stand, 1 << 30, late=late)
            await settled(stand)
            states = {before, stand.state()}
        assert awaits >= 1, name
        for number in range(awaits + 1):
            async with ground(folder, name, known) as stand:
                at = f"{name}, await {number} of {awaits}"
                cancelled += await one_cancellation(stand, at, number, states, late=late)
                points += 1
    assert points > 100
    assert cancelled > points * 0.8
    with capsys.disabled():
        sys.stdout.write(f"[{points} points, {cancelled} cancelled]")


async def test_a_crowd_of_which_half_is_cancelled_loses_no_other_answer(folder: Path, known: dict[str, Any]) -> None:
    async with ground(folder, "authorize", known) as stand:
        calls = [asyncio.create_task(_called(stand)) for _ in range(100)]
        await asyncio.sleep(0)
        for task in calls[::2]:
            task.cancel()
        answers = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), PATIENCE)
        assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, False] * 50
        assert not [answer for answer in answers[1::2] if isinstance(answer, BaseException)]
        assert stand.wrong() == []


async def _called(stand: Ground) -> object:
    return await stand.call()


@pytest.mark.parametrize("late", ["early", "late"])
@pytest.mark.parametrize("often", ["once", "again"])
def test_opening_may_be_cancelled_at_every_await_and_leaves_nothing_behind(
    folder: Path, often: str, late: str
) -> None:
    program = str(Path(__file__).with_name("opening.py"))
    command = [sys.executable, "-W", "error", program, str(folder / "template.db"), often, late]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.stdout, run.stderr[-2000:]
    assert run.stderr == ""
    told = json.loads(run.stdout)
    assert (told["stuck"], told["wrong"], told["left"], told["files"]) == ([], [], 0, [])
    assert 3 < told["awaits"] < 60


async def test_a_cancelled_engine_lets_the_next_one_write(folder: Path) -> None:
    file = folder / "g.db"
    fresh(folder / "template.db", file)

    async def host(works: asyncio.Event) -> None:
        async with opened(file, ManualClock()) as engine:
            while True:
                await VERBS["hold"].call(engine, {})
                works.set()

    for _ in range(5):
        works = asyncio.Event()
        task = asyncio.create_task(host(works))
        await works.wait()
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)
        assert task.cancelled()
        async with opened(file, ManualClock()) as engine:
            await asyncio.wait_for(VERBS["hold"].call(engine, {}), PATIENCE)
    assert looked_at(file)[1] == []
