"""What must come to its end, whoever stops waiting for it: files and threads are let go of, then one is cancelled."""

from __future__ import annotations

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def ended(task: asyncio.Task[T]) -> T:
    """The result of a task that no cancellation of the caller reaches; it is passed on when the task is over."""
    stopped: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            stopped = error
    if stopped is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # looked at: nobody else will
    raise stopped
