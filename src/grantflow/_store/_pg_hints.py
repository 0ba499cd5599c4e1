"""Hints between processes: something is due earlier than you know.

A process that writes tells at most one hint each 100 ms, never inside a transition's transaction: NOTIFY there would
make all of them wait for each other. Who listens has a connection of its own. A hint may get lost: polls go on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress

import asyncpg

from grantflow._store._ending import ended
from grantflow._store._pg_errors import DATABASE_FAILURES
from grantflow_machines import Instant

_log = logging.getLogger("grantflow")
_CHANNEL = "grantflow_due"
_TELL = f"SELECT pg_notify('{_CHANNEL}', $1)"
_APART = 0.1
"""Seconds between two hints of one process."""
_AGAIN = 1.0
"""Seconds before somebody who cannot listen tries again; doubles up to …"""
_LONGEST = 30.0
_LAST_WORD = 0.5
"""Seconds that a hint has when the process leaves."""
_LISTENER = {"application_name": "grantflow hints"}


class Hints:
    """Tells the other processes on one database, and hears them."""

    def __init__(self, url: str, pool: asyncpg.Pool, patience: float) -> None:
        self._url, self._pool, self._patience = url, pool, patience
        self._me = os.urandom(8).hex()
        self._earliest: Instant | None = None
        self._told = float("-inf")
        self._telling: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._callbacks: list[Callable[[Instant], None]] = []

    # -- telling --------------------------------------------------------------------------------
    def tell(self, due: Instant) -> None:
        """Tell it soon; of several that wait the earliest is told."""
        self._earliest = due if self._earliest is None else min(due, self._earliest)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        while self._earliest is not None:
            await asyncio.sleep(max(0.0, self._told + _APART - time.monotonic()))
            await self._tell_now()

    async def _tell_now(self) -> None:
        due, self._told = self._earliest, time.monotonic()
        self._earliest = None
        try:
            async with self._pool.acquire(timeout=self._patience) as conn:
                await conn.execute(_TELL, f"{self._me} {due}")
        except DATABASE_FAILURES as error:
            _log.info("a hint was not told (%s); polls find what is due", type(error).__name__)

    # -- hearing --------------------------------------------------------------------------------
    def hear(self, callback: Callable[[Instant], None]) -> None:
        """Call back with every hint of another process, from now on."""
        self._callbacks.append(callback)
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        pause = _AGAIN
        while True:
            try:
                conn = await asyncpg.connect(self._url, timeout=self._patience, server_settings=_LISTENER)
                try:
                    gone = asyncio.Event()
                    conn.add_termination_listener(lambda _, gone=gone: gone.set())
                    await conn.add_listener(_CHANNEL, self._heard)
                    pause = _AGAIN
                    self._call(0)
                    await gone.wait()
                finally:
                    conn.terminate()
                _log.info("the connection for hints broke; it is made again")
            except Exception as error:  # noqa: BLE001 - whatever a driver makes of a broken connection
                _log.info("nobody listens for hints (%s); polls find what is due", type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST)

    def _heard(self, _conn: object, _pid: int, _channel: str, payload: str) -> None:
        who, _, due = payload.partition(" ")
        if who != self._me and due.isdecimal() and len(due) < 20:  # anybody on this database may notify
            self._call(int(due))

    def _call(self, due: Instant) -> None:
        for callback in self._callbacks:
            callback(due)

    async def close(self) -> None:
        """Tell what waits to be told, if the server answers at once, then leave."""
        tasks = [task for task in (self._telling, self._listening) if task is not None]
        self._telling = self._listening = None
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, *DATABASE_FAILURES):
                await ended(task)
        if self._earliest is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._tell_now(), _LAST_WORD)
