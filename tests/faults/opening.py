"""Engine.open, cancelled at every await; prints what is left of it. Run as a program: `opening.py FILE`.

A process of its own, because connections that are left open warn wherever the garbage collector finds them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path

MANY = 80


async def main(file: Path) -> dict[str, object]:
    """Cancel at await 0, 1, 2 … until it completes; then open once more and write."""
    from grantflow.testing import ManualClock
    from tests.faults.oracle import looked_at
    from tests.faults.test_cancelled import CancelledAt
    from tests.faults.verbs import VERBS, opened

    async def open_and_close() -> object:
        async with opened(file, ManualClock()) as engine:
            return len((await engine.find()).items)

    async def cancelled_at(number: int) -> object:
        return await CancelledAt(open_and_close(), number, late=False)

    stuck = []
    for number in range(MANY):
        task = asyncio.create_task(cancelled_at(number))
        done, _ = await asyncio.wait({task}, timeout=5)
        if not done:
            stuck.append(number)
        elif not task.cancelled():
            break
    async with opened(file, ManualClock()) as engine:
        await VERBS["hold"].call(engine, {})
    for _ in range(100):
        left = [thread for thread in threading.enumerate() if "connection_worker" in thread.name]
        if not left:
            break
        await asyncio.sleep(0.01)
    return {"awaits": number, "stuck": stuck, "left": len(left), "wrong": looked_at(file)[1]}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
