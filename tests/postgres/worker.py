"""Programs the tests start as processes of their own: `worker.py WHAT URL [MANY TIMES]`."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from dataclasses import astuple
from functools import partial

import asyncpg

from grantflow import Settings
from grantflow._rows import Change, Load, Snapshot
from grantflow._store import _pg_lanes
from grantflow._store._pg_moves import Move
from grantflow._store.postgres import PostgresStore
from grantflow.errors import Conflict
from tests.postgres.linear import Op
from tests.postgres.sweeping import in_run
from tests.store.builders import DAY, NOW, move
from tests.store.processes import crowd, ready, say


async def sweeps(url: str, number: int = 0) -> None:
    """Bring every due row to its end beside others who do the same; says how many it moved."""
    store = await PostgresStore.open(url, Settings(), NOW)
    ready()
    moved, work = 0, in_run(f"run {number}")
    try:
        while due := await store.due(NOW + DAY, 500):
            pks = sorted(due)
            for start in range(0, len(pks), 10):
                chunk = await store.sweep_chunk(pks[start : start + 10], NOW + DAY, work, 0.01)
                moved += len(chunk.changes)
    finally:
        await store.close()
    say(str(moved))


async def records(url: str, times: int, number: int) -> None:
    """Read installations, and take them on from the version they were seen at; says what was done and answered."""
    chance, done = random.Random(number), list[Op]()
    store = await PostgresStore.open(url, Settings(), NOW)
    ready()
    try:
        for step in range(times):
            name, began = f"i{chance.randrange(3)}", time.monotonic()
            seen = (await store.load(Load(installation=name))).installation
            assert seen is not None
            done.append(Op(number, name, "read", began, time.monotonic(), seen.version, seen.state))
            target, version = f"p{number}s{step}", seen.version

            def work(found: Snapshot, target: str = target, version: int = version) -> Change:
                change = move(found, target)
                if change.expected_version != version:
                    raise Conflict
                return change

            began = time.monotonic()
            try:
                await store.transact(Load(installation=name), work)
                outcome = "took"
            except Conflict:
                outcome = "lost"
            done.append(Op(number, name, outcome, began, time.monotonic(), version + (outcome == "took"), target))
    finally:
        await store.close()
    say(json.dumps([astuple(one) for one in done]))


async def forgets(url: str, times: int, number: int) -> None:
    """`records` with a defect: one of the processes calls some moves written that were not."""
    if number == 0:
        write, writes = _pg_lanes._write, 0

        async def forgetful(conn: asyncpg.Connection, some: list[Move]) -> set[int]:
            nonlocal writes
            writes += 1
            return {move.seen.pk for move in some} if writes % 5 == 0 else await write(conn, some)

        _pg_lanes._write = forgetful
    await records(url, times, number)


async def dies(url: str) -> None:
    """Be killed inside a transaction, with the row locked."""
    store = await PostgresStore.open(url, Settings(), NOW)

    def work(found: Snapshot) -> Change:
        move(found, "half")
        say("inside")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    await store.transact(Load(natural=("crm", "acme", "subject-i1", "default")), work)


if __name__ == "__main__":
    what, url, *numbers = sys.argv[1:]
    if what == "dies":
        asyncio.run(dies(url))
    elif what == "sweeps":
        crowd(int(numbers[0]), partial(sweeps, url))
    else:
        crowd(int(numbers[0]), partial({"records": records, "forgets": forgets}[what], url, int(numbers[1])))
