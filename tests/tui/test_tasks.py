"""What operators do every day, key by key, and how many keys it takes: the table of docs/how-to/operators.md."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from grantflow import Actor, JobState
from grantflow_tui._dialog import ActionDialog
from tests.tui.fleet import screen_text, settled
from tests.tui.hand import OLGA, REASON, Hand, at_hand

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "operators.md"
WHY = f'"{REASON}'


@dataclass(frozen=True)
class Task:
    """A task, its keys from screen 1 on, and what must be true afterwards; what begins with a quote is words."""

    name: str
    steps: tuple[str, ...]
    check: Callable[[Hand], Awaitable[bool]]
    before: Callable[[Hand], Awaitable[object]] | None = None

    @property
    def keys(self) -> int:
        return sum(not step.startswith('"') for step in self.steps)

    @property
    def words(self) -> int:
        return len(self.steps) - self.keys

    def row(self) -> str:
        told = " ".join("…" if step == WHY else f"*{step[1:]}*" if step[0] == '"' else step for step in self.steps)
        return f"| {self.name} | {self.keys} | {self.words} | {told} |"


def shows(*texts: str) -> Callable[[Hand], Awaitable[bool]]:
    async def check(hand: Hand) -> bool:
        return all(text in screen_text(hand.app) for text in texts)

    return check


def copied(text: str) -> Callable[[Hand], Awaitable[bool]]:
    async def check(hand: Hand) -> bool:
        return hand.app.clipboard == text

    return check


async def one_died(hand: Hand) -> None:
    here = (await hand.engine.find("account:acme")).items[0]
    await hand.engine.ops.force(here.id, to="refresh-expired", actor=OLGA, reason="for the task")


async def held(hand: Hand) -> None:
    await hand.engine.apps.hold("agent-app", actor=OLGA, reason="for the task")


async def job(hand: Hand) -> str:
    plan = await hand.engine.ops.preview_bulk("state:active", "suspend", actor=OLGA, reason=REASON, canary=0)
    return (await hand.engine.ops.start_bulk(plan)).id


async def failed_job(hand: Hand) -> None:
    await job(hand)
    await one_died(hand)
    await hand.engine.run_jobs()


async def window(hand: Hand) -> None:
    await one_died(hand)
    here = (await hand.engine.find("account:acme")).items[0]
    await hand.engine.reauthorize(here.id, actor=Actor.agent("bob"), code_challenge="c" * 43)


async def suspended(hand: Hand) -> set[str]:
    return {one.account for one in (await hand.engine.find()).items if one.suspension is not None}


async def acme_is_suspended(hand: Hand) -> bool:
    return await suspended(hand) == {"acme"}


async def two_are_suspended(hand: Hand) -> bool:
    return await suspended(hand) == {"acme", "bolt"}


async def forced(hand: Hand) -> bool:
    return (await hand.engine.find("account:acme")).items[0].state == "unauthorized"


async def is_held(hand: Hand) -> bool:
    return bool(await hand.engine.apps.held())


async def is_free(hand: Hand) -> bool:
    return not await hand.engine.apps.held()


async def is_paused(hand: Hand) -> bool:
    return (await hand.engine.ops.jobs())[0].state is JobState.PAUSED


async def is_retried(hand: Hand) -> bool:
    newest = (await hand.engine.ops.jobs())[0]
    return newest.retries is not None and newest.applied == 1


async def window_is_closed(hand: Hand) -> bool:
    here = (await hand.engine.find("account:acme")).items[0]
    return here.open_attempts == 0


FIND = ("2", "/")
TASKS = (
    Task(
        "what died within the hour",
        (*FIND, '"state:refresh-expired entered:<1h', "enter"),
        shows("1 match", "✖ refresh-expired"),
        one_died,
    ),
    Task(
        "why one died, and who did it",
        (*FIND, '"acme', "enter", "enter"),
        shows("!FORCED", "for the task", "operator:olga"),
        one_died,
    ),
    Task("suspend one", ("2", "a", "enter", "tab", WHY, "enter", "f9"), acme_is_suspended),
    Task("force one", ("2", "f", "tab", "tab", WHY, "enter", '"acme', "f9"), forced),
    Task(
        "close a window somebody has open",
        ("2", "a", "j", "enter", "tab", WHY, "f9"),
        window_is_closed,
        window,
    ),
    Task("hold an app", ("2", "a", "j", "enter", "tab", WHY, "tab", '"agent-app', "f9"), is_held),
    Task("resume it", ("2", "a", "j", "enter", "tab", WHY, "f9"), is_free, held),
    Task(
        "suspend an account's installations",
        (*FIND, '"account:acme', "enter", "b", "j", "j", "enter", "tab", WHY, "enter", "f9"),
        acme_is_suspended,
    ),
    Task(
        "mark two and suspend them",
        ("2", "space", "space", "a", "j", "j", "enter", "tab", WHY, "enter", '"2', "f9"),
        two_are_suspended,
    ),
    Task("pause a bulk job", ("5", "P", "tab", WHY, "f9"), is_paused, job),
    Task("retry what failed", ("5", "R", "tab", WHY, "f9"), is_retried, failed_job),
    Task(
        "the command line of what is on screen",
        (*FIND, '"state:active', "enter", "Y"),
        copied("grantflow list state:active"),
    ),
)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
async def test_task(tmp_path: Path, task: Task) -> None:
    async with at_hand(tmp_path / "g.db", "acme", "bolt") as hand:
        if task.before is not None:
            await task.before(hand)
        await hand.press("1")
        for step in task.steps:
            await hand.pilot.press(*(step[1:] if step.startswith('"') else (NAMES.get(step, step),)))
            await settled(hand.pilot)
            if isinstance(hand.app.screen, ActionDialog):
                hand.app.screen._opened -= 1  # a person has looked at it
        assert await task.check(hand), screen_text(hand.app)


NAMES = {"/": "slash"}


def test_the_page_tells_the_keys_as_they_are() -> None:
    table = "\n".join(task.row() for task in TASKS)
    assert table in PAGE.read_text(encoding="utf-8"), f"the table is\n{table}"
