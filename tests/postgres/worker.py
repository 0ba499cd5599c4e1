"""Programs the tests start as processes of their own: `worker.py WHAT URL …`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from grantflow import Settings
from grantflow._rows import Change, Load, Snapshot
from grantflow._store import open_store
from grantflow.errors import Conflict
from tests.store.builders import DAY, NOW, move, moving


def say(text: str) -> None:
    """One line to the test that waits for it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def sweeps(url: str) -> None:
    """Bring every due row to its end beside others who do the same; says how many it moved."""
    store = await open_store(url, Settings(), NOW)
    say("open")
    sys.stdin.readline()
    moved = 0
    try:
        while due := await store.due(NOW + DAY, 500):
            pks = sorted(due)
            for start in range(0, len(pks), 10):
                chunk = await store.sweep_chunk(pks[start : start + 10], NOW + DAY, moving("over", notice=True), 0.01)
                moved += len(chunk.changes)
    finally:
        await store.close()
    say(str(moved))


async def races(url: str, times: int) -> None:
    """Take one row from the version it was seen at; says how often it won, and how often it was told that it lost."""
    store = await open_store(url, Settings(), NOW)
    say("open")
    sys.stdin.readline()
    won = lost = 0
    try:
        for _ in range(times):
            seen = await store.load(Load(installation="i1"))
            assert seen.installation is not None
            version = seen.installation.version

            def work(found: Snapshot, version: int = version) -> Change:
                change = move(found, "next")
                if change.expected_version != version:
                    raise Conflict
                return change

            try:
                await store.transact(Load(installation="i1"), work)
                won += 1
            except Conflict:
                lost += 1
    finally:
        await store.close()
    say(f"{won} {lost}")


async def dies(url: str) -> None:
    """Be killed inside a transaction, with the row locked."""
    store = await open_store(url, Settings(), NOW)

    def work(found: Snapshot) -> Change:
        move(found, "half")
        say("inside")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    await store.transact(Load(installation="i1"), work)


if __name__ == "__main__":
    what, url = sys.argv[1], sys.argv[2]
    if what == "races":
        asyncio.run(races(url, int(sys.argv[3])))
    else:
        asyncio.run({"sweeps": sweeps, "dies": dies}[what](url))
