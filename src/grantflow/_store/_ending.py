"""What must come to its end, whoever stops waiting for it: files and threads are let go of, then one is cancelled."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import aiosqlite

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


async def let_go(connection: aiosqlite.Connection) -> None:
    """Close a connection; where that is cancelled, its thread has said its last word all the same."""
    try:
        await connection.close()
    except asyncio.CancelledError:
        await reported(connection)
        raise


async def reported(connection: aiosqlite.Connection) -> None:
    """Wait for a thread that ends: it reports to this loop once more, and a loop that closed first makes it shout."""
    await asyncio.to_thread(connection._thread.join)  # noqa: SLF001 - aiosqlite has no door for that
