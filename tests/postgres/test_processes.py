"""Several processes on one database: each row moves once, a loser is told, the dead leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from functools import partial

import pytest

from grantflow._rows import Load
from grantflow._store.postgres import PostgresStore
from tests.postgres.linear import Op, violations
from tests.postgres.outside import Outside
from tests.postgres.sweeping import each_moved_once, filled
from tests.store import processes
from tests.store.builders import moving, new_app, new_installation
from tests.store.processes import line_of, together

worker = partial(processes.worker, "tests.postgres.worker")


async def test_four_processes_sweep_the_same_rows_each_once(store: PostgresStore, url: str) -> None:
    await filled(store, 600)
    with worker("sweeps", url, 4) as process:
        moved = [int(line) for line in await asyncio.to_thread(together, process, 4)]
    assert sum(moved) == 600
    assert len([one for one in moved if one]) > 1, "one of them did it all: nothing was shared"
    outside = Outside(url)
    try:
        each_moved_once(outside, 600)
    finally:
        outside.close()


# -- recorded histories: P3 ---------------------------------------------------------------------------
async def recorded(store: PostgresStore, url: str, what: str, times: int) -> list[Op]:
    """What eight processes did to three installations, and what they were answered."""
    app = await new_app(store)
    for name in ("i0", "i1", "i2"):
        await new_installation(store, app, name)
    with worker(what, url, 8, times) as process:
        said = await asyncio.to_thread(together, process, 8)
    return [Op(*one) for line in said for one in json.loads(line)]


@pytest.mark.parametrize("times", [40, pytest.param(800, marks=pytest.mark.slow)])
async def test_eight_processes_at_three_rows_are_linearizable_and_losers_are_told(
    store: PostgresStore, url: str, times: int
) -> None:
    ops = await recorded(store, url, "records", times)
    assert len(ops) == 8 * times * 2, "each got an answer"
    assert violations(ops, (1, "active")) == []
    told = Counter(op.what for op in ops)
    print(f"8 processes, 3 rows: {dict(told)}, 0 violations")
    assert told["took"] > times
    assert told["lost"] > times / 4, "they hardly ever met"
    for name in ("i0", "i1", "i2"):
        row = (await store.load(Load(installation=name))).installation
        assert row is not None
        trail = await store.history(row.pk, 9_999, None)
        made = {op.version: op.state for op in ops if op.what == "took" and op.row == name}
        assert {step.version: step.target for step in trail[:-1]} == made, (
            "what was acknowledged is there, and no more"
        )


async def test_a_commit_that_never_was_is_found(store: PostgresStore, url: str) -> None:
    assert violations(await recorded(store, url, "forgets", 40), (1, "active"))


PLANTED = {
    "a version twice": [(0, "took", 1, 2, 2, "a"), (1, "took", 1, 2, 2, "b")],
    "a gap": [(0, "took", 1, 2, 3, "a")],
    "a state that nobody made": [(0, "took", 1, 2, 2, "a"), (1, "read", 1, 2, 2, "b")],
    "a version that nobody made": [(0, "read", 1, 2, 2, "a")],
    "an old read after a step": [(0, "took", 1, 2, 2, "a"), (1, "read", 3, 4, 1, "active")],
    "an old read after a new read": [
        *[(0, "took", 1, 9, 2, "a"), (1, "read", 2, 3, 2, "a"), (2, "read", 4, 5, 1, "active")],
    ],
    "a step before one that was through": [(0, "took", 1, 2, 3, "a"), (1, "took", 3, 4, 2, "b")],
    "lost to nobody": [(0, "lost", 1, 2, 1, "a"), (1, "took", 3, 4, 2, "b")],
    "lost after all was seen": [(0, "took", 1, 2, 2, "a"), (1, "lost", 3, 4, 2, "b")],
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_the_checker_finds(planted: list[tuple[int, str, int, int, int, str]]) -> None:
    ops = [Op(one[0], "i1", *one[1:]) for one in planted]
    assert len(violations(ops, (1, "active"))) >= 1


def test_the_checker_allows_what_overlaps() -> None:
    ops = [
        Op(0, "i1", "took", 1, 9, 2, "a"),
        Op(1, "i1", "read", 1, 2, 1, "active"),
        Op(2, "i1", "read", 2, 3, 2, "a"),
        Op(3, "i1", "lost", 2, 3, 1, "b"),
        Op(4, "i2", "read", 9, 10, 1, "active"),
    ]
    assert violations(ops, (1, "active")) == []


async def test_a_process_that_is_killed_inside_a_transaction_leaves_nothing(store: PostgresStore, url: str) -> None:
    app = await new_app(store)
    row = await new_installation(store, app, "i1")
    with worker("dies", url) as process:
        assert await asyncio.to_thread(line_of, process) == "inside"
        assert await asyncio.to_thread(process.wait, 10) == -signal.SIGKILL
    assert (await store.load(Load(installation="i1"))).installation == row
    await asyncio.wait_for(store.transact(Load(installation="i1"), moving("over")), 5)
    assert await store.counts() == [("crm", "over", 1)]


@pytest.mark.slow
async def test_sweepers_that_are_killed_again_and_again_lose_and_double_nothing(
    store: PostgresStore, url: str
) -> None:
    await filled(store, 1500)
    for victim in range(5):
        with worker("sweeps", url, 1) as process:
            assert await asyncio.to_thread(line_of, process) == "open"
            assert process.stdin is not None
            process.stdin.write("g")
            process.stdin.flush()
            await asyncio.sleep(0.05 + 0.03 * victim)
            os.killpg(process.pid, signal.SIGKILL)
    with worker("sweeps", url, 1) as process:
        await asyncio.to_thread(together, process, 1)
    outside = Outside(url)
    try:
        each_moved_once(outside, 1500)
    finally:
        outside.close()
