"""Engine.open, cancelled at every await, once or ever again until it is over; prints what is left of it.

Run as a program: `opening.py FILE once|again early|late`.

A process of its own, because connections that are left open warn wherever the garbage collector finds them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
from pathlib import Path

MANY = 80


async def open_and_close(file: Path) -> object:
    """What is cancelled."""
    from grantflow.testing import ManualClock
    from tests.faults.verbs import opened

    async with opened(file, ManualClock()) as engine:
        return len((await engine.find()).items)


def loops_that_end(file: Path) -> None:
    """A loop that ends while an engine opens or closes cancels every task at once, ours as well."""

    async def leaves(pauses: int) -> None:
        task = asyncio.create_task(open_and_close(file))
        for _ in range(pauses):
            await asyncio.sleep(0.0003)
        assert task is not None

    for number in range(40):
        asyncio.run(leaves(number // 2))


async def main(file: Path, *, again: bool, late: bool) -> dict[str, object]:
    """Cancel at await 0, 1, 2 … until it completes; then open once more and write."""
    from grantflow.testing import ManualClock
    from tests.faults.oracle import looked_at
    from tests.faults.test_cancelled import CancelledAt
    from tests.faults.verbs import VERBS, opened

    async def cancelled_at(number: int) -> object:
        return await CancelledAt(open_and_close(file), number, late=late)

    stuck = []
    for number in range(MANY):
        task = asyncio.create_task(cancelled_at(number))
        while again and not task.done():
            if task.cancelling():
                task.cancel()
            await asyncio.sleep(0)
        done, _ = await asyncio.wait({task}, timeout=5)
        if not done:
            stuck.append(number)
        elif not task.cancelled():
            break
    async with opened(file, ManualClock()) as engine:
        await VERBS["hold"].call(engine, {})
    gc.collect()  # a connection that was left to itself warns here
    for _ in range(100):
        threads = [thread for thread in threading.enumerate() if "connection_worker" in thread.name]
        if not threads:
            break
        await asyncio.sleep(0.01)
    files = [name for name in open_files() if file.name in name]
    return {"awaits": number, "stuck": stuck, "left": len(threads), "files": files, "wrong": looked_at(file)[1]}


def open_files() -> list[str]:
    """What this process holds open, where the system tells."""
    handles = Path("/proc/self/fd")
    return [str(handle.readlink()) for handle in handles.iterdir() if handle.is_symlink()] if handles.exists() else []


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    loops_that_end(Path(sys.argv[1]))
    found = asyncio.run(main(Path(sys.argv[1]), again=sys.argv[2] == "again", late=sys.argv[3] == "late"))
    sys.stdout.write(json.dumps(found))
